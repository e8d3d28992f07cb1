# SPDX-License-Identifier: Apache-2.0
"""Plugin auth-request in the host, asked over SPOP, with a service in this process (issue 12, 4)."""

import ipaddress
import os
import signal
import threading

import pytest

from lib import admin
from lib.auth_service import AuthService
from lib.certs import Certs
from lib.procs import ReservedPort, SpoeHost, clean_env, host_binary, run, wait_until
from lib.spop import BadFrame, Client, string

ARGS = ["--plugin-dir", os.environ["SPOE_TEST_AUTH_REQUEST_DIR"], "--plugins", "auth-request"]
PATIENT = {"SPOE_WORKERS": "1", "AUTH_REQUEST_TIMEOUT": "50s", "SPOE_PROCESSING_TIMEOUT": "60s",
           "SPOE_SHUTDOWN_TIMEOUT": "60s"}
SRC = ipaddress.ip_address("192.0.2.7")


@pytest.fixture
def service():
    with AuthService() as service:
        yield service


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


def start(url, args=(), **env):
    return SpoeHost([*ARGS, *args], env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "AUTH_REQUEST_URL": url,
                                         "AUTH_REQUEST_RESPONSE_HEADERS": "X-User, X-Groups",
                                         **PATIENT, **env})


def question(uri, headers=(), host="a.example", **more):
    """The message as HAProxy sends it."""
    hdrs = b"".join(string(k) + string(v) for k, v in [("host", host), *headers])
    return ("auth-request", {"method": "GET", "uri": uri, "ssl": True, "src": SRC,
                             "hdrs": hdrs + b"\0\0", **more})


def connected(host):
    client = Client(host.port)
    client.hello()
    return client


def ask(client, uri, headers=(), **more):
    client.notify([question(uri, headers, **more)])
    return client.recv_ack().variables


def counts(host, family, label="reason"):
    """The series of a counter that are not 0, by a label."""
    found = admin.metrics(host)["spoe_auth_request_" + family]
    return {dict(s.labels)[label]: s.value for s in found.select() if s.value}


def number(host, family):
    return admin.metrics(host)["spoe_auth_request_" + family].total()


def end(host):
    """It ends well, with nothing under way."""
    assert number(host, "in_flight") == 0 and number(host, "in_flight_bytes") == 0
    assert host.terminate() == 0, host.report()


# -- questions and answers


def test_what_the_service_is_told(service):
    with start(service.url) as host, connected(host) as client:
        said = ask(client, "/a/b?c=d", [("authorization", "Bearer x"), ("x-other", "no"),
                                        ("cookie", "a=1"), ("cookie", "b=2"), ("x-real-ip", "spoofed")])
        assert said == {"allowed": True, "reason": "allowed", "status": 200,
                        "header_x_user": "Bearer x", "header_x_groups": "a, b"}
        (told,) = service.requests
        assert (told.method, told.path) == ("GET", "/auth")
        expected = {"x-original-method": ["GET"], "x-forwarded-method": ["GET"],
                    "x-original-uri": ["/a/b?c=d"], "x-forwarded-uri": ["/a/b?c=d"],
                    "x-forwarded-host": ["a.example"], "x-forwarded-proto": ["https"],
                    "x-real-ip": ["192.0.2.7"], "x-forwarded-for": ["192.0.2.7"],
                    "authorization": ["Bearer x"], "cookie": ["a=1", "b=2"], "x-other": []}
        assert {name: told.all(name) for name in expected} == expected
        end(host)


def test_statuses(service):
    """As nginx has it: 2xx, 401 and 403, and all others are errors."""
    cases = {200: "allowed", 204: "allowed", 401: "denied", 403: "denied", 302: "status", 404: "status",
             500: "status"}
    with start(service.url, AUTH_REQUEST_RESPONSE_HEADERS="WWW-Authenticate") as host:
        with connected(host) as client:
            for status, reason in cases.items():
                got = ask(client, f"/status/{status}")
                assert (got["allowed"], got["reason"], got["status"]) == (reason == "allowed", reason, status)
                # Those of an error are none that a client should see.
                assert ("header_www_authenticate" in got) == (reason != "status")
        expected = {"allowed": 2, "denied": 2, "status": 3}
        assert counts(host, "answers_total") == counts(host, "questions_total") == expected
        end(host)


def test_a_login_page_is_a_no_where_it_is_said_so(service):
    with start(service.url, AUTH_REQUEST_DENY_STATUS="302, 401",
               AUTH_REQUEST_RESPONSE_HEADERS="location") as host, connected(host) as client:
        got = ask(client, "/status/302")
        assert (got["reason"], got["header_location"]) == ("denied", "/login")
        assert ask(client, "/status/403")["reason"] == "status"


def test_chosen_parts_only(service):
    with start(service.url, args=["--set", "auth-request.request-headers="],
               AUTH_REQUEST_SEND="path") as host:
        with connected(host) as client:
            assert ask(client, "/p?secret=1", [("cookie", "a")])["allowed"] is True
    (told,) = service.requests
    assert told.header("x-original-uri") == "/p"
    assert not [name for name, _ in told.headers if name in ("cookie", "x-original-method", "x-real-ip",
                                                             "x-forwarded-host", "x-forwarded-proto")]


BROKEN = [{"hdrs": b"\x04"}, {"hdrs": None}, {"uri": ""}, {"uri": None}, {"method": None}, {"ssl": None},
          {"uri": "/a\r\nX-User: root"}, {"host": "a\0b"},
          {"hdrs": string("cookie") + string("a\nX-User: root") + b"\0\0"}]


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_what_cannot_be_asked_about_is_denied(service, fail):
    """Also where failures allow: it is the request's fault, and a client's way around."""
    with start(service.url, AUTH_REQUEST_FAIL=fail) as host, connected(host) as client:
        for broken in BROKEN:
            assert ask(client, **{"uri": "/", **broken}) == {"allowed": False, "reason": "invalid"}, broken
        assert service.requests == []
        assert counts(host, "answers_total") == {"invalid": len(BROKEN)}
        end(host)


# -- failures


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_failures(service, fail):
    """Each has its reason, and `fail` decides; the log hears of the first and of the end."""
    cases = {"/cut": "protocol", "/garbage": "protocol", "/status/500": "status",
             "/large/9000": "bad-answer"}
    with start(service.url, AUTH_REQUEST_FAIL=fail) as host, connected(host) as client:
        for path, reason in cases.items():
            got = ask(client, path)
            assert (got["allowed"], got["reason"]) == (fail == "open", reason), path
        assert sum(counts(host, "answers_total").values()) == len(cases)
        host.wait_line(r"level=warn.*component=auth-request .*protocol")
        assert host.count(r"level=warn.*component=auth-request ") == 1
        assert ask(client, "/fine")["reason"] == "allowed"
        host.wait_line(r"answers again, after 4 failures")
        end(host)


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_a_service_that_is_not_there(fail):
    with ReservedPort() as refusing:
        url = f"http://127.0.0.1:{refusing.port}/"
        with start(url, AUTH_REQUEST_FAIL=fail) as host, connected(host) as client:
            for _ in range(3):
                assert ask(client, "/") == {"allowed": fail == "open", "reason": "connect"}
            assert counts(host, "answers_total") == {"connect": 3}
            health = admin.page(host, "/status")
            assert "down" in str(health)
            end(host)


def test_a_service_that_comes_back(service):
    """A connection that it closed in the meantime is no failure, nor is one that was restarted."""
    with start(service.url) as host, connected(host) as client:
        assert ask(client, "/1")["allowed"] is True
        service.close()
        assert ask(client, "/2")["reason"] in ("connect", "protocol")
        with AuthService(port=service.port):
            assert ask(client, "/3")["allowed"] is True
        host.wait_line(r"answers again")
        end(host)


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_time_is_over(service, fail):
    with start(service.url, AUTH_REQUEST_FAIL=fail, AUTH_REQUEST_TIMEOUT="50ms") as host:
        with connected(host) as client:
            assert ask(client, "/wait") == {"allowed": fail == "open", "reason": "timeout"}
        assert counts(host, "answers_total") == counts(host, "questions_total") == {"timeout": 1}
        end(host)


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_the_hosts_deadline_comes_first(service, fail):
    """request_commit: what holds without an answer is in the ACK (issue 12, 2)."""
    with start(service.url, AUTH_REQUEST_FAIL=fail, SPOE_PROCESSING_TIMEOUT="50ms") as host:
        with connected(host) as client:
            assert ask(client, "/wait") == {"allowed": fail == "open", "reason": "deadline"}
            assert counts(host, "answers_total") == {"deadline": 1}
            # The question goes on; its answer is nobody's.
            service.release()
            wait_until(lambda: number(host, "in_flight") == 0, "its end")
            assert counts(host, "questions_total") == {"allowed": 1}
        end(host)


def test_time_outs_in_the_wrong_order_are_told_of_before_anybody_asks():
    """12.2, config_timeout_ns(): that of the message, of the plugin or of the host, whichever is set."""
    message = 'auth-request.message."auth-request".processing-timeout'
    cases = [({}, "10 ms"), ({"SPOE_PROCESSING_TIMEOUT": "499ms"}, "499 ms"), ({"SPOE_PROCESSING_TIMEOUT": "500ms"}, None),
             ({"SPOE_PROCESSING_TIMEOUT": "1m", "args": ["--set", "auth-request.processing-timeout=20ms"]}, "20 ms"),
             ({"SPOE_PROCESSING_TIMEOUT": "1m", "args": ["--set", f"{message}=30ms"]}, "30 ms"),
             ({"args": ["--set", f"{message}=600ms"]}, None)]
    for env, patience in cases:
        args = env.pop("args", [])
        status, out = run([host_binary(), *ARGS, *args, "-t"],
                          env=clean_env({"AUTH_REQUEST_URL": "http://127.0.0.1/", **env}))
        assert status == 0, out
        assert (f"processing-timeout is {patience}, timeout 500 ms" in out) == (patience is not None), (env, args, out)
        assert ("timeout 500 ms" in out) == (patience is not None), out


def test_the_address_that_it_asks_from(service):
    """12.2, an address as an option. One that is not ours is a failure to connect."""
    for address, reason in (("127.0.0.9", "allowed"), ("192.0.2.1", "connect"), ("::1", "connect")):
        with start(service.url, AUTH_REQUEST_SOURCE_ADDRESS=address) as host, connected(host) as client:
            assert ask(client, f"/{address}")["reason"] == reason
            end(host)
    (told,) = service.requests
    assert told.connection[0] == "127.0.0.9"


def test_a_body_without_end(service):
    """Nobody reads it: the head counts, the connection is given up."""
    with start(service.url) as host, connected(host) as client:
        for path in ("/body/1000", "/body/10000000", "/after"):
            assert ask(client, path)["allowed"] is True
        end(host)


# -- what is kept and shared


def test_connections_are_used_again(service):
    with start(service.url) as host, connected(host) as client:
        for i in range(20):
            assert ask(client, f"/{i}")["allowed"] is True
        assert service.connections == number(host, "connections_total") == 1
        end(host)


def test_equal_questions_are_one(service):
    with start(service.url) as host, connected(host) as client:
        for _ in range(10):
            client.notify([question("/wait/a")])
        client.notify([question("/wait/b")])
        client.notify([question("/wait/a", [("cookie", "other")])])
        wait_until(lambda: len(service.requests) == 3, "three questions")
        wait_until(lambda: number(host, "coalesced_total") == 9, "nine that share")
        service.release()
        for _ in range(12):
            assert client.recv_ack().variables["allowed"] is True
        assert len(service.requests) == 3
        end(host)


@pytest.mark.parametrize("env", [{"AUTH_REQUEST_COALESCE": "off"},
                                 {"AUTH_REQUEST_RESPONSE_HEADERS": "Set-Cookie"}], ids=str)
def test_equal_questions_are_not_one(service, env):
    """Where it is off, and where an answer may have a cookie that is for one client."""
    with start(service.url, **env) as host, connected(host) as client:
        for _ in range(5):
            client.notify([question("/wait")])
        service.wait_asked("/wait", 5)
        service.release()
        for _ in range(5):
            assert client.recv_ack().variables["allowed"] is True
        end(host)


CACHED = {"AUTH_REQUEST_CACHE_TTL": "1h", "AUTH_REQUEST_CACHE_DENY_TTL": "1h"}


def test_answers_are_kept_by_all_that_is_sent(service):
    with start(service.url, **CACHED) as host, connected(host) as client:
        variants = [("/k", [], {}), ("/k?x", [], {}), ("/k", [("authorization", "1")], {}),
                    ("/k", [], {"src": ipaddress.ip_address("192.0.2.8")}), ("/k", [], {"method": "PUT"}),
                    ("/k", [], {"host": "b.example"}), ("/k", [], {"ssl": False})]
        first = [ask(client, uri, headers, **more) for uri, headers, more in variants]
        assert len(service.requests) == len(variants)
        assert [ask(client, uri, headers, **more) for uri, headers, more in variants] == first
        # A header that is not sent makes no difference, whatever it says.
        assert ask(client, "/k", [("cache-control", "no-cache"), ("pragma", "no-cache")]) == first[0]
        assert len(service.requests) == len(variants)
        assert counts(host, "cache_lookups_total", "result") == {"miss": 7, "hit": 8}
        assert number(host, "cache_entries") == 7 and number(host, "cache_bytes") > 0
        end(host)


def test_what_is_not_kept(service):
    """Failures, and what the service says is for one request."""
    twice = ["/status/500", "/garbage", "/cookie", "/kept/no-store", "/kept/private", "/kept/no-cache",
             "/kept/max-age=0", "/kept/public, s-maxage=0"]
    once = ["/kept/max-age=600", "/kept/public", "/status/403", "/"]
    with start(service.url, **CACHED) as host, connected(host) as client:
        for path in twice + once:
            assert ask(client, path) == ask(client, path)
            assert len(service.asked(path)) == (2 if path in twice else 1), path
        end(host)


def test_kept_answers_are_bounded(service):
    env = {**CACHED, "AUTH_REQUEST_CACHE_ENTRIES": "4"}
    with start(service.url, **env) as host, connected(host) as client:
        for i in range(10):
            ask(client, f"/{i}")
        assert number(host, "cache_entries") == 4 and number(host, "cache_evicted_total") == 6
        ask(client, "/9")
        assert len(service.requests) == 10
        end(host)


def test_questions_under_way_are_bounded(service):
    with start(service.url, AUTH_REQUEST_MAX_IN_FLIGHT="3") as host, connected(host) as client:
        for i in range(3):
            client.notify([question(f"/wait/{i}")])
        assert ask(client, "/4") == {"allowed": False, "reason": "busy"}
        assert number(host, "in_flight") == 3
        client.notify([question("/wait/0")])  # needs no place
        wait_until(lambda: number(host, "coalesced_total") == 1, "one that shares")
        service.release()
        for _ in range(4):
            assert client.recv_ack().variables["allowed"] is True
        assert ask(client, "/5")["allowed"] is True
        end(host)


def test_bytes_under_way_are_bounded(service):
    with start(service.url, AUTH_REQUEST_MAX_IN_FLIGHT_BYTES="64k") as host, connected(host) as client:
        for i in range(30):
            client.notify([question(f"/wait/{i}", [("cookie", "c" * 4000)])])
        wait_until(lambda: counts(host, "answers_total").get("busy"), "one that finds no room")
        assert number(host, "in_flight_bytes") <= 65536
        service.release()
        said = [client.recv_ack().variables["reason"] for _ in range(30)]
        assert set(said) == {"allowed", "busy"}
        end(host)


# -- TLS


@pytest.mark.parametrize("ca, client_cert, said", [
    ("ca", True, "allowed"), ("other_ca", True, "tls"), (None, True, "tls"), ("ca", False, None)])
def test_tls(certs, ca, client_cert, said):
    """A CA of one's own, a client's certificate, and what is refused without them."""
    env = {}
    if ca:
        env["AUTH_REQUEST_TLS_CA"] = certs.path(ca)
    if client_cert:
        env.update(AUTH_REQUEST_TLS_CERT=certs.path("client"),
                   AUTH_REQUEST_TLS_KEY=certs.path("client", "key"))
    with AuthService(tls=(certs.path("server"), certs.path("server", "key"), certs.path("ca"))) as service:
        with start(service.url, **env) as host, connected(host) as client:
            got = ask(client, "/")
            if said is None:  # TLS 1.3: the alert may come with the first read
                assert got["allowed"] is False and got["reason"] in ("tls", "protocol")
            else:
                assert got["reason"] == said
            end(host)


# -- the end


def test_the_end_comes_first(service):
    """What waits is answered with what it has committed; nothing keeps the host."""
    with start(service.url, args=["--shutdown-timeout", "2s"]) as host, connected(host) as client:
        for i in range(3):
            client.notify([question(f"/wait/{i}")])
        service.wait_asked("/wait/2")
        host.signal(signal.SIGTERM)
        for _ in range(3):
            assert client.recv_ack().variables == {"allowed": False, "reason": "deadline"}
        assert host.wait() == 0, host.report()


def test_the_end_under_load(service):
    """SIGTERM while all questions are under way: each is answered, rightly."""
    with start(service.url, SPOE_WORKERS="2") as host:
        clients = [connected(host) for _ in range(4)]
        for client in clients:
            for i in range(50):
                client.notify([question(f"/wait/{i}")])
        # What has not come yet is not the host's to answer: the kernel may hold it back.
        wait_until(lambda: admin.metrics(host)["spoe_host_notifies_total"].total() == 200, "all questions")
        wait_until(lambda: service.requests, "the first question")
        host.signal(signal.SIGTERM)
        host.wait_line(r'msg="stopping"')
        service.release()
        for client in clients:
            for _ in range(50):
                assert client.recv_ack().variables["reason"] == "allowed"
            client.close()
        assert host.wait() == 0, host.report()


class Load(threading.Thread):
    """A connection that asks without a pause, until it is told to stop or the host goes."""

    def __init__(self, host, number):
        super().__init__(daemon=True)
        self.client, self.number = connected(host), number
        self.stopped, self.reasons, self.asked = threading.Event(), [], 0
        self.start()

    def run(self):
        while not self.stopped.is_set():
            try:
                for i in range(20):
                    self.client.notify([question(f"/{self.number % 2}/{i % 7}")])
                    self.asked += 1
                for _ in range(20):
                    self.reasons.append(self.client.recv_ack().variables["reason"])
            except (OSError, AttributeError, BadFrame):
                return  # the host has ended; a DISCONNECT or nothing is no ACK


def test_load_while_the_service_dies_and_the_host_ends(service):
    """Two workers, four connections, everything on: kept for a moment, shared, a time-out that is near.
    In the TSan build a race ends the host with status 66, under ASan what is left is a failure."""
    env = {"SPOE_WORKERS": "2", "AUTH_REQUEST_TIMEOUT": "2s", "AUTH_REQUEST_CACHE_TTL": "5ms",
           "AUTH_REQUEST_CACHE_ENTRIES": "6", "AUTH_REQUEST_CONNECTIONS": "4"}
    with start(f"http://localhost:{service.port}/", **env) as host:
        loads = [Load(host, number) for number in range(4)]

        def wait_for(reasons):
            marks = [len(load.reasons) for load in loads]
            wait_until(lambda: all(reasons & set(load.reasons[mark:]) for load, mark in zip(loads, marks)),
                       f"answers {reasons}")

        dead = {"connect", "protocol"}
        wait_for({"allowed"})
        service.close()
        wait_for(dead)
        for _ in range(3):
            with AuthService(port=service.port):
                wait_for({"allowed"})
            wait_for(dead)
        with AuthService(port=service.port):
            wait_for({"allowed"})
            host.signal(signal.SIGTERM)
            assert host.wait() == 0, host.report()
            for load in loads:
                load.stopped.set()
                load.join()
                assert set(load.reasons) <= {"allowed", "timeout", *dead}


# -- what the host makes of it


def test_it_keeps_the_rules_of_plugins(service, tmp_path):
    """By spoe-plugin-check, with a service and without one."""
    script = tmp_path / "script"
    script.write_text("auth-request method=GET uri=/a ssl=0 src=10.0.0.1 hdrs:hex=06636f6f6b69650161" "0000\n"
                      "auth-request method=GET uri=/b ssl=1 hdrs:hex=0000\nauth-request method=GET uri=/c\n")
    check = os.path.join(os.path.dirname(host_binary()), "spoe-plugin-check")
    plugin = os.path.join(os.environ["SPOE_TEST_AUTH_REQUEST_DIR"], "auth-request.so")
    status, out = run([check, "--set", f"auth-request.url={service.url}", plugin, script], env=clean_env())
    assert status == 0 and "keeps all rules" in out, out


def test_two_of_it(service):
    """Each asks for itself, with options of its own."""
    with AuthService() as other:
        args = ["--plugins", "auth-request:one,auth-request:two", *(
            word for name, at in (("one", service), ("two", other))
            for word in ("--set", f"auth-request:{name}.url={at.url}", "--set", f"auth-request:{name}.timeout=50s"))]
        with SpoeHost([*ARGS[:2], *args], env=PATIENT) as host, connected(host) as client:
            assert ask(client, "/a")["allowed"] is True
            assert len(service.asked("/a")) == len(other.asked("/a")) == 1
            assert host.terminate() == 0, host.report()


# -- options


BAD_OPTIONS = [
    ({"AUTH_REQUEST_RESPONSE_HEADERS": "x-a, X-User, x_user"}, "X-User and x_user would be the same variable"),
    ({"AUTH_REQUEST_URL": "ftp://a/"}, "expected a URL: http://HOST[:PORT][/PATH] or https://"),
    ({"AUTH_REQUEST_URL": "http://u:p@a/"}, "no user and password"),
    ({"AUTH_REQUEST_URL": "http://"}, "expected a URL: http://HOST"),
    ({"AUTH_REQUEST_URL": ""}, "url"),
    ({"AUTH_REQUEST_REQUEST_HEADERS": "cookie, host"}, "host cannot be sent"),
    ({"AUTH_REQUEST_REQUEST_HEADERS": "x-real-ip"}, "x-real-ip cannot be sent"),
    ({"AUTH_REQUEST_REQUEST_HEADERS": "a:b"}, "no name of a header"),
    ({"AUTH_REQUEST_SEND": "uri, path"}, "uri or path, not both"),
    ({"AUTH_REQUEST_SEND": "uri,,host"}, '\\"\\" in the list is not valid'),
    ({"AUTH_REQUEST_RESPONSE_HEADERS": "X-User X-Groups"}, "no name of a header"),
    ({"AUTH_REQUEST_SOURCE_ADDRESS": "eth0"}, "expected an address, IPv4 or IPv6"),
    ({"AUTH_REQUEST_SEND": "body"}, "only method, uri"),
    ({"AUTH_REQUEST_DENY_STATUS": "200"}, "from 300 to 599"),
    ({"AUTH_REQUEST_DENY_STATUS": "4o1"}, "from 300 to 599"),
    ({"AUTH_REQUEST_TLS_CA": "/nowhere.pem"}, "cannot read /nowhere.pem"),
    ({"AUTH_REQUEST_TLS_CA": "ca.pem"}, "expected an absolute path"),
    ({"AUTH_REQUEST_TLS_CERT": "/dev/null"}, "belong together"),
    ({"AUTH_REQUEST_TIMEOUT": "0"}, "timeout"),
]


def test_bad_options():
    for env, complaint in BAD_OPTIONS:
        status, out = run([host_binary(), *ARGS, "-t"],
                          env=clean_env({"AUTH_REQUEST_URL": "http://127.0.0.1/", **env}))
        assert status != 0 and complaint in out, out
