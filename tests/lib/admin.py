# SPDX-License-Identifier: Apache-2.0
"""A client of the admin endpoint: the standard library's HTTP, over TCP or a socket file."""

import collections
import http.client
import json
import socket

from .procs import LIMIT
from .prom import parse

Answer = collections.namedtuple("Answer", "status headers text")


def connect(address):
    """`address` as the host's log has it: HOST:PORT, [HOST]:PORT or unix:/PATH."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(LIMIT)
        sock.connect(address[len("unix:"):])
        return sock
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=LIMIT)


class Connection(http.client.HTTPConnection):
    def __init__(self, address):
        super().__init__("localhost", timeout=LIMIT)
        self.address = address

    def connect(self):
        self.sock = connect(self.address)

    def ask(self, path, method="GET", **more):
        self.request(method, path, **more)
        response = self.getresponse()
        return Answer(response.status, response.headers, response.read().decode())


def ask(host, path, method="GET", **more):
    """One request to a SpoeHost, or to an address, on a connection of its own."""
    connection = Connection(getattr(host, "admin", host))
    try:
        return connection.ask(path, method, **more)
    finally:
        connection.close()


def metrics(host):
    """The families of /metrics, checked."""
    answer = ask(host, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def page(host, path):
    answer = ask(host, path)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.text)
