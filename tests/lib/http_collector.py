# SPDX-License-Identifier: Apache-2.0
"""An OTLP/HTTP collector for tests, on the standard library's http.server; see collector.py.

    with HttpCollector() as collector:
        ... export to collector.url ...
        spans = collector.wait_spans(2)

answer() says what the next calls get in place of 200: another status with headers and a body, or
one of RESET (the connection is reset when the request has come) and CLOSE (it is closed without a
byte). hold() lets calls hang.
"""

import gzip
import http.server
import socket
import ssl
import struct
import tempfile
import threading

from .collector import SERVICES, Received
from .procs import ReservedPort

RESET, CLOSE = "reset", "close"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802, the name that http.server looks for
        self.server.collector.serve(self)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that leaves, or that does not like our certificate


class HttpReceived(Received):
    """One signal over HTTP."""

    def answer(self, status, headers=(), body=b"", times=1):
        """Answer the next `times` calls so; `status` may be RESET or CLOSE."""
        with self._news:
            self._answers += [(status, dict(headers), body)] * times


class HttpCollector(HttpReceived):
    """Receives spans over HTTP.

    port      of the kernel's choice, the same for every start()
    tls       (key, certificate), both PEM bytes; None: plaintext
    client_ca PEM bytes: a client needs a certificate of this CA
    url       "http[s]://127.0.0.1:PORT"
    paths     of the requests, one per call
    logs, metrics  what came to /v1/logs and /v1/metrics; all else is traces
    """

    def __init__(self, tls=None, client_ca=None, signals=SERVICES):
        super().__init__()
        self.logs, self.metrics = HttpReceived("logs"), HttpReceived("metrics")
        self.signals = signals
        self._reserved = ReservedPort()
        self.port = self._reserved.port
        self.tls = tls
        self.client_ca = client_ca
        self.paths = []
        self._server = None
        self.start()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"

    def start(self):
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.collector = self
        if self.tls:
            # The handshake belongs into the connection's thread: a client may refuse it.
            self._server.socket = self._context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def _context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:  # ssl reads files only
            file.write(self.tls[0] + self.tls[1])
            file.flush()
            context.load_cert_chain(file.name)
        if self.client_ca:
            context.load_verify_locations(cadata=self.client_ca.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def stop(self):
        for received in (self, self.logs, self.metrics):
            received.release()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._reserved.close()

    def _received(self, path):
        of_path = {"/v1/logs": self.logs, "/v1/metrics": self.metrics}
        return of_path.get(path, self)

    def serve(self, handler):
        headers = {key.lower(): value for key, value in handler.headers.items()}
        request = handler.rfile.read(int(headers["content-length"]))
        self.paths.append(handler.path)
        received = self._received(handler.path)
        status, more, body = received._begin(headers) or (200, {}, b"")
        if received.signal not in self.signals:
            status = 404
        if status in (RESET, CLOSE):
            handler.close_connection = True
            if status == RESET:
                linger = struct.pack("ii", 1, 0)  # close() sends an RST
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                handler.connection.close()
            return
        if status == 200:
            if headers.get("content-encoding") == "gzip":
                request = gzip.decompress(request)
            error = received._take(request)
            if error:
                status, body = 400, error.encode()
        handler.send_response(status)
        more.setdefault("Content-Type", "application/x-protobuf")
        for key, value in more.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
