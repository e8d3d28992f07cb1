# SPDX-License-Identifier: Apache-2.0
"""Links of the documentation lead somewhere; HAProxy takes the README's lines."""

import os
import pathlib
import re
import subprocess

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


def test_readme_haproxy_lines(tmp_path):
    """Put together as the README says, they are a configuration without a warning."""
    readme = (SOURCE / "README.md").read_text()
    section = readme.split("### 4. Tell HAProxy")[1].split("### 5.")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.S | re.M)
    frontend, backend, agent, untraced = [text for language, text in blocks if not language]
    frontend = frontend.replace("/etc/haproxy/", f"{SOURCE}/haproxy/")
    (tmp_path / "haproxy.cfg").write_text(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend web
    bind 127.0.0.1:8080
{frontend}{untraced}
    default_backend app
backend app
{backend}
    server app 127.0.0.1:1
{agent}""")
    haproxy = os.environ.get("HAPROXY") or "haproxy"
    path = os.environ["PATH"] + ":/usr/sbin"
    done = subprocess.run([haproxy, "-c", "-f", tmp_path / "haproxy.cfg"], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout and "ALERT" not in done.stdout, done.stdout
