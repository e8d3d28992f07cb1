# SPDX-License-Identifier: Apache-2.0
"""The HTTP server behind HAProxy: answers by path and records what it was asked.

    /status/NNN   that status
    /hold         answers 200 only after release()
    /slow         200, its headers at once and its body SLOW_BODY seconds later
    /bytes/NNN    200, with a body of so many bytes
    others        200
Each answer carries X-Origin-Traceparent, the traceparent that reached the origin.
"""

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import procs

SLOW_BODY = 0.3


@dataclass
class Request:
    method: str
    path: str
    headers: list  # (name in lower case, value), in order
    body: bytes = b""
    connection: object = None  # the same for all requests of a connection

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # HAProxy's side of a test that cuts connections

    def _answer(self):
        origin = self.server.origin
        headers = [(key.lower(), value) for key, value in self.headers.items()]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        request = Request(self.command, self.path, headers, body, self.client_address)
        with origin.news:
            origin.requests.append(request)
            origin.news.notify_all()
        if self.path.startswith("/hold"):
            origin.gate.wait(procs.LIMIT)
        status = 200
        if self.path.startswith("/status/"):
            status = int(self.path.split("/")[2].split("?")[0])
        body = b"" if status in (204, 304) else b"hello from the origin\n"
        if self.path.startswith("/bytes/"):
            body = b"x" * int(self.path.split("/")[2].split("?")[0])
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Origin-Traceparent", request.header("traceparent") or "none")
        if self.path.startswith("/slow"):
            self.end_headers()
            time.sleep(SLOW_BODY)
            self.wfile.write(body)
            return
        # In one write with the headers: see docs/haproxy.md, "Versions", on HAProxy 2.6.
        self._headers_buffer.append(b"\r\n" + (body if self.command != "HEAD" else b""))
        self.flush_headers()

    def __getattr__(self, name):
        if name.startswith("do_"):  # any method
            return self._answer
        raise AttributeError(name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


class Origin:
    """The server in threads of the test. `address` is "127.0.0.1:PORT"; `requests` only grows."""

    def __init__(self, port=0):
        self.requests = []
        self.news = threading.Condition()
        self.gate = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.origin = self
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def hold(self):
        """From now on requests for /hold wait."""
        self.gate.clear()

    def release(self):
        self.gate.set()

    def wait_request(self, path):
        """Wait until a request for `path` has arrived; the newest one."""

        def find():
            with self.news:
                return next((r for r in reversed(self.requests) if r.path == path), None)

        return procs.wait_until(find, f"a request for {path} at the origin")

    def close(self):
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
