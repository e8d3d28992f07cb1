# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md names files that exist, every folder of the code, and every source that data
passes through (4.5)."""

import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
PAGE = (SOURCE / "docs/architecture.md").read_text()
NAMED = sorted({name for name in re.findall(r"`([\w./-]+)`", PAGE) if "/" in name})
THREADS = re.findall(r"^\| `([a-z-]+?)(?:-N)?` \| (?:`([\w./-]+)`)?", PAGE, re.M)


@pytest.mark.parametrize("name", NAMED)
def test_named_file_exists(name):
    assert name.startswith("/") or (SOURCE / name).exists()


def test_every_folder_is_named():
    for top in ("host", "otel-plugin"):
        for folder in (SOURCE / top).iterdir():
            if folder.is_dir():
                assert re.search(rf"\b{top}/{folder.name}/|(?<![\w/]){folder.name}(?![\w/])", PAGE), folder


@pytest.mark.parametrize("name, file", [t for t in THREADS if t[1]])
def test_thread_has_its_name_there(name, file):
    assert f'"{name}' in (SOURCE / file).read_text(), f"{file} starts no thread {name}"


def test_the_table_has_all_threads():
    """Every name that a source gives a thread stands in the table."""
    given = set()
    for source in (*SOURCE.glob("host/**/*.c"), *SOURCE.glob("otel-plugin/**/*.c")):
        text = source.read_text()
        if "pthread_create(" in text:
            given |= {n.rstrip("-") for n in re.findall(r'"((?:otel-[a-z]+|worker|admin|control|log)-?)(?:%u)?"', text)}
    assert given and given <= {name for name, _ in THREADS}
