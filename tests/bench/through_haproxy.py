# SPDX-License-Identifier: Apache-2.0
"""The bench through real HAProxy: what a request costs HAProxy and the agent, at a fixed rate.

Without SPOE, with the floor as its agent, with spoe-host and otel, for each HAProxy that Debian
packages (or the one that HAPROXY names). HAProxy runs haproxy/haproxy.cfg with one thread and
without its log, on the agent's core; load, origin and collector are on the other. The origin is a
HAProxy as well, which answers by itself.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile

from lib import haproxy as hap
from lib import procs

import agents
from agents import say

ROOT = hap.SOURCE
SUITES = ("bookworm", "trixie", "sid")
CASES = ("without", "floor", "otel")
WARM_UP = 500


def binaries(suites=SUITES):
    """Of each HAProxy: its version, its path."""
    if os.environ.get("HAPROXY"):
        paths = [os.environ["HAPROXY"]]
    else:
        paths = []
        for suite in suites:
            fetch = [f"{ROOT}/tests/haproxy/fetch.sh", suite, f"{ROOT}/build"]
            done = subprocess.run(fetch, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode == 0:
                paths.append(done.stdout.strip())
            else:
                say(f"  no HAProxy of Debian {suite}")
    return [(hap.version(path)[1], path) for path in paths]


@contextlib.contextmanager
def origin(binary):
    with procs.ReservedPort() as reserved, tempfile.TemporaryDirectory() as folder:
        port = reserved.port
        path = os.path.join(folder, "origin.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write("defaults\n    mode http\n    timeout client 1m\n    timeout server 1m\n"
                       "    timeout connect 1m\nfrontend origin\n"
                       f"    bind 127.0.0.1:{port}\n"
                       "    http-request return status 200 content-type text/plain string hello\n")
        with agents.cores(agents.LOAD_CORES):
            proc = procs.Proc([binary, "-db", "-f", path], name="origin")
        with proc:
            procs.wait_until(lambda: _connects(port), lambda: f"the origin{proc.report()}")
            yield f"127.0.0.1:{port}"


def _connects(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _load(port, requests, rate):
    argv = [agents.program("http-load"), "--connect", f"127.0.0.1:{port}"]
    argv += ["--requests", str(requests), "--rate", str(rate)]
    with agents.cores(agents.LOAD_CORES):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
    if done.returncode != 0:
        raise agents.Failure(f"http-load: {done.stdout}")
    return json.loads(done.stdout)


def _measure(binary, agent, origin_address, requests, rate):
    """One case; agent is None where there is no SPOE."""
    with tempfile.TemporaryDirectory() as folder:
        config = hap.Config(folder).relax().threads(1)
        config.edit_main(r"^    log stdout .*\n", "")
        config.edit_main(r"^    log global\n", "")
        if agent is None:
            config.edit_main(r"^    filter spoe .*\n", "")
        # Without the filter nobody asks the agent.
        with agents.cores(agents.AGENT_CORES):
            haproxy = hap.HAProxy(binary, config, [agent.port if agent else 1], origin_address)
        with haproxy:
            if agent:
                haproxy.wait_agent()
            _load(haproxy.web, WARM_UP, rate)
            spans = 0
            if agent and agent.collector:
                spans = agent.collector.wait_count(agent.seen + 2 * WARM_UP)
            before = [agents.cpu_seconds(haproxy.pid), agent.cpu() if agent else 0]
            result = _load(haproxy.web, requests, rate)
            result["lost"] = 0
            if agent and agent.collector:
                agent.seen = agent.collector.wait_count(spans + 2 * requests)
                result["lost"] = spans + 2 * requests - agent.seen
            after = [agents.cpu_seconds(haproxy.pid), agent.cpu() if agent else 0]
    result["haproxy_us"], result["agent_us"] = (
        (a - b) * 1e6 / requests for a, b in zip(after, before)
    )
    return result


def _start(case, collector):
    if case == "without":
        return contextlib.nullcontext()
    if case == "floor":
        return agents.floor()
    return agents.otel(collector)


def run(rounds, requests, rate):
    """{version: {case: medians}}"""
    results = {}
    found = binaries()
    if not found:
        raise agents.Failure("there is no HAProxy")
    with agents.Collector() as collector, origin(found[0][1]) as address:
        for version, binary in found:
            runs = {case: [] for case in CASES}
            for _ in range(rounds):
                for case in CASES:
                    with _start(case, collector) as agent:
                        if agent and agent.collector:
                            agent.seen = collector.count()
                        result = _measure(binary, agent, address, requests, rate)
                    say(f"  HAProxy {version}, {case}: HAProxy {result['haproxy_us']:.1f} us, agent "
                        f"{result['agent_us']:.1f} us, {result['requests_per_second']} requests/s, "
                        f"{result['lost']} spans lost")
                    runs[case].append(result)
            results[version] = {
                case: {
                    key: statistics.median(r[key] for r in runs[case])
                    for key in ("haproxy_us", "agent_us", "p50_us", "p99_us", "lost")
                }
                for case in CASES
            }
    return {"rate": rate, "requests": requests, "rounds": rounds, "versions": results}


def show(result):
    print(f"Through HAProxy, {result['rate']} requests/s: CPU per request, medians")
    print(f"{'':14}{'agent':10}{'HAProxy us':>11}{'agent us':>10}{'both, over none':>17}"
          f"{'p50 us':>9}{'p99 us':>9}{'lost':>6}")
    for version, cases in result["versions"].items():
        none = cases["without"]["haproxy_us"]
        for case, v in cases.items():
            both = (v["haproxy_us"] + v["agent_us"]) / none if none else 0
            print(f"{version if case == 'without' else '':14}{case:10}{v['haproxy_us']:11.1f}"
                  f"{v['agent_us']:10.1f}{both:15.2f} x{v['p50_us']:9.0f}{v['p99_us']:9.0f}"
                  f"{v['lost']:6.0f}")
    print()
