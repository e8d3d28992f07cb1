# SPDX-License-Identifier: Apache-2.0
"""What the log says about the export, to an operator whose collector misbehaves; and proxies."""

import os
import re
import time

import grpc
import pytest

from lib import admin
from lib.certs import Certs
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.procs import SpoeHost, clean_env, host_binary, run, wait_until
from lib.proxy import Proxy
from lib.relay import Relay
from lib.spop import Client

PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
PROTOCOLS = ["grpc", "http/protobuf"]


def make_collector(protocol, **more):
    return Collector(**more) if protocol == "grpc" else HttpCollector(**more)


def begin(protocol, collector, **env):
    scheme = "https" if collector.tls else "http"
    return SpoeHost(env={
        "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
        "SPOE_PROCESSING_TIMEOUT": "10s", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://{collector.endpoint}",
        "OTEL_BSP_SCHEDULE_DELAY": "20", **env})


def request(client, key):
    client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/"})
    client.ask("on-http-response", {"unique-id": key, "status": 200})


def total(host, name, **labels):
    return admin.metrics(host)["spoe_otel_" + name].total(**labels)


# -- lines of the log


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_outage_is_two_lines(protocol):
    """However many attempts fail; the flush makes them follow each other."""
    with make_collector(protocol) as collector:
        collector.stop()
        with begin(protocol, collector) as host, Client(host.port) as client:
            client.hello()
            request(client, "one")
            host.wait_line(r"export to \S+ failed: .*; 1 spans wait, next try in")
            collector.start()
            collector.wait_spans(1)
            host.wait_line(r"export to \S+ works again, after \S+ s; failed attempts: \d+")
            client.close()
            assert host.terminate() == 0
            assert host.count(r"export to \S+ fail") == host.count("works again") == 1
            assert "spans lost" not in host.text()


def test_attempts_that_fail_one_after_the_other():
    """Three ways to fail in turn, many times: a line for each, one for the end."""
    codes = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.DATA_LOSS]
    with Collector() as collector, begin("grpc", collector, SPOE_SHUTDOWN_TIMEOUT="50s") as host:
        with Client(host.port) as client:
            client.hello()
            for _ in range(3):
                for n, code in enumerate(codes):
                    collector.refuse(code, details=f"try number {n}")
            request(client, "one")
            host.wait_line(r"export to \S+ failed: UNAVAILABLE")
        assert host.terminate() == 0
        assert collector.calls == 10
        for code in codes:
            assert host.count(f"failed: {code.name}") == 1
        assert host.count(r"export to \S+ fail") == 3 and host.count("works again") == 1
        assert "retries=9 " in host.text()


def test_a_collector_that_is_up_and_down():
    with Collector() as collector, begin("grpc", collector, SPOE_SHUTDOWN_TIMEOUT="50s",
                                         OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1") as host:
        collector.hold()
        for _ in range(5):  # each batch is refused once
            collector.refuse(grpc.StatusCode.UNAVAILABLE)
            collector.answer(b"")
        with Client(host.port) as client:
            client.hello()
            for i in range(5):
                request(client, f"{i}")
        collector.wait_held(1)
        collector.release()
        assert host.terminate() == 0
        assert "exported=5 " in host.text() and "retries=5 " in host.text()
        assert host.count(r"export to \S+ failed") == 1
        assert host.count(r"export to \S+ works again") == 1
        assert host.count(r"export to \S+ fails again: UNAVAILABLE") == 1


def test_a_collector_that_answers_unavailable_keeps_its_connection():
    """Overloaded ones do; a new connection for each attempt is the last thing that they need."""
    with Collector() as collector:
        relay = Relay(collector.port)
        collector.refuse(grpc.StatusCode.UNAVAILABLE, details="memory limit", times=5)
        with begin("grpc", collector, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{relay.port}",
                   SPOE_SHUTDOWN_TIMEOUT="50s") as host:
            with Client(host.port) as client:
                client.hello()
                request(client, "one")
                host.wait_line(r"export to \S+ failed: UNAVAILABLE: memory limit")
            assert host.terminate() == 0
        assert collector.calls == 6 and "exported=1 " in host.text()
        assert relay.count == 1


def refuse_once(protocol, collector):
    if protocol == "grpc":
        collector.refuse(grpc.StatusCode.UNAVAILABLE)
    else:
        collector.answer(503)


@pytest.mark.parametrize("protocol,port", [("grpc", "HTTP (4318)"), ("http/protobuf", "gRPC (4317)")])
def test_a_port_that_speaks_the_other_protocol_is_told(protocol, port):
    """5.4"""
    other = HttpCollector if protocol == "grpc" else Collector
    with other() as collector, begin(protocol, collector, SPOE_SHUTDOWN_TIMEOUT="1s") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            host.wait_line(f"failed: .*; if that is the port for {re.escape(port)}, take the one for")
        assert host.terminate() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_says_what_to_look_at(protocol):
    """5.4, W12: once, with what the collector says about it."""
    with make_collector(protocol) as collector, begin(protocol, collector) as host:
        if protocol == "grpc":
            collector.refuse(grpc.StatusCode.UNAUTHENTICATED, details="token\nexpired")
        else:
            collector.answer(401, {"Content-Type": "application/json"}, b'{\n "error":"token expired"}')
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            line = host.wait_line("spans lost: 1 not_retryable; (.*)").group(1)
        assert "token expired" in line and "are the headers those that the collector wants?" in line
        assert host.terminate() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_comes_behind_a_refused_batch_does_not_wait(protocol):
    """3.1, O1: the second batch is there before the first is tried again."""
    with make_collector(protocol) as collector, \
            begin(protocol, collector, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10",
                  OTEL_BSP_SCHEDULE_DELAY="60000", SPAN_QUEUE_MAX="20") as host:
        refuse_once(protocol, collector)
        collector.hold()
        with Client(host.port) as client:
            client.hello()
            for i in range(20):
                request(client, f"{i}")
                if i == 9:
                    collector.wait_held(1)
            collector.release()
            collector.wait_spans(20)
        assert host.terminate() == 0
        assert "exported=20 " in host.text() and "retries=1 " in host.text()
        first, second = collector.batches
        assert max(s.start for s in second) < min(s.start for s in first)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_warning_of_the_collector_is_one_line(protocol):
    with make_collector(protocol) as collector, begin(protocol, collector) as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(8):
                text = b"%d spans without a tenant" % (i + 3) if i % 2 else b"deprecated, says no %d" % i
                partial = b"\x12" + bytes([len(text)]) + text
                answer = b"\x0a" + bytes([len(partial)]) + partial
                if protocol == "grpc":
                    collector.answer(answer)
                else:
                    collector.answer(200, body=answer)
                request(client, f"{i}")
                collector.wait_spans(i + 1)
            wait_until(lambda: total(host, "collector_warnings_total") == 8, "the counter")
        assert host.terminate() == 0
        assert host.count("the collector took all spans but warns: deprecated, says no 0") == 1
        assert host.count("warns: deprecated") == 1
        assert "spans lost" not in host.text() and "warnings=8 " in host.text()


def most_lines(since):
    """How often the line of losses may have come: at first, each minute, at the end."""
    return 2 + (time.monotonic() - since) // 60


def test_losses_are_one_line():
    """Twenty refusals within a minute, of which the first is told at once, the others at the end."""
    since = time.monotonic()
    with Collector() as collector, begin("grpc", collector) as host:
        collector.refuse(grpc.StatusCode.INVALID_ARGUMENT, times=20, details="no such tenant")
        with Client(host.port) as client:
            client.hello()
            for i in range(20):
                request(client, f"{i}")
                collector.wait_calls(i + 1)
            host.wait_line("spans lost: 1 not_retryable; INVALID_ARGUMENT: no such tenant")
        assert host.terminate() == 0
        told = [int(line.split("spans lost: ")[1].split()[0]) for line in host.lines
                if "spans lost: " in line]
        assert sum(told) == 20 and len(told) <= most_lines(since), host.report()


def test_messages_without_an_id_are_counted_in_the_one_line():
    since = time.monotonic()
    with Collector() as collector, begin("grpc", collector, SPAN_TTL="1s") as host:
        with Client(host.port) as client:
            client.hello()
            for _ in range(50):
                request(client, "")
            host.wait_line("messages ignored: [0-9]+ missing_id")
            client.ask("on-http-request", {"unique-id": "x" * 257, "method": "GET", "path": "/"})
        assert host.terminate() == 0
        assert host.count("does the frontend have unique-id-format") == 1
        assert 2 <= host.count("messages ignored") <= most_lines(since)
        assert host.count("messages ignored: .*1 long_id") == 1


def test_attributes_over_the_limit():
    """One line, and a counter."""
    with Collector() as collector, begin("grpc", collector,
                                         OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="2") as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(10):
                request(client, f"{i}")
            spans = collector.wait_spans(10)
            dropped = sum(span.dropped_attributes for span in spans)
            assert dropped >= 10
            assert total(host, "attributes_dropped_total") == dropped
        assert host.terminate() == 0
        assert host.count(r"a span was made without \d+ attributes") == 1
        assert f"attributes_dropped={dropped} " in host.text()


def test_requests_that_are_still_open_at_the_end():
    """No time to export them: they are among the losses that the last line tells, also those of the
    request that was ended last, for which the queue had no room."""
    with Collector(autostart=False) as collector, \
            begin("grpc", collector, SPOE_SHUTDOWN_TIMEOUT="5s", SPAN_QUEUE_MAX="3") as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(6):
                client.ask("on-http-request", {"unique-id": f"{i}", "method": "GET", "path": "/"})
        assert host.terminate() == 0
        host.wait_line("spans lost: 3 shutdown, 3 still_open")
        for loss in (" still_open=3 ", "lost_open=2 ", "lost_at_stop=3 "):
            assert loss in host.text()


# -- where to


@pytest.mark.parametrize("target", ["dns:///127.0.0.1:{port}", "ipv4:127.0.0.1:{port}",
                                    "unix://{unix}", "unix:{unix}"])
def test_targets_of_grpc(tmp_path, target):
    """3.9, W7: by OpenTelemetry's variable; before, spans went to localhost:4317."""
    with Collector(unix=tmp_path / "s") as collector:
        target = target.format(port=collector.port, unix=collector.unix)
        with begin("grpc", collector, OTEL_EXPORTER_OTLP_ENDPOINT=target) as host:
            host.wait_line(f"exporting to {target},")
            with Client(host.port) as client:
                client.hello()
                request(client, "one")
            collector.wait_spans(1)
            assert host.terminate() == 0
            assert "level=warning" not in host.text()


def test_an_endpoint_that_cannot_be_used_is_not_replaced_in_silence():
    with Collector() as collector, \
            begin("grpc", collector, SPOE_SHUTDOWN_TIMEOUT="1s",
                  OTEL_EXPORTER_OTLP_ENDPOINT="xds:///collector:4317") as host:
        host.wait_line("level=warning .*the endpoint that was set cannot be used, so spans go to the "
                       "default, localhost:4317")
        assert host.terminate() == 0


# -- a span to try it


def send_test_span(protocol, collector, **env):
    scheme = "https" if collector.tls else "http"
    return run([host_binary(), "--send-test-span"], env=clean_env({
        "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so", "OTEL_SERVICE_NAME": "edge",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://{collector.endpoint}", **env}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_send_test_span(protocol):
    """5.4"""
    with make_collector(protocol) as collector:
        status, out = send_test_span(protocol, collector)
        assert status == 0, out
        (span,) = collector.spans
        assert span.name == "spoe-host test span" and span.resource["service.name"] == "edge"
        assert f"has taken a test span, trace {span.trace_id}" in out
        # Also where the log is silent, as on a host that runs with it.
        status, out = send_test_span(protocol, collector, SPOE_LOG_LEVEL="warning")
        assert (status, out) == (0, "The test span was taken\n")
        if protocol == "grpc":
            collector.refuse(grpc.StatusCode.UNAUTHENTICATED, details="who?")
        else:
            collector.answer(401, {"Content-Type": "text/plain"}, b"who?")
        status, out = send_test_span(protocol, collector)
        assert status == 1 and collector.calls == 3 and "was taken" not in out
        assert re.search("has not taken a test span: .*: who\\?; are the headers those", out), out
    status, out = send_test_span(protocol, collector)
    assert status == 1 and "has not taken a test span: " in out


def test_send_test_span_where_nothing_is_sent():
    with Collector() as collector:
        status, out = send_test_span("grpc", collector, OTEL_TRACES_EXPORTER="none")
        assert status == 1 and "no spans are exported: traces-exporter is none" in out
        status, out = send_test_span("grpc", collector, SPOE_PLUGINS="slots.so",
                                     SPOE_PLUGIN_DIR=os.environ["SPOE_TEST_PLUGINS"])
        assert status == 1 and "no plugin that is loaded sends anything" in out
        assert collector.calls == 0


# -- proxies

PROXY_VARIABLES = ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"]


def export_one(host, collector):
    with Client(host.port) as client:
        client.hello()
        request(client, "one")
        collector.wait_spans(1)
    assert host.terminate() == 0
    assert "export to" not in host.text(), host.report()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


def tls_env(certs):
    return {"OTEL_EXPORTER_OTLP_CERTIFICATE": certs.path("ca")}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_proxy_variables_are_not_followed(protocol, tls, certs):
    with make_collector(protocol, tls=certs.server() if tls else None) as collector, \
            Proxy() as proxy:
        env = {name: proxy.url for name in PROXY_VARIABLES} | (tls_env(certs) if tls else {})
        with begin(protocol, collector, **env) as host:
            export_one(host, collector)
        assert proxy.connects == proxy.requests == []


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("protocol, variable", [
    ("grpc", "grpc_proxy"), ("grpc", "https_proxy"), ("grpc", "http_proxy"),
    ("http/protobuf", None), ("http/protobuf", "all_proxy")])
def test_use_proxy_follows_them(protocol, variable, tls, certs):
    """gRPC makes a tunnel in any case; over HTTP the scheme chooses the variable, and only TLS has
    a tunnel."""
    variable = variable or ("https_proxy" if tls else "http_proxy")
    with make_collector(protocol, tls=certs.server() if tls else None) as collector, \
            Proxy() as proxy:
        env = {variable: proxy.url} | (tls_env(certs) if tls else {})
        with begin(protocol, collector, OTLP_USE_PROXY="on", **env) as host:
            export_one(host, collector)
        if protocol == "grpc" or tls:
            assert proxy.connects == [collector.endpoint] and proxy.requests == []
        else:
            assert proxy.requests == [("POST", f"{collector.url}/v1/traces")]
            assert proxy.connects == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_use_proxy_follows_no_proxy(protocol):
    with make_collector(protocol) as collector, Proxy() as proxy:
        with begin(protocol, collector, OTLP_USE_PROXY="on", http_proxy=proxy.url,
                   no_proxy="127.0.0.1") as host:
            export_one(host, collector)
        assert proxy.connects == proxy.requests == []
