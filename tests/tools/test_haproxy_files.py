# SPDX-License-Identifier: Apache-2.0
"""Issue 11, 1.8: what `spoe-host --print-haproxy-config` writes for otel is what haproxy/ has. A rule is
in otel-plugin/haproxy_lines.inc and, explained, in the file; an argument in otel-plugin/record/fields.h and
in the file. That HAProxy accepts it: tests/e2e/test_config.py."""

import os
import re
import shutil
from fractions import Fraction

import pytest
from lib.haproxy import SOURCE, source_text
from lib.haproxy_config import printed, sections, spoe_file, statements
from lib.procs import Proc, wait_until
from lib.recipes import recipes

WRITTEN = [("spoe", "2.6", "otel-spoe.cfg", "spoe-otel.cfg"),
           ("spoe", "3.0", "otel-spoe.cfg", "spoe-otel-3.x.cfg"),
           ("log", "2.6", "otel-log.cfg", None),
           ("both", "2.6", "otel-both.cfg", "spoe-otel-both.cfg")]


def differences(ours, theirs):
    """Of two dicts of lists: [(where, only in the file, only written)], and sections in another order."""
    found = []
    for name in {**ours, **theirs}:
        mine, written = list(ours.get(name, [])), list(theirs.get(name, []))
        if mine != written:
            found.append((name, [x for x in mine if x not in written],
                          [x for x in written if x not in mine] or "another order"))
    return found


@pytest.mark.parametrize("way, least, main, spoe", WRITTEN)
def test_the_files_are_what_the_host_writes(way, least, main, spoe):
    """Comments apart, and attributes of the example's own."""
    ours, section = printed(way, least, env={"SAMPLER": "parentbased_always_on"})
    text = re.sub(r"^.*set-var\(txn\.otel_attrs\).*\n", "", source_text(main), flags=re.M)
    text = text.replace("spoe-otel-both.cfg", "spoe-otel.cfg")  # a file of its own there
    assert differences(sections(text), sections(ours)) == []
    assert list(sections(text)) and "frontend web from traced" in sections(ours)
    if spoe is None:
        assert section == ""
    else:
        assert spoe_file(source_text(spoe)) == spoe_file(section)


@pytest.mark.parametrize("way", ["log", "both"])
@pytest.mark.parametrize("least", ["2.6", "3.1"])
def test_a_cut_line_has_its_ids(way, least):
    """What a client can make long comes last."""
    main, _ = printed(way, least)
    pairs = re.search(r'format "(.*)"', main).group(1).split()
    assert pairs[0] == "v=1" and pairs[1].startswith("tp=%[var(")
    quoted = ["{+Q" in pair for pair in pairs]
    assert quoted == sorted(quoted) and any(quoted)
    keys = [pair.split("=")[0] for pair in pairs]
    assert sorted(set(keys)) == sorted(keys)


def test_b3_alone_has_its_context_in_the_line():
    """No variable traceparent is answered then; docs/otel-log.md has what takes its place, which
    tests/e2e/test_both.py restarts the agent with (issue 11, 1.8, 2.3)."""
    with open(os.path.join(SOURCE, "docs/otel-log.md"), encoding="utf-8") as page:
        expected = re.search(r"^`(tp=00-.*)`", page.read(), re.M).group(1)
    for propagators in ("b3", "b3multi"):
        for least in ("2.6", "3.1"):
            main, _ = printed("both", least, env={"PROPAGATORS": propagators})
            pairs = re.search(r'format "(.*)"', main).group(1).split()
            assert [pair for pair in pairs if pair.startswith("tp=")] == [expected]
            assert pairs[1] == expected


def test_the_recipe_beside_a_log_of_ones_own_has_all_pairs():
    """docs/recipes.md spells them out once (issue 11, 5.2)."""
    (pairs,) = [re.search(r'log-format-sd "\[spoe (.*)\]"', r.site) for r in recipes() if "format-sd" in r.site]
    main, _ = printed("log")
    assert pairs.group(1) == re.search(r'log-format "(.*)"', main).group(1)


THRESHOLD = re.compile(r"hex2i ge (\d+)")


def rules(**env):
    return sections(printed("log", env=env)[0])["defaults traced"]


@pytest.mark.parametrize("ratio, th", [("0.1", "e6666666666666"), ("0.5", "8"), ("0.01", "fd70a3d70a3d7"),
                                       ("0.25", "c")])
def test_a_share_is_a_threshold(ratio, th):
    """By the low 56 bits of the trace's id, told on in tracestate (issue 11, 2.2)."""
    text = "\n".join(rules(SAMPLER="parentbased_traceidratio", SAMPLER_ARG=ratio))
    threshold = int(THRESHOLD.search(text).group(1))
    more = 2**56 - threshold - Fraction(ratio) * 2**56
    assert 0 <= more < 2
    digits = f"{threshold:014x}".rstrip("0")
    assert digits.startswith(th) and f"str(ot=th:{digits})" in text


def test_rules_follow_the_sampler():
    """Whose decision counts, and what is decided for new traces."""
    new, caller = "set-var(txn.f) int({})", "set-var(txn.f) var(txn.in),field(4,-),hex2i,and({}) if"
    cases = {"always_on": (3, "2),or(1"), "always_off": (2, "2"), "parentbased_always_on": (3, "3"),
             "parentbased_always_off": (2, "3"), "traceidratio": (3, "2),or(1")}
    for sampler, (flags, kept) in cases.items():
        text = "\n".join(rules(SAMPLER=sampler))
        assert new.format(flags) in text and text.count("set-var(txn.f) int(") == 1, sampler
        assert caller.format(kept) in text and text.count("field(4,-)") == 1, sampler
        assert not THRESHOLD.search(text), sampler  # the ratio is 1
    assert THRESHOLD.search("\n".join(rules(SAMPLER="traceidratio", SAMPLER_ARG="0.1")))
    for sampler, flags in (("traceidratio", 2), ("parentbased_traceidratio", 2)):
        text = "\n".join(rules(SAMPLER=sampler, SAMPLER_ARG="0"))
        assert new.format(flags) in text and not THRESHOLD.search(text)


def test_rules_for_every_trace_are_those_of_the_docs():
    """docs/otel-log.md has them for one in ten."""
    with open(os.path.join(SOURCE, "docs", "otel-log.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```haproxy\n(.*?)^```", file.read(), re.S | re.M)
    (block,) = [text for text in blocks if "rv:" in text]
    written = rules(SAMPLER="traceidratio", SAMPLER_ARG="0.1")
    first = written.index(statements(block)[0])
    assert written[first:first + len(statements(block))] == statements(block)


def test_which_lines_are_sent():
    """All where something counts all; else sampled ones, and errors where they are kept."""

    def level(**env):
        text = "\n".join(rules(**env))
        return re.search(r"format raw local0 (\w+)", text).group(1), "log-separate-errors" in text

    assert level() == ("info", False)
    assert level(METRICS_EXPORTER="none") == ("notice", False)
    assert level(METRICS_EXPORTER="none", KEEP_ERRORS="on") == ("notice", True)
    assert level(METRICS_EXPORTER="none", TRACE_BAD_REQUESTS="on") == ("notice", True)
    assert level(METRICS_EXPORTER="none", LOGS_EXPORTER="otlp") == ("info", False)
    assert level(METRICS_EXPORTER="none", KEEP_ERRORS="on", KEEP_SLOWER_THAN="1s") == ("info", False)
    assert level(METRICS_EXPORTER="otlp") == ("info", False)


@pytest.mark.parametrize("name", ["a.sock", "a b.sock", 'a"b.sock', "a}b'#c.sock", "a\\b.sock"])
def test_paths_of_sockets(tmp_path, name):
    """12: HAProxy reads the path as the host listens on it, whatever is in it."""
    main, _ = printed("spoe", "2.6", "--listen", f"unix:{tmp_path}/{name}")
    word = re.search(r"^    server agent1 (.*)$", main, re.M)[1]
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"defaults\n    mode tcp\n    timeout client 1s\nfrontend f\n    bind {word}\n")
    binary = os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    with Proc([binary, "-db", "-f", str(config)], name="haproxy") as haproxy:
        wait_until((tmp_path / name).is_socket, haproxy.report)


def test_a_plugin_without_variables_says_so():
    """12: the mirror has none that could come back."""
    _, section = printed("spoe", "2.6", "--set", "mirror.url=http://127.0.0.1:1", env={"SPOE_PLUGINS": "otel, mirror"})
    mirror = section.split("[mirror]")[1]
    assert "# No variable comes back." in mirror and "come back" not in mirror
