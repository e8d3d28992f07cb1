# SPDX-License-Identifier: Apache-2.0
"""Addresses: sockets of every kind, several, stale and live files, the warning."""

import contextlib
import os
import socket
import stat

import pytest

from conftest import host_args
from lib.procs import Proc, ReservedPort, clean_env, host_binary, run
from lib.spop import Client


def serves(address):
    with Client(address) as client:
        client.hello()
        return client.ask("slots", {"text": "x"}).variables["slot0"] == "x"


def fails(*args, expected=1):
    status, text = run([host_binary(), *host_args("slots"), *args], env=clean_env())
    assert status == expected, text
    return text


def test_unix_socket(start, tmp_path):
    path = tmp_path / "spoe.sock"
    host = start("slots", args=["--listen", f"unix:{path}"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert serves(path)
    assert host.count("authentication") == 0
    assert host.terminate() == 0
    assert not path.exists()


def test_group_of_unix_socket(start, tmp_path):
    if os.geteuid() != 0:
        group = os.getgroups()[0]
    else:
        group = 4242
    path = tmp_path / "spoe.sock"
    start("slots", args=["--listen", f"unix:{path}", "--socket-group", str(group)])
    assert path.stat().st_gid == group
    assert serves(path)


@pytest.mark.parametrize("check,status", [(["-t"], 1), ([], 78)])
def test_unknown_group(tmp_path, check, status):
    """Found by -t as by a start, which has made no socket by then."""
    path, conf = tmp_path / "spoe.sock", tmp_path / "host.ini"
    conf.write_text("[host]\n\nsocket-group = no-such-group\n")
    text = fails("--listen", f"unix:{path}", "-f", conf, *check, expected=status)
    assert f'{conf}:3: host.socket-group: \\"no-such-group\\": no such group' in text
    assert not path.exists()


def test_stale_socket_is_replaced(start, tmp_path):
    path = tmp_path / "spoe.sock"
    start("slots", args=["--listen", f"unix:{path}"]).kill()
    assert path.exists(), "a killed host leaves its file"
    start("slots", args=["--listen", f"unix:{path}"])
    assert serves(path)


def test_live_socket_is_never_replaced(start, tmp_path):
    path = tmp_path / "spoe.sock"
    start("slots", args=["--listen", f"unix:{path}"])
    assert str(path) in fails("--listen", f"unix:{path}")
    assert serves(path)


@pytest.mark.parametrize("attempt", range(5))
def test_hosts_that_start_at_once_do_not_replace_each_other(tmp_path, attempt):
    """All of them find the same stale file; one may have it."""
    path = tmp_path / "spoe.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    argv = [host_binary(), *host_args("slots"), "--listen", f"unix:{path}"]
    with contextlib.ExitStack() as stack:
        hosts = [stack.enter_context(Proc(argv, env=clean_env())) for _ in range(4)]
        said = [h.wait_line(r'msg="?ready|another process listens on it').group(0) for h in hosts]
        assert sum("ready" in line for line in said) == 1, said
        assert serves(path)


def test_another_file_is_never_replaced(tmp_path):
    path = tmp_path / "precious"
    path.write_text("keep me")
    assert str(path) in fails("--listen", f"unix:{path}")
    assert path.read_text() == "keep me"
    assert "none" in fails("--listen", f"unix:{tmp_path}/none/spoe.sock")


def test_a_live_socket_survives_the_end_of_one_that_was_refused(start, tmp_path):
    """The refused host must not remove the other's file as it leaves."""
    path = tmp_path / "spoe.sock"
    start("slots", args=["--listen", f"unix:{path}"])
    fails("--listen", f"unix:{tmp_path}/first.sock,unix:{path}")
    assert not (tmp_path / "first.sock").exists()
    assert serves(path)


def test_several_addresses(start, tmp_path):
    path = tmp_path / "spoe.sock"
    host = start("slots", args=["--listen", f"127.0.0.1:0,unix:{path},localhost:0"])
    ports = [a for a in host.addresses if not a.startswith("unix:")]
    assert len(ports) >= 2 and path.exists()
    assert serves(path) and serves(host.port)
    for address in ports:
        name, port = address.rsplit(":", 1)
        assert serves((name.strip("[]"), int(port)))


def test_ipv6(start):
    host = start("slots", args=["--listen", "[::1]:0"])
    assert host.addresses[0].startswith("[::1]:")
    assert serves(("::1", host.port))


def test_address_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        assert address in fails("--listen", address)


def test_restart_on_the_same_port(start, connect):
    with ReservedPort() as reserved:
        for _ in range(3):
            host = start("slots", args=["--listen", reserved.address])
            assert host.port == reserved.port
            client = connect(host)
            client.hello()
            assert host.terminate() == 0


@pytest.mark.parametrize("address,warned", [
    ("127.0.0.1:0", 0), ("[::1]:0", 0), ("localhost:0", 0), ("0.0.0.0:0", 1), ("[::]:0", 1),
    ("127.0.0.1:0,0.0.0.0:0", 1)])
def test_warning_for_addresses_that_others_reach(start, address, warned):
    host = start("slots", args=["--listen", address])
    assert host.count(r"level=warning .*authentication") == warned
