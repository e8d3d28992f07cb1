# SPDX-License-Identifier: Apache-2.0
"""The otel plugin when messages do not come as one would wish: before their request over other
connections (7.1), after its end (6.1), or more of them than there is room for (3.2, 3.3)."""

import itertools
import os

import pytest

from lib import admin
from lib.collector import Collector
from lib.procs import SpoeHost, wait_until
from lib.spop import Client

PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def begin(collector, **env):
    env = {"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
           "SPOE_PROCESSING_TIMEOUT": "10s", "OTLP_ENDPOINT": collector.endpoint,
           "BATCH_DELAY": "10ms", **env}
    return SpoeHost(env=env)


def of(host, name, **labels):
    return admin.metrics(host)["spoe_otel_" + name].total(**labels)


def messages(key, **more):
    return [("on-http-request", {"unique-id": key, "method": "GET", "path": "/" + key, **more}),
            ("on-backend-http-request", {"unique-id": key, "method": "GET"}),
            ("on-http-response", {"unique-id": key, "status": 200, "srv_name": "app1"})]


def test_every_order_over_other_connections():
    """7.1, V1: whatever overtakes what, each request has both spans, and nothing is unknown."""
    orders = list(itertools.permutations(range(3)))
    with Collector() as collector, begin(collector, SPOE_WORKERS="2", SPAN_REORDER="30s") as host:
        with Client(host.port) as a, Client(host.port) as b, Client(host.port) as c:
            clients = [a, b, c]
            for client in clients:
                client.hello()
            for one in messages("first"):
                a.ask(*one)
            for n, order in enumerate(orders):
                key = f"order-{n}"
                for at, which in enumerate(order):
                    ack = clients[at].ask(*messages(key)[which])
                    if which == 0:
                        assert "traceparent" in ack.variables
                    elif 0 not in order[:at]:
                        assert not ack.variables, "answered at once, with nothing"
            spans = collector.wait_spans(2 * (len(orders) + 1))
        assert of(host, "ignored_messages_total", reason="unknown_id") == 0
        for n in range(len(orders)):
            (server,) = [s for s in spans if s.attributes.get("url.path") == f"/order-{n}"
                         and s.kind == "SERVER"]
            (client,) = [s for s in spans if s.parent_id == server.span_id]
            assert client.attributes["http.response.status_code"] == 200
            assert server.start <= client.start <= client.end <= server.end
        assert host.terminate() == 0


@pytest.mark.parametrize("status", [200, 500])
def test_a_late_response(status):
    """6.1, W2: SERVER and CLIENT are incomplete, and the outcome is a span of its own."""
    with Collector() as collector, begin(collector, SPAN_TTL="1s") as host:
        with Client(host.port) as client:
            client.hello()
            request, backend, response = messages("slow")
            client.ask(*request)
            client.ask(*backend)
            spans = collector.wait_spans(2)
            assert of(host, "remembered_requests") == 1
            client.ask(response[0], {**response[1], "status": status})
            spans = collector.wait_spans(3)
        (server,) = [s for s in spans if s.kind == "SERVER"]
        (late,) = [s for s in spans if s.name == "late response"]
        assert server.attributes["haproxy.incomplete"] is True
        assert (late.kind, late.parent_id, late.trace_id) == ("INTERNAL", server.span_id,
                                                              server.trace_id)
        assert late.attributes["http.response.status_code"] == status
        assert late.attributes["haproxy.server.name"] == "app1"
        assert late.status == ("ERROR" if status == 500 else "UNSET")
        assert late.end >= late.start >= server.end
        assert of(host, "spans_opened_total", kind="internal") == 1
        assert of(host, "ignored_messages_total", reason="unknown_id") == 0
        assert host.terminate() == 0


@pytest.mark.parametrize("limit", [{"SPAN_STORE_MAX": "10"}, {"SPAN_STORE_BYTES": "65536"}])
def test_requests_that_never_end_cost_nobody_a_context(limit):
    """3.2, 3.3, A6, A9, O2: bounded in number and bytes, and everybody is answered."""
    with Collector() as collector, begin(collector, **limit) as host:
        with Client(host.port) as client:
            client.hello()
            large = {f"a{i}": "v" * 1000 for i in range(8)}
            for i in range(30):
                ack = client.ask(*messages(f"never-{i}", **large)[0])
                assert "traceparent" in ack.variables
            assert of(host, "ignored_messages_total", reason="store_full") > 0
            assert of(host, "open_requests_bytes") <= of(host, "max_open_requests_bytes")
            ack = client.ask(*messages("good", traceparent=PARENT, **large)[0])
            assert ack.variables["traceparent"] == PARENT
            assert ack.variables["sampled"] is False
            assert not client.ask(*messages("good")[1]).variables
            client.ask(*messages("good")[2])
            ack = client.ask(*messages("new", **large)[0])
            assert ack.variables["traceparent"].endswith("-00")
            assert of(host, "events_total", event="refused_later") == 2
        assert host.terminate() == 0


def test_eviction_does_not_wait_for_the_export():
    """3.4, O3: a collector that accepts and never answers, and no limit to wait for it."""
    with Collector() as collector, begin(collector, SPAN_TTL="1s", OTLP_TIMEOUT="0",
                                         SPAN_QUEUE_MAX="2", SPOE_SHUTDOWN_TIMEOUT="2s") as host:
        collector.hold()
        with Client(host.port) as client:
            client.hello()
            for i in range(6):
                client.ask(*messages(f"k-{i}")[0])
            wait_until(lambda: of(host, "open_requests") == 0, "the eviction")
            assert of(host, "requests_ended_total", reason="ttl") == 6
            assert of(host, "spans_lost_total", reason="queue_full") >= 4
        collector.release()
        assert host.terminate() == 0
