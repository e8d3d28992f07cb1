# SPDX-License-Identifier: Apache-2.0
"""Spans from HAProxy's log lines alone, no SPOE (issue 11, 2.2, 2.5): what each kind of request
becomes. The configuration is haproxy/otel-log.cfg, but where a test says so."""

import os
import re
import socket
import time

import pytest
from lib import admin
from lib.haproxy import SOURCE, Client
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


def test_health_checks_are_left_out(binary, tmp, collector, agent, origin):
    """As with SPOE: no line, no span, and the caller's own context goes on as it came. 2.3"""
    edit = ("    default_backend web-app", """    http-request return status 204 if { path /end }
    default_backend web-app""")
    with Proxy(binary, tmp, origin.address, agent, [edit]) as proxy:
        assert proxy.get("/healthz?full=1").status == 200
        assert origin.requests[-1].header("traceparent") is None
        assert proxy.get("/healthz", traceparent=CONTEXT, tracestate="a=1").status == 200
        assert origin.requests[-1].header("traceparent") == CONTEXT
        assert origin.requests[-1].header("tracestate") == "a=1"
        assert proxy.get("/end").status == 204  # its line is the only one
        assert list(spans(collector, agent, 1)) == ["/end"]
    assert admin.metrics(agent)["spoe_host_log_lines_total"].value() == 1


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


NEW_ONES_ARE_NOT = ("    http-request set-var(txn.f) int(3)", "    http-request set-var(txn.f) int(2)")
ERRORS_COME = ("    #option log-sep", "    option log-sep")


def test_sampling_is_haproxys(binary, tmp, collector, agent, origin, refusing):
    """What HAProxy's rules did not sample is no span, but for keep-errors, where its line comes."""
    none = [NEW_ONES_ARE_NOT, ERRORS_COME]
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


def test_errors_and_slow_ones_are_kept(binary, tmp, collector, origin):
    """2.4: 503 and 504 that HAProxy makes itself, and what took longer, whoever answered."""
    env = host_env(collector, KEEP_ERRORS="on", KEEP_SLOWER_THAN="300ms", BATCH_DELAY="20ms")
    kinds = ("    default_backend web-app", """    timeout tarpit 400ms
    http-request tarpit if { path /tarpit }
    use_backend nobody if { path /nobody }
    default_backend web-app
backend nobody from traced-backend
""")
    edits = [NEW_ONES_ARE_NOT, kinds,
             ("    timeout server 30s\n    timeout queue", "    timeout server 200ms\n    timeout queue")]
    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env=env) as agent:
        with Proxy(binary, tmp, origin.address, agent, edits) as proxy:
            origin.hold()
            assert proxy.get("/hold").status == 504
            origin.release()
            assert proxy.get("/nobody").status == 503
            assert proxy.get("/tarpit").status == 500
            for i in range(3):
                proxy.get(f"/{i}")
            seen = spans(collector, agent, 3)
        assert agent.terminate() == 0
        assert set(seen) == {"/hold", "/nobody", "/tarpit"}
        for pair in seen.values():
            for span in filter(None, pair):
                assert span.attributes["haproxy.sampling.kept"] == "error"
                assert span.flags & 1 == 0


def test_slow_ones_are_kept(binary, tmp, collector, origin):
    env = host_env(collector, KEEP_SLOWER_THAN="300ms", BATCH_DELAY="20ms")
    slow = ("    default_backend web-app",
            "    timeout tarpit 400ms\n    http-request tarpit deny_status 429 if { path /tarpit }\n"
            "    default_backend web-app")
    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env=env) as agent:
        with Proxy(binary, tmp, origin.address, agent,
                   [NEW_ONES_ARE_NOT, slow]) as proxy:
            assert proxy.get("/tarpit").status == 429
            server, client = spans(collector, agent, 1)["/tarpit"]
    assert client is None and server.end - server.start > 300_000_000
    assert server.attributes["haproxy.sampling.kept"] == "slow"


NINE_TENTHS = 64851834634135142  # of 2^56
LONG_TRACESTATE = ",".join(f"k{i}={'v' * 60}" for i in range(10))  # above 512 bytes


def randomness(traceparent):
    return int(traceparent[21:35], 16)


def test_a_share_of_traces(binary, tmp, collector, agent, origin):
    """2.2: the commented lines, a threshold on the trace's id, as W3C level 2 has it, and `th`. What
    went to the server and what is exported agree."""
    share = [(f"    #http-request {rule}", f"    http-request {rule}") for rule in (
        "set-var(txn.f) int(2)", "set-var(txn.tracestate) str", "set-header tracestate")]
    with Proxy(binary, tmp, origin.address, agent, share) as proxy:
        with Client(proxy.port) as client:
            for i in range(150):
                client.request("GET", f"/{i}", {"tracestate": "ot=th:0"})  # nobody's: it goes
            client.request("GET", "/caller", {"traceparent": CONTEXT, "tracestate": "a=1,ot=th:0"})
            client.request("GET", "/long", {"traceparent": f"00-{'a' * 32}-b7ad6b7169203331-01",
                                            "tracestate": LONG_TRACESTATE})
        sent = {one.path: one for one in origin.requests}
        caller = sent.pop("/caller")
        assert sent.pop("/long").header("tracestate") == LONG_TRACESTATE  # whole, not cut
        sampled = {path: one for path, one in sent.items()
                   if randomness(one.header("traceparent")) >= NINE_TENTHS}
        assert len(sent) == 150 and 0 < len(sampled) < 75
        for path, one in sent.items():
            assert one.header("traceparent")[-2:] == ("03" if path in sampled else "02")
            assert one.header("tracestate") == ("ot=th:e6666666666666" if path in sampled else None)
        # Who was called with a decision follows it, and its probability stays.
        assert caller.header("traceparent")[-2:] == "01"
        assert caller.header("tracestate") == "a=1,ot=th:0"
        seen = spans(collector, agent, len(sampled) + 2)
    assert set(seen) == {*sampled, "/caller", "/long"}
    assert {span.trace_state for span in seen["/long"]} == {""}
    for path in sampled:
        assert {span.trace_state for span in seen[path]} == {"ot=th:e6666666666666"}
        assert seen[path][0].flags & 0xff == 3


def test_rules_decide(binary, tmp, collector, agent, origin):
    """2.2: by any condition, whatever the caller said; by a variable that a site sets."""
    rules = [(f"    #http-request set-var(txn.f) var(txn.f),{rule} if {{ {what}",
              f"    http-request set-var(txn.f) var(txn.f),{rule} if {{ {what}")
             for rule, what in (("or(1)", "path"), ("and(2)", "path"), ("or(1)", "var"))]
    site = ("frontend web from traced\n", "frontend web from traced\n    tcp-request inspect-delay 10s\n"
            "    tcp-request content set-var(txn.otel_sample) bool(true) if { path_beg /cart }\n"
            "    tcp-request content set-var(txn.otel_sample) bool(false) if { path_beg /static }\n")
    with Proxy(binary, tmp, origin.address, agent, [NEW_ONES_ARE_NOT, site, *rules]) as proxy:
        proxy.get("/else")
        proxy.get("/cart")
        proxy.get("/checkout")
        proxy.get("/checkout/2", traceparent=CONTEXT[:-2] + "00")
        proxy.get("/static", traceparent=CONTEXT)
        flags = {one.path: one.header("traceparent")[-2:] for one in origin.requests}
        assert set(spans(collector, agent, 3)) == {"/cart", "/checkout", "/checkout/2"}
    assert flags == {
        "/else": "02", "/cart": "03", "/checkout": "03", "/checkout/2": "01", "/static": "00"}


def test_sampling_whoever_calls(binary, tmp, collector, agent, origin):
    """2.2: the rules of docs/otel-log.md: `rv` honoured, our `th` in the caller's tracestate."""
    with open(os.path.join(SOURCE, "docs/otel-log.md"), encoding="utf-8") as page:
        rules = re.search(r"```haproxy\n(    # every trace, .*?)```", page.read(), re.S).group(1)
    cases = [  # the caller's tracestate, whether we sample, what goes on
        ("a=1,ot=rv:ffffffffffffff;th:0,b=2", True, "ot=th:e6666666666666;rv:ffffffffffffff,a=1,b=2"),
        ("ot=th:0;rv:e6666666666666", True, "ot=th:e6666666666666;rv:e6666666666666"),
        ("ot=p:1;th:8;rv:e6666666666665", False, "ot=p:1;rv:e6666666666665"),
        ("ot=th:8", False, None),  # by the id, which is below
        ("a=1, ot=th:8 ,b=2", False, "a=1,b=2"),
        ("xot=rv:ffffffffffffff,a=rv:f", False, "xot=rv:ffffffffffffff,a=rv:f"),
        ("ot=xrv:ffffffffffffff", False, "ot=xrv:ffffffffffffff"),
        ("ot=p:1;rv:ffffffffffffff", True, "ot=th:e6666666666666;p:1;rv:ffffffffffffff"),
        (LONG_TRACESTATE, False, None),  # never a part of it
    ]
    edits = [("    http-request set-var(txn.f) int(3)\n", rules),
             ("    http-request set-var(txn.f) var(txn.in),field(4,-),hex2i,and(3)"
              " if { var(txn.in) -m found }\n", "")]
    with Proxy(binary, tmp, origin.address, agent, edits) as proxy:
        for i, (tracestate, _, _) in enumerate(cases):
            trace = f"00-{i + 1:08x}{CONTEXT[11:]}"  # whose last 56 bits are below
            proxy.get(f"/{i}", traceparent=trace, tracestate=tracestate)
        proxy.get("/high", traceparent=f"00-{'f' * 32}-b7ad6b7169203331-02")
        proxy.get("/new")
        sent = {one.path: one for one in origin.requests}
        new = randomness(sent["/new"].header("traceparent")) >= NINE_TENTHS
        sampled = {"/high", *(["/new"] if new else []),
                   *(f"/{i}" for i, case in enumerate(cases) if case[1])}
        seen = spans(collector, agent, len(sampled))
    assert set(seen) == sampled
    for i, (tracestate, kept, goes_on) in enumerate(cases):
        got = sent[f"/{i}"]
        assert got.header("traceparent")[-2:] == ("01" if kept else "00"), tracestate
        assert got.header("tracestate") == goes_on
        if kept:
            assert {span.trace_state for span in seen[f"/{i}"]} == {goes_on}
    assert sent["/high"].header("traceparent")[-2:] == "03"
    assert sent["/high"].header("tracestate") == "ot=th:e6666666666666"


def test_attributes_by_prefix(binary, version, tmp, collector, agent, origin):
    """2.2 and 2.6: keys beside the shipped ones, also what a client chose; the start in us."""
    since = "start=%[request_date(us)] " if version >= (2, 9) else ""
    keys = (" in=", f' {since}attr.tenant=%{{+Q,+E}}[var(txn.tenant)] attr.route=/users/{{id}} '
            'attr.http.request.header.x-plan=%{+Q,+E}[req.fhdr(x-plan)] in=')
    tenant = ("    http-request set-var(txn.t0)",
              "    http-request set-var(txn.tenant) req.fhdr(x-tenant)\n"
              "    http-request set-var(txn.plan) req.fhdr(x-plan)\n    http-request set-var(txn.t0)")
    keys = (keys[0], keys[1].replace("req.fhdr(x-plan)", "var(txn.plan)"))
    with Proxy(binary, tmp, origin.address, agent, [keys, tenant]) as proxy:
        before = time.time_ns()
        proxy.get("/users/7", **{"X-Tenant": EVIL, "X-Plan": "gold"})
        server, client = spans(collector, agent, 1)["/users/7"]
    assert server.name == "GET /users/{id}" and server.attributes["http.route"] == "/users/{id}"
    assert server.attributes["tenant"] == EVIL
    assert server.attributes["http.request.header.x-plan"] == ["gold"]
    assert "tenant" not in client.attributes
    if since:  # of a connection's first request it is exact, else it is made of milliseconds
        assert before - before % 1000 <= server.start <= client.start


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


def test_log_records(binary, tmp, collector, origin):
    """3.3: one's own log line is the body of the request's log record, its ids those of SERVER; the
    request that is denied is a warning."""
    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"],
                  env=host_env(collector, OTEL_LOGS_EXPORTER="otlp", LOGS_BATCH_DELAY="20ms",
                               BATCH_DELAY="20ms")) as agent:
        own = "mine %ci %{+Q}r %ST"
        log = (f"    log {where(agent, 'udp')} len 8192 format rfc5424 local0\n"
               f"    log-format-sd '[spoe {FMT}]'\n    log-format '{own}'")
        with FactsProxy(binary, tmp, origin.address, log) as proxy:
            proxy.get("/a?b=c", traceparent=CONTEXT)
            proxy.get("/deny")
            seen = spans(collector, agent, 2)
            logs = {log.span_id: log for log in collector.logs.wait_spans(2)}
        for path, status, severity in (("/a", 200, "INFO"), ("/deny", 403, "WARN")):
            server, _ = seen[path]
            record = logs[server.span_id]
            target = "/a?b=c" if path == "/a" else path
            assert record.body == f'mine 127.0.0.1 "GET {target} HTTP/1.1" {status}'
            assert (record.trace_id, record.severity_text) == (server.trace_id, severity)
            assert record.attributes["http.response.status_code"] == status
            assert record.time == server.end
        collector.logs.check()
        assert agent.terminate() == 0, agent.report()
