# SPDX-License-Identifier: Apache-2.0
"""Links of the documentation lead somewhere."""

import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
PAGES = [p for p in (*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md"), *SOURCE.glob("plugins/*/*.md"))]


def anchors(page):
    """As GitHub and its like make them of headings."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_links(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page}: {target}"


def test_pages_are_in_the_index():
    index = (SOURCE / "docs" / "README.md").read_text()
    for page in SOURCE.glob("docs/*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page
