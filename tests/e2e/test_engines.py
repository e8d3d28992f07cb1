# SPDX-License-Identifier: Apache-2.0
"""Issue 12, 1: plugins of one host do not disturb each other at HAProxy. Each has an engine to itself, in what
the host writes; a message that two take is each one's own; a body that is cut says so."""

import http.client
import os
import re
import socket
import threading

import pytest
from lib import admin, procs, versions
from lib import haproxy as hap
from lib.haproxy import HAProxy
from lib.haproxy_config import printed
from lib.procs import SpoeHost

BODIES = ["body_a", "body_b", "body_c"]
HEADER = "    http-after-response set-header X-{name} %[var(txn.{name})] if {{ var(txn.{name}) -m found }}\n"


def plugins(*names):
    """The environment of a host with these plugins of the tests."""
    folder = os.path.join(os.path.dirname(os.environ["SPOE_TEST_PLUGIN_DIR"]), "test-plugins")
    return {"SPOE_PLUGIN_DIR": folder, "SPOE_PLUGINS": ",".join(f"{name}.so" for name in names),
            "SPOE_PROCESSING_TIMEOUT": "10s"}


class Site(hap.Config):
    """What the host writes for its plugins, and variables as headers of the response."""

    def __init__(self, tmp, env, variables, rules="", settings="", options=()):
        super().__init__(tmp)
        main, self.spoe = printed("spoe", "2.6", *options, env={**env, "SPOE_LOG_LEVEL": "warning"})
        self.main = f"global\n    stats socket {self.socket} level admin\n{settings}{main}"
        headers = "".join(HEADER.format(name=name) for name in variables)
        self.edit_main(r'^(    bind "\$\{WEB_ADDR.*\n)', lambda m: m.group(1) + rules)
        self.edit_main(r"^(    default_backend .*\n)", lambda m: headers + m.group(1))
        self.edit_main("option spop-check", "")  # no connections but the messages'
        self.edit_main(" check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions", " inter 2s")
        self.relax()

    def run(self, binary, agent, origin):
        path = os.path.join(self.directory, "spoe-otel.cfg")
        return HAProxy(binary, self, [agent.port], origin.address, env={"SPOE_CFG": path})


def variables_of(answer):
    return {key.lower()[2:]: value for key, value in answer.headers.items() if key.lower().startswith("x-")}


def raw(port, *parts):
    """A request as bytes; the answer's headers."""
    with socket.create_connection(("127.0.0.1", port), timeout=procs.LIMIT) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    head = answer.split(b"\r\n\r\n")[0].decode()
    assert head.startswith("HTTP/1.1 200 "), head
    return {key.lower()[2:]: value for key, value in re.findall(r"^(x-[^:]+): (.*?)\r?$", head, re.M | re.I)}


def of_each(prefix, *names):
    return [f"{prefix}_{one}.{name}" for one in "abc" for name in names]


BUFFER = "    option http-buffer-request\n"


def one_section(text):
    """The same messages, as they were written before: all in one section."""
    sections = re.split(r"^(?=\[)", text, flags=re.M)[1:]
    names = " ".join(re.search(r"^    messages (.*)$", section, re.M).group(1) for section in sections)
    messages = "".join(section[section.index("\nspoe-message"):] for section in sections)
    head = sections[0][:sections[0].index("\nspoe-message")]
    return re.sub(r"^    messages .*$", f"    messages {names}", head, flags=re.M) + "\n" + messages


def test_each_plugin_has_a_body_of_8500_bytes(binary, tmp, origin):
    """Three times that does not fit into HAProxy's frame of 16 380 bytes."""
    env = plugins(*BODIES)
    site = Site(tmp, env, of_each("body", "came", "whole", "spoe.status"), BUFFER)
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        for size in (8500, 0, 1, 15000):
            got = variables_of(proxy.get("/", method="POST", body=b"b" * size))
            got.pop("origin-traceparent", None)
            assert got == {key: value for one in "abc" for key, value in (
                (f"body_{one}.came", str(size)), (f"body_{one}.whole", "1"))}, size
        assert agent.terminate() == 0


def test_in_one_section_no_plugin_has_anything(binary, tmp, origin):
    """Why they have an engine each: the frame is not sent, and all that set-on-error can do is to say so."""
    env = plugins(*BODIES)
    site = Site(tmp, env, of_each("body", "came", "spoe.status"), BUFFER)
    site.edit_main(r"^    filter spoe engine body-[bc] .*\n", "")
    site.spoe = one_section(site.spoe)
    site.relax("200ms")  # up to 3.0 it waits for that
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        got = variables_of(proxy.get("/", method="POST", body=b"b" * 8500))
        assert "body_a.came" not in got and got["body_a.spoe.status"] != ""
        assert agent.terminate() == 0


def test_a_message_that_two_take(binary, tmp, origin):
    """Each has its own arguments, and its own variables."""
    env = plugins("shared_a", "shared_b")
    names = [f"shared_{one}.shared_{one}_{what}" for one in "ab" for what in ("0", "1", "others")]
    site = Site(tmp, env, names)
    assert re.findall(r"^spoe-message (.*)$", site.spoe, re.M) == ["shared-a.shared", "shared-b.shared"]
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        got = variables_of(proxy.get("/path"))
        assert {key: got.get(key) for key in names} == {
            "shared_a.shared_a_0": "/path", "shared_a.shared_a_1": "GET", "shared_a.shared_a_others": "0",
            "shared_b.shared_b_0": "127.0.0.1", "shared_b.shared_b_1": "/path", "shared_b.shared_b_others": "0"}
        assert agent.terminate() == 0


def test_instances_have_an_engine_each(binary, tmp, origin):
    """The same message to each, the same variable of each."""
    env = {**plugins("several"), "SPOE_PLUGINS": "several:block,several:allow",
           "SEVERAL_BLOCK_LIST": "bad", "SEVERAL_ALLOW_LIST": "good"}
    names = ["several_block.list", "several_allow.list"]
    site = Site(tmp, env, names)
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        got = variables_of(proxy.get("/"))
        assert [got.get(name) for name in names] == ["bad", "good"]
        assert agent.terminate() == 0


def test_engines_take_turns(binary, tmp, origin):
    """In the order of the filter lines: what one has answered, the message of the next can send."""
    env = plugins("shared_a", "shared_b")
    site = Site(tmp, env, ["shared_b.shared_b_1"])
    site.edit_spoe("src=src path=path", "src=src path=var(txn.shared_a.shared_a_1)")
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        assert variables_of(proxy.get("/path"))["shared_b.shared_b_1"] == "GET"
        assert agent.terminate() == 0


def test_a_larger_buffer_holds_more(binary, tmp, origin):
    """tune.bufsize is what a frame holds; the host takes what HAProxy offers."""
    env = plugins("body_a")
    site = Site(tmp, env, ["body_a.came", "body_a.whole", "body_a.spoe.status"], BUFFER,
                settings="    tune.bufsize 65536\n")
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        for size, whole in ((60000, "1"), (70000, "0")):
            got = variables_of(proxy.get("/", method="POST", body=b"b" * size))
            assert got["body_a.whole"] == whole and int(got["body_a.came"]) >= 60000, got
        assert agent.terminate() == 0


REQUESTS = int(os.environ.get("ENGINE_REQUESTS", "400"))  # the test long_engines sends 50 000
CLIENTS = 4


def test_many_requests_over_two_engines(binary, version, tmp, origin):
    """Bodies that two in one frame would not have room for: each engine has each one's own, and no connection is
    given up over it (762 were, of 50 000 requests in one section)."""
    env = {**plugins("body_a", "body_b"), "SPOE_PROCESSING_TIMEOUT": "55s", "SPOE_ADMIN_ADDR": "127.0.0.1:0"}
    names = [f"body_{one}.{what}" for one in "ab" for what in ("came", "whole", "spoe.status")]
    site = Site(tmp, env, names, BUFFER + "    http-request return status 200\n")
    site.relax("60s")
    wrong, sent = [], []
    clients = 1 if versions.needs_room(version) else CLIENTS

    def client(port, which):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=procs.LIMIT)
        for turn in range(REQUESTS // clients):
            size = 8200 + (turn * clients + which) % 900
            connection.request("POST", "/", b"b" * size)
            answer = connection.getresponse()
            answer.read()
            got = {name: answer.getheader(f"X-{name}") for name in names}
            if got != {f"body_{one}.{what}": value for one in "ab" for what, value in (
                    ("came", str(size)), ("whole", "1"), ("spoe.status", None))}:
                wrong.append((size, got))
        connection.close()
        sent.append(REQUESTS // clients)

    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        threads = [threading.Thread(target=client, args=(proxy.web, which)) for which in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(sent) == REQUESTS and not wrong, (sent, len(wrong), wrong[:3])
        found = admin.metrics(agent)
        for what in ("protocol_errors", "peer_errors", "discarded_frames"):
            assert found[f"spoe_host_{what}_total"].total() == 0, what
        assert found["spoe_host_connections_total"].total() < 100 + REQUESTS // 1000
        assert found["spoe_host_messages_total"].total() == 2 * REQUESTS
        assert agent.terminate() == 0


def test_the_times_that_haproxy_measures(binary, tmp, origin):
    """12.1: by the names that the printed file has for them as comments, which no plugin can take."""
    env = plugins("body_a", "body_b")
    names = [f"body_{one}.spoe.{what}" for one in "ab" for what in ("ms", "total_ms")]
    site = Site(tmp, env, names, BUFFER)
    site.edit_spoe(r"^    # (option set-(?:process|total)-time )", r"    \1")
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        got = variables_of(proxy.get("/", method="POST", body=b"b"))
        assert all(got.get(name, "").isdigit() for name in names), got
        assert agent.terminate() == 0


def test_an_engine_of_ones_own_name(binary, tmp, origin):
    """--engine before each one's."""
    env = {**plugins("shared_a", "shared_b"), "SPOE_ENGINE": "my-own"}
    names = ["my_own.shared_a.shared_a_0", "my_own.shared_b.shared_b_1"]
    site = Site(tmp, env, names)
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        got = variables_of(proxy.get("/path"))
        assert [got.get(name) for name in names] == ["/path", "/path"]
        assert agent.terminate() == 0


def ours(origin, collector):
    """The environment of a host with all plugins of this project that were built, and their prefixes."""
    folder = os.environ["SPOE_TEST_PLUGIN_DIR"]
    optional = os.path.join(folder, "optional")
    found = [os.path.join(optional, name) for name in sorted(os.listdir(optional))] if os.path.isdir(optional) else []
    prefixes = ["otel", *(os.path.basename(path)[:-3].replace("-", "_") for path in found)]
    return prefixes, {
        "SPOE_PLUGIN_DIR": folder, "SPOE_PLUGINS": ",".join(["otel.so", *found]), "SPOE_PROCESSING_TIMEOUT": "10s",
        "OTLP_ENDPOINT": collector.endpoint, "SPOE_ADMIN_ADDR": "127.0.0.1:0",
        "AUTH_REQUEST_URL": f"http://{origin.address}/auth",
        "MIRROR_URL": f"http://{origin.address}/mirror"}


# Of a length that HAProxy still takes: 15 360 bytes with the rest.
LONG = {
    "path": b"GET /%s HTTP/1.1\r\nHost: a\r\n" % (b"p" * 15000),
    "query": b"GET /?%s HTTP/1.1\r\nHost: a\r\n" % (b"q" * 15000),
    "host": b"GET / HTTP/1.1\r\nHost: %s\r\n" % (b"h" * 15000),
    "method": b"%s / HTTP/1.1\r\nHost: a\r\n" % (b"M" * 14000),
    "header": b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: %s\r\n" % (b"l" * 15000),
    "headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 90,
    "body": b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n" % (b"p" * 2000),
}


def test_no_client_makes_a_message_of_ours_too_long(binary, tmp, origin, collector):
    """Each engine's message fits into its frame, whatever the request: else its plugin is not asked, and says so
    in nothing but set-on-error."""
    prefixes, env = ours(origin, collector)
    site = Site(tmp, env, [f"{prefix}.spoe.status" for prefix in prefixes], BUFFER)
    assert site.spoe.count("\nspoe-agent ") == len(prefixes)
    failed = {}
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        for what, head in LONG.items():
            body = b"b" * 20000 if what == "body" else b""
            got = raw(proxy.web, head + b"Connection: close\r\n\r\n" + body)
            failed.update({(what, key): value for key, value in got.items() if key.endswith(".spoe.status")})
        assert agent.terminate() == 0
    assert failed == {}


# -- bodies


def chunk(size):
    return b"%x\r\n" % size + b"c" * size + b"\r\n"


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"


@pytest.fixture
def body_site(binary, tmp, origin):
    env = plugins("body_a")
    site = Site(tmp, env, ["body_a.came", "body_a.length", "body_a.whole", "body_a.size"], BUFFER)
    site.edit_main(r'^(    bind "\$\{WEB_ADDR.*)$', r"\1 proto h1" + '\n    bind "${API_ADDR-}" proto h2')
    site.edit_spoe(r"body=req\.body ", "size=req.body_size body=req.body,bytes(0,10000) ")
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        yield proxy
        assert agent.terminate() == 0


def test_a_body_that_is_cut_says_so(body_site):
    """By the argument's bytes(), or by HAProxy's buffer; with a length and in chunks."""
    for size in (0, 1, 9999, 10000, 10001, 15000, 20000, 100000):
        length = HEAD + b"Content-Length: %d\r\n\r\n" % size + b"c" * size
        small = b"".join(chunk(min(4096, size - at)) for at in range(0, size, 4096))
        big = chunk(size) if size else b""
        for request in (length, CHUNKED + b"\r\n" + small + LAST, CHUNKED + b"\r\n" + big + LAST):
            got = raw(body_site.web, request)
            assert got["body_a.came"] == str(min(size, 10000)), (size, got)
            assert got["body_a.whole"] == str(int(size <= 10000)), (size, got)


def test_a_long_head_cuts_the_body_before(body_site):
    """Both are in one buffer. req.body_size would say no more than what is there where a chunk ends with it."""
    long = b"X-Long: " + b"l" * 8000 + b"\r\n\r\n"
    got = raw(body_site.web, CHUNKED + long + chunk(5000) + LAST)
    assert (got["body_a.came"], got["body_a.whole"]) == ("5000", "1")
    got = raw(body_site.web, CHUNKED + long + chunk(9000) + LAST)
    assert int(got["body_a.came"]) < 7500 and got["body_a.whole"] == "0"


def test_a_body_of_http2(body_site, tmp, version):
    """With a length and without one: then req.body_size is what is in the buffer, and 0 from 3.3 on."""
    path = os.path.join(tmp, "body")
    for size in (0, 100, 10000, 10001, 15000, 20000, 100000):
        with open(path, "wb") as file:
            file.write(b"c" * size)
        for send in (["--data-binary", f"@{path}"], ["-X", "POST", "-T", path, "-H", "Content-Length:"]):
            status, out = procs.run(["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", "/dev/null",
                                     "-H", "Expect:", *send, f"http://127.0.0.1:{body_site.api}/"])
            assert status == 0, out
            got = dict(re.findall(r"^x-([^:]+): (.*?)\r?$", out, re.M))
            assert got.get("body_a.came") == str(min(size, 10000)), (size, send, out)
            assert got["body_a.whole"] == str(int(size <= 10000)), (size, send, got)


def test_no_body_is_whole(body_site):
    got = raw(body_site.web, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (got["body_a.came"], got["body_a.whole"]) == ("0", "1")


def test_instances_of_one_plugin_have_variables_of_their_own(binary, tmp, origin):
    """Each with its condition, which the user says and not the plugin; HAProxy takes their names."""
    env = plugins("several") | {
        "SPOE_PLUGINS": "several.so:block,several.so:allow", "SEVERAL_BLOCK_LIST": "bad",
        "SEVERAL_ALLOW_LIST": "good"}
    block = 'several:block.message."base-several".'
    options = ["--set", block + "if={ path_beg /b }", "--set", block + 'args=path=path x=str("a b")']
    site = Site(tmp, env, ["several_block.list", "several_allow.list", "several_block.spoe.status"],
                options=options)
    with SpoeHost(env=env) as agent, site.run(binary, agent, origin) as proxy:
        for path, expected in (("/b", {"several_block.list": "bad", "several_allow.list": "good"}),
                               ("/", {"several_allow.list": "good"})):
            got = variables_of(proxy.get(path))
            got.pop("origin-traceparent", None)
            assert got == expected, path
        assert agent.terminate() == 0
