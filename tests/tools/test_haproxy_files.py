# SPDX-License-Identifier: Apache-2.0
"""Issue 11, 1.8: what `spoe-host --print-haproxy-config` writes for otel is what haproxy/ has. A rule is
in otel-plugin/haproxy_lines.inc and, explained, in the file; an argument in otel-plugin/record/fields.h and
in the file. That HAProxy accepts it: tests/e2e/test_config.py."""

import re

import pytest
from lib.haproxy import source_text
from lib.haproxy_config import printed, sections, spoe_file
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
    ours, section = printed(way, least)
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


def test_the_recipe_beside_a_log_of_ones_own_has_all_pairs():
    """docs/recipes.md spells them out once (issue 11, 5.2)."""
    (pairs,) = [re.search(r'log-format-sd "\[spoe (.*)\]"', r.site) for r in recipes() if "format-sd" in r.site]
    main, _ = printed("log")
    assert pairs.group(1) == re.search(r'log-format "(.*)"', main).group(1)
