# SPDX-License-Identifier: Apache-2.0
"""What compiler and linker have against attackers is in the host and the plugins as they were built,
so far as the compiler of this build has it. (5.5)"""

import json
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
CACHE = dict(re.findall(r"^(\w+):\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M))
BINARIES = [BUILD / "bin/spoe-host", *sorted((BUILD / "lib/spoe-host/plugins").rglob("*.so"))]
SANITIZED = CACHE["SPOE_SANITIZE"] != ""
OPTIMISED = CACHE["CMAKE_BUILD_TYPE"] != "Debug"


def have(what):
    return CACHE.get("SPOE_HAVE_" + what) == "1"


def output(*argv):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, timeout=120).stdout


@pytest.fixture(params=BINARIES, ids=lambda p: p.name)
def binary(request):
    return request.param


def test_this_compiler_has_them():
    """gcc 12 on amd64; elsewhere what there is."""
    if os.uname().machine == "x86_64" and "clang" not in CACHE["CMAKE_C_COMPILER"]:
        for what in ("CF_PROTECTION", "STACK_CLASH_PROTECTION", "Z_SHSTK", "FORTIFY_3"):
            assert have(what), what


def test_addresses_are_random_and_tables_read_only(binary):
    assert "Type:                              DYN" in output("readelf", "-hW", binary)
    segments = output("readelf", "-lW", binary)
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW +0x", segments), segments
    assert re.search(r"\(FLAGS(_1)?\).*\bNOW\b", output("readelf", "-dW", binary))


def test_notes_say_that_shadow_stacks_are_kept(binary):
    if have("CF_PROTECTION") and have("Z_SHSTK"):
        assert re.search(r"x86 feature: .*SHSTK", output("readelf", "-nW", binary))


def test_jumps_land_on_marks_and_large_frames_are_probed(binary):
    code = output("objdump", "-d", "--no-show-raw-insn", binary)
    # The optional plugins are small: few functions that are called by pointer, no frame that large.
    large = binary.parent.name != "optional"
    if have("CF_PROTECTION") and os.uname().machine == "x86_64":
        assert code.count("endbr64") > (20 if large else 5)
    if large and have("STACK_CLASH_PROTECTION") and os.uname().machine == "x86_64":
        assert re.search(r"or[ql] +\$0x0,(0x[0-9a-f]+)?\(%rsp", code)


def test_every_source_is_compiled_with_them():
    for command in json.loads((BUILD / "compile_commands.json").read_text()):
        source = command["file"].removeprefix(CACHE["CMAKE_HOME_DIRECTORY"] + "/")
        if not re.match(r"(host|otel-plugin)/.*\.c$", source):
            continue
        words = command["command"].split()
        assert "-fstack-protector-strong" in words, source
        assert ("-fcf-protection" in words) == have("CF_PROTECTION"), source
        assert ("-fstack-clash-protection" in words) == have("STACK_CLASH_PROTECTION"), source
        level = "-D_FORTIFY_SOURCE=" + ("3" if have("FORTIFY_3") else "2")
        assert (level in words) == (OPTIMISED and not SANITIZED), source


def test_copies_are_checked(binary):
    """__NAME_chk in place of NAME, where the compiler knows how much room there is."""
    names = output("readelf", "--dyn-syms", "-W", binary)
    if OPTIMISED and not SANITIZED:
        assert len(set(re.findall(r"\b__\w+_chk\b", names)) - {"__stack_chk_fail"}) >= 3, names
