# SPDX-License-Identifier: Apache-2.0
"""The admin endpoint beside a real HAProxy: what it sends is what the pages say."""

from lib import admin
from lib.haproxy import HAProxy
from lib.procs import SpoeHost, wait_until

from conftest import host_env

REQUESTS = 20


def total(families, name, **labels):
    return families[name].total(**labels)


def test_metrics_and_status(binary, config, collector, origin):
    env = host_env(collector, SPOE_ADMIN_ADDR="127.0.0.1:0", BATCH_DELAY="100ms")
    with SpoeHost(env=env) as host:
        with HAProxy(binary, config, [host.port], origin.address) as proxy:
            for i in range(REQUESTS):
                assert proxy.get(f"/{i}").status == 200
            wait_until(lambda: total(admin.metrics(host), "spoe_otel_requests_ended_total",
                                     reason="response") >= REQUESTS, "the responses")
            status = admin.page(host, "/status")
            peers = [p for w in status["workers"] for p in w["peers"]]
            assert peers and {p["versions"] for p in peers} == {"2.0"}
            for peer in peers:  # tune.bufsize less HAProxy's own margin
                assert peer["frame_size"] == peer["max_frame_size"] > 10000
            wait_until(lambda: total(admin.metrics(host), "spoe_otel_spans_exported_total")
                       >= 2 * REQUESTS, "the export")
            families = admin.metrics(host)
        assert total(families, "spoe_otel_requests_opened_total") >= REQUESTS
        assert total(families, "spoe_otel_spans_opened_total", kind="client") >= REQUESTS
        assert total(families, "spoe_otel_spans_lost_total") == 0
        assert total(families, "spoe_host_hello_failures_total") == 0
        assert total(families, "spoe_host_protocol_errors_total") == 0
        assert total(families, "spoe_host_unknown_messages_total") == 0
        assert total(families, "spoe_host_truncated_actions_total") == 0
        assert total(families, "spoe_host_plugin_messages_total", plugin="otel") >= 3 * REQUESTS
        timed = families["spoe_host_handler_seconds"].select("spoe_host_handler_seconds_count")
        assert {dict(s.labels)["message"] for s in timed if s.value > 0} == {
            "on-http-request", "on-backend-http-request", "on-http-response"}
        assert host.terminate() == 0, host.report()
