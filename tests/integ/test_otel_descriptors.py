# SPDX-License-Identifier: Apache-2.0
"""A1 (2.10): connections up to the limit of open files and beyond, while exports go on; A7 (2.1): too
few threads for gRPC."""

import os
import re
import resource
import subprocess

import pytest

from lib import admin, procs
from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.procs import Proc, clean_env, host_binary, wait_until
from lib.spop import BadFrame, Client

LIMIT = 1024
CONNECTIONS = 3000


class LimitedHost(Proc):
    """A host with otel whose hard limit of open files is LIMIT."""

    def __init__(self, protocol, endpoint):
        super().__init__(["prlimit", f"--nofile={LIMIT}:{LIMIT}", host_binary()], name="spoe-host",
                         env=clean_env({
                             "SPOE_ADDR": "127.0.0.1:0", "SPOE_ADMIN_ADDR": "127.0.0.1:0",
                             "SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_OTEL_DIR"],
                             "SPOE_PLUGINS": "otel.so", "SPOE_PROCESSING_TIMEOUT": "10s",
                             "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                             "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
                             "OTEL_BSP_SCHEDULE_DELAY": "20"}))
        self.wait_line('msg="?ready"?')
        self.port = int(re.search(r"listening on 127\.0\.0\.1:(\d+)", self.text()).group(1))
        self.admin = re.search(r'admin on ([^\s"]+)', self.text()).group(1)


def request(host, key):
    """As HAProxy does: on a new connection where the old one has gone."""
    def asked():
        try:
            with Client(host.port) as client:
                client.hello()
                client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": "/"})
                client.ask("on-http-response", {"unique-id": key, "status": 200})
                return True
        except (BadFrame, OSError):
            return False

    wait_until(asked, "an answer")


def metric(host, name):
    return admin.metrics(host)["spoe_host_" + name].value()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_exports_go_on_at_the_limit_of_open_files(protocol):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + 2000), hard))
    clients = []
    try:
        with (Collector() if protocol == "grpc" else HttpCollector()) as collector, \
                LimitedHost(protocol, collector.endpoint) as host:
            host.wait_line(rf"max-connections is 4096, .* of {LIMIT} open files leaves room for \d+")
            request(host, "before")
            collector.wait_spans(1)
            for i in range(CONNECTIONS):
                clients.append(Client(host.port))
                if i % 3 == 0:
                    clients[-1].send(b"\0")
                if i % 500 == 250:
                    collector.stop()
                    request(host, f"during {i}")
                    collector.start()
            request(host, "after")
            collector.wait_spans(2 + CONNECTIONS // 500)
            assert metric(host, "evicted_connections_total") > CONNECTIONS - LIMIT
            assert len(os.listdir(f"/proc/{host.pid}/fd")) < LIMIT - 150, "a reserve is left"
            assert host.terminate() == 0
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("limit", [3, 4, 5, 10])
def test_too_few_threads(limit):
    """A7: gRPC, which waited for ever at the end for threads that it could not make, is not begun.
    root knows no such limit, so the host runs as a user of its own."""
    nobody = 65400 + limit

    def become():
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
        os.setgid(nobody)
        os.setuid(nobody)

    with subprocess.Popen(
            [host_binary(), "--listen", "127.0.0.1:0", "--shutdown-timeout", "5s"],
            env=clean_env({"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_OTEL_DIR"],
                           "SPOE_PLUGINS": "otel.so",
                           "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0"}),
            preexec_fn=become, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as host:
        try:
            out, _ = host.communicate(timeout=procs.LIMIT)
        finally:
            host.kill()
    assert host.returncode == 1, out
    assert len(re.findall("level=error", out)) == 1 and "thread" in out, out
