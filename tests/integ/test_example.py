# SPDX-License-Identifier: Apache-2.0
"""The tutorial of plugins/example/README.md, followed with a real HAProxy."""

import http.client
import os
import pathlib
import re
import shutil

from lib.procs import Proc, ReservedPort, SpoeHost, clean_env, host_binary, run, wait_until

README = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "plugins/example/README.md"
PLUGIN_DIR = os.environ["SPOE_TEST_EXAMPLE_DIR"]
HAPROXY = os.environ.get("HAPROXY") or shutil.which("haproxy") or "/usr/sbin/haproxy"


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README.read_text(), re.S).group(1)


def test_the_tutorial(tmp_path):
    commands = block("sh")
    assert "--print-spoe-config > spoe.cfg" in commands
    (host_line,) = [line for line in commands.splitlines() if "--listen" in line]
    status, text = run(["sh", "-c", '"$0" --plugin-dir "$1" --print-spoe-config > spoe.cfg',
                        host_binary(), PLUGIN_DIR], env=clean_env(), cwd=tmp_path)
    assert status == 0, text
    args = host_line.split()[1:]
    args[args.index("--plugin-dir") + 1] = PLUGIN_DIR
    args[args.index("--listen") + 1] = "127.0.0.1:0"
    with ReservedPort() as reserved, SpoeHost(args) as host:
        port = reserved.port
        cfg = block("haproxy").replace("8080", str(port)).replace("12345", str(host.port))
        (tmp_path / "haproxy.cfg").write_text(cfg)
        with Proc([HAPROXY, "-db", "-f", "haproxy.cfg"], env=clean_env(), cwd=tmp_path):

            def get(path):
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    client.request("GET", path)
                    return client.getresponse().status
                except OSError:
                    return None  # not listening yet
                finally:
                    client.close()

            wait_until(lambda: get("/short"), "HAProxy to listen")
            # A processing timeout counts as "not too long": on a busy machine ask again.
            wait_until(lambda: get("/a-path-that-is-much-too-long") == 403, "403")
            assert get("/short") == 200
            wait_until(lambda: host.count(r"level=debug component=example ") >= 2, "its log lines")
        assert host.terminate() == 0
