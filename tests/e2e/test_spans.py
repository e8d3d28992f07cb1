# SPDX-License-Identifier: Apache-2.0
"""What a request's spans are: which, whose children, with which attributes."""

import re
import threading

import pytest
from lib import haproxy as hap
from lib.haproxy import Client, HAProxy
from lib.procs import SpoeHost
from lib.traces import end, traceparent, wait_pair, wait_pairs

from conftest import host_env

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seen(span):
    """A span's attributes without the client's port, which only the kernel knows."""
    got = dict(span.attributes)
    if span.kind == "SERVER":
        assert 0 < got.pop("client.port") == got.pop("network.peer.port") < 65536
    return got


def server_attributes(port, path, status, frontend="web", **more):
    return {
        "http.request.method": "GET",
        "url.path": path,
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "http.response.status_code": status,
        "haproxy.frontend.name": frontend,
        "haproxy.frontend.port": port,
        **more,
    }


def client_attributes(origin, port, path, status, backend="web-app", server="app1", **more):
    return {
        "http.request.method": "GET",
        "url.path": path,
        "url.scheme": "http",
        "url.full": f"http://127.0.0.1:{port}{path}",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",  # the authority's, as SERVER's (3.9)
        "server.port": port,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": origin.port,
        "http.response.status_code": status,
        "haproxy.backend.name": backend,
        "haproxy.server.name": server,
        **more,
    }


WEB = {"site": "web", "team": "storefront"}


def test_one_request(proxy, collector, origin):
    """This one waits for the batch; the others end the agent, which flushes."""
    answer = proxy.get("/one?secret=1")
    assert (answer.status, answer.otel_status) == (200, None)
    server, client = wait_pair(collector, "/one")
    # 3.10: the query is exported, redacted.
    query = {"url.query": "secret=REDACTED"}
    assert seen(server) == server_attributes(proxy.web, "/one", 200, **WEB, **query)
    full = {"url.full": f"http://127.0.0.1:{proxy.web}/one?secret=REDACTED", **query}
    assert seen(client) == {**client_attributes(origin, proxy.web, "/one", 200), **full}
    assert (server.name, client.name) == ("GET", "GET")
    assert (server.parent_id, server.flags, client.flags) == ("", 0x103, 0x103)
    assert (server.status, client.status) == ("UNSET", "UNSET")
    assert server.resource["service.name"] == "haproxy"
    assert len(collector.spans) == 2
    # The origin's own spans become children of the CLIENT span, by the backend's rule.
    assert answer.origin_traceparent == traceparent(client)
    assert origin.wait_request("/one?secret=1").all("traceparent") == [traceparent(client)]


@pytest.mark.parametrize("flags", ["00", "01", "03"])
def test_inbound_trace_is_continued(proxy, agent, collector, origin, flags):
    parent = PARENT[:-2] + flags
    proxy.get("/in", headers={"traceparent": parent})
    end(agent)
    server, client = wait_pair(collector, "/in")
    _, trace_id, parent_id, _ = parent.split("-")
    assert (server.trace_id, server.parent_id) == (trace_id, parent_id)
    # Every request is sampled, and the outbound flag says so; the random flag is the client's.
    sampled = int(flags, 16) | 1
    assert server.flags == 0x300 | sampled
    assert client.flags == 0x100 | sampled
    assert origin.wait_request("/in").all("traceparent") == [traceparent(client)]


@pytest.mark.parametrize(
    "header",
    [
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        PARENT.upper(),
        PARENT + "0",
        PARENT + ", " + PARENT,
        "x" * 3000,
    ],
)
def test_invalid_inbound_trace_starts_a_new_one(proxy, agent, collector, origin, header):
    proxy.get("/bad", headers={"traceparent": header})
    end(agent)
    server, client = wait_pair(collector, "/bad")
    assert server.parent_id == "" and server.trace_id != "0af7651916cd43dd8448eb211c80319c"
    assert origin.wait_request("/bad").all("traceparent") == [traceparent(client)]


@pytest.mark.parametrize(
    "status, server_status, client_status",
    [(204, "UNSET", "UNSET"), (302, "UNSET", "UNSET"), (404, "UNSET", "ERROR"), (500, "ERROR", "ERROR")],
)
def test_statuses(proxy, agent, collector, origin, status, server_status, client_status):
    path = f"/status/{status}"
    assert proxy.get(path).status == status
    end(agent)
    server, client = wait_pair(collector, path)
    assert (server.status, client.status) == (server_status, client_status)
    assert server.status_message == client.status_message == ""
    error = {"error.type": str(status)}
    assert seen(server) == server_attributes(
        proxy.web, path, status, **WEB, **(error if server_status == "ERROR" else {})
    )
    assert seen(client) == client_attributes(
        origin, proxy.web, path, status, **(error if client_status == "ERROR" else {})
    )


def test_both_frontends(proxy, agent, collector, origin):
    proxy.get("/a", port=proxy.web)
    proxy.get("/b", port=proxy.api, headers={"Host": "shop.example:8443"})
    end(agent)
    server, client = wait_pair(collector, "/a")
    assert seen(server) == server_attributes(proxy.web, "/a", 200, **WEB)
    server, client = wait_pair(collector, "/b")
    api = {"site": "api", "tls": "0", "http.version": "1.1"}
    wanted = server_attributes(proxy.api, "/b", 200, "api", **api)
    wanted.update({"server.address": "shop.example", "server.port": 8443})
    assert seen(server) == wanted
    assert seen(client) == client_attributes(
        origin, 8443, "/b", 200, "api-app", "api1",
        **{"server.address": "shop.example", "url.full": "http://shop.example:8443/b"})


def test_methods(proxy, agent, collector):
    with Client(proxy.web) as client:
        for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            assert client.request(method, f"/{method}", body=None).status == 200
        assert client.request("BREW", "/BREW").status == 200
    end(agent)
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        for span in wait_pair(collector, f"/{method}"):
            assert (span.name, span.attributes["http.request.method"]) == (method, method)
    for span in wait_pair(collector, "/BREW"):
        assert span.name == "HTTP"
        assert span.attributes["http.request.method"] == "_OTHER"
        assert span.attributes["http.request.method_original"] == "BREW"


def test_keep_alive(proxy, agent, collector, origin):
    """Requests of one connection are traces of their own."""
    with Client(proxy.web) as client:
        for i in range(20):
            assert client.request("GET", f"/keep/{i}").status == 200
    end(agent)
    got = wait_pairs(collector, 20)
    assert len({server.trace_id for server, _ in got}) == 20
    for server, client in got:
        path = server.attributes["url.path"]
        assert origin.wait_request(path).all("traceparent") == [traceparent(client)]


def test_http2_in_clear_text(proxy, agent, collector, origin):
    base = f"http://127.0.0.1:{proxy.web}"
    assert proxy.curl("--http2-prior-knowledge", base=base, paths=["/h2"])[0][:2] == ("2", "200")
    end(agent)
    server, client = wait_pair(collector, "/h2")
    wanted = server_attributes(proxy.web, "/h2", 200, **WEB)
    assert seen(server).pop("user_agent.original").startswith("curl/")
    wanted.update({"network.protocol.version": "2"})
    assert seen(server).items() >= wanted.items()
    assert seen(client) == client_attributes(origin, proxy.web, "/h2", 200)


def test_http2_over_tls(binary, config, tmp, agent, origin, collector, certs, reserved):
    """Ten streams at the same time on one connection."""
    pem, port = f"{tmp}/site.pem", reserved.port
    with open(pem, "wb") as file:
        file.write(certs.read("server") + certs.read("server", "key"))
    config.edit_main(
        r"^    default_backend web-app",
        f"    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1\n    default_backend web-app",
    )
    paths = [f"/held/{i}" for i in range(10)]
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answers = proxy.curl(
            "--http2", "-Z", "--parallel-max", "10", "--cacert", certs.path("ca"),
            base=f"https://localhost:{port}", paths=paths,
        )
        assert [answer[:2] for answer in answers] == [("2", "200")] * 10
        assert sum(int(connects) for _, _, connects in answers) == 1
        end(agent)
    got = wait_pairs(collector, 10)
    assert sorted(server.attributes["url.path"] for server, _ in got) == paths
    for server, _client in got:
        wanted = server_attributes(port, server.attributes["url.path"], 200, **WEB)
        wanted.update({"server.address": "localhost", "url.scheme": "https"})
        wanted.update({"network.protocol.version": "2"})
        assert seen(server).items() >= wanted.items()


def test_many_connections(binary, config, agent, origin, collector):
    """200 requests over 20 connections at once, through four threads of HAProxy."""
    config.threads(4)
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        failures = []

        def client(number):
            port = proxy.web if number % 2 else proxy.api
            with Client(port) as connection:
                for i in range(10):
                    answer = connection.request("GET", f"/many/{number}/{i}")
                    if (answer.status, answer.otel_status) != (200, None):
                        failures.append((number, i, answer.status, answer.otel_status))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        end(agent)
        got = wait_pairs(collector, 200)
        assert len(got) == len({server.trace_id for server, _ in got}) == 200
        for server, client_span in got:
            path = server.attributes["url.path"]
            assert not server.incomplete and not client_span.incomplete
            assert origin.wait_request(path).all("traceparent") == [traceparent(client_span)]


def test_custom_attributes(binary, config, agent, origin, collector):
    """Frontend and backend rules both add to them; the syntax's edges are the plugin's."""
    config.edit_main(
        r"^backend web-app\n",
        "backend web-app\n"
        '    http-request set-var-fmt(txn.otel_attrs) "%[var(txn.otel_attrs)];pool = blue ;site=last;'
        ';no-equals;=no-key;empty=;eq=a=b;agent=%[req.fhdr(user-agent)]"\n',
    )
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/custom", headers={"User-Agent": "caf\xe9/1"})  # Latin-1: not UTF-8
        end(agent)
        server, client = wait_pair(collector, "/custom")
        wanted = {"site": "last", "team": "storefront", "pool": "blue", "empty": "", "eq": "a=b"}
        wanted["agent"] = wanted["user_agent.original"] = "caf\ufffd/1"
        assert seen(server) == server_attributes(proxy.web, "/custom", 200, **wanted)
        assert seen(client) == client_attributes(origin, proxy.web, "/custom", 200)


def test_long_values_are_cut(binary, config, agent, origin, collector):
    """At 4096 bytes, and never inside a character."""
    config.edit_main(r'str\("site=web;team=storefront"\)', "req.fhdr(x-attributes)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        text = "k=a" + "\u00fc" * 3000
        proxy.get("/" + "x" * 5000, headers={"X-Attributes": text.encode().decode("latin-1")})
        end(agent)
        ((server, _client),) = wait_pairs(collector, 1)
        assert server.attributes["url.path"] == "/" + "x" * 4095
        assert server.attributes["k"] == "a" + "\u00fc" * 2047


# -- what the upstream gets, by the rules that HAProxy has


def test_frontend_rule_alone(binary, config, agent, origin, collector):
    """The origin's parent is the SERVER span where only the frontend forwards the context."""
    rule = r"^    http-request set-header traceparent .*\n"
    head, backends = config.main.split("# ---- origins")
    backends, found = re.subn(rule, "", backends, flags=re.M)
    assert found == 2
    config.main = head + "# ---- origins" + backends
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/fe", headers={"traceparent": PARENT})
        end(agent)
        server, _client = wait_pair(collector, "/fe")
        assert origin.wait_request("/fe").all("traceparent") == [traceparent(server)]


def test_no_rule(binary, config, agent, origin, collector):
    """Without any rule the client's own header goes through, and the spans are there."""
    config.edit_main(r"^    http-request set-header traceparent .*\n", "")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/none", headers={"traceparent": PARENT})
        end(agent)
        server, _client = wait_pair(collector, "/none")
        assert server.trace_id == PARENT.split("-")[1]
        assert origin.wait_request("/none").all("traceparent") == [PARENT]


def test_file_for_3x(binary, version, tmp, agent, origin, collector):
    """The second file's further arguments disturb nothing; test_attributes.py has what they add."""
    if version < (3, 0):
        return  # test_config.py holds that these refuse it
    config = hap.Config(tmp, spoe="spoe-otel-3.x.cfg").relax().show_status()
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        assert proxy.get("/three").otel_status is None
        end(agent)
        server, client = wait_pair(collector, "/three")
        wanted = server_attributes(proxy.web, "/three", 200, **WEB)
        assert server.attributes.items() >= wanted.items()
        assert client.attributes.items() >= client_attributes(origin, proxy.web, "/three", 200).items()


# -- requests that get no response from an origin


def test_haproxy_makes_the_503(binary, config, origin, collector, refusing):
    """No server: HAProxy answers itself and sends no response message; both spans end by the TTL
    as incomplete, at the last moment that was known."""
    env = host_env(collector, SPAN_TTL="1s")
    with SpoeHost(env=env) as agent, HAProxy(
        binary, config, [agent.port], (origin.address, refusing.address)
    ) as proxy:
        assert proxy.get("/dead", port=proxy.api).status == 503
        server, client = wait_pair(collector, "/dead")
        for span in (server, client):
            assert span.incomplete and len(span.events) == 1
            assert "http.response.status_code" not in span.attributes
            assert span.status == "UNSET"
        # The end is the receipt of the last message, not the eviction.
        assert server.end == client.end == client.start
        assert server.attributes["url.path"] == "/dead"
        assert agent.terminate() == 0


def test_denied_request(binary, config, origin, collector):
    """Denied in the frontend: the SERVER span alone, without duration."""
    config.edit_main(r"^    default_backend web-app", "    http-request deny\n    default_backend web-app")
    with SpoeHost(env=host_env(collector, SPAN_TTL="1s")) as agent, HAProxy(
        binary, config, [agent.port], origin.address
    ) as proxy:
        assert proxy.get("/deny").status == 403
        (server,) = collector.wait_spans(1)
        assert (server.kind, server.incomplete, server.end) == ("SERVER", True, server.start)
        assert agent.terminate() == 0, agent.report()
        assert len(collector.spans) == 1
