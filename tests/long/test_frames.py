# SPDX-License-Identifier: Apache-2.0
"""38 million changed frames ("Done when"): recorded captures, changed at random (spop_storm.c), sent to
a host with otel.so in a build with AddressSanitizer and UBSan. FRAMES=N for fewer.

What is counted is what the host says that it has read, not what was sent: a frame that is damaged may
end its connection, and what follows it there is never read. The host has to answer or close each
connection, go on, account for every span, and end with status 0, which it does not where a sanitizer
had something to report (memory that nobody freed among it).
"""

import json
import os
import pathlib
import time

from lib import admin, procs
from lib.procs import Proc, SpoeHost
from lib.spop import Client

FRAMES = int(os.environ.get("FRAMES", "38000000"))
SEED = int(os.environ.get("SEED", "1"))  # of the first process; the following ones count on from it
ROUND = 100_000  # frames that a process sends
PEERS = 3  # processes at a time
SAY_EVERY = 60  # seconds

CAPTURES = sorted((pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "tests/captures").glob("*.txt"))


def program(name):
    return os.path.join(os.path.dirname(procs.host_binary()), name)


def counted(host, name):
    return int(admin.metrics(host)[f"spoe_host_{name}_total"].total())


def test_frames(tmp_path, capsys):
    where, seed, totals = tmp_path / "s", SEED, {}
    with Proc([program("otlp-count")]) as collector:
        port = collector.wait_line(r"listening on \S+:(\d+)").group(1)
        env = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGINS": "otel.so", "SPOE_WORKERS": "2",
               "OTLP_ENDPOINT": f"127.0.0.1:{port}", "SPAN_TTL": "2s", "SPOE_SLOW_HANDLE": "10s",
               "SPOE_ADDR": f"unix:{where},127.0.0.1:0", "BATCH_DELAY": "200ms",
               "SPOE_SHUTDOWN_TIMEOUT": "60s"}
        with SpoeHost(env=env) as host:
            begin = said = time.monotonic()
            while (frames := counted(host, "frames")) < FRAMES:
                size = max(1000, min(ROUND, (FRAMES - frames) // PEERS + 1))
                peers = [Proc([program("spop-storm"), "--unix", where, "--seed", seed + i,
                               "--frames", size, *CAPTURES], name="spop-storm") for i in range(PEERS)]
                seed += PEERS
                for peer in peers:
                    status = peer.wait(limit=1800)
                    assert status == 0, peer.report() + host.report()
                    for key, value in json.loads(peer.lines[-1]).items():
                        totals[key] = totals.get(key, 0) + value
                assert host.alive(), host.report()
                if time.monotonic() - said > SAY_EVERY:
                    said = time.monotonic()
                    with capsys.disabled():
                        print(f"\n{frames} frames read, {frames / (said - begin):.0f} a second")
            seconds = time.monotonic() - begin
            names = ("frames", "notifies", "messages", "acks", "connections", "protocol_errors",
                     "discarded_frames")
            seen = {name: counted(host, name) for name in names}
            made = int(admin.metrics(host)["spoe_otel_spans_opened_total"].total())
            with Client(host.port) as client:  # it serves as before
                client.hello()
                ack = client.ask("on-http-request", {"unique-id": "x", "method": "GET", "path": "/"})
                assert "traceparent" in ack.variables
            assert host.terminate(limit=120) == 0, host.report()
    with capsys.disabled():
        print(f"\n{seen['frames']} changed frames in {seconds:.0f} s, {seen['frames'] / seconds:.0f} a"
              f" second, seeds {SEED} to {seed - 1}; sent: {totals}; the host: {seen}, {made} spans")
    assert seen["frames"] >= FRAMES
    assert seen["messages"] > seen["notifies"] // 2 and made > 0
    assert "AddressSanitizer" not in host.text() and "runtime error" not in host.text()
