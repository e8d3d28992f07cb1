# SPDX-License-Identifier: Apache-2.0
"""Clients of all kinds: those that ask as they should, and those that leave, wait, or send nonsense.

Each is a function of the scene (kind_scene.py) and a path, and returns what it saw: Asked.
"""

import socket
import struct
import time
from dataclasses import dataclass

from . import procs
from .procs import wait_until
from .unruly import BIG, BODY

HOST = "kinds.example.org"


class Talk:
    """A client's connection, byte by byte."""

    def __init__(self, port):
        self._sock = socket.create_connection(("127.0.0.1", port), procs.LIMIT)
        self.port = self._sock.getsockname()[1]
        self.sent = None
        self._data = b""

    def send(self, path, method="GET", more="", body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n"
        self.raw(head.encode() + body)

    def raw(self, data):
        self.sent = self.sent or time.time()
        self._sock.sendall(data)

    def head(self):
        """The status code of the answer, None where the connection ends without one."""
        while True:
            while b"\r\n\r\n" not in self._data:
                if not self._read():
                    return None
            head, self._data = self._data.split(b"\r\n\r\n", 1)
            status = int(head.split(b" ", 2)[1])
            if status != 103:
                return status

    def body(self, n):
        while len(self._data) < n and self._read():
            pass
        data, self._data = self._data[:n], self._data[n:]
        return data

    def rest(self):
        """All that comes until the other side ends."""
        while self._read():
            pass
        return self._data

    def _read(self):
        try:
            data = self._sock.recv(65536)
        except ConnectionError:
            return False
        self._data += data
        return bool(data)

    def leave(self):
        """End at once: a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()


@dataclass
class Asked:
    """What a client saw. Times are in seconds since 1970.

    status   the status code, None: none
    port     of its connection
    held     a stretch of time in which the request was certainly under way
    asleep   not yet with a server
    sent     when its first byte left, where that was within `held`
    """

    status: int = None
    port: int = None
    held: tuple = None
    asleep: bool = False
    sent: float = None


def get(scene, path, method="GET", more=""):
    with Talk(scene.web) as talk:
        talk.send(path, method, "Connection: close\r\n" + more)
        status = talk.head()
        talk.rest()
        return Asked(status, talk.port)


def head(scene, path):
    return get(scene, path, "HEAD")


def held(scene, path):
    """An answer that the origin holds back."""
    with Talk(scene.web) as talk:
        talk.send(path, more="Connection: close\r\n")
        begun = scene.origin.wait(path).at
        status, part = None, b""
        if path.endswith("/parts"):
            status, part = talk.head(), talk.body(1)
        until = pause()
        scene.origin.gate(path).set()
        status = status or talk.head()
        assert part + talk.rest() == BODY
        return Asked(status, talk.port, (begun, until))


def pause():
    """Let time pass, since how long something takes is what is told. @return the time then"""
    time.sleep(0.8)
    return time.time()


def upload(scene, path):
    """The rest of a body comes late, but HAProxy is asking a server already."""
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Connection: close\r\nContent-Length: 8\r\n", b"half")
        begun = scene.origin.wait(path).at
        until = pause()
        talk.raw(b"half")
        return Asked(talk.head(), talk.port, (begun, until))


def slow_upload(scene, path):
    """HAProxy waits for the body before it asks a server."""
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Connection: close\r\nContent-Length: 8\r\n", b"half")
        begun = time.time()
        until = pause()
        talk.raw(b"half")
        return Asked(talk.head(), talk.port, (begun, until), True, begun)


def no_upload(scene, path):
    """The body never comes."""
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Connection: close\r\nContent-Length: 8\r\n", b"half")
        return Asked(talk.head(), talk.port)


def leave_before_body(scene, path):
    """While HAProxy waits for it, before it asks a server: it says when it does."""
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Content-Length: 8\r\nExpect: 100-continue\r\n")
        assert talk.head() == 100
        talk.leave()
        return Asked(None, talk.port)


def leave_upload(scene, path):
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Content-Length: 8\r\n", b"half")
        scene.origin.wait(path)
        talk.leave()
        return Asked(None, talk.port)


def broken_chunks(scene, path):
    """The client's."""
    with Talk(scene.web) as talk:
        talk.send(path, "POST", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n")
        scene.origin.wait(path)
        talk.raw(b"no length\r\n")
        status = talk.head()
        scene.origin.gate(path).set()
        return Asked(status, talk.port)


def servers_chunks(scene, path):
    """The server's, when the client has had the first of them."""
    with Talk(scene.web) as talk:
        talk.send(path)
        status = talk.head()
        talk.body(5)
        scene.origin.gate(path).set()
        talk.rest()
        return Asked(status, talk.port)


def websocket(scene, path):
    with Talk(scene.web) as talk:
        talk.send(path, more="Connection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        status = talk.head()
        begun = time.time()
        talk.raw(b"ping")
        assert talk.body(4) == b"ping"
        return Asked(status, talk.port, (begun, pause()))


def keep_alive(scene, path):
    """The time before it, on a connection that is idle, is not its own."""
    with Talk(scene.web) as talk:
        talk.send(path + "/first")
        talk.head()
        talk.body(len(BODY))
        pause()
        talk.send(path, "POST", "Connection: close\r\nContent-Length: 8\r\n", b"half")
        begun = time.time()
        until = pause()
        talk.raw(b"half")
        return Asked(talk.head(), talk.port, (begun, until), sent=begun)


def again(scene, path):
    """The second of two equal requests."""
    get(scene, path)
    asked = get(scene, path)
    assert len(scene.origin.requests(path)) == 1
    return asked


class Behind:
    """A request that waits in a queue behind another, which is under way."""

    def __init__(self, scene, path, name="", more=""):
        self._first = path + "/first/wait"
        self._gate = scene.origin.gate(self._first)
        self._before = Talk(scene.web)
        self._before.send(self._first, more="Connection: close\r\n")
        self.begun = scene.origin.wait(self._first).at
        self.talk = Talk(scene.web)
        self.talk.send(path + name, more="Connection: close\r\n" + more)
        self.port = self.talk.port

    def end_first(self):
        self._gate.set()
        self._before.rest()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end_first()
        self._before.__exit__()
        self.talk.__exit__()


def queued(scene, path):
    with Behind(scene, path) as behind:
        scene.wait_stat(name_of(path), "BACKEND", "qcur", 1)
        until = pause()
        behind.end_first()
        return Asked(behind.talk.head(), behind.port, (behind.begun, until))


def queued_too_long(scene, path):
    with Behind(scene, path) as behind:
        return Asked(behind.talk.head(), behind.port)


def queue_full(scene, path):
    """A server's own queue, where requests wait that have to go to that server, has one place."""
    cookie = "Cookie: at=one\r\n"
    with Behind(scene, path, "/second", cookie):
        scene.wait_stat(name_of(path), "one", "qcur", 1)
        return get(scene, path, more=cookie)


def leave_queue(scene, path):
    with Behind(scene, path) as behind:
        scene.wait_stat(name_of(path), "BACKEND", "qcur", 1)
        behind.talk.leave()
        scene.wait_stat(name_of(path), "BACKEND", "qcur", 0)
        return Asked(None, behind.port)


def leave_connect(scene, path):
    with Talk(scene.web) as talk:
        talk.send(path)
        scene.wait_stat(name_of(path), "one", "scur", 1)
        talk.leave()
        return Asked(None, talk.port)


def leave_waiting(scene, path):
    with Talk(scene.web) as talk:
        talk.send(path)
        scene.origin.wait(path)
        talk.leave()
        return Asked(None, talk.port)


def leave_body(scene, path):
    with Talk(scene.web) as talk:
        talk.send(path)
        status = talk.head()
        talk.body(1)
        talk.leave()
        return Asked(status, talk.port)


class Http2:
    """A client's connection with one HTTP/2 stream, by RFC 9113 (frames) and 7541 (headers as
    literals, so that there are no tables)."""

    DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
    CANCEL = 8

    def __init__(self, talk):
        self._talk = talk
        talk.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(self.SETTINGS)

    def _send(self, kind, flags=0, stream=0, data=b""):
        self._talk.raw(struct.pack(">I", len(data))[1:] + struct.pack(">BBI", kind, flags, stream) + data)

    def ask(self, path):
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", path)]
        block = b"".join(b"\0" + bytes([len(text)]) + text.encode()
                         if at == 0 else bytes([len(text)]) + text.encode()
                         for pair in fields for at, text in enumerate(pair))
        self._send(self.HEADERS, 0x5, 1, block)  # END_HEADERS, END_STREAM

    def reset(self):
        """End the stream, and nothing else: the connection goes on, and answers."""
        self._send(self.RST_STREAM, 0, 1, struct.pack(">I", self.CANCEL))
        self._send(self.PING, 0, 0, bytes(8))
        self.wait(self.PING)

    def wait(self, kind):
        """The next frame of a kind."""
        while True:
            head = self._talk.body(9)
            assert len(head) == 9, "HAProxy ended the connection"
            data = self._talk.body(int.from_bytes(head[:3], "big"))
            if head[3] == kind:
                return data


def reset_waiting(scene, path):
    with Talk(scene.web) as talk:
        stream = Http2(talk)
        stream.ask(path)
        scene.origin.wait(path)
        stream.reset()
        return Asked(None, talk.port)


def reset_body(scene, path):
    """When its first bytes are there."""
    with Talk(scene.web) as talk:
        stream = Http2(talk)
        stream.ask(path)
        stream.wait(Http2.DATA)
        stream.reset()
        return Asked(None, talk.port)


def read_no_more(scene, path):
    """A client that takes nothing more of a body, until HAProxy ends it."""
    with Talk(scene.ports["listless"]) as talk:
        talk.send(path)
        status = talk.head()
        wait_until(lambda: scene.stat("listless", "FRONTEND", "scur") == 0, "the time-out")
        return Asked(status, talk.port)


def read_to_end(scene, path):
    """As long as it takes, and less than all: a body that is cut, or comes no more."""
    with Talk(scene.web) as talk:
        talk.send(path, more="Connection: close\r\n")
        status = talk.head()
        assert len(talk.rest()) < BIG
        return Asked(status, talk.port)


def nowhere(scene, path):
    """Over a frontend without backends."""
    with Talk(scene.ports["nowhere"]) as talk:
        talk.send(path, more="Connection: close\r\n")
        return Asked(talk.head(), talk.port)


def wait_for_none(scene, path):
    """HAProxy forgets the connection and says nothing: the client gives up by itself."""
    with Talk(scene.ports["silent"]) as talk:
        talk.send(path)
        scene.wait_stat("silent", "FRONTEND", "req_tot", 1)
        scene.wait_stat("silent", "FRONTEND", "scur", 0)
        return Asked(None, talk.port)


def raw(data, front="web", leaves=False):
    """What is no request."""
    def ask(scene, path):
        with Talk(scene.ports[front]) as talk:
            talk.raw(data)
            if leaves:
                talk.leave()
                return Asked(None, talk.port)
            return Asked(talk.head(), talk.port)
    return ask


def curl(*args):
    def ask(scene, path):
        status, out = procs.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{local_port}",
                                 "-H", f"Host: {HOST}", *args, f"http://127.0.0.1:{scene.web}{path}"])
        assert status == 0, out
        return Asked(*map(int, out.split()))
    return ask


def whole_url(scene, path):
    return get(scene, f"http://{HOST}{path}")


def options_all(scene, path):
    return get(scene, "*", "OPTIONS")


def name_of(path):
    return path.split("/")[1]
