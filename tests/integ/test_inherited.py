# SPDX-License-Identifier: Apache-2.0
"""Sockets that a service manager holds and hands over, fd:NAME: by names and kinds; what is sent while no
host is there is read by the next one; what is wrong is said. The manager is the test, which speaks the
protocol of sd_listen_fds(3) (tests/lib/manager.py). (13.2)"""

import os
import re
import socket

import pytest

from conftest import host_args
from lib import admin
from lib.lines import Sender, Told
from lib.manager import handing_over
from lib.procs import Proc, clean_env, host_binary, run, wait_until
from lib.spop import Client

KINDS = ["udp", "unixgram", "tcp", "tcp+octet", "unix"]
FEW = 40  # lines of a test that fit into any socket's buffer, three times


@pytest.fixture
def hold(tmp_path):
    """hold(kind) -> (socket, the address that a Sender takes), until the test's end."""
    sockets = []

    def begin(kind, name="held"):
        unix = kind.startswith("unix")
        sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET,
                             socket.SOCK_DGRAM if kind in ("udp", "unixgram") else socket.SOCK_STREAM)
        sockets.append(sock)
        sock.bind(str(tmp_path / name) if unix else ("127.0.0.1", 0))
        if kind not in ("udp", "unixgram"):
            sock.listen(64)
        address = sock.getsockname()
        return sock, address if unix else f"127.0.0.1:{address[1]}"

    yield begin
    for sock in sockets:
        sock.close()


def option(kind, name="log"):
    return ("fd+octet:" if kind.endswith("octet") else "fd:") + name


def takes_lines(start, told, *sockets, listen="fd:log", **more):
    return start("from_log", args=["--log-listen", listen, "--set", f"from-log.file={told.path}"],
                 **handing_over(sockets, **more))


def numbers(told):
    return [int(n) for line in told.lines() for n in re.findall(r" n=int:(\d+)", line)]


# ---- log lines ----


@pytest.mark.parametrize("kind", KINDS)
def test_each_transport_brings_lines(start, hold, tmp_path, kind):
    sock, address = hold(kind)
    told = Told(tmp_path / "told")
    host = takes_lines(start, told, ("log", sock), listen=option(kind))
    host.wait_line(rf'taking log lines on {re.escape(kind)}:{re.escape(address)} \({re.escape(option(kind))}\)')
    sender = Sender(kind, address)
    sender.send("v=1 n=1", "v=1 n=2")
    told.wait(2)
    assert host.terminate() == 0
    sender.close()
    assert numbers(told) == [1, 2]
    if kind.startswith("unix"):
        assert os.path.exists(address), "it is not the host's to remove"


@pytest.mark.parametrize("kind", ["udp", "tcp", "tcp+octet", "unix"])
def test_a_restart_loses_no_line(start, hold, tmp_path, kind):
    """Lines are sent while the host runs, while it ends, and while there is none; each is told once, by
    one host or the next. Where there are connections one is made for each of these, as HAProxy does
    when its own has ended."""
    sock, address = hold(kind)
    told = Told(tmp_path / "told")
    sent = 0

    def send():
        nonlocal sent
        sender = Sender(kind, address)
        sender.send(*(f"v=1 n={sent + i}" for i in range(FEW)))
        sent += FEW
        return sender

    senders = []
    for _ in range(3):
        host = takes_lines(start, told, ("log", sock), listen=option(kind))
        senders.append(send())
        told.wait(sent)
        if kind == "udp":
            senders.append(send())  # right before the end, and during it
            host.signal(15)
            senders.append(send())
        assert host.terminate() == 0 if kind != "udp" else host.wait() == 0
        senders.append(send())
    host = takes_lines(start, told, ("log", sock), listen=option(kind))
    told.wait(sent)
    assert host.terminate() == 0
    assert sorted(numbers(told)) == list(range(sent))
    for sender in senders:
        sender.close()


def test_several_sockets_of_one_name(start, hold, tmp_path):
    held = [hold("udp"), hold("tcp"), hold("unixgram")]
    told = Told(tmp_path / "told")
    host = takes_lines(start, told, *(("log", sock) for sock, _address in held))
    for n, (kind, (_sock, address)) in enumerate(zip(("udp", "tcp", "unixgram"), held)):
        sender = Sender(kind, address)
        sender.send(f"v=1 n={n}")
        told.wait(n + 1)
        sender.close()
    assert host.terminate() == 0


def test_names_apart_from_their_own_addresses(start, hold, tmp_path):
    """Two names with two framings, beside an address that the host opens itself."""
    plain, plain_at = hold("tcp")
    octet, octet_at = hold("tcp")
    told = Told(tmp_path / "told")
    host = takes_lines(start, told, ("a", octet), ("b.c", plain),
                       listen="fd+octet:a, udp:127.0.0.1:0, fd:b.c")
    for n, (kind, address) in enumerate([("tcp", plain_at), ("tcp+octet", octet_at)]):
        sender = Sender(kind, address)
        sender.send(f"v=1 n={n}")
        told.wait(n + 1)
        sender.close()
    host.wait_line(r"taking log lines on udp:127.0.0.1:\d+\"?$")
    assert host.terminate() == 0


def receive_buffer(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def test_a_receive_buffer_is_not_made_less(start, hold, tmp_path):
    """ReceiveBuffer= of the unit may be more than a host without rights could ask for."""
    sock, _address = hold("udp")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200000)
    before = receive_buffer(sock)
    host = takes_lines(start, Told(tmp_path / "told"), ("log", sock),
                       env={"SPOE_LOG_RECEIVE_BUFFER": "64k"})
    assert receive_buffer(sock) == before
    assert host.terminate() == 0


def test_drops_before_its_time_are_told_and_not_counted(start, hold, tmp_path):
    sock, address = hold("udp")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sender = Sender("udp", address)
    sender.send(*("v=1 n=1 text=" + "x" * 1000 for _ in range(200)))
    told = Told(tmp_path / "told")
    host = takes_lines(start, told, ("log", sock), env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    host.wait_line(r"component=lines .*the kernel has dropped 1\d\d log lines on it up to now")
    sender.send("v=1 n=7")
    wait_until(lambda: 7 in numbers(told), "the line")
    assert admin.metrics(host)["spoe_host_log_kernel_drops_total"].value() == 0
    assert host.terminate() == 0
    sender.close()


# ---- SPOP, admin ----


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_spop_and_admin(start, hold, kind):
    """Who connects while no host is there is served by the next one."""
    spop, spop_at = hold(kind, "spop")
    pages, pages_at = hold(kind, "pages")
    prefix = "unix:" if kind == "unix" else ""
    more = handing_over([("admin", pages), ("spop", spop)],
                        env={"SPOE_ADDR": "fd:spop", "SPOE_ADMIN_ADDR": "fd:admin"})
    client = Client(spop_at if kind == "unix" else int(spop_at.rsplit(":", 1)[1]))
    for _ in range(2):
        host = start("slots", **more)
        assert host.addresses == [prefix + spop_at] and host.admin == prefix + pages_at
        client.hello()
        assert admin.ask(host, "/readyz").status == 200
        flags = [int(re.search(r"flags:\s*(\d+)", open(f"/proc/{host.pid}/fdinfo/{fd}").read()).group(1), 8)
                 for fd in (3, 4)]
        assert all(f & os.O_CLOEXEC and f & os.O_NONBLOCK for f in flags), "no child has them"
        host.signal(15)
        client.close()
        assert host.wait() == 0
        client = Client(spop_at if kind == "unix" else int(spop_at.rsplit(":", 1)[1]))
    client.close()
    assert kind != "unix" or (os.path.exists(spop_at) and os.path.exists(pages_at))


def test_an_admin_socket_that_every_user_can_open(start, hold):
    """Whoever can open it may change options, and systemd's SocketMode= is 0666 where a unit says nothing."""
    pages, path = hold("unix", "pages")
    warning = "level=warning component=admin .*every user of this machine can open the admin socket"
    for mode, told in ((0o660, 0), (0o666, 1)):
        os.chmod(path, mode)
        host = start("slots", **handing_over([("admin", pages)], env={"SPOE_ADMIN_ADDR": "fd:admin"}))
        assert host.count(warning) == told, (oct(mode), host.text())
        assert host.terminate() == 0
    abstract = socket.socket(socket.AF_UNIX)
    with abstract:
        abstract.bind("")  # the kernel names it
        abstract.listen()
        host = start("slots", **handing_over([("admin", abstract)], env={"SPOE_ADMIN_ADDR": "fd:admin"}))
        host.wait_line(warning)
        assert host.terminate() == 0


# ---- by their names alone ----


def test_sockets_of_the_units_need_no_option(start, hold, tmp_path):
    """spop, log and admin are for listen, log-listen and admin, where nobody sets these; so they are at a reload."""
    held = {name: hold(kind, name) for name, kind in (("spop", "tcp"), ("log", "udp"), ("admin", "tcp"))}
    parts = handing_over([(name, sock) for name, (sock, _address) in held.items()],
                         env={"SPOE_ADDR": None, "SPOE_ADMIN_ADDR": None})
    told = Told(tmp_path / "told")
    host = start("from_log", args=["--set", f"from-log.file={told.path}"], **parts)
    assert host.addresses == [held["spop"][1]] and host.admin == held["admin"][1]
    sender = Sender("udp", held["log"][1])
    for n in (1, 2):
        sender.send(f"v=1 n={n}")
        told.wait(n)
        host.signal(1)
        wait_until(lambda n=n: host.count("configuration read again: no option changes") == n, host.report)
    sender.close()
    assert admin.ask(host, "/readyz").status == 200
    assert "a restart" not in host.text() and host.count("level=warning") == 0, host.text()
    assert host.terminate() == 0


def test_an_option_comes_before_a_socket(start, hold, tmp_path):
    """Who sets it, off included, means it; what is sent to the socket waits for nobody, and that is said."""
    file = tmp_path / "host.ini"
    file.write_text("[host]\nadmin = 127.0.0.1:0\nlog-listen = off\n")
    pages, address = hold("tcp", "pages")
    lines, _ = hold("udp", "lines")
    host = start("slots", args=["-f", str(file)],
                 **handing_over([("admin", pages), ("log", lines)], env={"SPOE_ADMIN_ADDR": None}))
    assert host.admin not in (None, address)
    for name in "admin", "log":
        host.wait_line(f"level=warning component=service .*a socket with the name {name}, and no option takes it")
    host.signal(1)
    host.wait_line("configuration read again")
    assert host.terminate() == 0


# ---- by their addresses ----


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_that_is_held_is_taken(start, hold, tmp_path, kind):
    """It cannot be bound a second time, and the pages name the addresses of the units: log-listen =
    udp:127.0.0.1:12514 is the same with the unit's socket as without."""
    sock, address = hold(kind)
    if kind == "udp":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200000)
    before = receive_buffer(sock)
    told = Told(tmp_path / "told")
    host = takes_lines(start, told, ("log", sock), listen=f"{kind}:{address}",
                       env={"SPOE_LOG_RECEIVE_BUFFER": "64k"})
    sender = Sender(kind, address)
    sender.send("v=1 n=1")
    told.wait(1)
    sender.close()
    assert receive_buffer(sock) == before and "no option takes" not in host.text()
    assert host.terminate() == 0
    assert not kind.startswith("unix") or os.path.exists(address), "it is not the host's to remove"


def test_addresses_of_spop_and_admin_that_are_held(start, hold):
    spop, spop_at = hold("tcp")
    pages, pages_at = hold("unix", "pages")
    host = start("slots", **handing_over([("admin", pages), ("other", spop)],
                                         env={"SPOE_ADDR": spop_at, "SPOE_ADMIN_ADDR": "unix:" + pages_at}))
    assert host.addresses == [spop_at] and host.admin == "unix:" + pages_at
    assert admin.ask(host, "/readyz").status == 200 and "no option takes" not in host.text()
    assert host.terminate() == 0
    assert os.path.exists(pages_at)


# ---- what is wrong ----


def fails(sockets, *args, env=None, **more):
    """What a start says that fails."""
    parts = handing_over(sockets, env={"SPOE_ADDR": "127.0.0.1:0", **(env or {})}, **more)
    with Proc([*parts["wrap"], host_binary(), *host_args("slots"), *args],
              env=clean_env(parts["env"]), pass_fds=parts["pass_fds"]) as host:
        assert host.wait() == 1
        return host.text()


@pytest.mark.parametrize("args,said", [
    (["--listen", "fd:nobody"], "cannot listen on fd:nobody: the service manager has handed over no socket of "
     "that name .*, but udp, tcp, quiet, file"),
    (["--listen", "fd:udp"], "cannot listen on fd:udp: the socket of that name is not of the kind that this option"),
    (["--admin", "fd:udp"], "admin .*cannot listen on fd:udp: .*not of the kind"),
    (["--listen", "fd:quiet"], r"fd:quiet: descriptor 5 does not listen \(Accept=no in its unit\)"),
    (["--listen", "fd:file"], "fd:file: descriptor 6 is no socket"),
    (["--listen", "fd:tcp,fd:tcp"], "fd:tcp: the sockets of that name are taken by another option"),
    (["--log-listen", "fd+octet:udp"], r"fd\+octet:udp: .*not of the kind"),
    (["--log-listen", "fd:file"], "fd:file: descriptor 6 is no socket"),
])
def test_descriptors_that_do_not_fit(hold, tmp_path, args, said):
    with open(tmp_path / "file", "w") as file, socket.socket() as quiet:
        text = fails([("udp", hold("udp")[0]), ("tcp", hold("tcp")[0]), ("quiet", quiet),
                      ("file", file.fileno())], *args)
    assert re.search("level=error .*" + said, text), text


@pytest.mark.parametrize("env,said", [
    ({"LISTEN_FDS": "65"}, "LISTEN_FDS: expected a number from 0 to 64"),
    ({"LISTEN_FDS": "-1"}, "LISTEN_FDS: expected a number"),
    ({"LISTEN_FDS": "many"}, "LISTEN_FDS: expected a number"),
    # Nor are they descriptors that the host has opened itself by then.
    ({"LISTEN_FDS": "3"}, "descriptor 4 of LISTEN_FDS=3: Bad file"),
    ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": None}, "descriptor 4 of LISTEN_FDS=2: Bad file"),
    ({"LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES has 2 names, LISTEN_FDS says 1"),
])
def test_a_manager_that_contradicts_itself(hold, env, said):
    parts = handing_over([("tcp", hold("tcp")[0])])
    with Proc([*parts["wrap"], host_binary(), *host_args("slots"), "--listen", "127.0.0.1:0"],
              env=clean_env({**parts["env"], **env}), pass_fds=parts["pass_fds"]) as host:
        assert host.wait() == 1
        assert re.search("level=error component=service .*(" + said + ")", host.text()), host.text()


@pytest.mark.parametrize("kind,option,name", [("udp", "--log-listen", "log"), ("tcp", "--admin", "admin")])
def test_a_port_that_is_held_at_another_address(hold, kind, option, name):
    """All addresses, where a unit has one of them: who holds it is said, for it is no other process."""
    sock, address = hold(kind)
    port = address.rsplit(":", 1)[1]
    text = fails([(name, sock)], option, f"udp:*:{port}" if kind == "udp" else f"*:{port}")
    assert re.search(rf"cannot listen on \S*\*:{port}: the service manager holds its port, as the socket {name}: ",
                     text), text


def test_sockets_of_another_process(hold):
    """LISTEN_PID: they were meant for whoever has started this one."""
    text = fails([("spop", hold("tcp")[0])], "--listen", "fd:spop", pid=1)
    assert re.search("fd:spop: the service manager has handed over no socket .*, but none at all", text), text


def test_sockets_without_names(start, hold):
    sock, address = hold("tcp")
    host = start("slots", **handing_over([("x", sock)], names=False, env={"SPOE_ADDR": "fd:unknown"}))
    assert host.addresses == [address]
    assert host.terminate() == 0


def test_a_socket_of_the_other_kind_beside_one_that_fits(start, hold):
    """Its option does name it, and cannot take it."""
    spop, address = hold("tcp")
    host = start("slots", **handing_over([("spop", spop), ("spop", hold("udp")[0])], env={"SPOE_ADDR": "fd:spop"}))
    host.wait_line("level=warning component=service .*a socket with the name spop, and no option takes it: closed")
    assert host.addresses == [address] and host.terminate() == 0


def test_sockets_that_nobody_wants(start, hold):
    """Closed here, and said: what is sent there would wait for ever."""
    sock, _address = hold("udp")
    host = start("slots", **handing_over([("other", sock)]))
    host.wait_line("level=warning component=service .*a socket with the name other, and no option takes it")
    assert not os.path.exists(f"/proc/{host.pid}/fd/3") or "socket" not in os.readlink(f"/proc/{host.pid}/fd/3") \
        or os.stat(f"/proc/{host.pid}/fd/3").st_ino != os.fstat(sock.fileno()).st_ino
    assert host.terminate() == 0


@pytest.mark.parametrize("option,value,said", [
    ("listen", "fd:", "a name of 1 to 255 characters"),
    ("listen", "fd:a:b", "no white space, no :"),
    ("listen", "fd:a b", "no white space, no :"),
    ("listen", "fd:" + "x" * 256, "a name of 1 to 255 characters"),
    ("admin", "fd:\u00e9", "ASCII alone"),
    ("log-listen", "tcp:fd:log", "expected HOST:PORT after tcp:"),
    ("log-listen", "fd+octets:log", "fd:NAME or fd\\+octet:NAME"),
])
def test_names_that_are_none(option, value, said):
    status, out = run([host_binary(), *host_args("slots"), "-t", f"--{option}", value], env=clean_env())
    assert status == 1 and re.search(f"{option}: .*{said}", out), out


def test_a_check_of_the_configuration_needs_no_sockets():
    """ExecReload= and people run -t without them."""
    check = [host_binary(), *host_args("slots"), "-t", "--listen", "fd:spop", "--log-listen"]
    status, out = run([*check, "fd:log", "--admin", "fd:admin"], env=clean_env({"SPOE_ADMIN_ADDR": None}))
    assert status == 0, out
    status, out = run([*check, "fd:spop"], env=clean_env())
    assert status == 1 and "fd:spop, which is named before it, has the same address" in out


def test_haproxys_side_has_the_shipped_addresses():
    status, out = run([host_binary(), *host_args("from_log", "slots"), "--listen", "fd:spop", "--log-listen",
                       "fd:log", "--print-haproxy-config=both", "--for", "3.1"], env=clean_env())
    assert status == 0, out
    assert '"${AGENT1_ADDR-127.0.0.1:12345}"' in out and '"${AGENT_LOG_ADDR-127.0.0.1:12514}"' in out
