# SPDX-License-Identifier: Apache-2.0
"""The otel plugin's metrics after known requests and a known collector; the dashboard and the alert
rules name nothing that a real page does not have; every metric is on the page that explains them."""

import json
import os
import pathlib
import re

import grpc
import pytest
import yaml

from lib import admin
from lib.collector import Collector
from lib.procs import ReservedPort, SpoeHost, wait_until
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
NAME = re.compile(r"\b(?:spoe_host|spoe_otel|process|http_server_re(?:quest|sponse)|http_client_request"
                  r"|haproxy_request)_[a-z0-9_]+")


def begin(endpoint, **env):
    env = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
           "SPOE_PROCESSING_TIMEOUT": "10s", "OTLP_ENDPOINT": endpoint, **env}
    return SpoeHost(env=env)


def request(client, key, backend=True, response=True):
    client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/"})
    if backend:
        client.ask("on-backend-http-request", {"unique-id": key, "be_name": "b"})
    if response:
        client.ask("on-http-response", {"unique-id": key, "status": 200})


def of(families, name, **labels):
    return families["spoe_otel_" + name].total(**labels)


def test_requests_and_spans():
    with Collector() as collector, begin(collector.endpoint) as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(3):
                request(client, f"full-{i}")
            request(client, "alone", backend=False)
            request(client, "open", response=False)
            client.ask("on-http-request", {"unique-id": "open", "method": "GET", "path": "/"})
            client.ask("on-http-response", {"unique-id": "nobody's", "status": 200})
            client.ask("on-http-request", {"unique-id": "", "method": "GET", "path": "/"})
        # 7.1: unknown is what nobody claims for a second
        families = wait_until(lambda: (lambda f: f if of(f, "ignored_messages_total",
                                                         reason="unknown_id") else None)(
                                                             admin.metrics(host)), "unknown_id")
        assert of(families, "messages_total", message="request") == 7
        assert of(families, "messages_total", message="backend") == 4
        assert of(families, "messages_total", message="response") == 5
        assert of(families, "requests_opened_total") == 5
        assert of(families, "requests_ended_total", reason="response") == 4
        assert of(families, "requests_ended_total") == 4 and of(families, "open_requests") == 1
        assert of(families, "spans_opened_total", kind="server") == 5
        assert of(families, "spans_opened_total", kind="client") == 4
        assert of(families, "ignored_messages_total", reason="duplicate_id") == 1
        assert of(families, "ignored_messages_total", reason="unknown_id") == 1
        assert of(families, "ignored_messages_total", reason="missing_id") == 1
        assert of(families, "ignored_messages_total") == 3
        assert of(families, "spans_queued_total") == 7
        assert of(families, "queue_max_spans") == 10000
        assert of(families, "max_open_requests") == 200000
        collector.wait_spans(7)
        wait_until(lambda: of(admin.metrics(host), "spans_exported_total") == 7, "the export")
        families = admin.metrics(host)
        assert of(families, "queue_spans") == 0 and of(families, "spans_lost_total") == 0
        assert of(families, "sampled_requests_total", sampled="true") == 5
        assert of(families, "sampled_requests_total", sampled="false") == 0
        seconds = families["spoe_otel_export_seconds"]
        assert seconds.value("spoe_otel_export_seconds_count", outcome="ok") >= 1
        assert seconds.value("spoe_otel_export_seconds_sum", outcome="ok") > 0
        assert of(families, "batches_total") >= 1 and of(families, "export_retries_total") == 0
        assert host.terminate() == 0


def test_sampled_and_not():
    with Collector() as collector, begin(collector.endpoint,
                                         OTEL_TRACES_SAMPLER="always_off") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "k")
        families = admin.metrics(host)
        assert of(families, "sampled_requests_total", sampled="false") == 1
        assert of(families, "sampled_requests_total", sampled="true") == 0
        assert of(families, "spans_opened_total") == of(families, "spans_queued_total") == 0
        assert host.terminate() == 0


def test_every_loss_has_its_reason():
    with Collector() as collector, begin(collector.endpoint, SPAN_QUEUE_MAX="2",
                                         SPAN_STORE_MAX="3") as host:
        collector.refuse(grpc.StatusCode.INVALID_ARGUMENT, times=1)
        collector.hold()  # until the queue has been full
        with Client(host.port) as client:
            client.hello()
            for i in range(4):
                request(client, f"open-{i}", backend=False, response=False)
            families = admin.metrics(host)
            assert of(families, "ignored_messages_total", reason="store_full") == 1
            assert of(families, "spans_lost_total") == 0  # 3.6: no span was made
            assert of(families, "max_open_requests") == of(families, "open_requests") == 3
            for i in range(3):
                client.ask("on-http-response", {"unique-id": f"open-{i}", "status": 200})
        lost = admin.metrics(host)["spoe_otel_spans_lost_total"]
        assert lost.value(reason="queue_full") == 1
        collector.release()
        wait_until(lambda: of(admin.metrics(host), "spans_lost_total", reason="not_retryable") == 2,
                   "the refusal")
        families = admin.metrics(host)
        assert families["spoe_otel_export_seconds"].value(
            "spoe_otel_export_seconds_count", outcome="not_retryable") == 1
        assert of(families, "spans_exported_total") == 0
        assert host.terminate() == 0


def test_an_absent_collector_is_seen():
    with ReservedPort() as nobody, begin(nobody.address, SPOE_SHUTDOWN_TIMEOUT="3s") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "one")
            # 3.1: what waits for its retry is parked, and in no other state
            wait_until(lambda: of(admin.metrics(host), "queue_spans", state="parked") == 2,
                       "the failed attempt")
            assert of(admin.metrics(host), "queue_bytes") > 0
            assert of(admin.metrics(host), "queue_max_bytes") == 64 * 1024 * 1024
        wait_until(lambda: admin.metrics(host)["spoe_otel_export_seconds"].value(
            "spoe_otel_export_seconds_count", outcome="retryable") > 0, "its failure")
        assert host.terminate() == 0


@pytest.mark.parametrize("env", [
    {"SAMPLER": "always_off", "KEEP_ERRORS": "on"},
    {"SAMPLER": "always_off", "KEEP_SLOWER_THAN": "1h"}, {"SPAN_TTL": "1s"}, {"TRACES_EXPORTER": "none"},
    {"SPAN_QUEUE_MAX": "2"}, {"SPAN_STORE_MAX": "1"},
])
def test_spans_add_up(env):
    """3.6, O5: whatever becomes of them, with requests open at the end. terminate() checks it."""
    with Collector() as collector, begin(collector.endpoint, **env) as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(6):
                key = f"k-{i}"
                client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/"})
                if i % 2:
                    client.ask("on-backend-http-request", {"unique-id": key, "be_name": "b"})
                if i < 4:
                    status = 503 if i == 1 else 200
                    client.ask("on-http-response", {"unique-id": key, "status": status})
            if "SPAN_TTL" in env:
                wait_until(lambda: of(admin.metrics(host), "open_spans") == 0, "the eviction")
            elif "SPAN_STORE_MAX" not in env:
                assert of(admin.metrics(host), "open_spans") == 3
        assert of(admin.metrics(host), "spans_opened_total") > 0
        assert host.terminate() == 0


def test_a_request_that_expires():
    with Collector() as collector, begin(collector.endpoint, SPAN_TTL="1s") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "k", response=False)
            wait_until(lambda: of(admin.metrics(host), "requests_ended_total", reason="ttl") == 1,
                       "the eviction")
            assert of(admin.metrics(host), "open_requests") == 0
        assert host.terminate() == 0


def test_a_plugin_that_is_disabled():
    with begin("127.0.0.1:1", OTEL_SDK_DISABLED="true") as host:
        with Client(host.port) as client:
            client.hello()
            request(client, "k")
        families = admin.metrics(host)
        assert of(families, "messages_total") == of(families, "open_requests") == 0
        assert families["spoe_host_plugin_messages_total"].total(plugin="otel") == 3
        assert host.terminate() == 0


# ---- what the documentation names

def whole_request(client, key, backend, status=503):
    """Issue 11, 3.1: messages with all that metrics can have."""
    client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/", "fe_name": "web",
                                   "ssl_fc": True, "ver": "1.1", "http.route": "/{id}"})
    client.ask("on-backend-http-request", {"unique-id": key})
    client.ask("on-http-response", {
        "unique-id": key, "status": status, "be_name": backend, "srv_name": "app1", "bc_dst_port": 80,
        "bc_dst": "10.0.0.1", "req_size": 1, "res_size": 2, "term_state": "SH--"})


@pytest.fixture(scope="module")
def families():
    with begin("127.0.0.1:1", SPOE_SHUTDOWN_TIMEOUT="1s", METRIC_SERIES_MAX="16") as host:
        with Client(host.port) as client:
            client.hello()
            for i in range(10):  # too many, so that there is an overflow as well
                whole_request(client, f"k-{i}", f"backend-{i}", 101 if i == 1 else 503)
        yield admin.metrics(host)


def series_names(families):
    """The names that an expression may use."""
    for family in families.values():
        if family.kind == "histogram":
            yield from (family.name + suffix for suffix in ("_bucket", "_sum", "_count"))
        else:
            yield family.name


def expressions(value):
    """Every text below a key that holds PromQL."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("expr", "query") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def labels_used(expression):
    """(metric, label, value) of every selector in braces, where the value is a plain one."""
    for name, inner in re.findall(r"((?:spoe|process|http|haproxy)_[a-z0-9_]+)\{([^}]*)\}", expression):
        for label, operator, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', inner):
            # != "": that there is one
            yield name, label, value if operator in ("=", "!=") and value else None


@pytest.mark.parametrize("file,least", [("grafana-dashboard.json", 20), ("alerts.yml", 15)])
def test_names_and_labels_exist(families, file, least):
    text = (SOURCE / "docs" / file).read_text()
    data = json.loads(text) if file.endswith(".json") else yaml.safe_load(text)
    found = [e for e in expressions(data) if NAME.search(e)]
    assert len(found) >= least
    known = set(series_names(families))
    target = {"job", "instance"}  # Prometheus adds these
    for expression in found:
        assert set(NAME.findall(expression)) <= known, expression
        for name, label, value in labels_used(expression):
            family = families.get(name) or families[re.sub(r"_(bucket|sum|count)$", "", name)]
            pairs = [p for s in family.samples for p in s.labels]
            assert label in target or label in dict(pairs), expression
            assert label in target or value is None or (label, value) in pairs, expression
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            used = [families.get(n) or families[re.sub(r"_(bucket|sum|count)$", "", n)]
                    for n in NAME.findall(expression)]
            for label in labels.split(", "):
                assert label in target or any(label in dict(s.labels) for f in used
                                              for s in f.samples), expression


def test_alerts_have_what_an_operator_needs():
    rules = [r for g in yaml.safe_load((SOURCE / "docs/alerts.yml").read_text())["groups"]
             for r in g["rules"]]
    assert len({r["alert"] for r in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical"), rule
        assert rule["annotations"]["summary"], rule


def test_panels_say_what_they_show():
    dashboard = json.loads((SOURCE / "docs/grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    for panel in panels:
        assert panel["title"] and (panel["type"] == "row" or panel["description"]), panel


# What the dashboard may do without, and why.
WITHOUT_PANEL = {
    "process_start_time_seconds": "spoe_host_start_time_seconds marks restarts",
    "process_virtual_memory_bytes": "memory in use is shown",
    "spoe_host_acks_total": "messages are shown",
    "spoe_host_config_reloads_total": "whoever reloads looks at it",
    "spoe_host_control_changes_total": "whoever changes something looks at it",
    "spoe_host_config_last_reload_success_timestamp_seconds": "likewise",
    "spoe_host_frames_total": "messages are shown",
    "spoe_host_notifies_total": "messages are shown",
    "spoe_host_unknown_frames_total": "HAProxy sends none",
    "spoe_host_handler_errors_total": "shown by plugin",
    "spoe_host_missing_arguments_total": "shown by plugin",
    "spoe_host_timeouts_total": "shown by plugin",
    "spoe_host_committed_total": "of what is shown as late",
    "spoe_host_pending_total": "what is pending is shown",
    "spoe_host_plugin_pending_total": "what is pending is shown",
    "spoe_host_hello_timeouts_total": "in the failures, which are shown",
    "spoe_host_log_bytes_total": "lines are shown",
    "spoe_host_log_connections_total": "their connections are shown",
    "spoe_host_max_open_files": "process_max_fds is shown",
    "spoe_host_misbehaviour_total": "a bug: has an alert",
    "spoe_host_plugin_health": "of those plugins that say something: has an alert",
    "spoe_otel_messages_total": "shown by plugin and message",
    "spoe_otel_open_spans": "open requests are shown",
    "spoe_otel_queue_bytes": "the queue's spans are shown",
    "spoe_otel_queue_max_bytes": "the queue's spans are shown",
    "spoe_otel_spans_unsampled_total": "for the sum of all spans",
    "spoe_otel_spans_discarded_total": "for the sum of all spans",
    "spoe_otel_spans_superseded_total": "for the sum of all spans",
    "spoe_otel_open_requests_bytes": "open requests are shown",
    "spoe_otel_max_open_requests_bytes": "open requests are shown",
    "spoe_otel_remembered_requests": "late responses are shown among the spans",
    "spoe_otel_log_records_total": "not exported unless asked for",
    "spoe_otel_log_records_exported_total": "not exported unless asked for",
    "spoe_otel_log_records_lost_total": "not exported unless asked for",
    "spoe_otel_queue_log_records": "not exported unless asked for",
    "spoe_otel_metric_points_total": "not exported unless asked for",
    "spoe_otel_metric_points_exported_total": "not exported unless asked for",
    "spoe_otel_metric_points_lost_total": "not exported unless asked for",
    "spoe_otel_queue_metric_points": "not exported unless asked for",
    "spoe_otel_early_messages": "what of them is lost is shown among the ignored messages",
}


def test_every_metric_is_on_the_dashboard(families):
    dashboard = json.loads((SOURCE / "docs/grafana-dashboard.json").read_text())
    shown = {name for e in expressions(dashboard) for name in NAME.findall(e)}
    missing = {name for name, family in families.items()
               if NAME.match(name) and not shown.intersection(series_names({name: family}))}
    assert missing == set(WITHOUT_PANEL)


def test_panels_do_not_overlap():
    panels = json.loads((SOURCE / "docs/grafana-dashboard.json").read_text())["panels"]
    places = [(x, y) for g in (p["gridPos"] for p in panels)
              for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])]
    assert len(set(places)) == len(places) and max(places)[0] < 24


def test_every_metric_is_explained(families):
    """docs/metrics.md has each name in its tables, and no other."""
    documented = {n for n in re.findall(r"^\| `([a-z0-9_]+)[`{]|, `([a-z0-9_]+)`",
                                        (SOURCE / "docs/metrics.md").read_text(), re.M)
                  for n in n if NAME.fullmatch(n)}
    ours = {n for n in families if NAME.fullmatch(n)}
    assert documented == ours, f"only in the page {documented - ours}, not in it {ours - documented}"
