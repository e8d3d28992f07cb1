# SPDX-License-Identifier: Apache-2.0
"""SPOP conversations by hand: negotiation, every way to get it wrong, framing, hostile lengths."""

import ipaddress
import struct

import pytest

from lib.spop import (FIN, INT32, INT64, NOTIFY, STR, UINT32, UINT64, Client, Typed,
                      disconnect_frame, frame, hello_frame, items, message, notify_frame)

ALL_SLOTS = {
    "text": "hello",
    "number": 7,
    "flag": True,
    "addr": ipaddress.ip_address("192.0.2.1"),
    "blob": b"\x00\xff",
    "any": "thing",
}
ALL_VALUES = list(ALL_SLOTS.values())


def slots(ack):
    return [ack.variables.get(f"slot{i}", "not set") for i in range(6)]


def undeclared(ack):
    """Names and values of the arguments that the plugin did not declare."""
    found, i = [], 0
    while f"arg{i}_name" in ack.variables:
        found.append((ack.variables[f"arg{i}_name"], ack.variables[f"arg{i}_value"]))
        i += 1
    return found


@pytest.fixture
def host(start):
    return start("slots", args=["--workers", "1"])


@pytest.fixture
def client(host, connect):
    client = connect(host)
    client.hello()
    return client


def still_serves(host):
    """Whatever was done to other connections, a new one works."""
    assert host.alive()
    with Client(host.port) as other:
        other.hello()
        assert slots(other.ask("slots", ALL_SLOTS)) == ALL_VALUES


# -- HELLO


@pytest.mark.parametrize("asked,answered", [
    (256, 256), (16380, 16380), (65532, 65532), (1 << 20, 1 << 20), ((1 << 20) + 1, 1 << 20),
    (1 << 31, 1 << 20)])
def test_hello_is_answered_with_haproxys_size_up_to_ours(host, connect, asked, answered):
    assert connect(host).hello(max_frame_size=asked) == {
        "version": "2.0", "max-frame-size": answered, "capabilities": "pipelining"}


@pytest.mark.parametrize("hello", [
    dict(versions="1.0, 2.0"), dict(versions="2.0,3.0"), dict(versions=" 2.0 "),
    dict(capabilities=""), dict(capabilities="pipelining,async"),
    dict(capabilities="fragmentation, pipelining"), dict(capabilities="unheard-of"),
    dict(engine_id=None), dict(engine_id="x" * 64), dict(more=[("colour", "blue")]),
    dict(more=[("a-number", 12)])], ids=str)
def test_hello_is_accepted(host, connect, hello):
    client = connect(host)
    assert client.hello(**hello)["version"] == "2.0"
    client.ask("slots", {"text": "x"})


def test_hello_types_of_size(host, connect):
    for kind in (INT32, UINT32, INT64, UINT64):
        assert connect(host).hello(max_frame_size=Typed(kind, 4096))["max-frame-size"] == 4096


@pytest.mark.parametrize("code,hello", [
    (5, hello_frame(versions=None)),
    (8, hello_frame(versions="1.0")),
    (8, hello_frame(versions="3.0, 1.9")),
    (8, hello_frame(versions="")),
    (6, hello_frame(max_frame_size=None)),
    (9, hello_frame(max_frame_size=255)),
    (9, hello_frame(max_frame_size=0)),
    (7, hello_frame(capabilities=None)),
    (4, notify_frame([("slots", {"text": "x"})])),
    (4, frame(1, b"\xff")),
    (4, frame(1, items([("supported-versions", "2.0")])[:-1])),
    (5, hello_frame(versions=True)),
    (9, hello_frame(max_frame_size="many")),
    (10, hello_frame(flags=0)),
    (10, frame(0, b"more")),
], ids=[
    "no version", "old version", "versions unknown", "versions empty", "no size", "size too small",
    "size zero", "no capabilities", "notify first", "garbage", "cut short", "version not a string",
    "size not a number", "fragmented hello", "unset first"])
def test_negotiation_error_has_its_code(host, connect, code, hello):
    client = connect(host)
    client.send(hello)
    assert client.recv_disconnect().code == code
    still_serves(host)


def test_second_hello_is_refused(host, client):
    client.send(hello_frame())
    assert client.recv_disconnect().code == 4
    still_serves(host)


def test_health_check(host, connect):
    for _ in range(3):
        client = connect(host)
        said = client.hello(capabilities="", engine_id=None, healthcheck=True)
        assert said["version"] == "2.0" and 256 <= said["max-frame-size"] <= 16380
    still_serves(host)


def test_disconnect_is_answered(host, client):
    client.send(disconnect_frame(0))
    assert client.recv_disconnect().code == 0
    still_serves(host)


def test_disconnect_before_hello(host, connect):
    client = connect(host)
    client.send(disconnect_frame(2, "timeout"))
    assert client.recv_disconnect().code in (0, 4)


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff", items([("status-code", "x")])])
def test_odd_disconnect_ends_it_all_the_same(host, client, payload):
    client.send(frame(2, payload))
    assert client.recv_disconnect().code in (0, 4)
    still_serves(host)


# -- NOTIFY and ACK


def test_empty_notify_is_acked(client):
    stream_id = client.notify([])
    ack = client.recv_ack()
    assert (ack.stream_id, ack.frame_id, ack.variables) == (stream_id, 1, {})


def test_unknown_message_is_acked(client):
    assert client.ask("nobody-declared-this", {"a": 1, "b": "x"}).variables == {}


def test_ids_come_back(client):
    for stream_id, frame_id in ((0, 0), (1, 1), (240, 2288), ((1 << 64) - 1, (1 << 64) - 1)):
        client.send(notify_frame([("slots", {"text": "x"})], stream_id, frame_id))
        ack = client.recv_ack()
        assert (ack.stream_id, ack.frame_id) == (stream_id, frame_id)


def test_every_slot_gets_its_value(client):
    ack = client.ask("slots", ALL_SLOTS)
    assert slots(ack) == ALL_VALUES
    assert undeclared(ack) == []
    assert ack.variables["name1"] == "slots"
    assert ack.variables["engine_id"] == "engine"
    assert ack.variables["times_ok"] is True
    assert ack.variables["inval_ok"] is True
    assert ("unset", "sess", "gone") in ack.actions
    assert slots(client.ask("slots-other", ALL_SLOTS)) == ALL_VALUES


def test_slots_are_right_when_the_order_changes(client):
    """The host may remember an order; it must not believe in it."""
    pairs = list(ALL_SLOTS.items())
    for _ in range(2):
        for turn in range(len(pairs)):
            ack = client.ask("slots", pairs[turn:] + pairs[:turn])
            assert slots(ack) == ALL_VALUES
        assert slots(client.ask("slots", pairs[::-1])) == ALL_VALUES
        ack = client.ask("slots", [pairs[0], pairs[3]])
        assert slots(ack) == ["hello", None, None, pairs[3][1], None, None]
        ack = client.ask("slots", [("new", 1), *pairs[:2], ("newer", None), *pairs[2:]])
        assert slots(ack) == ALL_VALUES
        assert undeclared(ack) == [("new", 1), ("newer", None)]


def test_names_that_are_almost_right(client):
    ack = client.ask("slots", [("tex", 1), ("texts", 2), ("text", "x"), ("", 3), ("Number", 4)])
    assert slots(ack) == ["x", None, None, None, None, None]
    assert undeclared(ack) == [("tex", 1), ("texts", 2), ("", 3), ("Number", 4)]


def test_wrong_types_are_absent(client):
    wrong = {"text": "x", "number": "7", "flag": 1, "addr": "192.0.2.1", "blob": "str", "any": None}
    assert slots(client.ask("slots", wrong)) == ["x", None, None, None, None, None]


def test_required_argument_that_is_absent_or_wrong(client):
    for args in ({}, {"number": 1}, {"text": 7}, {"text": None}):
        assert client.ask("slots", args).variables == {}
    assert slots(client.ask("slots", ALL_SLOTS)) == ALL_VALUES


def test_a_repeated_argument_does_no_harm(client):
    ack = client.ask("slots", [("text", "first"), ("text", "second"), ("number", 1)])
    assert slots(ack)[0] in ("first", "second")
    assert slots(ack)[1] == 1


@pytest.mark.parametrize("typed,seen", [
    (Typed(INT32, -5), -5), (Typed(UINT32, 4294967295), 4294967295),
    (Typed(INT64, -(1 << 63)), -(1 << 63)), (Typed(UINT64, (1 << 64) - 1), (1 << 64) - 1)])
def test_integers(client, typed, seen):
    assert slots(client.ask("slots", {"text": "x", "number": typed}))[1] == seen


@pytest.mark.parametrize("any_value", [
    "", "x" * 4000, b"", b"\x00" * 300, ipaddress.ip_address("2001:db8::1"), False, True, 0])
def test_values_come_back_as_they_went(client, any_value):
    assert slots(client.ask("slots", {"text": "x", "any": any_value}))[5] == any_value


def test_several_messages_in_one_notify(client):
    client.notify([("slots", {"text": "a"}), ("unknown", {"x": 1}), ("slots", {"text": "b"}),
                   ("slots-other", {"text": "c"})])
    ack = client.recv_ack()
    texts = [a[3] for a in ack.actions if a[0] == "set" and a[2] == "slot0"]
    assert texts == ["a", "b", "c"]


def test_error_drops_that_messages_actions_only(start, connect):
    client = connect(start("slots", "error"))
    client.hello()
    client.notify([("error", {}), ("slots", {"text": "x"}), ("error", {})])
    ack = client.recv_ack()
    assert "error" not in ack.variables and ack.variables["slot0"] == "x"
    assert client.ask("error").variables == {}


@pytest.mark.parametrize("size", [256, 16380, 1 << 20])
def test_ack_stays_within_the_negotiated_size(start, connect, size):
    client = connect(start("toobig"))
    client.hello(max_frame_size=size)
    client.notify([("toobig", {})])
    got = client.recv_frame()
    assert len(got.payload) + 7 <= size
    client.notify([("toobig", {}), ("toobig", {})])
    assert len(client.recv_frame().payload) + 7 <= size
    # What fitted is there: 1 kB each, and little more.
    if size > 1100:
        assert len(got.payload) > size - 1100


def test_plugins_that_share_a_message(start, connect):
    src, path = ipaddress.ip_address("192.0.2.7"), "/p"
    args = {"path": path, "method": "GET", "src": src}
    for order in (("shared_a", "shared_b"), ("shared_b", "shared_a")):
        client = connect(start(*order))
        client.hello()
        ack = client.ask("shared", args)
        assert ack.variables == {
            "shared_a_0": path, "shared_a_1": "GET", "shared_a_others": 1,
            "shared_b_0": src, "shared_b_1": path, "shared_b_others": 1}
        first = order[0] + "_0"
        assert ack.order[0] == first, "actions follow the order of the plugins"
        # By a name of its own it reaches one of them alone (issue 12, 1); also several in a frame.
        own = client.ask("shared-b.shared", args).variables
        assert own == {"shared_b_0": src, "shared_b_1": path, "shared_b_others": 1}
        client.notify([("shared-b.shared", {"src": src}), ("shared-a.shared", {"path": path})])
        assert client.recv_ack().order == ["shared_b_0", "shared_b_1", "shared_b_others",
                                           "shared_a_0", "shared_a_1", "shared_a_others"]
        assert client.ask("shared-c.shared", args).variables == client.ask("b.shared", args).variables


def test_what_goes_wrong_is_counted(start, connect):
    host = start("slots", "error", "toobig")
    client = connect(host)
    client.hello()
    client.ask("slots", {"text": "x", "number": "seven", "flag": 1})
    client.ask("slots", {"number": 7})
    client.ask("slots", {"text": 7})
    client.ask("nobody-declared-this")
    client.ask("error")
    client.ask("toobig")
    client.send(frame(50))
    connect(host).hello(healthcheck=True, capabilities="")
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    client.recv_disconnect()
    assert host.terminate() == 0
    counted = dict(pair.split("=") for pair in host.wait_line(r"totals: ([^\"]*)").group(1).split())
    want = {"bad_types": 3, "missing_arguments": 2, "unknown_messages": 1, "handler_errors": 1,
            "unknown_frames": 1, "health_checks": 1, "protocol_errors": 1, "notifies": 6,
            "acks": 6}
    assert {key: int(counted[key]) for key in want} == want
    assert int(counted["refused_actions"]) > 0


def test_an_error_of_one_plugin_leaves_the_others_actions(start, connect):
    client = connect(start("shared_a", "error", "shared_b"))
    client.hello()
    ack = client.ask("shared", {"path": "/", "method": "GET"})
    assert "error" not in ack.variables
    assert "shared_a_0" in ack.variables and "shared_b_1" in ack.variables


# -- framing


def conversation():
    return hello_frame() + notify_frame([("slots", ALL_SLOTS)], 1) + notify_frame([], 3) + \
        notify_frame([("slots", {"text": "z"})], 5)


def check_conversation(client):
    client.recv_hello()
    acks = [client.recv_ack() for _ in range(3)]
    assert [a.stream_id for a in acks] == [1, 3, 5]
    assert slots(acks[0]) == ALL_VALUES
    assert slots(acks[2])[0] == "z"


def test_split_at_every_byte(host, connect):
    """Two writes for every cut. Without waiting between them the kernel may well merge some, so
    the first part is known to have been read where it held a whole frame."""
    data = conversation()
    for cut in range(1, len(data)):
        client = connect(host)
        client.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        client.send(data[:cut])
        client.send(data[cut:])
        check_conversation(client)
        client.close()


def test_one_byte_at_a_time(host, connect):
    client = connect(host)
    client.sock.setsockopt(6, 1, 1)
    for byte in conversation():
        client.send(bytes([byte]))
    check_conversation(client)


def test_frame_by_frame_split_inside(host, connect):
    """The host has answered what came before, so it waits inside a frame when the rest comes."""
    data = notify_frame([("slots", {"text": "z"})], 5)
    client = connect(host)
    client.hello()
    for cut in range(1, len(data)):
        client.send(notify_frame([], 1) + data[:cut])
        assert client.recv_ack().stream_id == 1
        client.send(data[cut:])
        assert slots(client.recv_ack())[0] == "z"


def test_a_thousand_in_one_write(client):
    client.send(b"".join(notify_frame([("slots", {"text": str(i)})], i) for i in range(1000)))
    seen = {}
    for _ in range(1000):
        ack = client.recv_ack()
        assert ack.stream_id not in seen
        seen[ack.stream_id] = slots(ack)[0]
    assert seen == {i: str(i) for i in range(1000)}


def test_unknown_frame_types_are_skipped(client):
    for kind in (4, 50, 100, 104, 255):
        client.send(frame(kind, b"whatever", FIN, 9, 9))
    assert slots(client.ask("slots", {"text": "x"}))[0] == "x"


@pytest.mark.parametrize("size", [256, 16380, 100_000])
def test_no_frame_is_larger_than_agreed(host, connect, size):
    """1.5, A4: error 3, at the first byte too many and as soon as the length says so."""
    whole = frame(NOTIFY, message("slots", {"text": "x", "blob": b""}), FIN, 1, 1)
    for over in (0, 1):
        client = connect(host)
        client.hello(max_frame_size=size)
        # A varint for the blob's length takes 1 byte up to 239, then 2, then 3.
        more = size - (len(whole) - 4)
        more -= 0 if more < 240 else 1 if more < 2288 + 1 else 2
        data = frame(NOTIFY, message("slots", {"text": "x", "blob": bytes(more + over)}), FIN, 1, 1)
        assert len(data) - 4 == size + over
        client.send(data if not over else data[:4])
        if over:
            assert client.recv_disconnect().code == 3
        else:
            assert client.recv_ack().variables["slot0"] == "x"
    still_serves(host)


@pytest.mark.parametrize("over", [0, 1])
def test_a_frame_before_hello_is_16_kib_at_most(host, connect, over):
    """1.5: before anything is agreed to."""
    client = connect(host)
    short = len(hello_frame(more=[("filler", "")])) - 4
    data = hello_frame(more=[("filler", "x" * (16384 - short - 2 + over))])
    assert len(data) - 4 == 16384 + over
    client.send(data)
    if over:
        assert client.recv_disconnect().code == 3
    else:
        client.recv_hello()
    still_serves(host)


@pytest.mark.parametrize("data", [
    frame(NOTIFY, message("slots", {"text": "x"}), 0, 1, 1),
    frame(0, b"rest", FIN, 1, 1),
    frame(0, b"rest", 0, 1, 1)], ids=["notify without FIN", "unset", "unset without FIN"])
def test_fragments_are_refused(host, client, data):
    client.send(data)
    assert client.recv_disconnect().code == 10
    still_serves(host)


def raw(body):
    return struct.pack(">I", len(body)) + body


HEAD = bytes([NOTIFY, 0, 0, 0, FIN, 1, 1])


@pytest.mark.parametrize("code,data", [
    (3, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (3, b"\xff\xff\xff\xff"),
    (3, struct.pack(">I", (1 << 20) + 1)),
    (4, b"\x00\x00\x00\x00"),
    (4, raw(b"\x03\x00\x00\x00\x01\x00")),
    (4, raw(b"\x03\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00")),
    (4, raw(HEAD + b"\x05slots")),
    (4, raw(HEAD + b"\x05slots\x01")),
    (4, raw(HEAD + b"\x05slots\x02\x04text\x08\x01x")),
    (4, raw(HEAD + b"\x05slots\x01\x04text\x08\xff\xff\xff\xff\xff\xff\xff\xff\x00x")),
    (4, raw(HEAD + b"\x05slots\x01\x04text\x08\xf0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
    (4, raw(HEAD + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
    (4, raw(HEAD + b"\x05slots\x01\x04text\x0f")),
    (4, raw(HEAD + b"\x05slots\x01\x04text\x07\x00\x01")),
    (4, raw(HEAD + b"\x05slots\x01\x04text\x06\x7f")),
], ids=["http", "length ff", "length above ours", "length 0", "length 6", "endless stream-id",
        "no count", "no argument", "one argument of two", "long string", "endless varint",
        "long name", "type 15", "cut ipv6", "cut ipv4"])
@pytest.mark.parametrize("greeted", [True, False], ids=["", "before hello"])
def test_hostile_bytes(host, connect, code, data, greeted):
    client = connect(host)
    if greeted:
        client.hello()
    client.send(data)
    assert client.recv_disconnect().code == code
    still_serves(host)


def test_too_many_arguments_and_messages(host, client, connect):
    many = [(f"a{i}", i) for i in range(255)]
    ack = client.ask("slots", [("text", "x"), *many[:254]])
    assert slots(ack)[0] == "x" and ack.variables["arg0_name"] == "a0"
    client.send(frame(NOTIFY, message("x") * 10_000, FIN, 1, 1))
    got = client.recv_frame()
    assert got is not None
    still_serves(host)


# -- the end of connections


def test_reset_is_a_normal_end(start, connect):
    host = start("slots")
    for greeted in (False, True):
        client = connect(host)
        if greeted:
            client.hello()
            client.ask("slots", {"text": "x"})
        client.reset()
    client = connect(host)
    client.hello()
    client.send(notify_frame([("slots", ALL_SLOTS)]) * 100)
    client.reset()
    still_serves(host)
    assert host.count(r"level=(warning|error) ", 0) == host.count(r"authentication")


def test_close_inside_a_frame(host, connect):
    for data in (b"\x00", b"\x00\x00\x10\x00", notify_frame([("slots", ALL_SLOTS)])[:-1]):
        client = connect(host)
        client.hello()
        client.send(data)
        client.close()
    still_serves(host)


def test_half_closed_peer_gets_its_answers(host, client):
    client.send(notify_frame([("slots", {"text": "x"})], 1) * 10)
    client.sock.shutdown(1)
    assert [client.recv_ack().stream_id for _ in range(10)] == [1] * 10


def test_one_connection_does_not_disturb_another(start, connect):
    host = start("pending", args=["--workers", "1", "--processing-timeout", "60s"])
    calm = connect(host)
    calm.hello()
    calm.notify([("pending", {"key": "k", "mode": "hold"})])
    for data in (b"GET / HTTP/1.1\r\n\r\n", raw(HEAD + b"\xff"), b"\x00"):
        bad = connect(host)
        bad.hello()
        bad.send(data)
        bad.reset()
    other = connect(host)
    other.hello()
    other.ask("pending-release", {"key": "k"})
    assert calm.recv_ack().variables == {"pending": "k"}
