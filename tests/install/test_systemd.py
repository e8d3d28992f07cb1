# SPDX-License-Identifier: Apache-2.0
"""The unit as it is shipped, under a systemd of its own in namespaces of its own. (5.5)

That systemd is process 1 of a PID namespace, with /run, /usr/local, /etc/default, /etc/systemd/system and
/var/lib/haproxy of the test; the host and its plugins are copied to where the unit looks for them. Needs root,
Debian's systemd, and for one test HAProxy."""

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

from lib import admin, haproxy as hap, pages
from lib.certs import Certs
from lib.collector import Collector
from lib.origin import Origin
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
mkdir -p /var/lib/haproxy
for folder in /run /usr/local /etc/default /etc/systemd/system /var/lib/haproxy; do
    mount -t tmpfs -o mode=755 none $folder
done
mkdir -p /run/units /usr/local/bin /usr/local/lib /usr/local/share/spoe-host
cp -a "$1"/units/. /run/units/
cp -a "$1"/units/spoe-host* /usr/local/share/spoe-host/
cp "$1"/spoe-host /usr/local/bin/
cp -a "$1"/lib/. /usr/local/lib/
# As a boot has it: what a service's start mounts in a namespace, as its credentials, is seen by the service.
mount --make-rshared /
# No unit of the machine's own: sysinit.target alone would clear its /tmp.
exec env -i container=test SYSTEMD_UNIT_PATH=/run/units:/etc/systemd/system PATH="$PATH" /lib/systemd/systemd --system \
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
        assert self.systemctl("show", "sysinit.target", "--value", "-p", "LoadState") == "not-found"

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
            "".join(f"{name}={value}\n" for name, value in variables.items() if value is not None))

    def override(self, text, unit="spoe-host.service"):
        """A drop-in of a unit's, until the end of the test."""
        folder = self.root / f"run/units/{unit}.d"
        folder.mkdir(exist_ok=True)
        (folder / "zz.conf").write_text(text)
        self.systemctl("daemon-reload")

    def enable(self, name, text):
        """What `systemctl enable` does, with a drop-in that says other addresses."""
        unit = f"spoe-host-{name}.socket"
        wants = self.root / "run/units/spoe-host.service.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit).symlink_to(f"../{unit}")
        self.override(f"[Unit]\nDefaultDependencies=no\n[Socket]\n{text}", unit)

    def state(self, unit):
        return self.systemctl("show", unit, "--value", "-p", "ActiveState")

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
    for plugin in ("trouble.so", "from_log.so"):
        shutil.copy(PLUGINS / plugin, folder / "lib/spoe-host/plugins")
    for unit in ("log", "admin", "spop"):
        shutil.copy(SOURCE / f"dist/spoe-host-{unit}.socket", units)
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
    (systemd.root / "run/log").unlink(missing_ok=True)
    units = systemd.root / "run/units"
    for unit in ("log", "admin", "spop"):
        systemd.systemctl("stop", f"spoe-host-{unit}.socket")
        systemd.systemctl("reset-failed", f"spoe-host-{unit}.socket", check=False)
    shutil.rmtree(units / "spoe-host.service.wants", ignore_errors=True)
    systemd.run("sh", "-c", "rm -rf /etc/systemd/system/*")
    for path in units.glob("*.d/zz.conf"):
        path.unlink()
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


# ---- 13.2: sockets that systemd holds ----


def numbers(systemd):
    with contextlib.suppress(FileNotFoundError):
        told = (systemd.root / "run/spoe-host/told").read_text()
        return sorted(int(n) for n in re.findall(r" n=int:(\d+)", told))
    return []


class Lines:
    """A port of UDP, and lines with numbers to it."""

    def __init__(self, systemd):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.systemd = systemd
        self.sent = 0

    def send(self, n=40):
        for _ in range(n):
            self.sock.sendto(b"v=1 n=%d" % self.sent, ("127.0.0.1", self.port))
            self.sent += 1

    def wait(self):
        self.systemd.wait(lambda: len(numbers(self.systemd)) >= self.sent, "all lines")
        assert numbers(self.systemd) == list(range(self.sent))


TELL = ("RuntimeDirectoryPreserve=yes\nExecStart=\nExecStart=/usr/local/bin/spoe-host "
        "--set from-log.file=/run/spoe-host/told\n")


def test_a_restart_loses_no_log_line(systemd):
    """Enabled for a service that runs; a restart, a crash, a stop."""
    systemd.override("[Service]\n" + TELL)
    systemd.start(SPOE_PLUGINS="from_log.so")
    lines = Lines(systemd)
    systemd.enable("log", f"ListenDatagram=\nListenDatagram=127.0.0.1:{lines.port}\n")
    systemd.start(SPOE_PLUGINS="from_log.so")
    assert systemd.state("spoe-host-log.socket") == "active"
    lines.send()
    lines.wait()
    with Proc(["nsenter", "-t", str(systemd.pid), "-m", "-p", "--", "systemctl", "restart",
               "spoe-host"], name="systemctl") as restart:
        lines.send()
        assert restart.wait() == 0
    lines.send()
    lines.wait()
    pid = systemd.show("MainPID")
    systemd.systemctl("kill", "--signal=KILL", "--kill-whom=main", "spoe-host")
    systemd.wait(lambda: systemd.show("MainPID") != pid, "its end")
    lines.send()
    lines.wait()
    assert "the kernel keeps" not in systemd.log(), "ReceiveBuffer=8M"
    systemd.systemctl("stop", "spoe-host")
    lines.send()  # what comes first starts it
    lines.wait()
    systemd.systemctl("stop", "spoe-host.service", "spoe-host-log.socket")
    assert systemd.state("spoe-host-log.socket") == "inactive"


def test_lines_do_not_start_a_bad_configuration_for_ever(systemd):
    lines = Lines(systemd)
    systemd.enable("log", f"ListenDatagram=\nListenDatagram=127.0.0.1:{lines.port}\n")
    systemd.override("[Service]\n" + TELL)
    systemd.start(fails=True, SPOE_PLUGINS="from_log.so", SPOE_LOG_ADDR="fd:log", SPOE_WORKERS="many")
    lines.send()
    systemd.wait(lambda: systemd.state("spoe-host-log.socket") == "failed", "the socket's end")
    systemd.wait(lambda: systemd.show("ActiveState") == "failed", "and the service's")
    (systemd.root / "run/spoe-host/told").unlink(missing_ok=True)
    systemd.start(SPOE_PLUGINS="from_log.so", SPOE_LOG_ADDR="fd:log")
    assert systemd.state("spoe-host-log.socket") == "active"


def refused(path):
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
    return False


def test_the_socket_of_spop_is_open_while_the_service_is(systemd):
    """With a group, which takes no right of the service's; open again after a restart and a crash; closed after
    a stop and after a failure that is for good."""
    path = "/run/haproxy/spop.sock"
    outside = str(systemd.root) + path
    systemd.enable("spop", f"ListenStream=\nListenStream={path}\nSocketGroup={GROUP}\nSocketMode=0660\n")
    held = {"SPOE_ADDR": "fd:spop"}

    def answers():
        try:
            with Client(outside) as client:
                client.hello()
                return True
        except OSError:
            return False

    systemd.start(**held)
    found = pathlib.Path(outside).stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == int(systemd.run("getent", "group", GROUP).split(":")[2])
    assert answers()
    systemd.systemctl("restart", "spoe-host")
    assert answers()
    pid = systemd.show("MainPID")
    systemd.systemctl("kill", "--signal=KILL", "--kill-whom=main", "spoe-host")
    systemd.wait(lambda: systemd.show("MainPID") not in (pid, "0") and answers(), "an answer")
    systemd.systemctl("stop", "spoe-host")
    # It is stopped behind the service, and `stop` waits for the service alone.
    systemd.wait(lambda: refused(outside) and systemd.state("spoe-host-spop.socket") == "inactive", "a closed socket")
    systemd.start(fails=True, SPOE_WORKERS="many", **held)
    systemd.wait(lambda: systemd.show("ActiveState") == "failed", "failure")
    systemd.wait(lambda: refused(outside), "a closed socket")
    assert systemd.show("NRestarts") == "0"


def test_the_socket_of_the_admin_endpoint(systemd):
    systemd.enable("admin", "ListenStream=\nListenStream=/run/pages.sock\n")
    systemd.start(SPOE_ADMIN_ADDR=None)
    assert admin.ask(f"unix:{systemd.root}/run/pages.sock", "/readyz").status == 200
    systemd.systemctl("restart", "spoe-host")
    assert admin.ask(f"unix:{systemd.root}/run/pages.sock", "/readyz").status == 200


def test_addresses_of_sockets_in_options(systemd):
    """As the pages have them, and configurations from before the packages enabled these sockets."""
    lines = Lines(systemd)
    systemd.override("[Service]\n" + TELL)
    systemd.enable("log", f"ListenDatagram=\nListenDatagram=127.0.0.1:{lines.port}\n")
    systemd.enable("admin", "ListenStream=\nListenStream=/run/pages.sock\n")
    systemd.start(SPOE_PLUGINS="from_log.so", SPOE_LOG_ADDR=f"udp:127.0.0.1:{lines.port}",
                  SPOE_ADMIN_ADDR="unix:/run/pages.sock")
    for _ in range(2):
        lines.send()
        lines.wait()
        assert admin.ask(f"unix:{systemd.root}/run/pages.sock", "/readyz").status == 200
        systemd.systemctl("restart", "spoe-host")


class InNamespace(hap.HAProxy):
    """HAProxy with the folders of that systemd."""

    def __init__(self, systemd, tmp, config, agents, origin):
        wrapper = tmp / "haproxy"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter -t {systemd.pid} -m -- {shutil.which("haproxy")} "$@"\n')
        wrapper.chmod(0o755)
        super().__init__(wrapper, config, agents, origin)


def test_the_commands_of_the_page(systemd, tmp_path):
    """docs/service.md, from its top: the service with the sockets of log lines and pages, and a socket below the root of a HAProxy
    that has a user and a root of its own; a request is traced over it."""
    lines = Lines(systemd)
    systemd.override(f"[Unit]\nDefaultDependencies=no\n[Socket]\nListenDatagram=\nListenDatagram=127.0.0.1:{lines.port}\n",
                     "spoe-host-log.socket")
    systemd.override("[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=\nListenStream=/run/pages.sock\n",
                     "spoe-host-admin.socket")
    systemd.override("[Unit]\nDefaultDependencies=no\n", "spoe-host-spop.socket")
    systemd.settings(OTEL_TRACES_EXPORTER="none", SPOE_ADDR="127.0.0.1:0",
                     SPOE_PROCESSING_TIMEOUT="10s")
    for block in pages.blocks("docs/service.md"):
        if block.language == "sh":
            systemd.run("bash", "-euo", "pipefail", "-c", 'sudo() { "$@"; }\n' + block.text)
            assert systemd.systemctl("is-active", "spoe-host") == "active", block
    assert systemd.state("spoe-host-log.socket") == systemd.state("spoe-host-spop.socket") == "active"
    assert f"taking log lines on udp:127.0.0.1:{lines.port} (fd:log)" in systemd.log()
    assert admin.ask(f"unix:{systemd.root}/run/pages.sock", "/readyz").status == 200
    config = hap.Config(tmp_path).relax().show_status()
    config.edit_main(r"^global\n", "global\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n", count=1)
    agent = re.search(r"`server agent1 (unix@\S+)`", pages.read("docs/service.md"))[1]
    with Origin() as origin, InNamespace(systemd, tmp_path, config, [agent], origin.address) as proxy:
        proxy.wait_agent()
        assert os.readlink(f"/proc/{proxy.pid}/root").endswith("/var/lib/haproxy")
        assert pathlib.Path(f"/proc/{proxy.pid}").stat().st_uid == int(systemd.run("id", "-u", "haproxy"))
        answer = proxy.get("/")
        assert answer.status == 200 and answer.otel_status is None, proxy.report()
        assert answer.headers.get("X-Otel-Traceparent") == origin.requests[-1].header("traceparent")


# ---- 13.2: credentials ----


def test_credentials(systemd, tmp_path):
    """By the page's drop-in, of files that the service's own user cannot read: the header and mTLS's key reach the
    collector, the token opens what it should. They are copied at the start: a reload still has those."""
    certs = Certs(tmp_path)
    files = systemd.root / "etc/default"
    secrets = {"headers": b"authorization: Bearer sesame\n", "client.key": certs.read("client", "key"),
               "admin-token": b"a-token-of-24-characters\n"}
    for name, text in {**secrets, "ca.pem": certs.read("ca"), "client.pem": certs.read("client")}.items():
        (files / name).write_bytes(text)
        (files / name).chmod(0o600 if name in secrets else 0o644)
    systemd.override(pages.part("docs/service.md", "credentials").replace("/etc/spoe-host/", "/etc/default/"))

    def exported(collector, calls, word):
        with Client(str(systemd.root) + SOCKET) as client:
            client.hello()
            client.ask("on-http-request", {"unique-id": word, "method": "GET", "path": "/"})
            client.ask("on-http-response", {"unique-id": word, "status": 200})
        systemd.wait(lambda: collector.calls >= calls, "an export")
        assert collector.headers[-1]["authorization"] == f"Bearer {word}"

    def change(*more):
        port = re.search(r"component=admin .* 127\.0\.0\.1:(\d+)", systemd.log())[1]
        return systemd.run("/usr/local/bin/spoe-host", "ctl", "--url", f"http://127.0.0.1:{port}", *more, "set",
                           "host.log-level", "info", check=False)

    with Collector(tls=certs.server(), client_ca=certs.read("ca")) as collector:
        export = {"OTEL_TRACES_EXPORTER": "otlp", "OTLP_ENDPOINT": collector.endpoint, "OTLP_TLS": "enabled",
                  "OTLP_TLS_CA": "/etc/default/ca.pem", "OTLP_TLS_CERT": "/etc/default/client.pem",
                  "BATCH_DELAY": "20ms", "SPOE_PROCESSING_TIMEOUT": "10s", "SPOE_ADMIN_ADDR": "127.0.0.1:0"}
        systemd.start(**export)
        assert "DynamicUser=yes" in systemd.systemctl("show", "spoe-host", "-p", "DynamicUser")
        exported(collector, 1, "sesame")
        assert "401" in change() and "changed" in change("--token-file", "/etc/default/admin-token")
        (files / "headers").write_bytes(b"authorization: Bearer other\n")
        systemd.systemctl("reload", "spoe-host")
        systemd.wait(lambda: "configuration read again" in systemd.log(), "the reload")
        exported(collector, 2, "sesame")
        systemd.start(**export)
        exported(collector, 3, "other")


def test_a_check_at_a_reload_gets_no_credentials(systemd):
    """Which is why the page's drop-in takes it away; the host's own check, at SIGHUP, is there all the same."""
    (systemd.root / "etc/default/token").write_bytes(b"a-token-of-24-characters\n")
    systemd.override("[Service]\nLoadCredential=token:/etc/default/token\n")
    systemd.start(SPOE_ADMIN_TOKEN_FILE="credential:token")
    assert "failed" in systemd.systemctl("reload", "spoe-host", check=False)
    assert systemd.answers() and "credentials/spoe-host.service/token: cannot be opened" in systemd.log()
    systemd.systemctl("kill", "--signal=HUP", "--kill-whom=main", "spoe-host")
    systemd.wait(lambda: "configuration read again" in systemd.log(), "the reload")


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
