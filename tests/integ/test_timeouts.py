# SPDX-License-Identifier: Apache-2.0
"""processing-timeout of a plugin or a message, in place of the host's. Issue 12.1."""

import re
import subprocess

from conftest import PLUGINS
from lib import admin
from lib.procs import clean_env, host_binary, wait_until

HOST = ["--processing-timeout", "60s"]
SHORT = "30ms"


def own(plugin, timeout):
    return ["--set", f"{plugin}.processing-timeout={timeout}"]


def of_message(plugin, name, timeout):
    return ["--set", f'{plugin}.message."{name}".processing-timeout={timeout}']


def begin(start, connect, *plugins, args=(), **more):
    host = start(*plugins, args=[*HOST, *args], **more)
    client = connect(host)
    client.hello()
    return host, client


def test_a_plugins_own_timeout(start, connect):
    host, client = begin(start, connect, "loop", args=own("loop", SHORT))
    assert client.ask("loop", {"mode": "commit"}).variables == {"loop": "deny"}
    host.wait_line(r"component=loop .*waits 30000 us, and -1")


def test_a_messages_timeout_comes_before_its_plugins(start, connect):
    host, client = begin(start, connect, "loop",
                         args=[*own("loop", "1h"), *of_message("loop", "loop", SHORT)])
    assert client.ask("loop", {"mode": "commit"}).variables == {"loop": "deny"}
    host.wait_line(r"component=loop .*waits 30000 us, and -1")


def test_without_one_it_is_the_hosts(start):
    host = start("loop", args=["--processing-timeout", "7ms"])
    host.wait_line(r"component=loop .*waits 7000 us, and -1")


def both(client, **loop):
    return client.notify([("pending", {"key": "k", "mode": "hold"}), ("loop", loop)])


def test_who_is_late_does_not_end_the_wait_for_the_others(start, connect):
    """The answer that was committed at the first deadline is in the ACK, which leaves with the last."""
    host, client = begin(start, connect, "pending", "loop", args=own("loop", SHORT))
    asked = both(client, mode="commit")
    host.wait_line(r"cancelled commit why=2")
    client.notify([("pending-release", {"key": "k"})])
    acks = {ack.stream_id: ack.variables for ack in (client.recv_ack(), client.recv_ack())}
    assert acks[asked] == {"pending": "k", "loop": "deny"}


def test_the_ack_leaves_when_nobody_in_time_is_waited_for(start, connect):
    """Not at the last deadline: that is in a minute."""
    host, client = begin(start, connect, "pending", "loop", args=own("pending", SHORT))
    both(client, mode="timer", delay=300)
    assert client.recv_ack().variables == {"loop": "timer"}
    # The late one is completed all the same, and everything is released.
    client.ask("pending-release", {"key": "k"})
    host.wait_line(r"completes key=k engine=engine set_var=-5")
    assert host.terminate() == 0


def test_each_is_cancelled_at_its_own_deadline(start, connect):
    host, client = begin(start, connect, "pending", "loop",
                         args=[*own("pending", SHORT), *own("loop", "200ms")],
                         env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    both(client, mode="commit")
    assert client.recv_ack().variables == {"loop": "deny"}
    families = admin.metrics(host)
    assert families["spoe_host_timeouts_total"].value() == 2
    assert families["spoe_host_committed_total"].value() == 1
    assert families["spoe_host_acks_total"].value() == 1


def test_places_of_a_connection_that_is_gone_come_free_one_by_one(start, connect):
    host, client = begin(start, connect, "pending", "loop", args=own("pending", SHORT),
                         env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    both(client, mode="timer", delay=3600000)
    client.notify([])
    client.recv_ack()  # so both have been read
    client.close()
    wait_until(lambda: admin.metrics(host)["spoe_host_pending"].value() == 1, "one place")


def test_many_with_two_timeouts_all_end(start, connect):
    host, client = begin(start, connect, "pending", "loop",
                         args=["--workers", "1", *own("pending", "20ms"), *own("loop", "60ms")])
    asked = [both(client, mode="commit") for _ in range(200)]
    acks = [client.recv_ack() for _ in asked]
    assert {ack.stream_id for ack in acks} == set(asked)
    assert all(ack.variables == {"loop": "deny"} for ack in acks)
    assert host.terminate() == 0


def command(*argv):
    done = subprocess.run([host_binary(), "--plugin-dir", str(PLUGINS), *HOST, *argv],
                          env=clean_env({}), text=True, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_haproxys_timeout_follows_the_longest():
    def printed(*argv):
        status, text, _ = command("--plugins", "slots,loop", "--print-spoe-config", *argv)
        assert status == 0
        return re.findall(r"timeout processing (\w+)", text)

    assert printed() == ["60005ms", "60005ms"]
    assert printed(*own("slots", "20ms")) == ["25ms", "60005ms"]
    assert printed(*own("slots", "20ms"), *of_message("slots", "slots", "90ms")) == ["95ms", "60005ms"]
    assert printed(*of_message("slots", "slots", "1ms")) == ["60005ms", "60005ms"]


def test_there_are_only_so_many_different_ones():
    names = [f"several:i{i}" for i in range(16)]
    args = [arg for i, name in enumerate(names) for arg in own(name, f"{i + 1}ms")]
    status, _, log = command("--plugins", ",".join(names), "-t", *args)
    assert status == 1 and "more than 16 different processing-timeouts" in log, log
    assert command("--plugins", ",".join(names), "-t", *args[2:])[0] == 0
