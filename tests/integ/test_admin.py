# SPDX-License-Identifier: Apache-2.0
"""The admin endpoint: its pages, its HTTP, its addresses; that it answers while the host drains."""

import os
import re
import resource
import select
import signal
import socket
import stat

import pytest

from conftest import host_args
from lib import admin
from lib.procs import LIMIT, clean_env, host_binary, run, wait_until

ON = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
PAGES = ["/metrics", "/healthz", "/readyz", "/plugins", "/status", "/requests", "/", "/page.css", "/page.js",
         "/control"]


def test_healthz_and_readyz(start):
    host = start("slots", env=ON)
    assert admin.ask(host, "/healthz")[::2] == (200, "ok\n")
    assert admin.ask(host, "/readyz")[::2] == (200, "ready\n")
    assert host.terminate() == 0


def test_not_ready_while_draining(start, connect):
    """It answers on while a plugin holds the drain open, and ends with the host."""
    host = start("pending", env=ON, args=["--processing-timeout", "60s"])
    client, idle = connect(host), connect(host)
    client.hello(), idle.hello()
    client.notify([("pending", {"key": "k", "mode": "hold"})])
    host.wait_line("waits key=k")
    kept = admin.Connection(host.admin)
    assert kept.ask("/readyz").status == 200
    host.signal(signal.SIGTERM)
    assert idle.recv_disconnect().code == 0  # the drain is under way
    assert kept.ask("/readyz")[::2] == (503, "draining\n")
    assert admin.ask(host, "/readyz").status == 503
    assert admin.ask(host, "/healthz").status == 200
    families = admin.metrics(host)
    assert families["spoe_host_ready"].value() == 0
    assert families["spoe_host_pending"].value() == 1
    assert admin.page(host, "/status")["state"] == "draining"
    host.insist()  # at once
    with pytest.raises(OSError):
        admin.ask(host, "/healthz")


def test_not_ready_before_the_plugins_have_started(start, tmp_path):
    """A plugin whose start() takes its time; the endpoint is there already."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    host = start("slow_start", env=ON, args=["--set", f"slow-start.pipe={pipe}"], wait=False)
    host.wait_line("component=slow-start .*starting")
    address = host.wait_line(r"admin on ([^\s\"]+)").group(1)
    assert admin.ask(address, "/readyz")[::2] == (503, "starting\n")
    assert admin.ask(address, "/healthz").status == 200
    families = admin.metrics(address)
    assert families["spoe_host_ready"].value() == 0
    assert families["spoe_host_frames_total"].value() == 0
    assert admin.page(address, "/status")["workers"] == []
    pipe.write_bytes(b"x")
    host.wait_ready()
    assert admin.ask(address, "/readyz").status == 200
    assert host.terminate() == 0


def test_plugins_shows_options_and_masks_secrets(start):
    secret = "a-secret-of-the-test"
    host = start("metrics", "slots", env={**ON, "METRICS_SECRET": secret},
                 args=["--set", "the-metrics.plain=a \"quote\" \\ \u00e4"])
    plugins = admin.page(host, "/plugins")
    assert [p["id"] for p in plugins] == ["the-metrics", "slots"]
    mine = plugins[0]
    assert (mine["version"], mine["abi"]) == ("1", "1.1")
    assert mine["path"].endswith("/metrics.so")
    assert mine["messages"] == [{"name": "metrics", "event": "on-frontend-http-request"}]
    assert mine["options"] == [
        {"key": "secret", "value": "***", "origin": "environment METRICS_SECRET", "secret": True},
        {"key": "plain", "value": 'a "quote" \\ \u00e4', "origin": "command line",
         "secret": False}]
    for path in PAGES:
        text = admin.ask(host, path).text
        assert secret not in text and "hunter2" not in text
    assert secret not in host.text()


def test_a_secret_default_is_masked_too(start):
    host = start("metrics", env=ON)
    options = admin.page(host, "/plugins")[0]["options"]
    assert options[0] == {"key": "secret", "value": "***", "origin": "default", "secret": True}
    assert options[1] == {"key": "plain", "value": None, "origin": "default", "secret": False}


def test_what_is_in_effect_is_shown_without_credentials(start):
    """5.2: as -T has it: a default that depends on the machine is its value, and of a URL's user and
    password nothing is shown."""
    url = "https://u:hunter2@[::1]:1/x, http://hunter2@b"
    host = start("metrics", env=ON, args=["--set", f"the-metrics.plain={url}"])
    shown = {o["key"]: o for o in admin.page(host, "/plugins")[0]["options"]}
    assert shown["plain"]["value"] == "https://***@[::1]:1/x, http://***@b"
    options = {o["key"]: o for o in admin.page(host, "/status")["options"]}
    printed = run([host_binary(), "-T", *host_args("metrics")])[1]
    for key in ("workers", "hello-timeout", "log-level"):
        assert re.search(rf"^; {key} = {re.escape(options[key]['value'])}  ; default$", printed, re.M), printed
    assert "hunter2" not in printed, "the secret's default"
    assert options["workers"]["origin"] == "default"
    assert options["socket-group"]["value"] is None, "nobody said anything"
    host.signal(signal.SIGHUP)
    host.wait_line("configuration read again")
    assert {o["key"]: o for o in admin.page(host, "/status")["options"]} == options
    assert all("hunter2" not in admin.ask(host, path).text for path in PAGES)


def test_status(start, connect):
    host = start("slots", env=ON, args=["--workers", "1", "--max-frame-size", "8000"])
    connect(host)
    one, two, three = connect(host), connect(host), connect(host)
    one.hello(), two.hello(), three.hello(max_frame_size=4096, versions="1.0, 2.0")
    one.ask("slots", {"text": "x"})
    status = admin.page(host, "/status")
    assert status["state"] == "ready" and status["abi"] == "1.1"
    assert status["version"] in host.lines[0] and status["commit"] in host.lines[0]
    assert (status["connections"], status["pending"]) == (4, 0)
    (worker,) = status["workers"]
    assert (worker["connections"], worker["messages"]) == (4, 1)
    assert worker["peers"] == [
        {"address": "127.0.0.1", "versions": "2.0", "max_frame_size": 16380, "frame_size": 8000, "pipelining": True,
         "connections": 2},
        {"address": "127.0.0.1", "versions": "1.0, 2.0", "max_frame_size": 4096, "frame_size": 4096, "pipelining": True,
         "connections": 1}]
    options = {o["key"]: o for o in status["options"]}
    assert options["max-frame-size"]["value"] == "8000"
    assert options["max-frame-size"]["origin"] == "command line"
    assert options["admin"]["origin"] == "environment SPOE_ADMIN_ADDR"
    two.close(), three.close()
    wait_until(lambda: admin.page(host, "/status")["connections"] == 2, "connections to be gone")
    (group,) = admin.page(host, "/status")["workers"][0]["peers"]
    assert group["connections"] == 1


def test_many_kinds_of_peers_end_in_one_group(start, connect):
    host = start("slots", env=ON, args=["--workers", "1"])
    clients = [connect(host) for _ in range(40)]
    for i, client in enumerate(clients):
        client.hello(max_frame_size=1000 + i)
    peers = admin.page(host, "/status")["workers"][0]["peers"]
    assert len(peers) == 32 and sum(p["connections"] for p in peers) == 40
    assert peers[-1] == {"versions": None, "connections": 9}


# ---- HTTP

@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_its_body(start, path):
    host = start("slots", env=ON)
    got, head = admin.ask(host, path), admin.ask(host, path, "HEAD")
    assert head.status == got.status == 200 and head.text == ""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    if path not in ("/metrics", "/status"):  # their length changes
        assert head.headers["Content-Length"] == str(len(got.text.encode()))
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_other_methods_are_refused(start, method):
    host = start("slots", env=ON)
    answer = admin.ask(host, "/metrics", method)
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert admin.ask(host, "/healthz").status == 200


def test_another_path_is_not_found(start):
    host = start("slots", env=ON)
    for path in ("//", "/metricsx", "/metrics/", "/../etc/passwd", "/%6detrics"):
        answer = admin.ask(host, path)
        assert (answer.status, answer.text.split()) == (404, PAGES), path
    assert admin.ask(host, "/healthz?verbose=1").status == 200


def raw(host, data):
    """What comes back for these bytes, until the end of the stream."""
    with admin.connect(host.admin) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it did not wait for all of it
        got = b""
        try:
            while True:
                more = sock.recv(65536)
                if not more:
                    return got
                got += more
        except ConnectionResetError:
            return got


@pytest.mark.parametrize("data", [
    b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100000 + b"\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"GET /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000,
    b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"\x00\x01\x02\x03" * 1000 + b"\r\n\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n",
], ids=["path", "header", "headers", "body", "negative", "huge", "two lengths", "no host", "binary", "nonsense", "short"])
def test_what_is_too_large_or_no_http_is_refused(start, data):
    host = start("slots", env=ON)
    answer = raw(host, data)
    assert not answer or re.match(rb"HTTP/1\.[01] (400|413|414|431|501) ", answer), answer[:200]
    assert b"spoe_host" not in answer
    assert admin.ask(host, "/healthz").status == 200


def test_half_a_request_keeps_nobody_out(start):
    """More idle connections than there is room for: the oldest end, the next request is served."""
    host = start("slots", env=ON)
    idle = [admin.connect(host.admin) for _ in range(60)]
    for sock in idle:
        sock.sendall(b"GET /metr")
    assert admin.ask(host, "/healthz").status == 200
    for sock in idle[:40]:
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass  # what it sent had not been read yet
    descriptors = len(os.listdir(f"/proc/{host.pid}/fd"))
    for _ in range(100):
        assert admin.ask(host, "/healthz").status == 200
    assert len(os.listdir(f"/proc/{host.pid}/fd")) <= descriptors + 1
    for sock in idle:
        sock.close()
    assert host.terminate() == 0


def rss_kib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * (os.sysconf("SC_PAGESIZE") // 1024)


def test_requests_without_end_take_no_memory(start):
    """A2 (2.14): pipelined requests, and nothing is read."""
    host = start("slots", env=ON)
    assert admin.ask(host, "/metrics").status == 200
    before, sent = rss_kib(host.pid), 0
    data = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 1000
    with admin.connect(host.admin) as sock:
        sock.setblocking(False)
        while sent < 100 << 20 and select.select([], [sock], [], 1.0)[1]:
            sent += sock.send(data)
        assert sent < 100 << 20, "the host reads on and on"
        # Much less, but AddressSanitizer keeps what is freed for a while.
        assert rss_kib(host.pid) - before < 64 << 10
        assert admin.ask(host, "/healthz").status == 200
    assert host.terminate() == 0


def test_a_connection_that_has_ended_is_gone(start):
    """2.14: its memory and its descriptor."""
    host = start("slots", env=ON)
    assert admin.ask(host, "/metrics").status == 200
    before = len(os.listdir(f"/proc/{host.pid}/fd"))
    for _ in range(10):
        assert admin.ask(host, "/metrics").status == 200
    wait_until(lambda: len(os.listdir(f"/proc/{host.pid}/fd")) <= before, "the descriptors to go")


def test_a_connection_can_be_kept(start):
    host = start("slots", env=ON)
    connection = admin.Connection(host.admin)
    for _ in range(20):
        assert connection.ask("/healthz").status == 200
        assert connection.ask("/metrics", "HEAD").status == 200
    connection.close()


def test_ends_while_connections_are_open(start):
    host = start("slots", env=ON)
    kept = admin.Connection(host.admin)
    assert kept.ask("/healthz").status == 200
    half = admin.connect(host.admin)
    half.sendall(b"GET /")
    assert host.terminate() == 0
    try:
        assert half.recv(1) == b""
    except ConnectionResetError:
        pass  # what it had sent was not read any more


# ---- addresses

def test_off(start):
    host = start("slots", env={"SPOE_ADMIN_ADDR": "off"})
    assert host.admin is None
    assert host.count("component=admin") == 0
    assert not [t for t in os.listdir(f"/proc/{host.pid}/task")
                if open(f"/proc/{host.pid}/task/{t}/comm").read() == "admin\n"]


def test_unix_socket(start, tmp_path):
    path = tmp_path / "admin.sock"
    host = start("slots", args=["--admin", f"unix:{path}"])
    assert host.admin == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert admin.ask(host, "/readyz").status == 200
    assert admin.metrics(host)["spoe_host_ready"].value() == 1
    assert host.terminate() == 0
    assert not path.exists()


def test_ipv6_and_the_warning(start):
    host = start("slots", args=["--admin", "[::1]:0"])
    assert admin.ask(host, "/healthz").status == 200
    assert host.count("other machines") == 0
    host = start("slots", args=["--admin", "0.0.0.0:0"])
    assert host.count(r"level=warning .*component=admin .*other machines") == 1


def test_a_taken_port_names_the_option(start):
    first = start("slots", env=ON)
    status, text = run([host_binary(), *host_args("slots"), "--admin", first.admin,
                        "--listen", "127.0.0.1:0"], env=clean_env())
    assert status == 1
    (line,) = [line for line in text.splitlines() if first.admin in line]
    assert "level=error" in line and "option admin" in line and "SPOE_ADMIN_ADDR" in line
    assert admin.ask(first, "/healthz").status == 200


def test_check_does_not_listen(start):
    first = start("slots", env=ON)
    status, text = run([host_binary(), *host_args("slots"), "-t", "--admin", first.admin],
                       env=clean_env())
    assert status == 0, text


def test_default_address():
    status, text = run([host_binary(), "--help"], env=clean_env())
    assert status == 0
    assert re.search(r"--admin .*\(SPOE_ADMIN_ADDR, 127\.0\.0\.1:9902\)", text)


def test_too_many_open_files(start, connect):
    """The endpoint waits as the listeners do, and neither spins nor floods the log."""
    host = start("slots", env=ON)
    limit = len(os.listdir(f"/proc/{host.pid}/fd"))
    before = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    waiting = admin.connect(host.admin)
    waiting.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
    host.wait_line(r"component=admin .*accept: ", limit=LIMIT)
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, before)
    assert b"200 OK" in waiting.recv(4096)
    assert host.count("component=admin .*accept") <= 3
    assert host.count("accept.. failed|Error from accept") == 0
