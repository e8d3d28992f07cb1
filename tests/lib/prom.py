# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format 0.0.4, read as strictly as promtool's linter and more: whatever is not
as it should be is an AssertionError that shows the line.

    families = parse(text)                       # name -> Family, in the order of the page
    families["spoe_host_frames_total"].value()   # of the series without labels
    families["x"].value(plugin="otel")           # of the one series that has this label
"""

import collections
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[+-]?Inf|NaN|[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
TYPES = ("counter", "gauge", "histogram")

Sample = collections.namedtuple("Sample", "name labels value")


class Family:
    def __init__(self, name, kind, text):
        self.name, self.kind, self.help = name, kind, text
        self.samples = []

    def select(self, name=None, **labels):
        """The samples with (at least) these labels."""
        name = name or self.name
        return [s for s in self.samples
                if s.name == name and labels.items() <= dict(s.labels).items()]

    def value(self, name=None, **labels):
        found = self.select(name, **labels)
        assert len(found) == 1, f"{self.name} {labels}: {found}"
        return found[0].value

    def total(self, **labels):
        return sum(s.value for s in self.select(**labels))


def unescape(text, line, quotes):
    """What a label's value, or a help, stands for."""
    out, i = [], 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
            assert i < len(text) and text[i] in ('\\n"' if quotes else "\\n"), f"bad escape: {line}"
            c = "\n" if text[i] == "n" else text[i]
        else:
            assert not (quotes and c == '"'), f"bare quote: {line}"
        out.append(c)
        i += 1
    return "".join(out)


def labels_of(text, line):
    """a="b",c="d" as a tuple of pairs; exactly so, without spaces or a comma at the end."""
    found = []
    while text:
        match = re.match(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)"(,(?=.)|$)', text, re.S)
        assert match, f"bad labels at {text!r}: {line}"
        assert not match.group(1).startswith("__"), f"reserved label: {line}"
        found.append((match.group(1), unescape(match.group(2), line, True)))
        text = text[match.end():]
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), f"label twice: {line}"
    return tuple(found)


def number(text, line):
    assert NUMBER.fullmatch(text), f"bad number {text!r}: {line}"
    return float(text)


def sample_of(line):
    match = re.fullmatch(r"([^\s{]+)(?:\{(.*)\})? (\S+)", line, re.S)
    assert match and NAME.fullmatch(match.group(1)), f"not a sample: {line!r}"
    assert match.group(2) != "", f"empty braces: {line}"
    return Sample(match.group(1), labels_of(match.group(2) or "", line),
                  number(match.group(3), line))


def belongs(name, family):
    if family.kind == "histogram":
        return name in (family.name + "_bucket", family.name + "_sum", family.name + "_count")
    return name == family.name


def check_histogram(family):
    """Each series: buckets rise up to +Inf, which equals the count; sum and count are there once,
    after the buckets."""
    groups = collections.OrderedDict()
    for sample in family.samples:
        rest = tuple(pair for pair in sample.labels if pair[0] != "le")
        groups.setdefault(rest, []).append(sample)
    for rest, samples in groups.items():
        where = f"{family.name}{dict(rest)}"
        kinds = [s.name[len(family.name):] for s in samples]
        assert kinds == ["_bucket"] * (len(samples) - 2) + ["_sum", "_count"], where
        buckets = samples[:-2]
        bounds = [float(dict(s.labels)["le"].replace("Inf", "inf")) for s in buckets]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, where
        counts = [s.value for s in buckets]
        assert counts == sorted(counts), where
        assert all("le" not in dict(s.labels) for s in samples[-2:]), where
        assert samples[-1].value == counts[-1], where
        assert samples[-1].value != 0 or samples[-2].value == 0, where


def check_family(family):
    assert family.samples, f"{family.name}: no series"
    assert family.help.strip() == family.help and family.help, f"{family.name}: help"
    assert (family.kind == "counter") == family.name.endswith("_total"), family.name
    assert not re.search(r"_(bucket|sum|count)$", family.name), family.name
    assert not re.search(r"_(ms|us|ns|milliseconds|microseconds|kilobytes|minutes)(_total)?$",
                         family.name), family.name
    series = [(s.name, frozenset(s.labels)) for s in family.samples]
    assert len(series) == len(set(series)), f"{family.name}: a series twice"
    keys = {tuple(k for k, _ in s.labels if k != "le") for s in family.samples}
    # An attribute of OpenTelemetry's may be absent.
    assert len(keys) == 1 or family.name.startswith(("http_", "haproxy_")), f"{family.name}: labels differ {keys}"
    for sample in family.samples:
        if family.kind != "gauge":
            assert sample.value >= 0 or sample.name.endswith("_sum"), sample
        if family.kind == "counter" and not family.name.endswith("_seconds_total"):
            assert sample.value == int(sample.value), sample
    if family.kind == "histogram":
        check_histogram(family)


def parse(text):
    """The families of a page."""
    assert text == "" or text.endswith("\n"), "the last line does not end"
    assert "\r" not in text
    families, current, pending_help = collections.OrderedDict(), None, None
    for line in text.split("\n")[:-1]:
        assert line, "an empty line"
        if line.startswith("#"):
            word, name, rest = re.fullmatch(r"# (HELP|TYPE) (\S+) (.*)", line, re.S).groups()
            assert NAME.fullmatch(name), line
            assert name not in families, f"not together, or twice: {line}"
            if word == "HELP":
                assert pending_help is None, f"HELP without TYPE before: {line}"
                pending_help = (name, unescape(rest, line, False))
            else:
                assert pending_help and pending_help[0] == name, f"TYPE without HELP: {line}"
                assert rest in TYPES, line
                current = families[name] = Family(name, rest, pending_help[1])
                pending_help = None
            continue
        assert pending_help is None, f"a sample between HELP and TYPE: {line}"
        sample = sample_of(line)
        assert current is not None and belongs(sample.name, current), f"of no family: {line}"
        current.samples.append(sample)
    assert pending_help is None
    assert list(families) == sorted(families), "families are not sorted"
    for family in families.values():
        check_family(family)
    return families
