# SPDX-License-Identifier: Apache-2.0
"""Issue 11, 3.2 to 3.4: traces, logs and metrics over OTLP, read back by tests/lib/otlp.py, which
shares no code with what writes them; a collector that does not take a signal, or does not answer for
it, costs the others nothing."""

import os

import grpc
import pytest

from lib import accounting, admin
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.lines import Sender, where
from lib.otlp import CUMULATIVE, DELTA
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
    wait_until(lambda: total(host, "log_records_exported_total") == exported, "the export")
    accounting.check_metrics(host)


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


def test_traces_do_not_pause():
    """3.4: a collector that takes none, told of once, and the next batch is tried all the same."""
    with Collector() as collector:
        collector.refuse(grpc.StatusCode.UNIMPLEMENTED, times=3)
        with begin("grpc", collector, OTEL_LOGS_EXPORTER="none") as host, Client(host.port) as client:
            client.hello()
            for i in range(3):
                request(client, f"{i}")
                wait_until(lambda i=i: total(host, "spans_lost_total", reason="not_retryable") == i + 1,
                           "the counter")
            request(client, "taken")
            collector.wait_spans(1)
            assert host.terminate() == 0
            assert host.count("takes no traces") == 1


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


# -- metrics


METRICS = {"OTEL_METRICS_EXPORTER": "otlp,prometheus", "OTEL_METRIC_EXPORT_INTERVAL": "100"}


def points(collector, name):
    """All data points of a metric that have come, in order."""
    return [(metric, point) for metric in collector.metrics.items if metric.name == name
            for point in metric.points]


def wait_points(collector, name, condition, what):
    return collector.metrics.wait(
        lambda metrics: condition([point for metric in metrics if metric.name == name
                                   for point in metric.points]), what)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics(protocol):
    """3.2: cumulative histograms with exemplars, and a monotonic sum; the same numbers as on /metrics."""
    with make_collector(protocol) as collector, begin(protocol, collector, **METRICS) as host:
        sender = Sender("udp", where(host, "udp"))
        for _ in range(3):
            sender.send(line())
        sender.send(line(503))
        name = "http.server.request.duration"
        wait_points(collector, name, lambda all: sum(p.count for p in all[-2:]) == 4, "four requests")
        metric, point = next((m, p) for m, p in reversed(points(collector, name))
                             if p.attributes["http.response.status_code"] == 200)
        assert (metric.kind, metric.unit, metric.temporality) == ("histogram", "s", CUMULATIVE)
        assert point.count == 3 and point.sum == pytest.approx(3.0) and point.bounds[0] == 0.005
        assert point.attributes["haproxy.frontend.name"] == "front"
        assert point.attributes["http.request.method"] == "GET"
        assert [(e.trace_id, e.span_id) for e in point.exemplars] == [(TRACE, SERVER_ID)]
        metric, point = points(collector, "haproxy.request.terminations")[-1]
        assert metric.kind == "sum" and point.value == 4 and metric.temporality == CUMULATIVE
        assert points(collector, "http.client.request.duration")
        spans = collector.wait_spans(8)
        assert metric.resource == spans[0].resource and metric.scope == spans[0].scope
        page = admin.metrics(host)["http_server_request_duration_seconds"]
        assert page.value("http_server_request_duration_seconds_count",
                          http_response_status_code="200") == 3
        assert host.terminate() == 0
        starts = {p.start for m in collector.metrics.items for p in m.points}
        assert len(starts) == 1, "of the meter"
        collector.metrics.check()


def test_metrics_by_delta():
    """3.2: each request once, in intervals that follow each other; what did not change is not sent."""
    with Collector() as collector, begin("grpc", collector, **METRICS,
                                         OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta") as host:
        sender = Sender("udp", where(host, "udp"))
        name = "http.server.request.duration"
        for i in range(5):
            sender.send(line())
            wait_points(collector, name, lambda all: sum(p.count for p in all) == i + 1, f"{i + 1}")
        assert host.terminate() == 0
        got = points(collector, name)
        assert len(got) == 5 and all(metric.temporality == DELTA for metric, _ in got)
        for (_, one), (_, two) in zip(got, got[1:]):
            assert one.time <= two.start < two.time
        collector.metrics.check()


def test_the_last_metrics_are_those_of_the_end():
    """An hour between two exports, and nothing is lost at SIGTERM."""
    with Collector() as collector, begin("grpc", collector, OTEL_METRICS_EXPORTER="otlp",
                                         OTEL_METRIC_EXPORT_INTERVAL="3600000") as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(7):
                request(client, f"{i}")
        assert host.terminate() == 0
        _, point = points(collector, "http.server.request.duration")[-1]
        assert point.count == 7


def test_no_metrics_unless_asked_for():
    """3.2: none over OTLP by default; none at all with none."""
    with Collector() as collector, begin("grpc", collector, OTEL_METRICS_EXPORTER="none") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            collector.wait_spans(1)
        families = admin.metrics(host)
        assert "http_server_request_duration_seconds" not in families
        assert families["spoe_otel_metric_points_total"].total() == 0
        assert host.terminate() == 0
        assert not collector.metrics.calls


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_without_metrics(protocol):
    """3.4: said once, and the two others flow."""
    with make_collector(protocol, signals=("traces", "logs")) as collector, \
            begin(protocol, collector, **METRICS) as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            host.wait_line("takes no metrics .*set OTEL_METRICS_EXPORTER=prometheus")
            for i in range(20):
                request(client, f"{i}")
            collector.wait_spans(21)
            collector.logs.wait_spans(21)
        assert total(host, "metric_points_lost_total", reason="unsupported") > 0
        assert host.terminate() == 0
        assert host.count("takes no metrics") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_at_once_and_one_stalls(protocol):
    """3.4: metrics and logs of a collector hang; spans flow, and the end is in time."""
    with make_collector(protocol) as collector:
        collector.metrics.hold()
        collector.logs.hold()
        with begin(protocol, collector, SPOE_SHUTDOWN_TIMEOUT="2s", **METRICS) as host:
            with Client(host.port) as client:
                client.hello()
                request(client, "first")
                collector.metrics.wait_held(1)
                collector.logs.wait_held(1)
                for i in range(30):
                    request(client, f"{i}")
                collector.wait_spans(31)
            assert host.terminate() == 0
            assert host.count("data points lost: .*shutdown") == 1
            assert host.count("spans lost") == 0


def test_each_signal_has_its_collector():
    """3.2: endpoint, protocol, headers and compression of each."""
    with Collector() as traces, HttpCollector() as logs, Collector() as metrics, \
            begin("grpc", traces, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{logs.url}/v1/logs",
                  OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/protobuf",
                  OTEL_EXPORTER_OTLP_LOGS_COMPRESSION="gzip",
                  OTEL_EXPORTER_OTLP_LOGS_HEADERS="who=logs",
                  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"http://{metrics.endpoint}",
                  OTEL_EXPORTER_OTLP_HEADERS="who=all", **METRICS) as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            traces.wait_spans(1)
            logs.logs.wait_spans(1)
            metrics.metrics.wait_calls(1)
        assert host.terminate() == 0
        assert logs.paths[0] == "/v1/logs"
        assert logs.logs.headers[0]["content-encoding"] == "gzip"
        assert logs.logs.headers[0]["who"] == "logs"
        assert traces.headers[0]["who"] == metrics.metrics.headers[0]["who"] == "all"
        assert not (traces.logs.calls or traces.metrics.calls or metrics.calls or logs.calls)


def test_a_default_and_a_name_are_told_for_each_collector():
    """A bad endpoint of one signal names it; collectors that are one are told of once."""
    with Collector() as collector, \
            begin("grpc", collector, OTEL_METRICS_EXPORTER="otlp", SPOE_SHUTDOWN_TIMEOUT="1s",
                  OTEL_EXPORTER_OTLP_ENDPOINT="xds:///c:1",
                  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="http://no-such-host.invalid:4317",
                  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://{collector.endpoint}") as host:
        host.wait_line("the endpoint that was set cannot be used, so data points go to the default, "
                       "localhost:4317")
        assert host.count("so spans go") == host.count("so log records go") == 0
        host.wait_line("exporting logs to no-such-host.invalid:4317")
        assert host.terminate() == 0
        host.wait_line("totals of logs: made=0 ")
        host.wait_line("totals of metrics: made=0 ")
