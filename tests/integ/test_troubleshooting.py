# SPDX-License-Identifier: Apache-2.0
"""13.5: each message that docs/troubleshooting.md quotes of a collector or of HAProxy is made to happen, and
has the words of the page."""

import os
import re
import shutil

import grpc
import pytest

from lib import pages
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.procs import ReservedPort, clean_env, host_binary, run

PAGE = "docs/troubleshooting.md"


def quoted(heading):
    """What stands in backquotes in the first column of the table below a heading."""
    text = re.split(r"^## ", pages.read(PAGE).split(f"\n## {heading}\n")[1], flags=re.M)[0]
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    return [line for row in rows for line in re.findall(r"`([^`]*)`", row)]


def says(line, out):
    """Whether a line of the page, with ... for what differs, is in the output."""
    return re.search(".*".join(re.escape(part) for part in line.split("…")), out)


# -- the collector refuses


def grpc_refuses(code, details):
    def begin():
        collector = Collector()
        collector.refuse(code, details=details)
        return collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoint}"}
    return begin


def http_refuses(status, path=""):
    def begin():
        collector = HttpCollector()
        collector.answer(status, {"Content-Type": "text/plain"}, b"no")
        return collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                           **({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + path} if path else {})}
    return begin


def of_the_other_protocol(make, protocol):
    def begin():
        collector = make()
        return collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoint}",
                           "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    return begin


def without_tls():
    collector = Collector()
    return collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{collector.endpoint}"}


def nobody():
    port = ReservedPort()
    return port, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port.port}"}


REFUSED = {  # how a line of the page begins
    "UNAUTHENTICATED: no token": grpc_refuses(grpc.StatusCode.UNAUTHENTICATED, "no token"),
    "HTTP 401": http_refuses(401),
    "HTTP 404": http_refuses(404, "/otlp"),
    "UNIMPLEMENTED: unknown service": grpc_refuses(
        grpc.StatusCode.UNIMPLEMENTED, "unknown service opentelemetry.proto.collector.trace.v1.TraceService"),
    "…Failed parsing HTTP/2": of_the_other_protocol(HttpCollector, "grpc"),
    "Received HTTP/0.9": of_the_other_protocol(Collector, "http/protobuf"),
    "…Ssl handshake failed": without_tls,
    "UNAVAILABLE: …Connection refused": nobody,
}


def test_every_line_of_a_collector_is_made_to_happen():
    lines = quoted("The collector refuses")
    assert len(lines) == len(REFUSED)
    assert all(sum(line.startswith(begin) for line in lines) == 1 for begin in REFUSED), lines


@pytest.mark.parametrize("begin", REFUSED)
def test_a_collector_that_refuses(begin):
    (line,) = [line for line in quoted("The collector refuses") if line.startswith(begin)]
    collector, env = REFUSED[begin]()
    with collector:
        status, out = run([host_binary(), "--send-test-span"], env=clean_env({
            "SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_OTEL_DIR"], "SPOE_PLUGINS": "otel.so", **env}))
    assert status == 1 and says(line, out), f"{line}\nis not in\n{out}"


# -- HAProxy refuses the file


def with_caching(text):
    text = text.replace("    filter spoe", "    http-request cache-use pages\n    filter spoe")
    return text + "\ncache pages\n    total-max-size 1\n"


REFUSES = {  # (what becomes of haproxy.cfg, the other file)
    "unknown fetch method": (lambda text: text, "spoe-otel-3.x.cfg"),
    "No SPOE agent found in file": (lambda text: text.replace("engine otel", "engine tracing"), "spoe-otel.cfg"),
    "unknown backend": (lambda text: text.replace("backend spoe-host", "backend agents"), "spoe-otel.cfg"),
    "require an explicit filter declaration": (with_caching, "spoe-otel.cfg"),
}
# What the system's HAProxy does not say: 3.3.0 and 3.5-dev5 alone.
OF_OTHER_VERSIONS = {"log server address family not supported"}


def test_every_message_of_haproxy_is_made_to_happen():
    assert set(quoted("HAProxy refuses the file")) == set(REFUSES) | OF_OTHER_VERSIONS


@pytest.mark.parametrize("message", REFUSES)
def test_haproxy_refuses(message, tmp_path):
    change, spoe = REFUSES[message]
    haproxy = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    _, version = run([haproxy, "-v"], env=clean_env())
    if message == "unknown fetch method" and not re.search(r"version 2\.", version):
        spoe_text = pages.read("haproxy/" + spoe) + "\n    args x=a_fetch_of_later_versions()\n"
    else:
        spoe_text = pages.read("haproxy/" + spoe)
    (tmp_path / "spoe.cfg").write_text(spoe_text)
    text = change(pages.read("haproxy/haproxy.cfg"))
    (tmp_path / "haproxy.cfg").write_text(text)
    status, out = run([haproxy, "-c", "-f", str(tmp_path / "haproxy.cfg")],
                      env=clean_env({"SPOE_OTEL_CFG": str(tmp_path / "spoe.cfg")}))
    assert status == 1 and message in out, out
