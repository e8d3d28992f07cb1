# SPDX-License-Identifier: Apache-2.0
"""Issue 12, 4: ip-reputation.so with haproxy/ip-reputation.cfg: what HAProxy's rules make of a list, of one that
changes, and of CrowdSec's decisions."""

import contextlib
import os

import pytest
from lib import haproxy as hap
from lib import haproxy_config
from lib.lapi import Lapi
from lib.origin import Origin
from lib.procs import SpoeHost, wait_until


class Config(hap.Config):
    """haproxy/ip-reputation.cfg and its SPOE file, patient with a slow machine."""

    def __init__(self, directory):
        super().__init__(directory, spoe="spoe-ip-reputation.cfg")
        self.main = hap.source_text("ip-reputation.cfg")
        self.edit_main(r"^global\n", f"global\n    stats socket {self.socket} level admin\n")
        self.relax()


class Scene:
    def __init__(self, proxy, host, origin, path):
        self.proxy, self.host, self.origin, self.path = proxy, host, origin, path

    def status(self):
        return self.proxy.get("/").status

    def write(self, text):
        with open(f"{self.path}.new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(f"{self.path}.new", self.path)

    def wait(self, status):
        wait_until(lambda: self.status() == status, f"status {status}")


@contextlib.contextmanager
def scene(binary, tmp, text, **env):
    config, path = Config(tmp), os.path.join(tmp, "list")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(Origin())
        host = stack.enter_context(SpoeHost(["--plugins", "ip-reputation"], env={
            "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PROCESSING_TIMEOUT": "10s",
            "IP_REPUTATION_LISTS": f"block={path}", **env}))
        spoe = os.path.join(tmp, "spoe-otel.cfg")  # as Config.write() calls it
        proxy = stack.enter_context(hap.HAProxy(binary, config, [host.port], origin.address,
                                                env={"SPOE_IP_REPUTATION_CFG": spoe}))
        proxy.wait_agent()
        yield Scene(proxy, host, origin, path)
        assert host.terminate() == 0, host.report()


def test_files_are_accepted(binary):
    """And they send what the host prints."""
    status, out = hap.check(binary, f"{hap.SOURCE}/haproxy/ip-reputation.cfg",
                            {"SPOE_IP_REPUTATION_CFG": f"{hap.SOURCE}/haproxy/spoe-ip-reputation.cfg"})
    assert status == 0, out
    _, printed = haproxy_config.printed("spoe", "2.6", env={"SPOE_PLUGINS": "ip-reputation"})
    ours, theirs = (haproxy_config.spoe_file(text)
                    for text in (hap.source_text("spoe-ip-reputation.cfg"), printed))
    assert ours["spoe-message check-ip"] == theirs["spoe-message check-ip"]
    assert "[ip-reputation]" in theirs


def test_a_list_that_changes_decides(binary, tmp):
    with scene(binary, tmp, "192.0.2.0/24\n") as it:
        assert it.status() == 200
        it.write("127.0.0.0/8\n")
        it.wait(403)
        it.write("127.0.0.0/8\nno address\n")
        it.host.wait_line(r"list:2: no address")
        assert it.status() == 403
        it.write("192.0.2.0/24\n")
        it.wait(200)


def test_decisions_decide(binary, tmp):
    with Lapi("key") as lapi, scene(
            binary, tmp, "192.0.2.0/24\n", IP_REPUTATION_CROWDSEC_URL=lapi.url,
            IP_REPUTATION_CROWDSEC_KEY="key", IP_REPUTATION_CROWDSEC_INTERVAL="100ms") as it:
        assert it.status() == 200
        lapi.new("127.0.0.1")
        it.wait(403)
        lapi.delete("127.0.0.1")
        it.wait(200)


def test_the_server_is_told_the_list_and_no_client_can(binary, tmp):
    with scene(binary, tmp, "127.0.0.1\n") as it:
        assert it.status() == 403
    with scene(binary, tmp, "127.0.0.1\n",
               IP_REPUTATION_LISTS=f"slow:40={os.path.join(tmp, 'list')}") as it:
        assert it.proxy.get("/", headers={"X-Reputation-List": "mine"}).status == 200
        assert it.origin.requests[-1].all("x-reputation-list") == ["slow"]
        it.write("192.0.2.1\n")

        def told():
            assert it.proxy.get("/", headers={"X-Reputation-List": "mine"}).status == 200
            return it.origin.requests[-1].all("x-reputation-list")

        wait_until(lambda: told() == [], "no list")
