# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. The environment says what is tested:

    SPOE_TEST_HOST         spoe-host          SPOE_TEST_PLUGIN_DIR  the folder with otel.so
    SPOE_TEST_HAPROXY      the HAProxy        SPOE_TEST_SOURCE      this project's sources
"""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from lib import haproxy as hap  # noqa: E402
from lib.auth_service import AuthService  # noqa: E402
from lib.certs import Certs  # noqa: E402
from lib.collector import Collector  # noqa: E402
from lib.origin import Origin  # noqa: E402
from lib.procs import ReservedPort, SpoeHost  # noqa: E402


def pytest_report_header():
    binary = os.environ["SPOE_TEST_HAPROXY"]
    return f"HAProxy under test: {hap.version(binary)[1]} ({binary})"


@pytest.fixture(scope="session")
def binary():
    return os.environ["SPOE_TEST_HAPROXY"]


@pytest.fixture(scope="session")
def version(binary):
    return hap.version(binary)[0]


@pytest.fixture
def tmp():
    """A folder whose name is short enough for unix sockets."""
    path = tempfile.mkdtemp(prefix="spoe-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector
    collector.check()


@pytest.fixture
def origin():
    with Origin() as origin:
        yield origin


@pytest.fixture
def second():
    """Another origin, beside the one that HAProxy has."""
    with Origin() as second:
        yield second


@pytest.fixture
def service():
    """What plugin auth-request asks."""
    with AuthService() as service:
        yield service


@pytest.fixture
def reserved():
    """A port for a process of the test."""
    with ReservedPort() as reserved:
        yield reserved


@pytest.fixture
def refusing():
    """A port where connections are refused."""
    with ReservedPort() as refusing:
        yield refusing


def host_env(collector, **more):
    """The environment of a spoe-host that exports to `collector` and never gives up on a slow
    plugin. With the admin endpoint, so that /metrics is seen to add up at the end of each (3.6)."""
    return {
        "OTLP_ENDPOINT": collector.endpoint,
        "SPOE_ADMIN_ADDR": "127.0.0.1:0",
        "SPOE_PROCESSING_TIMEOUT": "10s",
        "SPOE_WORKERS": "2",
        **more,
    }


@pytest.fixture
def agent(collector):
    """A spoe-host with otel.so that exports to `collector`; it has to end well, too."""
    with SpoeHost(env=host_env(collector)) as host:
        yield host
        if host.alive():
            assert host.terminate() == 0, host.report()


@pytest.fixture
def config(tmp):
    return hap.Config(tmp).relax().show_status()


@pytest.fixture
def proxy(binary, config, agent, origin):
    """HAProxy with haproxy/'s files, patient, one agent."""
    with hap.HAProxy(binary, config, [agent.port], origin.address) as haproxy:
        yield haproxy
