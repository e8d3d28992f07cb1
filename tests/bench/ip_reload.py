# SPDX-License-Identifier: Apache-2.0
"""How long answers of plugins/ip-reputation take while its lists are built anew, and while they are not (12.4).

One worker has a table of many prefixes; one connection asks, one question after the other. Stretches
with and without a reload, which SIGHUP begins again as soon as it has ended, take turns. The client is
slow; what counts is the difference.
"""

import ipaddress
import os
import random
import signal
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
    return int(fields["VmHWM"].split()[0]) / 1024


def quantile(times, q):
    return sorted(times)[int(len(times) * q)]


def measure(plugin, n, rounds=ROUNDS, questions=QUESTIONS):
    """With `n` prefixes. @return ({a build is under way: microseconds of each answer}, the most MiB)"""
    rng = random.Random(2)
    took = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "list")
        write_list(path, n)
        with SpoeHost(["--plugins", plugin, "--workers", "1"], env={
                "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_LOG_LEVEL": "info",
                "SPOE_PROCESSING_TIMEOUT": "10s", "IP_REPUTATION_LISTS": f"l={path}"}) as host:
            with Client(host.port) as client:
                client.hello()
                for i in range(2 * rounds):
                    took[i % 2 == 1] += stretch(host, client, rng, i % 2 == 1, questions)
            peak = peak_mib(host.pid)
            assert host.terminate() == 0
    return took, peak


def built(host):
    return admin.metrics(host)["spoe_host_data_builds_total"].total(result="success")


def stretch(host, client, rng, reloads, questions):
    """Microseconds of each answer; with `reloads`, of those during which a build is under way."""
    took, seen = [], built(host)
    if reloads:
        host.signal(signal.SIGHUP)
    while len(took) < questions:
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
