# SPDX-License-Identifier: Apache-2.0
"""What HAProxy's configuration adds to spans: arguments, headers, routes, times; and what it leaves
out."""

import time

from lib import haproxy as hap
from lib.haproxy import HAProxy
from lib.procs import SpoeHost
from lib.traces import end, wait_pair

from conftest import host_env

OPENS = {
    "request": r"^    event on-frontend-http-request",
    "backend": r"^    event on-backend-http-request",
    "response": r"^    event on-http-response",
}


def add_args(config, message, *args):
    """Put arguments before the message's event."""
    pattern = OPENS[message]
    lines = "".join(f"    args {arg}\n" for arg in args)
    config.edit_spoe(pattern, lines.replace("\\", r"\\") + pattern[1:])


def totals(agent):
    """The counters that a host writes when it ends."""
    assert agent.terminate() == 0, agent.report()
    line = agent.wait_line(r"totals: (.*)").group(1)
    return {k: int(v.strip('"')) for k, v in (w.split("=", 1) for w in line.split() if "=" in w)
            if v.strip('"').isdigit()}


def test_any_argument_with_its_type(binary, config, agent, origin, collector):
    add_args(
        config,
        "request",
        "my.text=str(hello) my-bool=bool(true) my_int=int(-5) my.ip=src my.bin=bin(00ff10)",
        "my.none=req.fhdr(x-none) my.cut=path,bytes(0,3) my.verb=method,bytes(0,2)",
    )
    add_args(config, "backend", "be.text=str(backend)")
    add_args(config, "response", "my.status=status res.text=res.fhdr(X-Origin-Traceparent)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answer = proxy.get("/args")
        end(agent)
        server, client = wait_pair(collector, "/args")
    got = server.attributes
    assert (got["my.text"], got["my-bool"], got["my_int"]) == ("hello", True, -5)
    assert (got["my.ip"], got["my.bin"], got["my.status"]) == ("127.0.0.1", b"\x00\xff\x10", 200)
    assert got["res.text"] == answer.origin_traceparent
    assert (got["my.cut"], got["my.verb"]) == ("/ar", "GE")  # bytes() leaves a text a text
    assert "my.none" not in got and "be.text" not in got
    assert client.attributes["be.text"] == "backend"
    assert "my.text" not in client.attributes


def test_conventional_arguments(binary, config, agent, origin, collector):
    """3.10: what the conventions require or recommend is sent by default; the lines that
    spoe-otel.cfg has as comments, and more of the table."""
    config.edit_spoe(r"^    #args res_size=", "    args res_size=")
    add_args(config, "request", "req_size=req.hdr(content-length)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get(
            "/conv?page=3&sig=f00", headers={"User-Agent": "test/1"}, method="POST", body=b"12345"
        )
        end(agent)
        server, client = wait_pair(collector, "/conv")
    got = server.attributes
    assert got["url.query"] == "page=REDACTED&sig=REDACTED"
    assert (got["network.protocol.version"], got["user_agent.original"]) == ("1.1", "test/1")
    assert got["client.port"] == got["network.peer.port"]
    assert (got["http.request.body.size"], got["http.response.body.size"]) == (5, 22)
    got = client.attributes
    assert got["url.full"] == f"http://127.0.0.1:{proxy.web}/conv?page=REDACTED&sig=REDACTED"
    assert (got["url.scheme"], got["network.protocol.version"]) == ("http", "1.1")
    assert "query" not in server.attributes and "ssl_bc" not in client.attributes


def test_http2_version(binary, config, agent, origin, collector):
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        base = f"http://127.0.0.1:{proxy.web}"
        assert proxy.curl("--http2-prior-knowledge", base=base, paths=["/h2"])[0][:2] == ("2", "200")
        end(agent)
        server, _client = wait_pair(collector, "/h2")
    assert server.attributes["network.protocol.version"] == "2"
    assert "url.query" not in server.attributes


def test_tls(binary, config, tmp, agent, origin, collector, certs, reserved):
    pem, port = f"{tmp}/site.pem", reserved.port
    with open(pem, "wb") as file:
        file.write(certs.read("server") + certs.read("server", "key"))
    config.edit_main(
        r"^    default_backend web-app",
        f"    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1\n    default_backend web-app",
    )
    add_args(
        config,
        "request",
        "tls_version=ssl_fc_protocol tls_alpn=ssl_fc_alpn tls_resumed=ssl_fc_is_resumed",
        "my.cipher=ssl_fc_cipher",
    )
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        ca = certs.path("ca")
        proxy.curl("--http2", "--cacert", ca, base=f"https://localhost:{port}", paths=["/tls"])
        proxy.get("/clear")
        end(agent)
        server, _client = wait_pair(collector, "/tls")
        clear, _client = wait_pair(collector, "/clear")
    got = server.attributes
    assert (got["url.scheme"], got["tls.protocol.name"]) == ("https", "tls")
    assert got["tls.protocol.version"] in ("1.2", "1.3")
    assert (got["tls.next_protocol"], got["tls.resumed"]) == ("h2", False)
    assert got["my.cipher"].isupper()
    assert not [name for name in clear.attributes if name.startswith("tls.protocol")]


def test_redaction_by_list_and_off(binary, tmp, origin, collector):
    for value, wanted in (("sig,key", "page=3&sig=REDACTED"), ("none", "page=3&sig=f00")):
        config = hap.Config(tmp).relax().show_status()
        with SpoeHost(env=host_env(collector, REDACT_QUERY=value)) as agent, HAProxy(
            binary, config, [agent.port], origin.address
        ) as proxy:
            path = f"/redact-{value.split(',')[0]}"
            proxy.get(f"{path}?page=3&sig=f00")
            end(agent)
            server, _client = wait_pair(collector, path)
            assert server.attributes["url.query"] == wanted


def test_route_names_the_span(binary, config, agent, origin, collector):
    """A rule knows the route after the request's message, so it comes with the response's."""
    config.edit_main(
        r"^    default_backend web-app",
        '    http-request set-var(txn.route) str("/users/{id}") if { path_beg /users/ }\n'
        "    default_backend web-app",
    )
    add_args(config, "response", "route=var(txn.route)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/users/4711")
        proxy.get("/other")
        end(agent)
        server, client = wait_pair(collector, "/users/4711")
        assert (server.name, client.name) == ("GET /users/{id}", "GET")
        assert server.attributes["http.route"] == "/users/{id}"
        server, _client = wait_pair(collector, "/other")
        assert server.name == "GET" and "http.route" not in server.attributes


def test_headers_are_lists(binary, config, agent, origin, collector):
    add_args(
        config,
        "request",
        "http.request.header.X-Plan=req.fhdr(x-plan)",
        "http.request.header.accept=req.fhdr(accept,1) http.request.header.accept=req.fhdr(accept,2)",
    )
    add_args(config, "response", "http.response.header.x-origin-traceparent="
             "res.fhdr(X-Origin-Traceparent)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answer = proxy.get("/headers", headers={"X-Plan": "caf\xe9, gold", "Accept": "text/html"})
        end(agent)
        server, _client = wait_pair(collector, "/headers")
    got = server.attributes
    assert got["http.request.header.x-plan"] == ["caf\ufffd, gold"]
    assert got["http.request.header.accept"] == ["text/html"]
    assert got["http.response.header.x-origin-traceparent"] == [answer.origin_traceparent]


def test_haproxys_own_clock(binary, config, agent, origin, collector):
    """The span is as long as HAProxy's own reading says, in microseconds."""
    add_args(config, "request", "start=date(0,us) copy.start=date(0,us)")
    add_args(config, "backend", "start=date(0,us)")
    add_args(config, "response", "end=date(0,us) copy.end=date(0,us)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/clock")
        end(agent)
        server, client = wait_pair(collector, "/clock")
    assert server.start == server.attributes["copy.start"] * 1000
    assert server.end == client.end == server.attributes["copy.end"] * 1000
    assert "start" not in server.attributes and "end" not in server.attributes


def test_moments_that_cannot_be_are_ignored(binary, config, agent, origin, collector):
    before = time.time_ns()
    add_args(config, "request", "start=date(3600,us)")
    add_args(config, "backend", "start=date(-3600,us)")
    add_args(config, "response", "end=date(-3600,us)")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        proxy.get("/clock")
        end(agent)
        server, client = wait_pair(collector, "/clock")
    assert before <= server.start <= client.start <= client.end <= server.end <= time.time_ns()


def test_file_for_3x_has_more(binary, version, tmp, agent, origin, collector):
    if version < (3, 0):
        return  # test_config.py holds that these refuse it
    config = hap.Config(tmp, spoe="spoe-otel-3.x.cfg").relax().show_status()
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        before = time.time_ns()
        assert proxy.get("/three?a=1").otel_status is None
        after = time.time_ns()
        end(agent)
        server, client = wait_pair(collector, "/three")
    # HAProxy's clock is read once per round of its loop, so it may be a little behind.
    assert before - 10**9 <= server.start <= server.end <= after
    assert server.attributes["url.query"] == "a=REDACTED"
    assert client.attributes["url.full"] == f"http://127.0.0.1:{proxy.web}/three?a=REDACTED"
    for timer in ("queue", "connect", "response"):
        value = client.attributes[f"haproxy.time.{timer}"]
        assert 0 <= value <= (after - before) / 10**6 + 1000
    assert client.attributes["haproxy.redispatched"] is False
    assert "http.request.resend_count" not in client.attributes
    assert "tls.protocol.version" not in server.attributes


def test_retries(binary, version, tmp, agent, origin, collector, refusing):
    """The first server refuses, the second one answers: one CLIENT span says that it was so."""
    if version < (3, 0):
        return  # these cannot tell
    config = hap.Config(tmp, spoe="spoe-otel-3.x.cfg").relax().show_status()
    config.edit_main(
        r"^backend web-app\n",
        "backend web-app\n    balance first\n    retries 3\n    option redispatch 1\n"
        f"    server app0 {refusing.address}\n",
    )
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        assert proxy.get("/again").status == 200
        end(agent)
        _server, client = wait_pair(collector, "/again")
    got = client.attributes
    assert got["haproxy.server.name"] == "app1"
    assert got["http.request.resend_count"] >= 1
    assert got["haproxy.redispatched"] is True


def test_excluded_by_haproxy(binary, config, agent, origin, collector):
    """The files' own example: /healthz is not reported at all."""
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        for port in (proxy.web, proxy.api):
            assert proxy.get("/healthz", port=port).status == 200
        assert proxy.get("/healthy").status == 200
        got = totals(agent)
        wait_pair(collector, "/healthy")
    assert (got["requests"], got["backends"], got["responses"]) == (1, 1, 1)
    assert got["unknown_id"] == 0


def test_excluded_by_the_plugin(binary, config, origin, collector):
    env = host_env(collector, EXCLUDE_PATHS="/ping, /internal/*")
    with SpoeHost(env=env) as agent, HAProxy(
        binary, config, [agent.port], origin.address
    ) as proxy:
        for path in ("/ping", "/internal/a?b=c", "/internal/"):
            answer = proxy.get(path, headers={"traceparent": "not one of ours"})
            assert answer.status == 200
            assert answer.origin_traceparent == "not one of ours"
        for path in ("/ping/", "/pin", "/internal"):
            assert proxy.get(path).status == 200
        got = totals(agent)
        for path in ("/ping/", "/pin", "/internal"):
            wait_pair(collector, path)
    assert (got["excluded"], got["excluded_later"], got["unknown_id"]) == (3, 6, 0)
    assert (got["opened"], got["ended"]) == (3, 3)


def test_old_names(binary, tmp, origin, collector):
    for mode in ("http/dup", "http/old"):
        config = hap.Config(tmp).relax().show_status()
        env = host_env(collector, OTEL_SEMCONV_STABILITY_OPT_IN=mode)
        with SpoeHost(env=env) as agent, HAProxy(
            binary, config, [agent.port], origin.address
        ) as proxy:
            proxy.get("/old?a=1")
            end(agent)
            spans = collector.wait_spans(2)
        (server,) = [s.attributes for s in spans if s.kind == "SERVER"]
        (client,) = [s.attributes for s in spans if s.kind == "CLIENT"]
        collector.clear()
        assert server["http.method"] == client["http.method"] == "GET"
        assert server["http.target"] == "/old?a=REDACTED"
        assert server["http.status_code"] == client["http.status_code"] == 200
        assert server["http.scheme"] == "http"
        assert server["net.host.name"] == server["server.address"] == "127.0.0.1"
        assert server["http.client_ip"] == server["client.address"] == "127.0.0.1"
        assert client["net.peer.port"] == client["server.port"] == proxy.web
        if mode == "http/old":
            assert client["net.sock.peer.port"] == origin.port
        assert server["haproxy.frontend.name"] == "web"
        both = mode == "http/dup"
        for name in ("http.request.method", "url.path", "http.response.status_code"):
            assert (name in server, name in client) == (both, both)
