# SPDX-License-Identifier: Apache-2.0
"""The bench of the log way: what a line costs the agent (log-load against log-floor), what it
costs HAProxy, and what is lost when.

Through HAProxy, on the newest one that Debian packages: plain, with three messages, and with
haproxy/otel-log.cfg over UDP; requests evenly spaced and in bursts. HAProxy has one thread, on the
agent's core; load, origin and collector are on the other.
"""

import contextlib
import json
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import types

from lib import haproxy as hap
from lib import procs
from lib.admin import metrics

import agents
import through_haproxy
from agents import ENDLESS, Failure, say

KERNEL_DEFAULT = 212992  # net.core.rmem_default of Debian's kernels
ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
# What is due at once, and how many requests a second.
LOADS = {"bursts": {"connections": 40, "burst": 40, "rate": 4000},
         "evenly spaced": {"connections": 16, "burst": 1, "rate": 2000}}
RESTARTS = 10
LINE_BYTES = 450  # at least, of otel-log.cfg

# What a HAProxy does that does no more than pass requests on.
PLAIN = """global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-request 10s
    timeout http-keep-alive 10s
frontend web
    bind "${WEB_ADDR}"
    default_backend web-app
backend web-app
    server app1 "${APP_ADDR}"
"""


# -- lines over UDP


def log_load(agent, lines, rate=None):
    argv = [agents.program("log-load"), "--connect", f"127.0.0.1:{agent.log_port}"]
    argv += ["--lines", lines, "--first", agent.next_request] + (["--rate", rate] if rate else [])
    agent.next_request += lines
    with agents.cores(agents.LOAD_CORES):
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"log-load: {done.stdout}{agent.proc.report()}")
    return json.loads(done.stdout)


def taken(agent):
    """How many lines the agent has taken since its start."""
    if agent.proc.name != "spoe-host":
        start = agent.proc.mark()
        agent.proc.signal(signal.SIGUSR1)
        return int(agent.proc.wait_line(r"^lines (\d+)", start=start).group(1))
    address = agent.proc.wait_line(r'admin on ([^\s"]+)').group(1)
    return int(metrics(address)["spoe_host_log_lines_total"].total())


def settled(agent, before):
    """Its count of lines, above `before`, when it no longer grows."""
    counts = [before]

    def stands():
        counts.append(taken(agent))
        return counts[-1] == counts[-2] > before

    procs.wait_until(stands, "the last line", interval=0.1)
    return counts[-1]


def measure(agent, lines, rate=None):
    """One load: the agent's CPU per line that it took, the export of all spans included."""
    seen, spans = taken(agent), agent.collector.count() if agent.collector else 0
    cpu = agent.cpu()
    result = log_load(agent, lines, rate)
    result["taken"] = settled(agent, seen) - seen
    result["lost"] = lines - result["taken"]
    if agent.collector:
        wanted = spans + 2 * result["taken"]
        came = agent.collector.wait_count(wanted)
        if came != wanted:
            raise Failure(f"{wanted} spans were made, {came} came{agent.proc.report()}")
    result["cpu_us"] = (agent.cpu() - cpu) * 1e6 / result["taken"]
    result["taken_per_second"] = result["taken"] / result["seconds"]
    return result


def start(kind, collector, receive_buffer=4 * 2**20):
    if kind == "floor":
        return agents.log_floor(receive_buffer)
    if kind == "prompt floor":
        return agents.log_floor(receive_buffer, 0)
    log = ["--log-receive-buffer", str(receive_buffer)]
    if kind == "nothing":
        return agents.nothing(log=log, env=ADMIN)
    return agents.otel(collector, log=log, env={**ENDLESS, **ADMIN})


def lines(bench, collector):
    """Floor, do-nothing plugin and otel with lines at full rate; loss at half of otel's maximum."""
    n = bench.options.requests
    runs = {kind: [] for kind in ("floor", "prompt floor", "nothing", "otel")}
    for _ in range(bench.options.rounds):
        for kind, values in runs.items():
            with start(kind, collector) as agent:
                measure(agent, n)
                result = measure(agent, n)
            say(f"  log lines, {kind:12} {result['cpu_us']:8.3f} us of CPU per line, "
                f"{result['taken_per_second']:.0f} lines/s, {result['lost']} of {n} lost")
            values.append(result)
    for kind, name, target in (("nothing", "do-nothing plugin", 2), ("otel", "otel exporting", 5)):
        ratio = statistics.median(
            r["cpu_us"] / f["cpu_us"] for r, f in zip(runs[kind], runs["floor"]))
        bench.row(f"log lines at full rate, CPU per line over log-floor's, {name}", ratio, target)
    bench.row("the same of a floor that waits for nothing", statistics.median(
        r["cpu_us"] / f["cpu_us"] for r, f in zip(runs["prompt floor"], runs["floor"])))
    maximum = statistics.median(r["taken_per_second"] for r in runs["otel"])
    rate = maximum / 2
    with start("otel", collector) as agent:
        measure(agent, bench.seconds(1, rate))
        lost = measure(agent, bench.seconds(10, rate), rate)["lost"]
    bench.row("log lines lost at half of our maximum rate, UDP, 4 MiB", lost, 0, "lines",
              note=f"{rate:.0f} lines/s")
    bench.row("log lines a second without loss, UDP, 212 992 bytes",
              lossless(bench, collector, maximum), None, "lines/s")


def lossless(bench, collector, maximum):
    """The highest rate at which nothing is lost in 2 s, within an eighth."""
    low, high, rate = 0, None, 5000
    with start("otel", collector, KERNEL_DEFAULT) as agent:
        while rate < 2 * maximum and (high is None or high > low * 9 / 8):
            lost = measure(agent, bench.seconds(2, rate), rate)["lost"]
            say(f"  212 992 bytes, {rate:.0f} lines/s: {lost} lost")
            if lost:
                high = rate
            else:
                low = rate
            if low == 0 and rate < 100:
                break
            rate = 2 * low if high is None else (low + high) / 2
    return low


# -- through HAProxy


class Config(hap.Config):
    """A whole text in place of haproxy.cfg; `edits`: (text, its replacement)."""

    def __init__(self, directory, text, edits=()):
        super().__init__(directory)
        for old, new in edits:
            if old not in text:
                raise Failure(f"the configuration has no {old!r}")
            text = text.replace(old, new)
        self.main = text


def with_socket(directory, text):
    """Its command line and one thread."""
    section = f"global\n    nbthread 1\n    stats socket {directory}/haproxy.sock level admin\n"
    text = text.replace("global\n    nbthread 1\n", "")
    return section + text


@contextlib.contextmanager
def haproxy(binary, kind, agent, origin, edits=(), env=None):
    """A HAProxy: "plain", "messages" or "log"."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "messages":
            config = hap.Config(folder).relax().threads(1)
            config.edit_main(r"^    log stdout .*\n", "")
            config.edit_main(r"^    log global\n", "")
        else:
            text = PLAIN if kind == "plain" else hap.source_text("otel-log.cfg")
            config = Config(folder, with_socket(folder, text), edits)
        port = agent.port if agent else 1
        more = {"AGENT_LOG_ADDR": f"127.0.0.1:{agent.log_port}", **(env or {})} if agent else {}
        with agents.cores(agents.AGENT_CORES):
            proc = hap.HAProxy(binary, config, [port], origin, env=more)
        with proc:
            if kind == "messages":
                proc.wait_agent()
            yield proc


def http_load(proc, requests, connections, burst, rate):
    argv = [agents.program("http-load"), "--connect", f"127.0.0.1:{proc.web}"]
    argv += ["--requests", requests, "--connections", connections, "--burst", burst, "--rate", rate]
    with agents.cores(agents.LOAD_CORES):
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"http-load: {done.stdout}{proc.report()}")
    return json.loads(done.stdout)


def measure_case(bench, binary, case, collector, origin, load):
    """CPU per request of HAProxy and agent, the export of all spans included."""
    kind, env, edits, spans = CASES[case]
    requests = load["rate"] * bench.options.seconds
    started = contextlib.nullcontext()
    if kind != "plain":
        started = agents.otel(collector, log=[], env={**ENDLESS, **env})
    with started as agent, haproxy(binary, kind, agent, origin, edits) as proxy:
        seen = collector.count()
        http_load(proxy, load["rate"] // 2, **load)
        if spans == 2:
            seen = collector.wait_count(seen + load["rate"])
        before = agents.cpu_seconds(proxy.pid), agent.cpu() if agent else 0
        result = http_load(proxy, requests, **load)
        if spans == 2 and collector.wait_count(seen + 2 * requests) != seen + 2 * requests:
            raise Failure(f"{case}: spans are lost{agent.proc.report()}")
        after = agents.cpu_seconds(proxy.pid), agent.cpu() if agent else 0
    result["haproxy_us"], result["agent_us"] = (
        (a - b) * 1e6 / requests for a, b in zip(after, before))
    return result


# One in a hundred is sampled, by a threshold of 99 hundredths of 2^56; all send their line.
FEW = (
    ("    http-request set-var(txn.f) int(3)\n",
     "    http-request set-var(txn.f) int(2)\n"
     "    http-request set-var(txn.f) int(3)"
     " if { var(txn.trace),bytes(18,14),hex2i ge 71337018784743424 }\n"),
)
# name: kind of HAProxy, the agent's environment, changes of otel-log.cfg, spans of a request
# (None: some)
CASES = {
    "plain": ("plain", {}, (), 0),
    "messages": ("messages", {}, (), 2),
    "log": ("log", {}, (), 2),
    "log, 1 %": ("log", {}, FEW, None),
}


def newest():
    """The newest HAProxy that Debian packages: (version, path)."""
    return max(through_haproxy.binaries(through_haproxy.SUITES + ("experimental",)),
               key=lambda found: [int(n) for n in re.findall(r"\d+", found[0])[:3]])


def through(bench, collector):
    """The log way through the newest HAProxy, beside plain and three messages, and restarts."""
    version, binary = newest()
    results = bench.results["log_way"] = {"haproxy": version, "shapes": {}}
    with through_haproxy.origin(binary) as origin:
        for shape, load in LOADS.items():
            runs = {case: [] for case in CASES}
            for _ in range(bench.options.rounds):
                for case, values in runs.items():
                    values.append(measure_case(bench, binary, case, collector, origin, load))
                    say(f"  HAProxy {version}, {shape}, {case}: HAProxy "
                        f"{values[-1]['haproxy_us']:.1f} us, agent {values[-1]['agent_us']:.1f} us, "
                        f"p50 {values[-1]['p50_us']} us, p99 {values[-1]['p99_us']} us")
            results["shapes"][shape] = {
                case: {key: statistics.median(r[key] for r in values)
                       for key in ("haproxy_us", "agent_us", "p50_us", "p99_us")}
                for case, values in runs.items()}
            rows_of(bench, shape, runs, f"HAProxy {version}")
        restarts(bench, binary, collector, origin)


def rows_of(bench, shape, runs, note):
    def median(value):
        return statistics.median(
            value(*rounds) for rounds in zip(*(runs[case] for case in CASES)))

    bench.row(f"log way, {shape}: what HAProxy adds, over what three messages add", median(
        lambda plain, messages, log, _: (log["haproxy_us"] - plain["haproxy_us"])
        / (messages["haproxy_us"] - plain["haproxy_us"])), 0.35, note=note)
    bench.row(f"log way, {shape}: the agent, over three messages'", median(
        lambda plain, messages, log, _: log["agent_us"] / messages["agent_us"]), 0.35)
    bench.row(f"log way, {shape}: the agent with metrics and 1 % of the traces, over 100 %", median(
        lambda plain, messages, log, few: few["agent_us"] / log["agent_us"]), 0.5)
    for case, target in (("log", 0.6 if shape == "bursts" else None), ("messages", None)):
        bench.row(f"{case}, {shape}: what HAProxy adds and the agent, over plain HAProxy", median(
            lambda *rounds, case=case: (
                rounds[list(CASES).index(case)]["haproxy_us"] - rounds[0]["haproxy_us"]
                + rounds[list(CASES).index(case)]["agent_us"]) / rounds[0]["haproxy_us"]), target)
    for name in ("p50_us", "p99_us"):
        for case in ("log", "messages"):
            bench.row(f"{case}, {shape}: {name[:3]} of a request over plain HAProxy's", median(
                lambda *rounds, case=case, name=name: rounds[list(CASES).index(case)][name]
                / rounds[0][name]))


def restarts(bench, binary, collector, origin):
    """The agent restarted ten times under load, with a ring of 16 MiB between. What HAProxy has in
    its buffer when a connection ends is lost, 16 KiB at most, which no agent can read
    (docs/log-lines.md); anything beyond it would be ours."""
    log = re.search(r"^    log \"\$\{AGENT_LOG_ADDR.*$", hap.source_text("otel-log.cfg"), re.M)
    ring = ("ring lines\n    format raw\n    maxlen 8192\n    size 16777216\n"
            "    timeout connect 1s\n    timeout server 10s\n"
            '    server agent "${AGENT_LOG_ADDR}"\n')
    edits = [(log.group(0), "    log ring@lines len 8192 format raw local0 info"),
             ("\ndefaults traced\n", f"\n{ring}\ndefaults traced\n")]
    load = LOADS["evenly spaced"]
    requests = load["rate"] * (RESTARTS + 2)
    with procs.ReservedPort() as reserved:
        argv = ["--log-listen", f"tcp:127.0.0.1:{reserved.port}"]

        def begin():
            return agents.otel_host(collector, argv)

        seen = collector.count()
        agent = types.SimpleNamespace(port=1, log_port=reserved.port)
        host = begin()
        with haproxy(binary, "log", agent, origin, edits) as proxy:
            thread = threading.Thread(target=http_load, args=(proxy, requests), kwargs=load)
            thread.start()
            for _ in range(RESTARTS):
                thread.join(1)
                if host.terminate() != 0:
                    raise Failure(f"spoe-host failed{host.report()}")
                host = begin()
            thread.join()
            lost = requests - (collector.wait_count(seen + 2 * requests, quiet=5) - seen) // 2
            host.terminate()
    own = RESTARTS * (16384 // LINE_BYTES)
    bench.row(f"log lines lost, agent restarted {RESTARTS} times, ring of 16 MiB", lost, own, "lines",
              note=f"{load['rate']} requests/s; HAProxy's own: a buffer of 16 KiB each time at most")
