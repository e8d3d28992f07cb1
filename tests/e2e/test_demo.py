# SPDX-License-Identifier: Apache-2.0
"""tools/demo: its spans are there, or it says which is not."""

import os
import re
import signal

from lib import procs
from lib.haproxy import SOURCE

BUILD = os.path.dirname(os.path.dirname(os.path.abspath(os.environ["SPOE_TEST_HOST"])))
DEMO = os.path.join(SOURCE, "tools", "demo")


def demo_env(binary, **more):
    return procs.clean_env({"BUILD_DIR": BUILD, "HAPROXY": binary, **more})


def test_demo(binary):
    status, out = procs.run([DEMO], env=demo_env(binary), limit=3 * procs.LIMIT)
    assert status == 0, out
    assert "All 18 spans of 10 requests were there. Everything is stopped." in out
    # issue 11, 5.1: what HAProxy answers itself, and a slow body, told right by its log
    table = out.split("by their SERVER spans:")[1]
    assert re.search(r"403 /admin +no status, .* ms +403, ", table), table
    assert re.search(r"503 /orders +no status, .* ms +503, ", table), table
    assert re.search(r"200 /slow +200, .* ms +200, [1-9]\d\d", table), table


def test_demo_that_keeps_running(binary):
    with procs.Proc([DEMO], name="demo", env=demo_env(binary, KEEP="1")) as demo:
        demo.wait_line("goes on running until Ctrl-C", limit=3 * procs.LIMIT)
        procs.wait_until(lambda: demo.count("HAProxy web ") == 2, "the addresses, once more")
        port = demo.wait_line(r"HAProxy web +http://127.0.0.1:(\d+)/").group(1)
        status, out = procs.run(["curl", "-sS", f"http://127.0.0.1:{port}/kept"])
        assert (status, out) == (0, "hello from the origin\n")
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0, demo.report()


def test_demo_names_what_is_missing(binary, tmp):
    """A collector that shows nothing."""
    os.makedirs(f"{tmp}/bin")
    os.symlink(f"{BUILD}/bin/spoe-host", f"{tmp}/bin/spoe-host")
    os.symlink(f"{BUILD}/lib", f"{tmp}/lib")
    console = f"{tmp}/bin/otlp-console"
    with open(console, "w", encoding="ascii") as file:
        file.write(
            "#!/usr/bin/python3\n"
            "import signal, sys\n"
            f"sys.path.insert(0, {os.path.join(SOURCE, 'tests')!r})\n"
            "from lib.collector import Collector\n"
            "collector = Collector()\n"
            "print('listening on', collector.endpoint, flush=True)\n"
            "signal.pause()\n"
        )
    os.chmod(console, 0o755)
    env = demo_env(binary, BUILD_DIR=tmp, SPOE_TEST_LIMIT="15")
    status, out = procs.run([DEMO], env=env, limit=3 * procs.LIMIT)
    print(out)
    assert status == 1
    assert "demo failed: missing: the SERVER span of /hello" in out
    assert "the CLIENT span of /orders" in out


def test_a_haproxy_that_is_none():
    """Said in a line, before anything is built or started."""
    for command in ([DEMO], [f"{SOURCE}/tools/run-tests", "lint"]):
        status, out = procs.run(command, env=demo_env("/nowhere/haproxy"))
        assert status == 1 and "HAPROXY=/nowhere/haproxy" in out and "Traceback" not in out, out
