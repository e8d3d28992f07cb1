# SPDX-License-Identifier: Apache-2.0
"""The ABI against the descriptions that are kept of it (12.5): abidiff sees what layout.c was not
told to look at. tools/abi-freeze writes them."""

import os
import pathlib
import re
import shutil
import sys

import pytest

from lib.procs import run

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
INCLUDE = SOURCE / "sdk/include"
KEPT = sorted(p.parent for p in (SOURCE / "tests/abi").glob("v1.*/spoe.abi"))

sys.path.insert(0, str(SOURCE / "tests/abi"))
import anchor  # noqa: E402


def minor(include):
    text = (include / "spoe/plugin.h").read_text()
    return int(re.search(r"^#define SPOE_ABI_MINOR (\d+)$", text, re.M).group(1))


def library(include, where):
    where.mkdir()
    (where / "anchor.c").write_text(anchor.anchor(include))
    status, text = run(["gcc", "-g", "-shared", "-fPIC", "-I", include, where / "anchor.c",
                        "-o", where / "libspoe_abi_anchor.so"])
    assert status == 0, text
    return where / "libspoe_abi_anchor.so"


def abidiff(kept, lib):
    return run(["abidiff", "--no-architecture", kept, lib])


def test_versions_are_kept():
    assert [p.name for p in KEPT] == [f"v1.{n}" for n in range(minor(INCLUDE) + 1)]
    for kept in KEPT:
        assert kept.name == f"v1.{minor(kept)}"


@pytest.mark.parametrize("kept", KEPT, ids=lambda p: p.name)
def test_a_frozen_copy_is_as_it_was(kept, tmp_path):
    status, text = abidiff(kept / "spoe.abi", library(kept, tmp_path / "kept"))
    assert status == 0, text


def test_todays_headers_are_the_frozen_ones(tmp_path):
    """An addition needs a new minor version, or, before the release, tools/abi-freeze."""
    for kept in (p for p in KEPT if minor(p) == minor(INCLUDE)):
        status, text = abidiff(kept / "spoe.abi", library(INCLUDE, tmp_path / "today"))
        assert status == 0, text


# What grows: a struct, the enum of all numbers, and the version itself.
GROWN = re.compile(r"(size|alignment) changed from|its_SPOE_ABI_MINOR' from value| 0 removed", re.I)
GONE = re.compile(r"deletion|removed|changed from|offset changed|from value", re.I)


def test_what_came_since_is_added_only(tmp_path):
    """Nothing that was there is gone, or has another value, type or place."""
    today = library(INCLUDE, tmp_path / "today")
    for kept in (p for p in KEPT if minor(p) < minor(INCLUDE)):
        status, text = abidiff(kept / "spoe.abi", today)
        assert status in (0, 4), text  # 4: the types differ; they have grown
        lines = [line for line in text.splitlines() if GONE.search(line)]
        assert [line for line in lines if not GROWN.search(line)] == [], text


# The anchor sees each kind of change: what it cannot see this file could not hold.
@pytest.mark.parametrize("header,change", [
    ("plugin.h", ("SPOE_E_LIMIT = -8", "SPOE_E_LIMIT = -18")),
    ("plugin.h", ("SPOE_OPTION_SECRET UINT32_C(2)", "SPOE_OPTION_SECRET UINT32_C(32)")),
    ("plugin.h", ("(*now_mono_ns)(void)", "(*now_mono_ns)(int32_t)")),
    ("plugin.h", ("    spoe_status (*post)(", "    void (*more)(void);\n    spoe_status (*post)(")),
    ("plugin.h", ("    uint64_t stream_id, frame_id;", "    uint64_t frame_id, stream_id;")),
    ("ext/metrics.h", ("SPOE_METRIC_GAUGE = 2", "SPOE_METRIC_GAUGE = 4")),
    ("ext/metrics.h", ("    const double *bounds;", "    const float *bounds;")),
    ("ext/haproxy.h", ("    uint32_t message; ", "    uint64_t message; ")),
])
def test_a_change_is_seen(header, change, tmp_path):
    copy = tmp_path / "include"
    shutil.copytree(INCLUDE, copy)
    path = copy / "spoe" / header
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(change[0], change[1], 1))
    status, before = run([SOURCE / "tools/abi-freeze", "--describe", INCLUDE])
    assert status == 0, before
    (tmp_path / "before.abi").write_text(before)
    status, text = abidiff(tmp_path / "before.abi", library(copy, tmp_path / "changed"))
    assert status & 4, text


def test_every_number_that_layout_c_holds_is_there():
    layout = (SOURCE / "tests/abi/layout.c").read_text()
    held = set(re.findall(r"^NUMBER\((SPOE_\w+),", layout, re.M))
    assert len(held) > 80
    assert sorted(n for n in held if f"its_{n} = " not in anchor.anchor(INCLUDE)) == []


def test_every_number_and_struct_is_held_by_layout_c():
    layout = (SOURCE / "tests/abi/layout.c").read_text()
    names = re.findall(r"its_(SPOE_\w+) = ", anchor.anchor(INCLUDE))
    assert [name for name in names if not re.search(rf"\b{name}\b", layout)] == []
    for header in anchor.headers(INCLUDE):
        for struct in anchor.STRUCT.findall(anchor.abi_text(header)):
            assert f"SIZE({struct}," in layout, f"tests/abi/layout.c does not hold {struct}"
