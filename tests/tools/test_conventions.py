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
MESSAGES = {
    "REQUEST": "on-http-request",
    "BACKEND": "on-backend-http-request",
    "RESPONSE": "on-http-response",
    "LOG": "on-http-log",
}
SPANS = {"NO": "", "S": "S", "C": "C", "SC": "S, C"}


def code_rows(table):
    """The rows of a table, (the macro that is called, its parameters as texts)."""
    body = re.search(rf"#define {table}\([^)]*\)(.*?)\n(\n|/\*)", CODE, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body.replace("\\\n", " "), flags=re.S)
    rows = []
    for name, text in re.findall(r'([A-Z]+)\(((?:"[^"]*"|\((?:"[^"]*"|[^()"])*\)|[^()"])*)\)', body):
        text = re.sub(r'OTEL_CUT\("([^"]*)", (\d+)\)', r'"\1,bytes(0,\2)"', text)
        text = re.sub(r'OTEL_QUOTED\("([^"]*)"\)', r'"%{+Q,+E}[\1]"', text)
        words = re.findall(r'"[^"]*"|[^\s,]+', text)
        rows.append((name, [word.strip('"') for word in words]))
    return rows


def attributes():
    """The rows of OTEL_ATTRIBUTES with the texts of the names; NONE is ""."""
    keys = {**KEYS, "NONE": ""}
    return [
        [row[0], *(keys[name] for name in row[1:4]), *row[4:]]
        for _, row in code_rows("OTEL_ATTRIBUTES")
    ]


def fields():
    """The fields by id: (name or "", kind, what it becomes, spans by open, response, line)."""
    names = {row[0]: row[1] for row in attributes()}
    found = {}
    for macro, row in code_rows("OTEL_TABLE"):
        if macro not in ("FIELD", "NAMED"):
            continue
        if macro == "FIELD":
            row.insert(1, "")
        field, name, kind, attribute, *spans = row
        becomes = {"START": "the start", "END": "the end"}.get(kind, names.get(attribute, ""))
        found[field] = (name, kind, becomes, *(SPANS[on] for on in spans))
    return found


def declared():
    """(message, id, its name, its expression, its help) of each declared argument."""
    return [
        (MESSAGES[macro], row[1], *row[3:])
        for macro, row in code_rows("OTEL_TABLE")
        if macro in MESSAGES
    ]


def docs_rows(head):
    """The rows of the table whose first line begins with `head`, without back quotes."""
    lines = DOCS[DOCS.index(f"\n| {head} |") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def test_attributes():
    code = [
        (name + ("*" if stays == "1" else ""), server, client, "yes" if "M" in signals else "")
        for _, name, server, client, stays, signals in attributes()
    ]
    assert len(code) > 30
    assert [tuple(row) for row in docs_rows("attribute")] == code


def test_metrics_have_the_attributes_that_the_table_says():
    """Issue 11, 2.1: on which signal."""
    meter = (SOURCE / "otel-plugin/meter/meter.h").read_text()
    body = re.search(r"#define METER_ATTRIBUTES\(X\)(.*?)\n\n", meter, re.S).group(1)
    assert {row[1] for row in attributes() if "M" in row[5]} == set(re.findall(r'"([^"]+)"', body))


def test_arguments():
    code, reserved = [], []
    for name, kind, becomes, opens, response, line in fields().values():
        if name and kind == "NONE":
            reserved.append(name)
        elif name:
            code.append((name, becomes, opens, response, line))
    assert len(code) > 30
    rows = docs_rows("argument")
    assert sorted((row[0], *row[3:]) for row in rows) == sorted(code)
    text = re.search(r"^Reserved, .*?: (.*?)\.\n\n", DOCS, re.S | re.M).group(1)
    assert sorted(re.findall(r"`([^`]+)`", text)) == sorted(reserved)


def test_what_each_message_brings():
    """Issue 11, 2.1: each field with its argument in each message."""
    known = fields()
    code = {}
    for message, field, name, _, about in declared():
        becomes = known[field][2] if field in known else ""
        row = code.setdefault(field, [*[""] * len(MESSAGES), becomes, about])
        row[list(MESSAGES.values()).index(message)] = name
    rows = docs_rows("on-http-request")
    assert len(rows) > 40
    assert rows == list(code.values())


def test_a_field_comes_with_one_argument_of_a_message():
    seen = [(message, field) for message, field, *_ in declared()]
    names = [(message, name) for message, _, name, *_ in declared()]
    assert len(set(seen)) == len(seen) and len(set(names)) == len(names)


def test_log_keys_are_those_of_the_files():
    """Each key that the plugin reads is in the shipped line, as it is declared, but for one that
    HAProxy 2.6 does not know, and two that these rules do not need: they stand in a comment."""
    text = (SOURCE / "haproxy/otel-log.cfg").read_text()

    def pairs(name):
        text = (SOURCE / "haproxy" / name).read_text()
        line = re.search(r'^ *log-format "v=1 (.*)"$', text, re.M).group(1)
        return dict(pair.split("=", 1) for pair in line.split())

    alone, beside = pairs("otel-log.cfg"), pairs("otel-both.cfg")
    keys = {
        name: expression
        for message, _, name, expression, _ in declared()
        if message == "on-http-log" and not name.startswith("syslog.")  # no keys: the host's
    }
    for name in ("start", "sid", "cid"):
        assert f"#   {name}={keys.pop(name)} " in text
    assert {**alone, "uid": beside["uid"], "mark": beside["mark"]} == keys
    # Beside SPOE the agent has the context, by variables of its own; all else is the same.
    context = {"tp", "in", "tracestate", "uid", "mark"}
    assert {key for key in alone if key not in context} == {key for key in beside if key not in context}
    assert all(beside[key] == alone[key] for key in beside if key not in context)
