# SPDX-License-Identifier: Apache-2.0
"""What /metrics says: the host's own numbers after known traffic, and a plugin's."""

import contextlib
import os
import re
import time

import pytest

from lib import admin, prom
from lib.procs import wait_until
from lib.spop import disconnect_frame, frame, hello_frame

ON = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}


def test_parser_refuses_what_is_wrong():
    """The strict parser is a tool of these tests: it has to bite."""
    good = ("# HELP a_total x\n# TYPE a_total counter\na_total 1\n"
            "# HELP b x\n# TYPE b gauge\nb{l=\"1\"} -1\nb{l=\"\\\\ \\\" \\n\"} 2\n"
            "# HELP c_seconds x\n# TYPE c_seconds histogram\nc_seconds_bucket{le=\"1\"} 1\n"
            "c_seconds_bucket{le=\"+Inf\"} 2\nc_seconds_sum 3.5\nc_seconds_count 2\n")
    families = prom.parse(good)
    assert families["b"].value(l='\\ " \n') == 2
    for was, bad in [("a_total 1\n", "a_total 1"), ("a_total 1", "a_total -1"),
                     ("a_total 1", "a_total 1.5"), ("a_total 1", "a_total 1\na_total 1"),
                     ("a_total 1", "a_total{} 1"), ("a_total 1", "a_total 1 "),
                     ("a_total 1", "z_total 1"), ("# HELP b x\n", ""), ("# TYPE b gauge\n", ""),
                     ("b gauge", "b counter"), ("b gauge", "b untyped"), ("# HELP b", "# HELP 0"),
                     ('b{l="1"}', 'b{l="1",}'), ('b{l="1"}', 'b{l=1}'), ('b{l="1"}', 'b{l="a"b"}'),
                     ('b{l="1"}', 'b{l="\\t"}'), ('b{l="1"}', 'b{l="1",l="2"}'),
                     ('b{l="1"}', 'b{m="1"}'), ("\nb{", "\n\nb{"), ('le="1"} 1', 'le="1"} 3'),
                     ("count 2", "count 3"), ("c_seconds_sum 3.5\n", ""),
                     ('c_seconds_bucket{le="+Inf"} 2\n', ""), ('le="1"', 'le="x"'),
                     ("c_seconds_sum 3.5\nc_seconds_count 2\n",
                      "c_seconds_count 2\nc_seconds_sum 3.5\n"),
                     ("# HELP a_total x", "# HELP z_total x")]:
        assert was in good
        with pytest.raises((AssertionError, ValueError, AttributeError)):
            prom.parse(good.replace(was, bad, 1))


def test_counts_known_traffic(start, connect):
    host = start("slots", "pending", env=ON, args=["--workers", "2"])
    client = connect(host)
    client.hello()
    for _ in range(20):
        client.ask("slots", {"text": "x"})
    client.ask("pending", {"key": "k", "mode": "inline"})
    client.ask("nobody-knows", {})
    families = admin.metrics(host)

    def total(name, **labels):
        return families["spoe_host_" + name].total(**labels)

    assert total("connections_total") == total("hellos_total") == total("connections") == 1
    assert total("frames_total") == 23 and total("notifies_total") == total("acks_total") == 22
    assert total("messages_total") == 22 and total("unknown_messages_total") == 1
    assert total("pending_total") == 1 and total("timeouts_total") == 0
    assert total("plugin_messages_total", plugin="slots", message="slots") == 20
    assert total("plugin_messages_total", plugin="pending", message="pending") == 1
    assert total("plugin_pending_total", plugin="pending", message="pending") == 1
    assert total("received_bytes_total") > 500 and total("sent_bytes_total") > 500
    assert total("ready") == total("build_info") == 1 and total("workers") == 2
    assert total("max_connections") == 4096 and total("max_pending") == 10000
    assert [s.labels for s in families["spoe_host_connections"].samples] == [
        (("worker", "0"),), (("worker", "1"),)]
    # The 1st and the 17th message of a kind are timed.
    seconds = families["spoe_host_handler_seconds"]
    count = "spoe_host_handler_seconds_count"
    assert seconds.value(count, plugin="slots", message="slots") == 2
    assert seconds.value(count, plugin="pending", message="pending") == 1
    assert seconds.value("spoe_host_handler_seconds_sum", plugin="slots", message="slots") > 0
    build = dict(families["spoe_host_build_info"].samples[0].labels)
    assert build["version"] in host.lines[0] and build["abi"] == "1.1"


def test_numbers_are_those_of_the_totals(start, connect):
    """What the log says at the end and what the page said before: one set of counters."""
    renamed = {"bytes_in": "received_bytes", "bytes_out": "sent_bytes"}
    host = start("slots", "pending", env=ON)
    with connect(host) as client:
        client.hello(max_frame_size=20000)
        client.ask("slots", {"text": 7})  # of a wrong type
        client.ask("pending", {})  # without its required argument
        client.ask("pending", {"key": "x" * 17000, "mode": "inline"})
    with connect(host) as client:
        client.send(frame(200))
        client.hello()
    wait_until(lambda: admin.metrics(host)["spoe_host_connections"].total() == 0, "the close")
    families = admin.metrics(host)
    assert host.terminate() == 0
    line = host.wait_line(r'msg="totals: ([^"]+)"').group(1)
    if "requests=" in line:
        line = host.wait_line(r'component=host msg="totals: ([^"]+)"').group(1)
    checked = 0
    for word in line.split():
        name, value = word.split("=")
        if name in ("protocol_errors", "peer_errors"):
            continue
        family = families[f"spoe_host_{renamed.get(name, name)}_total"]
        assert family.total() == int(value), word
        checked += 1
    assert checked > 20


def test_the_process(start, connect):
    """As Prometheus' client libraries give it, beside what the kernel says from outside."""
    began = time.time()
    host = start("slots", env=ON)
    with contextlib.closing(admin.Connection(host.admin)) as connection:

        def values():
            families = prom.parse(connection.ask("/metrics").text)
            return {name[len("process_"):]: family.value() for name, family in families.items()
                    if name.startswith("process_")}

        first = values()
        with open(f"/proc/{host.pid}/limits", encoding="ascii") as file:
            soft_limit = re.search(r"^Max open files\s+(\d+)", file.read(), re.M).group(1)
        assert first["max_fds"] == int(soft_limit)
        assert first["open_fds"] == len(os.listdir(f"/proc/{host.pid}/fd"))
        assert 1 << 20 < first["resident_memory_bytes"] < first["virtual_memory_bytes"]
        assert 0 < first["cpu_seconds_total"] < 60
        assert began - 1 < first["start_time_seconds"] < time.time() + 1
        for _ in range(10):
            connect(host)
        wait_until(lambda: values()["open_fds"] == first["open_fds"] + 10, "ten more descriptors")
        assert values()["cpu_seconds_total"] > first["cpu_seconds_total"]
        assert values()["start_time_seconds"] == first["start_time_seconds"]


def codes(family):
    return {dict(s.labels)["code"]: s.value for s in family.samples if s.value}


def test_failures_by_code(start, connect):
    host = start("slots", env=ON, args=["--hello-timeout", "300ms"])
    for bad in (hello_frame(versions="9.9"), hello_frame(max_frame_size=10),
                hello_frame(capabilities=None)):
        client = connect(host)
        client.send(bad)
        client.recv_disconnect()
    connect(host).recv_disconnect()  # says nothing
    client = connect(host)
    client.hello()
    client.send(hello_frame())
    client.recv_disconnect()
    client = connect(host)
    client.hello()
    client.send(disconnect_frame(99, "no reason"))
    client.recv_disconnect()
    families = admin.metrics(host)
    assert codes(families["spoe_host_hello_failures_total"]) == {"2": 1, "7": 1, "8": 1, "9": 1}
    assert codes(families["spoe_host_protocol_errors_total"]) == {"4": 1}
    assert codes(families["spoe_host_peer_errors_total"]) == {"99": 1}
    assert families["spoe_host_hello_timeouts_total"].value() == 1


def test_timeouts_errors_and_refused_actions(start, connect):
    host = start("pending", "toobig", env=ON, args=["--processing-timeout", "20ms"])
    client = connect(host)
    client.hello()
    client.ask("pending", {"key": "k", "mode": "cancel"})
    host.wait_line("completes key=k")
    client.ask("pending", {"key": "k", "mode": "fail"})
    client.ask("pending", {})
    client.ask("toobig", {"size": 100000})
    families = admin.metrics(host)

    def of(name):
        return families[f"spoe_host_plugin_{name}_total"].value(plugin="pending", message="pending")

    assert (of("messages"), of("timeouts"), of("errors"), of("missing_arguments")) == (2, 1, 1, 1)
    assert families["spoe_host_timeouts_total"].value() == 1
    assert families["spoe_host_truncated_actions_total"].value() >= 1
    assert (families["spoe_host_refused_actions_total"].value()
            > families["spoe_host_truncated_actions_total"].value())  # the cancelled one's too


def test_refused_connections(start, connect):
    """1.4: one without anything to do makes a place; where none does, the new one is refused."""
    host = start("pending", env=ON, args=["--max-connections", "1", "--processing-timeout", "60s"])
    connect(host).hello()
    client = connect(host)
    client.hello()
    client.notify([("pending", {"key": "k", "mode": "hold"})])
    host.wait_line("waits key=k")
    assert connect(host).recv_frame() is None
    families = admin.metrics(host)
    assert families["spoe_host_refused_connections_total"].value() == 1
    assert families["spoe_host_evicted_connections_total"].value() == 1
    assert families["spoe_host_max_connections"].value() == 1


def test_a_plugins_metrics(start, connect):
    host = start("metrics", env=ON, args=["--workers", "1"])
    host.wait_line(r"refused -1 -1 -1")
    host.wait_line(r"late -7 -7")
    client = connect(host)
    client.hello()
    for label in ["a", "a", 'q"u\\o', "caf\u00e9", "", "five", "six", "seven", "a"]:
        client.ask("metrics", {"label": label})
    families = admin.metrics(host)
    labelled = families["spoe_the_metrics_labelled_total"]
    assert {dict(s.labels)["label"]: s.value for s in labelled.samples} == {
        "a": 3, 'q"u\\o': 1, "caf\u00e9": 1, "": 1, "five": 1, "other": 2}
    assert families["spoe_the_metrics_messages_total"].value() == 9
    assert families["spoe_the_metrics_in_flight"].value() == 0
    assert families["spoe_the_metrics_collected_total"].value() == 42
    assert families["spoe_the_metrics_scrapes"].value() == 1
    assert admin.metrics(host)["spoe_the_metrics_scrapes"].value() == 2
    sizes = families["spoe_the_metrics_label_bytes"]
    assert sizes.value("spoe_the_metrics_label_bytes_count") == 9
    assert sizes.value("spoe_the_metrics_label_bytes_bucket", le="1") == 4
    assert sizes.help == "Of the tests; \\ and\na line end."
    assert not any(re.search("late|no_suffix|wait_ms", name) for name in families)
    assert host.count("component=the-metrics .*no_suffix.*_total") == 1
    assert host.terminate() == 0
    assert "too early or too late" not in host.text()


def test_a_scrape_in_the_drain_does_not_call_a_stopped_plugin(start, connect):
    """The plugins are stopped in reverse order: `metrics` first, then the one that hangs."""
    host = start("stop_hangs", "metrics", env=ON, args=["--shutdown-timeout", "3s"])
    host.signal(15)
    wait_until(lambda: not host.alive() or scrape_once(host), "the end")
    host.wait()
    assert "too early or too late" not in host.text()


def scrape_once(host):
    try:
        admin.ask(host, "/metrics")
    except OSError:
        pass
    return False


def test_without_the_endpoint_a_plugin_counts_all_the_same(start, connect):
    host = start("metrics")
    client = connect(host)
    client.hello()
    client.ask("metrics", {"label": "x"})
    assert host.terminate() == 0
