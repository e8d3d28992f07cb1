# SPDX-License-Identifier: Apache-2.0
"""From the plugin to the collector: late, refusing, over TLS, and at the end of the process."""

import os
import threading

import grpc
import pytest
from lib.collector import Collector
from lib.haproxy import HAProxy
from lib.procs import SpoeHost, clean_env, host_binary, run
from lib.traces import pairs, wait_pair

from conftest import host_env


def test_flush_at_sigterm(binary, version, config, agent, origin, collector):
    """Spans that wait for their batch leave, open ones end as incomplete, exit status 0. The
    request that was open is served without the agent."""
    config.relax("3s")
    answers = []

    def get():
        try:
            answers.append(proxy.get("/hold/open").status)
        except OSError as error:
            answers.append(error)

    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        origin.hold()
        held = threading.Thread(target=get)
        held.start()
        origin.wait_request("/hold/open")
        proxy.get("/ended")
        assert agent.terminate() == 0, agent.report()
        spans = collector.spans  # nothing can come any more
        assert len(spans) == 4
        by_path = {server.attributes["url.path"]: (server, clients) for server, clients in pairs(spans)}
        server, (client,) = by_path["/ended"]
        assert not server.incomplete and not client.incomplete
        server, (client,) = by_path["/hold/open"]
        assert server.incomplete and client.incomplete
        assert "http.response.status_code" not in server.attributes
        origin.release()
        if version >= (3, 0):  # 2.6 may forget it: docs/haproxy.md, "Versions"
            held.join()
            assert answers == [200]
    held.join()


def test_collector_comes_late(binary, config, origin):
    with Collector(autostart=False) as collector:
        with SpoeHost(env=host_env(collector)) as agent:
            with HAProxy(binary, config, [agent.port], origin.address) as proxy:
                proxy.get("/early")
                agent.wait_line("component=otel .*(UNAVAILABLE|unavailable|retr)")
                collector.start()
                wait_pair(collector, "/early")
            assert agent.terminate() == 0
        collector.check()


def test_collector_refuses_for_a_while(binary, config, agent, origin, collector):
    """UNAVAILABLE is tried again with the same spans; INVALID_ARGUMENT is not."""
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        collector.refuse(grpc.StatusCode.UNAVAILABLE)
        proxy.get("/again")
        wait_pair(collector, "/again")
        assert collector.calls == 2
        collector.refuse(grpc.StatusCode.INVALID_ARGUMENT)
        proxy.get("/dropped")
        collector.wait_calls(3)
        proxy.get("/next")
        wait_pair(collector, "/next")
        assert agent.terminate() == 0
        paths = {server.attributes["url.path"] for server, _ in pairs(collector.spans)}
        assert paths == {"/again", "/next"}


def test_collector_never_comes(binary, config, origin, refusing):
    """Without a collector the host still ends by itself, and says what was lost."""
    with SpoeHost(env={"OTLP_ENDPOINT": refusing.address, "SPOE_PROCESSING_TIMEOUT": "10s"}) as agent:
        with HAProxy(binary, config, [agent.port], origin.address) as proxy:
            assert proxy.get("/lost").status == 200
            assert agent.terminate() == 0, agent.report()


def test_service_name(binary, config, origin, collector):
    with SpoeHost(env=host_env(collector, SERVICE_NAME="edge é")) as agent:
        with HAProxy(binary, config, [agent.port], origin.address) as proxy:
            proxy.get("/name")
            assert agent.terminate() == 0
    server, _ = wait_pair(collector, "/name")
    assert server.resource["service.name"] == "edge é"


# -- TLS


def one_request(binary, config, origin, collector, env):
    """A host with `env`, one request, SIGTERM (which flushes): the host, ended."""
    with SpoeHost(env=host_env(collector, **env)) as agent:
        with HAProxy(binary, config, [agent.port], origin.address) as proxy:
            assert proxy.get("/tls").otel_status is None
        assert agent.terminate() == 0, agent.report()
        return agent


TLS = [
    # OTLP_TLS, the CA that is trusted, whether the spans arrive
    ("enabled", "ca", True),
    ("enabled", "other_ca", False),
    ("skip-verify", "other_ca", True),
    ("skip-verify", None, True),
    ("disabled", None, False),
]


@pytest.mark.parametrize("mode, ca, arrives", TLS)
def test_tls(binary, config, origin, certs, mode, ca, arrives):
    with Collector(tls=certs.server()) as collector:
        env = {"OTLP_TLS": mode, "OTLP_TLS_CA": certs.path(ca) if ca else None}
        agent = one_request(binary, config, origin, collector, env)
        if arrives:
            wait_pair(collector, "/tls")
        else:
            assert not collector.spans, agent.report()
        collector.check()


@pytest.mark.parametrize("mode", ["enabled", "skip-verify"])
@pytest.mark.parametrize("client_cert", [True, False])
def test_mtls(binary, config, origin, certs, mode, client_cert):
    """A collector that wants a client certificate gets it, or gets no spans."""
    with Collector(tls=certs.server(), client_ca=certs.read("ca")) as collector:
        env = {"OTLP_TLS": mode, "OTLP_TLS_CA": certs.path("ca")}
        if client_cert:
            env["OTLP_TLS_CERT"] = certs.path("client")
            env["OTLP_TLS_KEY"] = certs.path("client", "key")
        agent = one_request(binary, config, origin, collector, env)
        if client_cert:
            wait_pair(collector, "/tls")
        else:
            assert not collector.spans, agent.report()
        collector.check()


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("OTLP_TLS_CA", "missing", "missing.pem"),
        ("OTLP_TLS_CERT", "client", "no key"),
        ("OTLP_TLS", "sometimes", "OTLP_TLS"),
    ],
)
def test_bad_tls_options_stop_the_start(collector, certs, name, value, text):
    env = {"OTLP_TLS": "enabled", "OTLP_ENDPOINT": collector.endpoint,
           "SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"], "SPOE_ADDR": "127.0.0.1:0"}
    env[name] = value if name == "OTLP_TLS" else certs.path(value)
    status, out = run([host_binary()], env=clean_env(env))
    assert status == 78 and text in out, out
