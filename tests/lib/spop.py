# SPDX-License-Identifier: Apache-2.0
"""HAProxy's side of SPOP 2.0, written from SPOE.txt 3, sharing nothing with the host's codec.

    with Client(port) as client:
        client.hello()
        ack = client.ask("my-message", {"path": "/", "status": 200})
        assert ack.variables == {"answer": 42}

Values: None, bool, int (by size; Typed for a certain wire type), str, bytes, ipaddress objects.
A connection that the host closed, or reset, reads as None.
"""

import collections
import ipaddress
import os
import socket
import struct

LIMIT = float(os.environ.get("SPOE_TEST_LIMIT", "60"))

# Frame types (SPOE.txt 3.2.2).
HAPROXY_HELLO, HAPROXY_DISCONNECT, NOTIFY = 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FIN, ABORT = 1, 2

# Types of a value (SPOE.txt 3.1).
NULL, BOOL, INT32, UINT32, INT64, UINT64, IPV4, IPV6, STR, BIN = range(10)

SCOPES = {0: "proc", 1: "sess", 2: "txn", 3: "req", 4: "res"}

Typed = collections.namedtuple("Typed", "type value")
Frame = collections.namedtuple("Frame", "type flags stream_id frame_id payload")


class Ack(collections.namedtuple("Ack", "stream_id frame_id actions")):
    """actions: a list of ("set", scope, name, value) and ("unset", scope, name)."""

    @property
    def variables(self):
        """What was set, as a dict; later ones win, as they do in HAProxy."""
        return {a[2]: a[3] for a in self.actions if a[0] == "set"}

    @property
    def order(self):
        """The names of what was set, in the order of the actions."""
        return [a[2] for a in self.actions if a[0] == "set"]


class Disconnect(collections.namedtuple("Disconnect", "code message")):
    pass


class BadFrame(AssertionError):
    """The host sent something that SPOE.txt does not allow."""


# -- encoding


def varint(n):
    if n < 240:
        return bytes([n])
    out = [(n & 15) | 240]
    n = (n - 240) >> 4
    while n >= 128:
        out.append((n & 127) | 128)
        n = (n - 128) >> 7
    out.append(n)
    return bytes(out)


def string(s):
    if isinstance(s, str):
        s = s.encode()
    return varint(len(s)) + s


def value(v):
    """A typed value."""
    if isinstance(v, Typed):
        kind, v = v
    elif v is None:
        kind = NULL
    elif isinstance(v, bool):
        kind = BOOL
    elif isinstance(v, int):
        kind = UINT32 if 0 <= v < 1 << 32 else UINT64 if v >= 1 << 63 else INT64
    elif isinstance(v, str):
        kind = STR
    elif isinstance(v, bytes):
        kind = BIN
    elif isinstance(v, ipaddress.IPv4Address):
        kind = IPV4
    elif isinstance(v, ipaddress.IPv6Address):
        kind = IPV6
    else:
        raise TypeError(repr(v))
    if kind == NULL:
        return bytes([NULL])
    if kind == BOOL:
        return bytes([BOOL | (16 if v else 0)])
    if kind in (INT32, UINT32, INT64, UINT64):
        return bytes([kind]) + varint(v & 0xFFFFFFFFFFFFFFFF)
    if kind in (IPV4, IPV6):
        return bytes([kind]) + v.packed
    if kind in (STR, BIN):
        return bytes([kind]) + string(v)
    return bytes([kind]) + v  # any other type: raw bytes, for hostile frames


def items(pairs):
    """A key-value list, as in HELLO and DISCONNECT, or a message's arguments."""
    if isinstance(pairs, dict):
        pairs = pairs.items()
    return b"".join(string(k) + value(v) for k, v in pairs)


def message(name, args=()):
    """One message of a NOTIFY; args is a dict or a list of pairs (names may repeat)."""
    pairs = list(args.items()) if isinstance(args, dict) else list(args)
    assert len(pairs) < 256
    return string(name) + bytes([len(pairs)]) + items(pairs)


def frame(kind, payload=b"", flags=FIN, stream_id=0, frame_id=0):
    """A whole frame with its length."""
    body = bytes([kind]) + struct.pack(">I", flags) + varint(stream_id) + varint(frame_id) + payload
    return struct.pack(">I", len(body)) + body


def hello_frame(versions="2.0", max_frame_size=16380, capabilities="pipelining", engine_id="engine",
                healthcheck=None, more=(), flags=FIN):
    """A HAPROXY-HELLO; an item that is None is left out. `more` adds (key, value) pairs."""
    pairs = [("supported-versions", versions), ("max-frame-size", max_frame_size),
             ("capabilities", capabilities), ("healthcheck", healthcheck), ("engine-id", engine_id)]
    pairs = [(k, v) for k, v in pairs if v is not None] + list(more)
    return frame(HAPROXY_HELLO, items(pairs), flags)


def notify_frame(messages, stream_id=1, frame_id=1, flags=FIN):
    """A NOTIFY; messages: a list of (name, args)."""
    payload = b"".join(message(name, args) for name, args in messages)
    return frame(NOTIFY, payload, flags, stream_id, frame_id)


def disconnect_frame(code=0, text="normal"):
    return frame(HAPROXY_DISCONNECT, items([("status-code", code), ("message", text)]))


# -- decoding


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def done(self):
        return self.at == len(self.data)

    def take(self, n):
        if n > len(self.data) - self.at:
            raise BadFrame(f"cut short at {self.at} of {self.data.hex()}")
        piece = self.data[self.at : self.at + n]
        self.at += n
        return piece

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        n = self.byte()
        if n < 240:
            return n
        shift = 4
        while True:
            b = self.byte()
            n += b << shift
            shift += 7
            if b < 128:
                return n

    def string(self):
        return self.take(self.varint())

    def value(self):
        head = self.byte()
        kind = head & 15
        if kind == NULL:
            return None
        if kind == BOOL:
            return bool(head & 16)
        if kind in (INT32, INT64):
            n = self.varint()
            return n - (1 << 64) if n >= 1 << 63 else n
        if kind in (UINT32, UINT64):
            return self.varint()
        if kind == IPV4:
            return ipaddress.IPv4Address(self.take(4))
        if kind == IPV6:
            return ipaddress.IPv6Address(self.take(16))
        if kind == STR:
            return self.string().decode("utf-8", "surrogateescape")
        if kind == BIN:
            return bytes(self.string())
        raise BadFrame(f"type {kind}")


def decode_frame(body):
    reader = Reader(body)
    kind = reader.byte()
    flags = struct.unpack(">I", reader.take(4))[0]
    stream_id, frame_id = reader.varint(), reader.varint()
    return Frame(kind, flags, stream_id, frame_id, body[reader.at :])


def decode_items(payload):
    reader, out = Reader(payload), {}
    while not reader.done():
        key = reader.string().decode()
        out[key] = reader.value()
    return out


def decode_ack(got):
    if got.type != ACK or got.flags != FIN:
        raise BadFrame(f"not a whole ACK: {got}")
    reader, actions = Reader(got.payload), []
    while not reader.done():
        action, n_args, scope = reader.byte(), reader.byte(), SCOPES[reader.byte()]
        name = reader.string().decode()
        if (action, n_args) == (1, 3):
            actions.append(("set", scope, name, reader.value()))
        elif (action, n_args) == (2, 2):
            actions.append(("unset", scope, name))
        else:
            raise BadFrame(f"action {action} with {n_args} arguments")
    if not actions:
        raise BadFrame("an empty ACK")  # some HAProxy releases hang on one
    return Ack(got.stream_id, got.frame_id, actions)


# -- connection


class Client:
    """One connection to the host. `address`: a port of 127.0.0.1, (host, port), or a path."""

    def __init__(self, address, limit=LIMIT, rcvbuf=None):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, tuple):
            info = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
            self.sock = socket.socket(info[0], info[1])
            address = info[4]
        else:
            self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(limit)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        try:
            self.sock.connect(str(address) if not isinstance(address, tuple) else address)
        except BaseException:
            self.sock.close()
            raise
        self.buffer = b""
        self.next_stream = 1

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self, n):
        while len(self.buffer) < n:
            try:
                piece = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                piece = b""
            if not piece:
                return False
            self.buffer += piece
        return True

    def recv_frame(self):
        """The next frame; None once the host has closed. Fails after the limit."""
        if not self._fill(4):
            if self.buffer:
                raise BadFrame(f"closed inside a frame: {self.buffer.hex()}")
            return None
        size = struct.unpack(">I", self.buffer[:4])[0]
        if not self._fill(4 + size):
            raise BadFrame(f"closed inside a frame of {size}: {self.buffer.hex()}")
        body, self.buffer = self.buffer[4 : 4 + size], self.buffer[4 + size :]
        return decode_frame(body)

    def recv_disconnect(self):
        """The host's AGENT-DISCONNECT, which must be followed by the end of the connection."""
        got = self.recv_frame()
        if got is None or got.type != AGENT_DISCONNECT or got.flags != FIN:
            raise BadFrame(f"not a DISCONNECT: {got}")
        said = decode_items(got.payload)
        rest = self.recv_frame()
        if rest is not None:
            raise BadFrame(f"after the DISCONNECT: {rest}")
        return Disconnect(said["status-code"], said["message"])

    def hello(self, **more):
        """Negotiate; the AGENT-HELLO's items."""
        self.send(hello_frame(**more))
        return self.recv_hello()

    def recv_hello(self):
        got = self.recv_frame()
        if got is None or (got.type, got.flags, got.stream_id, got.frame_id) != (
            AGENT_HELLO, FIN, 0, 0):
            raise BadFrame(f"not an AGENT-HELLO: {got}")
        return decode_items(got.payload)

    def notify(self, messages, frame_id=1):
        """Send a NOTIFY under the next stream-id, as HAProxy 3.1+ does (odd ones); the id."""
        stream_id = self.next_stream
        self.next_stream += 2
        self.send(notify_frame(messages, stream_id, frame_id))
        return stream_id

    def recv_ack(self):
        got = self.recv_frame()
        if got is None:
            raise BadFrame("closed in place of an ACK")
        return decode_ack(got)

    def ask(self, name, args=()):
        """One message there and back."""
        stream_id = self.notify([(name, args)])
        ack = self.recv_ack()
        if (ack.stream_id, ack.frame_id) != (stream_id, 1):
            raise BadFrame(f"the ACK's ids are not {stream_id}, 1: {ack}")
        return ack
