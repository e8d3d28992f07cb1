# SPDX-License-Identifier: Apache-2.0
"""13.5: what the pages say to do as root on a machine with systemd (blocks ```sh owner=service), run as it stands;
test_systemd.py has docs/service.md. The machine is a systemd in namespaces of its own, also of the network, with a
copy of /etc, what `make install` puts into /usr/local, and Debian's HAProxy as a service.

Nothing of the real machine can be written there: its root is read-only, and what has to be written lies over it. No
unit of a boot is started either: systemd-tmpfiles would empty /tmp, others would set what the kernel has once."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lib import pages
from lib.procs import LIMIT, Proc, wait_until

SOURCE = pathlib.Path(pages.SOURCE)
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
PAGES = sorted(str(p.relative_to(SOURCE)) for p in [SOURCE / "README.md", *(SOURCE / "docs").rglob("*.md")])

# Before systemd takes over, which sets up loopback itself. $1: the folder of the test.
SETUP = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs none /run
mkdir -p /run/systemd/system
cp -a "$1"/units/. /run/systemd/system/
ln -s /dev/null /run/systemd/system/sysinit.target
mount --bind "$1/usr/local" /usr/local
mount --bind "$1/etc" /etc
for folder in /root /tmp /var; do mount -t tmpfs -o mode=1777 none $folder; done
mkdir -p /var/lib/haproxy /var/tmp /var/log
mount -o remount,bind,ro /
mount --make-rshared /
exec env -i container=test PATH="$PATH" /lib/systemd/systemd --system --unit=test.target --log-target=console \
    --log-level=info --default-standard-output=null
"""
# No other units, and a log to look at: there is no journal.
ALONE = """[Unit]
DefaultDependencies=no
Wants=
After=
Before=
{more}[Service]
StandardError=append:/run/log
"""
HAPROXY = "BindReadOnlyPaths=\n"  # /dev/log, which is not there


class Machine:
    def __init__(self, folder):
        self.proc = Proc(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "--net",
                          "sh", "-c", SETUP, "sh", folder], name="systemd")
        children = pathlib.Path(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children")
        self.pid = wait_until(lambda: children.read_text().split(), "systemd's process")[0]
        self.root = pathlib.Path(f"/proc/{self.pid}/root")
        wait_until(lambda: self.run("systemctl is-active test.target", check=False) == "active\n", self.report)

    def run(self, script, check=True):
        """As root, in root's shell."""
        done = subprocess.run(["nsenter", "-t", self.pid, "-a", "--", "bash", "-euo", "pipefail", "-c", f"cd /root\n{script}"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * LIMIT,
                              check=False, env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"})
        assert done.returncode == 0 or not check, f"{script}: {done.stdout}{self.report()}"
        return done.stdout

    def report(self):
        log = self.root / "run/log"
        status = subprocess.run(["nsenter", "-t", self.pid, "-a", "--", "systemctl", "status", "--no-pager", "spoe-host"],
                                stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False).stdout
        return f"\n{status}\n--- the services wrote:\n{log.read_text() if log.exists() else ''}{self.proc.report()}"

    def is_well(self):
        assert self.run("systemctl is-active spoe-host haproxy", check=False) == "active\nactive\n", self.report()
        assert self.run("curl -s http://127.0.0.1:9902/readyz").startswith("ready")


def owned(page):
    return [block for block in pages.blocks(page) if block.options.get("owner") == "service"]


def install(folder):
    """What `make install` puts into /usr/local; and a sudo, which root does not need."""
    done = subprocess.run([SOURCE / "tools/install", "install"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False,
                          env={**os.environ, "BUILD": str(BUILD), "PREFIX": "/usr/local", "DESTDIR": str(folder)})
    assert done.returncode == 0, done.stdout
    sudo = folder / "usr/local/bin/sudo"
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """With HAProxy as "Get started" has it."""
    folder = tmp_path_factory.mktemp("machine")
    install(folder)
    shutil.copytree("/etc", folder / "etc", symlinks=True)
    for name in ("haproxy", "spoe-host"):
        (folder / "etc" / name).mkdir(exist_ok=True)
    for name in ("default/haproxy", "default/spoe-host"):
        (folder / "etc" / name).unlink(missing_ok=True)
    (whole,) = [b.text for b in pages.blocks("docs/get-started.md") if b.options.get("file") == "/etc/haproxy/haproxy.cfg"]
    (folder / "etc/haproxy/haproxy.cfg").write_text(whole)
    shutil.copy(SOURCE / "haproxy/spoe-otel.cfg", folder / "etc/haproxy")
    for unit, more in (("spoe-host", ""), ("haproxy", HAPROXY)):
        (folder / f"units/{unit}.service.d").mkdir(parents=True)
        (folder / f"units/{unit}.service.d/test.conf").write_text(ALONE.format(more="") + more)
    (folder / "units/test.target").write_text("[Unit]\nDescription=nothing\nDefaultDependencies=no\n")
    for path in [folder, *folder.parents]:
        if path.is_relative_to("/tmp") and path != pathlib.Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    machine = Machine(folder)
    for place in ("/usr/bin", "/home", "/opt"):
        assert "Read-only file system" in machine.run(f"touch {place}/written 2>&1", check=False), place
    machine.run("systemctl start haproxy")
    yield machine
    machine.proc.kill()


def test_pages(machine):
    """Those of "Get started" first: they install the service that the others are about."""
    first = "docs/get-started.md"
    found = [first, *(page for page in PAGES if page not in (first, "docs/service.md") and owned(page))]
    assert len(found) >= 4
    for page in found:
        for block in pages.blocks(page):
            if block.options.get("owner") == "service":
                if "chgrp spoe-host" in block.text:  # the user that Debian's packages make
                    machine.run("systemctl stop spoe-host; useradd --system --no-create-home spoe-host; systemctl start spoe-host")
                machine.run(block.text)
            elif block.language == "sh" and "> /etc/spoe-host/" in block.text:
                machine.run(re.sub(r"^.*spoe-host .*-t$", "", block.text, flags=re.M))  # files that the others need
        if page == first:
            assert machine.run("systemctl is-enabled spoe-host") == "enabled\n"
        machine.is_well()
    assert machine.run("stat -c '%a %U %G' /etc/spoe-host/otlp-headers") == "640 root spoe-host\n"
