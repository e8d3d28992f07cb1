# SPDX-License-Identifier: Apache-2.0
"""What comes in is carried, what goes out says so, and what is not sampled leaves no span."""

import contextlib
import http.client
import re

import pytest
from lib.haproxy import HAProxy
from lib.procs import SpoeHost
from lib.traces import traceparent, wait_pair

from conftest import host_env

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
KEPT = "haproxy.sampling.kept"


def uncomment(config, words):
    """Switch on what haproxy/'s files have as comments."""
    config.edit_spoe(rf"^    #(args .*\b{words}.*)$", r"    \1")
    return config


@contextlib.contextmanager
def running(binary, config, collector, origin, **env):
    """HAProxy and an agent with this environment, which does not wait for its batches to fill."""
    with SpoeHost(env=host_env(collector, BATCH_DELAY="50ms", **env)) as host:
        with HAProxy(binary, config, [host.port], origin.address) as haproxy:
            yield haproxy
        if host.alive():
            assert host.terminate() == 0, host.report()


@pytest.fixture
def proxy(binary, config, collector, origin):
    with running(binary, config, collector, origin) as haproxy:
        yield haproxy


def request(proxy, origin, path, headers=None, lines=()):
    """One request whose headers may come more than once: the answer, and what the origin saw."""
    conn = http.client.HTTPConnection("127.0.0.1", proxy.web, timeout=60)
    conn.putrequest("GET", path)
    for name, value in [*(headers or {}).items(), *lines, ("Connection", "close")]:
        conn.putheader(name, value)
    conn.endheaders()
    answer = conn.getresponse()
    answer.read()
    conn.close()
    return answer, origin.wait_request(path)


def flush(proxy, collector, origin):
    """One request that is sampled for certain and comes last: what did not come before it does
    not come."""
    request(proxy, origin, "/last", {"traceparent": PARENT})
    return wait_pair(collector, "/last")


def spans_of(collector, path):
    return [span for span in collector.spans if span.attributes.get("url.path") == path]


# ---- W3C ---------------------------------------------------------------------------------------


def test_variables_and_headers(proxy, collector, origin):
    answer, seen = request(proxy, origin, "/ids", {"traceparent": PARENT})
    server, client = wait_pair(collector, "/ids")
    assert server.trace_id == TRACE
    assert answer.headers["X-Trace-Id"] == TRACE
    assert seen.all("traceparent") == [traceparent(client)]
    assert seen.all("tracestate") == []
    proxy.wait_line(rf" trace={TRACE} span={client.span_id} sampled=1 ")


def test_tracestate_is_carried(proxy, collector, origin):
    lines = [("tracestate", "foo=1 , bar=2"), ("tracestate", "rojo=1"), ("tracestate", "baz=3")]
    _, seen = request(proxy, origin, "/state", {"traceparent": PARENT}, lines)
    for span in wait_pair(collector, "/state"):
        assert span.trace_state == "foo=1,bar=2,rojo=1,baz=3"
    assert seen.all("tracestate") == ["foo=1,bar=2,rojo=1,baz=3"]


@pytest.mark.parametrize(
    "lines",
    [
        [("tracestate", "foo=1")],
        [("traceparent", "nonsense"), ("tracestate", "foo=1")],
        [("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "foo=1")],
    ],
)
def test_tracestate_without_a_trace_goes_no_further(proxy, collector, origin, lines):
    _, seen = request(proxy, origin, "/state", lines=lines)
    server, client = wait_pair(collector, "/state")
    assert (server.parent_id, server.trace_state, client.trace_state) == ("", "", "")
    assert server.trace_id != TRACE
    assert seen.all("tracestate") == []
    assert seen.all("traceparent") == [traceparent(client)]


def test_an_invalid_tracestate_costs_nothing_else(proxy, collector, origin):
    headers = {"traceparent": PARENT, "tracestate": "foo=1,foo=2"}
    _, seen = request(proxy, origin, "/state", headers)
    server, _ = wait_pair(collector, "/state")
    assert (server.trace_id, server.trace_state) == (TRACE, "")
    assert seen.all("tracestate") == []


def test_inbound_ignored(binary, config, collector, origin):
    with running(binary, config, collector, origin, TRUST_INBOUND="ignore") as proxy:
        headers = {"traceparent": PARENT, "tracestate": "foo=1"}
        _, seen = request(proxy, origin, "/in", headers)
        server, client = wait_pair(collector, "/in")
        assert (server.parent_id, server.trace_state) == ("", "") and server.trace_id != TRACE
        assert seen.all("traceparent") == [traceparent(client)]
        assert seen.all("tracestate") == []


# ---- B3 ----------------------------------------------------------------------------------------

B3_ENV = {"OTEL_PROPAGATORS": "tracecontext,b3"}


@pytest.fixture
def b3_config(config):
    config.edit_main(r"^    #(http-request .*var\(txn\.otel\.b3\).*)$", r"    \1")
    config.edit_main(  # the CLIENT span's, as the comment there says
        r"^(    server app1 )",
        "    http-request set-header b3 %[var(txn.otel.b3)]\n"
        "    http-request set-header X-B3-SpanId %[var(txn.otel.span_id)]\n\\1",
    )
    return uncomment(config, r"(x-)?b3")


def test_b3(binary, b3_config, collector, origin):
    cases = {
        "/single": ({"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"}, TRACE, "1"),
        "/debug": ({"b3": f"{TRACE}-{SPAN}-d"}, TRACE, "d"),
        "/multi": (
            {
                "X-B3-TraceId": TRACE[16:],
                "X-B3-SpanId": SPAN,
                "X-B3-ParentSpanId": "05e3ac9a4f6e3b90",
                "X-B3-Sampled": "1",
            },
            "0" * 16 + TRACE[16:],
            "1",
        ),
        "/multi/debug": (
            {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Flags": "1"},
            TRACE,
            "d",
        ),
    }
    with running(binary, b3_config, collector, origin, **B3_ENV) as proxy:
        for path, (headers, trace_id, state) in cases.items():
            _, seen = request(proxy, origin, path, headers)
            server, client = wait_pair(collector, path)
            assert (server.trace_id, server.parent_id) == (trace_id, SPAN)
            assert seen.all("b3") == [f"{trace_id}-{client.span_id}-{state}"]
            assert seen.all("x-b3-traceid") == [trace_id]
            assert seen.all("x-b3-spanid") == [client.span_id]
            assert seen.all("x-b3-sampled") == ["1"]
            assert seen.all("x-b3-parentspanid") == []
            assert seen.all("x-b3-flags") == (["1"] if state == "d" else [])
            assert seen.all("traceparent") == [traceparent(client)]


def test_the_first_valid_format_wins(binary, b3_config, collector, origin):
    other = "11" * 16
    with running(binary, b3_config, collector, origin, **B3_ENV) as proxy:
        headers = {"traceparent": PARENT, "b3": f"{other}-{SPAN}-1"}
        request(proxy, origin, "/both", headers)
        assert wait_pair(collector, "/both")[0].trace_id == TRACE
        request(proxy, origin, "/second", {**headers, "traceparent": "nonsense"})
        assert wait_pair(collector, "/second")[0].trace_id == other


def test_b3_alone_sends_no_traceparent(binary, b3_config, collector, origin):
    with running(binary, b3_config, collector, origin, OTEL_PROPAGATORS="b3multi") as proxy:
        _, seen = request(proxy, origin, "/b3", {"traceparent": PARENT})
        _, client = wait_pair(collector, "/b3")
        assert client.trace_id != TRACE
        assert seen.all("traceparent") == [PARENT], "not ours to change"
        assert seen.all("x-b3-spanid") == [client.span_id]


# ---- sampling ----------------------------------------------------------------------------------


def test_unsampled_is_propagated(binary, config, collector, origin):
    env = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with running(binary, config, collector, origin, **env) as proxy:
        headers = {"traceparent": PARENT[:-2] + "00", "tracestate": "foo=1"}
        answer, seen = request(proxy, origin, "/child", headers)
        (sent,) = seen.all("traceparent")
        assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", sent) and SPAN not in sent
        assert seen.all("tracestate") == ["foo=1"]
        assert answer.headers["X-Trace-Id"] == TRACE

        _, seen = request(proxy, origin, "/root")
        (sent,) = seen.all("traceparent")
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", sent)
        request(proxy, origin, "/status/500")
        flush(proxy, collector, origin)
        assert {span.attributes["url.path"] for span in collector.spans} == {"/last"}
        proxy.wait_line(r" sampled=0 ")


def test_the_child_of_an_unsampled_request_is_new(binary, config, collector, origin):
    """The origin sees the backend message's answer, not the frontend's again."""
    config.edit_main(
        r"^    http-request set-header traceparent ",
        "    http-request set-var(txn.first) var(txn.otel.traceparent)\n"
        "    http-after-response set-header X-First %[var(txn.first)]\n"
        "    http-request set-header traceparent ",
        count=1,
    )
    with running(binary, config, collector, origin, OTEL_TRACES_SAMPLER="always_off") as proxy:
        answer, seen = request(proxy, origin, "/hop")
        (sent,) = seen.all("traceparent")
        _, trace_id, span_id, flags = sent.split("-")
        assert (answer.headers["X-Trace-Id"], flags) == (trace_id, "00")
        assert answer.headers["X-First"].split("-")[2] != span_id


def test_errors_are_kept(binary, config, collector, origin):
    env = {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "KEEP_ERRORS": "on"}
    with running(binary, config, collector, origin, **env) as proxy:
        request(proxy, origin, "/fine")
        request(proxy, origin, "/status/404")
        _, seen = request(proxy, origin, "/status/500")
        server, client = wait_pair(collector, "/status/500")
        for span in (server, client):
            assert span.attributes[KEPT] == "error"
            assert span.flags & 1 == 0
        assert client.parent_id == server.span_id
        assert seen.all("traceparent") == [traceparent(client, 0)]
        server, client = flush(proxy, collector, origin)
        assert KEPT not in server.attributes
        paths = {span.attributes["url.path"] for span in collector.spans}
        assert paths == {"/status/500", "/last"}


def test_haproxy_decides(binary, config, collector, origin):
    config.edit_main(
        r"^(frontend web\n)",
        "\\1    tcp-request inspect-delay 5s\n"
        "    tcp-request content set-var(txn.otel_sample) int(1) if { path_beg /yes }\n"
        "    tcp-request content set-var(txn.otel_sample) bool(false) if { path_beg /no }\n",
    )
    uncomment(config, "sample=")
    env = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with running(binary, config, collector, origin, **env) as proxy:
        for path in ("/yes", "/no", "/other"):
            _, seen = request(proxy, origin, path)
            assert seen.all("traceparent")[0][-2:] == ("03" if path == "/yes" else "00")
        _, seen = request(proxy, origin, "/no/2", {"traceparent": PARENT})
        assert seen.all("traceparent")[0][-2:] == "00"
        server, client = wait_pair(collector, "/yes")
        assert server.flags & 3 == 3
        flush(proxy, collector, origin)
        assert {span.attributes["url.path"] for span in collector.spans} == {"/yes", "/last"}


def test_rate_cap(binary, config, collector, origin):
    with running(binary, config, collector, origin, SAMPLE_MAX_PER_SECOND="1") as proxy:
        flags = [
            request(proxy, origin, f"/r{i}")[1].all("traceparent")[0][-2:] for i in range(20)
        ]
        assert flags[0] == "03" and "00" in flags, "20 requests took less than 20 seconds"
        kept = {f"/r{i}" for i in range(20) if flags[i] == "03"}
        for path in kept:
            wait_pair(collector, path)
        assert {span.attributes["url.path"] for span in collector.spans} == kept
