# SPDX-License-Identifier: Apache-2.0
"""Log lines as real HAProxies write them, over each transport (issue 11, 1.1 to 1.6)."""

import os
import pathlib
import re
import socket
import threading

import pytest
from lib import admin, versions
from lib.haproxy import Client
from lib.lines import Told, where
from lib.log_proxy import CONTEXT, EVIL, FMT, KEYS
from lib.log_proxy import FactsProxy as Proxy
from lib.procs import SpoeHost, wait_until


@pytest.fixture
def taking(tmp):
    """taking(LISTEN, ...) -> (host with the plugin from_log, what it tells)"""
    hosts = []
    told = Told(pathlib.Path(tmp) / "told")
    plugins = os.path.join(os.environ["SPOE_TEST_PLUGIN_DIR"], "..", "test-plugins")

    def begin(*listen):
        host = SpoeHost(
            ["--plugin-dir", plugins, "--plugins", "from_log.so", "--log-listen", ",".join(listen),
             "--set", f"from-log.file={told.path}"],
            env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": None})
        hosts.append(host)
        return host, told

    yield begin
    for host in hosts:
        host.kill()


REQUESTS = [("/a?q=1", {"traceparent": CONTEXT}), ("/deny", {}), ("/redirect", {}), ("/return", {}),
            ("/b", {"X-Attrs": EVIL})]


def ask_all(proxy):
    for path, headers in REQUESTS:
        proxy.get(path, **headers)


def pairs_of(line):
    """What the plugin tells of a message: the pairs by name."""
    name, *words = re.split(r" \+?(?=[\w.]+=)", line)
    pairs = {"": name}
    for word in words:
        key, value = word.split("=", 1)
        pairs.setdefault(key, re.sub(r"^(str|int|ip4):", "", value))
    return pairs


def check_all(host, told, user=False):
    """Every request in a line, whole, none forged, none missing; no other line is broken than
    HAProxy's own notices, which come to the same `log` line."""
    lines = [pairs_of(line) for line in told.wait(len(REQUESTS))]
    assert len(lines) == len(REQUESTS)
    by_path = {line["u"].split("?")[0]: line for line in lines}
    assert set(by_path) == {"/a", "/deny", "/redirect", "/return", "/b"}
    for path, status in (("/a", "200"), ("/deny", "403"), ("/redirect", "302"), ("/return", "200")):
        assert by_path[path]["st"] == status
    for line in lines:
        absent = {"v"} | {k for k in KEYS if k not in line}
        assert absent <= {"v", "t2", "tls", "si", "sp", "srv"}, line
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", line["tp"])
        assert line["fe"] == "web" and line["ci"] == "127.0.0.1"
        assert int(line["te"]) >= int(line["t0"])
    a = by_path["/a"]
    assert a["u"] == "/a?q=1" and a["in"] == CONTEXT and a["tp"][3:35] == CONTEXT[3:35]
    assert a["srv"] == "origin" and a["be"] == "app" and int(a["bo"]) > 0 and "t2" in a
    assert by_path["/b"]["in"] == ""
    assert f"a=str:{EVIL} " in next(t for t in told.lines() if "u=str:/b" in t)
    families = admin.metrics(host)
    broken = families["spoe_host_log_broken_lines_total"]
    assert broken.total() == broken.value(reason="other")
    assert families["spoe_host_log_missing_lines_total"].total() == 0
    assert families["spoe_host_log_lines_total"].total() == len(REQUESTS)
    return lines


def test_udp(binary, tmp, origin, taking):  # 1.1 1.4
    host, told = taking("udp:127.0.0.1:0")
    log = (f"    log {where(host, 'udp')} len 8192 format raw local0\n"
           f"    log-format '{FMT}'")
    with Proxy(binary, tmp, origin.address, log) as proxy:
        ask_all(proxy)
        check_all(host, told)
    assert host.terminate() == 0


def test_unixgram(binary, tmp, origin, taking):  # 1.1
    host, told = taking(f"unixgram:{tmp}/log")
    log = f"    log {tmp}/log len 8192 format raw local0\n    log-format '{FMT}'"
    with Proxy(binary, tmp, origin.address, log) as proxy:
        ask_all(proxy)
        check_all(host, told)
    assert host.terminate() == 0


@pytest.mark.parametrize("brackets", [False, True])
def test_beside_a_log_of_the_users(binary, tmp, origin, taking, brackets):  # 1.4 1.5
    """RFC 5424: the pairs as structured data, the user's own line as the text, which also goes
    where it went before, as it was."""
    host, told = taking("udp:127.0.0.1:0")
    users = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    users.bind(("127.0.0.1", 0))
    users.settimeout(60)
    data = f"[spoe {FMT}]" if brackets else FMT
    log = (f"    log 127.0.0.1:{users.getsockname()[1]} len 8192 format rfc3164 local0\n"
           f"    log {where(host, 'udp')} len 8192 format rfc5424 local0\n"
           f"    log-format-sd '{data}'\n    option httplog")
    with Proxy(binary, tmp, origin.address, log) as proxy, users:
        ask_all(proxy)
        lines = check_all(host, told)
        own = []
        while len(own) < len(REQUESTS):
            text = users.recv(65536).decode("latin-1").rstrip("\n\0")
            if "HTTP/1.1" in text:
                own.append(re.sub(r"^.*? the-host haproxy\[\d+\]: ", "", text))
    told_of = [line.split(" user=str:", 1)[1].split(" host=str:the-host time=str:")[0]
               for line in told.lines()]
    assert sorted(told_of) == sorted(own)  # HAProxy's threads write in no order
    for line in lines:
        assert re.match(r"20\d\d-\d\d-\d\dT", line["time"]) and int(line["procid"]) > 1
    assert host.terminate() == 0


def ring(address, more="", size=1 << 20):
    return (f"ring lines\n    format raw\n    maxlen 8192\n    size {size}\n"
            "    timeout connect 1s\n    timeout server 10m\n"  # over, it takes with it what nobody has read
            f"    server agent {address} {more}\n")


RING_LOG = f"    log ring@lines len 8192 format raw local0\n    log-format '{FMT}'"


@pytest.mark.parametrize("kind, more", [
    ("tcp", ""), ("tcp+octet", "log-proto octet-count"), ("unix", "")])
def test_ring(binary, version, tmp, origin, taking, kind, more):  # 1.1 1.3
    if kind == "unix" and versions.refuses_unix_rings(version):
        return  # which test_config.py holds
    host, told = taking(f"{kind}:{tmp}/log" if kind == "unix" else f"{kind}:127.0.0.1:0")
    address = f"unix@{tmp}/log" if kind == "unix" else where(host, "tcp")
    with Proxy(binary, tmp, origin.address, RING_LOG, ring(address, more)) as proxy:
        ask_all(proxy)
        check_all(host, told)
        for i in range(200):
            proxy.get(f"/return/{i}")
        seen = {pairs_of(line)["u"] for line in told.wait(len(REQUESTS) + 200)}
        assert {f"/return/{i}" for i in range(200)} <= seen
        assert admin.metrics(host)["spoe_host_log_lost_framing_total"].total() == 0
    assert host.terminate() == 0


@pytest.mark.parametrize("kind, more", [("tcp", ""), ("tcp+octet", "log-proto octet-count")])
def test_a_ring_keeps_the_lines_while_nobody_takes_them(
        binary, tmp, origin, taking, reserved, kind, more):  # 1.6
    """The host is away for 200 requests: each line comes when it is there."""
    with Proxy(binary, tmp, origin.address, RING_LOG, ring(reserved.address, more)) as proxy:
        for i in range(200):
            proxy.get(f"/return/{i}")
        host, told = taking(f"{kind}:{reserved.address}")
        seen = {pairs_of(line)["u"] for line in told.wait(200)}
        assert seen == {f"/return/{i}" for i in range(200)}
    assert host.terminate() == 0


@pytest.mark.parametrize("kind, more", [("tcp", ""), ("tcp+octet", "log-proto octet-count")])
def test_what_a_ring_drops_is_told_by_haproxy(binary, tmp, origin, taking, kind, more):  # 1.3
    """The host is there and does not read, until the ring is full: every line comes or is told of
    by HAProxy's own "N events dropped"."""
    kernel = sum(int(open(f"/proc/sys/net/ipv4/tcp_{name}").read().split()[2])
                 for name in ("rmem", "wmem"))  # what it keeps at most before the ring is full
    n = kernel // 7000 + 50
    host, told = taking(f"{kind}:127.0.0.1:0")
    section = ring(where(host, "tcp"), more, 1 << 16)
    with Proxy(binary, tmp, origin.address, RING_LOG, section) as proxy, Client(proxy.port) as client:
        client.request("GET", "/return/first")
        told.wait(1)
        host.pause()
        for i in range(n):
            client.request("GET", f"/return/{i}", {"X-Attrs": "x" * 7000})
        host.resume()
        asked = n + 1

        def drops():
            return admin.metrics(host)["spoe_host_log_haproxy_drops_total"].total()

        def one_more_came():  # and before it HAProxy told of what it had dropped
            nonlocal asked
            asked += 1
            client.request("GET", "/return/again")
            return any('u=str:/return/again' in line for line in told.lines())

        wait_until(one_more_came, "a line after the drops")
        wait_until(lambda: len(told.lines()) + drops() >= asked,
                   lambda: f"{asked} lines: {len(told.lines())} and {drops()} dropped")
        assert len(told.lines()) + drops() == asked and drops() > 0
        families = admin.metrics(host)
        broken = families["spoe_host_log_broken_lines_total"]
        assert broken.total() == broken.value(reason="other")
        assert families["spoe_host_log_lost_framing_total"].total() == 0
    assert host.terminate() == 0


def test_a_log_profile(binary, version, tmp, origin, taking):  # 1.4
    """From 3.1 on: another format for one `log` line; before it the key word is unknown."""
    host, told = taking("udp:127.0.0.1:0")
    log = (f"    log {where(host, 'udp')} len 8192 format raw profile spoe local0\n"
           "    option httplog")
    profile = f"log-profile spoe\n    on any format '{FMT}'\n"
    if version < (3, 1):
        with pytest.raises(AssertionError):
            Proxy(binary, tmp, origin.address, log, profile)
        return
    with Proxy(binary, tmp, origin.address, log, profile) as proxy:
        ask_all(proxy)
        check_all(host, told)
    assert host.terminate() == 0


def test_a_line_that_is_cut(binary, tmp, origin, taking):  # 1.4
    """len 1024 and a long path: what is before it is there."""
    host, told = taking("udp:127.0.0.1:0")
    log = f"    log {where(host, 'udp')} len 1024 format raw local0\n    log-format '{FMT}'"
    with Proxy(binary, tmp, origin.address, log) as proxy:
        proxy.get("/return/" + "x" * 2000)
        line = pairs_of(told.wait(1)[0])
        assert line["st"] == "200" and line["h"].startswith("127.0.0.1:")
        assert line["u"].startswith("/return/xxx") and len(line["u"]) < 1024
    assert admin.metrics(host)["spoe_host_log_cut_lines_total"].total() == 1
    assert host.terminate() == 0


def missing_runs(n, seen):
    """The numbers below n that were not seen, as runs (first, how many)."""
    runs = []
    for i in sorted(set(range(n)) - seen):
        if runs and i == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((i, 1))
    return runs


@pytest.mark.parametrize("kind, more, end", [
    ("tcp", "", "SIGTERM"), ("tcp", "", "SIGKILL"), ("unix", "", "SIGTERM"),
    ("tcp+octet", "log-proto octet-count", "SIGTERM"),
    ("tcp+octet", "log-proto octet-count", "SIGKILL")])
def test_restarts_of_the_agent_under_load(
        binary, version, tmp, origin, taking, reserved, capsys, kind, more, end):  # 1.6
    """Three restarts while requests come: the ring goes on to the last line, and no line comes
    twice. What is lost are HAProxy's own few: what it has in its buffers, which send() refuses when
    the connection has ended (seen with strace: none that send() took). So what is missing are lines
    one after the other, once for each end at most, and no more than two buffers (tune.bufsize) hold.
    A host that is killed takes with it what it had yet to read, too."""
    if kind == "unix" and versions.refuses_unix_rings(version):
        return  # which test_config.py holds
    n, restarts = 6000, 3
    where_to = f"{tmp}/log" if kind == "unix" else reserved.address
    host, told = taking(f"{kind}:{where_to}")
    section = ring(f"unix@{where_to}" if kind == "unix" else where_to, more, 1 << 24)
    with Proxy(binary, tmp, origin.address, RING_LOG, section) as proxy:
        asked = []

        def ask():
            with Client(proxy.port) as client:
                for i in range(n):
                    asked.append(client.request("GET", f"/return/{i}").status)

        load = threading.Thread(target=ask)
        load.start()
        for restart in range(restarts):
            wait_until(lambda: len(asked) > 100 + restart * (n // restarts), "requests",
                       interval=0.001)
            if end == "SIGTERM":
                assert host.terminate() == 0
            else:
                host.kill()
            host, told = taking(f"{kind}:{where_to}")
        load.join()
        assert asked == [200] * n

        def numbers():
            return [int(pairs_of(line)["u"].rsplit("/", 1)[1]) for line in told.lines()]

        def behind_the_last():  # which may be one of those that are lost
            proxy.get(f"/return/{n}")
            return n in numbers()

        wait_until(behind_the_last, "a line behind the last one")
        seen = [number for number in numbers() if number < n]
    assert len(seen) == len(set(seen))
    runs = missing_runs(n, set(seen))
    with capsys.disabled():
        print(f"\n{kind}: lines lost at {restarts} restarts by {end}: {[many for _, many in runs]}")
    assert len(runs) <= restarts
    if end == "SIGTERM":
        line_bytes = 350  # 360 to 366, seen
        assert all(many <= 2 * 16384 // line_bytes for _, many in runs)
    assert host.terminate() == 0
