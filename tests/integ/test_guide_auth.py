# SPDX-License-Identifier: Apache-2.0
"""The guide's step about answers that come later (sdk/guide/auth.c, issue 12, 4)."""

import os
import pathlib
import re
import signal

from lib.auth_service import AuthService
from lib.procs import SpoeHost, clean_env, host_binary, run
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "sdk/guide/auth.c"


def start(url, timeout):
    return SpoeHost(["--plugin-dir", os.environ["SPOE_TEST_GUIDE_DIR"], "--plugins", "auth", "--set",
                     f"auth.url={url}", "--processing-timeout", timeout, "--workers", "1"])


def ask(client, uri):
    return client.ask("auth", {"uri": uri, "cookie": "a=1"}).variables


def test_it_is_short():
    """The same in Go took 127 lines."""
    assert len(SOURCE.read_text().splitlines()) <= 140


def test_yes_no_and_too_late():
    with AuthService() as service:
        with start(f"http://{service.address}", "50s") as host, Client(host.port) as client:
            client.hello()
            for i in range(5):
                assert ask(client, f"/path/{i}?x") == {"allowed": True}
            assert ask(client, "/" + "x" * 5000) == {"allowed": False}
            first = service.requests[0]
            assert (first.method, first.path, first.header("cookie")) == ("HEAD", "/path/0?x", "a=1")
            assert service.connections == 1
            for path in ("/status/403", "/status/500", "/cut"):
                assert ask(client, path) == {"allowed": False}
            assert host.terminate() == 0, host.report()
    with AuthService() as service:
        with start(f"http://{service.address}", "50ms") as host, Client(host.port) as client:
            client.hello()
            assert ask(client, "/wait") == {"allowed": False}
            host.signal(signal.SIGTERM)
            assert host.wait() == 0, host.report()
            assert host.count("level=(error|warning)") == 0, "nothing of the loop was left"


def test_try_shows_a_variable_once():
    """12: what was committed first is what a rule sees only where nothing came after it."""
    with AuthService() as service:
        for uri, allowed in (("/path", "true"), ("/status/403", "false")):
            status, text = run([host_binary(), "--plugin-dir", os.environ["SPOE_TEST_GUIDE_DIR"], "--plugins", "auth",
                                "--set", f"auth.url=http://{service.address}", "--try", f"auth uri={uri} cookie=a=1"],
                               env=clean_env())
            assert status == 0, text
            assert re.findall(r"txn\.auth\.allowed = (.*)", text) == [f"bool {allowed}"], text
