# SPDX-License-Identifier: Apache-2.0
"""Issue 13, 3: `spoe-host ctl`: status, set, where the host is, its exit status."""

import http.server
import json
import socket
import threading

import pytest

from lib.procs import ReservedPort, clean_env, host_binary, run

TOKEN = "a-token-of-24-characters"


def ctl(*words, env=None):
    """(exit status, output)"""
    return run([host_binary(), "ctl", *words], env=clean_env(env))


@pytest.fixture
def host(start, tmp_path):
    return start("reload", args=["--admin", f"unix:{tmp_path}/admin"])


def at(host):
    return ["--socket", host.admin[len("unix:"):]]


def test_status_is_a_page_for_people(host, connect):
    client = connect(host)
    client.hello()
    client.ask("base-reload")
    status, text = ctl(*at(host), "status")
    assert status == 0, text
    lines = text.splitlines()
    assert lines[0].startswith("spoe-host ") and ", ready, up 0d 0h 0m" in lines[0]
    assert lines[1] == "connections 1 of 4096, messages pending 0"
    assert lines[2].startswith("messages 1, ") and lines[2].endswith(" a second")
    assert any(line.split() == ["reload", "ready"] for line in lines), text
    for words in ((*at(host), "--json", "status"), (*at(host), "status", "--json")):
        status, text = ctl(*words)
        assert status == 0 and json.loads(text)["state"] == "ready"


def test_set(host, connect):
    client = connect(host)
    client.hello()
    assert ctl(*at(host), "set", "reload.name", 'a "b" \u00e4', "reload.limit", "7")[0] == 0
    variables = client.ask("base-reload").variables
    assert (variables["name"], variables["limit"]) == ('a "b" \u00e4', "7")
    status, text = ctl(*at(host), "--json", "set", "reload.limit", "8")
    assert status == 0
    assert json.loads(text)["changed"] == [{"option": "reload.limit", "value": "8", "before": "7"}]
    status, text = ctl(*at(host), "set", "reload.limit", "many")
    assert status == 1 and "refused, 422: reload.limit" in text
    assert client.ask("base-reload").variables["limit"] == "8"


def test_where_the_host_is(start, tmp_path, connect):
    """By the configuration that the host has, its environment, --url; the token likewise."""
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o640)
    other = tmp_path / "other"
    other.write_text("another-token-of-letters")
    other.chmod(0o640)
    host = start("reload", args=["--admin", "127.0.0.1:0", "--admin-token-file", token])
    file = tmp_path / "host.ini"
    file.write_text(f"[host]\nadmin = {host.admin}\nadmin-token-file = {token}\n[reload]\nname = x\n")
    env = {"SPOE_ADMIN_ADDR": host.admin, "SPOE_ADMIN_TOKEN_FILE": str(token)}
    change = ("set", "reload.name", "new")
    assert ctl("-f", file, *change, env={"SPOE_ADMIN_ADDR": ""}) == (0, "changed, until the configuration is read again\n")
    assert ctl(*change, env=env)[0] == 0
    assert ctl("--url", f"http://{host.admin}/", "--token-file", token, *change)[0] == 0
    for words, message in (((), "refused, 401"), (("--token-file", other), "refused, 401"),
                           (("--token-file", "/nonexistent"), "no token")):
        status, text = ctl("--url", f"http://{host.admin}", *words, *change)
        assert status == 1 and message in text, text
        assert "another-token" not in text and TOKEN not in text
    assert ctl("--url", f"http://{host.admin}", "status")[0] == 0, "which needs none"


@pytest.mark.parametrize("words,message", [
    ((), "no command"), (("--odd", "status"), "no such option"), (("stop",), "no such command"),
    (("set",), "set ID.KEY"), (("set", "a.b"), "set ID.KEY"), (("status", "x"), "nothing behind"),
    (("--socket",), "needs a value"), (("--socket=", "status"), "needs a value"),
    (("--url", "http://fd:admin", "status"), "the service manager has opened"),
    (("--url", "https://h:1", "status"), "http://HOST:PORT"),
    (("--url", "http://h:1/x", "status"), "http://HOST:PORT"),
    (("--socket", "/a", "--url", "http://a:1", "status"), "two places"),
    (("-f", "/nonexistent", "status"), "/nonexistent"),
])
def test_a_command_line_that_cannot_be(words, message):
    status, text = ctl(*words)
    assert status == 1 and message in text, text


def test_off():
    status, text = ctl("status", env={"SPOE_ADMIN_ADDR": "off"})
    assert status == 1 and "off" in text


def test_a_socket_of_the_service_manager_s():
    """As the shipped unit has it: only who opened it knows where it is. (13.2)"""
    status, text = ctl("status", env={"SPOE_ADMIN_ADDR": "fd:admin"})
    assert status == 1 and '"fd:admin" is a socket that the service manager has opened' in text


def test_nobody_answers(tmp_path):
    status, text = ctl("--socket", tmp_path / "none", "status")
    assert status == 2 and f"unix:{tmp_path}/none: /status: No such file" in text
    with ReservedPort() as port:
        status, text = ctl("--url", f"http://{port.address}", "status")
        assert status == 2 and "refused" in text
    assert ctl("--socket", "/" + "x" * 200, "status")[0] == 2


@pytest.mark.parametrize("answer", [
    b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000, b"HTTP/1.1 301 Moved\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"])
def test_something_else_answers(answer):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock = listener.accept()[0]
        sock.recv(65536)
        sock.sendall(answer)
        sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    status, text = ctl("--url", "http://127.0.0.1:%d" % listener.getsockname()[1], "status")
    thread.join()
    listener.close()
    assert status == 2 and "in time" not in text, text


def test_trace_shows_the_first_request_of_the_trace():
    """A request that is redirected comes twice with the header; the second one was not asked for. (13.3)"""
    traces = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, page):
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer({"options": [{"option": "otel.trace-once", "value": traces[0]}]})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/requests":
                traces.append(asked["trace"])
            self.answer({"requests": [] if len(traces) < 2 else [
                {"n": 8, "trace": asked["trace"][::-1], "target": "/other"},
                {"n": 10, "trace": asked["trace"], "target": "/second", "exported": False},
                {"n": 9, "trace": asked["trace"], "target": "/first", "exported": True},
                {"n": 11, "trace": asked["trace"], "target": "/third", "exported": False}]})

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        status, text = ctl("--url", f"http://127.0.0.1:{server.server_port}", "trace")
        server.shutdown()
        thread.join()
    assert status == 0 and f"traceparent: 00-{traces[0]}-" in text, text
    assert "/first" in text and "exported  true" in text and "/second" not in text, text


class Busy(http.server.BaseHTTPRequestHandler):
    """The next of `answers`: a status and Retry-After."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, again = self.server.answers.pop(0)
        self.send_response(status)
        if again is not None:
            self.send_header("Retry-After", again)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("answers,status,left", [
    ([(503, "0"), (503, "1"), (200, None)], 0, 0),
    ([(503, None), (200, None)], 1, 1),
    ([(503, "60"), (200, None)], 1, 1),
    ([(503, "99999999999999999999"), (200, None)], 1, 1),
    ([(503, "Fri, 31 Dec 1999 23:59:59 GMT"), (200, None)], 1, 1),
    ([(422, "0"), (200, None)], 1, 1),
])
def test_a_host_that_is_busy_is_asked_again(answers, status, left):
    """As it says, by Retry-After, as far as there is time."""
    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        server.answers = list(answers)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        got, text = ctl("--url", f"http://127.0.0.1:{server.server_port}", "set", "a.b", "c")
        server.shutdown()
        thread.join()
    assert got == status and len(server.answers) == left, text
    assert status == 0 or f"refused, {answers[0][0]}" in text


def test_a_host_that_says_at_once_has_a_moment():
    """Retry-After: 0 does not let a client ask as fast as it can, for as long as it has time."""
    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        server.answers = [(503, "0")] * 10000
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        status, text = ctl("--url", f"http://127.0.0.1:{server.server_port}", "set", "a.b", "c")
        server.shutdown()
        thread.join()
    assert status == 1 and "refused, 503" in text, text
    assert 10000 - len(server.answers) <= 11, "one each second of its 10"


def test_help():
    status, text = ctl("--help")
    assert status == 0 and "Exit status" in text
    status, text = run([host_binary(), "--help"], env=clean_env())
    assert status == 0 and "spoe-host ctl" in text
