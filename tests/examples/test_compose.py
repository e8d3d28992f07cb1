# SPDX-License-Identifier: Apache-2.0
"""examples/compose (issue 13, section 4). Nothing can be pulled here, so the same processes run without containers,
with the environment that compose.yaml gives them: HAProxy, spoe-host, the application and Prometheus are
Debian's and ours, collectors stand in for Tempo, and Grafana is read only."""

import http.server
import json
import queue
import re
import socket
import sys
import threading

import pytest
import yaml

from common import EXAMPLES, SOURCE, haproxy, haproxy_accepts, host_accepts, load
from lib import procs
from lib.collector import Collector
from lib.haproxy import Client
from lib.lines import where
from lib.procs import Proc, ReservedPort, SpoeHost, wait_until

FOLDER = EXAMPLES / "compose"
DASHBOARD = SOURCE / "docs" / "grafana-dashboard.json"


def services():
    return load(FOLDER / "compose.yaml")[0]["services"]


def environment(service):
    return {key: str(value) for key, value in services()[service].get("environment", {}).items()}


def yaml_files():
    return sorted((*EXAMPLES.rglob("*.yaml"), *EXAMPLES.rglob("*.yml")))


@pytest.mark.parametrize("path", [p for p in yaml_files() if "templates" not in p.parts],
                         ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_yaml(path):
    """Every file of the examples is YAML without a key twice."""
    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{path}: a key twice in line {node.start_mark.line + 1}"
            return super().construct_mapping(node, deep)

    for document in yaml.load_all(path.read_text(), Loader):
        assert document, path


def test_services():
    assert services().keys() == {"haproxy", "spoe-host", "app", "tempo", "prometheus", "grafana"}
    for name, service in services().items():
        assert set(service.get("depends_on", ())) <= services().keys(), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} would be reached from outside"
        if "build" not in service:
            assert re.fullmatch(r"[a-z/.-]+:v?\d[\w.-]*", service["image"]), f"{name} needs a fixed version"


def test_what_is_mounted_exists():
    for name, service in services().items():
        for volume in service.get("volumes", ()):
            source, _, mode = volume.split(":")
            assert (FOLDER / source).exists() and mode == "ro", f"{name}: {volume}"
    build = services()["spoe-host"]["build"]
    containerfile = (FOLDER / build["context"] / build["dockerfile"]).read_text()
    assert f" AS {build['target']}\n" in containerfile


def test_addresses_are_those_of_services():
    """Whatever HOST:PORT one names another by."""
    texts = [json.dumps(services()), *(p.read_text() for p in (FOLDER / "prometheus.yml",
             FOLDER / "grafana/datasources/datasources.yaml"))]
    tempo = load(FOLDER / "tempo.yaml")[0]
    listens = {
        "tempo": {str(tempo["server"]["http_listen_port"])} | {
            p["endpoint"].split(":")[1] for p in tempo["distributor"]["receivers"]["otlp"]["protocols"].values()},
        "spoe-host": {environment("spoe-host")[v].rsplit(":")[-1] for v in ("SPOE_LOG_ADDR", "SPOE_ADMIN_ADDR")},
        "app": {environment("app")["APP_ADDR"].split(":")[1]},
        "prometheus": {"9090"},
    }
    found = re.findall(r"\b(tempo|spoe-host|app|prometheus):(\d{4,5})\b", "\n".join(texts))
    assert {name for name, _ in found} == set(listens)
    for name, port in found:
        assert port in listens[name], f"nothing listens on {name}:{port}"


def test_prometheus_configuration(tmp_path):
    """promtool, with the rules where the container has them."""
    (tmp_path / "prometheus.yml").write_text((FOLDER / "prometheus.yml").read_text())
    (tmp_path / "alerts.yml").write_text((SOURCE / "docs" / "alerts.yml").read_text())
    mounted = {v.split(":")[1] for v in services()["prometheus"]["volumes"]}
    assert mounted == {"/etc/prometheus/prometheus.yml", "/etc/prometheus/alerts.yml"}
    status, out = procs.run(["promtool", "check", "config", "--lint=all", tmp_path / "prometheus.yml"])
    assert status == 0 and "SUCCESS" in out, out


def test_grafana_finds_what_it_is_given():
    """The dashboard's data source is of a type that there is; exemplars lead to one that there is."""
    sources = {s["uid"]: s for s in load(FOLDER / "grafana/datasources/datasources.yaml")[0]["datasources"]}
    assert {s["type"] for s in sources.values()} == {"prometheus", "tempo"}
    for source in sources.values():
        for destination in source.get("jsonData", {}).get("exemplarTraceIdDestinations", ()):
            assert sources[destination["datasourceUid"]]["type"] == "tempo"
    dashboard = json.loads(DASHBOARD.read_text())
    (variable,) = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    assert variable["query"] in {s["type"] for s in sources.values()}
    (provider,) = load(FOLDER / "grafana/dashboards/dashboards.yaml")[0]["providers"]
    mounted = [v for v in services()["grafana"]["volumes"] if "grafana-dashboard.json" in v]
    assert mounted[0].split(":")[1].startswith(provider["options"]["path"] + "/")
    home = environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounted[0].split(":")[1] == home


def test_variables_are_accepted():
    env = environment("spoe-host")
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = env["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("tempo", "localhost")
    host_accepts(env)
    env = environment("haproxy")
    (config,) = [v.split(":")[0] for v in services()["haproxy"]["volumes"]]
    haproxy_accepts(FOLDER / config, {**env, "APP_ADDR": "127.0.0.1:8000", "AGENT_LOG_ADDR": "127.0.0.1:12514"})


class JsonCollector:
    """What takes OTLP/HTTP as JSON: the application's spans. address, spans (a queue)"""

    def __enter__(self):
        spans = self.spans = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802, the name that http.server looks for
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/traces"
                for resource in body["resourceSpans"]:
                    name = resource["resource"]["attributes"][0]["value"]["stringValue"]
                    for scope in resource["scopeSpans"]:
                        for span in scope["spans"]:
                            spans.put((name, span))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Prometheus(Proc):
    """With the example's file, whose only target is ours instead. query(text) -> result, [] where there is none"""

    def __init__(self, folder, target):
        self.port = ReservedPort()
        text = (FOLDER / "prometheus.yml").read_text()
        assert "[spoe-host:9902]" in text and "scrape_interval: 5s" in text
        text = text.replace("[spoe-host:9902]", f"['{target}']").replace("scrape_interval: 5s",
                                                                         "scrape_interval: 250ms")
        (folder / "prometheus.yml").write_text(text)
        (folder / "alerts.yml").write_text((SOURCE / "docs" / "alerts.yml").read_text())
        flags = [f for f in services()["prometheus"]["command"] if f.startswith("--enable-feature")]
        super().__init__(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address={self.port.address}", *flags])

    def query(self, text):
        status, out = procs.run(["curl", "-sS", "--get", f"http://{self.port.address}/api/v1/query",
                                 "--data-urlencode", "query=" + text])
        assert self.alive(), self.report()
        return json.loads(out)["data"]["result"] if status == 0 and '"success"' in out else []

    def kill(self):
        super().kill()
        self.port.close()


def test_the_same_without_containers(tmp_path):
    """Requests through HAProxy: one trace of three spans each, and the numbers in Prometheus."""
    with Collector() as tempo, JsonCollector() as tempo_http, ReservedPort() as web:
        env = {**environment("spoe-host"), "SPOE_LOG_ADDR": "udp:127.0.0.1:0", "SPOE_ADMIN_ADDR": "127.0.0.1:0",
               "SPOE_ADDR": "127.0.0.1:0", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{tempo.endpoint}"}
        app_env = {**environment("app"), "APP_ADDR": "127.0.0.1:0",
                   "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{tempo_http.address}"}
        with SpoeHost(env=env) as host, \
                Proc([sys.executable, "-u", FOLDER / "app.py"], name="app", env=procs.clean_env(app_env)) as app, \
                Prometheus(tmp_path, host.admin) as prometheus:
            port = app.wait_line(r"listening on \S+:(\d+)").group(1)
            haproxy_env = {**environment("haproxy"), "WEB_ADDR": web.address, "APP_ADDR": f"127.0.0.1:{port}",
                           "AGENT_LOG_ADDR": where(host, "udp")}
            with Proc([haproxy(), "-db", "-f", SOURCE / "haproxy" / "otel-log.cfg"], name="haproxy",
                      env=procs.clean_env(haproxy_env)) as proxy:
                wait_until(lambda: listens(web.port), lambda: f"HAProxy{proxy.report()}")
                paths = {"/": 200, "/slow": 200, "/status/503": 503}
                for path, status in paths.items():
                    with Client(web.port) as client:
                        assert client.request("GET", path).status == status
                spans = tempo.wait_spans(2 * len(paths))
                children = [tempo_http.spans.get(timeout=procs.LIMIT) for _ in paths]
                wait_until(
                    lambda: [r["value"][1] for r in prometheus.query(
                        "sum(http_server_request_duration_seconds_count)")] == [str(len(paths))],
                    lambda: f"Prometheus to count{prometheus.report()}")
                found = wait_until(lambda: prometheus.query("spoe_host_build_info"), "what is scraped")
                assert found[0]["metric"]["job"] == "spoe-host"
            assert host.terminate() == 0
    tempo.check()
    clients = {span.span_id: span for span in spans if span.kind == "CLIENT"}
    servers = {span.span_id: span for span in spans if span.kind == "SERVER"}
    assert len(clients) == len(servers) == len(paths)
    for name, child in children:
        assert name == environment("app")["OTEL_SERVICE_NAME"]
        client = clients.pop(child["parentSpanId"])
        assert client.trace_id == child["traceId"] and client.parent_id in servers
        assert servers[client.parent_id].trace_id == child["traceId"]
    assert not clients


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False
