#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service behind HAProxy that continues the trace, without a library. It reads `traceparent`, answers, and sends
one SERVER span over OTLP/HTTP as JSON. /slow takes 300 ms. /status/NNN answers with that status.

    APP_ADDR                     where it listens; 127.0.0.1:8000 by default
    OTEL_EXPORTER_OTLP_ENDPOINT  http://HOST:4318; without it there are no spans
    OTEL_SERVICE_NAME            shop by default
"""

import json
import os
import queue
import re
import secrets
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDPOINT = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
SERVICE = os.environ.get("OTEL_SERVICE_NAME", "shop")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
SERVER, ERROR = 2, 2
spans = queue.Queue(maxsize=1000)


def attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server looks for
        start = time.time_ns()
        path = self.path.split("?")[0]
        status = int(path[8:11]) if re.fullmatch(r"/status/[2-5]\d\d", path) else 200
        if path == "/slow":
            time.sleep(0.3)
        body = b"" if status in (204, 304) else f"{SERVICE}: {path}\n".encode()
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.record(path, status, start)

    def record(self, path, status, start):
        """A span, if the caller's trace is sampled."""
        context = TRACEPARENT.fullmatch(self.headers.get("traceparent", ""))
        if not ENDPOINT or not context or not int(context[3], 16) & 1:
            return
        span = {
            "traceId": context[1], "parentSpanId": context[2], "spanId": secrets.token_hex(8),
            "name": "GET", "kind": SERVER, "flags": int(context[3], 16),
            "startTimeUnixNano": str(start), "endTimeUnixNano": str(time.time_ns()),
            "attributes": [
                attribute("http.request.method", "GET"), attribute("url.path", path),
                attribute("url.scheme", "http"), attribute("http.response.status_code", status),
            ],
            "status": {"code": ERROR} if status >= 500 else {},
        }
        try:
            spans.put_nowait(span)
        except queue.Full:
            pass

    def log_message(self, *_):
        pass


def export():
    """Spans as they come, many at once where many wait."""
    while True:
        batch = [spans.get()]
        while not spans.empty() and len(batch) < 100:
            batch.append(spans.get())
        body = {"resourceSpans": [{
            "resource": {"attributes": [attribute("service.name", SERVICE)]},
            "scopeSpans": [{"scope": {"name": "app.py"}, "spans": batch}],
        }]}
        request = urllib.request.Request(
            ENDPOINT + "/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except OSError as error:
            print("export:", error)


def main():
    host, port = os.environ.get("APP_ADDR", "127.0.0.1:8000").rsplit(":", 1)
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    if ENDPOINT:
        threading.Thread(target=export, daemon=True).start()
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()


main()
