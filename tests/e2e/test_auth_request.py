# SPDX-License-Identifier: Apache-2.0
"""Plugin auth-request behind a real HAProxy, with haproxy/auth-request.cfg (issue 12, 4)."""

import os
import signal
import threading

import pytest
from lib import admin
from lib import haproxy as hap
from lib import procs
from lib.auth_service import AuthService
from lib.haproxy import Client, HAProxy, source_text
from lib.haproxy_config import printed
from lib.procs import Proc, SpoeHost, wait_until


class Config(hap.Config):
    """The files that users get; patient unless a test is about time-outs."""

    def __init__(self, directory):
        super().__init__(directory)
        self.main, self.spoe = source_text("auth-request.cfg"), source_text("spoe-auth-request.cfg")
        self.edit_main(r"^global\n", f"global\n    stats socket {self.socket} level admin\n")


def agent(url, **env):
    return SpoeHost(env={"SPOE_PLUGINS": "auth-request", "AUTH_REQUEST_URL": url, "SPOE_WORKERS": "2",
                         "AUTH_REQUEST_RESPONSE_HEADERS": "X-User, WWW-Authenticate",
                         "AUTH_REQUEST_TIMEOUT": "50s", "SPOE_PROCESSING_TIMEOUT": "55s",
                         "SPOE_ADMIN_ADDR": "127.0.0.1:0", **env})


def proxy(binary, tmp, port, origin, patience="60s", config=None):
    return HAProxy(binary, config or Config(tmp).relax(patience), [port], origin.address,
                   env={"SPOE_AUTH_REQUEST_CFG": os.path.join(tmp, "spoe-otel.cfg")})


def test_the_files_are_accepted(binary, tmp):
    """Without a warning, as they are."""
    main, spoe = Config(tmp).write()
    status, out = hap.check(binary, main, {"SPOE_AUTH_REQUEST_CFG": spoe})
    assert status == 0, out


def test_what_is_printed_is_accepted(binary, tmp):
    """The rules by the options, and they fail closed."""
    main, spoe = printed("spoe", env={"SPOE_PLUGINS": "auth-request", "AUTH_REQUEST_URL": "http://127.0.0.1/",
                                      "AUTH_REQUEST_RESPONSE_HEADERS": "X-User, WWW-Authenticate"})
    assert "http-request deny deny_status 503 unless { var(txn.auth_request.allowed) -m bool }" in main
    assert "http-request set-header X-User %[var(txn.auth_request.header_x_user)]" in main
    assert "return status 401" in main and "del-header WWW-Authenticate" not in main
    paths = [os.path.join(tmp, name) for name in ("haproxy.cfg", "spoe.cfg")]
    for path, text in zip(paths, (main, spoe)):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    status, out = hap.check(binary, paths[0], {"SPOE_CFG": paths[1]})
    assert status == 0, out


def test_yes_no_and_who_it_is(binary, tmp, service, origin):
    with agent(service.url) as host, proxy(binary, tmp, host.port, origin) as web:
        answer = web.get("/in?a=b", {"Authorization": "alice", "X-User": "root", "Cookie": "c=1"})
        assert answer.status == 200
        assert origin.wait_request("/in?a=b").all("x-user") == ["alice"]
        (told,) = service.asked("/in?a=b")
        assert told.header("x-original-method") == "GET" and told.header("x-forwarded-proto") == "http"
        assert told.header("x-forwarded-host") == f"127.0.0.1:{web.web}"
        assert told.header("x-real-ip") == "127.0.0.1" and told.header("cookie") == "c=1"
        assert web.get("/put", method="PUT", body=b"x").status == 200
        assert service.asked("/put")[0].header("x-original-method") == "PUT"
        denied = web.get("/status/401")
        assert denied.status == 401 and denied.headers["WWW-Authenticate"] == "Basic"
        assert web.get("/status/403").status == 403
        assert web.get("/status/500").status == 503  # nobody said no, and nobody yes
        assert {r.path for r in origin.requests} == {"/in?a=b", "/put"}
        assert host.terminate() == 0, host.report()


@pytest.mark.parametrize("fail, status", [("closed", 503), ("open", 200)])
def test_the_service_is_down(binary, tmp, origin, refusing, fail, status):
    url = f"http://127.0.0.1:{refusing.port}/"
    with agent(url, AUTH_REQUEST_FAIL=fail) as host, proxy(binary, tmp, host.port, origin) as web:
        assert web.get("/").status == status
        assert host.terminate() == 0, host.report()


def test_the_agent_is_down(binary, tmp, origin, refusing):
    """Presence is tested for: no variable is no yes."""
    with proxy(binary, tmp, refusing.port, origin) as web:
        assert web.get("/").status == 503
        web.wait_agent(up=False)
        assert web.get("/").status == 503
    assert origin.requests == []


@pytest.mark.parametrize("first, env, patience", [
    ("plugin", {"AUTH_REQUEST_TIMEOUT": "100ms"}, "60s"),
    ("host", {"SPOE_PROCESSING_TIMEOUT": "100ms"}, "60s"),
    ("haproxy", {}, "100ms")])
def test_a_slow_service(binary, tmp, service, origin, first, env, patience):
    """Whoever gives up first, it fails closed (issue 12, 2, request_commit)."""
    with agent(service.url, **env) as host, proxy(binary, tmp, host.port, origin, patience) as web:
        assert web.get("/wait").status == 503
        service.release()
        assert origin.requests == []
        if first == "host":
            host.wait_line("processing-timeout is 100 ms")
        assert host.terminate() == 0, host.report()


def test_what_does_not_fit_into_a_frame(binary, tmp, service, origin):
    """What HAProxy takes fits; of a request that an argument of the user's makes too long nobody is asked."""
    config = Config(tmp).relax("2s")
    config.edit_spoe("hdrs=req.hdrs_bin", "hdrs=req.hdrs_bin again=req.fhdr(again)")
    with agent(service.url) as host, proxy(binary, tmp, host.port, origin, config=config) as web:
        assert web.get("/many", {"Cookie": "c" * 14000}).status == 200
        assert web.get("/host", {"Host": "h" * 14000}).status == 200
        assert service.asked("/host")[0].header("x-forwarded-host") == "h" * 14000
        assert web.get("/more", {"Again": "a" * 12000}).status == 503
        assert {r.path for r in origin.requests} == {"/many", "/host"}
        assert host.terminate() == 0, host.report()


FRONT = """
global
    stats socket {socket} level admin
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port} {bind}
    http-request set-header X-Http-Version %[req.ver]
    default_backend service
backend service
    server service {service}
"""


def refuses_h2c():
    """libcurl before 8.0 cannot use such a connection again, so the plugin does not start with it."""
    status, out = procs.run([procs.host_binary(), "-t"], env=procs.clean_env(
        {"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"], "SPOE_PLUGINS": "auth-request",
         "AUTH_REQUEST_URL": "http://127.0.0.1/", "AUTH_REQUEST_HTTP_VERSION": "2"}))
    assert status == 0 or "2 without TLS takes libcurl 8.0.0" in out, out
    return status != 0


@pytest.mark.parametrize("version, tls, seen", [("2", False, "2.0"), ("2", True, "2.0"), ("auto", True, "2.0"),
                                                ("1.1", True, "1.1"), ("auto", False, "1.1")])
def test_versions_of_http(binary, tmp, certs, service, origin, reserved, version, tls, seen):
    """With a HAProxy in front of the service, which speaks HTTP/2; with TLS from both sides."""
    env, bind = {"AUTH_REQUEST_HTTP_VERSION": version}, "proto h2" if seen == "2.0" else ""
    if version == "2" and not tls and refuses_h2c():
        return
    if tls:
        pem = os.path.join(tmp, "server.pem")
        with open(pem, "wb") as file:
            file.write(certs.read("server") + certs.read("server", "key"))
        bind = f"ssl crt {pem} alpn h2,http/1.1 ca-file {certs.path('ca')} verify required"
        env.update(AUTH_REQUEST_TLS_CA=certs.path("ca"), AUTH_REQUEST_TLS_CERT=certs.path("client"),
                   AUTH_REQUEST_TLS_KEY=certs.path("client", "key"))
    path, socket = os.path.join(tmp, "front.cfg"), os.path.join(tmp, "front.sock")
    with open(path, "w", encoding="ascii") as file:
        file.write(FRONT.format(socket=socket, port=reserved.port, bind=bind, service=service.address))
    url = f"http{'s' if tls else ''}://localhost:{reserved.port}/auth"
    with Proc([binary, "-db", "-f", path], name="front", env=procs.clean_env({})) as front:
        wait_until(lambda: os.path.exists(socket), lambda: "the front" + front.report())
        with agent(url, SPOE_WORKERS="1", **env) as host, proxy(binary, tmp, host.port, origin) as web:
            # Many at once: on one connection where it is HTTP/2.
            threads = [threading.Thread(target=web.get, args=(f"/wait/{i}",)) for i in range(5)]
            for thread in threads:
                thread.start()
            for i in range(5):
                service.wait_asked(f"/wait/{i}")
            service.release()
            for thread in threads:
                thread.join()
            assert web.get("/in", {"Authorization": "alice"}).status == 200
            assert origin.wait_request("/in").header("x-user") == "alice"
            assert {r.header("x-http-version") for r in service.requests} == {seen}
            if seen == "2.0":
                made = admin.metrics(host)["spoe_auth_request_connections_total"].total()
                assert made == 1
            assert host.terminate() == 0, host.report()


def test_the_service_is_killed_and_the_host_ends_under_load(binary, tmp, origin, reserved):
    """Every request is answered: by 200 only where the service said yes."""
    stop, seen = threading.Event(), []

    def traffic(web):
        with Client(web.web) as client:
            while not stop.is_set():
                try:
                    seen.append(client.request("GET", "/load").status)
                except OSError as error:
                    seen.append(error)
                    return

    def wait_for(status):
        start = len(seen)
        wait_until(lambda: seen[start:].count(status) >= 10, f"answers {status}: {seen[-5:]}")

    with agent(f"http://{reserved.address}/", SPOE_ADDR="127.0.0.1:0") as host:
        # A request that was on its way when the host ended waits so long.
        with proxy(binary, tmp, host.port, origin, "1s") as web:
            threads = [threading.Thread(target=traffic, args=(web,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                wait_for(503)
                with AuthService(port=reserved.port):
                    wait_for(200)
                wait_for(503)
                with AuthService(port=reserved.port):
                    wait_for(200)
                    host.signal(signal.SIGTERM)
                    assert host.wait() == 0, host.report()
                    wait_for(503)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
    assert set(seen) == {200, 503}
