# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the host's own tests: a host with plugins of the tests, and clients for it."""

import os
import pathlib
import tempfile

import pytest

from lib.procs import SpoeHost
from lib.spop import Client

PLUGINS = pathlib.Path(os.environ["SPOE_TEST_PLUGINS"])


def host_args(*plugins):
    """The command line that loads these plugins of the tests and no other."""
    if not plugins:
        return []
    return ["--plugin-dir", str(PLUGINS), "--plugins", ",".join(f"{p}.so" for p in plugins)]


@pytest.fixture
def open_folder():
    """One that every user may pass and read, as pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="spoe-test-", dir="/tmp") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def start():
    """start("slots", ..., args=[...], env={...}) -> SpoeHost; killed at the test's end, its output
    shown where the test failed."""
    hosts = []

    def begin(*plugins, args=(), env=None, **more):
        host = SpoeHost([*host_args(*plugins), *args], env=env, **more)
        hosts.append(host)
        return host

    yield begin
    for host in hosts:
        print(host.report())
        host.kill()


@pytest.fixture
def connect():
    """connect(host_or_address) -> Client, closed at the test's end."""
    clients = []

    def begin(where, **more):
        client = Client(getattr(where, "port", where), **more)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.close()
