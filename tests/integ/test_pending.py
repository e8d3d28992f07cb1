# SPDX-License-Identifier: Apache-2.0
"""Answers that come later: from a plugin's own thread, after the deadline, after the connection."""

import pathlib
import re
import signal

import pytest

from lib import admin
from lib.procs import LIMIT, wait_until
from lib.spop import AGENT_HELLO, hello_frame, notify_frame

LONG = ["--processing-timeout", "60s"]


def pending(client, key, mode, **more):
    return client.notify([("pending", {"key": key, "mode": mode, **more})])


def test_completion_from_the_plugins_own_thread(start, connect):
    client = connect(start("pending", args=LONG))
    client.hello()
    for mode in ("after", "inline", "after"):
        assert client.ask("pending", {"key": mode, "mode": mode}).variables == {"pending": mode}
    assert client.ask("pending", {"key": "d", "delay": 30}).variables == {"pending": "d"}
    assert client.ask("pending", {"key": "f", "mode": "fail"}).variables == {}


def test_answers_overtake_each_other(start, connect):
    """Pipelined: what is ready leaves, whatever waits."""
    client = connect(start("pending", args=LONG))
    client.hello()
    held = pending(client, "slow", "hold")
    quick = pending(client, "quick", "after")
    assert client.recv_ack().stream_id == quick
    client.notify([("pending-release", {"key": "slow"})])
    acks = {a.stream_id: a.variables for a in (client.recv_ack(), client.recv_ack())}
    assert acks[held] == {"pending": "slow"}


def test_a_thousand_pending_at_once(start, connect):
    client = connect(start("pending", args=LONG))
    client.hello()
    ids = {pending(client, "all", "hold"): "all" for _ in range(1000)}
    release = client.notify([("pending-release", {"key": "all"})])
    acks = [client.recv_ack() for _ in range(1001)]
    assert {a.stream_id for a in acks} == set(ids) | {release}
    assert sum(a.variables == {"pending": "all"} for a in acks) == 1000


def test_one_notify_waits_for_all_its_messages(start, connect):
    client = connect(start("slots", "pending", args=LONG))
    client.hello()
    both = client.notify([("pending", {"key": "one", "mode": "hold"}), ("slots", {"text": "x"}),
                          ("pending", {"key": "two", "mode": "hold"})])
    other = client.notify([("pending-release", {"key": "two"})])
    assert client.recv_ack().stream_id == other
    client.notify([("pending-release", {"key": "one"})])
    acks = [client.recv_ack(), client.recv_ack()]
    (ack,) = [a for a in acks if a.stream_id == both]
    sets = [(a[2], a[3]) for a in ack.actions if a[0] == "set"]
    assert sets[0] == ("pending", "one") and sets[-1] == ("pending", "two"), "message order"
    assert ("slot0", "x") in sets


def test_timeout_leaves_out_the_late_plugin_only(start, connect):
    host = start("shared_a", "pending", "shared_b", args=["--processing-timeout", "50ms"])
    client = connect(host)
    client.hello()
    args = {"path": "/", "method": "GET", "key": "k", "mode": "cancel"}
    ack = client.ask("shared", args)
    assert "pending" not in ack.variables
    assert ack.order == ["shared_a_0", "shared_a_1", "shared_a_others",
                         "shared_b_0", "shared_b_1", "shared_b_others"]
    # It was told, completed late, and its variable was refused.
    host.wait_line(r"component=pending .*cancelled why=2")
    host.wait_line(r"completes key=k engine=engine set_var=-5")
    # In time it is in its place.
    args["mode"] = "inline"
    order = client.ask("shared", args).order
    assert order.index("shared_a_others") < order.index("pending") < order.index("shared_b_0")


def test_timeouts_many(start, connect):
    host = start("pending", args=["--processing-timeout", "20ms", "--workers", "2"])
    clients = [connect(host) for _ in range(4)]
    for client in clients:
        client.hello()
        for _ in range(50):
            pending(client, "k", "cancel")
    for client in clients:
        for _ in range(50):
            assert client.recv_ack().variables == {}
    assert host.terminate() == 0


def test_completion_after_the_connection_is_gone(start, connect):
    host = start("pending", args=[*LONG, "--workers", "1"])
    for end in ("close", "reset"):
        client = connect(host)
        client.hello()
        mark = host.mark()
        pending(client, end, "cancel")
        pending(client, end + "-held", "hold")
        client.notify([])
        client.recv_ack()  # so all three have been read
        getattr(client, end)()
        host.wait_line(r"cancelled why=1", start=mark)
        host.wait_line(rf"completes key={end} engine=engine set_var=(0|-5)", start=mark)
        other = connect(host)
        other.hello()
        other.ask("pending-release", {"key": end + "-held"})
        host.wait_line(rf"completes key={end}-held engine=engine ", start=mark)
    assert connect(host).hello()
    assert host.terminate() == 0


def test_second_completion_is_logged_and_ignored(start, connect):
    host = start("pending", args=LONG)
    client = connect(host)
    client.hello()
    for _ in range(3):
        assert client.ask("pending", {"key": "t", "mode": "twice"}).variables == {"pending": "t"}
    host.wait_line(r"level=(error|warning) .*pending.*(twice|second|again|already)|"
                   r"component=pending .*(twice|second|again|already)")
    assert client.ask("pending", {"key": "x"}).variables == {"pending": "x"}
    assert host.terminate() == 0


def test_max_pending_pauses_reading_and_resumes(start, connect):
    """Ten wait, so nothing more is read, on any connection, until their deadline has come."""
    host = start("pending", "slots", args=["--processing-timeout", "3s", "--max-pending", "10",
                                           "--workers", "2"])
    holder, others = connect(host), [connect(host) for _ in range(3)]
    holder.hello()
    for other in others:
        other.hello()
    held = [pending(holder, "h", "cancel") for _ in range(10)]
    eleventh = holder.notify([("slots", {"text": "eleventh"})])
    wait_until(lambda: host.count("waits key=h") == 10, "ten that wait")
    for other in others:
        other.notify([("slots", {"text": "later"})])
    # As far as a moment can tell, no answer. (A slow machine makes this prove less, not fail.)
    others[0].sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        others[0].recv_frame()
    others[0].sock.settimeout(LIMIT)
    assert host.count("completes") == 0
    for other in others:
        assert other.recv_ack().variables["slot0"] == "later"
    acks = {ack.stream_id: ack for ack in (holder.recv_ack() for _ in range(11))}
    assert all(acks[stream_id].variables == {} for stream_id in held)
    assert acks[eleventh].variables["slot0"] == "eleventh"
    assert host.terminate() == 0


def test_max_pending_is_a_bound_not_an_end(start, connect):
    """Many more than the limit, each answered by the plugin's thread: all are answered."""
    host = start("pending", args=[*LONG, "--max-pending", "4", "--workers", "2"])
    clients = [connect(host) for _ in range(3)]
    for client in clients:
        client.hello()
        client.send(b"".join(
            notify_frame([("pending", {"key": str(i), "delay": 2})], i) for i in range(200)))
    for client in clients:
        assert sorted(client.recv_ack().stream_id for _ in range(200)) == list(range(200))
    assert host.terminate() == 0


def test_max_pending_is_reached_by_notifies_of_many_messages(start, connect):
    """1.2: each has one message that waits and nine that are done; no worker runs out before."""
    host = start("pending", "slots", args=[*LONG, "--max-pending", "1000", "--workers", "1",
                                           "--slow-handle", "0"],
                 env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    client = connect(host)
    client.hello()
    messages = [("slots", {"text": "x"})] * 4 + [("pending", {"key": "k", "mode": "hold"})] + \
        [("slots", {"text": "y"})] * 5
    ids = [client.notify(messages) for _ in range(990)]
    release = client.notify([("pending-release", {"key": "k"})])
    acks = {ack.stream_id: ack for ack in (client.recv_ack() for _ in range(991))}
    assert acks.pop(release).variables == {} and sorted(acks) == ids
    for ack in acks.values():
        assert ack.order.count("slot0") == 9 and ack.variables["slot0"] == "y"
        assert ack.order.index("pending") > ack.order.index("slot0")
    assert admin.metrics(host)["spoe_host_resource_errors_total"].value() == 0
    assert host.terminate() == 0


def test_post_runs_on_the_worker_that_was_asked(start, connect):
    host = start("post", args=[*LONG, "--workers", "3"])
    clients = [connect(host) for _ in range(6)]
    seen = {}
    for client in clients:
        client.hello()
    for _ in range(20):
        for client in clients:
            said = client.ask("post").variables
            assert said["right_thread"] is True
            seen.setdefault(client, set()).add(said["worker"])
    # A connection stays with its worker; new ones go to the worker with the fewest.
    assert all(len(workers) == 1 for workers in seen.values())
    assert sorted(w for workers in seen.values() for w in workers) == [0, 0, 1, 1, 2, 2]
    assert host.terminate() == 0


@pytest.mark.parametrize("mode", ["hold", "cancel"])
def test_stop_with_requests_pending(start, connect, mode):
    """Held requests do not keep the host from leaving: their time is over, the plugin's stop()
    completes them."""
    host = start("pending", args=["--processing-timeout", "100ms"])
    client = connect(host)
    client.hello()
    pending(client, "k", mode)
    assert client.recv_ack().variables == {}
    assert host.terminate() == 0
    assert re.search(r"completes key=k", host.text())


# -- at max-pending (1.2)


def cpu_ticks(host):
    with open(f"/proc/{host.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def read_bytes(host):
    return admin.metrics(host)["spoe_host_received_bytes_total"].value()


FULL = ["--processing-timeout", "60s", "--max-pending", "4", "--workers", "2"]


def fill(host, connect, n=4):
    """Reach max-pending with messages that nobody completes before the end."""
    client = connect(host)
    client.hello()
    for _ in range(n):
        client.notify([("base-never", {})])
    wait_until(lambda: admin.metrics(host)["spoe_host_pending"].value() == n, "max-pending")
    return client


def test_a_full_host_is_idle(start, connect):
    """H2: two connections that say HELLO while there is no room; nobody wakes anybody."""
    host = start("never_completes", "slots", args=FULL, env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    fill(host, connect)
    clients = [connect(host) for _ in range(4)]
    for client in clients:
        client.hello()
    for client in clients[:2]:
        client.notify([("slots", {"text": "x"})])
    before = cpu_ticks(host)
    clients[2].sock.settimeout(1)
    with pytest.raises(TimeoutError):
        clients[2].recv_frame()
    assert cpu_ticks(host) - before < 20, "a fifth of a second of CPU in a second of nothing"


def worker_wakeups(host):
    """How often the workers went to sleep so far, which is how often something woke them."""
    total = 0
    for task in pathlib.Path(f"/proc/{host.pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(),
                                   re.M).group(1))
    return total


def test_workers_do_not_wake_each_other(start, connect):
    """H2: connections that wait for room, some of each worker, go while they wait; then there is room.
    In 0.1 both workers went on thinking that the other one waited: 50 000 wake-ups for 500 messages,
    and no end of them on an idle host. A message takes one at most, of a worker that sleeps."""
    host = start("pending", args=["--processing-timeout", "60s", "--max-pending", "4", "--workers",
                                  "2"], env={"SPOE_HELLO_TIMEOUT": "300ms",
                                                     "SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    client = connect(host)
    client.hello()
    for _ in range(4):
        pending(client, "k", "after", delay=2000)
    wait_until(lambda: admin.metrics(host)["spoe_host_pending"].value() == 4, "max-pending")
    waiting = [connect(host) for _ in range(6)]
    for one in waiting:
        one.send(hello_frame())
    for one in waiting:
        got = one.recv_frame()  # 0.1 let it wait for room too, and closed it at hello-timeout
        if got is not None and got.type == AGENT_HELLO:
            one.notify([("pending", {"key": "w", "mode": "after"})])
        one.close()
    for _ in range(4):
        client.recv_ack()
    before = worker_wakeups(host)
    for _ in range(500):
        client.ask("pending", {"key": "k", "mode": "inline"})
    woken = worker_wakeups(host) - before
    assert woken < 3 * 500


def test_hello_and_health_checks_are_answered_without_room(start, connect):
    """H3"""
    host = start("never_completes", "slots", args=FULL, env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    fill(host, connect)
    for _ in range(10):
        check = connect(host)
        check.hello(healthcheck=True, capabilities="")
        assert check.recv_frame() is None
        connect(host).hello()
    assert admin.metrics(host)["spoe_host_health_checks_total"].value() == 10


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_close_is_seen_without_room(start, connect, end):
    """H3: the frames that were read, and those that were not, are discarded and counted."""
    host = start("never_completes", "slots", args=FULL, env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    fill(host, connect)
    clients = [connect(host) for _ in range(8)]
    data = notify_frame([("slots", {"text": "x" * 1000})]) * 100
    for client in clients:
        client.hello()
        seen = read_bytes(host)
        client.send(data)
        wait_until(lambda: read_bytes(host) > seen, "the first of it to be read")
    for client in clients:
        getattr(client, end)()
    wait_until(lambda: admin.metrics(host)["spoe_host_connections"].total() == 1,
               "the connections to be closed")
    discarded = admin.metrics(host)["spoe_host_discarded_frames_total"].value()
    assert discarded == 800 if end == "close" else discarded >= 8 * 16


def test_an_expired_request_gives_its_place_back(start, connect):
    """H3: its plugin never completes it, whether its connection is there or not."""
    host = start("never_completes", "slots", args=["--processing-timeout", "20ms",
                                                   "--max-pending", "4", "--workers", "2"])
    client = connect(host)
    client.hello()
    for i in range(12):
        client.notify([("base-never", {}), ("slots", {"text": str(i)})])
    assert [client.recv_ack().variables["slot0"] for _ in range(12)] == [str(i) for i in range(12)]
    for _ in range(12):
        gone = connect(host)
        gone.hello()
        gone.notify([("base-never", {})])
        gone.close()
    other = connect(host)
    other.hello()
    for _ in range(8):
        other.notify([("base-never", {})])
    assert [other.recv_ack().variables for _ in range(8)] == [{}] * 8
    assert other.ask("slots", {"text": "x"}).variables["slot0"] == "x"


def test_frames_read_before_sigterm_are_answered(start, connect):
    """1.3: a connection that waits for room, whose frames are read or still in the kernel."""
    host = start("pending", "slots", args=["--processing-timeout", "60s", "--max-pending", "1",
                                           "--workers", "2"], env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    clients = [connect(host) for _ in range(5)]
    for client in clients:
        client.hello()
    held = pending(clients[0], "k", "after", delay=2000)
    wait_until(lambda: admin.metrics(host)["spoe_host_pending"].value() == 1, "max-pending")
    for client in clients[1:]:
        seen = read_bytes(host)
        client.send(b"".join(notify_frame([("slots", {"text": "x" * 1000})], i + 1)
                             for i in range(40)))
        wait_until(lambda: read_bytes(host) > seen, "the first of it to be read")
    host.signal(signal.SIGTERM)
    ack = clients[0].recv_ack()
    assert (ack.stream_id, ack.variables) == (held, {"pending": "k"})
    for client in clients[1:]:
        assert [client.recv_ack().stream_id for _ in range(40)] == list(range(1, 41))
    for client in clients:
        assert client.recv_disconnect().code == 0
    assert host.wait() == 0
