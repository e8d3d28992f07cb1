# SPDX-License-Identifier: Apache-2.0
"""Plugin ip-reputation in the host, asked over SPOP (issue 12, 4)."""

import ipaddress
import os
import signal

import pytest

from lib import admin, mmdb
from lib.lapi import Lapi
from lib.procs import ReservedPort, SpoeHost, clean_env, host_binary, run, wait_until
from lib.spop import Client

ARGS = ["--plugin-dir", os.environ["SPOE_TEST_IP_REPUTATION_DIR"], "--plugins", "ip-reputation"]


class Rig:
    """A host with the plugin and files in a folder."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.host = self.client = None

    def write(self, name, text):
        new = self.tmp / "new"
        new.write_text(text)
        os.rename(new, self.tmp / name)
        return self.tmp / name

    def start(self, *args, **env):
        self.host = SpoeHost([*ARGS, *args], env={
            "SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_WORKERS": "2",
            **{f"IP_REPUTATION_{k}": v for k, v in env.items()}})
        self.client = Client(self.host.port)
        self.client.hello()
        return self

    def ask(self, ip):
        return self.client.ask("check-ip", {"ip": ipaddress.ip_address(ip)}).variables

    def wait(self, ip, **expected):
        wait_until(lambda: self.ask(ip) == expected, lambda: f"{expected}, not {self.ask(ip)}")

    def number(self, family, **labels):
        return admin.metrics(self.host)["spoe_ip_reputation_" + family].total(**labels)

    def status(self):
        plugins = admin.page(self.host, "/status")["plugins"]
        return next(p for p in plugins if p["id"] == "ip-reputation")

    def end(self):
        assert self.host.terminate() == 0, self.host.report()


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    if rig.client:
        rig.client.close()
    if rig.host:
        print(rig.host.report())
        rig.host.kill()


def test_the_longest_prefix_of_all_lists(rig):
    rig.write("block", "# block\n192.0.2.0/24\n2001:db8::/32\n10.0.0.0/8 ; SBL1\n")
    rig.write("trust", "192.0.2.7\n2001:db8:1::/48\n")
    rig.start(LISTS=f"block={rig.tmp}/block, trust:0={rig.tmp}/trust")
    assert rig.ask("192.0.2.1") == {"score": 100, "list": "block"}
    assert rig.ask("192.0.2.7") == {"score": 0, "list": "trust"}
    assert rig.ask("192.0.3.1") == {"score": 0}
    assert rig.ask("2001:db8::1") == {"score": 100, "list": "block"}
    assert rig.ask("2001:db8:1::1") == {"score": 0, "list": "trust"}
    assert rig.ask("2001:db9::1") == {"score": 0}
    assert rig.ask("::ffff:192.0.2.1") == {"score": 100, "list": "block"}
    assert rig.number("lookups_total") == 7
    assert rig.number("matches_total", list="block") == 3
    assert rig.number("matches_total", list="trust") == 2
    assert rig.number("list_entries", list="block") == 3 and rig.number("table_bytes") > 0
    rig.end()


def test_a_list_that_changes_and_one_that_is_broken(rig):
    path = rig.write("block", "192.0.2.1\n")
    rig.start(LISTS=f"block={path}")
    rig.write("block", "192.0.2.2\n")
    rig.wait("192.0.2.2", score=100, list="block")
    assert rig.ask("192.0.2.1") == {"score": 0}
    rig.write("block", "192.0.2.3\n\n192.0.2.256\n")
    rig.host.wait_line(r'lists: .*/block:3: no address: .*192\.0\.2\.256')
    assert rig.ask("192.0.2.2") == {"score": 100, "list": "block"}
    wait_until(lambda: rig.status()["health"] == "degraded", lambda: str(rig.status()))
    assert "block:3" in rig.status()["reason"]
    rig.write("block", "192.0.2.4\n")
    rig.wait("192.0.2.4", score=100, list="block")
    wait_until(lambda: rig.status()["health"] == "ready", lambda: str(rig.status()))
    path.unlink()
    rig.host.wait_line(r"/block: No such file")
    assert rig.ask("192.0.2.4") == {"score": 100, "list": "block"}
    rig.end()


def test_a_start_with_a_broken_list_fails_and_so_does_the_check(rig):
    path = rig.write("block", "192.0.2.1/24\n")
    env = clean_env({"IP_REPUTATION_LISTS": f"block={path}", "SPOE_ADDR": "127.0.0.1:0"})
    for more in ([], ["-t"]):
        status, text = run([host_binary(), *ARGS, *more], env=env)
        assert status == 1, text
        assert "/block:1: address has bits set beyond the prefix's length" in text


@pytest.mark.parametrize("name,value,text", [
    ("LISTS", "block", "NAME=PATH"),
    ("LISTS", "a=/x,a=/y", "the name is taken"),
    ("LISTS", "a=/x,,b=/y", "in the list is not valid"),
    ("EXEMPT", "10.0.0.0/8, 10.0.0.1/8", '\\"10.0.0.1/8\\" in the list is not valid'),
    ("CROWDSEC_URL", "http://127.0.0.1:1", "crowdsec-url needs a key"),
    ("CROWDSEC_URL", "ftp://x", "crowdsec-url"),
    ("CROWDSEC_URL", "http://user:pass@127.0.0.1:1", "has a user or a query"),
    ("CROWDSEC_URL", "http://127.0.0.1:1/?x", "has a user or a query"),
    ("COUNTRY_DB", "relative.mmdb", "country-db"),
    ("MAX_ENTRIES", "0", "max-entries"),
])
def test_what_is_wrong_with_the_options_is_said(name, value, text):
    env = clean_env({f"IP_REPUTATION_{name}": value, "SPOE_ADDR": "127.0.0.1:0"})
    status, output = run([host_binary(), *ARGS, "-t"], env=env)
    assert status == 1 and text in output, output


def test_what_is_exempt_is_on_no_list(rig):
    """12.2, a list of networks as an option: it holds against longer prefixes, and against CrowdSec's."""
    path = rig.write("block", "10.1.2.3\n192.0.2.7\n2001:db8::7\n198.51.100.1\n")
    with Lapi("k") as lapi:
        lapi.new("10.1.2.4")
        lapi.new("203.0.113.4")
        rig.start(LISTS=f"block={path}", EXEMPT="10.0.0.0/8, 2001:db8::/32 , 192.0.2.7,::ffff:198.51.100.0/120",
                  CROWDSEC_URL=lapi.url, CROWDSEC_KEY="k", CROWDSEC_INTERVAL="100ms")
        rig.wait("203.0.113.4", score=100, list="crowdsec")
        exempt = ["10.1.2.3", "10.1.2.4", "10.255.255.255", "192.0.2.7", "2001:db8::7", "198.51.100.1",
                  "::ffff:10.1.2.3"]
        for ip in exempt:
            assert rig.ask(ip) == {"score": 0}, ip
        assert rig.number("exempt_total") == len(exempt)
        rig.end()
    rig.start(LISTS=f"block={path}")
    assert all(rig.ask(ip)["score"] == 100 for ip in ("10.1.2.3", "192.0.2.7", "2001:db8::7", "198.51.100.1"))
    rig.end()


def test_it_starts_with_nothing(rig):
    rig.start()
    assert rig.ask("192.0.2.1") == {"score": 0}
    rig.end()


# -- databases


@pytest.fixture
def has_geo():
    """A build without libmaxminddb says so, and that is what is tested then."""
    return os.environ["SPOE_TEST_HAS_GEO"] not in ("", "0", "OFF")


def test_country_and_autonomous_system(rig, has_geo):
    country, asn = rig.tmp / "country.mmdb", rig.tmp / "asn.mmdb"
    mmdb.write(country, "GeoLite2-Country", {
        "192.0.2.0/24": {"country": {"iso_code": "DE"}},
        "2001:db8::/32": {"country": {"iso_code": "FR"}},
        "198.51.100.0/24": {"continent": {"code": "EU"}}})
    mmdb.write(asn, "GeoLite2-ASN", {"192.0.2.0/24": {"autonomous_system_number": 64496}})
    if not has_geo:
        env = clean_env({"IP_REPUTATION_COUNTRY_DB": str(country), "SPOE_ADDR": "127.0.0.1:0"})
        status, output = run([host_binary(), *ARGS, "-t"], env=env)
        assert status == 1 and "built without libmaxminddb" in output
        return
    rig.start(COUNTRY_DB=country, ASN_DB=asn)
    assert rig.ask("192.0.2.9") == {"score": 0, "country": "DE", "asn": 64496}
    assert rig.ask("2001:db8::9") == {"score": 0, "country": "FR"}
    assert rig.ask("198.51.100.1") == {"score": 0}
    mmdb.write(country, "GeoLite2-Country", {"192.0.2.0/24": {"country": {"iso_code": "AT"}}})
    rig.wait("192.0.2.9", score=0, country="AT", asn=64496)
    # Cut short where it lies: what is in use is a copy.
    with open(country, "r+b") as file:
        file.truncate(40)
    rig.host.wait_line(r"geo: .*country\.mmdb: ")
    assert rig.ask("192.0.2.9") == {"score": 0, "country": "AT", "asn": 64496}
    rig.end()


# -- CrowdSec


def test_decisions_come_and_go(rig):
    path = rig.write("block", "192.0.2.0/24\n192.0.2.9\n")
    with Lapi("secret-key") as lapi:
        lapi.new("192.0.2.1")
        lapi.new("2001:db8::/48", scope="Range", kind="captcha")
        lapi.new("DE", scope="Country")
        rig.start(LISTS=f"block:50={path}", CROWDSEC_URL=lapi.url + "/", CROWDSEC_KEY="secret-key",
                  CROWDSEC_INTERVAL="100ms")
        rig.wait("192.0.2.1", score=100, list="crowdsec")
        assert rig.ask("2001:db8::1") == {"score": 100, "list": "crowdsec-captcha"}
        assert rig.ask("192.0.2.2") == {"score": 50, "list": "block"}
        lapi.new("192.0.2.0/24", scope="Range")
        lapi.new("192.0.2.3")
        rig.wait("192.0.2.3", score=100, list="crowdsec")
        assert rig.ask("192.0.2.2") == {"score": 50, "list": "block"}  # as long: the files'
        assert rig.ask("192.0.2.9") == {"score": 50, "list": "block"}  # longer
        lapi.delete("192.0.2.1")
        rig.wait("192.0.2.1", score=50, list="block")
        assert rig.number("crowdsec_decisions") == 3
        assert rig.number("crowdsec_skipped_decisions_total") == 1
        assert rig.number("crowdsec_requests_total", result="failure") == 0
        assert [startup for startup, _ in lapi.requests][:2] == [True, False]
        assert lapi.requests.count((True, 200)) == 1
        rig.end()
        assert not any("secret-key" in line for line in rig.host.lines)


def test_after_a_failure_all_is_asked_for_again(rig):
    with Lapi("k") as lapi:
        lapi.new("192.0.2.1")
        rig.start(CROWDSEC_URL=lapi.url, CROWDSEC_KEY="k", CROWDSEC_INTERVAL="100ms")
        rig.wait("192.0.2.1", score=100, list="crowdsec")
        lapi.fail(200, b'{"new":[{"scope"')
        rig.host.wait_line(r"crowdsec: .*ends within")
        assert rig.ask("192.0.2.1") == {"score": 100, "list": "crowdsec"}
        wait_until(lambda: rig.status()["health"] == "degraded", lambda: str(rig.status()))
        lapi.fail(503)
        rig.host.wait_line(r"crowdsec: .*status 503")
        lapi.new("192.0.2.2")
        lapi.delete("192.0.2.1")
        lapi.fail(None)
        rig.wait("192.0.2.2", score=100, list="crowdsec")
        rig.wait("192.0.2.1", score=0)
        assert (True, 200) in lapi.requests[-1:] or lapi.requests.count((True, 200)) >= 2
        assert rig.number("crowdsec_requests_total", result="failure") >= 2
        rig.end()


def test_it_serves_without_crowdsec_and_with_a_wrong_key(rig):
    path = rig.write("block", "192.0.2.1\n")
    key = rig.write("key", "wrong\n")
    port = ReservedPort()
    with Lapi("right") as lapi:
        rig.start(LISTS=f"block={path}", CROWDSEC_URL=lapi.url, CROWDSEC_KEY=f"file:{key}")
        rig.host.wait_line(r"crowdsec: .*status 403, the key is not taken")
        assert rig.ask("192.0.2.1") == {"score": 100, "list": "block"}
        rig.end()
    rig.start(LISTS=f"block={path}", CROWDSEC_URL=f"http://{port.address}", CROWDSEC_KEY="k")
    rig.host.wait_line(r"crowdsec: http.*onnect")
    assert rig.ask("192.0.2.1") == {"score": 100, "list": "block"}
    rig.end()
    port.close()


def test_sigterm_does_not_wait_for_an_answer_that_does_not_come(rig):
    """It listens, and accepts nobody."""
    port = ReservedPort()
    port._sock.listen(1)
    rig.start("--shutdown-timeout", "30s", CROWDSEC_URL=f"http://{port.address}", CROWDSEC_KEY="k",
              CROWDSEC_TIMEOUT="1h")
    assert rig.ask("192.0.2.1") == {"score": 0}
    rig.end()
    port.close()


def test_sighup_reads_the_lists_again(rig):
    path = rig.write("block", "192.0.2.1\n")
    rig.start(LISTS=f"block={path}")
    rig.host.signal(signal.SIGHUP)
    wait_until(lambda: admin.metrics(rig.host)["spoe_host_data_builds_total"].value(
        plugin="ip-reputation", source="lists", result="success") == 2, "a second build")
    rig.end()


def test_two_instances_have_lists_of_their_own(rig):
    """12.1: each is built by itself, and counted by its name."""
    block, allow = rig.write("block", "192.0.2.0/24\n"), rig.write("allow", "192.0.2.7\n192.0.2.8\n")
    rig.host = SpoeHost(["--plugin-dir", os.environ["SPOE_TEST_IP_REPUTATION_DIR"], "--plugins",
                         "ip-reputation:block,ip-reputation:allow"], env={
        "SPOE_ADMIN_ADDR": "127.0.0.1:0", "IP_REPUTATION_BLOCK_LISTS": f"bad={block}",
        "IP_REPUTATION_ALLOW_LISTS": f"good={allow}"})
    rig.client = Client(rig.host.port)
    rig.client.hello()
    ip = {"ip": ipaddress.ip_address("192.0.2.7")}
    assert rig.client.ask("ip-reputation:block.check-ip", ip).variables["list"] == "bad"
    assert rig.client.ask("ip-reputation:allow.check-ip", ip).variables["list"] == "good"
    builds = admin.metrics(rig.host)["spoe_host_data_builds_total"]
    for name in ("block", "allow"):
        assert builds.value(plugin=f"ip-reputation:{name}", source="lists", result="success") == 1
    assert rig.number("list_entries", plugin_instance="allow") == 2
    rig.end()
