# SPDX-License-Identifier: Apache-2.0
"""docs/alerts.yml by promtool: two instances, `a` well all the time and `b` with one thing wrong; the
alert for it fires, and for `b` alone. docs/alerts.md has a section for each. (5.1)"""

import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
FILE = SOURCE / "docs/alerts.yml"
RULES = {r["alert"]: r for g in yaml.safe_load(FILE.read_text())["groups"] for r in g["rules"]}

MINUTES = 70
WRONG_AT = 40  # from this minute on something is wrong with b
NEVER, ALWAYS = "0x70", "1x70"
STEADY = "0+600x70"       # a counter that goes on
STOPS = "0+600x40 24000x30"
BEGINS = "0x40 0+60x30"   # a counter of what should not happen

# What an instance that is well has. Values in promtool's notation, a sample a minute.
WELL = {
    "up": ALWAYS,
    "spoe_host_ready": ALWAYS,
    "spoe_host_start_time_seconds": "1700000000x70",
    "spoe_host_stalled_workers": NEVER,
    "spoe_host_main_stalled": NEVER,
    'spoe_host_plugin_health{plugin="otel",state="ready"}': ALWAYS,
    'spoe_host_plugin_health{plugin="otel",state="degraded"}': NEVER,
    'spoe_host_plugin_health{plugin="otel",state="down"}': NEVER,
    'spoe_host_connections{worker="0"}': "4x70",
    'spoe_host_connections{worker="1"}': "3x70",
    "spoe_host_max_connections": "4096x70",
    "spoe_host_hellos_total": "0+1x70",
    "spoe_host_health_checks_total": "0+30x70",
    "spoe_host_log_lines_total": STEADY,
    "spoe_host_messages_total": STEADY,
    'spoe_host_config_reloads_total{result="success"}': "0+1x70",
    'spoe_host_config_reloads_total{result="failure"}': NEVER,
    "spoe_host_log_lines_dropped_total": NEVER,
    "spoe_host_pending": "3x70",
    "spoe_host_max_pending": "10000x70",
    "spoe_host_refused_connections_total": NEVER,
    "spoe_host_unknown_messages_total": NEVER,
    "spoe_host_truncated_actions_total": NEVER,
    "spoe_host_misbehaviour_total": NEVER,
    'spoe_host_hello_failures_total{code="2"}': NEVER,
    'spoe_host_protocol_errors_total{code="4"}': NEVER,
    'spoe_host_plugin_messages_total{plugin="otel",message="m"}': STEADY,
    'spoe_host_plugin_timeouts_total{plugin="otel",message="m"}': NEVER,
    'spoe_host_plugin_errors_total{plugin="otel",message="m"}': NEVER,
    'spoe_host_handler_seconds_bucket{plugin="otel",message="m",le="0.0001"}': STEADY,
    'spoe_host_handler_seconds_bucket{plugin="otel",message="m",le="0.01"}': STEADY,
    'spoe_host_handler_seconds_bucket{plugin="otel",message="m",le="+Inf"}': STEADY,
    "process_open_fds": "50x70",
    "process_max_fds": "5000x70",
    "spoe_otel_spans_exported_total": STEADY,
    'spoe_otel_spans_lost_total{reason="queue_full"}': NEVER,
    # issue 11, 3.3, 3.1 and 1.6
    'spoe_otel_log_records_lost_total{reason="queue_full"}': NEVER,
    'spoe_otel_metric_points_lost_total{reason="gave_up"}': NEVER,
    "spoe_host_log_kernel_drops_total": NEVER,
    "spoe_host_log_room_drops_total": NEVER,
    "spoe_host_log_haproxy_drops_total": NEVER,
    'spoe_host_log_missing_lines_total{frontend="web"}': NEVER,
    'spoe_host_log_broken_lines_total{reason="value"}': NEVER,
    'spoe_host_log_broken_lines_total{reason="other"}': "0+1x70",  # HAProxy's own notices
    'spoe_otel_queue_spans{state="waiting"}': "5x70",
    'spoe_otel_queue_spans{state="in_flight"}': "5x70",
    "spoe_otel_queue_max_spans": "10000x70",
    "spoe_otel_queue_bytes": "5000x70",
    "spoe_otel_queue_max_bytes": "67108864x70",
    'spoe_otel_export_seconds_count{outcome="ok"}': "0+12x70",
    'spoe_otel_export_seconds_count{outcome="retryable"}': NEVER,
    'spoe_otel_export_seconds_bucket{outcome="ok",le="0.1"}': "0+12x70",
    'spoe_otel_export_seconds_bucket{outcome="ok",le="10"}': "0+12x70",
    'spoe_otel_export_seconds_bucket{outcome="ok",le="+Inf"}': "0+12x70",
    "spoe_otel_open_requests": "10x70",
    "spoe_otel_max_open_requests": "200000x70",
    "spoe_otel_open_requests_bytes": "10000x70",
    "spoe_otel_max_open_requests_bytes": "268435456x70",
    "spoe_otel_requests_opened_total": STEADY,
    'spoe_otel_requests_ended_total{reason="ttl"}': NEVER,
    'spoe_otel_ignored_messages_total{reason="unknown_id"}': NEVER,
    # issue 11, 3.5
    'http_server_request_duration_seconds_count{haproxy_frontend_name="web",error_type="503"}': NEVER,
    'http_server_request_duration_seconds_count{haproxy_frontend_name="web"}': STEADY,
    'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",le="0.1"}': STEADY,
    'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",le="5"}': STEADY,
    'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",le="+Inf"}': STEADY,
    # An upgraded connection lasts, and is nobody's delay.
    'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",le="0.1",'
    'http_response_status_code="101"}': NEVER,
    'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",le="+Inf",'
    'http_response_status_code="101"}': STEADY,
}

GONE = {name: "1x40 _x30" if value == ALWAYS else re.sub(r"x70$", "x40 _x30", value)
        for name, value in WELL.items()}

# What is wrong with b, by the alert that fires then.
WRONG = {
    "SpoeHostDown": {**GONE, "up": "1x40 0x30"},
    "SpoeHostNotReady": {"spoe_host_ready": "1x40 0x30"},
    "SpoeHostRestarts": {"spoe_host_start_time_seconds": "1x40 2x4 3x4 4x22"},
    "SpoeWorkerStalled": {"spoe_host_stalled_workers": "0x40 1x30"},
    "SpoeWorkerStalled ": {"spoe_host_main_stalled": "0x40 1x30"},
    "SpoePluginNotWell": {'spoe_host_plugin_health{plugin="otel",state="ready"}': "1x40 0x30",
                          'spoe_host_plugin_health{plugin="otel",state="degraded"}': "0x40 1x30"},
    "SpoeHAProxyNotConnected": {'spoe_host_connections{worker="0"}': "4x40 0x30",
                                'spoe_host_connections{worker="1"}': "3x40 0x30",
                                "spoe_host_hellos_total": "0+1x40 40x30",
                                "spoe_host_health_checks_total": "0+30x40 1200x30",
                                "spoe_host_messages_total": "0+1x70"},
    "SpoeNoTraffic": {"spoe_host_messages_total": STOPS},
    "SpoeConfigNotReloaded": {'spoe_host_config_reloads_total{result="failure"}': "0x60 1x10"},
    "SpoeLogLinesDropped": {"spoe_host_log_lines_dropped_total": BEGINS},
    "OtelSpansLost": {'spoe_otel_spans_lost_total{reason="queue_full"}': BEGINS},
    "OtelLogRecordsLost": {'spoe_otel_log_records_lost_total{reason="queue_full"}': BEGINS},
    "OtelMetricPointsLost": {'spoe_otel_metric_points_lost_total{reason="gave_up"}': BEGINS},
    "SpoeHAProxyLinesLost": {"spoe_host_log_kernel_drops_total": BEGINS},
    "SpoeHAProxyLinesLost ": {"spoe_host_log_room_drops_total": BEGINS},
    "SpoeHAProxyLinesLost  ": {"spoe_host_log_haproxy_drops_total": BEGINS},
    "SpoeHAProxyLinesLost   ": {'spoe_host_log_missing_lines_total{frontend="web"}': BEGINS},
    "SpoeHAProxyLinesLost    ": {'spoe_host_log_broken_lines_total{reason="value"}': BEGINS},
    "OtelQueueFillsUp": {'spoe_otel_queue_spans{state="waiting"}': "5x40 4996x30"},
    "OtelQueueFillsUp ": {"spoe_otel_queue_bytes": "5000x40 34000000x30"},
    "OtelExportsFail": {'spoe_otel_export_seconds_count{outcome="retryable"}': BEGINS},
    "OtelNothingExported": {"spoe_otel_spans_exported_total": STOPS},
    "OtelStoreFillsUp": {"spoe_otel_open_requests": "10x40 170000x30"},
    "OtelStoreFillsUp ": {"spoe_otel_open_requests_bytes": "10000x40 260000000x30"},
    "OtelRequestsWithoutResponse": {
        'spoe_otel_requests_ended_total{reason="ttl"}': "0x40 0+200x30"},
    "OtelMessagesIgnored": {
        'spoe_otel_ignored_messages_total{reason="unknown_id"}': "0x40 0+120x30"},
    "SpoeHandlersSlow": {
        'spoe_host_handler_seconds_bucket{plugin="otel",message="m",le="0.0001"}': STOPS},
    "SpoeAnswersTimeOut": {
        'spoe_host_plugin_timeouts_total{plugin="otel",message="m"}': BEGINS},
    "SpoePendingHigh": {"spoe_host_pending": "3x40 6000x30"},
    "SpoeConnectionsRefused": {'spoe_host_connections{worker="0"}': "4x40 4000x30"},
    "SpoeDescriptorsRunOut": {"process_open_fds": "50x40 4800x30"},
    "OtelExportSlow": {
        'spoe_otel_export_seconds_bucket{outcome="ok",le="0.1"}': "0+12x40 480x30"},
    "SpoeHandlerErrors": {'spoe_host_plugin_errors_total{plugin="otel",message="m"}': BEGINS},
    "SpoeMessagesUnknown": {"spoe_host_unknown_messages_total": BEGINS},
    "SpoeHelloFailures": {'spoe_host_hello_failures_total{code="2"}': BEGINS},
    "SpoeProtocolErrors": {'spoe_host_protocol_errors_total{code="4"}': BEGINS},
    "SpoeAnswersTruncated": {"spoe_host_truncated_actions_total": BEGINS},
    "HttpErrorRatio": {'http_server_request_duration_seconds_count{haproxy_frontend_name="web",'
                       'error_type="503"}': "0x40 0+60x30"},
    "HttpSlow": {'http_server_request_duration_seconds_bucket{haproxy_frontend_name="web",'
                 'le="0.1"}': STOPS},
    "SpoePluginMisbehaves": {"spoe_host_misbehaviour_total": "0x60 1x10"},
}


def series(instance, values, job="spoe-host"):
    for name, text in values.items():
        metric, _, labels = name.rstrip("}").partition("{")
        labels = ",".join([f'job="{job}"', f'instance="{instance}"', *filter(None, [labels])])
        yield {"series": f"{metric}{{{labels}}}", "values": text}


def check(tmp_path, input_series, cases):
    """cases: [(minute, {(alert, instance)}]; those fire then and no others."""
    tests = [{"expr": 'group by (alertname, instance) (ALERTS{alertstate="firing"})',
              "eval_time": f"{minute}m",
              "exp_samples": [{"labels": "{" + f'alertname="{alert}"'
                               + (f',instance="{instance}"' if instance else "") + "}", "value": 1}
                              for alert, instance in sorted(firing)]}
             for minute, firing in cases]
    file = tmp_path / "test.json"  # YAML has all of JSON
    file.write_text(json.dumps({
        "rule_files": [str(FILE)], "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": list(input_series), "promql_expr_test": tests}]}))
    done = subprocess.run(["promtool", "test", "rules", file], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_rules_are_rules():
    done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", FILE], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_none_is_left_out():
    assert {name.strip() for name in WRONG} | {"SpoeHostAbsent"} == set(RULES)


@pytest.mark.parametrize("alert", WRONG)
def test_it_fires_for_the_instance_that_it_is_about(alert, tmp_path):
    check(tmp_path, [*series("a", WELL), *series("b", {**WELL, **WRONG[alert]})],
          [(WRONG_AT - 5, set()), (MINUTES - 1, {(alert.strip(), "b")})])


def test_a_host_that_is_sent_lines_alone(tmp_path):
    """HAProxy does not connect to it at all (issue 11, 5.1)."""
    lines = {'spoe_host_connections{worker="0"}': NEVER, 'spoe_host_connections{worker="1"}': NEVER,
             "spoe_host_hellos_total": NEVER, "spoe_host_health_checks_total": NEVER}
    check(tmp_path, [*series("a", {**WELL, **lines, "spoe_host_log_lines_total": STOPS}),
                     *series("b", {**WELL, **lines, "spoe_host_log_lines_total": NEVER})],
          [(MINUTES - 1, {("SpoeHAProxyNotConnected", "b")})])


def test_a_host_of_another_job_that_has_been_up(tmp_path):
    """And a target that never was a spoe-host is none of ours."""
    check(tmp_path, [*series("a", WELL), *series("b", WRONG["SpoeHostDown"], job="mine"),
                     *series("c", {"up": "0x70"}, job="other"),
                     *series("d", {"up": "0x70"}, job="spoe-host")],
          [(MINUTES - 1, {("SpoeHostDown", "b"), ("SpoeHostDown", "d")})])


def test_no_host_at_all(tmp_path):
    check(tmp_path, series("c", {"up": ALWAYS}, job="other"),
          [(MINUTES - 1, {("SpoeHostAbsent", None)})])


def test_each_has_a_section_of_the_runbook():
    sections = re.findall(r"^### (\w+)$", (SOURCE / "docs/alerts.md").read_text(), re.M)
    assert sorted(sections) == sorted(RULES)
    for name, rule in RULES.items():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")
