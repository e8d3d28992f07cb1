# SPDX-License-Identifier: Apache-2.0
"""make install and make uninstall are a pair: afterwards all is as it was before, but for what somebody
has changed in between. (13.2)"""

import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])


def make(target, dest, prefix="/usr/local", build=BUILD, status=0):
    done = subprocess.run(["make", "-C", SOURCE, "--no-print-directory", target, f"BUILD={build}",
                           f"PREFIX={prefix}", f"DESTDIR={dest}"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    assert (done.returncode == 0) == (status == 0), done.stdout
    return done.stdout


def tree(top):
    """Everything below a folder, with modes and contents."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_dir():
            what = "folder"
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(top))] = (path.lstat().st_mode, what)
    return found


@pytest.fixture
def dest(tmp_path):
    """A machine on which there are other things already, in the same folders."""
    top = tmp_path / "dest"
    for folder in ("usr/local/share/man/man8", "usr/local/lib/pkgconfig", "usr/local/bin",
                   "usr/local/share/bash-completion/completions", "etc/spoe-host"):
        (top / folder).mkdir(parents=True)
    (top / "usr/local/share/man/man8/other.8").write_text("other")
    (top / "usr/local/bin/other").write_text("other")
    (top / "etc/spoe-host/spoe-host.ini").write_text("[host]\n")
    yield top
    shutil.rmtree(tmp_path)


def test_afterwards_it_is_as_before(dest):
    before = tree(dest)
    make("install", dest)
    installed = dest / "usr/local"
    assert subprocess.run([installed / "bin/spoe-host", "--version"], check=True, timeout=60,
                          stdout=subprocess.PIPE).stdout.startswith(b"spoe-host ")
    assert (installed / "share/man/man8/spoe-host.8").exists()
    assert (installed / "bin/otlp-console").exists() == (BUILD / "bin/otlp-console").exists()
    assert (installed / "share/bash-completion/completions/spoe-host").exists()
    assert (installed / "lib/spoe-host/plugins").is_dir()
    # Without the build that it came from.
    said = make("uninstall", dest, build="/nonexistent")
    assert "left" not in said
    assert tree(dest) == before


def test_a_second_installation_and_folders_that_are_not_there(tmp_path):
    """The prefix, with a blank in it, and what is above it are made, and go again."""
    dest = tmp_path / "dest"
    dest.mkdir()
    for _ in range(2):
        assert "changed" not in make("install", dest, prefix="/opt/a b/c")
    assert (dest / "opt/a b/c/bin/spoe-host").exists()
    make("uninstall", dest, prefix="/opt/a b/c")
    assert tree(dest) == {}
    assert "nothing was installed there" in make("uninstall", dest, prefix="/opt/a b/c", status=1)
    assert "no absolute path" in make("uninstall", dest, prefix="opt", status=1)
    shutil.rmtree(dest)


def test_what_somebody_changed_stays(dest):
    before = tree(dest)
    make("install", dest)
    share = dest / "usr/local/share/spoe-host"
    with (share / "haproxy.cfg").open("a") as file:
        file.write("# mine\n")
    (share / "otel-spoe.cfg").unlink()
    (share / "otel-spoe.cfg").symlink_to("/etc/haproxy/otel-spoe.cfg")
    (share / "spoe-otel.cfg").unlink()
    (share / "mine.cfg").write_text("mine\n")
    (dest / "usr/local/lib/spoe-host/plugins/mine.so").write_text("mine\n")
    said = make("uninstall", dest)
    for name in ("haproxy.cfg", "otel-spoe.cfg"):
        assert f"left, since it was changed: {share}/{name}" in said
    left = set(tree(dest)) - set(before)
    assert left == {"usr/local/share/spoe-host", "usr/local/share/spoe-host/haproxy.cfg",
                    "usr/local/share/spoe-host/otel-spoe.cfg", "usr/local/share/spoe-host/mine.cfg",
                    "usr/local/lib/spoe-host", "usr/local/lib/spoe-host/plugins",
                    "usr/local/lib/spoe-host/plugins/mine.so"}
    assert {k: v for k, v in tree(dest).items() if k in before} == before


@pytest.mark.parametrize("again", [False, True])
def test_one_that_is_cut_short(dest, again):
    """By a full disk, say: what is there by then is known, the first time and the next."""
    before = tree(dest)
    man = dest / "usr/local/share/man/man5"
    if again:
        make("install", dest)
        host, listed = dest / "usr/local/bin/spoe-host", dest / "usr/local/share/spoe-host/installed"
        of_now = hashlib.sha256(host.read_bytes()).hexdigest()
        host.write_text("that of the version before")
        listed.write_text(listed.read_text().replace(of_now, hashlib.sha256(host.read_bytes()).hexdigest()))
        shutil.rmtree(man)
    man.write_text("in the way")
    make("install", dest, status=1)
    man.unlink()
    assert (dest / "usr/local/share/spoe-host/haproxy.cfg").exists()
    assert "left" not in make("uninstall", dest)
    assert tree(dest) == before


def test_one_that_is_cut_short_is_done_again(dest):
    """What it had not come to is still that of the version before, and nobody's change."""
    before = tree(dest)
    make("install", dest)
    top, listed = dest / "usr/local", dest / "usr/local/share/spoe-host/installed"
    lines = []
    for line in listed.read_text().splitlines():
        if line.startswith("file "):
            path = line.split(" ", 2)[2]
            with (top / path).open("ab") as file:
                file.write(b"\nof the version before\n")
            line = f"file {hashlib.sha256((top / path).read_bytes()).hexdigest()} {path}"
        lines.append(line)
    (top / "share/old.cfg").write_text("old\n")
    lines.append(f"file {hashlib.sha256(b'old' + bytes([10])).hexdigest()} share/old.cfg")
    listed.write_text("\n".join(lines) + "\n")
    man = top / "share/man/man5"
    shutil.rmtree(man)
    man.write_text("in the way")
    make("install", dest, status=1)
    man.unlink()
    said = make("install", dest)
    assert "changed" not in said and "left" not in said, said
    assert not (top / "share/old.cfg").exists() and not list(top.rglob("*.changed"))
    (listed.parent / "installed.new").write_text("of a list that was cut short")
    assert "left" not in make("uninstall", dest)
    assert tree(dest) == before


def test_the_next_version(dest):
    """What it no longer has goes; what was changed of what it has is kept beside it."""
    before = tree(dest)
    make("install", dest)
    share = dest / "usr/local/share/spoe-host"
    (share / "old.cfg").write_text("old\n")
    (share / "old and mine.cfg").write_text("mine\n")
    old = hashlib.sha256(b"old\n").hexdigest()
    with (share / "installed").open("a") as file:
        file.write(f"file {old} share/spoe-host/old.cfg\nfile {old} share/spoe-host/old and mine.cfg\n")
    (share / "haproxy.cfg").write_text("mine\n")
    said = make("install", dest)
    assert not (share / "old.cfg").exists()
    assert (share / "old and mine.cfg").read_text() == "mine\n"
    assert (share / "haproxy.cfg.changed").read_text() == "mine\n"
    assert f"was changed, kept as: {share}/haproxy.cfg.changed" in said
    assert (share / "haproxy.cfg").read_bytes() == (SOURCE / "haproxy/haproxy.cfg").read_bytes()
    (share / "haproxy.cfg.changed").unlink()
    (share / "old and mine.cfg").unlink()
    make("uninstall", dest)
    assert tree(dest) == before
