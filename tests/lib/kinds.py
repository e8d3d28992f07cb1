# SPDX-License-Identifier: Apache-2.0
"""Each kind of request that HAProxy's log tells apart, how a client makes it, and the spans that it
has to become (issue 11, 2.5). One HAProxy serves all of them at once, so that they cost as long as the
longest.

    text = scene_text(source_text("otel-log.cfg"), KINDS, tmp)   # the way's own configuration
    with Scene(binary, tmp, text, env) as scene:                 # kind_scene.py
        asked = ask_all(scene, KINDS)                            # what the clients saw, by name
        spans = wait_all(KINDS, asked, collector)
        check(kind, scene, asked[kind.name], spans[kind.name], version)

A row holds for every way in which spans are made; what a version of HAProxy tells otherwise stands in
the row as a function of the version.
"""

import re
from dataclasses import dataclass

from . import procs, versions
from .kind_clients import (
    HOST,
    again,
    broken_chunks,
    curl,
    get,
    head,
    held,
    keep_alive,
    leave_before_body,
    leave_body,
    leave_connect,
    leave_queue,
    leave_upload,
    leave_waiting,
    no_upload,
    nowhere,
    options_all,
    queue_full,
    queued,
    queued_too_long,
    raw,
    read_no_more,
    read_to_end,
    reset_body,
    reset_waiting,
    servers_chunks,
    slow_upload,
    upload,
    wait_for_none,
    websocket,
    whole_url,
)
from .traces import traceparent


@dataclass(frozen=True)
class Span:
    """A span by its status code (None: it has none) and error.type (None: no error); a tuple is a
    choice."""

    code: int = 200
    error: str = None
    lasts: float = 0  # at least, in seconds


@dataclass
class Kind:
    """
    name     of the request, which is the path's first part, and of its backend where `backend` is given
    does     the last part of its path, by which the origin behaves (unruly.py)
    ask      the client: a function of the scene and the path, @return Asked
    rule     lines in the frontend, where {me} is a condition that means this request
    backend  lines of a backend of its own, where {origin}, {refusing}, {full} are addresses
    server   the SERVER span
    client   the CLIENT span; None: no server was tried
    state    termination states of which it has one
    no_request  what came never became one
    more     other attributes: (of SERVER, of CLIENT)
    """

    name: str
    does: str = "ok"
    ask: callable = get
    rule: str = ""
    backend: str = ""
    server: Span = Span()
    client: Span = None
    state: tuple = ("--",)
    more: tuple = ({}, {})
    no_request: bool = False

    @property
    def path(self):
        return f"/{self.name}/{self.does}"

    @property
    def url_path(self):
        """The path that the spans tell; None: what came was no request."""
        return None if self.no_request else "*" if self.name == "options-all" else self.path


OK = Span()
# Of a client that left: 2.6 tells no status code, later ones 400, most of the time.
LEFT = Span((None, 400))
GONE = ("CH", "CD", "CL")  # within which phase is chance
BROKEN = Span(200, ("response_invalid", "response_truncated"))  # 2.6: as if it ended there


STALLED = Span(200, lambda version: None if versions.blames_the_client(version) else "data_timeout", lasts=1)
ORIGIN = "server one {origin}"


def no_request(code, state):
    return {"server": Span(code), "state": state, "no_request": True}


KINDS = [
    # A server answers.
    Kind("served", client=OK),
    Kind("not-found", "404", server=Span(404), client=Span(404, "404")),
    Kind("server-error", "500", server=Span(500, "500"), client=Span(500, "500")),
    Kind("no-content", "204", server=Span(204), client=Span(204)),
    Kind("not-modified", "304", server=Span(304), client=Span(304)),
    Kind("early-hints", "hints", client=OK),
    Kind("head", ask=head, client=OK),
    Kind("http2", ask=curl("--http2-prior-knowledge"), client=OK,
         more=({"network.protocol.version": "2"}, {})),
    Kind("whole-url", ask=whole_url, client=OK),
    Kind("kept-alive", ask=keep_alive, client=OK),
    Kind("held-back", "wait", held, client=OK),
    Kind("long-body", "parts", held, client=OK),
    Kind("upload", ask=upload, client=OK),
    Kind("upload-first", ask=slow_upload, client=OK, rule="http-request wait-for-body time 30s if {me}"),
    Kind("backend-upload-first", ask=slow_upload, client=OK,
         backend="http-request wait-for-body time 30s\n" + ORIGIN),
    Kind("websocket", "switch", websocket, server=Span(101), client=Span(101)),
    Kind("queued", ask=queued, client=OK, backend=ORIGIN + " maxconn 1"),
    Kind("retried", "late", client=OK, backend="retry-on empty-response\n" + ORIGIN,
         more=({}, {"http.request.resend_count": 1})),
    Kind("retried-in-vain", "close", backend="retry-on empty-response\nretries 2\n" + ORIGIN,
         server=Span(502, "502"), client=Span(None, "response_invalid"), state=("SH",),
         more=({}, {"http.request.resend_count": 2})),
    Kind("redispatched", client=OK,
         backend="option redispatch 1\nretries 1\nbalance first\nserver none {refusing}\n" + ORIGIN,
         more=({}, {"http.request.resend_count": 1, "haproxy.redispatched": True})),
    Kind("cached-before", "cacheable", client=OK, backend="CACHE\n" + ORIGIN),
    # HAProxy answers.
    Kind("cached", "cacheable", again, backend="CACHE\n" + ORIGIN, state=("LR",)),
    Kind("deny", rule="http-request deny if {me}", server=Span(403), state=("PR",)),
    Kind("backend-deny", backend="http-request deny\n" + ORIGIN, server=Span(403), state=("PR",)),
    Kind("redirect", rule="http-request redirect location /x if {me}", server=Span(302), state=("LR",)),
    Kind("return", rule="http-request return status 200 content-type text/plain string x if {me}",
         state=("LR",)),
    Kind("lua", rule="http-request use-service lua.hello if {me}", state=("LR",)),
    Kind("stats", backend="stats enable\nstats uri /stats", state=("LR",)),
    Kind("tarpit", rule="http-request tarpit deny_status 429 if {me}", server=Span(429, lasts=0.5),
         state=lambda version: ("PR" if versions.calls_a_tarpit_a_deny(version) else "PT",)),
    Kind("reject", rule="http-request reject if {me}", server=Span(None), state=("PR",)),
    Kind("silent-drop", ask=wait_for_none, rule="http-request silent-drop if {me}", server=Span(None), state=("PR",)),
    Kind("response-denied", backend="http-response deny deny_status 410\n" + ORIGIN,
         server=Span(410), client=Span(None), state=("PH",)),
    Kind("response-denied-later", rule="http-response deny if { be_name response-denied-later }",
         backend=ORIGIN, server=Span(502, "502"), client=Span(None), state=("PH",)),
    Kind("deny-503", rule="http-request deny deny_status 503 if {me}", server=Span(503, "503"),
         state=("PR",)),
    Kind("no-server", backend="timeout queue 1ms", server=Span(503, "503"), state=("SC",)),
    Kind("no-backend", ask=nowhere, server=Span(503, "503"), state=("SC",)),
    Kind("disabled-server", backend=ORIGIN + " disabled", server=Span(503, "503"), state=("SC",)),
    Kind("no-body", rule="http-request wait-for-body time 500ms if {me}", ask=no_upload,
         server=Span(408, lasts=0.5), state=("cR",)),
    # A server fails.
    Kind("queue-timeout", ask=queued_too_long, backend="timeout queue 500ms\n" + ORIGIN + " maxconn 1",
         server=Span(503, "503", lasts=0.5), state=("sQ",)),
    Kind("queue-full", ask=queue_full,
         backend="cookie at indirect\n" + ORIGIN + " cookie one maxconn 1 maxqueue 1",
         server=Span(503, "503"), state=("SQ",)),
    Kind("refused", backend="retries 1\nserver one {refusing}", server=Span(503, "503"),
         client=Span(None, "connect_failed"), state=("SC",), more=({}, {"http.request.resend_count": 1})),
    Kind("connect-timeout", backend="timeout connect 500ms\nretries 0\nserver one {full}",
         server=Span(503, "503", lasts=0.5), client=Span(None, "connect_timeout", lasts=0.5),
         state=("sC",)),
    Kind("closed", "close", server=Span(502, "502"), client=Span(None, "response_invalid"),
         state=("SH",)),
    Kind("invalid", "invalid", server=Span(502, "502"), client=Span(None, "response_invalid"),
         state=("PH",)),
    Kind("response-timeout", "hang", backend="timeout server 1s\n" + ORIGIN,
         server=Span(504, "504", lasts=1), client=Span(None, "response_timeout", lasts=1), state=("sH",)),
    Kind("closed-upload", "close", no_upload, server=Span(502, "502"),
         client=Span(None, "response_invalid"), state=("SH",)),
    Kind("cut", "cut", read_to_end, server=Span(200, "response_truncated"),
         client=Span(200, "response_truncated"), state=("SD",)),
    Kind("data-timeout", "stall", read_to_end, backend="timeout server 1s\n" + ORIGIN,
         server=STALLED, client=STALLED, state=lambda version: ("CD" if versions.blames_the_client(version) else "sD",)),
    Kind("broken-chunks", "chunks", servers_chunks, server=BROKEN, client=BROKEN,
         state=("PD", "SD")),
    # The client leaves, or sends what is nothing.
    Kind("broken-upload", "wait", broken_chunks, server=Span(400), client=Span(None), state=("PH",)),
    Kind("left-before-body", ask=leave_before_body, rule="http-request wait-for-body time 30s if {me}",
         server=LEFT, state=("CR",)),
    Kind("left-queue", ask=leave_queue, backend=ORIGIN + " maxconn 1", server=Span(None), state=("CQ",)),
    Kind("left-connect", ask=leave_connect, backend="server one {full}",
         server=Span(None), client=Span(None), state=("CC",)),
    Kind("left-waiting", "hang", leave_waiting, server=LEFT, client=Span(None), state=GONE),
    Kind("left-upload", ask=leave_upload, server=LEFT, client=Span(None), state=GONE),
    Kind("left-body", "big", leave_body, client=OK, state=GONE),
    Kind("reset-waiting", "hang", reset_waiting, server=LEFT, client=Span(None), state=GONE),
    Kind("reset-body", "big", reset_body, client=OK, state=GONE),
    Kind("takes-no-more", "big", read_no_more, client=OK, state=("cD",)),
    # What never became a request.
    Kind("garbage", ask=raw(b"\x01\x02 no request\r\n\r\n"), **no_request(400, ("PR",))),
    Kind("left-request", ask=raw(b"GET / HTTP/1.1\r\nHo", leaves=True), **no_request(400, ("CR",))),
    Kind("no-request", ask=raw(b"GET / HTTP/1.1\r\nHo", "impatient"), **no_request(408, ("cR",))),
    Kind("options-all", ask=options_all, client=OK),
]


# ---- what came of it ----------------------------------------------------------------------------


def find(kind, asked, spans):
    """(SERVER, CLIENT or None) of a request; None as long as they are not all there."""
    if isinstance(asked, BaseException):
        return ()
    for server in spans:
        told = server.attributes
        if server.kind == "SERVER" and told.get("client.port") == asked.port and \
                told.get("url.path") == kind.url_path:
            trace = [span for span in spans if span.trace_id == server.trace_id]
            clients = [span for span in trace if span.kind == "CLIENT"]
            assert len(trace) == 1 + len(clients) and len(clients) <= 1, trace
            if kind.client is None or clients:
                return server, *clients, *[None] * (1 - len(clients))
    return None


def wait_all(kinds, asked, collector):
    """The spans of all by name, when they are all there. One that never comes is None: its own test
    is to say so, and not all of them."""
    found = {}

    def there(spans):
        found.update((kind.name, find(kind, asked[kind.name], spans)) for kind in kinds)
        return None not in found.values()

    try:
        collector.wait(there, "the spans of all kinds")
    except procs.Timeout:
        pass
    return found


def _by_version(what, version):
    return what(version) if callable(what) else what


def _choices(want):
    return want if isinstance(want, tuple) else (want,)


def _check_span(span, want, version, held, sent=None):
    told = span.attributes
    error = told.get("error.type")
    assert told.get("http.response.status_code") in _choices(want.code)
    assert error in _choices(_by_version(want.error, version))
    assert span.status == ("ERROR" if error else "UNSET")
    assert span.end - span.start >= 0.9e9 * want.lasts
    if held:
        # HAProxy's clock stands still while it is busy: so not to the microsecond.
        since, until = held
        slack = (until - since) / 2
        assert span.start / 1e9 <= since + slack and span.end / 1e9 >= until - slack
        assert sent is None or span.start / 1e9 >= sent - slack


def check(kind, scene, asked, spans, version):
    """AssertionError unless the spans are what the kind has to become."""
    if isinstance(asked, BaseException):
        raise asked
    assert spans, f"no spans, or not all{scene.report()}"
    server, client = spans
    told = server.attributes
    assert told["haproxy.termination_state"] in _by_version(kind.state, version), told
    if asked.status is not None:
        assert told["http.response.status_code"] == asked.status
    _check_span(server, kind.server, version, asked.held, asked.sent)
    if kind.url_path is None:
        assert told["http.request.method"] == "_OTHER" and server.name == "HTTP"
        return
    assert (told["server.address"], told["url.scheme"]) == (HOST, "http")
    assert (client is None) == (kind.client is None)
    more_server, more_client = kind.more
    assert {key: told.get(key) for key in more_server} == more_server
    if client is None:
        return
    told = client.attributes
    _check_span(client, kind.client, version, None if asked.asleep else asked.held)
    assert client.parent_id == server.span_id and client.trace_id == server.trace_id
    assert server.start <= client.start <= client.end <= server.end
    if asked.asleep:
        assert client.start / 1e9 >= sum(asked.held) / 2
    assert told["server.address"] == HOST and told["network.peer.port"] > 0
    assert told["haproxy.server.name"] == "one"
    assert told.get("haproxy.time.queue", -1) >= 0
    assert "haproxy.time.connect" in told or kind.state[0][1] == "C"
    assert {key: told.get(key) for key in more_client} == more_client
    assert ("http.request.resend_count" in told) == ("http.request.resend_count" in more_client)
    if scene.origin.requests(kind.path):
        # The last one is the one that was answered.
        sent = scene.origin.requests(kind.path)[-1].headers["traceparent"]
        assert sent == traceparent(client)
