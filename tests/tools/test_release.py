# SPDX-License-Identifier: Apache-2.0
"""13.1: tools/release, in a repository that is made up; and that CHANGELOG.md has the form which it reads."""

import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
CHANGELOG = """# Changelog

What changed.

## [1.2.3] - 2026-12-01

### Added

- This.

## [1.2.2] - 2026-11-01

- That.
"""


def git(tree, *words):
    identity = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "n"), ("EMAIL", "e@example.org"), ("DATE", "2001-02-03T04:05:06Z"))}
    subprocess.run(["git", "-C", tree, *words], check=True, timeout=60, capture_output=True,
                   env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null"})


@pytest.fixture
def tree(tmp_path):
    """A tree that can be released as 1.2.3."""
    tree = tmp_path / "tree"
    (tree / "tools").mkdir(parents=True)
    (tree / "debian").mkdir()
    shutil.copy(SOURCE / "tools/release", tree / "tools/release")
    (tree / "CMakeLists.txt").write_text("project(spoe-host VERSION 1.2.3 LANGUAGES C\n")
    (tree / "CHANGELOG.md").write_text(CHANGELOG)
    (tree / "debian/changelog").write_text("spoe-host (1.2.3) unstable; urgency=medium\n\n"
                                           " -- Some One <one@example.org>  Tue, 01 Dec 2026 00:00:00 +0000\n")
    (tree / "debian/control").write_text("Source: spoe-host\nMaintainer: Some One <one@example.org>\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "all")
    return tree


def release(tree, *words):
    done = subprocess.run([tree / "tools/release", *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def replace(file, was, now):
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, now))


def test_ready(tree):
    assert release(tree, "check", "v1.2.3") == (0, "1.2.3\n", "")


@pytest.mark.parametrize("file, was, now, complaint", [
    ("CMakeLists.txt", "1.2.3", "1.2.4", "the tag is v1.2.3, CMakeLists.txt has 1.2.4"),
    ("CHANGELOG.md", "## [1.2.3] - 2026-12-01", "## [Unreleased]", "begins with '[Unreleased]'"),
    ("CHANGELOG.md", " - 2026-12-01", "", "begins with '[1.2.3]'"),
    ("CHANGELOG.md", "### Added\n\n- This.\n\n", "", "something below it"),
    ("debian/changelog", "1.2.3", "1.2.2", "debian/changelog begins with 1.2.2"),
    ("debian/changelog", "example.org", "spoe-host.invalid", "a placeholder in debian/changelog\n"),
    ("debian/control", "example.org", "spoe-host.invalid", "a placeholder in debian/control\n"),
])
def test_not_ready(tree, file, was, now, complaint):
    replace(tree / file, was, now)
    status, out, err = release(tree, "check", "v1.2.3")
    assert status == 1 and out == "" and err.startswith("release: ") and complaint in err


def test_notes(tree):
    assert release(tree, "notes", "1.2.3") == (0, "### Added\n\n- This.\n", "")
    assert release(tree, "notes", "1.2.2") == (0, "- That.\n", "")
    assert release(tree, "notes", "1x2.2")[0] == 1


def test_source_is_the_same_twice(tree, tmp_path):
    archives = []
    for folder in ("a", "b"):
        assert release(tree, "source", tmp_path / folder)[0] == 0
        archives.append((tmp_path / folder / "spoe-host-1.2.3.tar.gz").read_bytes())
        assert os.listdir(tmp_path / folder) == ["spoe-host-1.2.3.tar.gz"]
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "a/spoe-host-1.2.3.tar.gz") as archive:
        names = {m.name for m in archive.getmembers() if m.isfile()}
        assert names == {f"spoe-host-1.2.3/{name}"
                         for name in ("CMakeLists.txt", "CHANGELOG.md", "debian/changelog", "debian/control", "tools/release")}
        assert {m.mtime for m in archive.getmembers()} == {981173106}
    assert gzip.decompress(archives[0])


def test_checksums(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("b.deb", "a file.tar.gz"):
        (out / name).write_text(name)
    assert release(tree, "checksums", out)[0] == 0
    lines = (out / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("a file.tar.gz", "b.deb")]
    # Once more: not of itself.
    assert release(tree, "checksums", out)[0] == 0
    assert (out / "SHA256SUMS").read_text().splitlines() == lines


def test_what_it_does_not_know(tree):
    assert release(tree, "publish", "v1.2.3")[0] == 1
    assert release(tree)[0] == 1


def test_changelog():
    """Its headings are [Unreleased] or [VERSION] - DATE, the newest first, down to 0.1.0."""
    headings = re.findall(r"^## (.*)$", (SOURCE / "CHANGELOG.md").read_text(), re.M)
    released = headings[1:] if headings[0] == "[Unreleased]" else headings
    found = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in released]
    assert all(found), headings
    versions = [tuple(map(int, match.groups()[:3])) for match in found]
    assert versions == sorted(versions, reverse=True) and versions[-1] == (0, 1, 0)
    assert [m[4] for m in found] == sorted((m[4] for m in found), reverse=True)
