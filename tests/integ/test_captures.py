# SPDX-License-Identifier: Apache-2.0
"""What real HAProxies sent, replayed: tests/captures/ has one GET through three messages, and
health checks, for eight versions."""

import os
import pathlib

import pytest

from lib.spop import (ACK, AGENT_DISCONNECT, AGENT_HELLO, HAPROXY_DISCONNECT, HAPROXY_HELLO, NOTIFY,
                      Reader, decode_ack, decode_frame, decode_items, frame, items, message, string,
                      value, varint)

CAPTURES = sorted((pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "tests/captures").glob("*.txt"))
EACH = pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.stem)


def read(path):
    """The capture's frames: (connection, from_haproxy, bytes with the length)."""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            connection, direction, text = line.split()
            yield int(connection), direction == "haproxy->agent", bytes.fromhex(text)


def test_all_are_there():
    assert len(CAPTURES) == 16


@EACH
def test_our_own_codec_reads_and_writes_them(path):
    """The tests' codec against HAProxy's bytes, so that it may be trusted with the host's."""
    for _, from_haproxy, data in read(path):
        got = decode_frame(data[4:])
        if got.type in (HAPROXY_HELLO, HAPROXY_DISCONNECT, AGENT_HELLO, AGENT_DISCONNECT):
            payload = items(decode_items(got.payload))
        elif got.type == NOTIFY:
            reader, payload = Reader(got.payload), b""
            while not reader.done():
                name, n_args = reader.string(), reader.byte()
                payload += string(name) + bytes([n_args])
                for _ in range(n_args):
                    key, at = reader.string(), reader.at
                    kind = got.payload[at] & 15
                    again = value(reader.value())
                    # An integer's wire type is HAProxy's choice.
                    payload += string(key) + bytes([again[0] & 240 | kind]) + again[1:]
        else:
            assert got.type == ACK and not from_haproxy
            continue
        assert frame(got.type, payload, got.flags, got.stream_id, got.frame_id) == data


@pytest.mark.parametrize("number,text", [
    (0, "00"), (239, "ef"), (240, "f000"), (241, "f100"), (255, "ff00"), (256, "f001"),
    (2287, "ff7f"), (2288, "f08000"), (16380, "fcf006"), ((1 << 64) - 1, None)])
def test_varint(number, text):
    data = varint(number)
    if text is not None:
        assert data.hex() == text
    assert Reader(data).varint() == number


def test_message_has_its_count():
    assert message("m", {"a": 1})[:3] == b"\x01m\x01"


@EACH
def test_replay(start, connect, path):
    host = start("good")
    clients = {}
    for number, from_haproxy, data in read(path):
        if not from_haproxy:
            continue
        sent = decode_frame(data[4:])
        if number not in clients:
            clients[number] = connect(host)
        client = clients[number]
        client.send(data)
        if sent.type == HAPROXY_HELLO:
            said = client.recv_hello()
            asked = decode_items(sent.payload)
            assert said["version"] == "2.0"
            assert said["max-frame-size"] == asked["max-frame-size"]
            assert [c.strip() for c in said["capabilities"].split(",")] == ["pipelining"]
        elif sent.type == NOTIFY:
            ack = decode_ack(client.recv_frame())
            assert (ack.stream_id, ack.frame_id) == (sent.stream_id, sent.frame_id)
        else:
            assert sent.type == HAPROXY_DISCONNECT
            assert client.recv_disconnect().code == 0
    for client in clients.values():
        client.close()
    assert host.terminate() == 0
