# SPDX-License-Identifier: Apache-2.0
"""Messages of SPOE and a line of the log for the same requests (issue 11, 2.3): the agent decides, the line
ends the spans, each is exported once. haproxy/otel-both.cfg, but where a test says so. All orders of
messages and line: tests/unit/otel/test_both.c."""

import signal
import socket

import pytest
from lib import versions
from lib.lines import where
from lib.log_proxy import CONTEXT, OtelBothProxy
from lib.procs import SpoeHost, wait_until

from conftest import host_env
from test_log_spans import spans

UNSAMPLED = "00-11111111111111111111111111111111-b7ad6b7169203331-00"

# One HAProxy for all kinds: by path to backends of which each has one way to fail.
KINDS = ("    default_backend web-app", """    http-request deny if { path /deny }
    http-request redirect location /elsewhere if { path /redirect }
    use_backend none if { path /none }
    use_backend refused if { path_beg /refused }
    use_backend late if { path /hold/late }
    default_backend web-app

backend none from traced-backend
    server none 127.0.0.1:1 disabled

backend refused from traced-backend
    retries 1
    server refused "${REFUSED_ADDR}"

backend late from traced-backend
    timeout server 500ms
    server app1 "${APP_ADDR}"
""")
ABORT = [(line, line + "\n    option abortonclose")
         for line in ("    option dontlognull", "    timeout queue 30s")]


def begin(collector, listen="udp:127.0.0.1:0", **env):
    return SpoeHost(["--log-listen", listen], env=host_env(collector, BATCH_DELAY="20ms", **env))


@pytest.fixture
def agent(collector):
    with begin(collector, KEEP_ERRORS="on", SAMPLER="parentbased_always_on",
               EXCLUDE_PATHS="/excluded") as host:
        yield host
        if host.alive():
            assert host.terminate() == 0, host.report()


def totals(host):
    """The counters, after its end."""
    text = next(line for line in host.lines if "totals: " in line)
    return {key: int(value) for key, value in
            (pair.split("=") for pair in text.split("totals: ")[1].rstrip('"').split())}


def leave(proxy, path, origin):
    """A client that goes away while the server works."""
    with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        origin.wait_request(path)


def test_every_kind_of_request(binary, tmp, origin, agent, collector, refusing):
    env = {"REFUSED_ADDR": f"127.0.0.1:{refusing.port}"}
    with OtelBothProxy(binary, tmp, origin.address, agent, [KINDS, *ABORT], env=env) as proxy:
        assert proxy.get("/ok?a=1", traceparent=CONTEXT).status == 200
        sent = origin.requests[-1].header("traceparent")
        assert [proxy.get(path).status for path in ("/deny", "/redirect", "/none", "/refused")] == [
            403, 302, 503, 503]
        origin.hold()
        assert proxy.get("/hold/late").status == 504
        leave(proxy, "/hold/left", origin)
        for path in ("/healthz", "/excluded"):
            assert proxy.get(path).status == 200
        # not sampled, by the caller's decision; an error is kept
        assert proxy.get("/unsampled", traceparent=UNSAMPLED).status == 200
        assert proxy.get("/refused/kept", traceparent=UNSAMPLED).status == 503
        seen = spans(collector, agent, 8)
        origin.release()
        assert agent.terminate() == 0, agent.report()
    spans(collector, agent, 8)  # and no more

    server, client = seen["/ok"]
    assert sent == f"00-{client.trace_id}-{client.span_id}-01"
    assert client.parent_id == server.span_id
    assert server.trace_id == CONTEXT[3:35] and server.parent_id == CONTEXT[36:52]
    assert server.attributes["site"] == "web" and server.attributes["url.scheme"] == "http"
    assert client.attributes["url.query"] == "a=REDACTED"
    assert client.attributes["haproxy.time.response"] >= 0
    expected = {  # SERVER's status, its error, state; CLIENT's error, or that there is none
        "/ok": (200, None, "--", None), "/deny": (403, None, "PR", False),
        "/redirect": (302, None, "LR", False), "/none": (503, "503", "SC", False),
        "/refused": (503, "503", "SC", "connect_failed"),
        "/hold/late": (504, "504", "sH", "response_timeout"),
        "/refused/kept": (503, "503", "SC", "connect_failed"),
    }
    for path, (status, error, state, client_error) in expected.items():
        server, client = seen[path]
        assert server.attributes["http.response.status_code"] == status, path
        assert server.attributes.get("error.type") == error, path
        assert server.status == ("ERROR" if error else "UNSET"), path
        assert server.attributes["haproxy.termination_state"] == state, path
        assert "haproxy.incomplete" not in server.attributes and not server.events
        if client_error is False:
            assert client is None, path
        else:
            assert client.attributes.get("error.type") == client_error, path
            assert server.start <= client.start <= client.end <= server.end
    server, client = seen["/hold/left"]
    assert server.attributes["haproxy.termination_state"][0] in "Cc"
    assert (server.status, client.status) == ("UNSET", "UNSET")
    assert seen["/refused"][1].attributes["http.request.resend_count"] == 1
    for span in seen["/refused/kept"]:
        assert span.attributes["haproxy.sampling.kept"] == "error"
    server, client = seen["/hold/late"]
    assert client.end - client.start >= 400_000_000  # as long as it really was
    got = totals(agent)
    assert (got["ended"], got["evicted"], got["ended_at_stop"], got["left_to_line"]) == (7, 0, 0, 0)
    assert (got["excluded"], got["excluded_later"]) == (1, 2)  # the backend's message, the line
    assert got["superseded"] == 1 and got["lines"] == 10 and got["responses"] == 0


def test_a_response_message_adds_what_it_knows(binary, tmp, origin, agent, collector):
    spoe = [("    messages on-http-request on-backend-http-request",
             "    messages on-http-request on-backend-http-request on-http-response"),
            ("spoe-message on-backend-http-request", """spoe-message on-http-response
    args unique-id=unique-id status=status http.response.header.x-a=res.fhdr(x-origin-traceparent)
    event on-http-response

spoe-message on-backend-http-request""")]
    with OtelBothProxy(binary, tmp, origin.address, agent, spoe_edits=spoe) as proxy:
        proxy.get("/slow")
        server, _ = spans(collector, agent, 1)["/slow"]
        assert agent.terminate() == 0, agent.report()
    sent = origin.requests[-1].header("traceparent")
    assert server.attributes["http.response.header.x-a"] == [sent]
    assert server.end - server.start >= 200_000_000  # with its body
    got = totals(agent)
    assert (got["ended"], got["responses"], got["unknown_id"]) == (1, 1, 0)


def ask_and_wait(proxy, path, origin, **headers):
    """A request that the server holds. @return its client"""
    client = socket.create_connection(("127.0.0.1", proxy.port), 30)
    lines = [f"GET {path} HTTP/1.1", "Host: a", *(f"{k}: {v}" for k, v in headers.items())]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    origin.wait_request(path)
    return client


def test_the_agent_is_restarted_in_between(binary, version, tmp, origin, collector):
    """Nothing is lost and nothing exported twice: the first process leaves what is open to the lines,
    the second makes it, with the ids that the server was sent."""
    first = begin(collector, SAMPLER="parentbased_always_on", EXCLUDE_PATHS="/hold/excluded",
                  SPOE_DRAIN_TIME="0")
    with first, OtelBothProxy(binary, tmp, origin.address, first) as proxy:
        origin.hold()
        held = {"/hold/new": {}, "/hold/child": {"traceparent": CONTEXT},
                "/hold/unsampled": {"traceparent": UNSAMPLED}, "/hold/excluded": {}}
        clients = [ask_and_wait(proxy, path, origin, **headers) for path, headers in held.items()]
        assert first.terminate() == 0, first.report()
        with begin(collector, f"udp:{where(first, 'udp')}", SPOE_ADDR=f"127.0.0.1:{first.port}",
                   SAMPLER="parentbased_always_on") as second:
            origin.release()
            for client in clients:
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
                client.close()
            seen = spans(collector, second, 2)
            # the lines of the other two
            wait_until(lambda: proxy.get("/last").origin_traceparent != "none" or not versions.connects_late(version),
                       "a request")
            seen = spans(collector, second, 3)
            assert second.terminate() == 0, second.report()
    assert set(seen) == {"/hold/new", "/hold/child", "/last"}
    sent = {request.path: request.header("traceparent") for request in origin.requests}
    for path in ("/hold/new", "/hold/child"):
        server, client = seen[path]
        assert sent[path] == f"00-{client.trace_id}-{client.span_id}-{sent[path][-2:]}"
        assert client.parent_id == server.span_id and server.attributes["url.path"] == path
        assert server.attributes["http.response.status_code"] == 200
        assert "haproxy.incomplete" not in server.attributes
    assert seen["/hold/child"][0].parent_id == CONTEXT[36:52]
    assert seen["/hold/child"][0].trace_id == CONTEXT[3:35]
    got = totals(first)
    assert (got["left_to_line"], got["superseded"], got["ended_at_stop"]) == (2, 4, 0)
    got = totals(second)
    assert (got["logged"], got["unsampled"], got["ended"]) == (4, 1, 1)


def test_a_restart_with_b3_alone(binary, tmp, origin, collector):
    """There is no variable traceparent then: tp is put together of three others (docs/otel-log.md)."""
    edits = [("tp=%[var(txn.otel.traceparent)]", "tp=00-%[var(txn.otel.trace_id)]-"
              "%[var(txn.otel.span_id)]-0%[var(txn.otel.sampled)]"),
             ("    http-request set-header traceparent %[var(txn.otel.traceparent)]"
              " if { var(txn.otel.traceparent) -m found }",
              "    http-request set-header b3 %[var(txn.otel.b3)] if { var(txn.otel.b3) -m found }")]
    spoe = [("    args log_line", "    args b3=req.fhdr(b3),bytes(0,128)\n    args log_line")]
    env = {"PROPAGATORS": "b3", "SPOE_DRAIN_TIME": "0"}
    first = begin(collector, **env)
    with first, OtelBothProxy(binary, tmp, origin.address, first, edits, spoe) as proxy:
        origin.hold()
        client = ask_and_wait(proxy, "/hold/b3", origin, b3=f"{CONTEXT[3:35]}-{CONTEXT[36:52]}-1")
        assert first.terminate() == 0, first.report()
        with begin(collector, f"udp:{where(first, 'udp')}", SPOE_ADDR=f"127.0.0.1:{first.port}",
                   **env) as second:
            origin.release()
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            client.close()
            server, span = spans(collector, second, 1)["/hold/b3"]
            assert second.terminate() == 0, second.report()
    assert (server.trace_id, server.parent_id) == (CONTEXT[3:35], CONTEXT[36:52])
    assert origin.requests[-1].header("b3").startswith(f"{span.trace_id}-{span.span_id}-1")
    assert span.parent_id == server.span_id


def test_the_end_waits_for_lines(binary, tmp, origin, collector):
    """The host reads lines while it waits for open requests: `drain-time`."""
    env = {"SPOE_DRAIN_TIME": "30s", "SPOE_SHUTDOWN_TIMEOUT": "90s"}
    with begin(collector, **env) as agent:
        with OtelBothProxy(binary, tmp, origin.address, agent) as proxy:
            origin.hold()
            client = ask_and_wait(proxy, "/hold/last", origin)
            agent.signal(signal.SIGTERM)
            origin.release()
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            client.close()
            assert agent.wait() == 0, agent.report()
    server, client = spans(collector, agent, 1)["/hold/last"]
    assert server.attributes["http.response.status_code"] == 200 and client is not None
    got = totals(agent)
    assert (got["ended"], got["left_to_line"], got["ended_at_stop"]) == (1, 0, 0)


def test_two_agents_that_are_asked_in_turn(binary, tmp, origin, agent, collector):
    """Each message to either, all lines to the first: `any`."""
    edits = [("    option spop-check", "    balance roundrobin\n    option spop-check"),
             ('    server agent1 "${AGENT1_ADDR-127.0.0.1:12345}"',
              '    server agent1 "${AGENT1_ADDR}"\n    server agent2 "${AGENT2_ADDR}"')]
    anyone = [("log_line=bool(true)", "log_line=str(any)")]
    paths = [f"/{i}" for i in range(12)]
    with begin(collector) as other:
        with OtelBothProxy(binary, tmp, origin.address, agent, edits, anyone,
                           {"AGENT2_ADDR": f"127.0.0.1:{other.port}"}) as proxy:
            for path in paths:
                assert proxy.get(path).status == 200
            seen = spans(collector, agent, len(paths))
        assert other.terminate() == agent.terminate() == 0
    assert set(seen) == set(paths)
    for server, client in seen.values():
        assert client.parent_id == server.span_id
    assert totals(agent)["logged"] == 2 * len(paths)
    assert totals(other)["opened"] == totals(agent)["opened"] == totals(other)["logged"] == 0
