# SPDX-License-Identifier: Apache-2.0
"""The bench of plugins/ip-reputation: ip-lookup's numbers as rows (12.4)."""

import re

import agents
from agents import Failure

MOST_RATIO = {"IPv4": 3, "IPv6": 5}  # a lookup over one dependent random read
MOST_MIB = 128  # while both tables stand
ROW = re.compile(r"^\| (IPv[46]) (\w+) \| ([\d.]+) \| ([\d.]+) \| [\d.]+ \| ([\d.]+) \| [\d.]+ \| ([\d.]+) \|$", re.M)


def lookups(bench, _collector, program=None, arguments=()):
    """A million prefixes: what a lookup costs, and the memory of a reload."""
    text = agents.output("ip-lookup", arguments, program)
    found = ROW.findall(text)
    if len(found) != 4:
        raise Failure(f"ip-lookup wrote {text!r}")
    for family, kind, table, most, took, ratio in found:
        bench.row(f"{family}, {kind}: a lookup over one dependent read", float(ratio),
                  MOST_RATIO[family], note=f"{took} ns")
        bench.row(f"{family}, {kind}: the most that a reload takes", float(most), MOST_MIB, "MiB",
                  note=f"a table has {table} MiB")
