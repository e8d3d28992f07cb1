# SPDX-License-Identifier: Apache-2.0
"""The bench: see tools/bench, which runs it, and docs/performance.md, which explains it."""

import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))

from lib import procs  # noqa: E402

import addresses  # noqa: E402
import agents  # noqa: E402
import instructions  # noqa: E402
import log_way  # noqa: E402
import plugin_rows  # noqa: E402
import through_haproxy  # noqa: E402
from agents import ENDLESS, MANY_AGENT_CORES, Failure, measure, say  # noqa: E402

SHAPES = [(4, 16), (4, 64), (16, 1)]  # connections, requests in flight on each
WARM_UP = 2560  # requests that do not count, before those that do
AGENTS = ["floor", "nothing", "otel"]
MIB = 1024 * 1024


def shape_name(shape):
    return f"{shape[0]}x{shape[1]}"


class Bench:
    """One run. `results` is what becomes JSON: the raw runs, medians, and the rows of the table."""

    def __init__(self, options):
        self.options = options
        self.rows = []
        self.results = {"machine": machine(options), "runs": [], "shapes": {}, "rows": self.rows}

    def requests(self, shape):
        """How many: a multiple of 256, so that the last batch of 512 spans is full and need not
        wait for the batch's delay."""
        n = self.options.requests if shape != (16, 1) else self.options.requests // 2
        return max(n // 256, 1) * 256

    def run(self, kind, start, shape, **how):
        """One measurement with an agent of its own, after a run that does not count.

        At full speed that is as long as the one that does: the backlog of a new agent grows in
        memory that the kernel has yet to give, at a price of up to 10 us a page."""
        requests = how.pop("requests", self.requests(shape))
        with start as agent:
            warm_up = WARM_UP if "rate" in how else requests
            measure(agent, *shape, warm_up, where=how.get("where"))
            result = measure(agent, *shape, requests, **how)
        result.update(kind=kind, shape=shape_name(shape))
        self.results["runs"].append(result)
        say(f"  {kind:22} {result['shape']:5} {result['cpu_us']:8.3f} us of CPU per message, "
            f"{result['messages_per_second']:7} messages/s")
        return result

    def row(self, name, value, target=None, unit="x", note=""):
        """A line of the table: a value that should be at most `target`."""
        ok = None if target is None else value <= target
        self.rows.append(
            {"name": name, "value": value, "unit": unit, "target": target, "ok": ok, "note": note}
        )

    # -- the parts

    def main_table(self, collector):
        """Floor, do-nothing plugin and otel, interleaved, in every shape."""
        runs = {}
        for number in range(self.options.rounds):
            say(f"round {number + 1} of {self.options.rounds}")
            for shape in SHAPES:
                for kind in AGENTS:
                    start = {
                        "floor": agents.floor,
                        "nothing": agents.nothing,
                        "otel": lambda: agents.otel(collector, env=ENDLESS),
                    }[kind]()
                    runs.setdefault((shape, kind), []).append(self.run(kind, start, shape))
        for shape in SHAPES:
            table = self.results["shapes"][shape_name(shape)] = {}
            for kind in AGENTS:
                table[kind] = {
                    key: statistics.median(r[key] for r in runs[shape, kind])
                    for key in ("cpu_us", "kernel_us", "messages_per_second", "p50_us", "p99_us", "rss")
                }
                table[kind]["ratio"] = statistics.median(
                    r["cpu_us"] / f["cpu_us"]
                    for r, f in zip(runs[shape, kind], runs[shape, "floor"])
                )
        shapes = self.results["shapes"]
        self.row("do-nothing plugin, CPU per message over the floor's, 4x16",
                 shapes["4x16"]["nothing"]["ratio"], 1.3)
        for shape, target in (("4x16", 2.5), ("4x64", 4), ("16x1", 1.3)):
            self.row(f"otel, export included, CPU per message over the floor's, {shape}",
                     shapes[shape]["otel"]["ratio"], target)


    def latency(self, collector):
        """p99 at half of the floor's maximum rate, the agent not pinned.

        A free collector would take the agent's core for each batch, and the scheduler then moves
        the worker onto the load's for milliseconds: so it stays on the load's core and gives way.
        A ratio of two p99 is noisy: the rounds here are more and shorter than elsewhere."""
        shape = (16, 1)
        rate = self.maximum("floor", shape) / 3 / 2
        how = {"rate": rate, "requests": self.seconds(3, rate)}
        values = {"floor": [], "otel": []}
        with agents.Collector(gives_way=True) as meek:
            for _ in range(2 * self.options.rounds + 1):
                for kind in values:
                    start = (agents.floor(agents.ALL_CORES) if kind == "floor"
                             else agents.otel(meek, agents.ALL_CORES, env=ENDLESS))
                    result = self.run(f"{kind}, {rate:.0f}/s", start, shape, **how)
                    say(f"    p50 {result['p50_us']} us, p99 {result['p99_us']} us")
                    values[kind].append(result)
        for name, target in (("p50_us", None), ("p99_us", 2)):
            ratio = statistics.median(
                o[name] / f[name] for o, f in zip(values["otel"], values["floor"])
            )
            median = {k: statistics.median(r[name] for r in v) for k, v in values.items()}
            self.row(f"otel, {name[:3]} of latency over the floor's, half of its rate, 16x1", ratio,
                     target, note=f"{median['otel']:.0f} us, floor {median['floor']:.0f} us, "
                                  f"{rate:.0f} requests/s, {len(values['otel'])} rounds")

    def memory(self, collector):
        """RSS idle, and what an open request takes."""
        count = 200000
        env = {**ENDLESS, "SPAN_TTL": "1h", "SPAN_STORE_MAX": 2 * count}
        env["SPOE_ADMIN_ADDR"] = "127.0.0.1:0"  # as users run it
        with agents.otel(collector, env=env) as agent:
            idle = agent.rss()
            agents.load(agent, 4, 16, count, open_only=True)
            full = agent.rss()
            agent.proc.kill()
        self.row(f"memory of an open request, {count:,} open", (full - idle) / count, 640, "bytes")
        self.row("RSS of an idle host with otel, one worker", idle / MIB, 18, "MiB")

    def workers(self, collector):
        """CPU per message with two workers against one.

        Where there is but one core beside the load's, the agents may run on that one as well, so
        that two workers really run at once. What such neighbours cost, and not what workers share,
        is what the floor's threads cost, which share nothing. More rounds than elsewhere, since
        the two runs of a ratio find the cores shared in different ways."""
        shape = (8, 16)
        where = MANY_AGENT_CORES if len(MANY_AGENT_CORES) > 1 else agents.ALL_CORES
        ratios = {"floor": [], "otel": []}
        for _ in range(2 * self.options.rounds + 1):
            for kind, start in (
                ("floor", lambda n: agents.floor(where, n)),
                ("otel", lambda n: agents.otel(collector, where, n, ENDLESS)),
            ):
                one, two = (self.run(f"{kind}, {n} workers", start(n), shape) for n in (1, 2))
                ratios[kind].append(two["cpu_us"] / one["cpu_us"])
        ratios = {kind: statistics.median(values) for kind, values in ratios.items()}
        self.row("CPU per message, two workers over one, 8x16", ratios["otel"], 1.1)
        self.row("the floor's, two threads that share nothing over one, 8x16", ratios["floor"])

    def loss(self, collector):
        """Spans lost at half of our own maximum rate with the queue as it is by default."""
        shape = (4, 16)
        rate = self.maximum("otel", shape, collector) / 3 / 2
        how = {"rate": rate, "requests": self.seconds(10, rate), "may_lose": True}
        lost = self.run(f"otel, {rate:.0f}/s", agents.otel(collector), shape, **how)["lost"]
        self.row("spans lost at half of our maximum rate, default queue, 4x16", lost, 0, "spans",
                 note=f"{rate:.0f} requests/s")

    def growth(self, collector):
        """CPU per message with many open requests against few."""
        shape, few, many = (4, 16), 1000, self.options.open
        env = {**ENDLESS, "SPAN_TTL": "1h", "SPAN_STORE_MAX": 2 * many}
        ratios = []
        for _ in range(self.options.rounds):
            with agents.otel(collector, env=env) as agent:
                measure(agent, *shape, self.requests(shape))
                agents.load(agent, *shape, few, open_only=True)
                low = measure(agent, *shape, self.requests(shape))
                agents.load(agent, *shape, many - few, open_only=True)
                high = measure(agent, *shape, self.requests(shape))
                agent.proc.kill()
            say(f"  otel, {few:,} and {many:,} open: {low['cpu_us']:.3f} and {high['cpu_us']:.3f} us")
            ratios.append(high["cpu_us"] / low["cpu_us"])
        self.row(f"CPU per message, {many:,} open requests over {few:,}, 4x16",
                 statistics.median(ratios), 1.3)

    def instructions(self, collector):
        """Instructions per message, where valgrind is installed."""
        if not instructions.available():
            say("  valgrind is not installed")
            return
        self.results["instructions"] = instructions.count(collector)

    def haproxy(self, _collector):
        """CPU per request through real HAProxy."""
        self.results["haproxy"] = through_haproxy.run(
            self.options.rounds, self.options.rate * self.options.seconds, self.options.rate
        )

    # -- what they share

    def maximum(self, kind, shape, collector=None):
        """Messages per second at full speed, of the main table or measured now."""
        shapes = self.results["shapes"]
        if shape_name(shape) in shapes:
            return shapes[shape_name(shape)][kind]["messages_per_second"]
        start = agents.floor() if kind == "floor" else agents.otel(collector, env=ENDLESS)
        return self.run(kind, start, shape)["messages_per_second"]

    def seconds(self, wanted, rate):
        """Requests that take as long, less where --requests is low."""
        return max(min(int(wanted * rate), 2 * self.options.requests) // 256, 1) * 256


PARTS = {
    "main": Bench.main_table,
    "latency": Bench.latency,
    "memory": Bench.memory,
    "workers": Bench.workers,
    "loss": Bench.loss,
    "growth": Bench.growth,
    "instructions": Bench.instructions,
    "addresses": addresses.lookups,
    **plugin_rows.PARTS,
    "log": log_way.lines,
    "log-haproxy": log_way.through,
    "haproxy": Bench.haproxy,
}
DEFAULT_PARTS = [part for part in PARTS if part not in ("haproxy", "log-haproxy")]


def machine(options):
    """Where and what."""
    model = "unknown"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    version = subprocess.run(
        [agents.program("spoe-host"), "--version"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "host": version,
        "cpu": model,
        "cores": len(agents.ALL_CORES),
        "kernel": platform.release(),
        "rounds": options.rounds,
        "requests": options.requests,
        "load": os.getloadavg()[0],  # of whatever else the machine did before
    }


# -- what is printed


def number(value, unit):
    if unit in ("x", "us"):
        return f"{value:.2f} {unit}"
    if unit == "MiB":
        return f"{value:.1f} {unit}"
    return f"{value:,.0f} {unit}"


def print_shapes(shapes):
    print(f"{'':8}{'agent':10}{'CPU us':>9}{'x floor':>9}{'kernel us':>11}{'messages/s':>12}{'p50 us':>9}"
          f"{'p99 us':>9}{'RSS MiB':>9}")
    for shape, table in shapes.items():
        for kind, values in table.items():
            print(f"{shape if kind == AGENTS[0] else '':8}{kind:10}{values['cpu_us']:9.3f}"
                  f"{values['ratio']:9.2f}{values['kernel_us']:11.3f}"
                  f"{values['messages_per_second']:12,.0f}"
                  f"{values['p50_us']:9.1f}{values['p99_us']:9.1f}{values['rss'] / MIB:9.1f}")
    print()


def print_rows(rows, base):
    """The table of targets, with the earlier run's values where there is one."""
    width = max(len(row["name"]) for row in rows)
    earlier = {row["name"]: row["value"] for row in base["rows"]} if base else {}
    print(f"{'':{width}}  {'measured':>14}  {'target':>12}" + (f"  {'before':>14}" if base else ""))
    for row in rows:
        target = "" if row["target"] is None else number(row["target"], row["unit"])
        verdict = {True: "reached", False: "MISSED", None: ""}[row["ok"]]
        line = f"{row['name']:{width}}  {number(row['value'], row['unit']):>14}  {target:>12}"
        if base:
            old = earlier.get(row["name"])
            change = "" if not old else f" ({(row['value'] / old - 1) * 100:+.0f} %)"
            line += f"  {'' if old is None else number(old, row['unit']):>14}{change:9}"
        print(f"{line}  {verdict}  {row['note']}".rstrip())
    print()


def parse(argv):
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--requests", type=int, default=256000,
                        help="requests of a measurement; three messages each (256000)")
    parser.add_argument("--open", type=int, default=1000000,
                        help="open requests of the part growth (1000000)")
    parser.add_argument("--only", default=",".join(DEFAULT_PARTS), metavar="PART,...",
                        help=f"parts to run ({','.join(PARTS)})")
    parser.add_argument("--haproxy", action="store_true",
                        help="the part haproxy: through real HAProxy, each that Debian packages")
    parser.add_argument("--log", action="store_true",
                        help="the parts log and log-haproxy: HAProxy's log as the way in")
    parser.add_argument("--rate", type=int, default=2000, help="its requests per second (2000)")
    parser.add_argument("--seconds", type=int, default=8, help="how long it measures each (8)")
    parser.add_argument("--base", default=os.environ.get("BASE") or None,
                        help="JSON of an earlier run, to compare with (also BASE=)")
    parser.add_argument("--out", help="where the JSON goes (build/bench/result.json, haproxy.json, log.json)")
    options = parser.parse_args(argv)
    options.only = (["haproxy"] if options.haproxy else ["log", "log-haproxy"] if options.log
                    else options.only.split(","))
    if options.out is None:
        name = ("haproxy.json" if options.haproxy else "log.json" if options.log
                else "result.json")
        options.out = os.path.join(ROOT, "build/bench", name)
    for part in options.only:
        if part not in PARTS:
            parser.error(f"there is no part {part}")
    return options


def main(argv):
    options = parse(argv)
    base = None
    if options.base:
        with open(options.base, encoding="utf-8") as file:
            base = json.load(file)
    if len(agents.ALL_CORES) < 2:
        say("bench: this machine has one core; load and agent share it, so that only the CPU rows "
            "mean anything")
    bench = Bench(options)
    failed = []
    with agents.Collector() as collector:
        for part in options.only:
            say(f"{part}: {PARTS[part].__doc__.splitlines()[0]}")
            try:
                PARTS[part](bench, collector)
            except (Failure, procs.Timeout) as error:
                say(f"bench: {part} does not count: {error}")
                failed.append(part)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(bench.results, file, indent=1)
        file.write("\n")
    print()
    if bench.results["shapes"]:
        print_shapes(bench.results["shapes"])
    if bench.rows:
        print_rows(bench.rows, base)
    if "instructions" in bench.results:
        instructions.show(bench.results["instructions"], base and base.get("instructions"))
    if "haproxy" in bench.results:
        through_haproxy.show(bench.results["haproxy"])
    print(f"written to {os.path.relpath(options.out)}")
    if failed:
        print(f"these parts do not count, see above: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
