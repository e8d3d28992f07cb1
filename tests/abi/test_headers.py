# SPDX-License-Identifier: Apache-2.0
"""The public headers, each alone, in every language that a plugin may be written in; and the
frozen layout. The compilers are gcc, g++, clang and clang++; one that is missing is a failure."""

import os
import pathlib

import pytest

from lib.procs import run

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
INCLUDE = SOURCE / "sdk" / "include"
HEADERS = sorted(str(p.relative_to(INCLUDE)) for p in INCLUDE.rglob("*.h"))
CLASSES = sorted(str(p.relative_to(INCLUDE)) for p in INCLUDE.rglob("*.hpp"))
FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only"]
C = [(cc, "c", std) for cc in ("gcc", "clang") for std in ("c11", "c17", "c2x")]
CXX = [
    (cxx, "c++", std)
    for cxx in ("g++", "clang++")
    for std in ("c++11", "c++14", "c++17", "c++20")
]
ALL = pytest.mark.parametrize("compiler,language,standard", C + CXX)


def compile_ok(compiler, language, standard, source, *more):
    argv = [compiler, "-x", language, f"-std={standard}", *FLAGS, *more, source]
    status, text = run(argv)
    assert status == 0, f"{' '.join(map(str, argv))}\n{text}"


def test_there_are_headers():
    assert {"spoe/plugin.h", "spoe/util.h"} <= set(HEADERS)


@ALL
@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(tmp_path, header, compiler, language, standard):
    # From a stub: as a main file a header's unused static functions would be warned about. Twice:
    # a header that is included again must be silent.
    stub = tmp_path / "stub"
    stub.write_text(f"#include <{header}>\n#include <{header}>\nint unused_in_stub;\n")
    compile_ok(compiler, language, standard, stub, "-I", INCLUDE)


DECLARED = """
#include <spoe/util.h>
enum { PATH, SRC };
spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                      struct spoe_config *cfg, void **ret_inst);
spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg);
SPOE_PLUGIN("mine", .version = "1", .messages = SPOE_MESSAGES(
    SPOE_MESSAGE("m", .event = "on-http-response", .args = SPOE_ARGS(
        [@SRC@] = SPOE_ARG("src", .types = SPOE_ACCEPT_IP, .expression = "src"),
        [PATH] = SPOE_ARG("path", .types = SPOE_ACCEPT_STR, .expression = "path")))),
    .options = SPOE_OPTIONS(SPOE_OPTION("o", .type = SPOE_OPT_INT, .env = SPOE_TEXTS("O"))),
    .configure = configure, .handle = handle);
"""


# 12.2: an index is the slot
@pytest.mark.parametrize("compiler,language,standard", C)
def test_declarations_by_name(tmp_path, compiler, language, standard):
    source = tmp_path / "declared.c"
    source.write_text(DECLARED.replace("@SRC@", "SRC"))
    compile_ok(compiler, language, standard, source, "-I", INCLUDE)
    for wrong in ("SRC + 1", "PATH"):  # a slot left out, or filled twice
        source.write_text(DECLARED.replace("@SRC@", wrong))
        status, text = run([compiler, "-x", language, f"-std={standard}", *FLAGS, source,
                            "-I", INCLUDE])
        assert status != 0 and ("initiali" in text or "exceeds" in text), text


# 12.2
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_classes_compile(tmp_path, compiler, standard):
    stub = tmp_path / "stub"
    for header in CLASSES if (compiler, standard) == ("g++", "c++17") else ["spoe/plugin.hpp"]:
        stub.write_text(f"#include <{header}>\n#include <{header}>\nint unused_in_stub;\n")
        compile_ok(compiler, "c++", standard, stub, "-I", INCLUDE)
    if (compiler, standard) == ("clang++", "c++20"):  # test_facets.py builds them by g++ in C++17
        for source in ("sdk/guide/gate.cc", "tests/abi/errands.cc", "tests/abi/facets.cc"):
            compile_ok(compiler, "c++", standard, SOURCE / source, "-I", INCLUDE)
    source = (SOURCE / "tests/abi/consumer/classes.cc").read_text()
    for wrong in ("NUMBER", "2"):  # filled twice, left out
        stub.write_text(source.replace("argument(WORD", f"argument({wrong}"))
        status, text = run([compiler, "-x", "c++", f"-std={standard}", *FLAGS, stub,
                            "-I", INCLUDE])
        assert status != 0 and "a place of the table is left out" in text, text


@ALL
def test_layout_is_frozen(compiler, language, standard):
    compile_ok(compiler, language, standard, SOURCE / "tests/abi/layout.c", "-I", INCLUDE)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_layout_is_frozen_for_i386(compiler, tmp_path):
    # Freestanding: the compiler's own headers do, no 32-bit C library is needed.
    status, machine = run([compiler, "-dumpmachine"])
    assert status == 0
    if not machine.startswith(("x86_64", "i386", "i686")):
        pytest.skip(f"{machine.strip()} has no -m32")
    more = ["-m32", "-ffreestanding", "-I", INCLUDE]
    compile_ok(compiler, "c", "c11", SOURCE / "tests/abi/layout.c", *more)


@pytest.mark.parametrize("version", sorted(p.name for p in SOURCE.glob("tests/abi/v1.*")))
def test_frozen_headers_hold_the_layout(version):
    include = SOURCE / "tests/abi" / version
    assert (include / "spoe/plugin.h").exists()
    stub = SOURCE / "tests/abi/layout.c"
    compile_ok("gcc", "c", "c11", stub, "-I", include)


@pytest.mark.parametrize("header", HEADERS)
def test_everything_public_has_the_prefix(header):
    """Beyond what C's own headers define, a header brings names that begin with spoe_ or SPOE_."""
    base = ["gcc", "-std=c11", "-dM", "-E", "-x", "c"]
    status, ours = run([*base, "-I", INCLUDE, "-"], stdin=f"#include <{header}>\n".encode())
    assert status == 0, ours
    system = "".join(f"#include <{h}.h>\n" for h in ("stddef", "stdint", "stdarg", "stdio", "string"))
    status, theirs = run([*base, "-"], stdin=system.encode())
    assert status == 0, theirs
    names = {line.split()[1].split("(")[0] for line in ours.splitlines()} - {
        line.split()[1].split("(")[0] for line in theirs.splitlines()
    }
    assert [n for n in sorted(names) if not n.startswith("SPOE_")] == []
