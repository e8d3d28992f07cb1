# SPDX-License-Identifier: Apache-2.0
"""What each kind of request becomes (issue 11, 2.5): the table of lib/kinds.py with real HAProxies."""

import pytest
from lib.collector import Collector
from lib.haproxy import source_text
from lib.kind_scene import Scene, ask_all, scene_text
from lib.kinds import KINDS, check, wait_all
from lib.lines import where
from lib.procs import SpoeHost

from conftest import host_env


@pytest.fixture(scope="module")
def by_the_log(binary, tmp_path_factory):
    """(the scene, what clients saw, spans by kind), of HAProxy's log alone."""
    tmp = str(tmp_path_factory.mktemp("kinds"))
    with Collector() as collector, SpoeHost(
            ["--log-listen", "udp:127.0.0.1:0"],
            env=host_env(collector, BATCH_DELAY="20ms", TRACE_BAD_REQUESTS="on")) as host:
        text = scene_text(source_text("otel-log.cfg"), KINDS, tmp)
        with Scene(binary, tmp, text, {"AGENT_LOG_ADDR": where(host, "udp")}) as scene:
            asked = ask_all(scene, KINDS)
            yield scene, asked, wait_all(KINDS, asked, collector)
        assert host.terminate() == 0, host.report()
        collector.check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_by_the_log(by_the_log, version, kind):
    scene, asked, spans = by_the_log
    check(kind, scene, asked[kind.name], spans[kind.name], version)
