# SPDX-License-Identifier: Apache-2.0
"""A Debian with HAProxy, booted: systemd as process 1 of namespaces of its own, without a network, so that its
services take the ports that they take on any machine."""

import os
import pathlib
import subprocess

from lib.procs import Proc, wait_until

# $1: the root. Its own /sys, for a cgroup tree of version 2, which systemd of Debian 13 insists on.
BOOT = """
set -e
mount --make-rprivate /
mount --rbind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev/shm; do mount -t tmpfs -o mode=1777 none $folder; done
chmod 755 run
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target
"""
# A command in ROOT before it is booted, with the machine's network.
OUTSIDE = """
mount --make-rprivate /
mount -t proc proc "$1/proc"
exec chroot "$1" sh -ec "$2"
"""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive"}
# Of the system itself; what changes in them says nothing about packages.
ELSEWHERE = ("proc", "sys", "dev", "run", "tmp", "root", "var/log", "var/cache", "var/tmp", "var/lib/dpkg", "var/lib/apt",
             "var/lib/systemd/timers", "var/lib/systemd/random-seed", "etc/ld.so.cache", "etc/.pwd.lock")


def run(*argv, limit=1800, env=None):
    """Run to the end; what it wrote. A failure shows it."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=limit, check=False, env=env)
    assert done.returncode == 0, f"{argv} failed ({done.returncode}):\n{done.stdout}"
    return done.stdout


def outside(root, script):
    return run("unshare", "--mount", "--pid", "--fork", "sh", "-ec", OUTSIDE, "sh", root, script, env=ENVIRONMENT)


def files_of(root):
    """All that there is, less what is the system's own; and its users and groups."""
    found = set()
    for folder, folders, names in os.walk(root):
        here = pathlib.Path(folder).relative_to(root)
        folders[:] = [f for f in folders if str(here / f) not in ELSEWHERE]
        found |= {f"/{here / n}" for n in [*folders, *names] if str(here / n) not in ELSEWHERE}
    for name in "passwd", "group":
        found |= {f"{name}: {line}" for line in (root / "etc" / name).read_text().splitlines()}
    return found


class Machine:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.proc = Proc(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "--net",
                          "sh", "-ec", BOOT, "sh", root], name="systemd")
        children = pathlib.Path(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children")
        self.pid = wait_until(lambda: children.read_text().split(), "systemd's process")[0]
        wait_until(lambda: subprocess.run(self.argv("systemctl", "is-active", "multi-user.target"), check=False,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                          env=ENVIRONMENT).stdout == b"active\n",
                   self.proc.report, limit=300)

    def argv(self, *argv):
        return ["nsenter", "-t", self.pid, "-a", "--", *argv]

    def sh(self, script, folder="/root"):
        """Run lines of a shell, as root; what they wrote. A failure shows the machine's log."""
        try:
            return run(*self.argv("sh", "-ec", f"cd {folder}\n{script}"), env=ENVIRONMENT)
        except AssertionError as error:
            log = subprocess.run(self.argv("journalctl", "--no-pager", "--lines=100"), check=False, env=ENVIRONMENT,
                                 stdout=subprocess.PIPE, text=True).stdout
            raise AssertionError(f"{error}\n--- its log:\n{log}") from None

    def start(self, *argv):
        """A process that goes on."""
        return Proc(self.argv(*argv), env=ENVIRONMENT)

    def main_pid(self, unit):
        return self.sh(f"systemctl show --value -p MainPID {unit}").strip()

    def starts(self, unit):
        """How often it has got ready."""
        return self.sh(f"journalctl --unit {unit} --output cat").count('msg="ready"')

    def files(self):
        return files_of(self.root)

    def stop(self):
        self.proc.kill()
