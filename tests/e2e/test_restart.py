# SPDX-License-Identifier: Apache-2.0
"""7.2, V2: what restarts of the agent cost, under load and with the shipped files."""

import json
import os
import time

from lib import haproxy as hap
from lib import procs
from lib.haproxy import HAProxy
from lib.procs import Proc, ReservedPort, SpoeHost, wait_until

RATE = 200  # requests a second
RESTARTS = 4
EVERY = 5  # seconds between restarts that the printed share is for
ALLOWED = 0.5  # seconds without traces at a restart beside its own length; HAProxy 3.0 with retries: 1

ORIGIN = """
listen origin
    bind {address}
    http-request return status 200 content-type text/plain string ok
"""


def program(name):
    return os.path.join(os.path.dirname(procs.host_binary()), name)


def traced(proxy):
    return proxy.get("/").headers.get("X-Otel-Traceparent") is not None


def test_restarts_cost_little(binary, version, tmp, reserved, capsys):
    """Each request that is answered without a context counts as lost. The bound is generous, since
    the machine may be busy: the time that a restart takes, and half a second. The old file, with
    HAProxy's default of 3 retries, costs a second more with 3.0."""
    config = hap.Config(tmp).show_status()
    with ReservedPort() as origin, Proc(
        [program("otlp-count"), "--listen", "127.0.0.1:0"], name="otlp-count"
    ) as collector:
        config.main += ORIGIN.format(address=origin.address)
        port = collector.wait_line(r"listening on \S+:(\d+)").group(1)
        env = {"SPOE_ADDR": reserved.address, "OTLP_ENDPOINT": f"127.0.0.1:{port}"}
        host = SpoeHost(env=env)
        try:
            with HAProxy(binary, config, [reserved.port], origin.address) as proxy:
                wait_until(lambda: traced(proxy), "a request with a trace")
                load = Proc(
                    [program("http-load"), "--connect", f"127.0.0.1:{proxy.web}", "--rate", RATE,
                     "--connections", 32, "--requests", 1000000, "--count", "X-Otel-Traceparent"],
                    name="http-load",
                )
                away = 0
                with load:
                    for _ in range(RESTARTS):
                        begin = time.monotonic()
                        assert host.terminate() == 0, host.report()
                        host = SpoeHost(env=env)
                        away += time.monotonic() - begin
                        wait_until(lambda: traced(proxy), "a request with a trace")
                    assert load.terminate() == 0, load.report()
            result = json.loads(load.lines[-1])
            assert host.terminate() == 0, host.report()
        finally:
            host.kill()
    lost = (result["requests"] - result["counted"]) / RATE / RESTARTS
    with capsys.disabled():
        print(
            f"\nHAProxy {'.'.join(map(str, version))}: a restart every {EVERY} s costs"
            f" {lost / EVERY:.1%} of the traces; it takes {away / RESTARTS:.2f} s"
        )
    assert result["requests"] > 0
    assert lost < away / RESTARTS + ALLOWED
