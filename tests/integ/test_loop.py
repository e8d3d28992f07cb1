# SPDX-License-Identifier: Apache-2.0
"""Answers from a worker's loop (spoe.loop/1), and what was committed before them. Issue 12.2."""

import signal

from lib import admin
from lib.procs import LIMIT

LONG = ["--processing-timeout", "60s"]


def count(host, name):
    return admin.metrics(host).value(f"spoe_host_{name}")


def test_a_timer_answers(start, connect):
    client = connect(start("loop", args=LONG))
    client.hello()
    assert client.ask("loop", {"mode": "timer", "delay": 0}).variables == {"loop": "timer"}
    assert client.ask("loop", {"mode": "timer", "delay": 30}).variables == {"loop": "timer"}


def test_a_descriptor_answers(start, connect):
    client = connect(start("loop", args=LONG))
    client.hello()
    for _ in range(3):
        assert client.ask("loop", {"mode": "fd"}).variables == {"loop": "fd"}


def test_timers_of_many_requests(start, connect):
    host = start("loop", args=[*LONG, "--workers", "2"])
    clients = [connect(host) for _ in range(4)]
    for client in clients:
        client.hello()
        for i in range(100):
            client.notify([("loop", {"mode": "timer", "delay": i % 7})])
    for client in clients:
        for _ in range(100):
            assert client.recv_ack().variables == {"loop": "timer"}
    assert host.terminate() == 0
    assert "left" not in host.report()


def test_what_was_committed_is_the_answer_at_the_deadline(start, connect):
    host = start("loop", args=["--processing-timeout", "30ms"])
    client = connect(host)
    client.hello()
    assert client.ask("loop", {"mode": "commit"}).variables == {"loop": "deny"}
    host.wait_line(r"cancelled commit why=2")


def test_what_was_committed_is_the_answer_at_the_end(start, connect):
    host = start("loop", args=[*LONG, "--shutdown-timeout", "3s"])
    client = connect(host)
    client.hello()
    client.notify([("loop", {"mode": "commit"})])
    client.notify([])
    client.recv_ack()  # so both have been read
    host.signal(signal.SIGTERM)
    assert client.recv_ack().variables == {"loop": "deny"}


def test_another_thread_changes_nothing_and_is_named(start, connect):
    host = start("loop", args=[*LONG, "--workers", "1"])
    client = connect(host)
    client.hello()
    assert client.ask("loop", {"mode": "thread"}).variables == {"loop": "-1 -1"}
    host.wait_line(r"plugin loop called timer_\w+\(\) of worker 0 from another thread")
    # The timer that it could not free is left, and named.
    assert host.terminate() == 0
    host.wait_line(r"plugin loop left 1 timers and 0 watches to worker 0 at its end")


def test_a_crash_in_a_timers_function_names_the_plugin(start, connect):
    host = start("loop", args=LONG)
    client = connect(host)
    client.hello()
    client.notify([("loop", {"mode": "crash"})])
    assert host.wait(LIMIT) != 0
    host.wait_line(r"a timer's function of plugin loop \(.*loop\.so\)")


def test_timers_go_on_while_the_host_drains(start, connect):
    host = start("loop", args=LONG)
    client = connect(host)
    client.hello()
    client.notify([("loop", {"mode": "timer", "delay": 300})])
    client.notify([])
    client.recv_ack()  # so both have been read
    host.signal(signal.SIGTERM)
    assert client.recv_ack().variables == {"loop": "timer"}
