# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation: their headings, links and fenced blocks.

The words behind a block's language say what the block is; a reader of the page does not see them:

    ```sh                        a command
    ```sh background=TEXT        one that goes on running; it is there when it has printed TEXT
    ```sh instead=WORD background=TEXT   the same; those before it with WORD in their command are ended first
    ```sh owner=NAME             one that needs root, systemd or a container; NAME says who runs it
    ```text                      what the commands before have printed, line by line
    ```haproxy file=PATH         a file that the commands behind it need, likewise ini, conf, yaml
    ```haproxy frontend          a part of a configuration that haproxy -c takes
"""

import os
import re
from dataclasses import dataclass, field

SOURCE = os.environ.get("SPOE_TEST_SOURCE_DIR") or os.environ.get("SPOE_TEST_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.S | re.M)


@dataclass
class Block:
    language: str
    words: list  # behind the language, without those that have a value
    options: dict = field(default_factory=dict)
    text: str = ""
    heading: str = ""
    line: int = 0


def read(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def without_blocks(text):
    return FENCE.sub("", text)


def headings(text):
    return re.findall(r"^#+ (.*?) *$", without_blocks(text), re.M)


def anchors(text):
    """As GitHub and its like make them of headings."""
    seen = {}
    for heading in headings(text):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen[name] = seen.get(name, -1) + 1
        yield f"{name}-{count}" if count else name


def links(text):
    text = re.sub(r"`[^`\n]*`", "", without_blocks(re.sub(r"<!--.*?-->", "", text, flags=re.S)))
    return re.findall(r"\]\(\s*([^)]*?)\s*\)", text) + re.findall(r"<((?:https?|mailto):[^>]*)>", text)


def parse_info(info):
    language, _, rest = info.strip().partition(" ")
    if rest.startswith("background="):  # the whole rest: it may have blanks
        return language, [], {"background": rest.removeprefix("background=")}
    words = rest.split()
    return language, [w for w in words if "=" not in w], dict(w.split("=", 1) for w in words if "=" in w)


def blocks(name):
    """All fenced blocks of a page, in order."""
    text = read(name)
    found = []
    for match in FENCE.finditer(text):
        language, words, options = parse_info(match.group(3))
        before = headings(text[: match.start()])
        indent = match.group(1)
        body = re.sub(rf"^{indent}", "", match.group(4), flags=re.M)
        found.append(Block(language, words, options, body, before[-1] if before else "",
                           text.count("\n", 0, match.start()) + 1))
    return found


def part(name, *words):
    """The text of the one block with these words behind its language."""
    found = [block.text for block in blocks(name) if block.words == list(words)]
    assert len(found) == 1, f"{name}: {len(found)} blocks {words}"
    return found[0]
