# SPDX-License-Identifier: Apache-2.0
"""Spans from HAProxy's log lines alone, no SPOE (issue 11, 2.2, 2.5): what each kind of request
becomes. The configuration is haproxy/otel-log.cfg, but where a test says so."""

import socket

import pytest
from lib.haproxy import Client
from lib.lines import where
from lib.log_proxy import CONTEXT, EVIL, FMT, RULES, FactsProxy
from lib.log_proxy import OtelLogProxy as Proxy
from lib.procs import SpoeHost, wait_until

from conftest import host_env


@pytest.fixture
def agent(collector):
    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"],
                  env=host_env(collector, KEEP_ERRORS="on", BATCH_DELAY="20ms")) as host:
        yield host
        if host.alive():
            assert host.terminate() == 0, host.report()


ANSWERS = ("    default_backend web-app", """    http-request deny if { path /deny }
    http-request redirect location /elsewhere if { path /redirect }
    http-request return status 200 content-type text/plain string ok if { path /return }
    http-request set-var(txn.otel_attrs) req.hdr(x-attrs) if { path /b }
    default_backend web-app""")


@pytest.fixture
def proxy(binary, tmp, origin, agent):
    with Proxy(binary, tmp, origin.address, agent, [ANSWERS]) as proxy:
        yield proxy


def spans(collector, agent, n):
    """The spans of n requests by path, (SERVER, CLIENT or None), and no span else."""
    seen = {}

    def all_there():
        pairs = {}
        for span in collector.spans:
            pairs.setdefault(span.trace_id, {})[span.kind] = span
        seen.clear()
        for pair in pairs.values():
            if "SERVER" in pair:
                path = pair["SERVER"].attributes.get("url.path")
                seen[path] = (pair["SERVER"], pair.get("CLIENT"))
        return len(seen) == n and sum(len(pair) for pair in pairs.values()) == len(collector.spans)

    wait_until(all_there, lambda: f"the spans of {n} requests: {collector.spans}{agent.report()}")
    return seen


def test_a_request(proxy, collector, agent, origin):
    answer = proxy.get("/a?q=1", traceparent=CONTEXT, Host="shop.example.org")
    server, client = spans(collector, agent, 1)["/a"]
    assert server.trace_id == CONTEXT[3:35] and server.parent_id == CONTEXT[36:52]
    assert client.trace_id == server.trace_id and client.parent_id == server.span_id
    # The id that the server was sent is CLIENT's.
    assert answer.status == 200
    assert origin.requests[-1].header("traceparent") == f"00-{client.trace_id}-{client.span_id}-01"
    assert server.flags == 0x301 and client.flags == 0x101
    got = dict(server.attributes)
    assert got.pop("client.port") == got.pop("network.peer.port")
    assert got.pop("haproxy.time.handshake", 0) >= 0
    assert got == {
        "http.request.method": "GET", "url.path": "/a", "url.query": "q=REDACTED",
        "url.scheme": "http", "server.address": "shop.example.org", "server.port": 80,
        "client.address": "127.0.0.1", "network.peer.address": "127.0.0.1",
        "network.local.address": "127.0.0.1", "network.protocol.version": "1.1",
        "haproxy.frontend.name": "web", "haproxy.frontend.port": proxy.port,
        "site": "web", "team": "storefront",
        "http.response.status_code": 200, "haproxy.termination_state": "--",
    }
    told = dict(client.attributes)
    for timer in ("queue", "connect", "response"):
        assert told.pop(f"haproxy.time.{timer}") >= 0
    assert told == {
        "http.request.method": "GET", "url.path": "/a", "url.query": "q=REDACTED",
        "server.address": "shop.example.org",
        "http.response.status_code": 200, "haproxy.backend.name": "web-app",
        "haproxy.server.name": "app1", "network.peer.address": "127.0.0.1",
        "network.peer.port": origin.port,
    }
    assert server.start <= client.start <= client.end <= server.end
    assert (server.status, client.status) == ("UNSET", "UNSET")


def test_what_haproxy_answers_itself(proxy, collector, agent):
    for path in ("/deny", "/redirect", "/return"):
        proxy.get(path)
    seen = spans(collector, agent, 3)
    for path, status in (("/deny", 403), ("/redirect", 302), ("/return", 200)):
        server, client = seen[path]
        assert client is None and server.status == "UNSET"
        assert server.attributes["http.response.status_code"] == status
        assert server.attributes["haproxy.termination_state"] in ("PR", "LR")
        assert "error.type" not in server.attributes and server.parent_id == ""


def test_no_field_is_forged(proxy, collector, agent):
    proxy.get("/b", **{"X-Attrs": "k=" + EVIL})
    server, _ = spans(collector, agent, 1)["/b"]
    assert server.attributes["k"] == EVIL


@pytest.mark.parametrize("backend, status, error, client_error", [
    ('"${APP_ADDR}"', 503, "503", "connect_failed"),
    ('"${APP_ADDR}" disabled', 503, "503", None)])
def test_no_server(binary, tmp, collector, agent, refusing, backend, status, error, client_error):
    server = ("    server app1 ", f"    server app1 {backend} #")
    with Proxy(binary, tmp, f"127.0.0.1:{refusing.port}", agent, [server]) as proxy:
        proxy.get("/x")
        server, client = spans(collector, agent, 1)["/x"]
    assert server.attributes["http.response.status_code"] == status
    assert (server.status, server.attributes["error.type"]) == ("ERROR", error)
    if client_error is None:
        assert client is None
        return
    assert (client.status, client.attributes["error.type"]) == ("ERROR", client_error)
    assert "http.response.status_code" not in client.attributes
    # HAProxy tries three times more.
    assert client.attributes["http.request.resend_count"] == 3


def test_a_body_that_is_cut(binary, tmp, collector, agent):
    """The status code was sent, and the error is told beside it."""
    with socket.create_server(("127.0.0.1", 0)) as server_socket:
        address = f"127.0.0.1:{server_socket.getsockname()[1]}"
        with Proxy(binary, tmp, address, agent) as proxy, Client(proxy.port) as client:
            client._conn.putrequest("GET", "/cut")
            client._conn.endheaders()
            peer, _ = server_socket.accept()
            while b"\r\n\r\n" not in peer.recv(65536):
                pass
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
            peer.close()
            server, client_span = spans(collector, agent, 1)["/cut"]
    for span in (server, client_span):
        assert span.attributes["http.response.status_code"] == 200
        assert (span.status, span.attributes["error.type"]) == ("ERROR", "response_truncated")
    assert server.attributes["haproxy.termination_state"] == "SD"


def test_no_response_in_time(binary, tmp, collector, agent, origin):
    soon = ("    timeout server 30s", "    timeout server 1s")
    with Proxy(binary, tmp, origin.address, agent, [soon]) as proxy:
        origin.hold()
        assert proxy.get("/hold").status == 504
        server, client = spans(collector, agent, 1)["/hold"]
        origin.release()
    assert server.attributes["http.response.status_code"] == 504
    assert (server.status, server.attributes["error.type"]) == ("ERROR", "504")
    assert (client.status, client.attributes["error.type"]) == ("ERROR", "response_timeout")
    assert "http.response.status_code" not in client.attributes
    assert server.attributes["haproxy.termination_state"] == "sH"
    assert client.end - client.start >= 900_000_000  # as long as it really was


def test_a_client_that_leaves(binary, tmp, collector, agent, origin):
    """No error of anybody's, whatever status code HAProxy writes."""
    gone = ("    option dontlognull", "    option dontlognull\n    option abortonclose")
    queue = "    timeout server 30s\n    timeout queue"
    both = (queue, "    option abortonclose\n" + queue)
    with Proxy(binary, tmp, origin.address, agent, [gone, both]) as proxy:
        origin.hold()
        with socket.create_connection(("127.0.0.1", proxy.port), 30) as client_socket:
            client_socket.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            origin.wait_request("/hold")
        server, client = spans(collector, agent, 1)["/hold"]
        origin.release()
    for span in (server, client):
        assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)
    assert server.attributes["haproxy.termination_state"][0] in "Cc"


def test_a_response_that_haproxy_denies(binary, tmp, collector, agent, origin):
    rule = "    http-response set-var(txn.t2) date(0,us)"
    deny = (rule, rule + "\n    http-response deny if { var(txn.host) -m str denied }")
    with Proxy(binary, tmp, origin.address, agent, [deny]) as proxy:
        status = proxy.get("/b", Host="denied").status
        server, client = spans(collector, agent, 1)["/b"]
    assert server.attributes["http.response.status_code"] == status >= 400
    assert "http.response.status_code" not in client.attributes


def test_what_was_no_request(binary, tmp, origin, agent, collector):
    """No rule ran, so there is no context: counted, and no span."""
    errors = ("    #option log-sep", "    option log-sep")
    with Proxy(binary, tmp, origin.address, agent, [errors]) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), 30) as bad:
            bad.sendall(b"\x01\x02 no request\r\n\r\n")
            while bad.recv(4096):
                pass
        proxy.get("/after")
        assert set(spans(collector, agent, 1)) == {"/after"}
    assert agent.terminate() == 0
    assert any(" lines=2 lines_without_context=0 bad_requests=1 " in line for line in agent.lines), agent.report()


def test_sampling_is_haproxys(binary, tmp, collector, agent, origin, refusing):
    """What HAProxy's rules did not sample is no span, but for keep-errors, where its line comes."""
    none = [("str(01) if !{", "str(00) if !{"), ("    #option log-sep", "    option log-sep")]
    with Proxy(binary, tmp, origin.address, agent, none) as proxy:
        proxy.get("/unsampled")
        proxy.get("/sampled", traceparent=CONTEXT)
        assert set(spans(collector, agent, 1)) == {"/sampled"}
    with Proxy(binary, tmp, f"127.0.0.1:{refusing.port}", agent, none) as proxy:
        proxy.get("/error")
        seen = spans(collector, agent, 2)
    assert set(seen) == {"/sampled", "/error"}
    for span in seen["/error"]:
        assert span.attributes["haproxy.sampling.kept"] == "error"


def test_a_share_of_traces(binary, tmp, collector, agent, origin):
    """The commented line: by a threshold on the trace's id, as W3C level 2 has it."""
    share = [("    http-request set-var(txn.s) str(01) if !{ var(txn.in) -m found }\n", ""),
             ("    #http-request set-var(txn.s)", "    http-request set-var(txn.s)")]
    with Proxy(binary, tmp, origin.address, agent, share) as proxy:
        sampled = 0
        for i in range(200):
            proxy.get(f"/{i}")
            trace = origin.requests[-1].header("traceparent")
            assert (trace[-2:] == "01") == (int(trace[21:35], 16) >= 64851834634135142)
            sampled += trace[-2:] == "01"
        assert 0 < sampled < 100
        assert len(spans(collector, agent, sampled)) == sampled


def test_with_one_id(binary, tmp, collector, agent, origin):
    """The first configuration that was measured: one id in tp, which is CLIENT's where a server
    was tried, else SERVER's."""
    log = f"    log {where(agent, 'udp')} len 8192 format raw local0\n    log-format '{FMT}'"
    rules = RULES.replace("    http-request set-log-level",
                          "    http-request set-header traceparent %[var(txn.tp)]\n"
                          "    http-request set-log-level")
    with FactsProxy(binary, tmp, origin.address, log, rules=rules) as proxy:
        proxy.get("/a", traceparent=CONTEXT)
        proxy.get("/deny")
        seen = spans(collector, agent, 2)  # a line leaves after its answer
    server, client = seen["/a"]
    assert origin.requests[-1].header("traceparent") == f"00-{client.trace_id}-{client.span_id}-01"
    assert client.parent_id == server.span_id and server.parent_id == CONTEXT[36:52]
    assert seen["/deny"][1] is None
