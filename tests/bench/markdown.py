# SPDX-License-Identifier: Apache-2.0
"""Writes results into docs/performance.md, between its marks <!-- bench NAME --> and <!-- end -->.

    /usr/bin/python3 tests/bench/markdown.py build/bench/result.json build/bench/haproxy.json
    /usr/bin/python3 tests/bench/markdown.py build/bench/log.json
"""

import json
import os
import re
import sys

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/performance.md")
MIB = 1024 * 1024


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def about(results):
    m = results["machine"]
    requests = f"{m['requests']:,}".replace(",", " ")
    return (f"{m['date'][:10]}, {m['rounds']} rounds of {requests} requests; {m['cores']} cores of "
            f"{m['cpu']}, kernel {m['kernel'].split('-')[0]}; load average before: {m['load']:.1f}.")


def shapes(results):
    rows = []
    for shape, agents in results["shapes"].items():
        for kind, v in agents.items():
            rows.append([shape, kind, f"{v['cpu_us']:.2f}", f"{v['ratio']:.2f}",
                         f"{v['kernel_us']:.2f}", f"{v['rss'] / MIB:.1f}"])
    return table(["shape", "agent", "CPU µs/message", "× floor", "of it kernel µs", "RSS MiB"], rows)


def rows_table(results):
    rows = []
    for row in results["rows"]:
        unit = "×" if row["unit"] == "x" else row["unit"]
        digits = 2 if unit == "×" else 1 if unit == "MiB" else 0
        target = "" if row["target"] is None else f"≤ {row['target']} {unit}"
        rows.append([row["name"], f"{row['value']:.{digits}f} {unit}", target,
                     {True: "yes", False: "**no**", None: ""}[row["ok"]]])
    return table(["what", "measured", "target", "reached"], rows)


def instructions(results):
    counts = results["instructions"]
    rows = [[name, f"{cost:.0f}"] for name, cost in counts["parts"].items() if cost >= 1]
    rows.append(["**all**", f"**{counts['total']:.0f}**"])
    text = table(["part", "instructions per message"], rows)
    if "nothing" in counts:  # not in older results
        text += f"\n\n- the host with the do-nothing plugin: {counts['nothing']:.0f}"
    return text


def inclusive(results):
    counts = results["instructions"]
    lines = [f"- {name}: {cost:.0f}" for name, cost in counts["inclusive"].items()]
    hot = ", ".join(f"`{name}` {cost:.0f}" for cost, name in counts["functions"][:10])
    return "\n".join([*lines, "", f"The functions that cost most by themselves: {hot}."])


def through_haproxy(results):
    rows = []
    for version, cases in results["haproxy"]["versions"].items():
        for case, v in cases.items():
            rows.append([version.split("-")[0], case, f"{v['haproxy_us']:.0f}",
                         f"{v['agent_us']:.0f}", f"{v['p50_us']:.0f}", f"{v['lost']:.0f}"])
    text = table(["HAProxy", "agent", "HAProxy µs/request", "agent µs/request",
                  "p50 of the request, µs", "spans lost"], rows)
    return f"{results['haproxy']['rate']} requests/s, medians of {results['haproxy']['rounds']}.\n\n{text}"


def log_way(results):
    shapes = results["log_way"]["shapes"]
    rows = []
    for shape, cases in shapes.items():
        for case, v in cases.items():
            rows.append([shape, case, f"{v['haproxy_us']:.1f}", f"{v['agent_us']:.1f}",
                         f"{v['p50_us']:.0f}", f"{v['p99_us']:.0f}"])
    head = table(["load", "way", "HAProxy µs/request", "agent µs/request", "p50, µs", "p99, µs"], rows)
    m = results["machine"]
    return (f"HAProxy {results['log_way']['haproxy']}; {m['date'][:10]}, {m['rounds']} rounds; "
            f"{m['cores']} cores of {m['cpu']}.\n\n{head}\n\n{rows_table(results)}")


BLOCKS = {"log": ("log_way", log_way), "about": ("machine", about), "shapes": ("shapes", shapes), "rows": ("rows", rows_table),
          "instructions": ("instructions", instructions), "inclusive": ("instructions", inclusive),
          "haproxy": ("haproxy", through_haproxy)}


def main(paths):
    results = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            # what the first one has counts
            results = {**{k: v for k, v in json.load(file).items() if v}, **results}
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    for name, (needs, make) in BLOCKS.items():
        # the rows of a run of the log way are a table of their own
        if needs not in results or (name != "log" and "log_way" in results):
            continue
        mark = f"<!-- bench {name} -->"
        text, n = re.subn(f"{mark}\n.*?<!-- end -->",
                          lambda _: f"{mark}\n{make(results)}\n<!-- end -->", text, flags=re.S)
        if n != 1:
            sys.exit(f"{PAGE}: {mark} is there {n} times")
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
