# SPDX-License-Identifier: Apache-2.0
"""7.1, V1: from 3.1 on a request's later messages may overtake its first one."""

import concurrent.futures
import re
import socket
import threading

from lib import admin
from lib.haproxy import HAProxy
from lib.procs import SpoeHost, wait_until
from lib.traces import nested, pairs

from conftest import host_env

# HAProxy's mux gives a connection 20 requests at most, and each of its threads has connections of its own:
# one thread and more than 20 requests at once need a second connection on any machine.
REQUESTS, AT_ONCE, ROUNDS = 300, 64, 10
HELD = 4  # of so many first messages one is held

NOTIFY = 3
ID = re.compile(rb"\x09unique-id\x08\x24([0-9a-f-]{36})")


class Link:
    """One connection of HAProxy's through the relay."""

    def __init__(self, client, agent):
        self.client, self.agent = client, agent
        self.waits_for = None  # the id of the request whose first message is held
        self.queue = []


class HoldingRelay:
    """Between HAProxy and the agent: one in `held` first messages (0: none), and what follows it on its
    connection, goes on only when the same request's last message has come, over whatever connection.
    `overtaken` counts those that came over another one."""

    def __init__(self, target, held):
        self._target = target
        self._every = held
        self._lock = threading.Lock()
        self._held = {}  # id: Link
        self._links = []
        self._seen = 0
        self.overtaken = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                client, _ = self._listener.accept()
                link = Link(client, socket.create_connection(("127.0.0.1", self._target)))
                for sock in (client, link.agent):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._links.append(link)
                threading.Thread(target=self._frames, args=(link,), daemon=True).start()
                threading.Thread(target=self._answers, args=(link,), daemon=True).start()
        except OSError:
            pass

    def _frames(self, link):
        with link.client.makefile("rb") as source:
            try:
                while head := source.read(4):
                    self._pass(link, head + source.read(int.from_bytes(head, "big")))
            except OSError:
                pass
        with self._lock:  # it has left: what is held of it is not for ever
            self._release(link)
        try:
            link.agent.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _pass(self, link, frame):
        name = ID.search(frame) if frame[4:5] == bytes([NOTIFY]) else None
        with self._lock:
            if name and b"\x0fon-http-request" in frame:
                self._seen += 1
                if self._every and link.waits_for is None and self._seen % self._every == 0:
                    link.waits_for = name.group(1)
                    self._held[link.waits_for] = link
            if link.waits_for is None:
                link.agent.sendall(frame)
            else:
                link.queue.append(frame)
            if name and b"\x10on-http-response" in frame and name.group(1) in self._held:
                holder = self._held[name.group(1)]
                self.overtaken += holder is not link
                self._release(holder)

    def _release(self, link):
        self._held.pop(link.waits_for, None)
        link.waits_for = None
        data, link.queue = b"".join(link.queue), []
        try:
            link.agent.sendall(data)
        except OSError:
            pass

    @staticmethod
    def _answers(link):
        try:
            while data := link.agent.recv(65536):
                link.client.sendall(data)
            link.client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        for link in self._links:
            for sock in (link.client, link.agent):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()


def test_what_is_overtaken_is_whole(binary, version, config, collector, origin):
    """Many requests at once, of which some have their first message arrive last: each request has
    both spans, whole, and nobody's id is unknown."""
    config.relax("300ms")
    config.threads(1)
    # Up to 3.0 a request's messages come in their order, and one that would wait behind another's in
    # HAProxy may never be sent: there all pass as they come.
    held = HELD if version >= (3, 1) else 0
    env = host_env(collector, SPOE_ADMIN_ADDR="127.0.0.1:0", SPAN_REORDER="60s", BATCH_DELAY="100ms",
                   SPAN_TTL="10m")
    with SpoeHost(env=env) as agent, HoldingRelay(agent.port, held) as relay, \
            HAProxy(binary, config, [relay.port], origin.address) as proxy, \
            concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        proxy.wait_agent()
        asked = 0
        # Which of its connections a message takes is HAProxy's choice.
        while asked == 0 or (version >= (3, 1) and relay.overtaken == 0 and asked < ROUNDS * REQUESTS):
            answers = list(pool.map(lambda i: proxy.get(f"/{i}").status, range(REQUESTS)))
            assert answers == [200] * REQUESTS
            asked += REQUESTS
        wait_until(lambda: len(collector.spans) >= 2 * asked,
                   lambda: f"all spans, not {len(collector.spans)}, {relay.overtaken} overtaken{agent.report()}")
        ignored = admin.metrics(agent)["spoe_otel_ignored_messages_total"]
        assert ignored.total(reason="unknown_id") == 0
        got = pairs(collector.spans)
        assert len(got) == asked
        for server, clients in got:
            (client,) = clients
            nested(server, client)
            for span in (server, client):
                assert span.attributes["http.response.status_code"] == 200
                assert "haproxy.incomplete" not in span.attributes
        assert agent.terminate() == 0, agent.report()
    print(f"{relay.overtaken} were overtaken")
    if version >= (3, 1):
        assert relay.overtaken > 0
