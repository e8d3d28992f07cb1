# SPDX-License-Identifier: Apache-2.0
"""The host under load from several connections and threads, then SIGTERM in the middle of it. In
the TSan build any race ends the host with status 66; elsewhere this is a stress test.

Each thread has its own connections and runs through a fixed number of rounds; nothing depends on
how they interleave."""

import http.client
import os
import random
import threading

import pytest

from lib import admin
from lib.procs import SpoeHost
from lib.spop import BadFrame, Client, notify_frame

PLUGINS = os.environ["SPOE_TEST_PLUGINS"]
ARGS = ["--plugin-dir", PLUGINS, "--plugins", "slots.so,pending.so,post.so,shared_a.so,metrics.so",
        "--workers", "2"]
ENV = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "TSAN_OPTIONS": "exitcode=66:halt_on_error=0:second_deadlock_stack=1"}
MODES = ["after", "inline", "fail", "twice"]
THREADS, ROUNDS = 6, 60


def burst(rng, first_id):
    """Some NOTIFYs of every kind, as one write; their ids."""
    frames, ids = [], []
    for i in range(rng.randrange(1, 20)):
        kind = rng.randrange(5)
        if kind == 0:
            messages = [("slots", {"text": "x" * rng.randrange(300), "number": i})]
        elif kind == 1:
            messages = [("post", {})]
        elif kind == 2:
            messages = [("pending", {"key": "k", "mode": rng.choice(MODES), "delay": i % 3})]
        elif kind == 3:
            messages = [("metrics", {"label": str(rng.randrange(9))})]
        else:
            messages = [("shared", {"path": "/", "method": "GET", "key": "s"}), ("post", {})]
        ids.append(first_id + 2 * i)
        frames.append(notify_frame(messages, ids[-1]))
    return b"".join(frames), ids


class Worker(threading.Thread):
    def __init__(self, number, body):
        super().__init__(name=f"client {number}")
        self.rng = random.Random(number)
        self.body = body
        self.error = None

    def run(self):
        try:
            self.body(self.rng)
        except BaseException as error:  # shown by the test
            self.error = error


def run_all(workers):
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for worker in workers:
        if worker.error is not None:
            raise worker.error


class Scraper(threading.Thread):
    """Reads every page, checked, from the start to the end of the host."""

    def __init__(self, host):
        super().__init__(name="scraper")
        self.host = host
        self.error = None
        self.once = threading.Event()  # everything has been read, or the thread has ended

    def run(self):
        try:
            while True:
                admin.metrics(self.host)
                admin.page(self.host, "/status")
                admin.page(self.host, "/plugins")
                self.once.set()
        except (OSError, http.client.HTTPException) as error:
            if not self.once.is_set():  # else the host has ended
                self.error = error
        except BaseException as error:  # shown by the test
            self.error = error
        finally:
            self.once.set()


@pytest.fixture
def scraped():
    """scraped(host): scrape it from now on."""
    scrapers = []

    def begin(host):
        scrapers.append(Scraper(host))
        scrapers[-1].start()
        assert scrapers[-1].once.wait(60)

    yield begin
    for scraper in scrapers:
        scraper.join()
        assert scraper.error is None, scraper.error


def finish(host):
    status = host.terminate()
    assert status == 0, host.report()
    assert "ThreadSanitizer" not in host.text(), host.report()


@pytest.mark.parametrize("timeout", ["30s", "5ms"])
def test_traffic_then_sigterm(timeout, scraped):
    with SpoeHost([*ARGS, "--processing-timeout", timeout], env=ENV) as host:
        scraped(host)

        def body(rng):
            client = Client(host.port)
            client.hello()
            for turn in range(ROUNDS):
                data, ids = burst(rng, 1)
                client.send(data)
                assert sorted(client.recv_ack().stream_id for _ in ids) == ids
                if turn % 5 == 4:  # another connection, so another worker; at times with a RST
                    if rng.randrange(2):
                        client.send(burst(rng, 1)[0])
                        client.reset()
                    else:
                        client.close()
                    client = Client(host.port)
                    client.hello()
            client.close()

        run_all([Worker(i, body) for i in range(THREADS)])
        finish(host)


def test_sigterm_under_traffic(scraped):
    """Whatever is answered is answered right, then comes the DISCONNECT."""
    with SpoeHost([*ARGS, "--processing-timeout", "30s"], env=ENV) as host:
        scraped(host)
        busy = threading.Barrier(THREADS + 1)

        def body(rng):
            with Client(host.port) as client:
                client.hello()
                for turn in range(100_000):
                    if turn == 3:
                        busy.wait()
                    data, ids = burst(rng, 1)
                    try:
                        client.send(data)
                        for _ in ids:
                            client.recv_ack()
                    except (BadFrame, OSError):
                        return  # DISCONNECT in place of an ACK, or closed while we wrote
                raise AssertionError("the host does not stop")

        workers = [Worker(i, body) for i in range(THREADS)]
        for worker in workers:
            worker.start()
        busy.wait()
        finish(host)
        for worker in workers:
            worker.join()
            if worker.error is not None:
                raise worker.error


def test_max_pending_with_two_workers():
    """The pause and the resume cross workers."""
    args = [*ARGS, "--processing-timeout", "30s", "--max-pending", "3"]
    with SpoeHost(args, env=ENV) as host:

        def body(rng):
            with Client(host.port) as client:
                client.hello()
                for _ in range(30):
                    data, ids = burst(rng, 1)
                    client.send(data)
                    assert sorted(client.recv_ack().stream_id for _ in ids) == ids

        run_all([Worker(i, body) for i in range(THREADS)])
        finish(host)
