# SPDX-License-Identifier: Apache-2.0
"""What the host says of plugins that fail on messages, take too long, or break the contract."""

import re
import time

from lib import admin
from lib.procs import wait_until

ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}


def test_an_error_of_handle_is_told(start, connect):
    """2.9: with plugin, message and status, at most once a second."""
    host = start("error", args=["--workers", "1"], env=ADMIN)
    client = connect(host)
    client.hello()
    begin = time.monotonic()
    for _ in range(200):
        client.notify([("error", {})])
        client.recv_ack()
    took = time.monotonic() - begin
    host.wait_line(r"level=warning component=host msg=\"plugin error, message error: handle\(\) returned "
                   r"SPOE_E_\w+ \(-\d+\), its variables are left out")
    assert host.count("handle.. returned") <= took + 1
    assert admin.metrics(host)["spoe_host_plugin_errors_total"].value(plugin="error", message="error") == 200


def test_an_error_that_comes_later_is_told(start, connect):
    """2.9"""
    host = start("pending", args=["--workers", "1", "--processing-timeout", "60s"])
    client = connect(host)
    client.hello()
    client.ask("pending", {"key": "f", "mode": "fail"})
    host.wait_line(r"plugin pending, message pending: completed with SPOE_E_\w+ \(-\d+\)")


def test_a_slow_handler_is_counted_and_named(start, connect):
    """2.9: each one counts, one line a second; a fast one does not."""
    host = start("slow", "slots", args=["--workers", "1", "--slow-handle", "300ms"], env=ADMIN)
    client = connect(host)
    client.hello()
    for _ in range(3):
        client.notify([("slots", {"text": "x"}), ("slow", {"ms": 400}), ("slots", {"text": "y"})])
        client.recv_ack()
    match = host.wait_line(r"level=warning .*plugin slow, message slow: handle\(\) took (\d+\.\d) ms")
    assert 400 <= float(match.group(1))
    slow = admin.metrics(host)["spoe_host_plugin_slow_handles_total"]
    assert slow.value(plugin="slow", message="slow") == 3
    assert slow.value(plugin="slots", message="slots") == 0
    assert host.count("plugin slots, message") == 0


def test_slow_handlers_are_not_looked_for(start, connect):
    """2.9: slow-handle = 0"""
    host = start("slow", args=["--workers", "1", "--slow-handle", "0"], env=ADMIN)
    client = connect(host)
    client.hello()
    client.ask("slow", {"ms": 100})
    assert admin.metrics(host)["spoe_host_plugin_slow_handles_total"].value() == 0


def test_who_completed_twice(start, connect):
    """2.9: on the plugin's own thread, which has no record of whose call it is in."""
    host = start("slots", "pending", args=["--processing-timeout", "60s"])
    client = connect(host)
    client.hello()
    client.ask("pending", {"key": "t", "mode": "twice"})
    host.wait_line(r"level=error .*plugin pending completed a request that is not pending")


def test_whose_messages_are_still_in_flight(start, connect):
    """2.9: the plugin is named, with how many"""
    host = start("slots", "pending", args=["--processing-timeout", "60s", "--shutdown-timeout", "1s",
                                           "--workers", "1"])
    client = connect(host)
    client.hello()
    for key in ("a", "b"):
        client.notify([("pending", {"key": key, "mode": "hold"})])
    client.ask("slots", {"text": "x"})
    host.terminate()
    host.wait_line(r"level=warning .*worker 0: 2 messages are still in flight in plugin pending")


def test_a_silent_peer_is_nobodys_fault(start, connect):
    """2.9: a peer that neither reads nor closes: neither line."""
    host = start("slots", args=["--shutdown-timeout", "1s", "--workers", "1"])
    client = connect(host, rcvbuf=4096)
    client.hello()
    client.ask("slots", {"text": "x"})
    assert host.terminate() == 0
    assert "still in flight" not in host.text() and "completed twice" not in host.text()


def test_a_worker_that_no_longer_turns_is_not_ready(start, connect):
    """2.2: /readyz and a metric see it, and say where it is; the others serve on."""
    host = start("blocks", "slots", args=["--workers", "2", "--shutdown-timeout", "500ms"], env=ADMIN)
    assert admin.ask(host, "/readyz").status == 200
    clients = [connect(host) for _ in range(2)]
    for client in clients:
        client.hello()
    clients[0].notify([("base-blocks", {})])

    def stalled():
        answer = admin.ask(host, "/readyz")
        return answer if answer.status == 503 else None

    answer = wait_until(stalled, "a worker that is seen not to turn", interval=0.2)
    assert re.search(r"worker \d does not turn: worker-\d is in handle\(\) of plugin blocks", answer.text)
    assert admin.metrics(host)["spoe_host_stalled_workers"].value() == 1
    assert clients[1].ask("slots", {"text": "x"}).variables["slot0"] == "x"
    assert admin.ask(host, "/healthz").status == 200
    assert host.terminate() == 1


def test_idle_workers_are_ready(start):
    """2.2: a worker that has nothing to do answers all the same"""
    host = start("slots", args=["--workers", "4"], env=ADMIN)
    for _ in range(50):
        assert admin.ask(host, "/readyz").status == 200
    assert admin.metrics(host)["spoe_host_stalled_workers"].value() == 0
