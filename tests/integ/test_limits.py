# SPDX-License-Identifier: Apache-2.0
"""Bounds: peers that do not read, connections, open files, times to say hello."""

import os
import select
import time

from conftest import host_args
from lib.procs import LIMIT, Proc, clean_env, host_binary, wait_until
from lib.spop import BadFrame, Client, decode_ack, notify_frame

ALL = {"text": "x" * 500, "any": "y" * 500}


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_a_peer_that_does_not_read_is_not_read(start, connect):
    host = start("slots", args=["--workers", "1"])
    deaf = connect(host, rcvbuf=4096)
    deaf.hello()
    piece = notify_frame([("slots", ALL)], 1)
    before = resident_kib(host.pid)
    deaf.sock.setblocking(False)
    sent, rest, limit = 0, b"", 64 << 20
    while sent < limit:
        # A whole second in which the host takes nothing: it has stopped reading.
        if not select.select([], [deaf.sock], [], 1.0)[1]:
            break
        rest = rest or piece * 64
        n = deaf.sock.send(rest)
        sent, rest = sent + n, rest[n:]
    assert sent < limit, "the host reads on and on"
    assert resident_kib(host.pid) - before < 32 << 10
    # Another one, of the same worker, is served.
    other = connect(host)
    other.hello()
    assert other.ask("slots", {"text": "z"}).variables["slot0"] == "z"
    # When the peer reads again, it gets an answer to every frame that it sent.
    deaf.sock.settimeout(LIMIT)
    whole, part = divmod(sent, len(piece))
    answers = 0
    end = time.monotonic() + LIMIT
    while answers < whole:
        assert time.monotonic() < end, f"{answers} of {whole}"
        assert decode_ack(deaf.recv_frame()).variables["slot0"] == ALL["text"]
        answers += 1
    if part:
        deaf.send(piece[part:])
        deaf.recv_ack()
    assert deaf.ask("slots", {"text": "again"}).variables["slot0"] == "again"
    assert host.terminate() == 0


def test_a_peer_that_never_reads_does_not_hinder_the_end(start, connect):
    host = start("slots", args=["--workers", "1", "--shutdown-timeout", "2s"])
    deaf = connect(host, rcvbuf=4096)
    deaf.hello()
    deaf.sock.setblocking(False)
    piece = notify_frame([("slots", ALL)], 1) * 64
    while select.select([], [deaf.sock], [], 1.0)[1]:
        deaf.sock.send(piece)
    assert host.terminate() == 0


def test_connections_beyond_the_limit_are_closed(start, connect):
    host = start("slots", args=["--max-connections", "2", "--workers", "2"])
    first, second = connect(host), connect(host)
    first.hello(), second.hello()
    assert connect(host).recv_frame() is None
    host.wait_line(r"level=warning .*max-connections")
    for client in (first, second):
        assert client.ask("slots", {"text": "x"}).variables["slot0"] == "x"
    first.close()

    def another():
        client = connect(host)
        try:
            client.hello()
        except (BadFrame, OSError):
            return None  # the host has not seen the first one go yet
        return client

    client = wait_until(another, "room for another connection")
    assert client.ask("slots", {"text": "z"}).variables["slot0"] == "z"
    assert host.terminate() == 0


def test_too_many_open_files_delays_accepting_and_recovers():
    """The host raises its soft limit to the hard one, so the hard one is lowered here."""
    argv = ["prlimit", "--nofile=48:48", host_binary(), *host_args("slots"), "--workers", "1",
            "--listen", "127.0.0.1:0"]
    with Proc(argv, name="spoe-host", env=clean_env()) as host:
        port = int(host.wait_line(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        host.wait_line("ready")
        clients = [Client(port) for _ in range(60)]
        try:
            host.wait_line(r"open files")
            for client in clients[:5]:
                client.hello()
                client.ask("slots", {"text": "x"})
            for client in clients[:40]:
                client.close()  # each makes room for one that waits, and for no other
            for client in clients[40:]:
                client.hello()
                client.ask("slots", {"text": "x"})
            host.wait_line("accepting again")
            assert host.count(r"open files") == 1, "one line, however often it was tried"
            assert host.count("accepting again") == 1
        finally:
            for client in clients:
                client.close()
        assert host.terminate() == 0


def test_soft_limit_of_open_files_is_raised():
    argv = ["prlimit", "--nofile=64:256", host_binary(), *host_args("slots"), "--workers", "1",
            "--listen", "127.0.0.1:0"]
    with Proc(argv, name="spoe-host", env=clean_env()) as host:
        host.wait_line("ready")
        with open(f"/proc/{host.pid}/limits", encoding="ascii") as limits:
            (line,) = [text for text in limits if text.startswith("Max open files")]
        assert line.split()[3:5] == ["256", "256"]


def test_hello_timeout(start, connect):
    host = start("slots", args=["--hello-timeout", "100ms"])
    silent, partial = connect(host), connect(host)
    partial.send(b"\x00\x00\x00")
    for client in (silent, partial):
        assert client.recv_disconnect().code == 2
    patient = connect(host)
    patient.hello()
    # After HELLO no clock runs: a connection may idle. It outlives another's time-out.
    assert connect(host).recv_disconnect().code == 2
    assert patient.ask("slots", {"text": "x"}).variables["slot0"] == "x"


def test_many_connections_at_once(start, connect):
    """A reload of HAProxy reconnects all at once."""
    host = start("slots", args=["--workers", "2"])
    clients = [connect(host) for _ in range(300)]
    for client in clients:
        client.send(b"")
    for client in clients:
        client.hello()
    for client in clients:
        client.notify([("slots", {"text": "x"})])
    for client in clients:
        client.recv_ack()
    for client in clients[::2]:
        client.reset()
    for client in clients[1::2]:
        client.ask("slots", {"text": "x"})
    assert host.terminate() == 0


def test_no_descriptor_is_left_behind(start, connect):
    host = start("slots", args=["--workers", "1"])
    watcher = connect(host)
    watcher.hello()

    def count():
        watcher.ask("slots", {"text": "x"})
        return len(os.listdir(f"/proc/{host.pid}/fd"))

    before = count()
    for i in range(50):
        client = connect(host)
        if i % 2:
            client.hello()
        if i % 3:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
        client.reset() if i % 5 == 0 else client.close()
    wait_until(lambda: count() <= before, "the host to close what its peers closed")
