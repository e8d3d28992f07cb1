# SPDX-License-Identifier: Apache-2.0
"""The examples for authors (sdk/guide, issue 12, 3): each does what docs/plugins.md says of it, and keeps the rules.
The one with a library is in test_guide_auth.py."""

import os
import pathlib
import re
import subprocess

import pytest

from lib import admin
from lib.procs import SpoeHost, clean_env, host_binary, wait_until
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
GUIDE = pathlib.Path(os.environ["SPOE_TEST_GUIDE_DIR"])
CHECK = pathlib.Path(host_binary()).with_name("spoe-plugin-check")


def start(plugin, *options):
    args = ["--plugin-dir", GUIDE, "--plugins", plugin, "--admin", "127.0.0.1:0", "--processing-timeout", "50s"]
    return SpoeHost([str(arg) for arg in args] + [word for option in options for word in ("--set", option)])


def put(path, text):
    """At once: whoever reads it meanwhile has the one before."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def test_data_from_disk(tmp_path):
    path = tmp_path / "hosts"
    put(path, "b.example\na.example\r\n\nc.example")
    with start("hosts", f"hosts.path={path}") as host, Client(host.port) as client:
        client.hello()

        def known(name):
            return client.ask("host", {"host": name}).variables["known"]

        assert [known(f"{c}.example") for c in "abcd"] == [True, True, True, False]
        assert not known("") and not known("a") and not known("a" * 255) and not known("a" * 5000)
        put(path, "d.example\n" + "x" * 255 + "\n")
        host.wait_line(rf"{path}:2: too long")
        assert known("a.example") and not known("d.example"), "those of before"
        put(path, "d.example\n")
        wait_until(lambda: known("d.example"), "the new names")
        assert not known("a.example")
        assert host.terminate() == 0, host.report()


def test_a_thread_of_its_own(tmp_path):
    path = tmp_path / "journal"
    with start("journal", f"journal.path={path}") as host, Client(host.port) as client:
        client.hello()
        for i in range(300):
            assert client.ask("journal", {"uri": f"/{i}"}).variables == {}
        client.ask("journal", {"uri": "/" + "x" * 2000})

        def numbers():
            page = admin.metrics(host)
            return [page[f"spoe_journal_{name}_total"].value() for name in ("written", "dropped", "failed")]

        wait_until(lambda: sum(numbers()) == 301, "all to be written or dropped")
        written, dropped, failed = numbers()
        assert failed == 0 and dropped >= 1
        assert host.terminate() == 0, host.report()
    lines = path.read_text().splitlines()
    assert len(lines) == written and set(lines) <= {f"/{i}" for i in range(300)}


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path):
    done = subprocess.run([host_binary(), "--plugin-dir", GUIDE, "--plugins", "journal", "--listen", "127.0.0.1:0",
                           "--set", f"journal.path={tmp_path}"], env=clean_env(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and f"{tmp_path}: cannot be opened" in done.stderr, done.stderr


def test_metrics():
    with start("numbers") as host, Client(host.port) as client:
        client.hello()
        for status, length in ((200, 5), (204, None), (503, 2000), (999, 5), (-7, None), (None, None)):
            args = {"status": status, "length": length}
            client.ask("response", {key: value for key, value in args.items() if value is not None})
        page = admin.metrics(host)
        family = page["spoe_numbers_responses_total"]
        assert {c: family.value(**{"class": c}) for c in ("1xx", "2xx", "5xx", "other")} == {
            "1xx": 0, "2xx": 2, "5xx": 1, "other": 3}
        assert page["spoe_numbers_response_bytes"].value("spoe_numbers_response_bytes_count") == 3
        assert host.terminate() == 0, host.report()


@pytest.mark.parametrize("plugin", ["hosts", "journal", "numbers", "auth"])
def test_each_keeps_the_rules(plugin, tmp_path):
    file = GUIDE / f"{plugin}.so"
    if plugin == "auth" and not file.exists():
        return  # built without libcurl
    (tmp_path / "hosts").write_text("a.example\n")
    options = {"hosts": f"hosts.path={tmp_path}/hosts", "journal": f"journal.path={tmp_path}/journal",
               "auth": "auth.url=http://127.0.0.1:1"}
    args = ["--set", options[plugin]] if plugin in options else []
    done = subprocess.run([CHECK, *args, file], env=clean_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=550)
    assert done.returncode == 0, done.stdout


def test_the_guide_names_each():
    """12.3: an example of the page is a plugin that is built here."""
    text = (SOURCE / "docs/plugins.md").read_text()
    named = set(re.findall(r"\.\./sdk/guide/(\w+\.cc?)\b", text))
    assert named == {path.name for path in (SOURCE / "sdk/guide").glob("*.c*")}
