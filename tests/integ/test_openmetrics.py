# SPDX-License-Identifier: Apache-2.0
"""Issue 11, 3.2: /metrics as OpenMetrics, and what plugins do by spoe.metrics/2. Two readers that are
not ours look at it: promtool at the text format, a Prometheus that scrapes at both forms."""

import re

import pytest

from lib import admin, openmetrics, prom
from lib.prometheus import Prometheus, promtool_check

ON = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"

GOOD = ("# HELP a x\n# TYPE a counter\na_total 1\n"
        "# HELP b \\\"x\\\"\n# TYPE b gauge\nb{l=\"1\"} -1\nb{l=\"\\\\ \\\" \\n#}\"} 2\n"
        "# HELP c_seconds x\n# TYPE c_seconds histogram\n# UNIT c_seconds seconds\n"
        "c_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"ab\"} 0.5 1.5\n"
        "c_seconds_bucket{le=\"+Inf\"} 2\nc_seconds_sum 3.5\nc_seconds_count 2\n# EOF\n")


def test_parser_refuses_what_is_wrong():
    """The strict parser is a tool of these tests: it has to bite."""
    assert openmetrics.parse(GOOD)["c_seconds"].exemplars()[0][1].value == 0.5
    for was, bad in [("# EOF\n", ""), ("# EOF\n", "# EOF\n# EOF\n"), ("# EOF\n", "# EOF"),
                     ("a_total 1", "a 1"), ("a_total 1", "a_total -1"), ("TYPE b", "TYPE a_total"),
                     ("\\\"x\\\"", "\"x\""), ("UNIT c_seconds seconds", "UNIT c_seconds bytes"),
                     ('le="1.0"', 'le="1"'), ("} 0.5 1.5", "} 1.5 1.5"), ("} 0.5 1.5", "}"),
                     ('trace_id="ab"', 'trace_id="' + "a" * 121 + '"'), ("count 2", "count 1"),
                     ("b{l=\"1\"} -1", "b{l=\"1\"} -1 # {} 1"), ("b gauge", "b untyped"),
                     ("gauge", "counter"), ("c_seconds_sum 3.5\n", ""), ("b gauge\n", "b gauge\n\n"),
                     ("# HELP b", "# HELP a"), ("# TYPE b gauge\n", "# TYPE b gauge\n# HELP b y\n"),
                     ("# HELP b \\\"x\\\"\n# TYPE b gauge\nb{l=\"1\"} -1\nb{",
                      "# HELP a_total \\\"x\\\"\n# TYPE a_total gauge\na_total{l=\"1\"} -1\na_total{")]:
        assert was in GOOD
        with pytest.raises((AssertionError, ValueError, AttributeError, KeyError)):
            openmetrics.parse(GOOD.replace(was, bad, 1))


def pages(host):
    """The page in both forms."""
    plain = admin.ask(host, "/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    both = admin.ask(host, "/metrics", headers={"Accept": "application/openmetrics-text"})
    assert both.status == 200 and both.headers["Content-Type"] == OPEN
    return plain.text, both.text


def names(families):
    return {re.sub("_total$", "", name) for name in families}


def test_both_forms_have_the_same(start, connect):
    host = start("metrics", "metrics_two", env=ON)
    client = connect(host)
    client.hello()
    for label in ("a", "b", "c", "longer than all bounds"):
        client.ask("metrics-two", {"label": label})
    plain, both = pages(host)
    assert "trace_id" not in plain
    families, opened = prom.parse(plain), openmetrics.parse(both)
    assert names(families) == names(opened)
    assert promtool_check(plain) == ""
    # a gauge and a counter that differ by "_total" alone
    assert opened["spoe_host_connections"].kind == "gauge"
    assert opened["spoe_host_connections_total"].kind == "unknown"
    assert opened["process_cpu_seconds"].kind == "counter"
    assert opened["process_cpu_seconds"].unit == "seconds"
    assert opened["spoe_host_frames"].value("spoe_host_frames_total") == 5
    assert host.terminate() == 0


def test_a_plugins_own_names_exemplars_and_overflow(start, connect):
    host = start("metrics_two", env=ON)
    client = connect(host)
    client.hello()
    for label in ("a", "b", "c", "d", "longer than all bounds"):
        client.ask("metrics-two", {"label": label})
    plain, both = pages(host)
    families, opened = prom.parse(plain), openmetrics.parse(both)
    total = families["http_messages_total"]
    assert total.value(label="a") == total.value(label="b") == 1
    assert total.value(too_many="true") == 3
    two = families["http_two"]
    assert two.value(half="even") == 2 and two.value(odd="") == 3
    found = opened["spoe_metrics_two_label_bytes"].exemplars()
    assert [dict(s.labels)["le"] for s, _ in found] == ["1.0", "+Inf"]
    assert found[0][1].labels == {"trace_id": "0a" + "00" * 14 + "0b", "span_id": "0c" + "00" * 7}
    assert [e.value for _, e in found] == [1, 22]
    assert host.terminate() == 0


def test_a_name_that_two_plugins_claim_stops_the_start(start):
    host = start("metrics_two", "metrics_taken", env=ON, wait=False)
    assert host.wait() != 0
    assert host.count("metric http_messages_total: the name is taken") == 1
    assert host.count("plugin metrics-taken .*a metric that it declares is another's") == 1


def test_prometheus_takes_the_page_with_its_exemplars(start, connect):
    """The whole page, as it asks for it itself: no part is refused, exemplars arrive."""
    host = start("metrics", "metrics_two", env=ON)
    client = connect(host)
    client.hello()
    client.ask("metrics-two", {"label": "abc"})
    with Prometheus(host.admin) as server:
        found = server.wait("query_exemplars", "an exemplar", query="spoe_metrics_two_label_bytes_bucket",
                            start="0", end="9999999999")
        assert found[0]["exemplars"][0]["labels"]["trace_id"] == "0a" + "00" * 14 + "0b"
        value = server.wait("query", "the counter", query="http_messages_total")
        assert value[0]["metric"]["label"] == "abc" and value[0]["value"][1] == "1"
        assert server.wait("query", "up", query="up == 1")
        metadata = server.wait("metadata", "metadata", metric="process_cpu_seconds")
        assert metadata["process_cpu_seconds"][0]["type"] == "counter"
        targets = server.wait("targets", "targets")["activeTargets"]
        assert [t["lastError"] for t in targets] == [""]
    assert host.terminate() == 0
