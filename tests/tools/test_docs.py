# SPDX-License-Identifier: Apache-2.0
"""Links of the documentation lead somewhere, its index has every page, headings are what they should be, and
HAProxy takes the lines of "Get started" (issue 13, 5)."""

import os
import pathlib
import re
import subprocess
from urllib.parse import urlsplit

import pytest

from lib import figures, pages

SOURCE = pathlib.Path(pages.SOURCE)
# Everything that is written here: neither what is built nor what an issue tracker fills in.
PAGES = sorted(p for p in SOURCE.rglob("*.md")
               if p.relative_to(SOURCE).parts[0] not in ("build", ".git", ".github", "tests")
               and "template" not in p.parts)
IDS = [str(p.relative_to(SOURCE)) for p in PAGES]


def test_there_are_pages():
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links(page):
    """13.5: relative ones exist, with their anchors; others look like addresses."""
    for target in pages.links(page.read_text()):
        if re.match(r"[a-z]+:", target):
            url = urlsplit(target)
            assert url.scheme in ("http", "https") and url.netloc and not re.search(r"\s", target), (
                f"{page}: {target}")
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in pages.anchors(file.read_text()), f"{page}: {target}"


def test_links_are_seen():
    """What the test above looks at."""
    text = "# A b\n# A b\n[x](y.md#z) ![p](i.svg) <https://a.example/> `[no](no)`\n```sh\n# no\n[no](no)\n```\n"
    assert pages.links(text) == ["y.md#z", "i.svg", "https://a.example/"]
    assert list(pages.anchors(text)) == ["a-b", "a-b-1"]


def test_pages_are_in_the_index():
    index = pages.links((SOURCE / "docs" / "README.md").read_text())
    for page in (SOURCE / "docs").rglob("*.md"):
        name = str(page.relative_to(SOURCE / "docs"))
        assert name == "README.md" or name in index, page


def test_pictures_are_small():
    """13.5: at most 200 KiB each."""
    for picture in (SOURCE / "docs").rglob("*"):
        if picture.suffix in (".png", ".svg", ".jpg"):
            assert picture.stat().st_size <= 200 * 1024, picture


SOURCE_OF_FIGURES = "docs/performance.md"
# Those that say in microseconds what performance.md has measured.
REPEATING = ["README.md", "docs/ways.md", "docs/how-to/sizing.md", "docs/agent-in-go.md", "docs/haproxy.md"]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_figures(page):
    """13.5: what a page repeats of performance.md is what stands there."""
    assert figures.wrong(page.read_text(), pages.read(SOURCE_OF_FIGURES)) == []


@pytest.mark.parametrize("name", REPEATING)
def test_figures_are_marked(name):
    """13.5: so that the test above sees them."""
    assert figures.MARK.search(pages.read(name))
    assert figures.unmarked(pages.read(name), "µs") == []


def test_figures_that_differ_are_seen():
    """What the two tests above look at."""
    source = """<!-- bench a -->
| load | way | CPU µs | p50 |
| --- | --- | --- | --- |
| bursts | plain | 18.8 | 826 |
| bursts | log | 32.9 | 1 128 |
| bursts | log, 1 % | 28.0 | 1 |

| what | measured |
| --- | --- |
| memory, idle | 18.0 MiB |
<!-- end -->"""
    good = """It takes 4 000 times 14<!-- figure a[bursts, log; CPU] - a[bursts, plain; CPU] --> µs.
| 18 MiB<!-- figure a[memory, idle; measured] --> | 1 128 µs<!-- figure a[bursts, log; p50] --> |"""
    assert figures.wrong(good, source) == [] and figures.unmarked(good, "µs") == []
    assert figures.wrong(good.replace("times 14", "times 15"), source) == [
        ("15", "14", "a[bursts, log; CPU] - a[bursts, plain; CPU]")]
    assert figures.wrong(good.replace("18 M", "18.1 M"), source) == [("18.1", "18.0", "a[memory, idle; measured]")]
    assert figures.unmarked("a 5 µs<!-- figure a[x; y] --> | b 6 µs | 7 ms", "µs") == [" b 6 µs"]
    with pytest.raises(AssertionError):
        figures.wrong("1<!-- figure a[bursts; CPU] -->", source)


def test_haproxy_lines(tmp_path):
    """Put together as "Get started" says, they are a configuration without a warning."""
    frontend, backend, agent, untraced = (
        pages.part("docs/get-started.md", word) for word in ("frontend", "backend", "agent", "untraced"))
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
