# SPDX-License-Identifier: Apache-2.0
"""Issue 11, 3.2 to 3.4: traces, logs and metrics over OTLP, read back by tests/lib/otlp.py, which
shares no code with what writes them; a collector that does not take a signal, or does not answer for
it, costs the others nothing."""

import os

import grpc
import pytest

from lib import admin
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.lines import Sender, where
from lib.procs import SpoeHost, wait_until
from lib.spop import Client

PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
PROTOCOLS = ["grpc", "http/protobuf"]
TRACE, SERVER_ID, CLIENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1112131415161718"


def make_collector(protocol, **more):
    return Collector(**more) if protocol == "grpc" else HttpCollector(**more)


def begin(protocol, collector, **env):
    return SpoeHost(env={
        "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
        "SPOE_LOG_ADDR": "udp:127.0.0.1:0", "SPOE_LOG_DELAY": "1ms",
        "SPOE_PROCESSING_TIMEOUT": "10s", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoint}",
        "OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_BLRP_SCHEDULE_DELAY": "20",
        "OTEL_LOGS_EXPORTER": "otlp", **env})


def request(client, key, status=200, path="/cart"):
    client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": path,
                                   "fe_name": "front"})
    client.ask("on-http-response", {"unique-id": key, "status": status, "be_name": "back"})


def line(status=200, flags="01", more="", text=None):
    """A line of HAProxy's log; with a text it is one of RFC 5424."""
    pairs = (f"v=1 tp=00-{TRACE}-{CLIENT_ID}-{flags} sid={SERVER_ID} cid={CLIENT_ID} "
             f"t0=1700000000000000 te=1700000001000000 tR=0 ta=1000 tw=2 tc=3 tr=4 st={status} "
             f'ts=---- m=GET hv=HTTP/1.1 fe=front be=back srv=s1 u="/pay?card=1" {more}').strip()
    if text is None:
        return f"<134>{pairs}"
    return f"<134>1 2026-11-27T20:00:00.000000+00:00 h haproxy 77 - [spoe {pairs}] {text}"


def total(host, name, **labels):
    return admin.metrics(host)["spoe_otel_" + name].total(**labels)


def wait_adds_up(host, exported):
    """3.4: each log record is in one place; so many have arrived."""
    seen = {}

    def adds_up():
        families = admin.metrics(host)

        def of(name):
            return families["spoe_otel_" + name].total()

        seen.update(made=of("log_records_total"), exported=of("log_records_exported_total"),
                    lost=of("log_records_lost_total"), queue=of("queue_log_records"))
        return (seen["made"] == seen["exported"] + seen["lost"] + seen["queue"]
                and seen["exported"] == exported)

    wait_until(adds_up, lambda: f"log records to add up: {seen}")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_log_records_of_messages(protocol):
    """3.3: one for each request, with its span's ids; severity by status, a body of its own."""
    with make_collector(protocol) as collector, begin(protocol, collector) as host:
        with Client(host.port) as client:
            client.hello()
            for i, status in enumerate((200, 302, 404, 503)):
                request(client, f"{i}", status)
            spans = {span.span_id: span for span in collector.wait_spans(4)}
            logs = collector.logs.wait_spans(4)
        assert [(log.body, log.severity, log.severity_text) for log in logs] == [
            ("GET /cart 200", 9, "INFO"), ("GET /cart 302", 9, "INFO"),
            ("GET /cart 404", 13, "WARN"), ("GET /cart 503", 17, "ERROR")]
        for log in logs:
            span = spans.pop(log.span_id)
            assert log.trace_id == span.trace_id and log.flags == span.flags & 0xFF
            assert log.time == span.end and log.observed >= span.start
            assert log.attributes.items() >= span.attributes.items()
            assert log.resource == span.resource and log.scope == span.scope
        wait_adds_up(host, exported=4)
        assert host.terminate() == 0
        collector.check()
        collector.logs.check()


def test_log_records_of_lines():
    """3.3: of a line, with the user's own text where it brings one, whatever bytes are in it; CLIENT's
    part of HAProxy's is there as well."""
    with Collector() as collector, begin("grpc", collector) as host:
        sender = Sender("udp", where(host, "udp"))
        sender.send(line())
        (log,) = collector.logs.wait_spans(1)
        assert (log.trace_id, log.span_id, log.flags) == (TRACE, SERVER_ID, 1)
        assert log.body == "GET /pay 200", "without the query"
        assert log.time == 1700000001000000000
        assert log.attributes["haproxy.backend.name"] == "back"
        assert log.attributes["haproxy.time.connect"] == 3
        sender.send(line(503, text='1.2.3.4 - "GET /pay" 503 caf\xe9'.encode("latin1").decode("latin1")))
        log = collector.logs.wait_spans(2)[1]
        assert log.body == '1.2.3.4 - "GET /pay" 503 caf\xe9' and log.severity_text == "ERROR"
        sender.sock.send(line(text="caf").encode() + b"\xe9\n")
        assert collector.logs.wait_spans(3)[2].body == "caf�"
        sender.send(line(text="x" * 20000, more="a=b=c"))
        assert collector.logs.wait_spans(4)[3].body == "x" * 16384
        assert host.terminate() == 0
        collector.logs.check()


def test_unsampled_requests_are_logged():
    """3.3: of every request, its span or not: of messages and of lines."""
    with Collector() as collector, begin("grpc", collector, SAMPLER="always_off") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one", 503)
        Sender("udp", where(host, "udp")).send(line(404, flags="00"))
        logs = collector.logs.wait_spans(2)
        assert sorted((log.body, log.flags & 1) for log in logs) == [
            ("GET /cart 503", 0), ("GET /pay 404", 0)]
        assert total(host, "spans_exported_total") == 0
        assert host.terminate() == 0
        assert not collector.calls


def test_no_log_records_unless_asked_for():
    with Collector() as collector, begin("grpc", collector, OTEL_LOGS_EXPORTER="none") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            collector.wait_spans(1)
        assert total(host, "log_records_total") == 0
        assert host.terminate() == 0
        assert not collector.logs.calls


@pytest.mark.parametrize("protocol,said", [("grpc", "UNIMPLEMENTED"), ("http/protobuf", "HTTP 404")])
def test_a_collector_without_logs(protocol, said):
    """3.4: said once, with what to set; counted; spans go on."""
    with make_collector(protocol, signals=("traces",)) as collector, begin(protocol, collector) as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "first")
            text = host.wait_line(r"level=warning .*takes no logs .*").group(0)
            assert said in text and "set OTEL_LOGS_EXPORTER=none" in text
            for i in range(20):
                request(client, f"{i}")
            collector.wait_spans(21)
            wait_until(lambda: total(host, "log_records_lost_total", reason="unsupported") == 21,
                       "the counter")
        wait_adds_up(host, exported=0)
        assert host.terminate() == 0
        assert host.count("takes no logs") == 1
        assert host.count("log records lost: .*unsupported") >= 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("stalls", ["traces", "logs"])
def test_a_signal_that_stalls(protocol, stalls):
    """3.4: the collector does not answer for one of them: the other one flows, and the process ends
    in time."""
    with make_collector(protocol) as collector:
        stalled, flows = ((collector, collector.logs) if stalls == "traces"
                          else (collector.logs, collector))
        stalled.hold()
        with begin(protocol, collector, SPOE_SHUTDOWN_TIMEOUT="2s") as host:
            with Client(host.port) as client:
                client.hello()
                for i in range(30):
                    request(client, f"{i}")
                    flows.wait_spans(i + 1)
                stalled.wait_held(1)
            assert host.terminate() == 0
            assert not stalled.spans
            lost = "spans lost" if stalls == "traces" else "log records lost"
            assert host.count(f"{lost}: .*shutdown") == 1


def test_limits_of_logs_are_their_own():
    """3.4: a queue of ten, retries of a second; spans have theirs."""
    with Collector() as collector:
        collector.logs.refuse(grpc.StatusCode.UNAVAILABLE, times=1000)
        with begin("grpc", collector, OTEL_BLRP_MAX_QUEUE_SIZE="10", LOGS_RETRY_TIMEOUT="1s",
                   OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="5") as host:
            with Client(host.port) as client:
                client.hello()
                for i in range(100):
                    request(client, f"{i}")
                collector.wait_spans(100)
                wait_until(lambda: total(host, "log_records_lost_total", reason="gave_up"),
                           "batches that were given up")
            assert total(host, "log_records_lost_total", reason="queue_full") > 0
            wait_adds_up(host, exported=0)
            assert total(host, "spans_lost_total") == 0
            assert host.count("export of logs to .* failed: UNAVAILABLE.* log records wait") == 1
            assert host.terminate() == 0
