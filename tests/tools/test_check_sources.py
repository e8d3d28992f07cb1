# SPDX-License-Identifier: Apache-2.0
"""tools/check-sources finds what it is there to find, and only that."""

import pathlib
import subprocess

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-sources"
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def findings(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = subprocess.run([TOOL, root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == (1 if lines else 0)
    return lines


@pytest.mark.parametrize("path, line", [
    ("host/core/a.c", "#include <event2/event.h>"),
    ("host/core/a.c", "# include <grpc/grpc.h>"),
    ("host/main.c", "#include <grpc/grpc.h>"),
    ("otel-plugin/otlp/a.c", "#include <grpc/grpc.h>"),
    ("otel-plugin/input/a.c", "#include <grpc/grpc.h>"),
    ("sdk/include/spoe/a.h", "#include <unistd.h>"),
    ("sdk/include/spoe/a.h", "#include <event2/event.h>"),
])
def test_refuses_includes(tmp_path, path, line):
    lines = findings(tmp_path, path, SPDX + line + "\n")
    assert len(lines) == 1 and lines[0].startswith(f"{path}:2: ") and "may not include" in lines[0]


@pytest.mark.parametrize("path, line", [
    ("host/net/a.c", "#include <event2/event.h>"),
    ("host/core/a.c", "#include <sys/socket.h>"),
    ("otel-plugin/send/a.c", "#include <grpc/grpc.h>"),
    ("sdk/include/spoe/a.h", "#include <stdint.h>"),
    ("plugins/mine/a.c", "#include <spoe/plugin.h>"),
    ("plugins/mine/a.c", '#include "own.h"'),
])
def test_accepts_includes(tmp_path, path, line):
    assert findings(tmp_path, path, SPDX + line + "\n") == []


@pytest.mark.parametrize("call", ["sprintf(b, s)", "strcpy (b, s)", "strtok(b, s)", "atoi(s)",
                                  "localtime(&t)", "alloca(n)", "system(s)", "fork()",
                                  "strtol(s, 0, 10)", "getenv(s)", "signal(SIGPIPE, SIG_IGN)"])
def test_refuses_calls(tmp_path, call):
    lines = findings(tmp_path, "host/net/a.c", f"{SPDX}\nint x = {call};\n")
    assert len(lines) == 1 and lines[0].startswith("host/net/a.c:3: ") and "banned" in lines[0]


@pytest.mark.parametrize("code", ["/* sprintf(b) */", '"system(s)"', "pthread_signal(x)",
                                  "p->signal(x)", "ops.fork()", "snprintf(b, n, s)",
                                  "// atoi(s)", "'\"' + my_atoi(s) + '\"'"])
def test_accepts_what_looks_like_calls(tmp_path, code):
    assert findings(tmp_path, "host/net/a.c", f"{SPDX}\nx {code};\n") == []


def test_wants_a_license_line(tmp_path):
    assert findings(tmp_path, "host/net/a.c", "int x;\n") == [
        "host/net/a.c:1: no SPDX-License-Identifier line"]
