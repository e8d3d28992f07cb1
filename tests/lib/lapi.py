# SPDX-License-Identifier: Apache-2.0
"""A stand-in for CrowdSec's local API: GET /v1/decisions/stream with a bouncer's key.

    with Lapi("key") as lapi:
        lapi.new("192.0.2.1")              # told at the next request, and at any with startup=true
        lapi.delete("192.0.2.1")
        lapi.fail(503)                     # until fail(None)
        lapi.requests                      # [(startup, status), ...]
"""

import http.server
import json
import threading
import urllib.parse


class Lapi:
    def __init__(self, key):
        self.key = key
        self.requests = []
        self._lock = threading.Lock()
        self._all, self._news, self._gone = {}, [], []
        self._status = self._body = None
        lapi = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, body = lapi._answer(self.path, self.headers.get("X-Api-Key"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, path, key):
        url = urllib.parse.urlparse(path)
        query = urllib.parse.parse_qs(url.query)
        with self._lock:
            startup = query.get("startup") == ["true"]
            if url.path != "/v1/decisions/stream":
                status, body = 404, b""
            elif key != self.key:
                status, body = 403, b'{"message":"access forbidden"}'
            elif self._status is not None:
                status, body = self._status, self._body
            else:
                new = list(self._all.values()) if startup else self._news
                gone = [] if startup else self._gone
                self._news, self._gone = [], []
                status, body = 200, json.dumps({"new": new or None, "deleted": gone or None}).encode()
            self.requests.append((startup, status))
            return status, body

    @staticmethod
    def _decision(value, scope, kind):
        return {"duration": "3h59m48s", "id": 7, "origin": "CAPI", "scenario": "test/\"quoted\"",
                "scope": scope, "type": kind, "value": value}

    def new(self, value, scope="Ip", kind="ban"):
        with self._lock:
            decision = self._decision(value, scope, kind)
            self._all[value] = decision
            self._news.append(decision)

    def delete(self, value):
        with self._lock:
            self._gone.append(self._all.pop(value))

    def fail(self, status, body=b"no"):
        with self._lock:
            self._status, self._body = status, body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
