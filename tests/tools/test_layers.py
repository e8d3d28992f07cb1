# SPDX-License-Identifier: Apache-2.0
"""Each layer is an include root of its own: what lies above it does not compile (4.4)."""

import json
import os
import pathlib
import shlex
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
COMMANDS = json.loads((BUILD / "compile_commands.json").read_text())

# From the bottom to the top; a layer sees those that stand under its name, and itself.
LAYERS = {
    "host/base": [],
    "host/spop": ["host/base"],
    "host/conf": ["host/base"],
    "host/json": ["host/base"],
    "host/core": ["host/base", "host/spop", "host/conf"],
    "host/net": ["host/base", "host/spop", "host/conf", "host/core"],
    "host/lines": ["host/base", "host/spop", "host/conf", "host/core", "host/net"],
    "host/admin": ["host/base", "host/spop", "host/conf", "host/json", "host/core", "host/net", "host/lines"],
    "host/try": ["host/base", "host/spop", "host/conf", "host/core", "host/net"],
    "host/check": ["host/base", "host/spop", "host/conf", "host/core", "host/net", "host/try"],
    "host/ctl": ["host/base", "host/conf", "host/json"],
    "otel-plugin/base": [],
    "otel-plugin/context": ["otel-plugin/base"],
    "otel-plugin/record": ["otel-plugin/base"],
    "otel-plugin/meter": ["otel-plugin/base"],
    "otel-plugin/signal": ["otel-plugin/base", "otel-plugin/context", "otel-plugin/record"],
    "otel-plugin/otlp": ["otel-plugin/base", "otel-plugin/context", "otel-plugin/record",
                         "otel-plugin/signal", "otel-plugin/meter"],
    "otel-plugin/send": ["otel-plugin/base", "otel-plugin/context", "otel-plugin/record",
                         "otel-plugin/signal", "otel-plugin/otlp",
                         "otel-plugin/meter"],
    "otel-plugin/input": ["otel-plugin/base", "otel-plugin/context", "otel-plugin/record",
                          "otel-plugin/signal", "otel-plugin/otlp",
                         "otel-plugin/meter"],
    "otel-plugin/conf": ["otel-plugin/base", "otel-plugin/context", "otel-plugin/record",
                         "otel-plugin/signal", "otel-plugin/otlp", "otel-plugin/send",
                         "otel-plugin/input", "otel-plugin/meter"],
}
BUILT = [layer for layer in LAYERS
         if any(c["file"].startswith(f"{SOURCE}/{layer}/") for c in COMMANDS)]


def roots(layer):
    """The folders that a source of the layer finds includes in, by the layers in them."""
    command = next(c for c in COMMANDS if pathlib.Path(c["file"]).parent == SOURCE / layer)
    words = shlex.split(command["command"])
    return [pathlib.Path(word[2:]) for word in words if word.startswith("-I")]


@pytest.mark.parametrize("layer", BUILT)
def test_sees_what_lies_below_and_no_more(layer):
    top = layer.split("/")[0]
    seen = {f"{top}/{folder.name}" for root in roots(layer) for folder in root.iterdir()
            if folder.is_symlink() and folder.resolve().is_relative_to(SOURCE / top)}
    assert seen == {layer, *LAYERS[layer]}


def test_every_folder_is_in_the_table():
    folders = {f"{top}/{f.name}" for top in ("host", "otel-plugin")
               for f in (SOURCE / top).iterdir() if f.is_dir()}
    assert folders == set(LAYERS)


def test_an_upward_include_does_not_compile(tmp_path):
    source = tmp_path / "up.c"
    source.write_text('#include "net/worker.h"\n')
    flags = [f"-I{root}" for root in roots("host/core")]
    done = subprocess.run(["cc", "-fsyntax-only", "-D_GNU_SOURCE", *flags, source], check=False,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "net/worker.h: No such file" in done.stderr
    flags = [f"-I{root}" for root in roots("host/net")]
    subprocess.run(["cc", "-fsyntax-only", "-D_GNU_SOURCE", *flags, source], check=True)
