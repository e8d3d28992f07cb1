# SPDX-License-Identifier: Apache-2.0
"""Whether the bench's programs work; nothing here is measured.

Environment: SPOE_TEST_BUILD_DIR.
"""

import argparse
import functools
import json
import os
import re
import sys

import pytest

from lib import procs
from lib.origin import Origin

os.environ["BENCH_BUILD_DIR"] = os.environ["SPOE_TEST_BUILD_DIR"]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import addresses  # noqa: E402
import agents  # noqa: E402
import instructions  # noqa: E402
import log_way  # noqa: E402
import markdown  # noqa: E402
import plugin_rows  # noqa: E402

REQUESTS = 500


def check(result, messages=3 * REQUESTS):
    assert result["messages"] == messages
    assert result["lost"] == 0
    assert result["cpu_us"] >= 0 and result["rss"] > 0
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["p999_us"]


@pytest.mark.parametrize("start", [
    agents.floor, functools.partial(agents.floor, threads=2), agents.nothing,
], ids=["floor", "floor with two threads", "nothing"])
def test_agents_answer_what_the_load_expects(start):
    with start() as agent:
        check(agents.measure(agent, 4, 16, REQUESTS))
        check(agents.measure(agent, 16, 1, REQUESTS, rate=20000))


@pytest.fixture(name="collector")
def _collector():
    with agents.Collector() as collector:
        yield collector
        assert collector.terminate() == 0


def test_every_span_of_otel_is_counted(collector):
    with agents.otel(collector, env={"BATCH_DELAY": "100ms"}) as agent:
        check(agents.measure(agent, 4, 16, REQUESTS))
        check(agents.measure(agent, 2, 8, REQUESTS))
    assert collector.count() == 4 * REQUESTS


def test_endless_lifts_every_limit():
    status, text = procs.run([agents.program("spoe-host"), "--plugin-info", "otel"])
    assert status == 0, text
    limits = set(re.findall(r"environment (SPAN_(?:QUEUE|STORE)_(?:MAX|BYTES))", text))
    assert limits == {*agents.ENDLESS, "SPAN_STORE_MAX"}  # this one the parts set, by what they open


def test_the_collector_keeps_the_memory_of_a_request(collector):
    batches = 40
    with agents.otel(collector, env=agents.ENDLESS) as agent:
        agents.measure(agent, 4, 16, 256 * batches)
        before = agents.page_faults(collector.pid)
        agents.measure(agent, 4, 16, 256 * batches)
        # of the 50 pages of a batch
        assert agents.page_faults(collector.pid) - before < 8 * batches


def test_a_collector_gives_way():
    with agents.Collector(gives_way=True) as collector:
        assert os.getpriority(os.PRIO_PROCESS, collector.pid) == 19
        assert os.sched_getaffinity(collector.pid) == agents.LOAD_CORES
        group = agents.autogroup(collector.pid)
        if os.access(group, os.W_OK):
            with open(group, encoding="ascii") as file:  # "/autogroup-25 nice 19", sched(7)
                assert file.read().split()[-1:] in (["19"], [])
        assert collector.terminate() == 0


def test_open_requests_stay_open_until_the_end(collector):
    with agents.otel(collector, env={"SPAN_TTL": "1h"}) as agent:
        assert agents.load(agent, 4, 16, REQUESTS, open_only=True)["messages"] == REQUESTS
        assert collector.count() == 0
    assert collector.wait_count(REQUESTS) == REQUESTS  # ended, as incomplete, by the stop


def test_a_lost_span_voids_a_measurement(collector):
    env = {"SPAN_QUEUE_MAX": 2, "BATCH_DELAY": "1h", "BATCH_MAX": 2, "OTLP_ENDPOINT": "127.0.0.1:1"}
    with agents.otel(collector, env=env) as agent:
        with pytest.raises(agents.Failure, match="spans are lost"):
            agents.measure(agent, 1, 1, 8, quiet=1)
        agent.proc.kill()


def test_http_load_is_answered():
    with Origin() as origin:
        argv = [agents.program("http-load"), "--connect", origin.address, "--connections", "4"]
        status, out = procs.run([*argv, "--requests", REQUESTS, "--rate", 5000])
    assert status == 0, out
    result = json.loads(out)
    assert result["requests"] == REQUESTS and 0 < result["p50_us"] <= result["p99_us"]


@pytest.mark.parametrize("kind", ["floor", "nothing", "otel"])
def test_lines_are_taken_and_their_spans_counted(collector, kind):
    with log_way.start(kind, collector) as agent:
        for rate in (None, 20000):
            result = log_way.measure(agent, REQUESTS, rate)
            assert result["taken"] + result["lost"] == REQUESTS and result["taken"] > 0
            assert result["cpu_us"] > 0


def test_bursts_of_requests_are_answered():
    with Origin() as origin:
        argv = [agents.program("http-load"), "--connect", origin.address, "--connections", "8"]
        status, out = procs.run([*argv, "--requests", 96, "--rate", 5000, "--burst", 16])
    assert status == 0, out
    assert json.loads(out)["requests"] == 96


def test_callgrind_output_is_read(tmp_path):
    path = tmp_path / "callgrind.out"
    path.write_text(
        "events: Ir\n\nob=(1) /bin/spoe-host\nfl=(1) /src/host/spop/decode.c\nfn=(1) get\n5 10\n"
        "+2 5\ncfn=(2) memcpy\ncob=(2) /lib/libc.so.6\ncalls=3 7\n* 30\n\nob=(2)\nfl=(2) ???\n"
        "fn=(2)\n0 30\n",
        encoding="ascii",
    )
    own, inclusive = instructions.parse(path)
    assert own == {
        ("/bin/spoe-host", "/src/host/spop/decode.c", "get"): 15,
        ("/lib/libc.so.6", "???", "memcpy"): 30,
    }
    assert inclusive == {"get": 45, "memcpy": 30}


def test_instructions_are_shown_beside_earlier_ones(capsys):
    old = {"total": 50.0, "parts": {"codec": 50.0}, "inclusive": {"a message": 40.0}}
    new = {"total": 40.0, "parts": {"codec": 40.0}, "inclusive": {"a message": 30.0},
           "nothing": 16.0}
    for base in (None, old, {**new, "nothing": 32.0}):
        instructions.show(new, base)
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if "nothing:" in line]
    assert shown == [["nothing:", "all", "16"], ["nothing:", "all", "16"],
                     ["nothing:", "all", "16", "before", "32", "(-50.0", "%)"]]
    line = "- the host with the do-nothing plugin: 16"
    assert markdown.instructions({"instructions": new}).endswith(f"\n\n{line}")
    assert "do-nothing" not in markdown.instructions({"instructions": old})


class Rows:
    """What a part needs of the bench."""

    def __init__(self):
        self.rows = []
        self.options = argparse.Namespace(rounds=1)

    def row(self, name, value, target=None, unit="x", note=""):
        self.rows.append((name, value, target))


def test_rows_of_mirror_and_auth_request():
    """12.4"""
    rows = Rows()
    plugin_rows.mirror(rows, None, arguments=["200"])
    plugin_rows.auth(rows, None, questions=20)
    plugin_rows.reload(rows, None, prefixes=2000, rounds=1, questions=100)
    assert len(rows.rows) == 2 + 2 + 3 and all(value > 0 for _, value, _ in rows.rows)
    with pytest.raises(agents.Failure, match="wrote"):
        plugin_rows.mirror(rows, None, program="/bin/true")


def test_rows_of_addresses():
    """12.4: or why there are none, where the plugin is not built."""
    bench = Rows()
    rows = bench.rows

    if not os.path.exists(agents.program("ip-lookup")):
        with pytest.raises(agents.Failure, match="ip-lookup"):
            addresses.lookups(bench, None)
        return
    addresses.lookups(bench, None, arguments=["2000"])
    assert len(rows) == 8 and all(value > 0 for _, value, _ in rows)
    assert {target for _, _, target in rows} == {3, 5, 128}
    with pytest.raises(agents.Failure, match="wrote"):
        addresses.lookups(bench, None, program="/bin/true")
