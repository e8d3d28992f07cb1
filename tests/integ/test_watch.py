# SPDX-License-Identifier: Apache-2.0
"""Nothing keeps the process: plugins that hang, files that hang, a log that nobody reads, no threads,
no descriptors, no standard streams."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time

import pytest

from conftest import PLUGINS, host_args
from lib import admin
from lib.procs import LIMIT, Proc, SpoeHost, clean_env, host_binary, run, wait_until
from lib.spop import Client

SECONDS = 2  # shutdown-timeout of these tests


def trouble(at, what):
    return ["--set", f"trouble.at={at}", "--set", f"trouble.what={what}"]


def ends_within(host, begin, seconds):
    """The status, once the process has ended; fails where that took very much longer than it may: the
    machine may be slow."""
    status = host.wait(limit=LIMIT)
    assert time.monotonic() - begin < seconds + 40, host.report()
    return status


# -- 2.1, H4: plugins that hang


@pytest.mark.parametrize("at", ["configure", "start", "worker_start", "drain", "worker_stop", "stop",
                                "destroy"])
def test_a_hanging_call_is_named_and_ended(start, at):
    """2.1 H4: from the first SIGTERM on it takes shutdown-timeout, in whichever call it hangs."""
    early = at in ("configure", "start", "worker_start")
    host = start("good", "trouble", args=["--shutdown-timeout", f"{SECONDS}s", "--workers", "1",
                                          *trouble(at, "hang")], wait=not early)
    if early:
        host.wait_line(rf"trouble in {at}")
    begin = time.monotonic()
    host.signal(signal.SIGTERM)
    assert ends_within(host, begin, SECONDS) == 1
    assert time.monotonic() - begin > SECONDS * 0.9, "it is given its time"
    line = host.wait_line(r"level=error .*shutdown-timeout has passed.*").group()
    assert f"{at}()" in line and "plugin trouble" in line and "trouble.so" in line, line


@pytest.mark.parametrize("at", ["configure", "start", "worker_start", "drain", "worker_stop", "stop",
                                "destroy"])
def test_a_second_signal_ends_a_hanging_call_at_once(start, at):
    """2.1 H4"""
    early = at in ("configure", "start", "worker_start")
    host = start("trouble", args=["--shutdown-timeout", "10m", *trouble(at, "hang")], wait=not early)
    if early:
        host.wait_line(rf"trouble in {at}")
    host.signal(signal.SIGTERM)
    if not early:
        host.wait_line(rf"trouble in {at}")
    assert host.insist() == 1
    assert re.search(rf"second signal.*{at}\(\) of plugin trouble", host.text()), host.report()


@pytest.mark.parametrize("command", [["-t"], ["--print-spoe-config"]], ids=str)
@pytest.mark.parametrize("at", ["configure", "destroy"])
def test_a_command_leaves_at_the_first_signal(start, command, at):
    """2.1"""
    host = start("trouble", args=[*command, "--shutdown-timeout", "10m", *trouble(at, "hang")], wait=False)
    host.wait_line(rf"trouble in {at}")
    host.signal(signal.SIGTERM)
    assert host.wait() == 1
    assert re.search(rf"ended by a signal.*{at}\(\) of plugin trouble", host.text()), host.report()


def test_a_failed_start_that_hangs_ends_by_itself(start):
    """2.1: start() of one plugin fails, and the destroy() that is due then hangs."""
    begin = time.monotonic()
    host = start("trouble", "start_fails", args=["--shutdown-timeout", f"{SECONDS}s",
                                                 *trouble("destroy", "hang")], wait=False)
    assert ends_within(host, begin, SECONDS) == 1
    assert re.search(r"shutdown-timeout has passed.*destroy\(\) of plugin trouble", host.text())


def test_a_configuration_that_fails_and_hangs_ends_by_itself(start):
    """2.1"""
    begin = time.monotonic()
    host = start("trouble", "configure_fails", args=["--shutdown-timeout", f"{SECONDS}s",
                                                     *trouble("destroy", "hang")], wait=False)
    assert ends_within(host, begin, SECONDS) == 1
    assert re.search(r"shutdown-timeout has passed.*destroy\(\) of plugin trouble", host.text())


@pytest.mark.parametrize("command", [[], ["-t"]], ids=["run", "-t"])
def test_a_fifo_among_the_plugins(tmp_path, command):
    """2.1 H4: it is refused, not opened and waited for."""
    os.mkfifo(tmp_path / "x.so")
    with Proc([host_binary(), "--plugin-dir", tmp_path, *command],
              env=clean_env({"SPOE_ADDR": "127.0.0.1:0"})) as host:
        assert host.wait() != 0
        assert re.search(r"level=error .*x\.so.*not a regular file", host.text()), host.report()


@pytest.mark.parametrize("command", [[], ["-t"]], ids=["run", "-t"])
def test_a_configuration_file_that_nobody_writes(tmp_path, command):
    """2.1: one SIGTERM ends it at once; before, by the time-out of 15 s."""
    os.mkfifo(tmp_path / "conf")
    with Proc([host_binary(), "-f", tmp_path / "conf", *command],
              env=clean_env({"SPOE_ADDR": "127.0.0.1:0"})) as host:
        wait_until(lambda: opens(host.pid, tmp_path / "conf"), "the file to be opened")
        assert host.terminate() == 1
        assert "ended by a signal" in host.text(), host.report()
        assert "has passed" not in host.text()


def opens(pid, path):
    """Whether a process has a file open."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}") == str(path):
                return True
        except OSError:
            pass
    return False


@pytest.mark.parametrize("how", ["-f <(...)", "-f /dev/stdin <<", "-f /dev/stdin |"])
def test_a_configuration_from_a_pipe(how):
    """2.1: what is not a file is still taken where it comes to its end."""
    text = "[host]\nworkers = 3\n"
    script = {"-f <(...)": f"exec \"$0\" -T -f <(printf '{text}')",
              "-f /dev/stdin <<": f"exec \"$0\" -T -f /dev/stdin <<<$'{text}'",
              "-f /dev/stdin |": f"printf '{text}' | \"$0\" -T -f /dev/stdin"}[how]
    script += ' --plugin-dir "$1" --plugins good.so'
    status, out = run(["/bin/bash", "-c", script, host_binary(), str(PLUGINS)])
    assert status == 0, out
    assert re.search(r"^workers = 3  ; /dev/(fd/\d+|stdin):2$", out, re.M), out


def threads_of(pid):
    names = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as comm:
                names.append(comm.read().strip())
        except OSError:
            pass
    return names


# -- 2.1 A7: threads

NOBODY = 65534

# What fails to start cannot look for leaks either: that takes a thread and descriptors.
NO_LEAKS = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0"}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 12])
def test_too_few_threads(limit):
    """2.1 A7: status 1 and one error, whatever the step that has no thread. root knows no such
    limit, so the host runs as a user of its own."""

    def become():
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
        os.setgid(NOBODY)
        os.setuid(NOBODY + limit)  # nobody else's processes count

    begin = time.monotonic()
    with subprocess.Popen(
            [host_binary(), *host_args("slots"), "--listen", "127.0.0.1:0", "--workers", "2",
             "--shutdown-timeout", f"{SECONDS}s"],
            env=clean_env(NO_LEAKS), preexec_fn=become, stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
            text=True) as host:
        try:
            out, _ = host.communicate(timeout=LIMIT)
        finally:
            host.kill()
    assert host.returncode == 1, out
    assert time.monotonic() - begin < SECONDS + 40
    assert len(re.findall("level=error", out)) == 1, out
    assert "thread" in out, out


# -- 2.2 H5: standard error


def full_pipe():
    """A pipe in which there is no room; (reading end, writing end), both blocking."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (65536, 1):
        try:
            while True:
                os.write(writer, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writer, True)
    return reader, writer


class MuteHost:
    """A host whose standard error is a pipe that nobody reads. Its port is told by /proc."""

    def __init__(self, args):
        self.reader, writer = full_pipe()
        self.popen = subprocess.Popen([host_binary(), *args], stderr=writer, stdout=subprocess.DEVNULL,
                                      env=clean_env({"SPOE_ADDR": "127.0.0.1:0"}))
        os.close(writer)

    def port(self):
        """The port that it listens on, or None."""
        inodes = set()
        for fd in os.listdir(f"/proc/{self.popen.pid}/fd"):
            try:
                found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{self.popen.pid}/fd/{fd}"))
            except OSError:
                continue
            if found:
                inodes.add(found.group(1))
        with open(f"/proc/{self.popen.pid}/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                words = line.split()
                if words[3] == "0A" and words[9] in inodes:
                    return int(words[1].split(":")[1], 16)
        return None

    def rest(self):
        """Everything that is in the pipe, once the host is gone."""
        data = b""
        while True:
            piece = os.read(self.reader, 65536)
            if not piece:
                return data.decode("utf-8", "replace").lstrip("x")
            data += piece

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()
        os.close(self.reader)


def drop_lines(client, tmp_path):
    """Have it log until lines are dropped; their number."""

    def dropped():
        for _ in range(50):
            client.ask("base-chatty")
        return admin.metrics(f"unix:{tmp_path}/admin")["spoe_host_log_lines_dropped_total"].value()

    return wait_until(dropped, "lines that are dropped")


@pytest.mark.parametrize("times", [1, 2])
def test_a_full_pipe_on_standard_error(times, tmp_path):
    """2.2 H5: the host starts, serves and ends, as if somebody read; what does not fit is counted."""
    with MuteHost([*host_args("chatty"), "--workers", "1", "--admin", f"unix:{tmp_path}/admin",
                   "--shutdown-timeout", "30s"]) as host:
        client = Client(wait_until(host.port, "a port"))
        client.hello()
        drop_lines(client, tmp_path)
        begin = time.monotonic()
        for _ in range(times):
            host.popen.send_signal(signal.SIGTERM)
        status = host.popen.wait(LIMIT)
        assert time.monotonic() - begin < 25, "not by a time-out"
        assert status in ((0,) if times == 1 else (0, 1))
        client.close()


def test_dropped_lines_are_counted_and_told(connect, tmp_path):
    """2.2: once somebody reads again, the log says how many are missing; /metrics has the number."""
    with MuteHost([*host_args("chatty"), "--workers", "1", "--admin", f"unix:{tmp_path}/admin",
                   "--shutdown-timeout", "30s"]) as host:
        client = connect(wait_until(host.port, "a port"))
        client.hello()
        dropped = drop_lines(client, tmp_path)
        host.popen.send_signal(signal.SIGTERM)
        text = host.rest()
        assert host.popen.wait(LIMIT) == 0
    told = sum(int(n) for n in re.findall(r"(\d+) log lines were dropped", text))
    assert 0 < dropped <= told, text[-2000:]
    assert "cccc" in text and all(line.startswith("time=") for line in text.splitlines())


def test_a_failed_start_writes_all_it_has_to_say():
    """2.2: the lines of a failing start wait for a reader."""
    with MuteHost([*host_args("start_fails")]) as host:
        wait_until(lambda: "log" in threads_of(host.popen.pid), "the log's thread")
        assert re.search(r"level=error .*start\(\) failed", host.rest())
        assert host.popen.wait(LIMIT) == 1


@contextlib.contextmanager
def killed(popen):
    """A process that does not outlive the block: Popen's own end waits for it without a limit."""
    try:
        yield popen
    finally:
        popen.kill()
        popen.wait()


@pytest.mark.parametrize("args", [["-t"], ["--print-spoe-config"]], ids=str)
def test_output_of_a_command_waits_for_its_reader(args):
    """2.2: nothing is lost however slowly it is read, and SIGTERM still ends it."""
    command = [host_binary(), *host_args("slots", "lifecycle"), *args]
    whole = subprocess.run(command, env=clean_env(), stdout=subprocess.PIPE, check=True,
                           stderr=subprocess.DEVNULL, timeout=LIMIT).stdout
    reader, writer = full_pipe()
    with killed(subprocess.Popen(command, env=clean_env(), stdout=writer, stderr=subprocess.DEVNULL)) as host:
        os.close(writer)
        got = b""
        while piece := os.read(reader, 4096):
            got += piece
        assert host.wait(LIMIT) == 0
    os.close(reader)
    assert got.lstrip(b"x").strip() == whole.strip()
    reader, writer = full_pipe()
    with killed(subprocess.Popen(command, env=clean_env(), stdout=writer, stderr=writer)) as host:
        os.close(writer)
        wait_until(lambda: "control" in threads_of(host.pid), "the control thread")
        host.send_signal(signal.SIGTERM)
        assert host.wait(LIMIT) == 1
    os.close(reader)


# -- 2.11: descriptors


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(closed, connect):
    """2.11 A8: nothing else gets their numbers."""

    def close_them():
        for fd in closed:
            os.close(fd)

    with subprocess.Popen([host_binary(), *host_args("lifecycle"), "--workers", "1"],
                          env=clean_env({"SPOE_ADDR": "127.0.0.1:0"}), preexec_fn=close_them,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as popen:
        try:
            host = MuteHost.__new__(MuteHost)
            host.popen = popen
            client = connect(wait_until(host.port, "a port"))
            client.hello()
            client.ask("lifecycle")
            for fd in range(3):
                assert os.readlink(f"/proc/{popen.pid}/fd/{fd}") == "/dev/null"
            popen.send_signal(signal.SIGTERM)
            assert popen.wait(LIMIT) == 0
        finally:
            popen.kill()


def test_too_few_descriptors_for_a_start():
    """2.11: with every number of descriptors that is too small there is one line of ours and none of
    libevent's, and the status is 1; then a number comes that will do."""
    for limit in range(4, 64):
        with Proc(["/bin/sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", host_binary(),
                   *host_args("slots"), "--workers", "2", "--shutdown-timeout", "5s"],
                  env=clean_env({"SPOE_ADDR": "127.0.0.1:0", **NO_LEAKS})) as host:
            try:
                host.wait_line(r'msg="ready"')
            except AssertionError:
                assert host.wait() == 1, f"{limit}{host.report()}"
                # A configuration file and a plugin that cannot be opened are told both.
                assert 1 <= host.count("level=error") <= 2, f"{limit}{host.report()}"
                assert all(line.startswith("time=") for line in host.lines), f"{limit}{host.report()}"
                continue
            assert host.terminate() == 0
            assert limit > 8
            return
    raise AssertionError("64 descriptors do not suffice")


# -- 2.3


def test_post_in_stop_and_destroy(start):
    """2.3 H6: workers outlive the plugins; nothing runs there any more. 2.4: the first ones turn while
    the others are not there yet, which ThreadSanitizer looks at."""
    host = start("post_late", args=["--workers", "3"])
    for _ in range(3):
        host.wait_line("an early function ran")
    assert host.terminate() == 0
    assert host.count("an early function ran") == 3
    for where in ("stop", "destroy"):
        for worker in range(3):
            assert host.count(rf"post in {where} to {worker}: -6") == 1, host.report()
    assert host.count("posted function ran") == 0


# -- 2.4


def test_totals_while_it_starts():
    """2.4: SIGUSR1 at every moment of the start; the totals come once there is something to count."""
    with SpoeHost([*host_args("slots"), "--workers", "4"], wait=False) as host:
        wait_until(lambda: "control" in threads_of(host.pid), "the control thread")

        def is_ready():
            host.signal(signal.SIGUSR1)
            return host.count(r'msg="ready"') > 0 or not host.alive()

        wait_until(is_ready, "ready", interval=0.005)
        host.signal(signal.SIGUSR1)
        host.wait_line(r"totals: connections=0")
        assert host.terminate() == 0
