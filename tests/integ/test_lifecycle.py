# SPDX-License-Identifier: Apache-2.0
"""Start and end: the order of a plugin's calls, signals, draining, plugins that do not stop."""

import re
import signal

import pytest

from lib.spop import BadFrame


def calls(host):
    return re.findall(r"call (worker_start|[\w]+)(?: (\d+))?", host.text())


def test_order_of_calls(start, connect):
    host = start("lifecycle", args=["--workers", "2"])
    client = connect(host)
    client.hello()
    client.ask("lifecycle")
    assert host.terminate() == 0
    names = [name for name, _ in calls(host)]
    assert names[:2] == ["configure", "start"]
    assert sorted(calls(host)[2:4]) == [("worker_start", "0"), ("worker_start", "1")]
    assert names[4:] == ["handle", "drain", "worker_stop", "worker_stop", "stop", "destroy"]
    assert re.search(r"host spoe-host abi 1\.1 extension none option none", host.text())
    assert "too late" not in host.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_answers_what_is_in_flight(start, connect, number):
    host = start("pending", args=["--processing-timeout", "60s"])
    busy, idle, fresh = connect(host), connect(host), connect(host)
    busy.hello(), idle.hello()
    stream_id = busy.notify([("pending", {"key": "k", "delay": 1500})])
    busy.notify([])
    busy.recv_ack()  # the first has been handed over
    host.signal(number)
    assert idle.recv_disconnect().code == 0
    ack = busy.recv_ack()
    assert (ack.stream_id, ack.variables) == (stream_id, {"pending": "k"})
    assert busy.recv_disconnect().code == 0
    with pytest.raises((BadFrame, OSError)):
        fresh.hello()  # accepted before, or not, there is no service any more
    assert host.wait() == 0


def test_no_new_connection_while_draining(start, connect):
    host = start("pending", args=["--processing-timeout", "60s"])
    busy, idle = connect(host), connect(host)
    busy.hello(), idle.hello()
    busy.notify([("pending", {"key": "k", "mode": "hold"})])
    busy.notify([])
    busy.recv_ack()
    host.signal(signal.SIGTERM)
    assert idle.recv_disconnect().code == 0
    try:
        late = connect(host)
    except OSError:
        late = None
    if late is not None:
        assert late.recv_frame() is None
    host.insist()  # the second one: at once


def test_second_signal_leaves_at_once(start, connect):
    host = start("pending", args=["--processing-timeout", "60s", "--shutdown-timeout", "10m"])
    client = connect(host)
    client.hello()
    client.notify([("pending", {"key": "k", "mode": "hold"})])
    client.notify([])
    client.recv_ack()
    host.signal(signal.SIGTERM)
    host.wait_line(r"(?i)signal|SIGTERM|stopping|drain")
    host.signal(signal.SIGINT)
    assert host.wait() != 0


def test_a_request_that_is_never_answered_does_not_keep_the_host(start, connect):
    host = start("pending", args=["--processing-timeout", "60s", "--shutdown-timeout", "500ms"])
    client = connect(host)
    client.hello()
    stream_id = client.notify([("pending", {"key": "k", "mode": "cancel"}),
                               ("pending", {"key": "h", "mode": "hold"})])
    client.notify([])
    client.recv_ack()
    assert host.terminate() == 0
    host.wait_line(r"cancelled why=3")
    host.wait_line(r"completes key=h")
    # HAProxy learns in order that it does not have to wait, and that the host goes.
    ack = client.recv_ack()
    assert (ack.stream_id, ack.variables) == (stream_id, {})
    assert client.recv_disconnect().code == 0


def test_a_plugin_that_misses_the_deadline_is_named(start):
    host = start("good", "stop_hangs", args=["--shutdown-timeout", "500ms"])
    status = host.terminate()
    assert status > 0
    host.wait_line(r"level=error .*stop-hangs")


def test_requests_that_are_never_completed(start, connect):
    """Answered without the plugin at the deadline; at the end the host does not wait for ever."""
    host = start("never_completes", "slots", args=["--shutdown-timeout", "500ms", "--workers", "1"])
    client = connect(host)
    client.hello()
    for _ in range(3):
        client.notify([("base-never", {}), ("slots", {"text": "x"})])
        assert client.recv_ack().variables["slot0"] == "x"
    assert host.terminate() == 0
    assert host.count(r"level=warning .*in flight") == 1


def test_a_handler_that_blocks_costs_its_worker_only(start, connect):
    host = start("blocks", "slots", args=["--shutdown-timeout", "500ms", "--workers", "2"])
    clients = [connect(host) for _ in range(2)]  # one for each worker
    for client in clients:
        client.hello()
    clients[0].notify([("base-blocks", {})])
    for _ in range(10):
        assert clients[1].ask("slots", {"text": "x"}).variables["slot0"] == "x"
    assert host.terminate() > 0
    host.wait_line(r"level=error .*shutdown-timeout has passed")


def test_sigpipe_is_harmless(start, connect):
    host = start("slots")
    host.signal(signal.SIGPIPE)
    client = connect(host)
    client.hello()
    assert client.ask("slots", {"text": "x"}).variables["slot0"] == "x"
    assert host.terminate() == 0


def test_signal_before_anyone_came(start):
    host = start("slots", args=["--workers", "4"])
    assert host.terminate() == 0


def test_drain_tells_every_connection(start, connect):
    host = start("slots", args=["--workers", "3"])
    clients = [connect(host) for _ in range(30)]
    for client in clients:
        client.hello()
    host.signal(signal.SIGTERM)
    for client in clients:
        assert client.recv_disconnect().code == 0
    assert host.wait() == 0
