# SPDX-License-Identifier: Apache-2.0
"""The unit as it is shipped, under a systemd of its own in namespaces of its own. (5.5)

That systemd is process 1 of a PID namespace, with /run, /usr/local and /etc/default of the test; the
host and its plugins are copied to where the unit looks for them. Needs root and Debian's systemd."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from lib.procs import LIMIT, Proc, ReservedPort, wait_until
from lib.spop import Client, notify_frame

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
PLUGINS = pathlib.Path(os.environ["SPOE_TEST_PLUGINS"])
UNIT = SOURCE / "dist/spoe-host.service"
GROUP = "games"  # one that Debian has and that the unit's user is not in
SOCKET = "/run/spoe-host/spoe.sock"

# In its mount namespace, before systemd takes over. $1: the folder of the test.
SETUP = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
for folder in /run /usr/local /etc/default; do mount -t tmpfs none $folder; done
mkdir -p /run/units /usr/local/bin /usr/local/lib
cp -a "$1"/units/. /run/units/
cp "$1"/spoe-host /usr/local/bin/
cp -a "$1"/lib/. /usr/local/lib/
exec env -i container=test SYSTEMD_UNIT_PATH=/run/units: PATH="$PATH" /lib/systemd/systemd --system \
    --unit=test.target --log-target=console --log-level=info --default-standard-output=null
"""


class Systemd:
    def __init__(self, folder):
        self.proc = Proc(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc",
                          "--cgroup", "sh", "-c", SETUP, "sh", folder], name="systemd")
        children = pathlib.Path(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children")
        self.pid = int(wait_until(lambda: children.read_text().split(), "systemd's process")[0])
        self.root = pathlib.Path(f"/proc/{self.pid}/root")
        wait_until(lambda: self.systemctl("is-active", "test.target", check=False) == "active",
                   self.proc.report)

    def run(self, *argv, check=True):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "--", *argv], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                              check=False)
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{self.report()}"
        return done.stdout.strip()

    def systemctl(self, *argv, check=True):
        return self.run("systemctl", *argv, check=check)

    def show(self, name):
        return self.systemctl("show", "spoe-host", "--value", "-p", name)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "run/log").read_text(encoding="utf-8")
        return ""

    def report(self):
        return f"\n--- the host wrote:\n{self.log()}{self.proc.report()}"

    def wait(self, condition, what):
        wait_until(condition, lambda: what + self.report())

    def settings(self, **variables):
        """What /etc/default/spoe-host has."""
        (self.root / "etc/default/spoe-host").write_text(
            "".join(f"{name}={value}\n" for name, value in variables.items()))

    def override(self, text):
        """A drop-in of the unit's, until the end of the test."""
        folder = self.root / "run/units/spoe-host.service.d"
        (folder / "zz.conf").write_text(text)
        self.systemctl("daemon-reload")

    def start(self, fails=False, **variables):
        self.settings(**{"SPOE_ADMIN_ADDR": "off", "SPOE_PLUGINS": "otel.so",
                         "OTEL_TRACES_EXPORTER": "none", "SPOE_ADDR": "unix:" + SOCKET, **variables})
        self.systemctl("restart", "spoe-host", check=not fails)

    def answers(self):
        try:
            with Client(str(self.root) + SOCKET) as client:
                client.hello()
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def systemd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systemd")
    units = folder / "units"
    (units / "spoe-host.service.d").mkdir(parents=True)
    shutil.copy(UNIT, units)
    # What a user says for SPOE_SOCKET_GROUP; and what the test needs: no other units, a log to look
    # at, and restarts that follow each other more quickly.
    (units / "spoe-host.service.d/test.conf").write_text(
        "[Unit]\nDefaultDependencies=no\nWants=\nAfter=\nBefore=\n"
        f"[Service]\nSupplementaryGroups={GROUP}\nRestartSec=50ms\nStandardError=append:/run/log\n")
    (units / "test.target").write_text("[Unit]\nDescription=nothing\nDefaultDependencies=no\n")
    shutil.copy(BUILD / "bin/spoe-host", folder)
    shutil.copytree(BUILD / "lib/spoe-host/plugins", folder / "lib/spoe-host/plugins")
    shutil.copy(PLUGINS / "trouble.so", folder / "lib/spoe-host/plugins")
    for path in [folder, *folder.parents]:
        if path.is_relative_to("/tmp") and path != pathlib.Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    systemd = Systemd(folder)
    yield systemd
    systemd.proc.kill()


@pytest.fixture(autouse=True)
def stopped(systemd):
    yield
    systemd.systemctl("stop", "spoe-host")
    systemd.systemctl("reset-failed", "spoe-host", check=False)
    with contextlib.suppress(FileNotFoundError):
        (systemd.root / "run/units/spoe-host.service.d/zz.conf").unlink()
        systemd.systemctl("daemon-reload")


def test_the_socket_has_its_group(systemd):
    """lchown() goes through what the unit allows."""
    systemd.start(SPOE_SOCKET_GROUP=GROUP)
    systemd.wait(systemd.answers, "an answer")
    found = (pathlib.Path(str(systemd.root) + SOCKET)).stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == int(systemd.run("getent", "group", GROUP).split(":")[2])
    assert found.st_uid == int(systemd.show("UID")) > 1000, "a user of its own"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_it_is_started_again_whatever_it_ended_with(systemd, number):
    systemd.start()
    systemd.wait(systemd.answers, "an answer")
    first = systemd.show("MainPID")
    systemd.systemctl("kill", f"--signal={int(number)}", "--kill-whom=main", "spoe-host")
    systemd.wait(lambda: systemd.show("MainPID") not in (first, "0") and systemd.answers(),
                 "another process that answers")


def test_a_bad_configuration_is_not_tried_again(systemd):
    systemd.start(fails=True, SPOE_WORKERS="many")
    systemd.wait(lambda: systemd.show("ActiveState") == "failed", "failure")
    assert systemd.show("ExecMainStatus") == "78"
    assert systemd.show("NRestarts") == "0"
    assert "environment SPOE_WORKERS: host.workers" in systemd.show("StatusText")
    assert "environment SPOE_WORKERS: host.workers" in systemd.log()


def test_anything_else_is_tried_for_as_long_as_it_takes(systemd):
    """More often than the five times in ten seconds that systemd would allow by itself."""
    with ReservedPort() as port:
        listener = socket.socket()
        with listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port.port))
            listener.listen()
            systemd.start()
            systemd.settings(SPOE_ADMIN_ADDR=port.address, SPOE_ADDR="unix:" + SOCKET,
                             OTEL_TRACES_EXPORTER="none")
            systemd.systemctl("restart", "spoe-host", check=False)
            systemd.wait(lambda: int(systemd.show("NRestarts")) >= 8, "eight restarts")
        systemd.wait(systemd.answers, "an answer")


def test_a_start_returns_when_it_is_ready(systemd):
    """13.2: Type=notify; and the line of `systemctl status`."""
    systemd.start()
    assert systemd.answers(), "without a wait"
    assert (systemd.show("Type"), systemd.show("ActiveState")) == ("notify", "active")
    assert re.fullmatch(r"1 plugin, \d connections?, 0 messages", systemd.show("StatusText"))


def test_reload(systemd):
    """13.2: what is not right fails, and changes nothing."""
    systemd.start()
    pid = systemd.show("MainPID")
    systemd.systemctl("reload", "spoe-host")
    systemd.wait(lambda: "configuration read again" in systemd.log(), "the reload")
    systemd.wait(lambda: systemd.show("ActiveState") == "active", "its end")
    systemd.settings(SPOE_WORKERS="many")
    assert systemd.run("systemctl", "reload", "spoe-host", check=False) != ""
    assert (systemd.show("MainPID"), systemd.show("ActiveState")) == (pid, "active")
    assert systemd.answers()


def trouble(at):
    return f"ExecStart=\nExecStart=/usr/local/bin/spoe-host --set trouble.at={at}\n"


def test_a_worker_that_hangs_is_ended_and_started_again(systemd):
    """13.2: WatchdogSec=, with the plugin named that did not return."""
    systemd.override("[Service]\nWatchdogSec=2s\n" + trouble("handle"))
    systemd.start(SPOE_PLUGINS="trouble.so", SPOE_WORKERS="1")
    pid, restarts = systemd.show("MainPID"), systemd.show("NRestarts")
    assert systemd.show("WatchdogUSec") == "2s"
    with Client(str(systemd.root) + SOCKET) as client:
        client.hello()
        client.send(notify_frame([("trouble", {"text": "now"})]))
        systemd.wait(lambda: systemd.show("NRestarts") != restarts, "a restart")
    systemd.wait(lambda: systemd.show("MainPID") not in (pid, "0") and systemd.answers(), "an answer")
    assert "worker-0 is in handle() of plugin trouble" in systemd.log()
    assert "there is no WATCHDOG=1" in systemd.log()


def test_an_end_that_takes_longer_than_the_unit_says(systemd):
    """13.2: EXTEND_TIMEOUT_USEC. The unit's TimeoutStopSec= alone would have ended it with SIGKILL."""
    systemd.override("[Service]\nTimeoutStopSec=1s\n" + trouble("stop"))
    systemd.start(SPOE_PLUGINS="trouble.so", SPOE_SHUTDOWN_TIMEOUT="4s")
    systemd.systemctl("stop", "spoe-host")
    assert systemd.show("Result") == "exit-code", "its own watch ended it, no signal did"
    assert "shutdown-timeout has passed: main is in stop() of plugin trouble" in systemd.log()


def test_bounds(systemd):
    systemd.start()
    assert systemd.show("MemoryMax") == str(1 << 30)
    assert systemd.show("TasksMax") == "1024"


def test_what_systemd_thinks_of_it():
    """The rest is what a network service with a socket for other groups cannot do without."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                           "--threshold=15", UNIT], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for \S+: 1\.\d OK", done.stdout), done.stdout
