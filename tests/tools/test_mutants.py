# SPDX-License-Identifier: Apache-2.0
"""tools/mutants finds small changes to C code, tries them on a copy, and tells which survive (9.2)."""

import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


mutation = load("mutation", TOOLS / "mutation.py")
mutants = load("mutants", TOOLS / "mutants")


def changes(body, kind, names=""):
    """What one kind makes of a function's body."""
    text = f"int f(int a, int b)\n{{\n{body}\n}}\n"
    found = mutation.find("f.c", text, mutation.enum_names([names]))
    return [m.apply(text).split("\n", 2)[2].rsplit("\n", 2)[0] for m in found if m.kind == kind]


@pytest.mark.parametrize("kind, before, after", [
    ("boundary", "x = a < b;", ["x = a <= b;"]),
    ("boundary", "x = a >= b;", ["x = a > b;"]),
    ("boundary", "x = p->n << 2;", []),
    ("condition", "x = a == b;", ["x = a != b;"]),
    ("condition", "if (a) x = 3;", ["if (!(a)) x = 3;"]),
    ("condition", "if (a == b) x = 3;", ["if (a != b) x = 3;"]),
    ("condition", "if (a && b) x = 3;", ["if (!(a && b)) x = 3;", "if (a || b) x = 3;"]),
    ("statement", "f(a);", [";"]),
    ("statement", "*p = b;\nf(a,\n  b);", [";\nf(a,\n  b);", "*p = b;\n;\n"]),
    ("statement", "int x = f(a);", []),
    ("statement", "struct s *p;\nsize_t n;", []),
    ("statement", "for (i = 0; i < n; i++) f(i);", ["for (i = 0; i < n; i++) ;"]),
    ("statement", "(void)a;", []),
    ("leave", "if (a) return b;\nreturn a;", ["if (a) ;\nreturn a;"]),
    ("leave", "if (a) {\nf(a);\nreturn b;\n}\nreturn a;", ["if (a) {\nf(a);\n;\n}\nreturn a;"]),
    ("leave", "goto out;", [";"]),
    ("constant", "x = 7;", ["x = 8;", "x = 6;"]),
    ("constant", "return -1;", ["return -0;"]),
    ("constant", "x = 0u;", ["x = 1u;"]),
    ("constant", "x = 0xffu;", ["x = 0x100u;", "x = 0xfeu;"]),
    ("constant", "x = 1e3; y = 1.5;", []),
    ("constant", "char buf[8]; char *p[N + 1];", []),
    ("constant", "return buf[8];", ["return buf[9];", "return buf[7];"]),
    ("constant", "x = buf[8];", ["x = buf[9];", "x = buf[7];"]),
    ("constant", "struct s s = {0};", []),
    ("name", "return true;", ["return false;"]),
    ("name", "x = RED;", ["x = BLUE;"]),
    ("name", "x = BLUE;", ["x = RED;"]),
    ("arithmetic", "x = a + b;", ["x = a - b;"]),
    ("arithmetic", "x = -1; y = f(-a);", []),
    ("arithmetic", "x -= a;", ["x += a;"]),
    ("arithmetic", "x++;", ["x--;"]),
    ("not", "x = !a;", ["x = a;"]),
])
def test_changes(kind, before, after):
    assert sorted(changes(before, kind, "enum colour { RED = 1, /* , */ BLUE };")) == sorted(after)


@pytest.mark.parametrize("body", [
    "assert(a < 3 && !b);", "_Static_assert(1 < 2, \"x\");", "/* a < b; f(a); */", "// !a",
    "const char *p = \"a < 1\";\n#if 3 < 4\n#endif", "CHECK_CONN(a, 1);",
])
def test_leaves_alone(body):
    assert mutation.find("f.c", f"void f(void)\n{{\n{body}\n}}\n", {}) == []


def test_leaves_what_is_outside_of_functions_alone():
    assert mutation.find("f.c", "enum { A = 1, B = 2 };\nstatic const int t[] = {1, 2};\n", {"A": "B"}) == []


def test_a_hint_to_the_compiler_stays_and_its_condition_does_not():
    found = mutation.find("f.c", "int f(int a)\n{\n    return __builtin_expect(a < 3, 1);\n}\n", {})
    assert [(m.kind, m.new) for m in found] == [("boundary", "<="), ("constant", "2"), ("constant", "4")]


def test_the_draw_is_that_of_its_seed_and_takes_every_kind():
    text = "int f(int a)\n{\n" + "    if (!a && a < 5)\n        return g(a + 1);\n    g(a);\n" * 40 + "}\n"
    found = mutation.find("f.c", text, {})
    drawn = mutation.draw(found, 14, 7)
    assert len(drawn) == 14 and drawn == mutation.draw(found, 14, 7)
    assert drawn != mutation.draw(found, 14, 8)
    assert {m.kind for m in drawn} == {m.kind for m in found}
    assert mutation.draw(found, 0, 7) == found


def test_what_does_not_end_is_ended():
    assert mutants.run(["/bin/sh", "-c", "while :; do :; done"], 0.1)[0] is None


PROJECT = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.25)
project(tiny LANGUAGES C)
enable_testing()
add_executable(test_tiny tiny.c test_tiny.c)
add_test(NAME tiny COMMAND test_tiny)
set_tests_properties(tiny PROPERTIES LABELS unit)
add_test(NAME slow COMMAND test_tiny slow)
set_tests_properties(slow PROPERTIES LABELS integ)
""",
    "CMakePresets.json": """{"version": 6, "configurePresets": [{"name": "mutants", "generator": "Ninja",
"binaryDir": "${sourceDir}/build/mutants", "cacheVariables": {"CMAKE_BUILD_TYPE": "None", "CMAKE_C_FLAGS": "-O1"}}]}
""",
    ".gitignore": "/build/\n",
    "tiny.c": """int tested(int a)
{
    return a < 10;
}
int untested(int a)
{
    return a < 10;
}
int slowly(int a)
{
    return a < 10;
}
unsigned same(unsigned a)
{
    return a >= 0u && a < 10;
}
char *broken(char *a, char *b)
{
    return a + (a - b);
}
""",
    "test_tiny.c": """int tested(int a);
int slowly(int a);
int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return !slowly(9) || slowly(10);
    return !tested(9) || tested(10);
}
""",
}


@pytest.fixture(name="tiny")
def fixture_tiny(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    git = ["git", "-C", tmp_path, "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for args in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tiny"]):
        subprocess.run(git + args, check=True, timeout=60)
    return tmp_path


def tried(root, *args):
    done = subprocess.run([TOOLS / "mutants", "--root", root, "--count", "0", *args], timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def outcomes(output):
    return set(re.findall(r"^\[\d+/\d+\] (.*?) +(\S+:\d+) ", output, re.M))


def test_tries_each_change_on_a_copy(tiny):
    before = {name: (tiny / name).stat().st_mtime_ns for name in PROJECT}
    lines = [f"--only=tiny.c:{n}" for n in (3, 7, 11, 15, 19)]
    status, output = tried(tiny, "--labels", "unit", *lines)
    assert status == 0, output
    found = outcomes(output)
    assert ("noticed", "tiny.c:3") in found and ("survived", "tiny.c:3") not in found, output
    assert ("survived", "tiny.c:7") in found and ("survived", "tiny.c:11") in found, output
    assert ("same code", "tiny.c:15") in found, output
    assert ("does not compile", "tiny.c:19") in found, output
    assert "    - return a < 10;\n    + return a <= 10;" in output
    assert {name: (tiny / name).stat().st_mtime_ns for name in PROJECT} == before
    assert {name: (tiny / name).read_text() for name in PROJECT} == PROJECT
    assert (tiny / "build/mutants/source/tiny.c").read_text() == PROJECT["tiny.c"]

    # The tests of --then run on what the cheap ones let pass; the score counts what is left.
    status, output = tried(tiny, "--labels", "unit", "--then", "integ", "--only=tiny.c:11")
    assert status == 0 and "survived " not in output.split("counted")[0], output
    assert "2 noticed, 0 timed out, 0 survived" in output and "score: 100.0 %" in output


def test_the_files_are_those_that_changed(tiny):
    assert "0 of 0 changes in 0 files" in tried(tiny, "--list")[1]
    text = PROJECT["tiny.c"].replace("a < 10", "a < 11")
    (tiny / "tiny.c").write_text(text)
    status, output = tried(tiny, "--list")
    assert status == 0 and "in 1 files" in output and "tiny.c:3 boundary" in output
    assert "tiny.c:7 boundary" in output


def test_says_what_is_wrong(tiny):
    status, output = tried(tiny, "nowhere.c")
    assert status == 1 and "nowhere.c: no C file" in output
    (tiny / "test_tiny.c").write_text("int main(void) { return 1; }\n")
    status, output = tried(tiny, "tiny.c", "--labels", "unit")
    assert status == 1 and "without any change these fail" in output and "tiny" in output
    (tiny / "tiny.c").write_text("no C\n")
    status, output = tried(tiny, "test_tiny.c", "--labels", "unit")
    assert status == 1 and "the unchanged tree does not build" in output
