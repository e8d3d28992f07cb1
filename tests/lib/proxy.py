# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy on loopback that says what passed through it.

    with Proxy() as proxy:
        ... something with http_proxy=proxy.url ...
        assert proxy.connects == ["127.0.0.1:4317"]

CONNECT makes a tunnel; any other request needs an absolute URL and is passed on to that host, with
all that follows on the connection: the tests' clients use one for one host only.
"""

import re
import socket
import threading


class Proxy:
    """connects   targets of CONNECT requests, in order
    requests   (method, URL) of the others, the first of each connection
    url        "http://127.0.0.1:PORT"
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._connects, self._requests, self._open = [], [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connects(self):
        with self._lock:
            return list(self._connects)

    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._keep(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _keep(self, sock):
        with self._lock:
            self._open.append(sock)

    def _serve(self, client):
        try:
            data = b""
            while b"\r\n\r\n" not in data:
                more = client.recv(65536)
                if not more:
                    return
                data += more
            method, target, _ = data.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            if method == "CONNECT":
                with self._lock:
                    self._connects.append(target)
                server = self._dial(target)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                data = data.split(b"\r\n\r\n", 1)[1]
            else:
                with self._lock:
                    self._requests.append((method, target))
                host, path = re.fullmatch(r"http://([^/]+)(/.*)", target).groups()
                server = self._dial(host)
                data = data.replace(target.encode(), path.encode(), 1)
            server.sendall(data)
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            self._pump(client, server)
        except OSError:
            pass

    def _dial(self, target):
        host, port = target.rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        self._keep(server)
        return server

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._listener.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
