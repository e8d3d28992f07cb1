# SPDX-License-Identifier: Apache-2.0
"""13.2: what a request waits for while no host is there: at a port that is closed, and at a socket that a
service manager holds open (fd:spop). During a restart the next host answers what waits at a held socket;
after a failure nobody does."""

import contextlib
import pathlib
import socket
import threading
import time

import pytest

from lib import haproxy as hap
from lib.haproxy import HAProxy
from lib.manager import handing_over
from lib.procs import ReservedPort, SpoeHost, wait_until

PROCESSING = 1  # second, for each of a request's messages: far from what a refused connection takes
REFUSED, LATE = "257", "1"


def without_agent(version):
    """The status of a request that finds the port closed. Up to 3.0 HAProxy waits there as well."""
    return (REFUSED,) if version >= (3, 1) else (LATE, "2")


def connections_to(port):
    """Those of this machine that somebody has still open, whether or not their other end is gone."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[2].endswith(f":{port:04X}") and row[3] in ("01", "08")]  # ESTABLISHED, CLOSE_WAIT


class Scene:
    def __init__(self, binary, directory, origin, held, processing):
        self.stack = contextlib.ExitStack()
        if held:
            self.sock = self.stack.enter_context(socket.socket())
            self.sock.bind(("127.0.0.1", 0))
            self.sock.listen(64)
            self.port = self.sock.getsockname()[1]
            self.host_args = handing_over([("spop", self.sock)], env={"SPOE_ADDR": "fd:spop"})
        else:
            self.port = self.stack.enter_context(ReservedPort()).port
            self.host_args = {"env": {"SPOE_ADDR": f"127.0.0.1:{self.port}"}}
        self.host_args["env"]["OTEL_TRACES_EXPORTER"] = "none"
        config = hap.Config(directory).relax(processing).show_status()
        config.edit_main(r"^    default-server check inter .*\n", "")  # whoever fails them is not asked: that is something else
        self.host = self.begin()
        self.proxy = self.stack.enter_context(HAProxy(binary, config, [self.port], origin.address))
        assert self.ask().otel_status is None, self.proxy.report()

    def begin(self):
        return self.stack.enter_context(SpoeHost(**self.host_args))

    def end(self):
        assert self.host.terminate() == 0, self.host.report()

    def ask(self):
        begin = time.monotonic()
        response = self.proxy.get("/")
        self.took = time.monotonic() - begin
        assert response.status == 200
        return response

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


@pytest.mark.parametrize("held", [False, True], ids=["closed", "held"])
def test_during_a_restart(binary, version, tmp, origin, held):
    """At a held socket a request waits for the next host, and is traced; at a closed port it goes on without."""
    with Scene(binary, tmp, origin, held, "60s" if held else f"{PROCESSING}s") as scene:
        scene.end()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(scene.ask()))
        asking.start()
        if not held:
            asking.join()  # nobody else has to come for that
            assert answers[0].otel_status in without_agent(version)
        host = scene.begin()
        asking.join()
        print(f"{'held' if held else 'closed'}: a request took {scene.took * 1000:.1f} ms over a restart")
        if held:
            assert answers[0].otel_status is None and answers[0].headers.get("X-Otel-Traceparent")
            assert host.terminate() == 0


@pytest.mark.parametrize("held", [False, True], ids=["closed", "held"])
def test_after_a_failure(binary, version, tmp, origin, held):
    """Nobody comes: each request waits timeout processing for a held socket, and not for a closed port."""
    with Scene(binary, tmp, origin, held, f"{PROCESSING}s") as scene:
        scene.host.kill()
        wait_until(lambda: not connections_to(scene.port), "HAProxy to see the end of its connections")
        for _ in range(1 if held else 2):
            status = scene.ask().otel_status
            print(f"{'held' if held else 'closed'}: status {status} after {scene.took * 1000:.1f} ms")
            if held:
                assert status == LATE and scene.took > PROCESSING * 0.95
            else:
                assert status in without_agent(version)
