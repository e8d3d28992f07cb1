# SPDX-License-Identifier: Apache-2.0
"""The bindings for Rust (12.2): the structs against the header, the layer's own tests, and the
example in the host. Plain rustc, Debian 12's 1.63 or later: the crate has no dependencies."""

import ipaddress
import os
import pathlib

import pytest

from lib.procs import SpoeHost, clean_env, host_binary, run
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
CRATE = SOURCE / "sdk/rust"


def rustc(where, *args):
    status, text = run(["rustc", "--edition", "2021", "-D", "warnings", *args], cwd=where, limit=300)
    assert status == 0, text


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The crate, its tests and the example, built outside the tree."""
    where = tmp_path_factory.mktemp("rust")
    crate = ["--extern", f"spoe={where}/libspoe.rlib"]
    rustc(where, "--crate-type", "rlib", "--crate-name", "spoe", CRATE / "src/lib.rs")
    rustc(where, "--test", "--crate-name", "unit", CRATE / "src/lib.rs")
    rustc(where, "--test", "--crate-name", "layout", CRATE / "tests/layout.rs", *crate)
    (where / "plugins").mkdir()
    rustc(where, "--crate-type", "cdylib", "--crate-name", "limit", CRATE / "examples/limit.rs",
          "-o", where / "plugins/limit.so", "-C", "link-arg=-Wl,-z,now,-z,nodelete", *crate)
    return where


@pytest.mark.parametrize("program", ["unit", "layout"])
def test_of_the_crate(built, program):
    env = {**os.environ, "SPOE_INCLUDE": str(SOURCE / "sdk/include")}
    status, text = run([built / program], env=env, cwd=built)
    assert status == 0 and "0 failed" in text, text


def test_the_crate_is_of_this_abi():
    header = (SOURCE / "sdk/include/spoe/plugin.h").read_text()
    minor = header.split("#define SPOE_ABI_MINOR ")[1].split()[0]
    assert f'\nversion = "1.{minor}.' in (CRATE / "Cargo.toml").read_text()


def test_it_exports_its_entry_only(built):
    status, text = run(["nm", "-D", "--defined-only", built / "plugins/limit.so"])
    assert status == 0
    assert [line.split()[-1] for line in text.splitlines()] == ["spoe_plugin_entry_v1"]


def test_the_host_describes_it(built):
    status, text = run([host_binary(), "--plugin-info", built / "plugins/limit.so"])
    assert status == 0, text
    for word in ("limit-path", "limit-later", "too_long", "LIMIT_LONGEST", "in Rust"):
        assert word in text, text


def test_an_error_of_configure_stops_the_start(built):
    status, text = run([host_binary(), "-t", "--plugin-dir", built / "plugins", "--set",
                        "limit.broken=on"], env=clean_env())
    assert status == 1 and "command line: limit.broken: it is to be off" in text, text


def test_the_example_in_the_host(built):
    """A panic costs its message the variables; what is dropped is completed."""
    with SpoeHost(["--plugin-dir", built / "plugins", "--processing-timeout", "30s",
                   "--set", "limit.longest=5"]) as host:
        with Client(host.port) as client:
            client.hello()
            src = ipaddress.ip_address("2001:db8::7")
            for path, too_long in (("/1234", False), ("/12345", True)):
                assert client.ask("limit-path", {"path": path, "src": src}).variables == \
                    {"too_long": too_long, "asked_by": src}
                assert client.ask("limit-later", {"path": path}).variables == {"too_long": too_long}
            assert client.ask("limit-path", {"path": "/panic"}).variables == {}
            host.wait_line("handle: panic: as it was told to")
            # Were it not completed the answer would come after 30 s.
            assert client.ask("limit-path", {"path": "/lost"}).variables == {}
            host.wait_line("handle: lost")
            assert client.ask("limit-path", {"path": "/"}).variables == {"too_long": False}
        assert host.terminate() == 0


def test_the_example_lives_with_a_host_of_version_1_0(built):
    """12.5: the crate knows of members that such a host does not have."""
    status, text = run([os.environ["SPOE_TEST_FAKE_HOST"], built / "plugins/limit.so"])
    assert status == 0 and "pending 1 completed 1" in text, text
