# SPDX-License-Identifier: Apache-2.0
"""The agent comes, goes and hangs; requests are served all the same."""

import os
import re
import signal
import threading

import pytest
from lib import haproxy as hap
from lib import procs, versions
from lib.haproxy import Client, HAProxy
from lib.procs import SpoeHost, wait_until
from lib.relay import Relay
from lib.traces import end, pairs, wait_pair

from conftest import host_env

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def strict(tmp):
    """The files with the time-outs that users get; agents in doubt are checked more often. What a
    check may take stays: 2s, so that a busy machine is not taken for a dead agent."""
    config = hap.Config(tmp).show_status()
    config.edit_main(r"check inter 2s", "check inter 2s fastinter 200ms downinter 200ms")
    return config


def served(proxy, path):
    """A request that has to be served whatever the agent does."""
    answer = proxy.get(path)
    assert answer.status == 200
    return answer


def wait_traced(proxy, collector, prefix):
    """Request until one of them went through the agent without a time-out; its spans arrive."""
    tried = []

    def traced():
        path = f"{prefix}/{len(tried)}"
        tried.append(path)
        return path if served(proxy, path).otel_status is None else None

    path = wait_until(traced, "a request that the agent answers")
    return wait_pair(collector, path)


def test_agent_absent(binary, strict, origin, refusing):
    """Nobody listens, before and after the health checks have seen it."""
    with HAProxy(binary, strict, [refusing.port], origin.address) as proxy:
        for i in range(3):
            answer = proxy.get(f"/absent/{i}", headers={"traceparent": PARENT})
            assert answer.status == 200 and int(answer.otel_status) > 0
            assert answer.origin_traceparent == PARENT
        proxy.wait_agent(up=False)
        answer = served(proxy, "/absent/down")
        assert int(answer.otel_status) > 0


def test_agent_stopped(binary, strict, agent, origin, collector):
    """The agent hangs (SIGSTOP) and goes on: its connections stay open meanwhile."""
    with HAProxy(binary, strict, [agent.port], origin.address) as proxy:
        wait_traced(proxy, collector, "/before")
        agent.pause()
        try:
            assert int(served(proxy, "/stopped").otel_status) > 0
            proxy.wait_agent(up=False)
            assert int(served(proxy, "/stopped/down").otel_status) > 0
        finally:
            agent.resume()
        proxy.wait_agent(up=True)
        wait_traced(proxy, collector, "/after")


def test_agent_restarted_under_traffic(binary, strict, origin, collector, reserved):
    """No request is lost; one whose messages were all answered has its spans, those that were open
    when the first agent ended included, unless it came after that had begun (2.6)."""
    env = host_env(collector, SPOE_ADDR=reserved.address)
    results, stop = [], threading.Event()

    def traffic(proxy, number):
        with Client(proxy.web) as client:
            i = 0
            while not stop.is_set():
                path = f"/restart/{number}/{i}"
                try:
                    answer = client.request("GET", path)
                except OSError as error:
                    results.append((path, error, None))
                    return
                results.append((path, answer.status, answer.otel_status))
                i += 1

    def wait_answered(count):
        """Until `count` more requests went through the agent without an error."""
        start = len(results)
        wait_until(
            lambda: sum(1 for r in results[start:] if r[2] is None) >= count, "answered requests"
        )

    with SpoeHost(env=env) as first:
        with HAProxy(binary, strict, [reserved.port], origin.address) as proxy:
            threads = [threading.Thread(target=traffic, args=(proxy, n)) for n in range(4)]
            for thread in threads:
                thread.start()
            try:
                wait_answered(100)
                assert first.terminate() == 0, first.report()
                with SpoeHost(env=env, name="second spoe-host") as second:
                    wait_answered(100)
                    stop.set()
                    for thread in threads:
                        thread.join()
                    assert second.terminate() == 0, second.report()
            finally:
                stop.set()
    assert {status for _, status, _ in results} == {200}
    known = {server.attributes["url.path"]: clients for server, clients in pairs(collector.spans)}
    untraced = [path for path, _, status in results if status is None and path not in known]
    late = sum(int(re.search(r" stopping=(\d+)", host.text()).group(1)) for host in (first, second))
    assert len(untraced) <= late, untraced


def test_backup_takes_over(binary, strict, origin, collector, reserved):
    """The second agent serves while the first is down, and only then: when the first is back, no
    request is left with the second, although there are open connections to it."""
    quick = {"BATCH_DELAY": "50ms"}
    env = host_env(collector, SPOE_ADDR=reserved.address, SERVICE_NAME="first", **quick)
    names = []

    def agent_of(proxy):
        names.append(f"/request/{len(names)}")
        server, _ = wait_traced(proxy, collector, names[-1])
        return server.resource["service.name"]

    with SpoeHost(env=host_env(collector, SERVICE_NAME="second", **quick), name="agent2") as second:
        with SpoeHost(env=env, name="agent1") as first:
            with HAProxy(binary, strict, [reserved.port, second.port], origin.address) as proxy:
                assert {agent_of(proxy) for _ in range(5)} == {"first"}
                first.kill()
                proxy.wait_agent(up=False)
                assert {agent_of(proxy) for _ in range(5)} == {"second"}
                with SpoeHost(env=env, name="agent1 again"):
                    proxy.wait_agent(up=True)
                    # HAProxy says "up" a moment before it closes what it has to the second.
                    wait_until(lambda: agent_of(proxy) == "first", "the first agent to be used")
                    assert {agent_of(proxy) for _ in range(20)} == {"first"}


def test_request_and_response_reach_different_workers(binary, version, config, agent, origin, collector):
    """The response's message comes over a connection that another worker has. While a request is
    at the origin, the relay cuts HAProxy's side of all connections and keeps the host's side open,
    so HAProxy has to make a new one. The host gives each to the worker with the fewest, two
    workers, none ever closed: of the connections 2n and 2n+1 each worker has one."""
    config.edit_main(r"check inter 2s fall 2 rise 2 ", "")  # no connections but the messages'
    config.threads(1)
    crossed = 0
    with Relay(agent.port) as relay, HAProxy(binary, config, [relay.port], origin.address) as proxy:
        for i in range(8):
            origin.hold()
            client = threading.Thread(target=proxy.get, args=(f"/hold/{i}",))
            client.start()
            unique_id = origin.wait_request(f"/hold/{i}").header("x-request-id").encode()
            asked = relay.carriers(unique_id)
            relay.cut()
            if versions.connects_late(version):
                wait_until(lambda: proxy.get("/between").otel_status is None, "the new connection")
            origin.release()
            client.join()
            (answered,) = [c for c in relay.carriers(unique_id) if c not in asked]
            crossed += all(c // 2 == answered // 2 for c in asked)
        end(agent)
        for i in range(8):
            for span in wait_pair(collector, f"/hold/{i}"):
                assert not span.incomplete
                assert span.attributes["http.response.status_code"] == 200
    assert crossed > 0


def test_unix_socket(binary, config, tmp, origin, collector):
    path = os.path.join(tmp, "agent.sock")
    with SpoeHost(env=host_env(collector, SPOE_ADDR=f"unix:{path}")) as agent:
        with HAProxy(binary, config, [f"unix@{path}"], origin.address) as proxy:
            assert proxy.get("/unix").otel_status is None
            end(agent)
            wait_pair(collector, "/unix")
    assert not os.path.exists(path)


def test_tls_to_the_agent(binary, config, tmp, agent, origin, collector, certs, reserved):
    """As docs/haproxy.md describes: another HAProxy, on the agent's machine, takes TLS and client
    certificates off."""
    pem = os.path.join(tmp, "tls.pem")
    with open(pem, "wb") as file:
        file.write(certs.read("server") + certs.read("server", "key"))
    client_pem = os.path.join(tmp, "client.pem")
    with open(client_pem, "wb") as file:
        file.write(certs.read("client") + certs.read("client", "key"))
    path = os.path.join(tmp, "tls.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(
            f"global\n    stats socket {tmp}/tls.sock\n"
            "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 3m\n"
            "    timeout server 3m\n"
            f"listen spop-tls\n    bind {reserved.address} ssl crt {pem} verify required"
            f" ca-file {certs.path('ca')}\n    server host 127.0.0.1:{agent.port}\n"
        )
    config.edit_main(
        r'(^    server agent1 .*)$',
        rf"\1 ssl verify required ca-file {certs.path('ca')} verifyhost localhost"
        rf" crt {client_pem}",
    )
    with procs.Proc([binary, "-db", "-f", path], name="tls haproxy"):
        wait_until(lambda: os.path.exists(f"{tmp}/tls.sock"), "the TLS side")
        with HAProxy(binary, config, [reserved.port], origin.address) as proxy:
            assert proxy.get("/tls").otel_status is None
            end(agent)
            wait_pair(collector, "/tls")


def test_the_section_that_the_host_wrote(binary, config, agent, origin, collector):
    """spoe-host --print-spoe-config, used as it is."""
    status, text = procs.run(
        [procs.host_binary(), "--print-spoe-config"],
        env=procs.clean_env({"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"],
                             **host_env(collector)}),
    )
    assert status == 0, text
    engine = re.search(r"^\[(\S+)\]", text, flags=re.M).group(1)
    backend = re.search(r"^\s+use-backend (\S+)", text, flags=re.M).group(1)
    prefix = re.search(r"^\s+option var-prefix (\S+)", text, flags=re.M).group(1)
    config.spoe = text
    config.relax()
    config.edit_main(r"engine otel ", f"engine {engine} ")
    config.edit_main(r"^backend spoe-host", f"backend {backend}")
    config.edit_main(r"txn\.otel\.", f"txn.{prefix}.")
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answer = proxy.get("/printed", headers={"traceparent": PARENT})
        assert (answer.status, answer.otel_status) == (200, None)
        end(agent)
        server, client = wait_pair(collector, "/printed")
        assert server.parent_id == PARENT.split("-")[2]
        assert server.attributes["site"] == "web"
        assert client.attributes["server.port"] == proxy.web
        assert client.attributes["network.peer.port"] == origin.port
        assert answer.origin_traceparent.split("-")[2] == client.span_id


# -- HAProxy itself goes


def test_haproxy_reload(binary, version, config, agent, origin, collector):
    """A request that is under way during a reload has both spans; so have later ones."""
    with HAProxy(binary, config, [agent.port], origin.address, master=True) as proxy:
        origin.hold()
        held = threading.Thread(target=proxy.get, args=("/hold/reload",))
        held.start()
        origin.wait_request("/hold/reload")
        proxy.reload()
        proxy.get("/reloaded")
        origin.release()
        held.join()
        end(agent)
        wait_pair(collector, "/reloaded")
        for span in wait_pair(collector, "/hold/reload"):
            assert not span.incomplete or versions.connects_late(version)


def test_haproxy_soft_stop(binary, version, config, agent, origin, collector):
    """SIGUSR1: the last request is served, its spans are whole, the agent takes no harm."""
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        origin.hold()
        held = threading.Thread(target=proxy.get, args=("/hold/stop",))
        held.start()
        origin.wait_request("/hold/stop")
        proxy.signal(signal.SIGUSR1)
        origin.release()
        held.join()
        assert proxy.wait() == 0
        end(agent)
        for span in wait_pair(collector, "/hold/stop"):
            assert not span.incomplete or versions.connects_late(version)
