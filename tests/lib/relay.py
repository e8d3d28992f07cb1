# SPDX-License-Identifier: Apache-2.0
"""A TCP relay between HAProxy and the agent that can be told to cut HAProxy's side only."""

import socket
import threading


class Relay:
    """Listens on `port` of 127.0.0.1 and passes everything on to the target port.

    count        connections so far
    carried      per connection, the bytes that its client sent so far (a list of bytearray)
    cut()        close every connection towards the client and keep those to the target open, so
                 that the target still counts them as connections
    """

    def __init__(self, target):
        self._target = target
        self._lock = threading.Lock()
        self._clients = []
        self._kept = []
        self.carried = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def count(self):
        with self._lock:
            return len(self.carried)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._clients.append(client)
                self._kept.append(server)
                log = bytearray()
                self.carried.append(log)
            for source, sink, seen in ((client, server, log), (server, client, None)):
                threading.Thread(target=self._pump, args=(source, sink, seen), daemon=True).start()

    def _pump(self, source, sink, seen):
        try:
            while data := source.recv(65536):
                if seen is not None:
                    with self._lock:
                        seen += data
                sink.sendall(data)
        except OSError:
            pass

    def cut(self):
        with self._lock:
            for client in self._clients:
                try:
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._clients.clear()

    def carriers(self, text):
        """The numbers of the connections whose client sent `text`."""
        with self._lock:
            return [i for i, log in enumerate(self.carried) if text in log]

    def close(self):
        self._listener.close()
        self.cut()
        for server in self._kept:
            server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
