# SPDX-License-Identifier: Apache-2.0
"""Collectors that misbehave, on bare sockets: HTTP/1.1 and gRPC's HTTP/2 by hand, so that anything can
be said at any step.

    with Hostile("grpc", "headers", vice, times=2) as collector:
        ... export to collector.endpoint ...
        collector.wait_met(2)

`vice(peer)` is called at a step, for the first `times` times that a client gets so far; then, and for
whatever the vice leaves open by returning True, the collector behaves and keeps what it took in `spans`.

    accept    a connection is there, before TLS         settings  gRPC: after both sides' preface
    headers   the request's headers have come           request   it has come whole
"""

import contextlib
import socket
import ssl
import struct
import tempfile
import threading

from . import procs
from .otlp import decode_export

# Frame types and flags of HTTP/2 (RFC 9113, 6).
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 5, 6, 7, 8, 9)
END_STREAM, ACK, END_HEADERS = 1, 1, 4


class Gone(Exception):
    """The client has left."""


def h2_frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _hpack_string(text):
    """RFC 7541, 5.2, without Huffman."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) < 127:
        return bytes([len(data)]) + data
    size, out = len(data) - 127, bytearray([127])
    while size >= 128:
        out.append(size % 128 + 128)
        size //= 128
    out.append(size)
    return bytes(out) + data


def hpack(*pairs):
    """Literal fields without indexing, 6.2.2."""
    return b"".join(b"\0" + _hpack_string(key) + _hpack_string(value) for key, value in pairs)


def grpc_message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


GRPC_HEADERS = hpack((":status", "200"), ("content-type", "application/grpc"))


class Peer:
    """One connection, as a vice sees it."""

    def __init__(self, sock, server):
        self.sock, self.server = sock, server
        self.stream = 0  # of the call that is under way
        self._buffer = b""

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def take(self, n):
        while len(self._buffer) < n:
            try:
                piece = self.sock.recv(65536)
            except OSError:
                piece = b""
            if not piece:
                raise Gone
            self._buffer += piece
        piece, self._buffer = self._buffer[:n], self._buffer[n:]
        return piece

    def line(self):
        out = b""
        while not out.endswith(b"\r\n"):
            out += self.take(1)
        return out[:-2]

    def silence(self):
        """Say nothing more until the client leaves."""
        while True:
            self.take(1)

    def slowly(self, data):
        for byte in data:
            self.send(bytes([byte]))
            if self.server.closing.wait(0.1):
                raise Gone

    def forever(self, data):
        while not self.server.closing.is_set():
            self.send(data)

    def reset(self):
        """RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- HTTP/1.1

    def head(self):
        """Read a request's headers; the size of its body."""
        size = 0
        while line := self.line():
            key, _, value = line.decode("latin-1").partition(":")
            if key.lower() == "content-length":
                size = int(value)
        return size

    def answer(self, status="200 OK", headers=(), body=b"", length=None):
        head = [f"HTTP/1.1 {status}", *[f"{key}: {value}" for key, value in headers]]
        if length != "none":
            head.append(f"Content-Length: {len(body) if length is None else length}")
        self.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    # -- HTTP/2

    def frame(self, kind, flags=0, payload=b"", stream=None):
        self.send(h2_frame(kind, flags, self.stream if stream is None else stream, payload))

    def goaway(self, last=0, error=0, debug=b""):
        self.frame(GOAWAY, payload=struct.pack(">II", last, error) + debug, stream=0)

    def respond(self, message=b"", status="0", fields=(), flag=0):
        """A whole answer of gRPC."""
        self.frame(HEADERS, END_HEADERS, GRPC_HEADERS)
        self.data(grpc_message(message, flag))
        self.trailers(status, fields)

    def data(self, payload):
        for at in range(0, len(payload), 16384):
            self.frame(DATA, 0, payload[at:at + 16384])

    def trailers(self, status="0", fields=()):
        self.frame(HEADERS, END_HEADERS | END_STREAM, hpack(("grpc-status", status), *fields))

    def refuse(self, status, fields=()):
        """Trailers alone."""
        self.frame(HEADERS, END_HEADERS | END_STREAM,
                   GRPC_HEADERS + hpack(("grpc-status", status), *fields))


class Hostile:
    """The collector: `endpoint`, `met` (how often the vice was met), `spans` that it took."""

    def __init__(self, protocol, step, vice, times=2, tls=None):
        self.protocol, self.step, self.vice, self.times = protocol, step, vice, times
        self.tls = tls
        self.met = 0
        self.spans = []
        self.closing = threading.Event()
        self._news = threading.Condition()
        self._socks = []
        self._context = self._make_context() if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.endpoint = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _make_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:  # ssl reads files only
            file.write(self.tls[0] + self.tls[1])
            file.flush()
            context.load_cert_chain(file.name)
        if self.protocol == "grpc":
            context.set_alpn_protocols(["h2"])
        return context

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._socks.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def claim(self, step):
        """Whether the vice is due."""
        with self._news:
            if step != self.step or self.met >= self.times:
                return False
            self.met += 1
            self._news.notify_all()
        return True

    def wait_met(self, count):
        with self._news:
            if not self._news.wait_for(lambda: self.met >= count, procs.LIMIT):
                raise procs.Timeout(f"the vice was met {self.met} times, not {count}")

    def took(self, request):
        self.spans += decode_export(request)

    def _serve(self, sock):
        peer = Peer(sock, self)
        try:
            if self.claim("accept") and not self.vice(peer):
                return
            if self._context:
                peer.sock = self._context.wrap_socket(sock, server_side=True)
            (self._serve_grpc if self.protocol == "grpc" else self._serve_http)(peer)
        except (Gone, OSError):
            pass  # ssl.SSLError is one
        finally:
            with contextlib.suppress(OSError):
                peer.sock.close()

    def _serve_http(self, peer):
        while True:
            size = peer.head()
            if self.claim("headers") and not self.vice(peer):
                return
            body = peer.take(size)
            if self.claim("request") and not self.vice(peer):
                return
            self.took(body)
            peer.answer()

    def _serve_grpc(self, peer):
        peer.take(24)  # the client's preface
        peer.frame(SETTINGS)
        if self.claim("settings") and not self.vice(peer):
            return
        body = b""
        while True:
            size, kind, flags, peer_stream = self._frame_head(peer)
            payload = peer.take(size)
            if kind in (SETTINGS, PING) and not flags & ACK:
                peer.frame(kind, ACK, payload if kind == PING else b"", stream=0)
            elif kind == HEADERS:
                peer.stream, body = peer_stream, b""
                if self.claim("headers") and not self.vice(peer):
                    return
            elif kind == DATA:
                body += payload
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                if self.claim("request") and not self.vice(peer):
                    return
                self.took(body[5:])
                peer.respond()

    @staticmethod
    def _frame_head(peer):
        head = peer.take(9)
        return (int.from_bytes(head[:3], "big"), head[3], head[4],
                int.from_bytes(head[5:], "big") & 0x7FFFFFFF)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
