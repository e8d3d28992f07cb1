# SPDX-License-Identifier: Apache-2.0
"""Metrics of requests beside a real HAProxy, in each of the three ways (issue 11, 3.1, 3.2): every request
is counted once, whether sampled or not; exemplars are spans that were exported."""

import pytest
from lib import admin, openmetrics
from lib.haproxy import HAProxy
from lib.log_proxy import OtelBothProxy, OtelLogProxy
from lib.prometheus import promtool_check
from lib.procs import SpoeHost, wait_until

from conftest import host_env

UNSAMPLED = "00-11111111111111111111111111111111-b7ad6b7169203331-00"
RULES = ("    default_backend web-app", """    http-request deny if { path /deny }
    use_backend none if { path /none }
    default_backend web-app

backend none from traced-backend
    server none 127.0.0.1:1 disabled
""")


def begin(collector, **env):
    return SpoeHost(["--log-listen", "udp:127.0.0.1:0"],
                    env=host_env(collector, BATCH_DELAY="20ms", **env))


def page(host):
    answer = admin.ask(host, "/metrics", headers={"Accept": "application/openmetrics-text"})
    return openmetrics.parse(answer.text)


def counts(families, name, *labels):
    """{(values of labels): count} of a histogram or a counter."""
    family, suffix = families.get(name), "_count"
    if family is None:
        return {}
    if family.kind == "counter":
        suffix = "_total"
    found = {}
    for sample in family.samples:
        if sample.name == name + suffix:
            key = tuple(dict(sample.labels).get(label) for label in labels)
            found[key] = found.get(key, 0) + sample.value
    return found


def wait_count(host, n):
    """The page, when n requests are counted; more would be seen at the next look, below."""
    def there():
        families = page(host)
        total = sum(counts(families, "http_server_request_duration_seconds", "x").values())
        return families if total >= n else None

    return wait_until(there, lambda: f"{n} requests: {host.report()}")


def expect_exemplars_of(families, collector, name, kind):
    """Each is a span of that kind that the collector got."""
    found = families[name].exemplars()
    assert found
    for sample, exemplar in found:
        its = exemplar.labels
        wait_until(lambda its=its: [s for s in collector.spans
                                    if (s.trace_id, s.span_id, s.kind)
                                    == (its["trace_id"], its["span_id"], kind)],
                   f"the span of {sample}")


SERVER = ("haproxy_frontend_name", "haproxy_backend_name", "http_response_status_code", "error_type")
CLIENT = ("haproxy_server_name", "server_address", "server_port", "http_response_status_code")


@pytest.mark.parametrize("both", [False, True], ids=["log", "both"])
def test_with_lines(binary, tmp, origin, collector, both):
    proxy_class = OtelBothProxy if both else OtelLogProxy
    env = {"SAMPLER": "parentbased_always_on"} if both else {}
    with begin(collector, **env) as host:
        with proxy_class(binary, tmp, origin.address, host, [RULES]) as proxy:
            for i in range(3):
                assert proxy.get(f"/{i}").status == 200
            for _ in range(2):
                assert proxy.get("/x", traceparent=UNSAMPLED).status == 200
            assert proxy.get("/deny").status == 403
            assert proxy.get("/none").status == 503
            families = wait_count(host, 7)
            assert counts(families, "http_server_request_duration_seconds", *SERVER) == {
                ("web", "web-app", "200", None): 5, ("web", "web", "403", None): 1,
                ("web", "none", "503", "503"): 1}
            assert counts(families, "http_client_request_duration_seconds", *CLIENT) == {
                ("app1", "127.0.0.1", str(origin.port), "200"): 5}
            states = counts(families, "haproxy_request_terminations", "haproxy_termination_state")
            assert states.pop(("PR",)) == 1 and states.pop(("SC",)) == 1 and states == {("--",): 5}
            for side in ("request", "response"):
                assert sum(counts(families, f"http_server_{side}_body_size_bytes", "x").values()) == 7
            expect_exemplars_of(families, collector, "http_server_request_duration_seconds", "SERVER")
            expect_exemplars_of(families, collector, "http_client_request_duration_seconds", "CLIENT")
            assert promtool_check(admin.ask(host, "/metrics").text) == ""
        assert host.terminate() == 0, host.report()


def test_with_messages(binary, config, origin, collector):
    with begin(collector, SAMPLER="parentbased_always_on") as host:
        with HAProxy(binary, config, [host.port], origin.address) as proxy:
            before = sum(counts(page(host), "http_server_request_duration_seconds", "x").values())
            for i in range(3):
                assert proxy.get(f"/{i}").status == 200
            for _ in range(2):
                assert proxy.get("/x", {"traceparent": UNSAMPLED}).status == 200
            families = wait_count(host, before + 5)
            found = counts(families, "http_server_request_duration_seconds", *SERVER[:3],
                           "network_protocol_version")
            assert sum(found.values()) == before + 5
            assert {key[2:] for key in found} == {("200", "1.1")}
            assert all(key[0] and key[1] for key in found)
            clients = counts(families, "http_client_request_duration_seconds", *CLIENT[1:])
            assert clients == {("127.0.0.1", str(origin.port), "200"): before + 5}
            expect_exemplars_of(families, collector, "http_server_request_duration_seconds", "SERVER")
            expect_exemplars_of(families, collector, "http_client_request_duration_seconds", "CLIENT")
        assert host.terminate() == 0, host.report()
