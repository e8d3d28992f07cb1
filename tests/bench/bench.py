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

import agents  # noqa: E402
from agents import ENDLESS, MANY_AGENT_CORES, Failure, measure, say  # noqa: E402

SHAPES = [(4, 16), (4, 64), (16, 1)]  # connections, requests in flight on each
WARM_UP = 2560  # requests before each measurement
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
        """One measurement with an agent of its own."""
        requests = how.pop("requests", self.requests(shape))
        with start as agent:
            measure(agent, *shape, WARM_UP, where=how.get("where"))
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
                    for key in ("cpu_us", "messages_per_second", "p50_us", "p99_us", "rss")
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
    }


# -- what is printed


def number(value, unit):
    if unit in ("x", "us"):
        return f"{value:.2f} {unit}"
    if unit == "MiB":
        return f"{value:.1f} {unit}"
    return f"{value:,.0f} {unit}"


def print_shapes(shapes):
    print(f"{'':8}{'agent':10}{'CPU us':>9}{'x floor':>9}{'messages/s':>12}{'p50 us':>9}"
          f"{'p99 us':>9}{'RSS MiB':>9}")
    for shape, table in shapes.items():
        for kind, values in table.items():
            print(f"{shape if kind == AGENTS[0] else '':8}{kind:10}{values['cpu_us']:9.3f}"
                  f"{values['ratio']:9.2f}{values['messages_per_second']:12,.0f}"
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
    parser.add_argument("--base", default=os.environ.get("BASE") or None,
                        help="JSON of an earlier run, to compare with (also BASE=)")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/bench/result.json"),
                        help="where the JSON goes (build/bench/result.json)")
    return parser.parse_args(argv)


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
    try:
        with agents.Collector() as collector:
            bench.main_table(collector)
    except (Failure, procs.Timeout) as error:
        say(f"bench: {error}")
        return 1
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(bench.results, file, indent=1)
        file.write("\n")
    print()
    print_shapes(bench.results["shapes"])
    print_rows(bench.rows, base)
    print(f"written to {os.path.relpath(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
