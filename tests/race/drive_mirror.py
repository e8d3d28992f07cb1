# SPDX-License-Identifier: Apache-2.0
"""Issue 12, 4 and 5: mirror.so under load while its second origin misbehaves, is killed and comes back; then
SIGTERM in the middle of it. In the TSan and ASan builds any finding ends the host with another status.

The load is a fixed number of rounds by each thread; nothing depends on how they interleave."""

import os
import pathlib
import random
import re
import socket
import struct
import threading

import pytest

from lib import admin, procs
from lib.procs import ReservedPort, SpoeHost, wait_until
from lib.spop import BadFrame, Client, notify_frame, string

ENV = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_OPTIONAL_PLUGIN_DIR"],
       "SPOE_PROCESSING_TIMEOUT": "30s", "SPOE_WORKERS": "2", "MIRROR_CONCURRENCY": "8",
       "MIRROR_QUEUE": "50", "MIRROR_MEMORY": "512k", "MIRROR_QUEUE_TIME": "200ms", "MIRROR_TIMEOUT": "300ms",
       "MIRROR_RESPONSE_MAX": "10k"}
THREADS, ROUNDS = 4, 60


def headers(*pairs):
    return b"".join(string(text) for pair in pairs for text in pair) + b"\0\0"


WHOLE = headers(("host", "a"), ("connection", "x-hop"), ("x-hop", "1"), ("content-length", "3"))


def message(**args):
    """As HAProxy sends it of a whole request."""
    return {"method": "GET", "target": "/", "headers": WHOLE, "body_len": len(args.get("body", b"")),
            "body_end": True, **args}


# What crashed others (spoa-mirror's issues 12, 16 and 40), and what else may be wrong.
INVALID = [{}, {"method": "GET"}, {"target": "/", "headers": WHOLE}, message(headers=WHOLE[:-1]),
           message(headers=WHOLE[:5]), message(headers=b""), message(headers=b"\xff" * 20), message(method="G T"), message(target="*"),
           message(target="/a b"), message(target="/\r\nX: y"), message(headers=headers(("a", "b\r\nc: d"))),
           message(method="HEAD", body=b"abc"), message(method=7, target=8, headers=9, body_len=b"x", share="x")]
CUT = [message(method="POST", body=b"abc", body_len=4), message(method="POST", body=b"abc", body_end=False),
       {"method": "GET", "target": "/", "headers": WHOLE}]
SENT = [message(headers=b"\0\0"), message(headers="a: b\r\n\r\n"), message(share=-5),
        message(method="POST", target="/" + "p" * 20000, body=b"b" * 200000)]
ODD = INVALID + CUT + SENT


def request(rng):
    if rng.randrange(4) == 0:
        return rng.choice(ODD)
    body = b"b" * rng.choice([0, 3, 900, 9000, 40000])
    return message(method=rng.choice(["GET", "POST", "PUT", "HEAD"] if not body else ["POST", "PUT"]),
                   target=f"/{rng.randrange(1000)}?x", body=body)


class Second:
    """The second origin: answers, answers too much, half, nothing, or hangs up; killed, it resets all
    connections and listens no more."""

    def __init__(self, reserved):
        self.port = reserved.port
        self.rng = random.Random(1)
        self.connections, self.lock = set(), threading.Lock()
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def kill(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for sock in self.connections:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is gone

    def accept(self, listener):
        try:
            while True:
                sock, _ = listener.accept()
                with self.lock:
                    self.connections.add(sock)
                threading.Thread(target=self.serve, args=(sock, self.rng.randrange(1 << 30)), daemon=True).start()
        except OSError:
            pass  # closed

    def serve(self, sock, seed):
        rng = random.Random(seed)
        try:
            with sock:
                buffer = b""
                while True:
                    while b"\r\n\r\n" not in buffer:
                        piece = sock.recv(65536)
                        if not piece:
                            return
                        buffer += piece
                    head, buffer = buffer.split(b"\r\n\r\n", 1)
                    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
                    left = int(length.group(1)) if length else 0
                    while len(buffer) < left:
                        piece = sock.recv(65536)
                        if not piece:
                            return
                        buffer += piece
                    buffer = buffer[left:]
                    kind = rng.randrange(10)
                    size = 100000 if kind == 0 else 10
                    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (rng.choice([200, 302, 404, 503]), size)
                    if kind == 1:
                        return
                    if kind == 2:
                        sock.sendall(answer + b"half")
                        return
                    if kind == 3:
                        continue  # no answer at all
                    if kind == 4:
                        answer = b"no HTTP\r\n\r\n"
                    sock.sendall(answer if head.startswith(b"HEAD") else answer + b"x" * size)
        except OSError:
            pass
        finally:
            with self.lock:
                self.connections.discard(sock)


def load(host, seed, rounds, begun, done):
    """NOTIFYs and their ACKs; whether the host ended in between."""
    rng = random.Random(seed)
    with Client(host.port) as client:
        client.hello(max_frame_size=1 << 20)
        for turn in range(rounds):
            if turn == 3:
                begun.release()
            frames = [notify_frame([("mirror", request(rng))], 2 * i + 1) for i in range(rng.randrange(1, 12))]
            try:
                client.send(b"".join(frames))
                for _ in frames:
                    client.recv_ack()
            except (BadFrame, OSError):
                done.append("ended")
                return
    done.append("whole")


def run(host, rounds):
    begun, done = threading.Semaphore(0), []
    threads = [threading.Thread(target=load, args=(host, i, rounds, begun, done)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=120)
    return threads, done


def ask_until(host, condition):
    """One request after the other: it goes on."""
    with Client(host.port) as client:
        client.hello()
        wait_until(lambda: client.ask("mirror", message()) and condition(), host.report)


def check_totals(host):
    line = host.wait_line(r'component=mirror msg="totals: ([^"]+)"').group(1)
    of = {key: int(value) for key, value in (word.split("=") for word in line.split())}
    assert of.pop("requests") == sum(of.values()), line
    return of


@pytest.fixture
def second():
    with ReservedPort() as reserved:
        yield Second(reserved)


def test_killed_and_back(second):
    with SpoeHost(["--plugins", "mirror"], env={**ENV, "MIRROR_URL": f"http://127.0.0.1:{second.port}"}) as host:
        threads, done = run(host, ROUNDS)
        while any(thread.is_alive() for thread in threads):
            second.kill()
            admin.metrics(host)
            second.start()
            admin.page(host, "/status")
        for thread in threads:
            thread.join()
        assert done == ["whole"] * THREADS  # every message has its ACK, whatever the second origin does
        ask_until(host, lambda: admin.metrics(host)["spoe_mirror_answers_total"].total() > 0)
        assert host.terminate() == 0, host.report()
        check_totals(host)


@pytest.mark.parametrize("alive", [True, False])
def test_sigterm_under_load(second, alive):
    with SpoeHost(["--plugins", "mirror"], env={**ENV, "MIRROR_URL": f"http://127.0.0.1:{second.port}"}) as host:
        threads, done = run(host, 100_000)
        if not alive:
            second.kill()
        assert host.terminate() == 0, host.report()
        for thread in threads:
            thread.join()
        assert done == ["ended"] * THREADS
        check_totals(host)


def test_odd_messages():
    """Each by itself: answered, and counted as what it is."""
    with ReservedPort() as nobody, SpoeHost(["--plugins", "mirror"], env={
            **ENV, "MIRROR_URL": f"http://{nobody.address}", "MIRROR_QUEUE_TIME": "60s",
            "MIRROR_TIMEOUT": "60s"}) as host, Client(host.port) as client:
        client.hello(max_frame_size=1 << 20)
        for odd in ODD:
            client.ask("mirror", odd)

        def ended():
            families = admin.metrics(host)
            dropped = families["spoe_mirror_dropped_requests_total"]
            return {"invalid": dropped.total(reason="invalid"), "cut": dropped.total(reason="cut_body"),
                    "failed": families["spoe_mirror_failures_total"].total(reason="connect")}

        wait_until(lambda: ended() == {"invalid": len(INVALID), "cut": len(CUT), "failed": len(SENT)},
                   lambda: f"{ended()}{host.report()}")
        assert host.terminate() == 0, host.report()
        check_totals(host)


def test_docs_have_every_metric_and_option():
    """Issue 12, 4: docs/mirror.md."""
    page = (pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "docs/mirror.md").read_text()
    with SpoeHost(["--plugins", "mirror"], env={**ENV, "MIRROR_URL": "http://127.0.0.1:1"}) as host:
        names = {name for name in admin.metrics(host) if name.startswith("spoe_mirror_")}
        assert host.terminate() == 0, host.report()
    assert len(names) > 10
    assert names == set(re.findall(r"`(spoe_mirror_[a-z_]+)", page))
    status, text = procs.run([procs.host_binary(), "--plugin-info", f"{ENV['SPOE_PLUGIN_DIR']}/mirror.so"])
    options = re.findall(r"^ *mirror\.([a-z-]+) ", text, re.M)
    assert status == 0 and len(options) > 15, text
    for option in options:
        assert f"`{option}`" in page and f"`MIRROR_{option.upper().replace('-', '_')}`" in page, option


def test_it_keeps_the_rules():
    """Issue 12, 3: of plugin.h, as spoe-plugin-check sees them."""
    check = pathlib.Path(procs.host_binary()).with_name("spoe-plugin-check")
    status, text = procs.run([check, f"{ENV['SPOE_PLUGIN_DIR']}/mirror.so"],
                             env=procs.clean_env({"MIRROR_URL": "http://127.0.0.1:1"}))
    assert status == 0 and "keeps all rules" in text, text


def test_two_instances(second):
    """Issue 12, 1: each with an origin and a share of its own."""
    with ReservedPort() as nobody, SpoeHost(["--plugins", "mirror:here,mirror:off,mirror:nowhere"], env={
            **ENV, "MIRROR_HERE_URL": f"http://127.0.0.1:{second.port}", "MIRROR_OFF_URL": "http://127.0.0.1:1",
            "MIRROR_OFF_SHARE": "0", "MIRROR_NOWHERE_URL": f"http://{nobody.address}"}) as host:
        threads, done = run(host, 10)
        for thread in threads:
            thread.join()
        assert done == ["whole"] * THREADS

        def of(instance, name):
            return admin.metrics(host)[f"spoe_mirror_{name}_total"].total(plugin_instance=instance)

        ask_until(host, lambda: of("here", "answers") > 0 and of("nowhere", "failures") > 0)
        assert of("off", "requests") == of("off", "unselected_requests") == of("here", "requests")
        assert of("nowhere", "answers") == 0
        assert host.terminate() == 0, host.report()
