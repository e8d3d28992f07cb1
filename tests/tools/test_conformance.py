# SPDX-License-Identifier: Apache-2.0
"""What docs/conformance.md names exists: files, functions, tests."""

import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
PAGE = (SOURCE / "docs/conformance.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if re.match(r"\| .* \| (MUST|SHOULD) \| ", line)
]


def named(cell):
    """Pairs of file and name; `name` alone belongs to the file before it."""
    file = None
    for text in re.findall(r"`([^`]+)`", cell):
        before, colon, name = text.rpartition(": ")
        if colon:
            file = before
        yield file, name


def has_test(file, name):
    text = file.read_text()
    if file.suffix == ".py":
        return re.search(rf"^def {name}\(", text, re.M)
    return re.search(rf"^(Parameterized)?Test\(\s*\w+,\s*{name}[,)]", text, re.M)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_row(row):
    rule, _, where, tests = row
    assert list(named(where)) and list(named(tests)), rule
    for file, name in named(where):
        path = SOURCE / "otel-plugin" / file
        assert re.search(rf"\b{re.escape(name)}\b", path.read_text()), f"{file}: {name}"
    for file, name in named(tests):
        assert has_test(SOURCE / "tests" / file, name), f"{file}: {name}"


def test_all_rows_are_checked():
    """No row of the tables is written so that it is passed over."""
    tables = re.findall(r"^\| rule \| level \| where \| test \|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.M)
    assert sum(len(table.splitlines()) for table in tables) == len(ROWS) > 60
