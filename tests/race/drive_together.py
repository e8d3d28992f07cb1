# SPDX-License-Identifier: Apache-2.0
"""Issue 12, 5: otel, auth-request, ip-reputation and mirror in one host under load, while the auth service and the
second origin are killed and come back, lists are swapped, and the configuration is read again; then SIGTERM in the
middle of it. Every NOTIFY is answered, and rightly; the counters add up. In the TSan and ASan builds any finding ends
the host with another status.

The load goes on until the faults are over; nothing depends on how they interleave."""

import ipaddress
import os
import random
import re
import signal
import threading

import pytest

from lib import admin
from lib.collector import Collector
from lib.procs import ReservedPort, SpoeHost, wait_until
from lib.serve import Served
from lib.spop import BadFrame, Client, notify_frame, string

THREADS, FAULTS = 4, 5
ON_LIST, AT_TIMES, ON_NONE = (ipaddress.ip_address(f"{net}.7") for net in ("192.0.2", "198.51.100", "203.0.113"))
LISTED, UNLISTED = {"score": 100, "list": "block"}, {"score": 0}
LISTS = ["192.0.2.0/24\n198.51.100.0/24\n", "no address\n", "192.0.2.0/24\n"]
FAILURES = {"connect", "protocol", "timeout", "deadline", "busy"}
PLUGINS = ["otel", "auth-request", "ip-reputation", "mirror"]


def headers(*pairs):
    return b"".join(string(text) for pair in pairs for text in pair) + b"\0\0"


def request(rng, key):
    """The NOTIFYs of one request, one for each engine and event: (message, arguments, what its answer is)."""
    user, uri = f"user-{rng.randrange(20)}", rng.choice(["/a", "/b?c", "/status/403", "/status/401", "/cut"])
    src = rng.choice([ON_LIST, AT_TIMES, ON_NONE])
    body = b"b" * rng.choice([0, 3, 900, 9000])
    hdrs = headers(("host", "a.example"), ("authorization", user), ("content-length", str(len(body))))
    common = {"unique-id": key, "method": "POST"}
    return [
        ("on-http-request", {**common, "path": uri, "src": src}, check_context),
        ("auth-request", {"method": "POST", "uri": uri, "ssl": False, "src": src, "hdrs": hdrs},
         lambda said: check_auth(said, uri, user)),
        ("check-ip", {"ip": src}, lambda said: check_list(said, src)),
        ("mirror", {"method": "POST", "target": uri, "headers": hdrs, "body": body, "body_len": len(body),
                    "body_end": True}, lambda said: None),
        ("on-backend-http-request", common, check_context),
        ("on-http-response", {"unique-id": key, "status": 200}, lambda said: None),
    ]


def check_context(said):
    assert "traceparent" in said, said


def check_auth(said, uri, user):
    """A yes is the service's own, with this user's name; a failure is none."""
    if said["allowed"]:
        assert uri in ("/a", "/b?c"), (uri, said)
        assert said == {"allowed": True, "reason": "allowed", "status": 200, "header_x_user": user}
    elif said["reason"] == "denied":
        assert uri.startswith("/status/") and said["status"] == int(uri[8:]), (uri, said)
    else:
        assert said["reason"] in FAILURES, said


def check_list(said, src):
    assert said in {ON_LIST: [LISTED], AT_TIMES: [LISTED, UNLISTED], ON_NONE: [UNLISTED]}[src], (src, said)


class Load(threading.Thread):
    """Requests over one connection, some at once, until `stop` is set or the host says goodbye. `drains`: it is
    about to end, when an answer may say nothing, but never what is wrong."""

    def __init__(self, host, seed, stop, drains):
        super().__init__(name=f"client {seed}")
        self.host, self.rng, self.stop, self.seed = host, random.Random(seed), stop, seed
        self.drains = drains
        self.begun = threading.Event()
        self.answered, self.ended, self.error = 0, False, None

    def run(self):
        try:
            with Client(self.host.port) as client:
                client.hello()
                turn = 0
                while not self.stop.is_set() and self.round(client, turn):
                    turn += 1
                    self.begun.set()
        except BaseException as error:  # shown by the test
            self.error = error
        finally:
            self.begun.set()

    def round(self, client, turn):
        """Whether all of it was answered."""
        notifies = [notify for i in range(self.rng.randrange(1, 5))
                    for notify in request(self.rng, f"{self.seed}-{turn}-{i}")]
        waiting = {2 * i + 1: check for i, (_, _, check) in enumerate(notifies)}
        try:
            client.send(b"".join(notify_frame([(name, args)], 2 * i + 1)
                                 for i, (name, args, _) in enumerate(notifies)))
            while waiting:
                try:
                    ack = client.recv_ack()
                except BadFrame:
                    self.ended = True  # by DISCONNECT
                    return False
                check = waiting.pop(ack.stream_id)
                if ack.variables or not self.drains:
                    check(ack.variables)
                self.answered += 1
        except OSError:
            self.ended = True
            return False
        return True


def begin(host, stop, drains=False):
    loads = [Load(host, seed, stop, drains) for seed in range(THREADS)]
    for load in loads:
        load.start()
    for load in loads:
        assert load.begun.wait(120)
    return loads


def join(loads):
    for load in loads:
        load.join()
        if load.error is not None:
            raise load.error


class Scene:
    """The host with what it talks to, all of which can go and come back."""

    def __init__(self, folder, auth_port, second_port, collector):
        self.folder, self.ports = folder, {"auth_service": auth_port, "origin": second_port}
        self.served = {kind: Served(kind, port) for kind, port in self.ports.items()}
        self.write("list", LISTS[-1])
        self.write("conf", "[mirror]\nshare = 100\n")
        self.host = SpoeHost(["-f", folder / "conf", "--plugins", ",".join(PLUGINS)], env={
            "SPOE_ADDR": "127.0.0.1:0", "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_WORKERS": "2",
            "SPOE_PROCESSING_TIMEOUT": "20s", "SPOE_SHUTDOWN_TIMEOUT": "50s", "OTLP_ENDPOINT": collector.endpoint,
            "BATCH_DELAY": "100ms", "AUTH_REQUEST_URL": f"http://127.0.0.1:{auth_port}/auth",
            "AUTH_REQUEST_TIMEOUT": "10s", "AUTH_REQUEST_RESPONSE_HEADERS": "X-User",
            "AUTH_REQUEST_CACHE_TTL": "50ms", "AUTH_REQUEST_CACHE_ENTRIES": "8",
            "IP_REPUTATION_LISTS": f"block={folder}/list", "MIRROR_URL": f"http://127.0.0.1:{second_port}",
            "MIRROR_CONCURRENCY": "8", "MIRROR_QUEUE": "50", "MIRROR_MEMORY": "512k", "MIRROR_QUEUE_TIME": "5s",
            "MIRROR_TIMEOUT": "10s"})
        self.asked = 0  # NOTIFYs of this thread

    def write(self, name, text):
        (self.folder / "new").write_text(text)
        os.rename(self.folder / "new", self.folder / name)

    def kill(self, kind):
        self.served[kind].kill()

    def start(self, kind):
        self.served[kind] = Served(kind, self.ports[kind])

    def number(self, name, **labels):
        return admin.metrics(self.host)[f"spoe_{name}"].total(**labels)

    def ask_until(self, message, condition):
        """One message after the other, each answered."""
        with Client(self.host.port) as client:
            client.hello()

            def ask():
                name, args, check = message
                said = client.ask(name, args).variables
                check(said)
                self.asked += 1
                return condition(said)

            wait_until(ask, lambda: f"{message}{self.host.report()}")

    def ask_until_grown(self, message, name):
        before = self.number(name)
        self.ask_until(message, lambda _: self.number(name) > before)

    def close(self):
        self.host.kill()
        for served in self.served.values():
            served.kill()


@pytest.fixture
def scene(tmp_path):
    with ReservedPort() as auth, ReservedPort() as second, Collector() as collector:
        scene = Scene(tmp_path, auth.port, second.port, collector)
        yield scene
        print(scene.host.report())
        scene.close()
    collector.check()


def a_question(uri):
    hdrs = headers(("host", "a.example"), ("authorization", "user-x"))
    return ("auth-request", {"method": "GET", "uri": uri, "ssl": False, "src": ON_LIST, "hdrs": hdrs},
            lambda said: check_auth(said, uri, "user-x"))


A_COPY = ("mirror", {"method": "GET", "target": "/copy", "headers": headers(("host", "a")), "body_len": 0,
                     "body_end": True}, lambda said: None)


def fault(scene, turn):
    """Everything once, each until it is seen."""
    scene.kill("auth_service")
    scene.ask_until(a_question("/a"), lambda said: said["reason"] not in ("allowed", "denied"))
    before, mark = scene.number("host_data_builds_total"), scene.host.mark()
    scene.write("list", LISTS[turn % len(LISTS)])
    scene.write("conf", f"[mirror]\nshare = {50 + turn}\n")
    scene.host.signal(signal.SIGHUP)
    scene.host.wait_line("configuration read again, these options change", start=mark)
    wait_until(lambda: scene.number("host_data_builds_total") > before, scene.host.report)
    scene.kill("origin")
    scene.ask_until_grown(A_COPY, "mirror_failures_total")
    scene.start("auth_service")
    scene.ask_until(a_question("/a"), lambda said: said["allowed"])
    scene.start("origin")
    scene.ask_until_grown(A_COPY, "mirror_answers_total")


def totals(host, component):
    line = host.wait_line(rf'component={component} msg="totals: ([^"]+)"').group(1)
    return {key: int(value) for key, value in (word.split("=") for word in line.split())}


def check_numbers(scene, answered):
    """Each NOTIFY has one ACK and each message one outcome, also those of requests that failed."""
    families = admin.metrics(scene.host)
    sent = {name: families["spoe_host_plugin_messages_total"].total(plugin=name) for name in PLUGINS}
    assert sum(sent.values()) == answered, sent
    assert families["spoe_auth_request_answers_total"].total() == sent["auth-request"]
    assert families["spoe_ip_reputation_lookups_total"].total() == sent["ip-reputation"]
    assert families["spoe_mirror_requests_total"].total() == sent["mirror"]
    assert families["spoe_host_timeouts_total"].total() == 0


def test_faults_then_sigterm_under_load(scene):
    stop = threading.Event()
    loads = begin(scene.host, stop)
    try:
        for turn in range(FAULTS):
            fault(scene, turn)
    finally:
        stop.set()
    join(loads)
    assert not any(load.ended for load in loads), scene.host.report()
    check_numbers(scene, sum(load.answered for load in loads) + scene.asked)

    loads = begin(scene.host, threading.Event(), drains=True)
    scene.host.signal(signal.SIGTERM)
    scene.host.wait_line("stopping")
    for kind in scene.ports:
        scene.kill(kind)
    assert scene.host.wait() == 0, scene.host.report()
    join(loads)
    assert all(load.ended for load in loads)
    assert not re.search("Sanitizer|runtime error", scene.host.text())
    of = totals(scene.host, "host")
    assert of["notifies"] == of["acks"] + of["discarded_frames"], of
    of = totals(scene.host, "mirror")
    assert of.pop("requests") == sum(of.values()), of
