# SPDX-License-Identifier: Apache-2.0
"""What each kind of request becomes (issue 11, 2.5): the table of lib/kinds.py with real HAProxies."""

import os

import pytest
from lib.collector import Collector
from lib.haproxy import source_text
from lib.kind_scene import Scene, ask_all, scene_text
from lib.kinds import KINDS, check, wait_all
from lib.lines import where
from lib.log_proxy import FMT, RULES
from lib.procs import SpoeHost

from conftest import host_env


# The configuration that was measured first: one id in `tp`, and all moments told in the frontend.
ONE_ID = f"""defaults traced
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    #option log-separate-errors
{RULES}
    http-request set-header traceparent %[var(txn.tp)]
    log "${{AGENT_LOG_ADDR}}" len 8192 format raw local0 notice
    log-format '{FMT}'

defaults traced-backend
    mode http
    timeout connect 5s
    timeout server 30s
"""


def settings(way, version, tmp, host):
    """(HAProxy's configuration, its environment)"""
    env = {"AGENT_LOG_ADDR": where(host, "udp")}
    if way == "log":
        return source_text("otel-log.cfg"), env
    if way == "one-id":
        return ONE_ID, env
    spoe = os.path.join(tmp, "spoe.cfg")
    with open(spoe, "w", encoding="ascii") as file:
        file.write(source_text("spoe-otel-both.cfg").replace("processing 15ms", "processing 20s"))
    env.update(SPOE_CFG=spoe, AGENT1_ADDR=f"127.0.0.1:{host.port}")
    text = source_text("otel-both.cfg")
    if version >= (2, 9):  # to the microsecond
        text = text.replace(" te=%", " start=%[request_date(us)] te=%")
    return text, env


@pytest.fixture(scope="module", params=["log", "one-id", "both"])
def outcome(request, binary, version, tmp_path_factory):
    """(the scene, what clients saw, spans by kind): of the log alone, and with SPOE beside it."""
    tmp = str(tmp_path_factory.mktemp("kinds"))
    with Collector() as collector, SpoeHost(
            ["--log-listen", "udp:127.0.0.1:0"],
            env=host_env(collector, BATCH_DELAY="20ms", TRACE_BAD_REQUESTS="on")) as host:
        text, env = settings(request.param, version, tmp, host)
        with Scene(binary, tmp, scene_text(text, KINDS, tmp), env) as scene:
            asked = ask_all(scene, KINDS)
            yield scene, asked, wait_all(KINDS, asked, collector)
        assert host.terminate() == 0, host.report()
        collector.check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_of_request(outcome, version, kind):
    scene, asked, spans = outcome
    check(kind, scene, asked[kind.name], spans[kind.name], version)
