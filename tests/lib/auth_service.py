# SPDX-License-Identifier: Apache-2.0
"""The service that plugin auth-request asks. It answers by the path that X-Original-URI has:

    /status/NNN    that status, with WWW-Authenticate and Location
    /wait...       200 only after release()
    /cut           closes the connection without an answer
    /cookie        200 with Set-Cookie
    /kept/TEXT     200 with Cache-Control: TEXT
    /large/N       200 with a header X-User of N bytes
    /body/N        200 with a body of N bytes
    /garbage       what is not HTTP
    others         200
Where there is no such header, by the path that is asked for.
Each 200 carries X-User, the Authorization that was sent. `requests` only grows; `connections` counts.
"""

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import procs
from .origin import Request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the plugin's side of a test that cuts connections

    def setup(self):
        super().setup()
        with self.server.service.news:
            self.server.service.connections += 1
            self.server.service.open.append(self.connection)

    def _reply(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        service = self.server.service
        request = Request(self.command, self.path,
                          [(key.lower(), value) for key, value in self.headers.items()],
                          connection=self.client_address)
        with service.news:
            service.requests.append(request)
        uri = request.header("x-original-uri") or request.path
        words = uri.split("?")[0].split("/")[1:]
        user = ("X-User", request.header("authorization") or "nobody")
        if words[0] == "status":
            self._reply(int(words[1]), [("WWW-Authenticate", "Basic"), ("Location", "/login"), user])
        elif words[0] == "cut":
            self.close_connection = True
        elif words[0] == "garbage":
            self.wfile.write(b"220 mail.example ESMTP\r\n")
            self.close_connection = True
        elif words[0] == "cookie":
            self._reply(200, [user, ("Set-Cookie", "session=1; Path=/"), ("Set-Cookie", "more=2")])
        elif words[0] == "kept":
            self._reply(200, [user, ("Cache-Control", words[1])])
        elif words[0] == "large":
            self._reply(200, [("X-User", "u" * int(words[1]))])
        elif words[0] == "body":
            self._reply(200, [user], b"b" * int(words[1]))
        else:
            if words[0].startswith("wait"):
                service.gate.wait(procs.LIMIT)
            self._reply(200, [user, ("X-Groups", "a"), ("X-Groups", "b")])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a handshake that fails is what some tests are about


class AuthService:
    """Threads of the test. `url` is what option url takes. `tls` is (certificate, key, CA of clients
    or None), files all of them; `port` one that is to be taken again."""

    def __init__(self, tls=None, port=0):
        self.requests = []
        self.connections = 0
        self.open = []
        self.news = threading.Condition()
        self.gate = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.service = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[0], tls[1])
            if tls[2]:
                context.load_verify_locations(tls[2])
                context.verify_mode = ssl.CERT_REQUIRED
            # The handshake in the connection's own thread: accept() is for all of them.
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}/auth"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def release(self):
        self.gate.set()

    def asked(self, uri):
        """The questions about a URI so far."""
        with self.news:
            return [r for r in self.requests if r.header("x-original-uri") == uri]

    def wait_asked(self, uri, count=1):
        return procs.wait_until(
            lambda: len(self.asked(uri)) >= count and self.asked(uri), f"{count} questions about {uri}"
        )

    def close(self):
        """As a process that is killed: its connections end, too."""
        self.release()
        self._server.shutdown()
        self._server.server_close()
        with self.news:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended
            self.open.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
