# SPDX-License-Identifier: Apache-2.0
"""What the host writes, and the recipes of docs/recipes.md, at work: who is sampled, what is counted, what
one's own log looks like (issue 11, 1.8 and 5.2). That HAProxy accepts them all: test_config.py."""

import os
import re
import socket

import pytest
from lib import admin
from lib.haproxy_config import printed
from lib.lines import where
from lib.log_proxy import LogProxy
from lib.origin import SLOW_BODY
from lib.procs import LIMIT, SpoeHost, wait_until
from lib.recipes import recipes

from conftest import host_env

SITE = """
    http-request deny if { path /deny }
    use_backend dead if { path /dead }
    default_backend web-app

backend dead from traced-backend
    retries 0
    server dead "${DEAD_ADDR}"
"""
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"


def written(version, options):
    """For this HAProxy, its example with requests that HAProxy answers itself."""
    main, _ = printed("log", "3.1" if version >= (3, 1) else "2.6", env=options)
    assert "    default_backend web-app\n" in main
    return main.replace("    default_backend web-app\n", SITE)


def begin(collector, **options):
    env = host_env(collector, BATCH_DELAY="20ms", **options)
    return SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env=env)


def requests_counted(host):
    """By the metrics of requests, before sampling."""
    family = admin.metrics(host).get("http_server_request_duration_seconds")
    counts = family.select(f"{family.name}_count") if family else []
    return sum(sample.value for sample in counts)


def test_only_errors_and_slow_requests(binary, version, tmp, collector, origin, refusing):
    """Nothing is sampled; errors and what is slow are kept; all is counted."""
    options = {"SAMPLER": "always_off", "KEEP_ERRORS": "on", "KEEP_SLOWER_THAN": "10s"}
    with begin(collector, **options) as host:
        env = {"AGENT_LOG_ADDR": where(host, "udp"), "APP_ADDR": origin.address,
               "DEAD_ADDR": f"127.0.0.1:{refusing.port}"}
        with LogProxy(binary, tmp, written(version, options), env) as proxy:
            for path, status in (("/x", 200), ("/dead", 503), ("/deny", 403)):
                assert proxy.get(path, traceparent=PARENT + "1").status == status
            wait_until(lambda: requests_counted(host) == 3, lambda: f"three requests{host.report()}")
            wait_until(lambda: len(collector.spans) >= 2, lambda: f"two spans{host.report()}")
        assert host.terminate() == 0
    assert origin.wait_request("/x").header("traceparent").endswith("-00")
    assert {span.attributes["url.path"] for span in collector.spans} == {"/dead"}


def test_slow_requests(binary, version, tmp, collector, origin):
    """A body that comes SLOW_BODY after its headers is slow."""
    options = {"SAMPLER": "always_off", "KEEP_SLOWER_THAN": f"{SLOW_BODY * 500:.0f}ms"}
    with begin(collector, **options) as host:
        env = {"AGENT_LOG_ADDR": where(host, "udp"), "APP_ADDR": origin.address, "DEAD_ADDR": ":1"}
        with LogProxy(binary, tmp, written(version, options), env) as proxy:
            assert proxy.get("/slow").status == 200
            wait_until(lambda: len(collector.spans) == 2, lambda: f"two spans{host.report()}")
        assert host.terminate() == 0
    assert {span.attributes["haproxy.sampling.kept"] for span in collector.spans} == {"slow"}


def test_a_share_of_the_traces(binary, version, tmp, collector, origin):
    """The threshold decides about new traces, the caller about its own; all are counted."""
    options = {"SAMPLER": "parentbased_traceidratio", "SAMPLER_ARG": "0.5"}
    n = 40
    with begin(collector, **options) as host:
        env = {"AGENT_LOG_ADDR": where(host, "udp"), "APP_ADDR": origin.address, "DEAD_ADDR": ":1"}
        with LogProxy(binary, tmp, written(version, options), env) as proxy:
            for i in range(n):
                proxy.get(f"/new/{i}")
            proxy.get("/no", traceparent=PARENT + "0")
            proxy.get("/yes", traceparent=PARENT + "1")
            wait_until(lambda: requests_counted(host) == n + 2, lambda: f"all{host.report()}")
        assert host.terminate() == 0
    exported = {span.trace_id for span in collector.spans}
    for request in origin.requests:
        _, trace, _, flags = request.header("traceparent").split("-")
        if request.path.startswith("/new/"):
            sampled = int(trace[-14:], 16) >= 2**55
            assert int(flags) & 1 == sampled
            assert request.header("tracestate") == ("ot=th:8" if sampled else None)
            assert (trace in exported) == sampled
    assert {s.attributes["url.path"] for s in collector.spans if s.trace_id == PARENT[3:35]} == {"/yes"}


def test_messages_and_lines(binary, version, tmp, collector, origin):
    """`both` as it is written for this HAProxy."""
    path = os.path.join(tmp, "spoe.cfg")
    main, spoe = printed("both", "3.1" if version >= (3, 1) else "2.6")
    with open(path, "w", encoding="ascii") as file:
        file.write(re.sub(r"timeout processing .*", "timeout processing 20s", spoe))
    with begin(collector) as host:
        env = {"AGENT_LOG_ADDR": where(host, "udp"), "APP_ADDR": origin.address, "SPOE_CFG": path,
               "AGENT1_ADDR": f"127.0.0.1:{host.port}", "DEAD_ADDR": ":1"}
        main = main.replace("    default_backend web-app\n", SITE)
        with LogProxy(binary, tmp, main, env) as proxy:
            assert proxy.get("/x").status == 200 and proxy.get("/deny").status == 403
            wait_until(lambda: len(collector.spans) == 3, lambda: f"three spans{host.report()}")
        assert host.terminate() == 0
    statuses = {(span.attributes["url.path"], span.kind): span.attributes["http.response.status_code"]
                for span in collector.spans}
    assert statuses == {("/x", "SERVER"): 200, ("/x", "CLIENT"): 200, ("/deny", "SERVER"): 403}
    assert not any("haproxy.incomplete" in span.attributes for span in collector.spans)


@pytest.mark.parametrize("least", ["2.6", "3.1"])
def test_ones_own_log_is_untouched(binary, version, tmp, collector, origin, least):
    """In both recipes, by structured data and by a log-profile."""
    (recipe,) = [r for r in recipes() if r.heading == "Your own log untouched" and r.site
                 and r.least == least]
    if version < tuple(map(int, least.split("."))):
        return  # test_config.py has what it says then
    with begin(collector) as host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.settimeout(LIMIT)
        main, _, site = recipe.files()
        text = main + site
        text = text.replace("127.0.0.1:8080", "${WEB_ADDR}").replace("127.0.0.1:8000", origin.address)
        text = text.replace("127.0.0.1:12514", where(host, "udp"))
        text = text.replace("127.0.0.1:514", f"127.0.0.1:{own.getsockname()[1]}")
        with LogProxy(binary, tmp, text, {"AGENT_LOG_ADDR": where(host, "udp")}) as proxy:
            assert proxy.get("/x").status == 200
            line = own.recv(8192).decode()
            while "/x" not in line:  # "Proxy shop started."
                line = own.recv(8192).decode()
            wait_until(lambda: len(collector.spans) == 2, lambda: f"both spans{host.report()}")
        assert host.terminate() == 0
    assert line.startswith("<134>")  # local0.info, though sampled requests have the level notice
    assert re.search(r'shop shop-app/app1 [-0-9/]+ 200 \d+ .* "GET /x HTTP/1.1"$', line.strip()), line
    assert "v=1" not in line
