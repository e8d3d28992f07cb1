# SPDX-License-Identifier: Apache-2.0
"""The otel plugin in the whole host: small inputs that went wrong in 0.1, each with its right value."""

import contextlib
import mmap
import os
import struct
import time

import pytest

from lib import admin
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.procs import SpoeHost, clean_env, host_binary, run
from lib.spop import Client

PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
HOUR_NS = 3600 * 10**9


def environment(collector, protocol="grpc", **more):
    return {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
            "SPOE_PROCESSING_TIMEOUT": "10s", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoint}",
            "OTEL_BSP_SCHEDULE_DELAY": "20", **more}


@contextlib.contextmanager
def begin(collector, protocol="grpc", **more):
    """A host and a client that has said HELLO; it has to end well."""
    with SpoeHost(env=environment(collector, protocol, **more)) as host:
        with Client(host.port) as client:
            client.hello()
            yield host, client
        assert host.terminate() == 0, host.report()


def first(client, key, **more):
    return client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/", **more})


def last(client, key, status=200):
    return client.ask("on-http-response", {"unique-id": key, "status": status})


# -- O4


@pytest.fixture
def clock(tmp_path):
    """A wall clock that the test sets: write(nanoseconds ahead), and the environment for it."""
    path = tmp_path / "clock"
    path.write_bytes(b"\0" * 8)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8) as page:
        def write(ahead_ns):
            page[:] = struct.pack("=q", ahead_ns)
        write.env = {"LD_PRELOAD": os.environ["SPOE_TEST_WALL_CLOCK"],
                     "SPOE_TEST_WALL_CLOCK_FILE": str(path),
                     # it comes before ASan's library, which has no business with it
                     "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        yield write


@pytest.mark.parametrize("jump", [HOUR_NS, -HOUR_NS])
@pytest.mark.parametrize("when", ["before the backend", "after the backend"])
def test_durations_are_right_though_the_clock_jumps(clock, jump, when):
    """3.5, O4: 3 600 512 ms and 0 ms, where it took 400."""
    with Collector() as collector, begin(collector, **clock.env) as (_, client):
        t0 = time.monotonic_ns()
        first(client, "k")
        t1 = time.monotonic_ns()
        if when == "before the backend":
            clock(jump)
        t2 = time.monotonic_ns()
        client.ask("on-backend-http-request", {"unique-id": "k", "method": "GET"})
        t3 = time.monotonic_ns()
        if when == "after the backend":
            clock(jump)
        t4 = time.monotonic_ns()
        last(client, "k")
        t5 = time.monotonic_ns()
        spans = {span.kind: span for span in collector.wait_spans(2)}
        server, outgoing = spans["SERVER"], spans["CLIENT"]
        assert t4 - t1 <= server.end - server.start <= t5 - t0
        assert t4 - t3 <= outgoing.end - outgoing.start <= t5 - t2
        assert server.start <= outgoing.start <= outgoing.end <= server.end
        # Where the clock stood when the request came, not where it is now.
        assert abs(server.start - time.time_ns()) < HOUR_NS // 2
        # The next request has the new time.
        first(client, "next")
        last(client, "next")
        newest = collector.wait_spans(3)[-1]
        assert abs(newest.start - time.time_ns() - jump) < HOUR_NS // 2


# -- O6, O7, O9


def test_an_answer_that_is_too_large_is_a_loss():
    """3.7, O6: it counted as exported. Not sent again, either."""
    with HttpCollector() as collector, begin(collector, "http/protobuf") as (host, client):
        collector.answer(200, body=b"\0" * (5 << 20))
        first(client, "one")
        last(client, "one")
        host.wait_line(r"spans lost: 1 not_retryable; HTTP 200, but its answer is above 4 MiB")
        first(client, "two")
        last(client, "two")
        collector.wait_spans(2)
        lost = admin.metrics(host)["spoe_otel_spans_lost_total"]
        assert lost.total(reason="not_retryable") == lost.total() == 1
        assert collector.calls == 2


@pytest.mark.parametrize("given, right", [
    ("ot=th:c", (None, "ot=th:0")), ("ot=th:c;rv:abcdefabcdefab,x=1", ("x=1,ot=rv:abcdefabcdefab",
     "ot=rv:abcdefabcdefab,x=1", "ot=th:0;rv:abcdefabcdefab,x=1")), ("x=1", ("x=1",))])
def test_the_probability_of_another_sampler_is_not_handed_on(given, right):
    """3.9, O7: the caller's sampler has dropped it, ours takes it."""
    with Collector() as collector, \
            begin(collector, OTEL_TRACES_SAMPLER="always_on") as (_, client):
        ack = first(client, "k", traceparent=f"00-{TRACE}-b7ad6b7169203331-00", tracestate=given)
        assert ack.variables["traceparent"].startswith(f"00-{TRACE}-")
        assert ack.variables["traceparent"].endswith("-01")
        assert ack.variables.get("tracestate") in right
        last(client, "k")


def test_tracestate_of_level_2_is_kept():
    """3.9, O8"""
    with Collector() as collector, begin(collector) as (_, client):
        ack = first(client, "k", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", tracestate="a@b@c=1,x=2")
        assert ack.variables["tracestate"] == "a@b@c=1,x=2"
        last(client, "k")


def test_a_resource_that_fits_into_no_request_is_an_error():
    """3.7, O9: it started, and every span was too large."""
    with Collector() as collector:
        env = environment(collector, SPOE_ADDR="127.0.0.1:0", OTLP_REQUEST_BYTES_MAX="65536",
                          OTEL_RESOURCE_ATTRIBUTES=",".join(f"a{i}={'x' * 1000}" for i in range(80)))
        for args in ([], ["-t"]):
            status, out = run([host_binary(), *args], env=clean_env(env))
            assert status != 0 and "ready" not in out, out
            assert "request-bytes-max" in out and "level=error" in out, out


# -- W8, W9


def test_lists_with_empty_items():
    """3.7, W8: the whole list was dropped."""
    with Collector() as collector, \
            begin(collector, OTEL_EXPORTER_OTLP_HEADERS="a=b,", OTEL_RESOURCE_ATTRIBUTES="a=1,,b=2"
                  ) as (host, client):
        first(client, "k")
        last(client, "k")
        (span,) = collector.wait_spans(1)
        assert collector.headers[0]["a"] == "b"
        assert (span.resource["a"], span.resource["b"]) == ("1", "2")
        assert "level=warning" not in host.text()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_secret_that_ends_in_a_newline(ends):
    """3.7, W8: as one that is mounted does."""
    with Collector() as collector, \
            begin(collector, OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20x{ends}") as (_, client):
        first(client, "k")
        last(client, "k")
        collector.wait_spans(1)
        assert collector.headers[0]["authorization"] == "Bearer x"


def test_propagators_of_which_one_is_unknown():
    """3.7, W9: b3 was not read."""
    with Collector() as collector, \
            begin(collector, OTEL_PROPAGATORS="jaeger,b3") as (host, client):
        host.wait_line("level=warning .*jaeger")
        ack = first(client, "k", b3=f"{TRACE}-b7ad6b7169203331-1")
        assert ack.variables["trace_id"] == TRACE and ack.variables["b3"].startswith(f"{TRACE}-")
        last(client, "k")
        (span,) = collector.wait_spans(1)
        assert (span.trace_id, span.parent_id) == (TRACE, "b7ad6b7169203331")
