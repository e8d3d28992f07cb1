# SPDX-License-Identifier: Apache-2.0
"""examples/ingress (issue 13, section 4): the configuration that an ingress controller generates around our snippets, as a
frame of this project's own after what the controller's sources say, with its order of rules. HAProxy accepts
it, and a request through it is traced."""

import os
import re

import pytest
import yaml
from lib import procs
from lib.haproxy import SOURCE, Client, source_text
from lib.procs import Proc, SpoeHost, clean_env, wait_until

from conftest import host_env

FOLDER = os.path.join(SOURCE, "examples", "ingress")


def load(name):
    with open(os.path.join(FOLDER, name), encoding="ascii") as file:
        return yaml.safe_load(file)


def indented(text, by):
    return "".join(" " * by + line for line in text.splitlines(True))


class HAProxyTech:
    """haproxytech/kubernetes-ingress: named defaults; snippets come last in a section, so behind use_backend;
    the service is found by maps; haproxy-aux.cfg is a file of its own behind the generated one."""

    values = load("haproxytech-values.yaml")["controller"]
    spoe = load("spoe-otel.yaml")["data"]["spoe-otel.cfg"]
    # The one warning, which has no effect: the rules of the snippet run before use_backend all the same.
    warning = r"a 'http-request' rule placed after a 'use_backend' rule will still be processed before"

    @classmethod
    def mounted(cls):
        (volume,) = cls.values["extraVolumes"]
        (mount,) = cls.values["extraVolumeMounts"]
        assert volume["name"] == mount["name"]
        assert volume["configMap"]["name"] == load("spoe-otel.yaml")["metadata"]["name"]
        return mount["mountPath"] + "/spoe-otel.cfg"

    @classmethod
    def files(cls, tmp, port, origin):
        front = cls.values["config"]["frontend-config-snippet"]
        back = cls.values["config"]["backend-config-snippet"]
        with open(f"{tmp}/host.map", "w", encoding="ascii") as file:
            file.write("127.0.0.1 127.0.0.1\n")
        with open(f"{tmp}/prefix.map", "w", encoding="ascii") as file:
            file.write("127.0.0.1/ default_svc_app_http\n")
        frontends = "".join(f"""
frontend {name} from haproxytech
  mode http
  bind {address} name v4
  http-request set-var(txn.base) base
  http-request set-var(txn.path) path
  http-request set-var(txn.host) req.hdr(Host),field(1,:),lower
  http-request set-var(txn.host_match) var(txn.host),map({tmp}/host.map)
  http-request set-var(txn.path_match) var(txn.host_match),concat(,txn.path,),map_beg({tmp}/prefix.map)
  use_backend %[var(txn.path_match),field(1,.)]
  default_backend haproxy-controller_default-local-service_http
  ###_config-snippet_### BEGIN
{indented(front, 2)}  ###_config-snippet_### END
""" for name, address in (("http", f"127.0.0.1:{port}"), ("https", f"unix@{tmp}/https")))
        main = f"""# _version=2
global
  log 127.0.0.1:514 local0 notice
  hard-stop-after 1800000
  default-path config
  stats timeout 36000

defaults haproxytech
  log global
  log-format '%ci:%cp [%tr] %ft %b/%s %ST %B "%HM %[var(txn.base)] %HV"'
  option dontlognull
  option http-keep-alive
  timeout http-request 5000
  timeout connect 5000
  timeout client 50000
  timeout queue 5000
  timeout server 50000
  timeout tunnel 3600000
  timeout http-keep-alive 60000
{frontends}
backend default_svc_app_http from haproxytech
  mode http
  balance roundrobin
  option forwardfor
  no option abortonclose
  default-server check
  server SRV_1 {origin} enabled
  server SRV_2 127.0.0.1:1 disabled
  ###_config-snippet_### BEGIN
  ### configmap:haproxy-controller/haproxy-kubernetes-ingress ###
{indented(back, 2)}  ###_config-snippet_### END

backend haproxy-controller_default-local-service_http from haproxytech
  mode http
  http-request return status 404
"""
        return main, cls.values["auxiliaryConfig"]


class HAProxyIngress:
    """jcmoraisjr/haproxy-ingress: one defaults section without a name or a mode; custom sections come before the
    backends; the early snippet before all rules of a frontend, config-backend before those of a backend."""

    values = load("haproxy-ingress-values.yaml")["controller"]
    spoe = values["customFiles"]["spoe-otel.cfg"]
    warning = None

    @classmethod
    def mounted(cls):
        return "/etc/haproxy-custom-files/spoe-otel.cfg"

    @classmethod
    def files(cls, tmp, port, origin):
        config = cls.values["config"]
        with open(f"{tmp}/host.map", "w", encoding="ascii") as file:
            file.write("127.0.0.1#/ default_app_8000\n")
        frontends = "".join(f"""
frontend {name}
    mode http
    bind {address}
    option httplog
{indented(config['config-frontend-early'], 4)}
    http-request set-var(req.path) path
    http-request set-var(req.host) hdr(host),field(1,:),lower
    http-request set-var(req.base) var(req.host),concat(\\#,req.path)
    http-request set-header X-Forwarded-Proto http
    http-request set-var(req.backend) var(req.base),map_beg({tmp}/host.map)
    use_backend %[var(req.backend)] if {{ var(req.backend) -m found }}
    default_backend _error404
""" for name, address in (("_front_http", f"127.0.0.1:{port}"), ("_front_https", f"unix@{tmp}/https")))
        return f"""global
    maxconn 2000
    hard-stop-after 10m
    log 127.0.0.1:514 len 8192 format rfc5424 local0
    log-tag ingress
defaults
    log global
    maxconn 2000
    option redispatch
    option dontlognull
    option http-keep-alive
    timeout client          50s
    timeout connect         5s
    timeout http-keep-alive 1m
    timeout http-request    5s
    timeout queue           5s
    timeout server          50s
    timeout tunnel          1h

# CUSTOM SECTIONS
{config['config-sections']}
backend default_app_8000
    mode http
    balance random(2)
    acl https-request ssl_fc
    option forwardfor
{indented(config['config-backend'], 4)}
    http-response set-header Strict-Transport-Security "max-age=15768000" if https-request
    server srv001 {origin} weight 1 check inter 2s

backend _error404
    mode http
    http-request return status 404
{frontends}""", ""


CONTROLLERS = [HAProxyTech, HAProxyIngress]


@pytest.fixture(params=CONTROLLERS, ids=lambda c: c.__name__)
def controller(request):
    return request.param


def written(controller, tmp, port, origin, agent="127.0.0.1:12345"):
    """The files as HAProxy is given them, patient and with this agent."""
    (address,) = [e["value"] for e in controller.values["extraContainers"][0]["env"] if e["name"] == "SPOE_ADDR"]
    spoe = re.sub(r"timeout processing .*", "timeout processing 20s", controller.spoe)
    paths = []
    for name, text in zip(("haproxy.cfg", "haproxy-aux.cfg"), controller.files(tmp, port, origin)):
        if name == "haproxy.cfg":
            assert f"config {controller.mounted()}\n" in text, "the filter names another file"
        text = text.replace(controller.mounted(), f"{tmp}/spoe-otel.cfg")
        text = re.sub(rf"server agent1 {re.escape(address)}$", f"server agent1 {agent}", text, flags=re.M)
        paths.append(f"{tmp}/{name}")
        with open(paths[-1], "w", encoding="ascii") as file:
            file.write(text)
    with open(f"{tmp}/spoe-otel.cfg", "w", encoding="ascii") as file:
        file.write(spoe)
    assert any(f"server agent1 {agent}\n" in text for text in map(read, paths)), "another agent than the sidecar"
    return [word for path in paths for word in ("-f", path)]


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def test_the_spoe_file_is_the_projects(controller):
    assert controller.spoe == source_text("spoe-otel.cfg")


def test_accepted(binary, tmp, controller, reserved):
    """haproxy -c says nothing but what the class says of its warning."""
    argv = written(controller, tmp, reserved.port, "127.0.0.1:8000")
    status, out = procs.run([binary, "-c", *argv], env=clean_env())
    assert status == 0, out
    for line in out.splitlines():
        if re.search("WARNING|ALERT", line):
            assert controller.warning and re.search(controller.warning, line), out


@pytest.fixture
def agent(collector):
    with SpoeHost(env=host_env(collector, BATCH_DELAY="20ms")) as host:
        yield host
        assert host.terminate() == 0, host.report()


def test_a_request_is_traced(binary, tmp, controller, reserved, agent, collector, origin):
    """By the rules of both snippets: the origin's parent is CLIENT, CLIENT's is SERVER, and the caller's trace goes
    on."""
    argv = written(controller, tmp, reserved.port, origin.address, f"127.0.0.1:{agent.port}")
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with Proc([binary, "-db", *argv], name="haproxy", env=clean_env()) as proxy:
        wait_until(lambda: answers(proxy, reserved.port), lambda: f"HAProxy to answer{proxy.report()}")
        collector.clear()
        with Client(reserved.port) as client:
            assert client.request("GET", "/traced", {"traceparent": parent, "tracestate": "a=1"}).status == 200
        spans = collector.wait(lambda spans: [s for s in spans if s.trace_id == parent[3:35]][1:] and spans,
                               "both spans of the trace")
    spans = [s for s in spans if s.trace_id == parent[3:35]]
    (server,) = [s for s in spans if s.kind == "SERVER"]
    (client,) = [s for s in spans if s.kind == "CLIENT"]
    request = origin.wait_request("/traced")
    assert server.parent_id == parent[36:52] and client.parent_id == server.span_id
    assert request.header("traceparent") == f"00-{client.trace_id}-{client.span_id}-01"
    assert request.header("tracestate") == "a=1"
    assert server.attributes["http.response.status_code"] == 200


def answers(proxy, port):
    """Not the page for unknown hosts, so the maps are right."""
    assert proxy.alive(), proxy.report()
    try:
        with Client(port) as client:
            return client.request("GET", "/healthz").status == 200
    except OSError:
        return False


def sidecar_environment(controller):
    (sidecar,) = controller.values["extraContainers"]
    return {e["name"]: e["value"] for e in sidecar["env"]}


def test_the_sidecar_takes_its_variables(controller):
    env = {**sidecar_environment(controller), "SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"]}
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://localhost:4317"  # no name is asked for here
    status, out = procs.run([procs.host_binary(), "-t"], env=clean_env(env))
    assert status == 0 and "level=warning" not in out, out
