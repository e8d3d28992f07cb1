#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long answers of plugins/ip-reputation take while its lists are built anew, and while they are not (12.4).

    SPOE_TEST_HOST=build/bench/bin/spoe-host PYTHONPATH=tests /usr/bin/python3 tests/bench/ip_reload.py [PREFIXES]

One worker has a table of a million prefixes; one connection asks, one question after the other. Stretches
with and without a reload, which SIGHUP begins again as soon as it has ended, take turns. Also: the most memory that
the host had. The client is slow; what counts is the difference.
"""

import ipaddress
import os
import random
import signal
import sys
import tempfile
import time

from lib import admin
from lib.procs import SpoeHost, wait_until
from lib.spop import Client

ROUNDS, QUESTIONS = 10, 2000


def write_list(path, n):
    rng = random.Random(1)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(n):
            bits = rng.choice((24, 32, 32))
            address = rng.getrandbits(32) >> (32 - bits) << (32 - bits)
            file.write(f"{ipaddress.IPv4Address(address)}/{bits}\n")


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmHWM"].split()[0]) / 1024, int(fields["VmRSS"].split()[0]) / 1024


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
    rng = random.Random(2)
    took = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "list")
        write_list(path, n)
        with SpoeHost(["--plugins", "ip-reputation", "--workers", "1"], env={
                "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_LOG_LEVEL": "info",
                "SPOE_PROCESSING_TIMEOUT": "10s", "IP_REPUTATION_LISTS": f"l={path}"}) as host:
            run(host, rng, took)
    for reloads, all_us in took.items():
        all_us.sort()
        print(f"{'reloads' if reloads else 'no reload'}: {len(all_us)} answers, p50 "
              f"{all_us[len(all_us) // 2]:.0f} us, p99 {all_us[len(all_us) * 99 // 100]:.0f} us")


def built(host):
    return admin.metrics(host)["spoe_host_data_builds_total"].total(result="success")


def stretch(host, client, rng, reloads):
    """Microseconds of each answer; with `reloads`, of those during which a build is under way."""
    took, seen = [], built(host)
    if reloads:
        host.signal(signal.SIGHUP)
    while len(took) < QUESTIONS:
        some = []
        for _ in range(100):
            ip = ipaddress.IPv4Address(rng.getrandbits(32))
            begin = time.perf_counter()
            client.ask("check-ip", {"ip": ip})
            some.append((time.perf_counter() - begin) * 1e6)
        now = built(host)
        if reloads and now != seen:  # it has ended in between
            seen = now
            host.signal(signal.SIGHUP)
        else:
            took += some
    if reloads:
        wait_until(lambda: built(host) != seen, "the last build", interval=0.05)
    return took


def run(host, rng, took):
    with Client(host.port) as client:
        client.hello()
        for i in range(2 * ROUNDS):
            took[i % 2 == 1] += stretch(host, client, rng, i % 2 == 1)
    peak, now = peak_mib(host.pid)
    print(f"memory: {now:.0f} MiB, at most {peak:.0f} MiB; {built(host):.0f} builds")
    assert host.terminate() == 0


if __name__ == "__main__":
    main()
