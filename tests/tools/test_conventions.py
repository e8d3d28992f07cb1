# SPDX-License-Identifier: Apache-2.0
"""The tables of attributes and arguments are the same in code and in docs."""

import os
import pathlib
import re

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
CODE = (SOURCE / "otel-plugin/record/fields.h").read_text()
KEYS = dict(
    re.findall(r'X\((\w+), "([^"]+)"\)', (SOURCE / "otel-plugin/record/known_keys.h").read_text())
)
DOCS = (SOURCE / "docs/attributes.md").read_text()
SPANS = {"NO": "", "S": "S", "C": "C", "SC": "S, C"}


def code_rows(table):
    """The lines X(...) of one of the two macros, each a list of texts."""
    body = re.search(rf"#define {table}\(X\)(.*?)\n\n", CODE, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body.replace("\\\n", " "), flags=re.S)
    rows = [[word.strip() for word in row.split(",")] for row in re.findall(r"X\(([^()]*)\)", body)]
    return [[word.strip('"') for word in row] for row in rows]


def attributes():
    """The rows of OTEL_ATTRIBUTES with the texts of the names; NONE is ""."""
    keys = {**KEYS, "NONE": ""}
    return [
        [row[0], *(keys[name] for name in row[1:4]), row[4]]
        for row in code_rows("OTEL_ATTRIBUTES")
    ]


def docs_rows(head):
    """The rows of the table whose first line begins with `head`, without back quotes."""
    lines = DOCS[DOCS.index(f"\n| {head} |") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def test_attributes():
    code = [
        (name + ("*" if stays == "1" else ""), server, client)
        for _, name, server, client, stays in attributes()
    ]
    assert len(code) > 30
    assert [tuple(row) for row in docs_rows("attribute")] == code


def test_arguments():
    names = {row[0]: row[1] for row in attributes()}
    names["NONE"] = {"START": "the start", "END": "the end"}
    code, reserved = [], []
    for _, argument, kind, attribute, opens, response in code_rows("OTEL_ARGUMENTS"):
        if kind == "NONE":
            reserved.append(argument)
            continue
        name = names[attribute]
        code.append(
            (argument, name[kind] if isinstance(name, dict) else name, SPANS[opens], SPANS[response])
        )
    assert len(code) > 30
    rows = docs_rows("argument")
    assert [(row[0], row[3], row[4], row[5]) for row in rows] == code
    text = re.search(r"^Reserved, .*?: (.*?)\.\n\n", DOCS, re.S | re.M).group(1)
    assert re.findall(r"`([^`]+)`", text) == reserved
