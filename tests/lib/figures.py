# SPDX-License-Identifier: Apache-2.0
"""Figures of docs/performance.md that other pages repeat.

A repeated figure has a comment behind it, on its line, that says where it comes from; a reader does not see it:

    HAProxy takes 34 µs<!-- figure log[bursts, messages; HAProxy] - log[bursts, plain; HAProxy] --> more.

`log` is a part of performance.md between `<!-- bench log -->` (or `<!-- figures log -->`) and `<!-- end -->`.
`bursts, messages` are the first cells of a row of one of its tables. `HAProxy` begins the head of a column.
Several of these can be added and subtracted. The last number before the comment is what they come to, rounded
to the digits that it has.
"""

import re

from lib import pages

PART = re.compile(r"<!-- (?:bench|figures) (\w+) -->\n(.*?)<!-- end -->", re.S)
MARK = re.compile(r"<!-- figure (.*?) -->")
TERM = re.compile(r"([+-]?) *(\w+)\[([^;\]]*); ([^\]]*)\]")
NUMBER = re.compile(r"\d{1,3}(?: \d{3})+(?![\d.])|\d+(?:\.\d+)?")


def numbers(text):
    return [one.replace(" ", "") for one in NUMBER.findall(MARK.sub("", text))]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text):
    """Each as its rows, the head first."""
    for found in re.findall(r"(?:^\|.*\n)+", text, re.M):
        head, _, *rows = [cells(line) for line in found.splitlines()]
        yield [head, *rows]


def value(text, row, column):
    """Of the one cell of a part."""
    found = [line[i] for head, *lines in tables(text) for line in lines for i, name in enumerate(head)
             if row in (", ".join(line[:n]) for n in range(1, i + 1)) and name.startswith(column)]
    assert len(found) == 1, f"{len(found)} cells [{row}; {column}]"
    return float(numbers(found[0])[0])


def sum_of(expression, source):
    parts = dict(PART.findall(source))
    assert re.fullmatch(rf"(?:{TERM.pattern} *)+", expression), f"not understood: {expression}"
    return sum(float(sign + "1") * value(parts[part], row, column)
               for sign, part, row, column in TERM.findall(expression))


def wrong(text, source):
    """What a page says otherwise than its source: [(what it says, what it would be, where from)]."""
    found = []
    for line in text.splitlines():
        for mark in MARK.finditer(line):
            says = numbers(line[:mark.start()])[-1]
            digits = len(says.partition(".")[2])
            is_ = sum_of(mark[1], source)
            if abs(is_ - float(says)) > 0.5 * 10**-digits + 1e-9:
                found.append((says, f"{is_:.{digits}f}", mark[1]))
    return found


def unmarked(text, unit):
    """Numbers with this unit that no comment follows."""
    return re.findall(rf"[^|.]*\d {unit}(?!<!-- figure)", pages.without_blocks(text))
