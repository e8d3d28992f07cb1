# SPDX-License-Identifier: Apache-2.0
"""The end: first what is open is waited for, while everything goes on (2.6); and no message follows
a plugin's drain() (2.5)."""

import os
import signal
import threading

import pytest

from lib import admin
from lib.spop import AGENT_DISCONNECT, BadFrame

ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
NEVER = ["--drain-time", "1h", "--shutdown-timeout", "1h"]  # the test ends the wait


def begin(start, connect, *args, **more):
    """A host whose plugin has one thing open."""
    host = start("open", args=args, **more)
    client = connect(host)
    client.hello()
    assert client.ask("open").variables["opened"] == 1
    return host, client


def test_what_is_open_is_waited_for_and_all_goes_on(start, connect):
    host, client = begin(start, connect, *NEVER, env=ADMIN)
    host.signal(signal.SIGTERM)
    host.wait_line("waiting for 1 open in plugins")
    assert host.count("quiesce open=1") == 1
    # Who looks is told to go elsewhere,
    assert admin.ask(host, "/readyz")[::2] == (503, "draining\n")
    assert admin.ask(host, "/healthz").status == 200
    check = connect(host)
    with pytest.raises(BadFrame, match=f"type={AGENT_DISCONNECT}"):
        check.hello(healthcheck=True)
    # who speaks is answered, on old connections and on new ones, but opens nothing,
    assert client.ask("open").variables == {"opened": 0, "answered": 1}
    late = connect(host)
    late.hello()
    assert late.ask("open").variables == {"opened": 0, "answered": 1}
    assert host.count("drain open") == 0
    # and what ends the open work is taken.
    assert late.ask("close").variables == {"answered": 1}
    assert client.recv_disconnect().code == 0
    assert late.recv_disconnect().code == 0
    assert host.wait() == 0
    text = host.text()
    assert text.index("quiesce open=1") < text.index("drain open=0")
    assert "drain-time is over" not in text and "message after drain" not in text


def test_drain_time_ends_the_wait(start, connect):
    host, client = begin(start, connect, "--drain-time", "300ms")
    host.signal(signal.SIGTERM)
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0
    host.wait_line("drain-time is over, 1 open in plugins")
    host.wait_line("drain open=1")


def test_drain_time_0_waits_for_nothing(start, connect):
    host, client = begin(start, connect, "--drain-time", "0")
    host.signal(signal.SIGTERM)
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0
    assert host.count("waiting for") == 0 and host.count("quiesce open=1") == 1


def test_shutdown_timeout_bounds_the_wait(start, connect):
    host, client = begin(start, connect, "--drain-time", "1h", "--shutdown-timeout", "900ms")
    host.signal(signal.SIGTERM)
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0
    host.wait_line("drain open=1")


def test_nothing_open_nothing_waited_for(start, connect):
    host, client = begin(start, connect, *NEVER)
    assert client.ask("close").variables == {"answered": 1}
    host.signal(signal.SIGTERM)
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0
    assert host.count("waiting for") == 0


def test_a_second_signal_ends_the_wait_at_once(start, connect):
    host, _client = begin(start, connect, *NEVER)
    host.signal(signal.SIGTERM)
    host.wait_line("waiting for 1 open in plugins")
    assert host.insist() != 0
    assert host.count("drain open") == 0


def test_sighup_during_the_wait_is_ignored(start, connect):
    host, client = begin(start, connect, *NEVER)
    host.signal(signal.SIGTERM)
    host.wait_line("waiting for 1 open in plugins")
    host.signal(signal.SIGHUP)
    assert client.ask("close").variables == {"answered": 1}
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0
    assert host.count("read again") == 0


def test_plugins_without_a_count_are_not_waited_for(start, connect):
    host = start("slots", args=NEVER)
    client = connect(host)
    client.hello()
    host.signal(signal.SIGTERM)
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0


def test_the_sum_is_what_counts(start, connect):
    """One plugin that counts among others that do not."""
    host, client = begin(lambda *plugins, **more: start("slots", *plugins, "good", **more), connect,
                         *NEVER)
    host.signal(signal.SIGTERM)
    host.wait_line("waiting for 1 open in plugins")
    client.ask("close")
    assert client.recv_disconnect().code == 0
    assert host.wait() == 0


def test_no_message_follows_drain_on_a_worker_that_is_late(start, connect):
    """2.5: a worker that has 3 s of messages to handle, and 0.3 s until the plugins' share."""
    host = start("open", args=["--workers", "1", "--shutdown-timeout", "900ms"])
    client = connect(host)
    client.hello()
    assert client.ask("slow").variables == {"answered": 1}
    for _ in range(30):
        client.notify([("slow", {})])
    host.signal(signal.SIGTERM)
    status = host.wait()
    assert host.count("message after drain") == 0
    assert host.count("drain open") == 1 and status == 0


def test_no_message_follows_drain_within_a_frame(start, connect):
    """2.5: the same with all of them in one frame, which no event loop comes between."""
    host = start("open", args=["--workers", "1", "--shutdown-timeout", "900ms"])
    client = connect(host)
    client.hello()
    assert client.ask("slow").variables == {"answered": 1}
    client.notify([("slow", {})] * 30)
    host.signal(signal.SIGTERM)
    status = host.wait()
    assert host.count("message after drain") == 0
    assert host.count("drain open") == 1 and status == 0


def blocked(start, connect, tmp_path, *args):
    """A host with a plugin that is in handle() until a byte is written to the pipe, behind it one that is
    not; SIGTERM has come."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    host = start("open", "lifecycle", args=["--workers", "2", "--set", f"open.pipe={pipe}", *args])
    client = connect(host)
    client.hello()
    client.notify([("block", {})])
    host.wait_line("component=open .*blocks")
    host.signal(signal.SIGTERM)
    return host, pipe


def test_drain_waits_for_a_handle_that_blocks(start, connect, tmp_path):
    """2.5: longer than messages have to end; before, it came meanwhile. Other plugins do not wait."""
    host, pipe = blocked(start, connect, tmp_path, "--shutdown-timeout", "12s")
    host.wait_line("component=lifecycle .*drain")
    host.wait_line("does not come back from a plugin")
    assert host.count("drain open") == 0, host.report()
    pipe.write_bytes(b"x")
    assert host.wait() == 0
    text = host.text()
    assert text.index("goes on") < text.index("drain open="), host.report()
    assert host.count("drain open") == 1 and host.count("goes on after drain") == 0


def test_a_handle_that_never_returns_has_no_drain(start, connect, tmp_path):
    """2.5: the watch ends the process and says where it was."""
    host, _ = blocked(start, connect, tmp_path, "--shutdown-timeout", "2s")
    assert host.wait() == 1
    host.wait_line(r"shutdown-timeout has passed: worker-\d is in handle\(\) of plugin open")
    assert host.count("component=lifecycle .*drain") == 1
    assert host.count("drain open") == 0, host.report()


def test_no_message_follows_drain_in_a_flood(start, connect):
    """2.5: peers that go on sending whatever they are told."""
    host = start("open", args=["--workers", "2"], env={"SPOE_DRAIN_TIME": "0"})
    clients = [connect(host) for _ in range(8)]
    for client in clients:
        client.hello()

    def flood(client):
        try:
            while True:
                client.notify([("open", {})] * 3)
        except OSError:
            pass

    def read(client):
        try:
            while client.recv_frame() is not None:
                pass
        except (OSError, BadFrame):
            pass

    threads = [threading.Thread(target=f, args=(c,)) for c in clients for f in (flood, read)]
    for thread in threads:
        thread.start()
    clients.append(connect(host))
    clients[-1].hello()
    clients[-1].ask("open")
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    for client in clients:
        client.close()
    for thread in threads:
        thread.join()
    assert host.count("drain open") == 1
    assert host.count("message after drain") == 0
