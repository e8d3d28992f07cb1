# SPDX-License-Identifier: Apache-2.0
"""An hour under steady load stays flat ("Done when"): real HAProxy and a SPOP load generator at one
spoe-host with otel.so, which exports to a collector's process. SOAK_SECONDS=N for less.

After the first tenth memory may not grow by more than a tenth, nor threads and descriptors by more
than what HAProxy's connections do; when the load has ended and HAProxy has gone, descriptors and threads
are as many as after the warm-up. In the end every request has its spans, and every span is with the
collector.
"""

import json
import os
import shutil
import time

import pytest

from lib import accounting, admin, haproxy as hap, procs
from lib.haproxy import HAProxy
from lib.procs import Proc, ReservedPort, SpoeHost, wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
HTTP_RATE, SPOP_RATE = 100, 300  # requests a second; three messages, two spans each
SAMPLES = 200
GROWTH = 1.10  # of memory, after the first tenth
ORIGIN = """
listen origin
    bind {address}
    http-request return status 200 content-type text/plain string ok
"""


def program(name):
    return os.path.join(os.path.dirname(procs.host_binary()), name)


def usage(pid):
    """Of a process: resident bytes, descriptors, threads."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        status = dict(line.split(":", 1) for line in file)
    return (int(status["VmRSS"].split()[0]) * 1024, len(os.listdir(f"/proc/{pid}/fd")),
            int(status["Threads"]))


def spop_load(host, first, requests):
    """`first` keeps the ids of two runs apart."""
    return Proc([program("spop-load"), "--connect", f"127.0.0.1:{host.port}", "--connections", 4,
                 "--inflight", 8, "--rate", SPOP_RATE, "--requests", requests, "--first", first],
                name="spop-load")


def http_load(proxy, requests):
    return Proc([program("http-load"), "--connect", f"127.0.0.1:{proxy.web}", "--connections", 8,
                 "--rate", HTTP_RATE, "--requests", requests], name="http-load")


def at_rest(host):
    """The least of descriptors and threads that show within a second: what is there to stay."""
    seen = []
    wait_until(lambda: seen.append(usage(host.pid)) or len(seen) == 20, "samples", interval=0.05)
    return min(s[1] for s in seen), min(s[2] for s in seen)


def sample_while(host, loads, seconds):
    samples, step = [], seconds / SAMPLES
    while any(load.alive() for load in loads):
        samples.append(usage(host.pid))
        try:
            loads[0].wait(limit=step)  # a pause that a load which ends cuts short
            loads[1].wait(limit=step)
        except procs.Timeout:
            pass
    for load in loads:
        assert load.wait() == 0, load.report() + host.report()
    return samples


def count(collector):
    start = collector.mark()
    collector.signal(procs.signal.SIGUSR1)
    return int(collector.wait_line(r"^spans (\d+)", start=start).group(1))


def run_load(binary, folder, host, origin, first, seconds):
    """HAProxy and both loads, to their end: samples, requests made."""
    config = hap.Config(folder).relax()
    config.main += ORIGIN.format(address=origin.address)
    config.edit_main(r"^    log (stdout .*|global)\n", "")
    wanted = max(1, int(SPOP_RATE * seconds)), max(1, int(HTTP_RATE * seconds))
    with HAProxy(binary, config, [host.port], origin.address) as proxy:
        proxy.wait_agent()
        with spop_load(host, first, wanted[0]) as spop, http_load(proxy, wanted[1]) as web:
            samples = sample_while(host, [spop, web], seconds)
            assert json.loads(spop.lines[-1])["messages"] == 3 * wanted[0]
            assert json.loads(web.lines[-1])["requests"] == wanted[1]
        proxy.terminate()
    wait_until(lambda: admin.metrics(host)["spoe_otel_open_requests"].total() == 0, "the last response")
    return samples, sum(wanted)


@pytest.fixture
def binary():
    found = os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "there is no HAProxy"
    return found


def test_an_hour_is_flat(binary, tmp_path, capsys):
    with Proc([program("otlp-count")]) as collector, ReservedPort() as origin:
        port = collector.wait_line(r"listening on \S+:(\d+)").group(1)
        env = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGINS": "otel.so", "SPOE_WORKERS": "2",
               "OTLP_ENDPOINT": f"127.0.0.1:{port}", "SPOE_PROCESSING_TIMEOUT": "20s",
               "BATCH_DELAY": "1s", "SPOE_SHUTDOWN_TIMEOUT": "60s"}
        with SpoeHost(env=env) as host:
            _, requests = run_load(binary, tmp_path, host, origin, 1, 2)  # connections, threads, pools
            rest = at_rest(host)
            begin = time.monotonic()
            samples, more = run_load(binary, tmp_path, host, origin, requests + 1, SECONDS)
            lasted, requests = time.monotonic() - begin, requests + more
            rest_after = at_rest(host)
            accounting.check_metrics(host)
            families = admin.metrics(host)
            assert host.terminate(limit=120) == 0, host.report()
            exported = count(collector)
    early, late = samples[:max(2, len(samples) // 10)], samples[max(2, len(samples) // 10):]
    most = [max(s[i] for s in early) for i in range(3)]
    later = [max(s[i] for s in late) for i in range(3)]
    with capsys.disabled():
        print(f"\n{lasted:.0f} s, {requests} requests, {exported} spans, {len(samples)} samples: at most"
              f" {most[0] / 2**20:.1f} MiB, {most[1]} descriptors, {most[2]} threads in the first tenth,"
              f" {later[0] / 2**20:.1f} MiB, {later[1]}, {later[2]} after it; at the end"
              f" {samples[-1][0] / 2**20:.1f} MiB; at rest {rest} before, {rest_after} after")
    assert later[0] <= most[0] * GROWTH
    assert later[2] <= most[2] + 2  # gRPC's own come and go
    assert later[1] <= most[1] * 1.5 + 16  # HAProxy opens connections where the machine is busy
    assert rest_after[0] <= rest[0] and rest_after[1] <= rest[1] + 2
    # Every request has its two spans, and each has arrived.
    assert families["spoe_otel_spans_opened_total"].total() == 2 * requests
    assert exported == 2 * requests
