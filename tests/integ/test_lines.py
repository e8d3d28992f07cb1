# SPDX-License-Identifier: Apache-2.0
"""HAProxy's log lines as messages (host/lines): each transport, what a line becomes, limits, the
end. Numbers in comments are lines of issue 11."""

import os
import re
import signal
import socket
import stat

import pytest

from conftest import host_args
from lib import admin
from lib.lines import Sender, Told, addresses
from lib.procs import LIMIT, Proc, clean_env, host_binary, run, wait_until

KINDS = ["udp", "unixgram", "tcp", "tcp+octet", "unix"]
ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}


@pytest.fixture
def lines(start, tmp_path):
    """lines(kind, *args) -> (host, told, a function that makes senders)"""
    senders = []

    def begin(kind="udp", *args, env=None):
        told = Told(tmp_path / "told")
        where = str(tmp_path / "socket") if kind.startswith("unix") else "127.0.0.1:0"
        host = start("from_log", env={**ADMIN, **(env or {})}, args=[
            "--log-listen", f"{kind}:{where}", "--set", f"from-log.file={told.path}", *args])
        address = addresses(host)[kind.split("+")[0]][0]

        def sender():
            senders.append(Sender(kind, address))
            return senders[-1]

        return host, told, sender

    yield begin
    for sender in senders:
        sender.close()


def count(host, name, **labels):
    return admin.metrics(host)[f"spoe_host_{name}"].value(**labels)


def wait_count(host, name, value, **labels):
    wait_until(lambda: count(host, name, **labels) >= value,
               lambda: f"{name} {labels}: {count(host, name, **labels)}, wanted {value}")
    assert count(host, name, **labels) == value


# ---- 1.1, 1.4, 1.5: a line becomes a message ----


@pytest.mark.parametrize("kind", KINDS)
def test_each_transport_brings_lines(lines, kind):  # 1.1 1.3 1.4
    host, told, sender = lines(kind)
    sender().send("v=1 n=7 text=\"a b\"", "v=1 n=8 place=127.0.0.1 flag=1", "v=1 n=-9 status=+1")
    assert told.wait(3) == [
        "on-http-log n=int:7 text=str:a b set_var=-7",
        "on-http-log n=int:8 place=ip4:127.0.0.1 flag=bool:1 set_var=-7",
        "on-http-log n=int:-9 status=str:+1 set_var=-7"]
    assert count(host, "log_lines_total") == 3
    assert count(host, "messages_total") == 3
    assert host.terminate() == 0


def test_what_a_line_becomes(lines):  # 1.4 1.5
    _host, told, sender = lines()
    sender().send(
        'v=1 n=1 new=x text="\\"\\\\\\]#22#0A" bytes=b place=::1 flag=false status=200 n=2 none=-',
        "v=1 msg=release a=b",
        "v=1 n=2 text=\"\" n=3",
        "v=1 n=3 place=unix:1 status=<BADREQ>")
    assert told.wait(5) == [
        'on-http-log n=int:1 text=str:"\\]"',
        ' place=ip6:00..01 flag=bool:0 status=int:200 bytes=bin:b +new=str:x +n=str:2 set_var=-7',
        "release +a=str:b set_var=-7",
        "on-http-log n=int:2 text=str: +n=str:3 set_var=-7",
        "on-http-log n=int:3 place=str:unix:1 status=str:<BADREQ> set_var=-7"]


def test_rfc5424(lines):  # 1.4 1.5
    host, told, sender = lines()
    head = "<133>1 2026-11-27T17:08:25.882146+00:00 hhh haproxy 158 - "
    user = 'GET / 200 syslog.message="x"'
    sender().send(f"{head}v=1 n=1 text=\"t\" {user}", f"{head}[s v=1 n=2] {user}",
                  f"{head}[s v=1 n=3]", "1 - - - - - v=1 n=4")
    rest = "host=str:hhh time=str:2026-11-27T17:08:25.882146+00:00 procid=int:158 set_var=-7"
    assert told.wait(4) == [
        f"on-http-log n=int:1 text=str:t user=str:{user} {rest}",
        f"on-http-log n=int:2 user=str:{user} {rest}",
        f"on-http-log n=int:3 {rest}",
        "on-http-log n=int:4 set_var=-7"]
    assert count(host, "log_broken_lines_total", reason="other") == 0


def test_cut_lines_give_what_they_hold(lines):  # 1.4
    host, told, sender = lines()
    sender().send('v=1 n=1 text="ab', 'v=1 n=2 te', "v=1 n=3")
    assert told.wait(3) == ["on-http-log n=int:1 text=str:ab set_var=-7",
                            "on-http-log n=int:2 set_var=-7", "on-http-log n=int:3 set_var=-7"]
    assert count(host, "log_cut_lines_total") == 2


def test_names_are_not_mixed_with_spop(lines, connect):  # 1.5
    """A message of the log does not come over SPOP, nor the other way round."""
    host, told, sender = lines()
    client = connect(host)
    client.hello()
    ack = client.notify([("over-spop", {"n": 1}), ("on-http-log", {"n": 2})])
    assert ack is not None
    sender().send("v=1 msg=over-spop n=3", "v=1 msg=nobodys n=4", "v=1 n=5")
    assert told.wait(2) == ["over-spop n=int:1 set_var=0", "on-http-log n=int:5 set_var=-7"]
    assert count(host, "unknown_messages_total") == 3


def test_what_is_printed():  # 1.5
    args = host_args("from_log")
    status, text = run([host_binary(), *args, "--print-spoe-config"])
    assert status == 0 and "over-spop" in text
    assert "on-http-log" not in text and "release" not in text
    status, text = run([host_binary(), *args, "--plugin-info", "from_log.so"])
    assert status == 0
    assert "message on-http-log from HAProxy's log" in text
    assert "message over-spop on on-frontend-http-request" in text


# ---- 1.7: what is broken ----


@pytest.mark.parametrize("line, reason, at", [
    ("Server be/s is DOWN", "other", 0), ("v=1 n=1 text= bad n=3", "name", 14),
    ('v=1 text="a"b', "value", 12), ("1 - -", "syslog", 4), ("v=1 syslog.procid=1", "name", 4),
    ("v=1 " + " ".join(f"k{i}=1" for i in range(200)), "too_many", None),
])
def test_a_broken_line_costs_itself(lines, line, reason, at):  # 1.7
    host, told, sender = lines("tcp")
    sender().send("v=1 n=1", line, "v=1 n=2")
    assert [t.split()[1] for t in told.wait(2)] == ["n=int:1", "n=int:2"]
    assert count(host, "log_broken_lines_total", reason=reason) == 1
    where = f"byte {at}: " if at is not None else "byte "
    host.wait_line(f"component=lines .*tcp:127.0.0.1:0 from 127.0.0.1:.*broken at {where}")


def test_a_flood_of_broken_lines_is_not_a_flood_of_log_lines(lines):  # 1.7
    host, _told, sender = lines("tcp")
    sender().send(*["x"] * 1000)
    wait_count(host, "log_broken_lines_total", 1000, reason="other")
    assert host.count("is broken at") <= 5


@pytest.mark.parametrize("kind", ["udp", "tcp", "unixgram"])
def test_the_longest_line(lines, kind):  # 1.7
    """65 535 bytes come whole where the transport has them; what is longer is passed over."""
    host, told, sender = lines(kind, "--log-line-max", "60000")
    s = sender()
    longest = 'v=1 n=1 text="'
    longest += "x" * (59998 - len(longest)) + '"'
    s.send(longest, longest[:-1] + "yyy\"", "v=1 n=2")
    got = told.wait(2)
    assert got[0].startswith("on-http-log n=int:1 text=str:xxx") and len(got[0]) > 16000
    assert got[1] == "on-http-log n=int:2 set_var=-7"
    assert count(host, "log_broken_lines_total", reason="too_long") == 1


def test_a_lost_framing_ends_the_connection(lines):  # 1.3
    host, told, sender = lines("tcp+octet")
    bad, good = sender(), sender()
    bad.raw(b"7 v=1 n=1GET / HTTP/1.1\r\n")
    assert bad.ended()
    good.send("v=1 n=2")
    assert [t.split()[1] for t in told.wait(2)] == ["n=int:1", "n=int:2"]
    assert count(host, "log_lost_framing_total") == 1
    host.wait_line("no length of a log line")


@pytest.mark.parametrize("kind", ["tcp", "tcp+octet"])
def test_haproxys_dropped_events_are_counted(lines, kind):  # 1.3
    host, told, sender = lines(kind)
    s = sender()
    s.send("v=1 n=1")
    s.raw(b"12 events dropped\0")
    s.raw(b"1 event dropped\n" if kind == "tcp" else b"15 1 event dropped")
    s.send("v=1 n=2")
    told.wait(2)
    assert count(host, "log_haproxy_drops_total") == 13
    assert admin.metrics(host)["spoe_host_log_broken_lines_total"].total() == 0


@pytest.mark.parametrize("kind", ["tcp", "tcp+octet", "unix"])
def test_split_at_every_byte(lines, kind):  # 1.7
    """One line after the other, each sent in two parts; nothing waits for the parts to be read."""
    _host, told, sender = lines(kind)
    s = sender()
    s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if kind != "unix" else None
    n = 0
    for cut in range(1, len(s.frame("v=1 n=1000"))):
        data = s.frame(f"v=1 n={1000 + cut}")
        s.raw(data[:cut])
        s.raw(data[cut:])
        n += 1
    assert [t.split()[1] for t in told.wait(n)] == [f"n=int:{1001 + i}" for i in range(n)]


def test_a_line_that_its_connection_ends_is_told(lines):  # 1.7
    host, told, sender = lines("tcp")
    s = sender()
    s.raw(b"v=1 n=1\nv=1 n=2")
    s.close()
    wait_count(host, "log_broken_lines_total", 1, reason="partial")
    assert len(told.lines()) == 1


# ---- 1.5, 1.6: limits ----


@pytest.mark.parametrize("kind", KINDS)
def test_pending_holds_the_line(lines, kind):  # 1.5
    """What a held message points to is there until it is completed, whatever comes after it."""
    host, told, sender = lines(kind, "--processing-timeout", "60s", "--workers", "1")
    s = sender()
    s.send("v=1 n=1 mode=hold")
    told.wait(1)
    assert count(host, "pending") == 1
    s.send(*[f"v=1 n={i} text=\"{'y' * 700}\"" for i in range(100, 200)])
    told.wait(101)
    s.send("v=1 msg=release")
    assert told.wait(103)[-1] == "completed int:1"
    assert count(host, "pending") == 0
    assert host.terminate() == 0


def test_processing_timeout_frees_the_place(lines):  # 1.5
    host, told, sender = lines("tcp", "--max-pending", "1", "--processing-timeout", "50ms")
    sender().send("v=1 n=1 mode=never", "v=1 n=2")
    assert sorted(told.wait(3)) == [
        "cancelled why=2", "on-http-log n=int:1 mode=str:never set_var=-7",
        "on-http-log n=int:2 set_var=-7"]
    assert count(host, "timeouts_total") == 1
    assert host.terminate() == 0
    assert told.lines()[-1] == "completed int:1"


def test_a_stream_waits_for_room(lines):  # 1.6
    host, told, sender = lines("tcp", "--max-pending", "2", "--processing-timeout", "60s")
    s = sender()
    s.send(*[f"v=1 n={i} mode=hold" for i in range(10)])
    told.wait(2)
    other = sender()
    other.send("v=1 msg=release")
    wait_until(lambda: len(told.lines()) == 2, "nothing more")
    assert count(host, "log_lines_total") == 2
    host.signal(signal.SIGTERM)  # they are completed by stop(), at the latest
    host.wait()


def test_a_stream_goes_on_when_there_is_room(lines):  # 1.6
    host, told, sender = lines("tcp", "--max-pending", "4", "--processing-timeout", "100ms")
    sender().send(*[f"v=1 n={i} mode=never" for i in range(20)], "v=1 n=99")
    wait_until(lambda: any("n=int:99" in t for t in told.lines()), "the last line")
    assert count(host, "log_lines_total") == 21
    assert count(host, "timeouts_total") == 20
    assert host.terminate() == 0


def test_datagrams_that_find_no_room_are_dropped(lines):  # 1.6
    host, told, sender = lines("udp", "--max-pending", "2", "--processing-timeout", "60s",
                               "--log-delay", "200ms", "--shutdown-timeout", "2s")
    sender().send(*[f"v=1 n={i} mode=hold" for i in range(10)])
    told.wait(2)
    wait_count(host, "log_room_drops_total", 8)
    assert len(told.lines()) == 2
    host.terminate()


def test_lines_that_are_missing_are_counted(lines):  # 1.6
    host, told, sender = lines("udp")
    s = sender()
    numbers = list(range(100)) + list(range(110, 300))
    for i in range(0, len(numbers), 50):
        s.send(*[f"v=1 n=1 pid=5 fe=web lc={n}" for n in numbers[i:i + 50]])
        told.wait(min(i + 50, len(numbers)))
    s.send(*[f"v=1 n=1 pid=6 fe=web lc={n}" for n in range(50)])  # another process
    s.send(*[f"v=1 n=1 pid=5 fe=api lc={n}" for n in range(1000, 1050)])  # another frontend
    told.wait(len(numbers) + 100)
    assert count(host, "log_missing_lines_total", frontend="web") == 10
    assert admin.metrics(host)["spoe_host_log_missing_lines_total"].total() == 10
    host.wait_line("log lines of frontend web .process 5. are missing before number 1")


def test_numbers_go_on_over_the_next_connection(lines):  # 1.6
    """Whichever worker has it: what came over another connection is not missing, and what was
    lost with one is."""
    host, told, sender = lines("tcp", "--workers", "2")
    n = 0
    for turn in range(4):
        other = sender() if turn % 2 else None  # a place is taken: the next one goes to the other
        wait_until(lambda: count(host, "log_connections") == turn % 2, "it")
        s = sender()
        s.send(*[f"v=1 n=1 pid=5 fe=web lc={i}" for i in range(n, n + 200)])
        told.wait((turn + 1) * 200)
        s.close()
        if other:
            other.close()
        wait_until(lambda: count(host, "log_connections") == 0, "their end")
        n += 200 + 3  # lost
    assert count(host, "log_missing_lines_total", frontend="web") == 9


def test_what_the_kernel_drops_is_counted(lines):  # 1.2
    host, told, sender = lines("udp", "--log-receive-buffer", "64k")
    s = sender()
    host.pause()
    s.send(*[f"v=1 n={i} text={'x' * 400}" for i in range(1000)])
    host.resume()
    wait_until(lambda: count(host, "log_lines_total") > 0, "some lines")
    def all_accounted():
        s.send("v=1 n=1")  # the drops are told with the next datagram
        return count(host, "log_kernel_drops_total") > 0
    wait_until(all_accounted, "the kernel's drops")
    drops = count(host, "log_kernel_drops_total")
    assert sum("text=" in t for t in told.lines()) + drops == 1000


def test_many_lines_come_whole(lines):  # 1.2
    host, told, sender = lines("tcp", "--workers", "2")
    s = sender()
    for i in range(0, 50000, 1000):
        s.send(*[f"v=1 n={n}" for n in range(i, i + 1000)])
    wait_count(host, "log_lines_total", 50000)
    assert [t.split()[1] for t in told.wait(50000)] == [f"n=int:{i}" for i in range(50000)]


def test_4000_connections(lines):  # 1.7
    host, _told, sender = lines("tcp", "--workers", "2")
    senders = [sender() for _ in range(4000)]
    for i, s in enumerate(senders):
        s.send(f"v=1 n={i}")
    wait_count(host, "log_lines_total", 4000)
    assert count(host, "log_connections") == 4000
    for s in senders:
        s.close()
    wait_until(lambda: count(host, "log_connections") == 0, "their end")
    assert host.terminate() == 0


def test_all_places_taken(lines):  # 1.1
    """The quiet one that is longest so makes a place; where none is quiet the new one goes."""
    host, told, sender = lines("tcp", "--max-connections", "2", "--workers", "1")
    first, second = sender(), sender()
    first.send("v=1 n=1"), second.send("v=1 n=2")
    told.wait(2)
    def refused():
        try:
            return sender().ended()
        except ConnectionResetError:  # before connect() has returned
            return True
    assert refused()  # both have been active just now
    def place():
        try:
            s = sender()
            s.send("v=1 n=3")
            s.sock.settimeout(0.05)
            return not s.ended()
        except socket.timeout:
            return True
        except OSError:  # it was closed before it was used
            return False
    wait_until(place, "a place")
    assert first.ended()
    assert count(host, "evicted_connections_total") >= 1
    assert count(host, "refused_connections_total") >= 1


def test_idle_connections_end(lines):
    host, told, sender = lines("tcp", "--idle-timeout", "100ms")
    s = sender()
    s.send("v=1 n=1")
    told.wait(1)
    assert s.ended()
    assert count(host, "idle_timeouts_total") == 1


def test_what_ends_within_a_line_is_told(lines):  # 1.7
    """Also where it is us who close."""
    host, told, sender = lines("tcp", "--idle-timeout", "100ms")
    s = sender()
    s.raw(b"v=1 n=1\nv=1 n")
    assert s.ended()
    wait_count(host, "log_broken_lines_total", 1, reason="partial")
    assert len(told.lines()) == 1


def test_a_unix_connection_may_be_idle(lines, start, tmp_path):
    """There is no reset: from 3.0 on HAProxy would lose its next line."""
    told = Told(tmp_path / "told")
    host = start("from_log", env=ADMIN, args=[
        "--log-listen", f"unix:{tmp_path}/socket,tcp:127.0.0.1:0", "--workers", "1",
        "--idle-timeout", "100ms", "--set", f"from-log.file={told.path}"])
    at = addresses(host)
    unix, tcp = Sender("unix", at["unix"][0]), Sender("tcp", at["tcp"][0])
    unix.send("v=1 n=1")
    told.wait(1)
    tcp.send("v=1 n=2")
    told.wait(2)
    assert tcp.ended()  # and unix was idle for longer
    unix.send("v=1 n=3")
    told.wait(3)
    assert count(host, "idle_timeouts_total") == 1
    unix.close(), tcp.close()


# ---- 1.1: who may send ----


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_log_from(lines, kind):  # 1.1
    host, told, sender = lines(kind, "--log-from", "127.0.0.2, 10.0.0.0/8")
    try:
        s = sender()
        s.send("v=1 n=1")
    except OSError:  # it was closed before it was used
        assert kind == "tcp"
    wait_count(host, "log_refused_total", 1)
    if kind == "tcp":
        return
    allowed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    allowed.bind(("127.0.0.2", 0))
    allowed.sendto(b"v=1 n=2", s.sock.getpeername())
    allowed.close()
    assert told.wait(1) == ["on-http-log n=int:2 set_var=-7"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_start_names_an_address_as_the_option_does(start, tmp_path, kind):  # 1.1
    where = f"{tmp_path}/socket" if kind.startswith("unix") else "127.0.0.1:0"
    host = start("from_log", args=["--log-listen", f"{kind}:{where}"])
    where = where.replace(":0", ":[1-9][0-9]*")
    assert host.count(f'taking log lines on {re.escape(kind)}:{where}"') == 1, host.lines


@pytest.mark.parametrize("kind", ["udp", "tcp", "tcp+octet"])
def test_all_addresses_are_of_both_families(start, tmp_path, kind):  # 1.1
    """[::] is IPv6 alone, * is both (docs/configuration.md)."""
    told = Told(tmp_path / "told")
    host = start("from_log", args=["--log-listen", f"{kind}:*:0", "--set", f"from-log.file={told.path}"])
    for n, (name, to) in enumerate([(r"0\.0\.0\.0", "127.0.0.1"), (r"\[::\]", "::1")]):
        port = host.wait_line(rf"taking log lines on {re.escape(kind)}:{name}:([0-9]+)").group(1)
        sender = Sender(kind, f"{to}:{port}")
        sender.send("v=1 n=7")
        assert told.wait(n + 1)[n] == "on-http-log n=int:7 set_var=-7"
        sender.close()
    host = start("from_log", args=["--log-listen", f"{kind}:[::]:0"])
    port = host.wait_line(r"taking log lines on .*:\[::\]:([0-9]+)").group(1)
    family = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, family) as free:  # nobody else's, by its address
        free.bind(("127.11.1.1", int(port)))


def test_it_is_off_by_default(start):  # 1.1
    host = start("from_log")
    assert addresses(host) == {}
    assert host.terminate() == 0


@pytest.mark.parametrize("address", ["udp:0.0.0.0:0", "tcp:0.0.0.0:0"])
def test_beyond_loopback_there_is_a_warning(start, address):  # 1.1
    host = start("from_log", args=["--log-listen", address])
    host.wait_line("level=warning component=lines .*other machines can reach an address")
    quiet = start("from_log", args=["--log-listen", "udp:127.0.0.1:0"])
    assert quiet.count("other machines can reach an address of log-listen") == 0


def test_a_small_receive_buffer_is_a_warning(tmp_path):  # 1.2
    """Without CAP_NET_ADMIN the kernel gives net.core.rmem_max at most."""
    most = int(open("/proc/sys/net/core/rmem_max").read())
    args = [host_binary(), *host_args("from_log"), "--listen", "127.0.0.1:0",
            "--log-listen", "udp:127.0.0.1:0", "--log-receive-buffer", str(most * 2)]
    if os.geteuid() == 0:
        args = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *args]
    with Proc(args, env=clean_env()) as host:
        host.wait_line(f"keeps {most} bytes of datagrams instead of the {most * 2} of .*lines/s.*"
                       f"sysctl -w net.core.rmem_max={most * 2}")
        assert host.terminate() == 0


@pytest.mark.parametrize("args, words", [
    (["--log-listen", "127.0.0.1:1"], ["log-listen", "expected udp:HOST:PORT"]),
    (["--log-listen", "udp:127.0.0.1"], ["log-listen", "HOST:PORT"]),
    (["--log-listen", "udp:unix:/x"], ["expected HOST:PORT after udp:"]),
    (["--log-listen", "unixgram:x"], ["begins with /"]),
    (["--log-listen", "udp:no.such.host.invalid:1"],
     ["cannot listen on udp:no.such.host.invalid:1"]),
    (["--log-listen", "unixgram:/no/such/folder/x"],
     ["unixgram:/no/such/folder/x", "No such file"]),
    (["--log-listen", "udp:192.0.2.1:5"], ["udp:192.0.2.1:5", "Cannot assign"]),
    (["--log-listen", ","], ["an empty item"]),
    (["--log-from", "10.0.0.1/8"], ["log-from", "bits set behind its first 8"]),
    (["--log-from", "10.0.0.0/33"], ["0 to 32"]), (["--log-from", "x"], ["expected a network"]),
    (["--log-line-max", "100"], ["log-line-max"]), (["--log-delay", "2s"], ["log-delay"]),
])
def test_bad_options(args, words):  # 1.1
    status, text = run([host_binary(), *host_args("from_log"), "-t", *args])
    assert status != 0
    for word in words:
        assert word in text, text


def test_good_options_are_checked(tmp_path):  # 1.1
    status, text = run([host_binary(), *host_args("from_log"), "-t", "--log-listen",
                        f"udp:127.0.0.1:12514,tcp+octet:[::1]:12514,unix:{tmp_path}/a,"
                        f"unixgram:{tmp_path}/b", "--log-from", "10.0.0.0/8,2001:db8::/32,::1"])
    assert status == 0, text
    assert list(tmp_path.iterdir()) == []


# ---- the end ----


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_come_is_read_before_the_end(lines, kind):  # 1.6
    """SIGTERM while lines wait in the kernel: each becomes a message first."""
    host, told, sender = lines(kind, "--workers", "1")
    s = sender()
    s.send("v=1 n=0")
    told.wait(1)
    n = 10 if kind == "unixgram" else 500  # net.unix.max_dgram_qlen
    host.pause()
    s.send(*[f"v=1 n={i}" for i in range(1, n)])
    host.signal(signal.SIGTERM)
    host.resume()
    assert host.wait() == 0
    assert [t.split()[1] for t in told.lines()] == [f"n=int:{i}" for i in range(n)]


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_sender_that_never_stops_does_not_hold_the_end(lines, kind):
    host, told, sender = lines(kind, "--shutdown-timeout", "60s")
    sock = "SOCK_DGRAM" if kind == "udp" else "SOCK_STREAM"
    flood = Proc(["/usr/bin/python3", "-c",
                  "import socket\n"
                  f"s = socket.socket(socket.AF_INET, socket.{sock})\n"
                  f"s.connect({sender().sock.getpeername()!r})\n"
                  "while True:\n"
                  "    try:\n"
                  f"        s.send(b'v=1 n=1\\n' * {1 if kind == 'udp' else 5000})\n"
                  "    except ConnectionRefusedError:\n"
                  "        pass\n"])
    with flood:
        told.wait(1000)
        assert host.terminate() == 0
    assert host.count("left unread") == 0


def test_connections_that_were_not_accepted_yet_have_lines_too(lines):  # 1.6
    """SIGTERM while 200 connections wait in the backlog, each with a line."""
    host, told, sender = lines("tcp")
    host.pause()
    for i in range(200):
        sender().send(f"v=1 n={i}")
    host.signal(signal.SIGTERM)
    host.resume()
    assert host.wait() == 0
    assert {t.split()[1] for t in told.lines()} == {f"n=int:{i}" for i in range(200)}


def test_a_plugin_that_keeps_everything_does_not_hold_the_end(lines):
    host, told, sender = lines("tcp", "--max-pending", "3", "--processing-timeout", "60s",
                               "--shutdown-timeout", "4s")
    sender().send(*[f"v=1 n={i} mode=never" for i in range(100)])
    told.wait(3)
    host.signal(signal.SIGTERM)
    host.wait(LIMIT)
    host.wait_line("log lines are left unread")


def test_kill_and_start_again(lines, tmp_path):
    host, told, sender = lines("unixgram")
    sender().send("v=1 n=1")
    told.wait(1)
    mode = os.stat(tmp_path / "socket").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    host.kill()
    _again, told, sender = lines("unixgram")
    sender().send("v=1 n=2")
    told.wait(2)


def test_two_hosts_do_not_share_a_port(lines, start):
    host, _told, _sender = lines("udp")
    address = addresses(host)["udp"][0]
    other = start("from_log", args=["--log-listen", f"udp:{address}"], wait=False)
    other.wait_line("cannot listen on udp:.*Address already in use")
    assert other.wait() == 1
