# SPDX-License-Identifier: Apache-2.0
"""The agent's end under way: what HAProxy has in flight at SIGTERM comes out whole (2.6)."""

import http.client
import signal
import threading

import pytest
from lib.haproxy import HAProxy
from lib.procs import SpoeHost
from lib.traces import find, pairs

from conftest import host_env


class Flying:
    """A request that the origin holds, on a thread of its own."""

    def __init__(self, proxy, origin, path):
        self.path, self.answer = path, None
        self._thread = threading.Thread(target=self._get, args=(proxy,))
        self._thread.start()
        origin.wait_request(path)  # so its request and backend messages are answered

    def _get(self, proxy):
        try:
            self.answer = proxy.get(self.path)
        except (OSError, http.client.HTTPException):
            pass  # the test has ended HAProxy

    def land(self):
        self._thread.join()
        return self.answer


@pytest.fixture
def patient(collector):
    """An agent that waits for what is open for as long as it takes."""
    env = host_env(collector, SPOE_DRAIN_TIME="1h", SPOE_SHUTDOWN_TIMEOUT="1h")
    with SpoeHost(env=env) as host:
        yield host


@pytest.fixture
def steady(config):
    """Health checks fail during the wait; after two of them HAProxy would cut the connections."""
    config.edit_main(r"inter 2s fall 2", "inter 2s fall 1000")


@pytest.fixture
def proxy(binary, config, patient, origin):
    with HAProxy(binary, config, [patient.port], origin.address) as haproxy:
        yield haproxy


def test_a_request_in_flight_at_sigterm_is_whole(steady, proxy, patient, collector, origin):
    """Before: `haproxy.incomplete` after 0.02 s."""
    origin.hold()
    flying = [Flying(proxy, origin, f"/hold/{i}") for i in range(3)]
    patient.signal(signal.SIGTERM)
    patient.wait_line(r"waiting for [36] open in plugins")
    # One that comes now is answered with a context, and opens nothing.
    answer = proxy.get("/late")
    assert (answer.status, answer.otel_status) == (200, None)
    assert answer.origin_traceparent.endswith("-00")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert proxy.get("/later", headers={"traceparent": parent}).origin_traceparent == parent
    origin.release()
    for one in flying:
        assert one.land().status == 200
    assert patient.wait() == 0
    for one in flying:
        server, client = find(collector.spans, one.path)
        assert server.attributes["http.response.status_code"] == 200
        assert client.attributes["http.response.status_code"] == 200
        assert "haproxy.incomplete" not in server.attributes
        assert "haproxy.incomplete" not in client.attributes
    assert len(pairs(collector.spans)) == 3  # and no span of the late ones
    assert "drain-time is over" not in patient.text()


def test_the_wait_has_an_end(binary, config, collector, origin):
    env = host_env(collector, SPOE_DRAIN_TIME="200ms")
    with SpoeHost(env=env) as agent, HAProxy(binary, config, [agent.port], origin.address) as proxy:
        origin.hold()
        flying = Flying(proxy, origin, "/hold")
        assert agent.terminate() == 0
        agent.wait_line(r"drain-time is over, \d+ open in plugins")
        server, client = find(collector.spans, "/hold")
        assert server.attributes["haproxy.incomplete"] and client.attributes["haproxy.incomplete"]
    origin.release()
    flying.land()


def test_haproxys_health_check_fails_during_the_wait(proxy, patient, origin):
    origin.hold()
    flying = Flying(proxy, origin, "/hold")
    proxy.wait_agent(up=True)
    patient.signal(signal.SIGTERM)
    patient.wait_line(r"waiting for \d+ open in plugins")
    proxy.wait_agent(up=False)
    patient.signal(signal.SIGTERM)
    origin.release()
    flying.land()
    patient.wait()
