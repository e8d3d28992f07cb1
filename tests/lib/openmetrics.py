# SPDX-License-Identifier: Apache-2.0
"""OpenMetrics' text format 1.0.0, read as strictly as its specification has it
(https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md): whatever is not
as it should be is an AssertionError that shows the line. promtool reads the other format only.

    families = parse(text)               # name -> Family, in the order of the page
    families["x_seconds"].exemplars()    # [(sample, exemplar)]
"""

import collections
import math
import re

from .prom import LABEL, NAME, NUMBER, labels_of, unescape

SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "unknown": ("",),
            "histogram": ("_bucket", "_sum", "_count", "_created")}
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^\"}]|\"(?:\\.|[^\"\\])*\")*)\})? (\S+)"
                    r"(?: (\d+(?:\.\d+)?))?(?: # \{((?:[^\"}]|\"(?:\\.|[^\"\\])*\")*)\} (\S+)"
                    r"(?: (\d+(?:\.\d+)?))?)?")

Sample = collections.namedtuple("Sample", "name labels value exemplar")
Exemplar = collections.namedtuple("Exemplar", "labels value time")


class Family:
    def __init__(self, name):
        self.name, self.kind, self.unit, self.help, self.samples = name, "unknown", "", None, []

    def value(self, name, **labels):
        found = [s for s in self.samples if s.name == name and labels.items() <= dict(s.labels).items()]
        assert len(found) == 1, f"{name} {labels}: {found}"
        return found[0].value

    def exemplars(self):
        return [(s, s.exemplar) for s in self.samples if s.exemplar]


def number(text, line):
    assert NUMBER.fullmatch(text), f"bad number {text!r}: {line}"
    return float(text)


def sample_of(line):
    match = SAMPLE.fullmatch(line)
    assert match, f"not a sample: {line!r}"
    name, labels, value, time, its_labels, its_value, its_time = match.groups()
    assert labels != "" and time is None, line
    exemplar = None
    if its_value is not None:
        pairs = labels_of(its_labels, line)
        assert sum(len(k) + len(v) for k, v in pairs) <= 128, f"exemplar too long: {line}"
        exemplar = Exemplar(dict(pairs), number(its_value, line), its_time and float(its_time))
    return Sample(name, labels_of(labels or "", line), number(value, line), exemplar)


def check_buckets(family, rest, samples):
    where = f"{family.name}{dict(rest)}"
    buckets = [s for s in samples if s.name.endswith("_bucket")]
    texts = [dict(s.labels)["le"] for s in buckets]
    bounds = [float(t.replace("Inf", "inf")) for t in texts]
    assert bounds == sorted(set(bounds)) and texts[-1] == "+Inf", where
    assert all(re.search(r"[.eI]", t) for t in texts), f"a bound is a real number: {where}"
    assert [s.value for s in buckets] == sorted(s.value for s in buckets), where
    last = {s.name: s.value for s in samples if not s.name.endswith("_bucket")}
    assert last[family.name + "_count"] == buckets[-1].value and family.name + "_sum" in last, where
    for below, sample, bound in zip([-math.inf, *bounds], buckets, bounds):
        assert not sample.exemplar or below < sample.exemplar.value <= bound, sample


def check_family(family, seen):
    assert family.samples, f"{family.name}: no samples"
    for suffix in SUFFIXES[family.kind]:
        assert family.name + suffix not in seen, f"{family.name}{suffix} is another's as well"
        seen.add(family.name + suffix)
    assert not family.unit or family.name.endswith("_" + family.unit), f"{family.name}: unit"
    assert family.kind != "counter" or not family.name.endswith("_total"), family.name
    series = [(s.name, frozenset(s.labels)) for s in family.samples]
    assert len(series) == len(set(series)), f"{family.name}: a series twice"
    groups = collections.OrderedDict()
    for sample in family.samples:
        rest = tuple(p for p in sample.labels if family.kind != "histogram" or p[0] != "le")
        groups.setdefault(rest, []).append(sample)
        if family.kind in ("counter", "histogram"):
            assert sample.value >= 0 and not math.isnan(sample.value), sample
        assert not sample.exemplar or sample.name.endswith(("_bucket", "_total")), sample
    assert [s for group in groups.values() for s in group] == family.samples, "series are mixed"
    if family.kind == "histogram":
        for rest, samples in groups.items():
            check_buckets(family, rest, samples)


def parse(text):
    """The families of a page."""
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1, "no end"
    assert "\r" not in text
    families, current = collections.OrderedDict(), None
    for line in text.split("\n")[:-2]:
        assert line, "an empty line"
        if not line.startswith("#"):
            sample = sample_of(line)
            assert current and sample.name in [current.name + s for s in SUFFIXES[current.kind]], line
            current.samples.append(sample)
            continue
        word, name, rest = re.fullmatch(r"# (HELP|TYPE|UNIT) (\S+) (.*)", line, re.S).groups()
        assert NAME.fullmatch(name), line
        if not current or current.name != name:
            assert name not in families, f"not together, or twice: {line}"
            current = families[name] = Family(name)
        assert not current.samples, f"behind samples: {line}"
        if word == "HELP":
            assert current.help is None, line
            current.help = unescape(rest, line, True)
        elif word == "TYPE":
            assert current.kind == "unknown" and rest in SUFFIXES, line
            current.kind = rest
        else:
            assert not current.unit and LABEL.fullmatch(rest), line
            current.unit = rest
    seen = set()
    for family in families.values():
        check_family(family, seen)
    return families
