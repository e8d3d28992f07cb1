# SPDX-License-Identifier: Apache-2.0
"""Instructions per message, counted by valgrind's callgrind in the real spoe-host, with otel.so and
with the plugin that does nothing.

Unlike times they do not move with the machine's load. What a message costs is the difference of two
runs of different length, so that the start and the end of the process do not count. The kernel's
part is not in it.
"""

import collections
import functools
import os
import re
import shutil
import tempfile

import agents

RUNS = (2560, 10240)  # requests

# What the functions of a source file or of a library are counted as, first match.
# A header stands below the include root of its layer, build/…/roots/.
PARTS = [
    ("codec", r"/host/spop/|/roots/host_spop/"),
    ("host: dispatch", r"/host/core/|/roots/host_core/"),
    ("host: connections", r"/host/net/|/roots/host_net/"),
    ("host: the rest", r"/host/|/roots/host_"),
    ("otel: input", r"/otel-plugin/input/|/roots/otel_input/"),
    ("otel: context", r"/otel-plugin/(context|base)/|/roots/otel_(context|base)/"),
    ("otel: record and spans", r"/otel-plugin/(record|signal)/|/roots/otel_(record|signal)/"),
    ("otel: otlp", r"/otel-plugin/otlp/|/roots/otel_otlp/|libprotobuf-c|/opentelemetry/"),
    ("otel: send", r"/otel-plugin/|/roots/otel_"),
    ("SDK", r"/sdk/"),
    ("gRPC", r"libgrpc|libgpr|libabsl|libupb|libre2|libcares|libaddress_sorting"),
    ("libevent", r"libevent"),
    ("C library", r"/libc[.-]|/libpthread|ld-linux|/libm[.-]|/usr/include/|/usr/lib/gcc/"),
]

# Everything that happens below these, whoever does it; functions that keep a place of their own.
INCLUSIVE = {
    "take_turn": "a message, from its bytes to its answer's",
    "otel_handle": "of it the otel plugin",
    "run_sender": "the export thread",
}


def available():
    return shutil.which("valgrind") is not None


def parse(path):
    """A callgrind.out file: ({(object, file, function): own cost}, {function: inclusive cost}).

    The file is where the line stands, also where the compiler moved it into another function."""
    names = {"ob": {}, "fl": {}, "fn": {}}
    own, inclusive = collections.Counter(), collections.Counter()
    here = {"ob": "", "fl": "", "fn": ""}
    spec = re.compile(r"^(ob|fl|fn|c?fi|fe|cob|cfn|cfl)=(?:\((\d+)\))?\s*(.*)$")
    kinds = {"fi": "fl", "fe": "fl", "cob": "ob", "cfn": "fn", "cfl": "fl", "cfi": "fl"}
    after_calls = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = spec.match(line)
            if found:
                what, number, name = found.groups()
                table = names[kinds.get(what, what)]
                name = re.sub(r"\.lto_priv\.\d+$", "", name.strip())
                if number and name:
                    table[number] = name
                if what in here or what in ("fi", "fe"):
                    here[kinds.get(what, what)] = table.get(number, name)
            elif line.startswith("calls="):
                after_calls = True
            elif line[:1] in "0123456789+-*":
                cost = int(line.split()[1])
                if not after_calls:
                    own[here["ob"], here["fl"], here["fn"]] += cost
                inclusive[here["fn"]] += cost
                after_calls = False
    return own, inclusive


def _count(start, requests):
    """What parse() returns, of an agent of its own: start(tool=..., where=...)."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with start(tool=tool, where=agents.ALL_CORES) as agent:
            agents.measure(agent, 4, 16, requests)
        return parse(out)


def _part(key):
    where = f"{key[0]} {key[1]}"
    for name, pattern in PARTS:
        if re.search(pattern, where):
            return name
    return "others"


def count(collector):
    """{"total": n, "parts": {name: n}, "inclusive": {name: n}, "functions": [(n, name)],
    "nothing": n}, each per message; all but the last with otel."""
    otel = functools.partial(agents.otel, collector, env=agents.ENDLESS)
    (own1, incl1), (own2, incl2) = (_count(otel, n) for n in RUNS)
    nothing1, nothing2 = (sum(_count(agents.nothing, n)[0].values()) for n in RUNS)
    messages = 3 * (RUNS[1] - RUNS[0])
    parts, functions = collections.Counter(), collections.Counter()
    for key in own2:
        cost = (own2[key] - own1[key]) / messages
        parts[_part(key)] += cost
        functions[key[2]] += cost
    return {
        "total": sum(parts.values()),
        "parts": {name: parts[name] for name in [p[0] for p in PARTS] + ["others"]},
        "inclusive": {
            text: (incl2[name] - incl1[name]) / messages
            for name, text in INCLUSIVE.items()
            if name in incl2
        },
        "functions": [(cost, name) for name, cost in functions.most_common(25)],
        "nothing": (nothing2 - nothing1) / messages,
    }


def _line(name, cost, before):
    change = f"{before:9,.0f} ({(cost / before - 1) * 100:+.1f} %)" if before and before > 1 else ""
    print(f"  {name:42}{cost:9,.0f}{change and '   before '}{change}")


def show(result, base=None):
    base = {"parts": {}, "inclusive": {}, "total": None, "nothing": None, **(base or {})}
    print("Instructions per message, otel, export included, without the kernel's:")
    for name, cost in result["parts"].items():
        _line(name, cost, base["parts"].get(name))
    _line("all", result["total"], base["total"])
    _line("nothing: all", result["nothing"], base["nothing"])
    print("With all that they call:")
    for name, cost in result["inclusive"].items():
        _line(name, cost, base["inclusive"].get(name))
    print()
