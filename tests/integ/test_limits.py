# SPDX-License-Identifier: Apache-2.0
"""Bounds: peers that do not read, connections, open files, times to say hello."""

import os
import resource
import select
import socket
import struct
import time

import pytest

from conftest import host_args
from lib import admin
from lib.procs import LIMIT, Proc, clean_env, host_binary, wait_until
from lib.spop import (
    ACK,
    AGENT_DISCONNECT,
    AGENT_HELLO,
    FIN,
    NOTIFY,
    BadFrame,
    Client,
    decode_ack,
    disconnect_frame,
    frame,
    hello_frame,
    notify_frame,
)

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


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_answers_that_fill_the_output_do_not_stall(start, where, tmp_path):
    """H1 (1.1): 40 small messages in one write, each answered by 16 KiB, read promptly."""
    path = f"unix:{tmp_path}/spoe.sock" if where == "unix" else "127.0.0.1:0"
    host = start("toobig", args=["--listen", path])
    for n in (40, 400):
        with Client(f"{tmp_path}/spoe.sock" if where == "unix" else host.port) as client:
            client.hello()
            client.send(b"".join(notify_frame([("toobig", {})], i + 1) for i in range(n)))
            assert [client.recv_ack().stream_id for _ in range(n)] == list(range(1, n + 1))
    assert host.terminate() == 0


def test_lengths_do_not_take_memory(start, connect):
    """A3 (1.5): before HELLO, and after one that agreed to less; and what was agreed to is
    believed as far as it comes."""
    host = start("slots", args=["--workers", "2"])
    connect(host).hello()
    before = resident_kib(host.pid)
    clients = [connect(host) for _ in range(500)]
    for i, client in enumerate(clients):
        if i % 2:
            client.hello()
        client.send(struct.pack(">I", 1 << 20) + bytes(100))
    for client in clients:
        assert client.recv_disconnect().code == 3
        client.close()
    large = [connect(host) for _ in range(200)]
    for client in large:
        client.hello(max_frame_size=1 << 20)
        client.send(struct.pack(">I", 1 << 20) + bytes([3, 0, 0, 0, 1, 1, 1]))
    connect(host).hello()
    assert resident_kib(host.pid) - before < 24 << 10


def test_idle_connections_keep_no_buffer(start, connect):
    host = start("slots", args=["--workers", "1"])
    connect(host).hello()
    before = resident_kib(host.pid)
    clients = [connect(host) for _ in range(1000)]
    for client in clients:
        client.hello()
        client.ask("slots", {"text": "x"})
    assert resident_kib(host.pid) - before < 8 << 10, "a buffer alone is 16 KiB"


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_idle_timeout(start, where, tmp_path):
    """1.4: AGENT-DISCONNECT with code 2; not for a connection that waits for an answer."""
    path = f"unix:{tmp_path}/spoe.sock" if where == "unix" else "127.0.0.1:0"
    host = start("pending", args=["--listen", path, "--idle-timeout", "300ms",
                                  "--processing-timeout", "60s"])
    address = f"{tmp_path}/spoe.sock" if where == "unix" else host.port
    with Client(address) as idle, Client(address) as busy:
        idle.hello(), busy.hello()
        busy.notify([("pending", {"key": "k", "delay": 1500})])
        assert idle.recv_disconnect().code == 2
        assert busy.recv_ack().variables == {"pending": "k"}
        assert busy.recv_disconnect().code == 2
    assert host.terminate() == 0
    assert (totals(host)["idle_timeouts"], totals(host)["protocol_errors"]) == (2, 0)


def test_no_idle_timeout(start, connect):
    host = start("slots", args=["--idle-timeout", "0", "--hello-timeout", "100ms"])
    client = connect(host)
    client.hello()
    assert connect(host).recv_disconnect().code == 2  # time has passed
    assert client.ask("slots", {"text": "x"}).variables["slot0"] == "x"


def totals(host):
    """The counters in the last line of a host that has ended."""
    return {k: int(v) for k, v in (
        pair.split("=") for pair in host.wait_line(r'totals: ([^"]*)').group(1).split())}


def test_the_longest_idle_connection_makes_a_place(start, connect):
    """1.4: all places are taken, by connections that have nothing to do. One worker: between several
    it is decided by what they have last shown of theirs (tests/unit/net/test_listener.c)."""
    host = start("slots", args=["--max-connections", "3", "--workers", "1"])
    first, second, third = connect(host), connect(host), connect(host)
    first.hello(), second.hello(), third.hello()
    first.ask("slots", {"text": "x"})  # so now it is the second one
    fourth = connect(host)
    fourth.hello()
    assert fourth.ask("slots", {"text": "z"}).variables["slot0"] == "z"
    assert second.recv_disconnect().code == 13
    host.wait_line(r"level=warning .*max-connections \(3\)")
    for client in (first, third, fourth):
        assert client.ask("slots", {"text": "x"}).variables["slot0"] == "x"
    assert host.terminate() == 0
    assert (totals(host)["evicted_connections"], totals(host)["refused_connections"]) == (1, 0)


@pytest.mark.parametrize("hello", [False, True], ids=["silent", "hello"])
def test_a_flood_of_connections_leaves_haproxys_alone(start, connect, hello):
    """1.4: HAProxy's idle connections went within ms. A connection that has sent a NOTIFY goes after
    newcomers, which have an eighth of the places."""
    host = start("slots", args=["--max-connections", "64", "--workers", "2"],
                 env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    haproxys = [connect(host) for _ in range(40)]
    for client in haproxys:
        client.hello()
        client.ask("slots", {"text": "x"})
    for _ in range(300):
        try:
            client = connect(host)
            if hello:
                client.hello()
        except (BadFrame, OSError):
            pass  # gone already
    evicted = "spoe_host_evicted_connections_total"
    wait_until(lambda: admin.metrics(host)[evicted].value() > 200, "the flood to be taken in")
    for client in haproxys:
        assert client.ask("slots", {"text": "y"}).variables["slot0"] == "y"
    assert host.terminate() == 0


def test_a_connection_with_something_to_do_is_not_closed_for_another(start, connect):
    """1.4, 2.10: then the new one is refused, and counted."""
    host = start("pending", args=["--max-connections", "2", "--workers", "2",
                                  "--processing-timeout", "60s"])
    clients = [connect(host), connect(host)]
    for i, client in enumerate(clients):
        client.hello()
        client.notify([("pending", {"key": f"k{i}", "mode": "hold"})])
        host.wait_line(f"waits key=k{i}")
    assert connect(host).recv_frame() is None
    host.wait_line(r"level=warning .*max-connections")
    clients[0].notify([("pending-release", {"key": "k0"})])
    answers = [clients[0].recv_ack(), clients[0].recv_ack()]
    assert {"pending": "k0"} in [ack.variables for ack in answers]

    def served():
        try:
            return connect(host).hello()
        except (BadFrame, OSError):
            return None  # the answer may come before the place is seen to be free

    wait_until(served, "a place")
    assert clients[0].recv_disconnect().code == 13
    clients[1].notify([("pending-release", {"key": "k1"})])
    answers = [clients[1].recv_ack(), clients[1].recv_ack()]
    assert {"pending": "k1"} in [ack.variables for ack in answers]
    assert host.terminate() == 0
    assert totals(host)["evicted_connections"] == 1
    assert totals(host)["refused_connections"] >= 1


def test_silent_connections_shut_nobody_out(start, connect):
    """A5 (1.4): all but one place taken by connections that said HELLO and nothing else; HAProxy
    needs many more."""
    host = start("slots", args=["--max-connections", "200", "--workers", "2"])
    silent = [connect(host) for _ in range(199)]
    for client in silent:
        client.hello()
    clients = [connect(host) for _ in range(50)]
    for client in clients:
        client.hello()
    for client in clients:
        assert client.ask("slots", {"text": "x"}).variables["slot0"] == "x"
    assert host.terminate() == 0


def limited_host(files, *args):
    """A host that may have so many descriptors: it raises its soft limit to the hard one."""
    argv = ["prlimit", f"--nofile={files}:{files}", host_binary(), *host_args("slots"),
            "--listen", "127.0.0.1:0", *args]
    return Proc(argv, name="spoe-host", env=clean_env())


def test_connections_leave_descriptors_for_others():
    """2.10: the start says both numbers, and connections never take the rest."""
    with limited_host(256, "--workers", "1", "--max-connections", "2000") as host:
        port = int(host.wait_line(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        said = host.wait_line(r"level=warning .*max-connections is 2000, .* of 256 open files "
                              r"leaves room for (\d+)")
        room = int(said.group(1))
        host.wait_line("ready")
        own = len(os.listdir(f"/proc/{host.pid}/fd"))
        assert room == 256 - own - 64
        clients = []
        try:
            for _ in range(400):
                clients.append(Client(port))
                clients[-1].hello()
            for client in clients[-room:]:
                client.ask("slots", {"text": "x"})
            assert len(os.listdir(f"/proc/{host.pid}/fd")) <= 256 - 64
            assert host.count("open files") == 1
        finally:
            for client in clients:
                client.close()
        assert host.terminate() == 0


def test_no_warning_where_descriptors_go_round(start):
    """2.10"""
    host = start("slots", args=["--max-connections", "10"])
    assert host.count("max-connections") == 0


def test_too_many_open_files_delays_accepting_and_recovers(start, connect):
    """Something else than connections has taken them; who connects waits."""
    host = start("slots", args=["--workers", "1"])
    limit = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
    now = len(os.listdir(f"/proc/{host.pid}/fd"))
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (now + 5, limit[1]))
    clients = [connect(host) for _ in range(20)]
    host.wait_line(r"open files")
    for client in clients[:5]:
        client.hello()
        client.ask("slots", {"text": "x"})
    for client in clients[:5]:
        client.close()  # each makes room for one that waits, and for no other
    for client in clients[5:10]:
        client.hello()
        client.ask("slots", {"text": "x"})
    assert host.count("accepting again") == 0
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, limit)
    for client in clients[10:]:
        client.hello()
    host.wait_line("accepting again")
    assert host.count(r"open files") == 1, "one line, however often it was tried"
    assert host.count("accepting again") == 1
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


# ---- peers that are gone

HALF = notify_frame([("slots", ALL)])[:50]
GONE = {
    "half a frame": HALF,
    "an unknown frame": frame(77, b""),
    "a message that waits": notify_frame([("pending", {"key": "a", "mode": "hold"})]),
}


def connections(host):
    return admin.metrics(host)["spoe_host_connections"].total()


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("last", GONE)
def test_a_reset_behind_data_is_seen(start, last, stopped):
    """epoll tells of the data and of the reset at once, and never again."""
    host = start("slots", "pending", args=["--processing-timeout", "1h"],
                 env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    peers = [Client(host.port) for _ in range(30)]
    for peer in peers:
        peer.hello()
        peer.ask("slots", {"text": "x"})
    if stopped:
        host.pause()
    for peer in peers:
        peer.send(GONE[last])
        peer.reset()
    if stopped:
        host.resume()
    wait_until(lambda: connections(host) == 0, lambda: f"{connections(host)} to end{host.report()}")


@pytest.mark.parametrize("stopped", [False, True])
def test_a_close_with_an_answer_unread_is_seen(start, tmp_path, stopped):
    """On a unix socket that is a reset."""
    host = start("slots", args=["--listen", f"unix:{tmp_path}/s"],
                 env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    peers = [Client(f"{tmp_path}/s") for _ in range(30)]
    for peer in peers:
        peer.hello()
        peer.send(notify_frame([("slots", ALL)]))
    wait_until(lambda: admin.metrics(host)["spoe_host_acks_total"].total() == 30, "30 ACKs")
    if stopped:
        host.pause()
    for peer in peers:
        peer.send(HALF)
        peer.close()
    if stopped:
        host.resume()
    wait_until(lambda: connections(host) == 0, lambda: f"{connections(host)} to end{host.report()}")


@pytest.mark.parametrize("tail, last", [
    (disconnect_frame(), "its own"), (frame(NOTIFY, b"\xff\xff\xff", FIN, 9, 9), "a bad frame")])
def test_a_peer_that_closes_its_half_has_its_answers(start, tail, last):
    host = start("slots")
    for _ in range(30):
        with Client(host.port) as peer:
            peer.send(hello_frame() + notify_frame([("slots", {"text": "x"})]) + tail)
            peer.sock.shutdown(socket.SHUT_WR)
            got = []
            while (one := peer.recv_frame()) is not None:
                got.append(one.type)
        assert got == [AGENT_HELLO, ACK, AGENT_DISCONNECT], last
