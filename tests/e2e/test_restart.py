# SPDX-License-Identifier: Apache-2.0
"""7.2, V2: what restarts of the agent cost, under load and with the shipped files."""

import contextlib
import json
import os
import time

from lib import haproxy as hap
from lib import procs, versions
from lib.haproxy import HAProxy
from lib.procs import Proc, ReservedPort, SpoeHost, wait_until

RATE = 200  # requests a second
RESTARTS = 4
EVERY = 5  # seconds between restarts that the printed share is for
STEADY = 300  # requests before the first restart: what the machine loses by itself

ORIGIN = """
listen origin
    bind {address}
    http-request return status 200 content-type text/plain string ok
"""


def program(name):
    return os.path.join(os.path.dirname(procs.host_binary()), name)


def traced(proxy):
    return proxy.get("/").headers.get("X-Otel-Sampled") is not None


def load(proxy, requests):
    """Requests at a fixed rate; those count whose span is recorded, not merely handed on."""
    return Proc([program("http-load"), "--connect", f"127.0.0.1:{proxy.web}", "--rate", RATE,
                 "--connections", 32, "--requests", requests, "--count", "X-Otel-Sampled"],
                name="http-load")


def lost(proc):
    """Of a load that has ended: requests without a trace, and all."""
    result = json.loads(proc.lines[-1])
    return result["requests"] - result["counted"], result["requests"]


class Setup:
    """Agents, each on a port of its own, a collector, HAProxy with the shipped files."""

    def __init__(self, binary, directory, agents, edit):
        config = hap.Config(directory).show_status()
        config.edit_main(
            r"^    default_backend ",
            "    http-after-response set-header X-Otel-Sampled 1 if { var(txn.otel.sampled) -m bool }\n"
            "    default_backend ")
        edit(config)
        self._stack = contextlib.ExitStack()
        enter = self._stack.enter_context
        origin = enter(ReservedPort())
        config.main += ORIGIN.format(address=origin.address)
        collector = enter(Proc([program("otlp-count"), "--listen", "127.0.0.1:0"], name="otlp-count"))
        self._endpoint = "127.0.0.1:" + collector.wait_line(r"listening on \S+:(\d+)").group(1)
        self._ports = [enter(ReservedPort()) for _ in range(agents)]
        self.hosts = []
        try:
            for port in self._ports:
                self.hosts.append(self.begin(port))
            self.proxy = enter(
                HAProxy(binary, config, [port.port for port in self._ports], origin.address))
        except BaseException:
            self.__exit__()
            raise

    def begin(self, port):
        return SpoeHost(env={"SPOE_ADDR": port.address, "OTLP_ENDPOINT": self._endpoint})

    def restart(self):
        """The first agent. Seconds between SIGTERM and the new one's readiness."""
        begin = time.monotonic()
        assert self.hosts[0].terminate() == 0, self.hosts[0].report()
        self.hosts[0] = self.begin(self._ports[0])
        return time.monotonic() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.kill()
        self._stack.close()


def cost(setup, ready):
    """Seconds that a restart takes, and seconds of traces that it costs, what the machine loses
    anyhow taken off."""
    proxy, away = setup.proxy, 0
    wait_until(lambda: traced(proxy), "a request with a trace")
    with load(proxy, STEADY) as steady:
        assert steady.wait() == 0, steady.report()
        untraced, requests = lost(steady)
    usual = untraced / requests
    with load(proxy, 1000000) as under_way:
        for _ in range(RESTARTS):
            ready()
            away += setup.restart()
            wait_until(lambda: traced(proxy), "a request with a trace")
        assert under_way.terminate() == 0, under_way.report()
        untraced, requests = lost(under_way)
    for host in setup.hosts:
        assert host.terminate() == 0, host.report()
    assert requests > 0
    return away / RESTARTS, max(0, untraced - usual * requests) / RATE / RESTARTS


def tell(capsys, version, what, away, seconds):
    with capsys.disabled():
        print(f"\nHAProxy {'.'.join(map(str, version))}, {what}: a restart every {EVERY} s costs"
              f" {seconds / EVERY:.1%} of the traces, {seconds * 1000:.0f} ms each; it takes"
              f" {away * 1000:.0f} ms")


def late(version):
    """Seconds until HAProxy connects again, beyond those that the agent is away."""
    return 2 if versions.connects_late(version) else 0


def test_a_restart_costs_no_more_than_it_takes(binary, version, tmp, capsys):
    """With `retries 0`. With HAProxy's default of 3 it costs a second more with 3.0."""
    with Setup(binary, tmp, 1, lambda config: None) as setup:
        away, seconds = cost(setup, lambda: None)
    tell(capsys, version, "one agent", away, seconds)
    assert seconds < away * 1.25 + 0.1 + late(version)


def test_a_restart_with_a_second_agent_costs_next_to_nothing(binary, version, tmp, capsys):
    """The line of haproxy.cfg for two agents: the first refused connection moves HAProxy to the
    backup."""
    def edit(config):
        config.edit_main(r"^    #(default-server observe .*)", r"    \1")

    with Setup(binary, tmp, 2, edit) as setup:
        away, seconds = cost(setup, setup.proxy.wait_agent)
    tell(capsys, version, "two agents", away, seconds)
    assert seconds < away / 2 + 0.05 + late(version)
