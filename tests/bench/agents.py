# SPDX-License-Identifier: Apache-2.0
"""What the bench runs and how it measures: agents, the collector that counts, the load.

The load and the collector are on one core, the agent is on the others (AGENT_CORES), or where a
measurement says so on any.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from lib import procs

BUILD = os.environ.get("BENCH_BUILD_DIR", "")

_CORES = sorted(os.sched_getaffinity(0))
LOAD_CORES = {_CORES[0]}
AGENT_CORES = set(_CORES[1:2]) or LOAD_CORES  # one core, for one worker
MANY_AGENT_CORES = set(_CORES[1:]) or LOAD_CORES
ALL_CORES = set(_CORES)

# The backlog and what is open fit, so that dropping flatters nobody.
ENDLESS = {"SPAN_QUEUE_MAX": 100000000, "SPAN_QUEUE_BYTES": 2**36, "SPAN_STORE_BYTES": 2**36}


class Failure(Exception):
    """A measurement that does not count."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def program(name):
    return os.path.join(BUILD, "bin", name)


def output(name, arguments=(), path=None):
    """What one of the bench's programs prints; `path` is another one in its place."""
    try:
        return subprocess.run([path or program(name), *arguments], check=True, stdout=subprocess.PIPE, text=True,
                              timeout=600).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Failure(f"{name}: {error}") from None


@contextlib.contextmanager
def cores(wanted):
    """Children that are started in here run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid):
    """CPU time of a process, all of its threads, user and system: what /proc/PID/stat has in steps
    of 10 ms, by its CPU clock (clock_getcpuclockid(3)), to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def _stat(pid, field):
    """A number of /proc/PID/stat by its number in proc(5); above 3, since 2 may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[field - 3])


def system_seconds(pid):
    """The kernel's part of it."""
    return _stat(pid, 15) / os.sysconf("SC_CLK_TCK")


def page_faults(pid):
    """Those that needed no disk."""
    return _stat(pid, 10)


def rss_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise Failure(f"no VmRSS of {pid}")


def autogroup(pid):
    """The file with the nice value of a process's session, sched(7)."""
    return f"/proc/{pid}/autogroup"


class Collector(procs.Proc):
    """otlp-count, on the load's core. In life it has a machine of its own; so where latency is
    measured it gives way to the load and to an agent that is not pinned.

    With autogroup (sched(7)) each session has a fair share of the core, and a nice value counts
    only within it. Our processes have a session each, so the session's own nice value is what makes
    the collector give way; the process's counts where the kernel has no autogroup."""

    def __init__(self, gives_way=False):
        argv = [program("otlp-count")]
        with cores(LOAD_CORES):
            super().__init__(["nice", "-n", "19", *argv] if gives_way else argv)
        if gives_way:
            # without autogroup there is no such file; some sandboxes have it read-only
            group = autogroup(self.pid)
            with contextlib.suppress(OSError), open(group, "w", encoding="ascii") as file:
                file.write("19")
        self.address = self.wait_line(r"listening on (\S+)").group(1)

    def count(self):
        """The spans that came since its start."""
        start = self.mark()
        self.signal(signal.SIGUSR1)
        return int(self.wait_line(r"^spans (\d+)", start=start).group(1))

    def wait_count(self, wanted, quiet=15):
        """Wait until as many have come, or none for `quiet` seconds. @return the count"""
        seen, since = self.count(), time.monotonic()
        while seen < wanted and time.monotonic() - since < quiet:
            time.sleep(0.05)
            now = self.count()
            if now != seen:
                seen, since = now, time.monotonic()
        return seen


class Agent:
    """A running agent: pid, port; the collector where it exports; log_port where it takes lines."""

    def __init__(self, proc, port, collector=None, log_port=None):
        self.proc = proc
        self.pid = proc.pid
        self.port = port
        self.collector = collector
        self.log_port = log_port
        self.next_request = 1

    def cpu(self):
        return cpu_seconds(self.pid)

    def rss(self):
        return rss_bytes(self.pid)


@contextlib.contextmanager
def floor(where=None, threads=1):
    with cores(where or AGENT_CORES):
        proc = procs.Proc([program("spop-floor"), "--threads", threads])
    with proc:
        yield Agent(proc, int(proc.wait_line(r"listening on \S+:(\d+)").group(1)))


@contextlib.contextmanager
def log_floor(receive_buffer=4 * 2**20, delay_ms=10):
    argv = [program("log-floor"), "--receive-buffer", receive_buffer, "--delay-ms", delay_ms]
    with cores(AGENT_CORES):
        proc = procs.Proc(argv)
    with proc:
        port = int(proc.wait_line(r"listening on \S+:(\d+)").group(1))
        yield Agent(proc, port, log_port=port)


@contextlib.contextmanager
def _host(plugin, env, where, collector=None, tool=(), log=None):
    """`log`: options of the log's side, beside its address; None: it takes no lines."""
    argv = ["--listen", "127.0.0.1:0", "--plugins", plugin]
    argv += ["--log-listen", "udp:127.0.0.1:0", *log] if log is not None else []
    env = procs.clean_env({"SPOE_ADMIN_ADDR": "off", **env})
    with cores(where or AGENT_CORES):
        host = procs.Proc([*tool, program("spoe-host"), *argv], name="spoe-host", env=env)
    with host:
        host.wait_line("msg=\"?ready")
        port = int(host.wait_line(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        log_port = None
        if log is not None:
            log_port = int(host.wait_line(r"log lines on udp:127\.0\.0\.1:(\d+)").group(1))
        yield Agent(host, port, collector, log_port)
        if host.alive() and host.terminate() != 0:
            raise Failure(f"spoe-host failed{host.report()}")


def nothing(where=None, workers=1, tool=(), log=None, env=None):
    """The host with a plugin that does nothing; `tool` is what runs it."""
    plugin = os.path.join(BUILD, "lib/spoe-host/bench-plugins/nothing.so")
    return _host(plugin, {"SPOE_WORKERS": workers, **(env or {})}, where, tool=tool, log=log)


def otel(collector, where=None, workers=1, env=None, tool=(), log=None):
    """The host with otel.so, every request sampled and exported; `tool` is what runs it."""
    env = {"SPOE_WORKERS": workers, "OTLP_ENDPOINT": collector.address, **(env or {})}
    plugin = os.path.join(BUILD, "lib/spoe-host/plugins/otel.so")
    return _host(plugin, env, where, collector, tool, log)


def otel_host(collector, argv):
    """A spoe-host with otel.so and options of its own, ready; the caller ends it."""
    plugin = os.path.join(BUILD, "lib/spoe-host/plugins/otel.so")
    argv = [program("spoe-host"), "--listen", "127.0.0.1:0", "--plugins", plugin, *argv]
    env = procs.clean_env({"SPOE_ADMIN_ADDR": "off", "OTLP_ENDPOINT": collector.address, **ENDLESS})
    with cores(AGENT_CORES):
        host = procs.Proc(argv, name="spoe-host", env=env)
    host.wait_line("msg=\"?ready")
    return host


def load(agent, connections, inflight, requests, rate=None, open_only=False, where=None):
    """Run spop-load to its end; what it reports."""
    argv = [program("spop-load"), "--connect", f"127.0.0.1:{agent.port}"]
    argv += ["--connections", connections, "--inflight", inflight, "--requests", requests]
    argv += ["--first", agent.next_request]
    argv += ["--rate", rate] if rate else []
    argv += ["--open-only"] if open_only else []
    agent.next_request += requests
    with cores(LOAD_CORES if where is None else where):
        done = subprocess.run(
            [str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )
    if done.returncode != 0:
        raise Failure(f"spop-load: {done.stdout}{agent.proc.report()}")
    return json.loads(done.stdout)


def measure(agent, connections, inflight, requests, rate=None, may_lose=False, where=None,
            quiet=15):
    """Load an agent and wait for its spans: what spop-load reports, and the agent's CPU time per
    message, the export of all spans included. Counts only if every span came, unless may_lose."""
    spans = agent.collector.count() if agent.collector else 0
    before, system = agent.cpu(), system_seconds(agent.pid)
    result = load(agent, connections, inflight, requests, rate, where=where)
    result["lost"] = 0
    if agent.collector:
        wanted = spans + 2 * requests
        result["lost"] = wanted - agent.collector.wait_count(wanted, quiet)
        if result["lost"] and not may_lose:
            raise Failure(f"{result['lost']} of {2 * requests} spans are lost{agent.proc.report()}")
    result["cpu_us"] = (agent.cpu() - before) * 1e6 / result["messages"]
    result["kernel_us"] = (system_seconds(agent.pid) - system) * 1e6 / result["messages"]
    result["rss"] = agent.rss()
    return result
