# SPDX-License-Identifier: Apache-2.0
"""What a plugin says of itself by spoe.health/1 (12.2)."""

import json

import pytest

from lib import admin

ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
STATES = ("ready", "degraded", "down")


def tell(client, state, reason="", status=""):
    client.ask("health", {"state": state, "reason": reason, "status": status})


def shown(host):
    return {p["id"]: p for p in json.loads(admin.ask(host, "/status").text)["plugins"]}


def test_what_it_says_is_on_the_pages_and_in_the_log(start, connect):
    """12.2: /status, the metrics and the log; one that says nothing is ready; /readyz as before"""
    host = start("health", "slots", env=ADMIN)
    client = connect(host)
    client.hello()
    assert [shown(host)[p]["health"] for p in ("health", "slots")] == ["degraded", "ready"]
    tell(client, 2, "no data \u2026", "0 of 3 files")
    told = shown(host)["health"]
    assert (told["health"], told["reason"], told["status"]) == ("down", "no data \u2026", "0 of 3 files")
    family = admin.metrics(host)["spoe_host_plugin_health"]
    assert [family.value(plugin="health", state=s) for s in STATES] == [0, 0, 1]
    assert [family.value(plugin="slots", state=s) for s in STATES] == [1, 0, 0]
    answer = admin.ask(host, "/readyz")
    assert (answer.status, answer.text) == (200, "ready\n")
    tell(client, 2, "still none")
    tell(client, 0)
    assert shown(host)["health"]["reason"] == ""
    assert host.terminate() == 0
    lines = [line for line in host.text().splitlines() if "component=health" in line]
    assert [line.split("msg=")[1].strip('"') for line in lines] == [
        "health: degraded: nobody has told", "health: down: no data \u2026", "health: ready"]


@pytest.mark.parametrize("option,wanted", [("ignored", [200, 200, 200]), ("down", [200, 200, 503]),
                                           ("degraded", [200, 503, 503])])
def test_readiness_goes_by_it_if_told_to(start, connect, option, wanted):
    """12.2: plugin-health"""
    host = start("health", args=["--plugin-health", option], env=ADMIN)
    client = connect(host)
    client.hello()
    for state, status in enumerate(wanted):
        tell(client, state, "why not")
        answer = admin.ask(host, "/readyz")
        assert answer.status == status
        if status == 503:
            assert answer.text == f'plugin health is {STATES[state]}: "why not"\n'
