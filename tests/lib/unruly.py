# SPDX-License-Identifier: Apache-2.0
"""A server that does what servers should not, by the last part of the path that it is asked for:

    /NAME/hang          never answers                /NAME/close     ends without an answer
    /NAME/cut           ends within the body         /NAME/stall     says no more within the body
    /NAME/invalid       answers what is no HTTP      /NAME/NNN       that status
    /NAME/chunks        says what is no length within the body
    /NAME/switch        101, and sends back what comes, until the other side ends
    /NAME/parts         half a body, the rest when the gate opens
    /NAME/wait          answers when the gate opens
    /NAME/big           a body that no socket holds
    /NAME/hints         103, then 200                /NAME/cacheable 200 that may be kept
    /NAME/late          ends without an answer the first time, then 200
    others              200, when all of the body is there

The gate of a path is opened by the test: server.gate(path).set().
"""

import collections
import re
import socket
import threading
import time

from . import procs

BODY = b"hello from the origin\n"
BIG = 64 << 20  # over what sockets of both sides and HAProxy can hold
TOLD_LENGTH = 1000  # of bodies that are cut


def _answer(status=200, body=BODY, more=b""):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), more, body)


class Request:
    """One that has come: its path, headers by name in lower case, and when its headers were
    there and all of its body, in seconds since 1970."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ", 2)
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        self.at = time.time()


class Unruly:
    """The server, in threads of the test. `address` is "127.0.0.1:PORT"."""

    def __init__(self):
        self._gates = collections.defaultdict(threading.Event)
        self._requests = collections.defaultdict(list)
        self._lock = threading.Lock()
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    # -- what tests ask for

    def gate(self, path):
        with self._lock:
            return self._gates[path]

    def requests(self, path):
        """Those for a path that came so far."""
        with self._lock:
            return list(self._requests[path])

    def wait(self, path, n=1):
        """Wait for the n-th request for a path; it."""
        procs.wait_until(lambda: len(self.requests(path)) >= n, f"a request for {path}")
        return self.requests(path)[n - 1]

    # -- the server

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = peer.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                request = Request(head)
                with self._lock:
                    self._requests[request.path].append(request)
                    n = len(self._requests[request.path])
                data = self._behave(peer, request, n, data)
                if data is None:
                    return
        except OSError:
            pass  # HAProxy or its client has left
        finally:
            with self._lock:
                self._open.discard(peer)
            peer.close()

    def _behave(self, peer, request, n, data):
        """Answer one request. @return what came after it; None: the connection ends"""
        what = request.path.split("?")[0].rsplit("/", 1)[-1]
        if what in ("close", "invalid") or (what == "late" and n == 1):
            if what == "invalid":
                peer.sendall(b"this is no HTTP\r\n\r\n")
            return None
        if what == "hang":
            self._until_end(peer)
            return None
        if what in ("cut", "stall"):
            peer.sendall(_answer(body=b"-" * TOLD_LENGTH)[: -TOLD_LENGTH // 2])
            if what == "stall":
                self._until_end(peer)
            return None
        if what == "chunks":
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            self.gate(request.path).wait(procs.LIMIT)
            peer.sendall(b"no length\r\n")
            self._until_end(peer)
            return None
        if what == "switch":
            peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                         b"Upgrade: websocket\r\nSec-WebSocket-Accept: "
                         b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" + data)
            while data := peer.recv(65536):
                peer.sendall(data)
            return None
        if what == "big":
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            for _ in range(BIG >> 16):
                peer.sendall(b"-" * (1 << 16))
            return None
        if what == "parts":
            peer.sendall(_answer()[: -len(BODY) // 2])
            self.gate(request.path).wait(procs.LIMIT)
            peer.sendall(_answer()[-len(BODY) // 2 :])
            return data
        if what == "wait":
            self.gate(request.path).wait(procs.LIMIT)
        length = int(request.headers.get("content-length", 0))
        while len(data) < length:
            more = peer.recv(65536)
            if not more:
                return None
            data += more
        peer.sendall(self._usual(request, what))
        return data[length:]

    @staticmethod
    def _usual(request, what):
        status = int(what) if re.fullmatch(r"[2-5]\d\d", what) else 200
        if status in (204, 304):
            return b"HTTP/1.1 %d X\r\n\r\n" % status
        more = b"Cache-Control: max-age=60\r\n" if what == "cacheable" else b""
        answer = _answer(status, more=more)
        if request.method == "HEAD":
            answer = answer[: -len(BODY)]
        if what == "hints":
            answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer
        return answer

    @staticmethod
    def _until_end(peer):
        while peer.recv(65536):
            pass

    def close(self):
        for gate in list(self._gates.values()):
            gate.set()
        with self._lock:
            peers = list(self._open)
        for sock in [self._listener, *peers]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()
        self._thread.join(procs.LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FullBacklog:
    """A port whose queue of connections is full, so that connecting to it never ends."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._fillers = []
        # The kernel takes one more than the backlog, and by and by no more: until one hangs.
        while True:
            filler = socket.socket()
            self._fillers.append(filler)
            filler.settimeout(0.25)
            try:
                filler.connect(self._listener.getsockname())
            except TimeoutError:
                return

    def close(self):
        for sock in [self._listener, *self._fillers]:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
