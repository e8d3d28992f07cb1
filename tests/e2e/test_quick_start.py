# SPDX-License-Identifier: Apache-2.0
"""The lines of docs/get-started.md on a configuration as distributions ship it (issue 11, 5.1), and on one that has
no log-format, as the page's own (issue 13, 5)."""

import os
import re

import pytest

from lib import haproxy as hap
from lib import pages
from lib.log_proxy import LogProxy
from lib.lines import where
from lib.origin import SLOW_BODY
from lib.procs import SpoeHost, wait_until

from conftest import host_env

# The files' 15 ms may pass on a machine that is busy.
PATIENT = (r"timeout processing .*", "timeout processing 20s")


SHIPPED = """    log global
    option httplog
    option dontlognull
"""


def configuration(spoe, defaults):
    frontend, backend, agent, untraced, whole = (
        pages.part("docs/get-started.md", word) for word in ("frontend", "backend", "agent", "untraced", "line"))
    return f"""global
    log 127.0.0.1:514 local0
defaults
    mode http
{defaults}    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind "${{WEB_ADDR}}"
{frontend.replace("/etc/haproxy/spoe-otel.cfg", spoe)}{untraced}{whole.replace("127.0.0.1:12514", "${LINES}")}
    http-request deny if {{ path /deny }}
    use_backend dead if {{ path /dead }}
    default_backend app
backend app
{backend}
    server app "${{APP_ADDR}}"
backend dead
{agent.replace("127.0.0.1:12345", "${AGENT}")}"""


@pytest.mark.parametrize("defaults", [SHIPPED, ""], ids=["as shipped", "no log-format"])
def test_quick_start(defaults, binary, tmp, collector, origin):
    spoe = os.path.join(tmp, "spoe-otel.cfg")
    with open(spoe, "w", encoding="ascii") as file:
        file.write(re.sub(*PATIENT, hap.source_text("spoe-otel-both.cfg")))
    env = host_env(collector, BATCH_DELAY="20ms", SPOE_PROCESSING_TIMEOUT="10s")
    found = {}

    def all_there():
        for span in collector.spans:
            found[span.attributes["url.path"], span.kind] = span
        return len(found) == 4

    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env=env) as host:
        more = {"LINES": where(host, "udp"), "APP_ADDR": origin.address,
                "AGENT": f"127.0.0.1:{host.port}"}
        with LogProxy(binary, tmp, configuration(spoe, defaults), more) as proxy:
            for path, status in (("/slow", 200), ("/deny", 403), ("/dead", 503)):
                assert proxy.get(path).status == status
            wait_until(all_there, lambda: f"four spans, of {sorted(found)}{host.report()}")
        assert host.terminate() == 0
    for path, status in (("/slow", 200), ("/deny", 403), ("/dead", 503)):
        span = found[path, "SERVER"]
        assert span.attributes["http.response.status_code"] == status
        assert "haproxy.incomplete" not in span.attributes
    slow, client = found["/slow", "SERVER"], found["/slow", "CLIENT"]
    assert slow.end - slow.start >= (SLOW_BODY - 0.01) * 1e9  # timers are whole milliseconds
    assert client.parent_id == slow.span_id
    assert len(collector.spans) == 4


def test_without_a_log_format_the_host_says_so(binary, tmp, collector, origin):
    """13.5: who leaves `option httplog` out of the lines above finds the reason in the log, and on the page of
    troubleshooting."""
    spoe = os.path.join(tmp, "spoe-otel.cfg")
    with open(spoe, "w", encoding="ascii") as file:
        file.write(re.sub(*PATIENT, hap.source_text("spoe-otel-both.cfg")))
    text = configuration(spoe, "")
    assert text.count("    option httplog\n") == 1
    with SpoeHost(["--log-listen", "udp:127.0.0.1:0"],
                  env=host_env(collector, SPOE_PROCESSING_TIMEOUT="10s")) as host:
        more = {"LINES": where(host, "udp"), "APP_ADDR": origin.address, "AGENT": f"127.0.0.1:{host.port}"}
        with LogProxy(binary, tmp, text.replace("    option httplog\n", ""), more) as proxy:
            assert proxy.get("/slow").status == 200
            host.wait_line("frontend without a log-format.*Connect from")
    page = pages.read("docs/troubleshooting.md")
    assert "`it does not begin with v=1: another log line, or a frontend without a log-format?`" in page
