# SPDX-License-Identifier: Apache-2.0
"""Hostile collectors, one kind after the other ("Done when"): each vice is met twice, then the
collector behaves. Whatever it did, the host ends in time with status 0, every span is in exactly one
place, on /metrics and in the totals (SpoeHost.terminate), those that count as exported and that the
collector was in a state to take did arrive, once, and what becomes of the others is what the vice
deserves:

    AGAIN   nothing is lost: the spans are sent again, and arrive
    LOST    what met the vice is lost, for the reason given
    TAKEN   it counts as exported, since the collector has said so
    EITHER  which of them depends on time; only the sums are looked at

VICES=REGEX runs those whose name matches.
"""

import functools
import gzip
import os
import re
import struct

import pytest

from lib import hostile as h
from lib.certs import Certs
from lib.hostile import Hostile
from lib.procs import SpoeHost
from lib.spop import Client

SPANS = 5  # of which each is a request of its own
AGAIN, TAKEN, EITHER = "again", "taken", "either"


def lost(reason):
    return ("lost", reason)


LOST = lost("not_retryable")
VICES = {}  # name: (protocol, step, vice, fate, kind of TLS)


def vice(protocol, step, fate, tls=None, name=None):
    def add(function):
        title = name or function.__name__
        assert (protocol, title) not in VICES
        VICES[protocol, title] = (protocol, step, function, fate, tls)
        return function
    return add


def also(protocols, step, fate, **more):
    """The same for each protocol."""
    def add(function):
        for protocol in protocols:
            vice(protocol, step, fate, **more)(function)
        return function
    return add


BOTH = ("http", "grpc")

# -- connections


@also(BOTH, "accept", AGAIN)
def never_reads(peer):
    peer.server.closing.wait()


@also(BOTH, "accept", AGAIN)
def closes_at_once(peer):
    pass


@also(BOTH, "accept", AGAIN)
def resets_at_once(peer):
    peer.reset()


@also(BOTH, "accept", AGAIN)
def garbage_at_once(peer):
    peer.send(bytes(range(256)) * 8)


@also(BOTH, "headers", AGAIN)
def closes_after_the_headers(peer):
    pass


@also(BOTH, "headers", AGAIN)
def resets_after_the_headers(peer):
    peer.reset()


@also(BOTH, "request", AGAIN)
def never_answers(peer):
    peer.silence()


@also(BOTH, "request", AGAIN)
def closes_after_the_request(peer):
    pass


@also(BOTH, "request", AGAIN)
def resets_after_the_request(peer):
    peer.reset()


# -- TLS


@also(BOTH, "accept", AGAIN, tls="server")
def handshake_never_comes(peer):
    peer.server.closing.wait()


@also(BOTH, "accept", AGAIN, tls="server")
def handshake_is_cut(peer):
    peer.take(5)


@also(BOTH, "accept", AGAIN, tls="server")
def handshake_is_garbage(peer):
    peer.send(b"\x16\x03\x03\x40\x00" + b"\xff" * 500)


@also(BOTH, "accept", AGAIN, tls="server")
def plain_text_for_tls(peer):
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@also(BOTH, "accept", AGAIN, tls="server")
def handshake_alert(peer):
    peer.take(5)
    peer.send(b"\x15\x03\x03\x00\x02\x02\x28")


@also(BOTH, "request", AGAIN, tls="server")
def tls_ends_without_notice(peer):
    peer.reset()


@also(BOTH, "accept", EITHER, tls="other_server")
def certificate_of_another(peer):
    return True


# -- HTTP: answers that are none


@vice("http", "request", AGAIN)
def half_a_status_line(peer):
    peer.send(b"HTTP/1.1 20")


@vice("http", "request", AGAIN)
def half_the_headers(peer):
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: appli")


@vice("http", "request", AGAIN)
def half_the_body(peer):
    peer.answer(body=b"0123456789", length=1000)


@vice("http", "request", AGAIN)
def chunks_that_are_cut(peer):
    peer.answer(headers=[("Transfer-Encoding", "chunked")], length="none", body=b"400\r\nabc")


@vice("http", "request", AGAIN)
def chunks_of_garbage(peer):
    peer.answer(headers=[("Transfer-Encoding", "chunked")], length="none", body=b"zz\r\nabc\r\n")


@vice("http", "request", AGAIN)
def byte_by_byte(peer):
    peer.slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@vice("http", "request", EITHER)
def headers_without_end(peer):
    peer.send(b"HTTP/1.1 200 OK\r\n")
    peer.forever(b"X-More: and more of it\r\n" * 100)


@vice("http", "request", EITHER)
def a_header_of_a_mebibyte(peer):
    peer.answer(headers=[("X-Large", "x" * (1 << 20))])


@vice("http", "request", lost("not_retryable"))
def a_body_of_5_mib(peer):
    peer.answer(body=b"\0" * (5 << 20))


@vice("http", "request", EITHER)
def a_body_without_end(peer):
    peer.answer(length="none")
    peer.forever(b"\0" * 4096)


@vice("http", "request", EITHER)
def a_negative_length(peer):
    peer.answer(length=-1)


@vice("http", "request", EITHER)
def a_length_beyond_all_bounds(peer):
    peer.answer(length=1 << 70)


@vice("http", "request", EITHER)
def two_lengths(peer):
    peer.answer(headers=[("Content-Length", "7")], body=b"abc")


@vice("http", "request", EITHER)
def continue_without_end(peer):
    peer.forever(b"HTTP/1.1 100 Continue\r\n\r\n")


@vice("http", "request", EITHER)
def another_protocol_is_offered(peer):
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")


@vice("http", "request", EITHER)
def http_0_9(peer):
    peer.send(b"<html>hello</html>\n")


@vice("http", "request", TAKEN)
def http_1_0_to_the_end(peer):
    peer.send(b"HTTP/1.0 200 OK\r\n\r\n")


@vice("http", "request", EITHER)
def speaks_http_2(peer):
    peer.send(h.h2_frame(h.SETTINGS))


@vice("http", "headers", LOST)
def answers_before_the_body(peer):
    peer.answer("413 Content Too Large")


@vice("http", "request", TAKEN)
def two_answers(peer):
    peer.answer()
    peer.answer("503 Service Unavailable")


# -- HTTP: answers of the wrong kind


@vice("http", "request", TAKEN)
def a_web_page(peer):
    peer.answer(headers=[("Content-Type", "text/html")], body=b"<!DOCTYPE html><p>Welcome!")


@vice("http", "request", TAKEN)
def protobuf_that_is_none(peer):
    peer.answer(headers=[("Content-Type", "application/x-protobuf")], body=b"\xff" * 100)


@vice("http", "request", EITHER)
def gzip_that_is_none(peer):
    peer.answer(headers=[("Content-Encoding", "gzip")], body=b"\x1f\x8b\x08" + b"\xff" * 50)


@vice("http", "request", EITHER)
def a_gzip_bomb(peer):
    peer.answer(headers=[("Content-Encoding", "gzip"), ("Content-Type", "application/x-protobuf")],
                body=gzip.compress(b"\0" * (64 << 20)))


def partial(rejected, text=b"so it is"):
    """An ExportTraceServiceResponse; rejected_spans is an int64."""
    number, out = rejected & (1 << 64) - 1, bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    inner = b"\x08" + bytes(out) + b"\x12" + bytes([len(text)]) + text
    return b"\x0a" + bytes([len(inner)]) + inner


for title, count, fate in (("rejects_one", 1, lost("rejected")), ("rejects_all_there_are", 1 << 62, EITHER),
                           ("rejects_less_than_none", -1, EITHER), ("warns", 0, TAKEN)):
    def _http(peer, body=partial(count)):
        peer.answer(headers=[("Content-Type", "application/x-protobuf")], body=body)

    def _grpc(peer, body=partial(count)):
        peer.respond(body)
        peer.silence()

    vice("http", "request", fate, name=title)(_http)
    vice("grpc", "request", fate, name=title)(_grpc)


# -- HTTP: statuses

for status in (400, 401, 403, 404, 405, 413, 415, 500, 501, 505, 599):
    vice("http", "request", LOST, name=f"status_{status}")(
        lambda peer, status=status: peer.answer(f"{status} No", body=b"no way"))
for status in (429, 502, 503, 504):
    vice("http", "request", AGAIN, name=f"status_{status}")(
        lambda peer, status=status: peer.answer(f"{status} Later"))
for title, value, fate in (
        ("an_hour", "3600", EITHER), ("a_year", "31536000", EITHER), ("less_than_now", "-5", AGAIN),
        ("nonsense", "soon", AGAIN), ("the_past", "Thu, 01 Jan 1970 00:00:00 GMT", AGAIN),
        ("a_number_too_large", "9" * 40, EITHER)):
    vice("http", "request", fate, name=f"retry_after_{title}")(
        lambda peer, value=value: peer.answer("503 Later", [("Retry-After", value)]))


@vice("http", "request", TAKEN)
def no_content(peer):
    peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@vice("http", "request", EITHER)
def a_status_that_is_none(peer):
    peer.send(b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n")


for status in (301, 302, 303):
    vice("http", "request", LOST, name=f"redirect_{status}")(
        lambda peer, status=status: peer.answer(f"{status} There", [("Location", "/there")]))


@vice("http", "request", LOST)
def redirect_to_another_origin(peer):
    peer.answer("307 There", [("Location", "http://127.0.0.1:9/v1/traces")])


@vice("http", "request", LOST)
def redirect_without_a_place(peer):
    peer.answer("308 Somewhere")


@vice("http", "request", LOST)
def redirects_in_a_circle(peer):
    """Three are followed, so that four answers are one export."""
    for _ in range(3):
        peer.answer("307 Here", [("Location", "/v1/traces")])
        peer.take(peer.head())
    peer.answer("307 Here", [("Location", "/v1/traces")])


# -- gRPC: HTTP/2


@vice("grpc", "accept", AGAIN)
def no_settings(peer):
    peer.silence()


@vice("grpc", "accept", AGAIN)
def speaks_http_1(peer):
    peer.answer("400 Bad Request")


@vice("grpc", "accept", AGAIN)
def goaway_before_settings(peer):
    peer.goaway()


for step in ("settings", "headers", "request"):
    for title, last, error in (("", 0, 0), ("_calm", 0, 11), ("_later", 0x7FFFFFFF, 0)):
        def _goaway(peer, last=last, error=error):
            peer.goaway(last, error, b"too_many_pings" if error else b"")
        vice("grpc", step, AGAIN if step != "settings" or not last else EITHER,
             name=f"goaway{title}_after_{step}")(_goaway)

for error, title, fate in ((0, "no_error", EITHER), (2, "internal", EITHER), (7, "refused", AGAIN),
                           (8, "cancel", AGAIN), (11, "calm", EITHER), (255, "unknown", EITHER)):
    def _rst(peer, error=error):
        peer.frame(h.RST_STREAM, payload=struct.pack(">I", error))
        peer.silence()
    vice("grpc", "request", fate, name=f"rst_stream_{title}")(_rst)


@vice("grpc", "settings", EITHER)
def no_window(peer):
    peer.frame(h.SETTINGS, payload=struct.pack(">HI", 4, 0), stream=0)
    peer.silence()


@vice("grpc", "settings", EITHER)
def no_streams(peer):
    peer.frame(h.SETTINGS, payload=struct.pack(">HI", 3, 0), stream=0)
    peer.silence()


@vice("grpc", "settings", EITHER)
def settings_of_nonsense(peer):
    peer.frame(h.SETTINGS, payload=struct.pack(">HI", 5, 1), stream=0)
    peer.silence()


@vice("grpc", "settings", EITHER)
def settings_of_half_a_size(peer):
    peer.frame(h.SETTINGS, payload=b"\0\0\0", stream=0)
    peer.silence()


@vice("grpc", "settings", EITHER)
def settings_without_end(peer):
    peer.forever(h.h2_frame(h.SETTINGS) * 100)


@vice("grpc", "headers", EITHER)
def pings_without_end(peer):
    peer.forever(h.h2_frame(h.PING, payload=b"12345678") * 100)


@vice("grpc", "settings", EITHER)
def a_frame_of_16_mib(peer):
    peer.send(b"\xff\xff\xff\0\0\0\0\0\1" + b"\0" * 4096)
    peer.silence()


@vice("grpc", "settings", EITHER)
def frames_of_unknown_kinds(peer):
    for kind in range(10, 256):
        peer.frame(kind, 0, b"what?", stream=0)
    return True


@vice("grpc", "request", EITHER)
def data_before_headers(peer):
    peer.data(h.grpc_message(b""))
    peer.silence()


@vice("grpc", "request", EITHER)
def a_promise(peer):
    peer.frame(h.PUSH_PROMISE, h.END_HEADERS, struct.pack(">I", 2) + h.GRPC_HEADERS)
    peer.silence()


@vice("grpc", "request", EITHER)
def a_window_that_overflows(peer):
    for _ in range(3):
        peer.frame(h.WINDOW_UPDATE, 0, struct.pack(">I", 0x7FFFFFFF))
        peer.frame(h.WINDOW_UPDATE, 0, struct.pack(">I", 0x7FFFFFFF), stream=0)
    peer.silence()


@vice("grpc", "request", EITHER)
def hpack_of_garbage(peer):
    peer.frame(h.HEADERS, h.END_HEADERS, b"\xff" * 100)
    peer.silence()


@vice("grpc", "request", EITHER)
def continuations_without_end(peer):
    peer.frame(h.HEADERS, 0, h.GRPC_HEADERS)
    peer.forever(h.h2_frame(h.CONTINUATION, 0, peer.stream, h.hpack(("x-more", "y" * 100)) * 20))


@vice("grpc", "request", EITHER)
def metadata_of_a_mebibyte(peer):
    for at in range(64):
        block = h.hpack((f"x-{at}", "y" * 16000))
        peer.frame(h.HEADERS if at == 0 else h.CONTINUATION, h.END_HEADERS if at == 63 else 0,
                   (h.GRPC_HEADERS if at == 0 else b"") + block)
    peer.silence()


# -- gRPC: answers


def answers(title, fate, *what, ends=True):
    """Send frames: (kind, flags, payload)..., then end the connection or fall silent."""
    def _answer(peer):
        for kind, flags, payload in what:
            peer.frame(kind, flags, payload)
        if not ends:
            peer.silence()
    vice("grpc", "request", fate, name=title)(_answer)


HEAD = (h.HEADERS, h.END_HEADERS, h.GRPC_HEADERS)
EMPTY = (h.DATA, 0, h.grpc_message(b""))
OK = (h.HEADERS, h.END_HEADERS | h.END_STREAM, h.hpack(("grpc-status", "0")))

answers("headers_then_silence", AGAIN, HEAD, ends=False)
answers("headers_then_the_end", AGAIN, HEAD)
answers("a_message_then_silence", AGAIN, HEAD, EMPTY, ends=False)
answers("half_a_message", EITHER, HEAD, (h.DATA, 0, b"\0\0\0\0\x64abc"), OK)
answers("a_message_of_garbage", TAKEN, HEAD, (h.DATA, 0, h.grpc_message(b"\xff" * 100)), OK)
answers("two_messages", EITHER, HEAD, EMPTY, EMPTY, OK)
answers("no_message", EITHER, HEAD, OK)
answers("a_message_packed_by_nothing", EITHER, HEAD, (h.DATA, 0, h.grpc_message(b"x", flag=1)), OK)
answers("trailers_without_a_status", EITHER, HEAD, EMPTY,
        (h.HEADERS, h.END_HEADERS | h.END_STREAM, h.hpack(("x", "y"))))
answers("a_web_page_by_http_2", EITHER,
        (h.HEADERS, h.END_HEADERS, h.hpack((":status", "200"), ("content-type", "text/html"))),
        (h.DATA, h.END_STREAM, b"<p>Welcome!"))
for status in ("301", "401", "404", "429", "502", "503"):
    answers(f"http_status_{status}", EITHER,
            (h.HEADERS, h.END_HEADERS | h.END_STREAM, h.hpack((":status", status))))


@vice("grpc", "request", LOST)
def a_message_of_5_mib(peer):
    peer.frame(*HEAD)
    peer.data(h.grpc_message(b"\0" * (5 << 20)))
    peer.silence()


@vice("grpc", "request", AGAIN)
def an_answer_byte_by_byte(peer):
    peer.slowly(h.h2_frame(h.HEADERS, h.END_HEADERS, peer.stream, h.GRPC_HEADERS))


for code, title, fate in ((1, "cancelled", AGAIN), (2, "unknown", LOST), (3, "invalid_argument", LOST),
                          (4, "deadline_exceeded", AGAIN), (5, "not_found", LOST),
                          (7, "permission_denied", LOST), (8, "resource_exhausted", LOST),
                          (10, "aborted", AGAIN), (11, "out_of_range", AGAIN),
                          (12, "unimplemented", LOST), (13, "internal", LOST),
                          (14, "unavailable", AGAIN), (15, "data_loss", AGAIN),
                          (16, "unauthenticated", LOST), (99, "that_is_none", EITHER)):
    def _status(peer, code=code):
        peer.refuse(str(code), [("grpc-message", "because%0aso")])
        peer.silence()
    vice("grpc", "request", fate, name=f"grpc_status_{title}")(_status)
for title, value in (("nonsense", "soon"), ("a_year", "31536000000"), ("less_than_now", "-5")):
    def _pushback(peer, value=value):
        peer.refuse("14", [("grpc-retry-pushback-ms", value)])
        peer.silence()
    vice("grpc", "request", EITHER, name=f"pushback_{title}")(_pushback)


# -- the test


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@functools.cache
def wanted():
    pattern = re.compile(os.environ.get("VICES", ""))
    return [name for name in VICES if pattern.search("-".join(name))]


def test_there_are_as_many_as_there_were():
    assert len(VICES) >= 54


def environment(protocol, collector, tls, certs):
    return {
        "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGINS": "otel.so", "SPOE_PROCESSING_TIMEOUT": "10s",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if protocol == "grpc" else "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{'https' if tls else 'http'}://{collector.endpoint}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certs.path("ca") if tls else None,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1", "SPOE_SHUTDOWN_TIMEOUT": "20s",
    }


def totals(host):
    line = host.wait_line(r'totals: (requests=[^"]*)').group(1)
    return {key: int(value) for key, value in (pair.split("=") for pair in line.split())}


@pytest.mark.parametrize("name", wanted(), ids="-".join)
def test_every_span_is_accounted_for(name, certs):
    protocol, step, function, fate, tls = VICES[name]
    with Hostile(protocol, step, function, tls=certs.server(tls) if tls else None) as collector, \
            SpoeHost(env=environment(protocol, collector, tls, certs)) as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(SPANS):
                client.ask("on-http-request", {"unique-id": f"{i}", "method": "GET", "path": "/"})
                client.ask("on-http-response", {"unique-id": f"{i}", "status": 200})
        collector.wait_met(1)
        assert host.terminate() == 0, host.report()
        total = totals(host)
        assert total["opened"] == SPANS
        arrived = [span.span_id for span in collector.spans]
        if fate == AGAIN:
            assert total["exported"] == SPANS, host.report()
            assert len(set(arrived)) == SPANS
        elif fate == TAKEN:
            assert total["exported"] == SPANS, host.report()
        elif fate != EITHER:
            assert total[fate[1]] == collector.met, host.report()
            assert total["exported"] == SPANS - collector.met
            assert len(set(arrived)) == total["exported"]
        assert len(set(arrived)) <= SPANS
