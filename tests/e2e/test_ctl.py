# SPDX-License-Identifier: Apache-2.0
"""13.3: `spoe-host ctl` beside a real HAProxy: what it changes is what the next requests do; one traced
request, by messages and by log lines. What it says to whom: tests/integ/test_ctl.py. HAProxy's version makes no
difference here: `run` has these tests run with one of them."""

import json

import pytest
from lib import admin
from lib.log_proxy import CONTEXT, OtelBothProxy, OtelLogProxy
from lib.procs import Proc, SpoeHost, clean_env, host_binary, run, wait_until

from conftest import host_env

UNSAMPLED = "00-11111111111111111111111111111111-b7ad6b7169203331-00"


class Controlled:
    def __init__(self, tmp, collector, **env):
        self.host = SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env={
            **host_env(collector, BATCH_DELAY="20ms", **env), "SPOE_ADMIN_ADDR": f"unix:{tmp}/admin"})
        self.place = ["--socket", f"{tmp}/admin"]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                assert self.host.terminate() == 0, self.host.report()
        finally:
            self.host.kill()

    def ctl(self, *words):
        status, text = run([host_binary(), "ctl", *self.place, *words], env=clean_env())
        assert status == 0, text
        return text

    def trace(self):
        return Proc([host_binary(), "ctl", *self.place, "trace"], env=clean_env())

    def status(self):
        return admin.page(f"unix:{self.place[1]}", "/status")


@pytest.fixture
def begin(tmp, collector):
    return lambda **env: Controlled(tmp, collector, **env)


def paths(collector):
    return sorted(span.attributes["url.path"] for span in collector.spans if span.kind == "SERVER")


def test_status_says_what_the_page_says(begin, binary, tmp, origin, collector):
    with begin() as it, OtelBothProxy(binary, tmp, origin.address, it.host) as proxy:
        proxy.get("/a", traceparent=CONTEXT)
        wait_until(lambda: "works" in it.status()["plugins"][0]["status"], "the export")
        page = json.loads(it.ctl("--json", "status"))
        now = it.status()
        for name in ("version", "state", "connections", "max_connections", "plugins"):
            assert page[name] == now[name], name
        text = it.ctl("status")
        lines = [line.split() for line in text.splitlines()]
        assert text.startswith(f"spoe-host {now['version']}, ready, up ")
        assert ["otel", "ready"] in lines, text
        assert f"traces to {collector.endpoint}: works" in text
        assert "log lines 1, " in text and "2 exported, 0 wait, 0 retries" in text, text


def test_set_changes_what_the_next_requests_do(begin, binary, tmp, origin, collector):
    with begin(SAMPLER="traceidratio", SAMPLER_ARG="0") as it, \
            OtelBothProxy(binary, tmp, origin.address, it.host) as proxy:
        def sampled(path):
            proxy.get(path)
            return int(origin.requests[-1].header("traceparent")[-2:], 16) & 1 == 1

        assert not sampled("/before")
        it.ctl("set", "otel.sampler-arg", "1")
        assert sampled("/after")
        it.ctl("set", "otel.exclude-paths", "/private/*,/exact")
        proxy.get("/private/x")
        proxy.get("/exact")
        assert sampled("/exact/not")
        it.ctl("set", "otel.sampler-arg", "0")
        assert not sampled("/at-last")
        collector.wait_spans(4)
        # The level: changes are logged as notices.
        it.host.wait_line("changed by uid .*sampler-arg = 0 ")
        mark = it.host.mark()
        it.ctl("set", "host.log-level", "warning")
        it.ctl("set", "otel.redact-query", "none")
        it.ctl("set", "host.log-level", "info")
        it.host.wait_line("level=notice .*changed by uid .*host.log-level = info", start=mark)
        assert it.host.count("changed by", start=mark) == 1
    assert paths(collector) == ["/after", "/exact/not"]


# By messages the agent's sampler decides; by lines alone HAProxy's rules do, here not to.
@pytest.mark.parametrize("proxy_of,way", [(OtelBothProxy, "messages"), (OtelLogProxy, "lines")])
def test_one_request_is_traced(begin, binary, tmp, origin, collector, proxy_of, way):
    never = [] if way == "messages" else [("set-var(txn.f) int(3)", "set-var(txn.f) int(2)"),
                                          (",hex2i,and(3) if", ",hex2i,and(2) if")]
    with begin(SAMPLER="traceidratio", SAMPLER_ARG="0") as it, \
            proxy_of(binary, tmp, origin.address, it.host, never) as proxy:
        proxy.get("/before")
        with it.trace() as trace:
            header = trace.wait_line(r"^traceparent: (00-([0-9a-f]{32})-([0-9a-f]{16})-01)$")
            proxy.get("/other", traceparent=UNSAMPLED)
            assert proxy.get("/this?a=1", traceparent=header.group(1)).status == 200
            trace.wait_line(r"^  target    /this\?a=REDACTED$")
            trace.wait_line(r"^  status    200$")
            trace.wait_line(r"^  exported  true$")
            assert trace.wait() == 0
        server, client = sorted(collector.wait_spans(2), key=lambda span: span.kind, reverse=True)
        assert (server.kind, client.kind) == ("SERVER", "CLIENT")
        assert (server.trace_id, server.parent_id) == (header.group(2), header.group(3))
        assert client.parent_id == server.span_id
        told = origin.requests[-1].header("traceparent")
        assert told == f"00-{client.trace_id}-{client.span_id}-0{'1' if way == 'messages' else '0'}"
        proxy.get("/again", traceparent=header.group(1))
    assert paths(collector) == ["/this"]
