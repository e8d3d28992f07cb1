# SPDX-License-Identifier: Apache-2.0
"""Issue 12, 4: mirror.so with haproxy/mirror.cfg: what reaches a second origin, and that HAProxy's own
requests never notice."""

import contextlib
import os
import signal
import socket

import pytest
from lib import admin, haproxy_config, procs
from lib import haproxy as hap
from lib.origin import Origin
from lib.procs import Proc, ReservedPort, SpoeHost, clean_env, wait_until


class Config(hap.Config):
    """haproxy/mirror.cfg and its SPOE file, patient with a slow machine."""

    def __init__(self, directory):
        super().__init__(directory, spoe="spoe-mirror.cfg")
        self.main = hap.source_text("mirror.cfg")
        self.edit_main(r"^global\n", f"global\n    stats socket {self.socket} level admin\n")
        self.relax()


class Scene:
    """HAProxy with its origin, an agent with mirror.so, and the second origin."""

    def __init__(self, proxy, host, first, second):
        self.proxy, self.host, self.first, self.second = proxy, host, first, second

    def metric(self, name, **labels):
        return admin.metrics(self.host)["spoe_mirror_" + name].total(**labels)

    def wait_metric(self, value, name, **labels):
        wait_until(lambda: self.metric(name, **labels) == value,
                   lambda: f"{name} {labels} to be {value}, not {self.metric(name, **labels)}"
                           f"{self.host.report()}")

    def settle(self):
        """Everything has ended, and each request in one way."""
        wait_until(lambda: self.metric("waiting_requests") == self.metric("in_flight_requests") == 0,
                   "the end of all requests")
        check_sum(admin.metrics(self.host))


def check_sum(families):
    of = {name: families["spoe_mirror_" + name].total() for name in (
        "requests_total", "unselected_requests_total", "dropped_requests_total", "answers_total",
        "failures_total", "waiting_requests", "in_flight_requests")}
    assert of.pop("requests_total") == sum(of.values()), of


@contextlib.contextmanager
def scene(binary, config, url=None, env=None, args=(), checks=True):
    """`url` may have {} for the second origin's address."""
    with contextlib.ExitStack() as stack:
        first, second = stack.enter_context(Origin()), stack.enter_context(Origin())
        first.release()
        host = stack.enter_context(SpoeHost(["--plugins", "mirror", *args], env={
            "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_WORKERS": "2", "SPOE_PROCESSING_TIMEOUT": "10s",
            "MIRROR_URL": (url or "http://{}").format(second.address), "MIRROR_TIMEOUT": "60s",
            "MIRROR_CONNECT_TIMEOUT": "60s", "MIRROR_QUEUE_TIME": "60s", **(env or {})}))
        spoe = os.path.join(config.directory, "spoe-otel.cfg")  # as Config.write() calls it
        proxy = stack.enter_context(hap.HAProxy(binary, config, [host.port], first.address,
                                                env={"SPOE_MIRROR_CFG": spoe}))
        if checks:
            proxy.wait_agent()
        yield Scene(proxy, host, first, second)
        if host.alive():
            assert host.terminate() == 0, host.report()


@pytest.fixture
def mirror(tmp):
    return Config(tmp)


def test_files_are_accepted(binary):
    """And they send what the host prints."""
    status, out = hap.check(binary, f"{hap.SOURCE}/haproxy/mirror.cfg",
                            {"SPOE_MIRROR_CFG": f"{hap.SOURCE}/haproxy/spoe-mirror.cfg"})
    assert status == 0, out
    _, printed = haproxy_config.printed("spoe", "2.6", env={"SPOE_PLUGINS": "mirror", "MIRROR_URL": "http://a"})
    ours, theirs = (haproxy_config.spoe_file(text) for text in (hap.source_text("spoe-mirror.cfg"), printed))
    assert ours["spoe-message mirror"] == theirs["spoe-message mirror"] and "[mirror]" in theirs


def raw(port, *parts):
    """A request in parts; each is sent when `parts` yields it. The answer's first line."""
    with socket.create_connection(("127.0.0.1", port), timeout=procs.LIMIT) as sock:
        for part in parts:
            sock.sendall(part() if callable(part) else part)
        answer = b""
        while b"\r\n" not in answer:
            piece = sock.recv(65536)
            if not piece:
                break
            answer += piece
    return answer.split(b"\r\n")[0].decode()


BODIES = [("GET", "/a?b=c&d=%20e", None), ("POST", "/form", b"x=1"), ("PUT", "/put", bytes(range(256)) * 40),
          ("DELETE", "/gone", None), ("PATCH", "/p", b""), ("POST", "/empty", b""), ("HEAD", "/head", None),
          ("OPTIONS", "/o", None), ("PROPFIND", "/dav", b"<x/>"), ("GET", "/a/../b//c;d", None),
          ("DELETE", "/with-body", b"z" * 5000)]


def test_a_request_is_repeated_whole(binary, mirror):
    """Issue 12, 4: method, path, query, headers and body; nothing that is about a connection only, a mark,
    and nothing that libcurl adds by itself."""
    with scene(binary, mirror) as s:
        for i, (method, path, body) in enumerate(BODIES):
            headers = {"Host": "shop.example", "X-One": "1", "X-Empty": "", "Cookie": "a=b; c=d",
                       "Connection": "close, x-hop", "X-Hop": "h", "Upgrade": "x", "TE": "trailers",
                       "Keep-Alive": "timeout=5"}
            assert s.proxy.get(path, headers, method=method, body=body).status == 200
            got = s.second.wait_request(path)
            assert (got.method, got.body) == (method, body or b"")
            assert got.header("host") == "shop.example" and got.header("cookie") == "a=b; c=d"
            assert (got.header("x-one"), got.header("x-empty")) == ("1", "")
            assert got.header("x-mirror") == "1"
            names = {name for name, _ in got.headers}
            assert not names & {"x-hop", "upgrade", "te", "keep-alive", "connection", "expect"}
            theirs = s.first.wait_request(path)
            assert ({name for name, _ in got.headers} - {"x-mirror", "content-length"}
                    <= {name for name, _ in theirs.headers})
            assert theirs.header("x-mirror") is None
            s.wait_metric(i + 1, "answers_total")
        s.settle()
        assert s.metric("answers_total", **{"class": "2xx"}) == len(BODIES)
        assert s.metric("connections_total") == 1  # it is used again


def test_headers_are_rewritten(binary, mirror):
    """Issue 12, 4: set, remove, Host; a path before every path; repeated ones stay so; from where it connects."""
    env = {"MIRROR_SET_HEADERS": r"X-Env: staging, X-List: a\, b, X-One: new",
           "MIRROR_REMOVE_HEADERS": "authorization, x-internal-*", "MIRROR_HOST": "mirror.example",
           "MIRROR_MARKER": "X-Copy: yes", "MIRROR_INTERFACE": "127.0.0.2", "MIRROR_LOCAL_PORT": "20000",
           "MIRROR_LOCAL_PORT_RANGE": "40000"}
    with scene(binary, mirror, "http://{}/base/", env) as s:
        assert raw(s.proxy.web, b"GET /x?y HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\nX-One: 1\r\n"
                   b"X-Internal-Id: 7\r\nX-Two: a\r\nX-Two: b\r\nX-Env: prod\r\n\r\n").endswith("200 OK")
        got = s.second.wait_request("/base/x?y")
        assert got.connection[0] == "127.0.0.2" and 20000 <= got.connection[1] < 60000
        assert got.header("host") == "mirror.example" and got.header("x-list") == "a, b"
        assert got.all("x-one") == ["new"] and got.all("x-env") == ["staging"]
        assert got.all("x-two") == ["a", "b"] and got.header("x-copy") == "yes"
        assert got.header("authorization") is None and got.header("x-internal-id") is None
        # what was mirrored is not mirrored again, or two mirrors would go on for ever
        assert s.proxy.get("/twice", {"X-Copy": "yes"}).status == 200
        s.wait_metric(1, "dropped_requests_total", reason="marked")
        s.settle()
        assert [r.path for r in s.second.requests] == ["/base/x?y"]


def test_the_share_and_rules(binary, mirror):
    """Issue 12, 4: share in percent, by rule: HAProxy's condition on the message, or a variable; SIGHUP
    changes it."""
    mirror.edit_main(r"^    tcp-request content .*", "    tcp-request content set-var(txn.mirror_share) "
                     'str("100%") if { path_beg /all/ }\n    tcp-request content set-var(txn.mirror_share) '
                     "int(0) if { path_beg /none/ }")
    mirror.edit_spoe("^    event on-frontend-http-request", r"\g<0> if !{ path_beg /never/ }")
    file = os.path.join(mirror.directory, "host.conf")

    def share(text):
        with open(file, "w", encoding="ascii") as out:
            out.write(f"[mirror]\nshare = {text}\n")

    share("0")
    with scene(binary, mirror, args=["-f", file]) as s:
        for path in ("/x", "/all/1", "/none/1", "/never/1"):
            assert s.proxy.get(path).status == 200
        s.second.wait_request("/all/1")
        assert s.metric("requests_total") == 3 and s.metric("unselected_requests_total") == 2
        share("100")
        s.host.signal(signal.SIGHUP)
        s.wait_metric(1000000, "share_millionths")
        for path in ("/y", "/none/2", "/never/2"):
            assert s.proxy.get(path).status == 200
        s.second.wait_request("/y")
        s.settle()
        assert {r.path for r in s.second.requests} == {"/all/1", "/y"}


@pytest.mark.parametrize("send", [False, True])
def test_a_cut_body_is_not_sent(binary, mirror, send):
    """Issue 12, 4: never a request with a cut body unless told to. Larger than HAProxy's buffer, with a
    length or in chunks; or not there yet, where HAProxy does not wait for it (chunks tell no size then)."""
    mirror.edit_main("^    option http-buffer-request\n", "")
    head = b"POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    with scene(binary, mirror, env={"MIRROR_SEND_CUT_BODIES": "on" if send else "off"}) as s:

        def later(rest):
            """What is sent once the agent has seen the beginning."""
            before = s.metric("requests_total")

            def wait():
                s.wait_metric(before + 1, "requests_total")
                return rest

            return wait

        port = s.proxy.web
        assert raw(port, head % (b"/whole", b"Content-Length: 10000\r\n") + b"w" * 10000).endswith("200 OK")
        s.second.wait_request("/whole")
        assert raw(port, head % (b"/large", b"Content-Length: 40000\r\n") + b"l" * 40000).endswith("200 OK")
        assert raw(port, head % (b"/half", b"Content-Length: 2000\r\n") + b"h" * 1000,
                   later(b"i" * 1000)).endswith("200 OK")
        raw(port, head % (b"/chunks", chunked) + b"64\r\n" + b"c" * 100 + b"\r\n",
            later(b"64\r\n" + b"d" * 100 + b"\r\n0\r\n\r\n"))
        s.settle()
        if send:
            got = {r.path: r.body for r in s.second.requests}
            assert 10000 < len(got["/large"]) < 16384 and set(got["/large"]) == {ord("l")}
            assert got["/half"][:1000] == b"h" * 1000 and got["/chunks"][:100] == b"c" * 100
            assert s.metric("dropped_requests_total") == 0
        else:
            assert [r.path for r in s.second.requests] == ["/whole"]
            assert s.metric("dropped_requests_total", reason="cut_body") == 3


def test_what_http_buffer_request_waits_for_is_sent(binary, mirror):
    """Issue 12, 1: a body that comes late, with a length, in chunks or over HTTP/2, is there whole."""
    with ReservedPort() as h2:
        mirror.edit_main(r"^    bind .*WEB_ADDR.*", rf"\g<0>\n    bind {h2.address} proto h2")
        with scene(binary, mirror) as s:
            for path, fields, first, rest in (
                    (b"/length", b"Content-Length: 2000\r\n", b"h" * 1000, b"h" * 1000),
                    (b"/chunks", b"Transfer-Encoding: chunked\r\n", b"64\r\n" + b"h" * 100 + b"\r\n",
                     b"76c\r\n" + b"h" * 1900 + b"\r\n0\r\n\r\n")):
                assert raw(s.proxy.web, b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + first,
                           rest).endswith("200 OK")
                assert s.second.wait_request(path.decode()).body == b"h" * 2000
            assert [code for _, code, _ in s.proxy.curl(
                "--http2-prior-knowledge", "-d", "d" * 3000, base=f"http://{h2.address}",
                paths=["/h2"])] == ["200"]
            assert s.second.wait_request("/h2").body == b"d" * 3000
            s.settle()
            assert s.metric("dropped_requests_total") == 0


LONG = [("path", b"GET /" + b"p" * 14000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("headers", b"GET /h HTTP/1.1\r\nHost: a\r\n" + b"".join(b"a%d: \r\n" % i for i in range(90)) +
         b"X: " + b"v" * 13000 + b"\r\n\r\n"),
        ("all", b"POST /" + b"q" * 5000 + b" HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 5000 +
         b"\r\nContent-Length: 5000\r\n\r\n" + b"b" * 5000),
        ("body", b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n" + b"b" * 15000)]


def test_whatever_fits_into_the_buffer_fits_into_the_frame(binary, mirror):
    """Issue 12, 1: alone in its section the message cannot be too large: all of them arrive. One that does not
    fit is not sent, up to 3.0 at the price of the connection."""
    mirror.edit_main(r" check inter 2s fall 2 rise 2", "")
    mirror.edit_main(r"    option spop-check\n", "")
    with scene(binary, mirror, checks=False) as s:
        for _ in range(3):
            for what, request in LONG:
                assert raw(s.proxy.web, request).endswith("200 OK"), what
        s.wait_metric(3 * len(LONG), "answers_total")
        s.settle()
        assert s.metric("dropped_requests_total") == 0
        for _, request in LONG:
            path = request.split()[1].decode()
            assert s.second.wait_request(path).body == request.split(b"\r\n\r\n", 1)[1]


FRONT = """
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend second
    bind {address} {bind}
    http-request set-header X-Ver %[req.ver]
    http-request set-header X-Client %[ssl_c_s_dn(cn)] if {{ ssl_fc }}
    default_backend origin
backend origin
    server second {origin}
"""


@contextlib.contextmanager
def front(binary, directory, second, bind, reserved):
    """A HAProxy before the second origin that speaks what Python does not."""
    path = os.path.join(directory, "front.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(FRONT.format(address=reserved.address, bind=bind, origin=second.address))
    with Proc([binary, "-db", "-f", path], name="front", env=clean_env()) as proc:
        wait_until(lambda: connects(reserved.port), lambda: f"the front{proc.report()}")
        yield proc


def connects(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("scheme, alpn, http, spoken, connections", [
    ("https", "h2,http/1.1", "auto", "2.0", 1), ("https", "http/1.1", "auto", "1.1", 3),
    ("https", "h2,http/1.1", "1.1", "1.1", 3), ("http", None, "2", "2.0", 4)])
def test_tls_and_http_2(binary, mirror, certs, reserved, scheme, alpn, http, spoken, connections):
    """Issue 12, 4: TLS with CA and client certificate, HTTP/1.1 and HTTP/2; a connection is used again, and
    over HTTP/2 with TLS by several at once; without TLS each request has its own."""
    bind = "proto h2"
    if alpn:
        pem = os.path.join(mirror.directory, "server.pem")
        with open(pem, "wb") as file:
            file.write(certs.read("server") + certs.read("server", "key"))
        bind = f"ssl crt {pem} alpn {alpn} ca-file {certs.path('ca')} verify required"
    env = {"MIRROR_HTTP": http, "MIRROR_TLS_CA": certs.path("ca"), "MIRROR_TLS_CERT": certs.path("client"),
           "MIRROR_TLS_KEY": certs.path("client", "key")}
    with scene(binary, mirror, f"{scheme}://localhost:{reserved.port}", env) as s, \
            front(binary, mirror.directory, s.second, bind, reserved):
        for i in range(3):
            assert s.proxy.get(f"/hold/{i}", method="POST", body=b"b" * 10000).status == 200
        for i in range(3):  # all of them at once
            got = s.second.wait_request(f"/hold/{i}")
            assert got.header("x-ver") == spoken and got.body == b"b" * 10000, s.host.report()
            assert scheme == "http" or got.header("x-client") == "client"
        s.second.release()
        s.wait_metric(3, "answers_total")
        assert s.proxy.get("/again?x=%20y", {"Host": "shop.example"}).status == 200
        assert s.second.wait_request("/again?x=%20y").header("host") == "shop.example"
        s.wait_metric(4, "answers_total")
        assert s.metric("connections_total") == connections
        s.settle()


def test_a_server_that_is_not_trusted(binary, mirror, certs, reserved):
    """Issue 12, 4: nothing is sent to it."""
    pem = os.path.join(mirror.directory, "server.pem")
    with open(pem, "wb") as file:
        file.write(certs.read("other_server") + certs.read("other_server", "key"))
    with scene(binary, mirror, f"https://localhost:{reserved.port}", {"MIRROR_TLS_CA": certs.path("ca")}) as s, \
            front(binary, mirror.directory, s.second, f"ssl crt {pem}", reserved):
        assert s.proxy.get("/x").status == 200
        s.wait_metric(1, "failures_total", reason="tls")
        s.settle()
        assert not s.second.requests


def test_the_second_origin_is_down(binary, mirror, refusing):
    """Issue 12, 4: HAProxy's requests are unharmed; failures are counted, said once, and said to be over."""
    with scene(binary, mirror, f"http://{refusing.address}") as s:
        for i in range(10):
            assert s.proxy.get(f"/{i}").status == 200
        s.wait_metric(10, "failures_total", reason="connect")
        s.settle()
        s.host.wait_line("level=warning component=mirror .*does not answer")
        assert s.host.count("level=warning component=mirror ") == 1
        assert "degraded" in str(admin.page(s.host, "/status"))
        assert not s.second.requests and len(s.first.requests) == 10


def test_the_second_origin_is_slow(binary, mirror):
    """Issue 12, 4: what does not fit into queue or memory is dropped and counted by reason; HAProxy's
    requests do not wait."""
    env = {"MIRROR_CONCURRENCY": "2", "MIRROR_QUEUE": "3", "MIRROR_MEMORY": "64k"}
    with scene(binary, mirror, env=env) as s:
        for i in range(2):
            hold_one(s, i)
        for i in range(6):
            assert s.proxy.get(f"/{i}").status == 200
        s.wait_metric(3, "dropped_requests_total", reason="queue_full")
        assert s.metric("waiting_requests") == 3 and s.metric("in_flight_requests") == 2
        assert len(s.first.requests) == 8
        s.second.release()
        s.wait_metric(5, "answers_total")
        # five of 16 KiB and more are more than 64 KiB
        s.second.hold()
        for i in range(2, 4):
            hold_one(s, i)
        for i in range(2):
            assert s.proxy.get(f"/m{i}", method="POST", body=b"m" * 9000).status == 200
        s.wait_metric(1, "dropped_requests_total", reason="memory_full")
        s.second.release()
        s.settle()


def hold_one(s, i):
    """A request that the second origin holds, and the first does not."""
    assert s.proxy.get(f"/hold/{i}").status == 200
    s.second.wait_request(f"/hold/{i}")


def test_times_have_limits(binary, mirror):
    """Issue 12, 4: what waits too long is dropped as late, what is under way too long has failed."""
    env = {"MIRROR_CONCURRENCY": "1", "MIRROR_QUEUE_TIME": "1ms", "MIRROR_TIMEOUT": "1s"}
    with scene(binary, mirror, env=env) as s:
        # On a slow machine one of them may be late before its turn, or the one before it be gone.
        wait_until(lambda: s.proxy.get("/hold").status == 200
                   and s.metric("dropped_requests_total", reason="late") > 0
                   and s.metric("failures_total", reason="timeout") > 0, lambda: s.host.report())
        s.second.release()
        s.settle()


def test_answers_are_thrown_away(binary, mirror):
    """Issue 12, 4: counted by class, read up to a bound."""
    with scene(binary, mirror, env={"MIRROR_RESPONSE_MAX": "100k"}) as s:
        for path in ("/status/204", "/status/302", "/status/404", "/status/503", "/bytes/90000",
                     "/bytes/3000000"):
            s.proxy.get(path)
        s.wait_metric(6, "answers_total")
        assert [s.metric("answers_total", **{"class": f"{n}xx"}) for n in range(1, 6)] == [0, 3, 1, 1, 1]
        assert s.metric("long_answers_total") == 1
        s.settle()


def test_the_end_flushes(binary, mirror):
    """Issue 12, 4: SIGTERM: what waits is sent first."""
    with scene(binary, mirror, env={"MIRROR_CONCURRENCY": "1"}) as s:
        hold_one(s, 0)
        for i in range(20):
            assert s.proxy.get(f"/{i}").status == 200
        s.wait_metric(20, "waiting_requests")
        s.host.signal(signal.SIGTERM)
        s.host.wait_line("stopping")
        s.second.release()
        assert s.host.wait() == 0, s.host.report()
        assert len(s.second.requests) == 21
        s.host.wait_line(r"totals: requests=21 unselected=0 dropped=0 answers=21 failures=0")
