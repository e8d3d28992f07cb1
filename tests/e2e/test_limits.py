# SPDX-License-Identifier: Apache-2.0
"""6.2: no client can make a message that does not fit into HAProxy's frame."""

import contextlib
import os
import re
import socket
import threading

import pytest
from lib import haproxy as hap
from lib import procs, versions
from lib.haproxy import Client, HAProxy
from lib.procs import SpoeHost
from lib.traces import end, wait_pair, wait_pairs

from conftest import host_env

FILES = ["spoe-otel.cfg", "spoe-otel-3.x.cfg"]
FRAME_MAX = 16000  # HAProxy's is tune.bufsize - 4, 16 380 by default

# What no client can lengthen, in bytes: names of the configuration, numbers, addresses, ids.
FIXED = {
    "unique-id": 36, "src": 16, "src_port": 5, "dst_port": 5, "fe_name": 256, "be_name": 256,
    "srv_name": 256, "ssl_fc": 1, "ssl_bc": 1, "req.ver": 8, "res.ver": 8, "status": 3, "bc_dst": 16,
    "bc_dst_port": 5, "ssl_fc_protocol": 8, "var(txn.otel_sample)": 8, "var(txn.otel_hold)": 8, "var(txn.otel_log_line)": 8,
    "request_date(us)": 10, "date(0,us)": 10, "req.timer.queue": 10, "bc.timer.connect": 10, "res.timer.hdr": 10,
    "txn.conn_retries": 10, "txn.redispatched": 1,
}
CUT = re.compile(r",bytes\(0,(\d+)\)$")
EVENT_OF_RESPONSE = "on-http-response"


def printed(collector, **env):
    """What the host writes for its plugins."""
    status, text = procs.run(
        [procs.host_binary(), "--print-spoe-config"],
        env=procs.clean_env({"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"],
                             **host_env(collector), **env}),
    )
    assert status == 0, text
    return text


def messages(text):
    """Each message of a SPOE section: {name: ({argument: expression}, event)}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["spoe-message"]:
            args = {}
            name = words[1]
        elif words[:1] == ["args"]:
            args.update(word.split("=", 1) for word in words[1:])
        elif words[:1] == ["event"]:
            found[name] = (args, words[1])
    return found


def longest(expression):
    """Bytes of an argument's value at most. KeyError: a client could make it longer."""
    cut = CUT.search(expression)
    return int(cut.group(1)) if cut else FIXED[expression]


def size(name, args):
    """Bytes of a message at most: two for each length, one for each type and the count."""
    return 2 + len(name) + 1 + sum(
        1 + len(arg) + 1 + 2 + longest(expression) for arg, expression in args.items()
    )


def text_of(name, collector):
    return printed(collector) if name == "printed" else hap.source_text(name)


def with_example(collector):
    """What the host writes for otel and for the example of a plugin beside it."""
    own = os.environ["SPOE_TEST_PLUGIN_DIR"]
    example = os.path.join(os.path.dirname(own), "examples")
    return printed(collector, SPOE_PLUGIN_DIR=f"{own}:{example}")


@pytest.mark.parametrize("name", [*FILES, "printed", "printed with another plugin"])
def test_all_messages_of_a_frame_fit(name, collector):
    """In a listen section all but the response's share one; that comes alone."""
    another = name.endswith("plugin")
    found = messages(with_example(collector) if another else text_of(name, collector))
    assert len(found) == 3 + another
    head = 4 + 1 + 4 + 20  # length, type, flags, ids
    sums = {False: head, True: head}
    for message, (args, event) in found.items():
        sums[event == EVENT_OF_RESPONSE] += size(message, args)
    print(f"{name}: {sums[False]} bytes with a request, {sums[True]} with a response")
    assert max(sums.values()) < FRAME_MAX


def test_comments_of_the_files_fit_too():
    """Whoever switches on what the files have as comments is not surprised."""
    for name in FILES:
        text = re.sub(r"^    #(args [^']*)$", r"    \1", hap.source_text(name), flags=re.M)
        extra = {"path,map_beg(/etc/haproxy/routes.map)": 256, "res.hdr(content-length)": 20}
        sums = {False: 29, True: 29}
        for message, (args, event) in messages(text).items():
            cut = {arg: e for arg, e in args.items() if e not in extra}
            sums[event == EVENT_OF_RESPONSE] += size(message, cut) + 1000
        assert max(sums.values()) < FRAME_MAX


def test_the_files_send_what_the_host_prints(collector):
    """One declaration, three texts: what is printed is what spoe-otel.cfg sends, but for B3, the
    sample, the hold and the line, which are comments there or stand elsewhere."""
    ours, theirs = messages(hap.source_text("spoe-otel.cfg")), messages(printed(collector))
    assert ours.keys() == theirs.keys()
    for name, (args, event) in ours.items():
        more = {arg: e for arg, e in theirs[name][0].items() if arg not in args}
        assert {**args, **more} == theirs[name][0] and event == theirs[name][1].split()[0]
        assert all("b3" in arg or arg in ("sample", "hold", "log_line") for arg in more), more


# -- on a real HAProxy


LISTEN = """
listen both
    bind 127.0.0.1:{port}
    unique-id-format %[uuid()]
    filter spoe engine {engine} config {spoe}
    acl failed var(txn.otel.spoe.status) -m found
    http-after-response set-header X-Otel-Status %[var(txn.otel.spoe.status)] if failed
    server origin {origin}
"""


@contextlib.contextmanager
def listening(binary, config, agent, origin, reserved, engine="otel"):
    """HAProxy with a listen section, and its limit on a request far above that on a frame."""
    config.edit_main(r"^global\n", "global\n    tune.bufsize 65536\n", count=1)
    config.edit_spoe(r"^(spoe-agent .*)$", r"\1\n    max-frame-size 16380")
    path = os.path.join(config.directory, "spoe-otel.cfg")
    config.main += LISTEN.format(
        port=reserved.port, engine=engine, spoe=path, origin=origin.address
    )
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        yield proxy


def longest_request(length):
    """Every field that a client controls, longer than any limit: a request as bytes."""
    fields = [
        ("Host", "h" * length), ("User-Agent", "u" * length), ("traceparent", "0" * length),
        ("traceparent", "1" * length), ("b3", "b" * length), ("X-B3-TraceId", "t" * length),
        ("X-B3-SpanId", "s" * length), ("X-B3-Sampled", "1" * length), ("X-B3-Flags", "1" * length),
        *(("tracestate", f"k{i}=" + "v" * length) for i in range(3)),
        ("Connection", "close"),
    ]
    head = f"{'M' * length} /{'p' * length}?{'q' * length} HTTP/1.1\r\n"
    return (head + "".join(f"{k}: {v}\r\n" for k, v in fields) + "\r\n").encode()


def exchange(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=procs.LIMIT) as sock:
        sock.sendall(request)
        parts = []
        while chunk := sock.recv(65536):
            parts.append(chunk)
    return b"".join(parts)


def read_totals(agent):
    """The numbers that a host writes when it ends."""
    end(agent)
    words = " ".join(line for line in agent.lines if "totals:" in line).replace('"', "").split()
    pairs = (word.split("=", 1) for word in words if "=" in word)
    return {k: int(v) for k, v in pairs if v.isdigit()}


def others(port, count, statuses):
    with Client(port) as client:
        for i in range(count):
            statuses.append(client.request("GET", f"/other/{i}").otel_status)


@pytest.mark.parametrize("name", [*FILES, "printed"])
def test_everything_at_its_longest(
    binary, version, config, agent, origin, collector, reserved, name
):
    """W3: 64 KiB of request for a frame of 16 KiB. Two spans with what was cut, no connection to the
    agent ends, and other clients' requests are traced meanwhile, all of them."""
    if name == "spoe-otel-3.x.cfg" and version < (3, 0):
        return  # test_config.py holds that these refuse it
    config.spoe = re.sub(
        r"timeout processing .*", "timeout processing 20s", text_of(name, collector)
    )
    engine = re.search(r"^\[(\S+)\]", config.spoe, flags=re.M).group(1)
    config.edit_main(r"filter spoe engine otel", f"filter spoe engine {engine}")
    config.edit_main(r"option spop-check", "")  # no connections but the messages'
    config.edit_main(r"check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions", "inter 2s")
    config.edit_main(r"on-marked-up shutdown-backup-sessions", "")
    with listening(binary, config, agent, origin, reserved, engine=engine):
        statuses = []
        threads = [
            threading.Thread(target=others, args=(reserved.port, 200, statuses)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for _ in range(10):
            answer = exchange(reserved.port, longest_request(4200))
            assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
            assert b"x-otel-status" not in answer.lower()
        for thread in threads:
            thread.join()
        assert statuses == [None] * 600
        totals = read_totals(agent)
    got = wait_pairs(collector, 610)
    long = [pair for pair in got if pair[0].name == "HTTP"]
    assert len(got) == 610 and len(long) == 10
    for server, client in long:
        for span in (server, client):
            assert not span.incomplete
            assert span.attributes["url.path"] == "/" + "p" * 4095
            assert span.attributes["http.request.method_original"] == "M" * 64
        assert server.attributes["url.query"] == "q" * 4096
        assert server.attributes["server.address"] == "h" * 512
        assert server.attributes["user_agent.original"] == "u" * 1024
        assert server.trace_state == "" and server.parent_id == ""
    # A storm was a new connection every other request.
    assert totals["connections"] < 30 and totals["unknown_id"] == 0


def test_long_path_in_a_listen_section(binary, config, agent, origin, collector, reserved):
    """W3 as it was found: from about 8 050 bytes on the path, sent twice, did not fit."""
    with listening(binary, config, agent, origin, reserved):
        path = "/" + "a" * 12000
        answer = exchange(
            reserved.port, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 200 ") and b"x-otel-status" not in answer.lower()
        end(agent)
    for span in wait_pair(collector, path[:4096]):
        assert not span.incomplete


def test_long_tracestate_is_dropped_whole(binary, config, agent, origin, collector):
    """HAProxy cuts the line; the agent sees that and hands nothing on, the trace goes on."""
    whole = "a=" + "1" * 200 + ",b=" + "2" * 200
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        for path, state in (("/fits", whole), ("/long", whole + ",c=" + "3" * 200)):
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            proxy.get(path, headers={"traceparent": trace, "tracestate": state})
        end(agent)
        for path, wanted in (("/fits", [whole]), ("/long", [])):
            for span in wait_pair(collector, path):
                assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
                assert span.trace_state == "".join(wanted)
            assert origin.wait_request(path).all("tracestate") == wanted


def test_host_list_and_asterisk(binary, version, config, agent, origin, collector):
    """W13: a Host of two names is none, where HAProxy lets it pass; OPTIONS * has a path."""
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answer = exchange(
            proxy.web, b"GET /two HTTP/1.1\r\nHost: a,b\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200 " if versions.takes_two_hosts(version) else b"HTTP/1.1 400 ")
        answer = exchange(
            proxy.web, b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200 ")
        end(agent)
    if versions.takes_two_hosts(version):
        server, _client = wait_pair(collector, "/two")
        assert "server.address" not in server.attributes
    server, client = wait_pair(collector, "*")
    assert "url.full" not in client.attributes
