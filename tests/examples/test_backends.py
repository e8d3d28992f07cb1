# SPDX-License-Identifier: Apache-2.0
"""docs/backends.md and examples/collector (issue 13, section 4): each block of the page is accepted by spoe-host -t,
and sends a span to a collector of ours in the backend's place, over its protocol, which refuses whoever does not
bring the headers of the page."""

import dataclasses
import os
import re
import urllib.parse

import grpc
import pytest

from common import EXAMPLES, SOURCE, host_accepts, load
from lib import procs
from lib.certs import Certs
from lib.collector import Collector
from lib.http_collector import HttpCollector

BACKENDS = ["Tempo", "Jaeger v2", "Grafana Cloud", "Honeycomb", "Datadog Agent", "SigNoz", "New Relic", "Elastic",
            "VictoriaTraces", "An OpenTelemetry Collector between"]


@dataclasses.dataclass
class Recipe:
    heading: str
    ini: str
    headers: str  # of the file that the ini names; "": none

    @property
    def endpoint(self):
        return re.search(r"^endpoint = (\S+)$", self.ini, re.M)[1]

    @property
    def http(self):
        return "protocol = http/protobuf\n" in self.ini

    @property
    def wanted(self):
        """The headers as they have to arrive."""
        return {name.lower(): value for name, value in
                re.findall(r"^([\w-]+): (.+)$", self.headers if "headers-file" in self.ini else "", re.M)}

    def written(self, tmp, where):
        """The file spoe-host.ini in `tmp`, with its headers beside it, that sends to `where` (HOST:PORT)."""
        headers = tmp / "otlp-headers"
        headers.write_text(self.headers)
        headers.chmod(0o600)
        url = urllib.parse.urlsplit(self.endpoint)
        text = self.ini.replace(self.endpoint, url._replace(netloc=where).geturl())
        path = tmp / "spoe-host.ini"
        path.write_text(text.replace("/etc/spoe-host/otlp-headers", str(headers)))
        return path


def recipes():
    found = []
    page = (SOURCE / "docs" / "backends.md").read_text()
    for section in page.split("\n## ")[1:]:
        blocks = re.findall(r"^```(ini|headers)\n(.*?)^```", section, re.S | re.M)
        headers = "".join(text for kind, text in blocks if kind == "headers")
        found += [Recipe(section.split("\n")[0], text, headers) for kind, text in blocks if kind == "ini"]
    return found


def each(function):
    return pytest.mark.parametrize("recipe", recipes(), ids=lambda r: f"{r.heading} {r.endpoint}")(function)


class Strict:
    """What refuses a call without its headers, as a backend does."""

    wanted = {}

    def _begin(self, headers):
        answer = super()._begin(headers)
        if any(headers.get(name) != value for name, value in self.wanted.items()):
            return self.refusal
        return answer


class StrictGrpc(Strict, Collector):
    refusal = (grpc.StatusCode.UNAUTHENTICATED, "no such key", ())


class StrictHttp(Strict, HttpCollector):
    refusal = (401, {}, b"")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


def backend(recipe, certs):
    tls = certs.server() if recipe.endpoint.startswith("https:") else None
    collector = (StrictHttp if recipe.http else StrictGrpc)(tls=tls)
    collector.wanted = recipe.wanted
    return collector


def send(path, certs, **env):
    """One span by the file `path`: (exit status, output)."""
    env = {"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"], "OTLP_TLS_CA": certs.path("ca"), **env}
    return procs.run([procs.host_binary(), "-f", path, "--send-test-span"], env=procs.clean_env(env))


def test_every_backend_is_there():
    headings = [recipe.heading for recipe in recipes()]
    assert list(dict.fromkeys(headings)) == BACKENDS
    page = (SOURCE / "docs" / "backends.md").read_text()
    for section in page.split("\n## ")[1:]:
        if section.split("\n")[0] in BACKENDS:
            assert "Limits" in section and re.search(r"^\(\[.*\]\(https://.*\)\)$", section, re.M), section[:40]


@each
def test_accepted(recipe, tmp_path):
    host_accepts({}, "-f", recipe.written(tmp_path, "localhost:4317"))


@each
def test_sent(recipe, certs, tmp_path):
    with backend(recipe, certs) as collector:
        status, out = send(recipe.written(tmp_path, f"localhost:{collector.port}"), certs)
        assert status == 0, out
        collector.check()
        assert len(collector.spans) == 1
        if recipe.http:
            assert collector.paths == [urllib.parse.urlsplit(recipe.endpoint).path or "/v1/traces"]
            assert collector.headers[0].get("content-encoding") == (
                "gzip" if "compression = gzip" in recipe.ini else None)


@pytest.mark.parametrize("heading", ["Honeycomb", "Grafana Cloud"])
def test_refused_without_the_header(heading, certs, tmp_path):
    """gRPC and HTTP: so the backends above do ask for it."""
    (recipe,) = [r for r in recipes() if r.heading == heading]
    with backend(recipe, certs) as collector:
        path = dataclasses.replace(recipe, headers="# none\n").written(tmp_path, f"localhost:{collector.port}")
        status, out = send(path, certs)
        assert status != 0 and not collector.spans, out
        assert "401" in out or "UNAUTHENTICATED" in out.upper(), out


# -- the Collector's file


def test_pipelines_name_what_there_is():
    (config,) = load(EXAMPLES / "collector" / "collector.yaml")
    defined = {kind: set(config[kind]) for kind in ("receivers", "processors", "exporters", "connectors")}
    used = {kind: set() for kind in defined}
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            used[kind].update(pipeline.get(kind, ()))
    for connector in defined["connectors"]:
        assert connector in used["receivers"] and connector in used["exporters"]
        used["connectors"].add(connector)
    for kind in ("receivers", "exporters"):
        assert used[kind] - defined["connectors"] == defined[kind], kind
    assert used["processors"] == defined["processors"]


def test_the_collector_decides_after_the_last_span():
    """decision_wait is above span-ttl and batch-delay together, their defaults."""
    (config,) = load(EXAMPLES / "collector" / "collector.yaml")
    wait = config["processors"]["tail_sampling"]["decision_wait"]
    assert re.fullmatch(r"\d+s", wait) and int(wait[:-1]) > 30 + 5
