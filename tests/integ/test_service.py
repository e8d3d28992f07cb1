# SPDX-License-Identifier: Apache-2.0
"""The host as a service, under a manager that speaks systemd's protocol (tests/lib/manager.py): what it
is told, and the watchdog. What systemd itself makes of it: tests/install/test_systemd.py. (13.2)"""

import re
import signal
import socket
import time

import pytest

from conftest import host_args
from lib.manager import Manager
from lib.procs import clean_env, host_binary, run
from lib.spop import notify_frame


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    with Manager(tmp_path, abstract=request.param == "abstract") as manager:
        yield manager


@pytest.fixture
def one_manager(tmp_path):
    with Manager(tmp_path) as manager:
        yield manager


def test_ready_and_the_end(start, manager):
    """READY=1 once it takes connections, STOPPING=1 and how long that may take; nothing in between."""
    host = start("slots", env=manager.env(), args=["--shutdown-timeout", "100s"])
    assert manager.wait() == {"STATUS": "starting"}
    assert manager.wait(READY="1") == {
        "READY": "1", "STATUS": "1 plugin, 0 connections, 0 messages"}
    assert host.terminate() == 0
    stopping = manager.wait(STOPPING="1")
    assert re.fullmatch(r"stopping: what is open is finished first, within \d+ s", stopping["STATUS"])
    assert 5e6 < int(stopping["EXTEND_TIMEOUT_USEC"]) <= 105e6
    assert manager.read_all() == []
    assert not any("WATCHDOG" in message for message in manager.seen)


def test_the_status_tells_numbers_and_what_is_wrong(start, connect, one_manager):
    """A plugin's reason stays within the line, whatever it holds."""
    host = start("health", "slots", env=one_manager.env(watchdog=0.4))
    assert one_manager.wait(READY="1")["STATUS"].startswith("health is degraded: nobody has told; 2 plugins, ")
    client = connect(host)
    client.hello()
    client.ask("health", {"state": 2, "reason": "none\nWATCHDOG=0\nREADY=0 \u2026" + "x" * 5000,
                          "status": ""})
    message = one_manager.wait_status("health is down")
    assert message["STATUS"].startswith("health is down: none WATCHDOG=0 READY=0 \u2026xxx")
    assert message["WATCHDOG"] == "1" and "READY" not in message
    client.ask("health", {"state": 0, "reason": "", "status": ""})
    assert one_manager.wait_status("1 connection, 2 messages")["STATUS"].startswith("2 plugins, ")


def test_reload(start, one_manager, tmp_path):
    """RELOADING=1 with the time that Type=notify-reload wants, then READY=1; a reload that fails is told
    until one does not."""
    conf = tmp_path / "host.ini"
    conf.write_text("[host]\nlisten = 127.0.0.1:0\nlog-level = info\n")
    host = start("slots", env=one_manager.env(watchdog=0.4), args=["-f", conf])
    one_manager.wait(READY="1")
    for text, fails in (("log-level = debug", False), ("log-level = loud", True), ("", False)):
        conf.write_text(f"[host]\nlisten = 127.0.0.1:0\n{text}\n")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        host.signal(signal.SIGHUP)
        reloading = one_manager.wait(RELOADING="1")
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert before <= int(reloading["MONOTONIC_USEC"]) <= after
        assert "READY" not in reloading
        ready = one_manager.wait(READY="1")
        assert ready["STATUS"].startswith("the last reload failed, the log says why; ") == fails
    host.wait_line("read again: no option changes|these options change")
    assert host.terminate() == 0


def test_the_watchdog_is_fed_while_workers_turn(start, connect, one_manager):
    """With two workers of which one hangs, in a plugin: WATCHDOG=1 ends, the log and the status say who."""
    host = start("trouble", env=one_manager.env(watchdog=1), args=[
        "--workers", "2", "--set", "trouble.at=handle", "--set", "trouble.what=hang"])
    for _ in range(3):
        one_manager.wait(WATCHDOG="1")
    client = connect(host)
    client.hello()
    client.send(notify_frame([("trouble", {"text": "now"})]))
    late = one_manager.wait(lambda message: re.match(
        r"a worker does not turn: worker-\d is in handle\(\) of plugin trouble", message.get("STATUS", "")))
    assert "WATCHDOG" not in late
    host.wait_line(r"level=warning component=service .*worker \d does not turn: worker-\d is in handle\(\) of "
                   r"plugin trouble .*, so there is no WATCHDOG=1")
    host.signal(signal.SIGHUP)  # something that is told
    assert "WATCHDOG" not in one_manager.wait(READY="1")
    later = one_manager.seen[one_manager.seen.index(late):]
    assert not any("WATCHDOG" in message for message in later)


def test_a_worker_that_turns_again(start, connect, one_manager):
    host = start("slow", env=one_manager.env(watchdog=0.2), args=["--workers", "1"])
    one_manager.wait(WATCHDOG="1")
    client = connect(host)
    client.hello()
    client.send(notify_frame([("slow", {"ms": 1500})]))
    one_manager.wait_status("a worker does not turn")
    one_manager.wait(WATCHDOG="1")
    host.wait_line("level=notice component=service .*all workers turn again")
    assert host.terminate() == 0


def test_a_watchdog_of_another_process(start, one_manager):
    host = start("slots", env=one_manager.env(watchdog=0.2, WATCHDOG_PID=1))
    one_manager.wait(READY="1")
    host.signal(signal.SIGHUP)
    one_manager.wait(READY="1")
    assert host.terminate() == 0
    one_manager.wait(STOPPING="1")
    assert not any("WATCHDOG" in message for message in one_manager.seen)


def test_errors_of_the_configuration_are_the_status(one_manager):
    status, _out = run([host_binary(), "--workers", "many"], env=clean_env(one_manager.env()))
    assert status == 78
    assert one_manager.wait_status("host.workers")["STATUS"].startswith("command line")
    assert not any("READY" in message for message in one_manager.seen)


def test_a_failed_start_is_the_status(one_manager):
    status, _out = run([host_binary(), *host_args("start_fails"), "--listen", "127.0.0.1:0"],
                       env=clean_env(one_manager.env()))
    assert status == 1
    one_manager.wait_status("the start has failed, the log says why")
    assert not any("READY" in message for message in one_manager.seen)


@pytest.mark.parametrize("command", [["-t"], ["-T"], ["--version"], ["--print-spoe-config"]], ids=str)
def test_commands_tell_nothing(one_manager, command):
    """ExecReload= runs -t: whoever listens takes it for the service."""
    status, _out = run([host_binary(), *host_args("slots"), "--listen", "127.0.0.1:0", *command],
                       env=clean_env(one_manager.env(watchdog=1)))
    assert status == 0
    assert one_manager.read_all() == []


def test_a_manager_that_does_not_read_holds_up_nobody(start, connect, one_manager):
    """What its full socket did not take is said as soon as there is room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                sender.sendto(b"X=full", one_manager.address)
    host = start("slots", env=one_manager.env(watchdog=1))  # returns when it is ready
    client = connect(host)
    client.hello()
    message = one_manager.wait(READY="1")
    assert message["WATCHDOG"] == "1"
    assert host.terminate() == 0


@pytest.mark.parametrize("address,said", [
    ("/nowhere/at/all", None),
    ("vsock:2:1", "NOTIFY_SOCKET: Address family not supported by protocol"),
    ("/" + "x" * 200, "NOTIFY_SOCKET: File name too long")])
def test_a_manager_that_is_not_there(start, address, said):
    host = start("slots", env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": 100000})
    assert host.terminate() == 0
    assert (host.count("component=service") == 0) if said is None else host.count(said) == 1


def test_a_watchdog_that_is_none(start, one_manager):
    host = start("slots", env=one_manager.env(WATCHDOG_USEC="soon"))
    host.wait_line("WATCHDOG_USEC or WATCHDOG_PID: Invalid argument: no watchdog")
    one_manager.wait(READY="1")
    assert host.terminate() == 0
