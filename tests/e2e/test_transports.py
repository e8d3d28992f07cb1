# SPDX-License-Identifier: Apache-2.0
"""How spans leave: over gRPC and HTTP, compressed, with headers, several at once, over certificates
that change, and onto the console."""

import json
import re
import shutil

import grpc
import pytest
from lib.collector import Collector
from lib.haproxy import HAProxy
from lib.http_collector import CLOSE, RESET, HttpCollector
from lib.procs import SpoeHost
from lib.relay import Relay

PROTOCOLS = ["grpc", "http/protobuf"]


def make_collector(protocol, **more):
    return Collector(**more) if protocol == "grpc" else HttpCollector(**more)


def env(protocol, collector, **more):
    """The standard's variables for an export to `collector` that does not wait for long."""
    scheme = "https" if collector.tls else "http"
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://{collector.endpoint}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "SPOE_PROCESSING_TIMEOUT": "10s",
        "SPOE_WORKERS": "2",
        **more,
    }


class Setup:
    """HAProxy and a spoe-host with an environment of its own."""

    def __init__(self, binary, config, origin):
        self.binary, self.config, self.origin = binary, config, origin
        self.host = self.proxy = None
        self.path = 0

    def start(self, environment):
        self.host = SpoeHost(env=environment)
        self.proxy = HAProxy(self.binary, self.config, [self.host.port], self.origin.address)
        return self

    def requests(self, count):
        """Paths of `count` requests that HAProxy answered with their spans begun."""
        paths = []
        for _ in range(count):
            self.path += 1
            paths.append(f"/transport/{self.path}")
            response = self.proxy.get(paths[-1])
            assert response.status == 200 and response.otel_status is None
        return paths

    def close(self):
        for process in (self.proxy, self.host):
            if process:
                process.kill()


@pytest.fixture
def setup(binary, config, origin):
    setup = Setup(binary, config, origin)
    yield setup
    print(setup.host.report() if setup.host else "")
    setup.close()


def check_pairs(spans, paths):
    """Both spans of each request came once, in the same batch's order: CLIENT, then SERVER."""
    servers = {s.attributes["url.path"]: s for s in spans if s.kind == "SERVER"}
    clients = {s.parent_id: s for s in spans if s.kind == "CLIENT"}
    assert len(spans) == 2 * len(paths)
    for path in paths:
        assert clients[servers[path].span_id].trace_id == servers[path].trace_id


# -- what is on the wire


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_http(setup, compression):
    with HttpCollector() as collector:
        setup.start(
            env("http/protobuf", collector, OTEL_EXPORTER_OTLP_COMPRESSION=compression)
        )
        paths = setup.requests(3)
        check_pairs(collector.wait_spans(6), paths)
        assert set(collector.paths) == {"/v1/traces"}
        headers = collector.headers[0]
        assert headers["content-type"] == "application/x-protobuf"
        assert headers.get("content-encoding") == (None if compression == "none" else "gzip")
        assert re.fullmatch(
            r"spoe-host-otel/\S+ OTel-OTLP-Exporter-C/\d\S*", headers["user-agent"]
        )
        assert setup.host.terminate() == 0
        collector.check()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_grpc_compression(setup, compression):
    with Collector() as collector, Relay(collector.port) as relay:
        setup.start(
            env(
                "grpc", collector,
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{relay.port}",
                OTEL_EXPORTER_OTLP_COMPRESSION=compression,
            )
        )
        paths = setup.requests(4)
        check_pairs(collector.wait_spans(8), paths)
        # gRPC's five bytes before a message, flag 1: compressed, then gzip's magic.
        sent = b"".join(bytes(one) for one in relay.carried)
        found = re.search(rb"\x01.{4}\x1f\x8b\x08", sent, re.S)
        assert bool(found) == (compression == "gzip")
        collector.check()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers(setup, tmp, protocol):
    """From the variable and from a file, which is read again when it changes; no value is logged."""
    path = f"{tmp}/headers"
    with open(path, "w", encoding="ascii") as file:
        file.write("X-File: one-secret\n")
    with make_collector(protocol) as collector:
        setup.start(
            env(
                protocol, collector,
                OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20the-secret,x-empty=",
                OTLP_HEADERS_FILE=path,
                SPOE_LOG_LEVEL="debug",
            )
        )
        setup.requests(1)
        collector.wait_spans(2)
        assert collector.headers[0]["authorization"] == "Bearer the-secret"
        assert collector.headers[0]["x-empty"] == ""
        assert collector.headers[0]["x-file"] == "one-secret"

        with open(path, "w", encoding="ascii") as file:
            file.write("X-File: another-secret\n")
        setup.requests(1)
        collector.wait_spans(4)
        assert collector.headers[-1]["x-file"] == "another-secret"
        setup.host.wait_line("the headers' file has changed: the new ones are in use")

        with open(path, "w", encoding="ascii") as file:
            file.write("X-File\n")
        setup.requests(1)
        collector.wait_spans(6)
        assert collector.headers[-1]["x-file"] == "another-secret"
        setup.host.wait_line("the headers' file has changed, but the old ones stay in use: .*:1:")
        assert setup.host.terminate() == 0
        assert "secret" not in setup.host.text()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_proxy_variables_are_not_followed(setup, protocol):
    with make_collector(protocol) as collector:
        nowhere = "http://127.0.0.1:1"
        setup.start(
            env(protocol, collector, http_proxy=nowhere, grpc_proxy=nowhere, all_proxy=nowhere)
        )
        setup.requests(1)
        collector.wait_spans(2)


# -- answers


def test_http_answers(setup):
    """Each is tried again or not, as OTLP says; what is not shows in the line about losses."""
    with HttpCollector() as collector:
        setup.start(env("http/protobuf", collector, SPOE_LOG_LEVEL="debug"))
        for status in (429, 502, 503, 504):
            collector.answer(status, {"Retry-After": "1"})
        for status in (RESET, CLOSE):
            collector.answer(status)
        paths = setup.requests(1)
        assert setup.host.terminate() == 0  # the flush does not wait for long
        check_pairs(collector.spans, paths)
        assert collector.calls == 7
        collector.check()


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501, 307])
def test_http_refusals(setup, status):
    with HttpCollector() as collector:
        setup.start(env("http/protobuf", collector))
        collector.answer(status, {"Content-Type": "text/plain"}, b"no way\nsecond line")
        setup.requests(1)
        of = rf" of {collector.url}/v1/traces" if status == 404 else ""  # 5.4, W12
        setup.host.wait_line(
            rf"spans lost: 2 not_retryable; HTTP {status}{of}: no way second line(; are|; is that|\W*$)")
        setup.requests(1)
        collector.wait_spans(2)
        assert collector.calls == 2
        assert setup.host.terminate() == 0
        assert "not_retryable=2" in setup.host.text()


def test_http_partial_success(setup):
    with HttpCollector() as collector:
        setup.start(env("http/protobuf", collector))
        text = b"too old"
        partial = b"\x08\x01" + b"\x12" + bytes([len(text)]) + text
        collector.answer(200, body=b"\x0a" + bytes([len(partial)]) + partial)
        setup.requests(1)
        setup.host.wait_line("spans lost: 1 rejected; too old")
        assert setup.host.terminate() == 0
        assert collector.calls == 1
        assert "exported=1 rejected=1 " in setup.host.text()


# -- TLS


@pytest.mark.parametrize(
    "mode, ca, arrives",
    [
        (None, "ca", True),
        (None, "other_ca", False),
        ("skip-verify", None, True),
        ("skip-verify", "other_ca", True),
    ],
)
def test_https(setup, certs, mode, ca, arrives):
    with HttpCollector(tls=certs.server()) as collector:
        setup.start(
            env(
                "http/protobuf", collector, OTLP_TLS=mode,
                OTEL_EXPORTER_OTLP_CERTIFICATE=certs.path(ca) if ca else None,
            )
        )
        paths = setup.requests(1)
        assert setup.host.terminate() == 0
        if arrives:
            check_pairs(collector.spans, paths)
        else:
            assert collector.calls == 0
            assert "certificate" in setup.host.text()


@pytest.mark.parametrize("client", [True, False])
def test_https_client_certificate(setup, certs, client):
    with HttpCollector(tls=certs.server(), client_ca=certs.read("ca")) as collector:
        more = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certs.path("ca")}
        if client:
            more["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = certs.path("client")
            more["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = certs.path("client", "key")
        setup.start(env("http/protobuf", collector, **more))
        paths = setup.requests(1)
        assert setup.host.terminate() == 0
        if client:
            check_pairs(collector.spans, paths)
        else:
            assert collector.calls == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_certificates_that_change(setup, tmp, certs, protocol):
    """A new CA is picked up; a broken file leaves the old one in use, and one line says so."""
    ca = f"{tmp}/ca.pem"
    shutil.copy(certs.path("ca"), ca)
    collector = make_collector(protocol, tls=certs.server())
    try:
        setup.start(env(protocol, collector, OTEL_EXPORTER_OTLP_CERTIFICATE=ca))
        setup.requests(1)
        collector.wait_spans(2)

        with open(ca, "w", encoding="ascii") as file:
            file.write("not a certificate\n")
        for n in (4, 6, 8):
            setup.requests(1)
            collector.wait_spans(n)
        line = "the TLS files have changed, but the old ones stay in use: .*ca.pem"
        setup.host.wait_line(line)

        # The collector moves to a certificate of another CA, the file follows.
        collector.stop()
        collector.tls = certs.server("other_server")
        shutil.copy(certs.path("other_ca"), tmp + "/new.pem")
        shutil.move(tmp + "/new.pem", ca)
        collector.start()
        setup.requests(1)
        setup.host.wait_line("the TLS files have changed: the new ones are in use")
        assert setup.host.terminate() == 0
        # Stopping, the collector may have cancelled a call whose spans it had taken: they came again.
        assert len({span.span_id for span in collector.spans}) == 10
        assert setup.host.count(line) == 1
        collector.check()
    finally:
        collector.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_client_certificate_that_changes(setup, tmp, certs, protocol):
    """Certificate and key are renewed one after the other: between the two the old pair holds."""
    cert, key = f"{tmp}/cert.pem", f"{tmp}/key.pem"
    shutil.copy(certs.path("other_server"), cert)
    shutil.copy(certs.path("other_server", "key"), key)
    with make_collector(protocol, tls=certs.server(), client_ca=certs.read("ca")) as collector:
        setup.start(
            env(
                protocol, collector,
                OTEL_EXPORTER_OTLP_CERTIFICATE=certs.path("ca"),
                OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=cert,
                OTEL_EXPORTER_OTLP_CLIENT_KEY=key,
            )
        )
        setup.requests(1)
        setup.host.wait_line("export to .* failed")
        assert collector.calls == 0  # another CA's
        shutil.copy(certs.path("client"), cert)
        setup.host.wait_line("but the old ones stay in use: .*not the key of the certificate")
        shutil.copy(certs.path("client", "key"), key)
        collector.wait_spans(2)
        setup.host.wait_line("the TLS files have changed: the new ones are in use")


# -- other exporters


def test_console(setup):
    setup.start({"OTEL_TRACES_EXPORTER": "console", "SPOE_PROCESSING_TIMEOUT": "10s"})
    (path,) = setup.requests(1)
    assert setup.host.terminate() == 0
    spans = [json.loads(line) for line in setup.host.lines if line.startswith('{"trace_id"')]
    assert [span["kind"] for span in spans] == ["CLIENT", "SERVER"]
    client, server = spans
    assert client["trace_id"] == server["trace_id"] and len(client["trace_id"]) == 32
    assert client["parent_span_id"] == server["span_id"] and server["parent_span_id"] == ""
    assert server["name"] == "GET" and server["status"] == "UNSET"
    assert server["attributes"]["url.path"] == path
    assert server["attributes"]["http.response.status_code"] == 200
    assert server["resource"]["service.name"] == "haproxy"
    assert server["start_unix_nano"] <= client["start_unix_nano"] <= client["end_unix_nano"]
    assert server["events"] == []


def test_none(setup, collector):
    """Nothing is exported, and the trace goes on all the same."""
    setup.start(env("grpc", collector, OTEL_TRACES_EXPORTER="none"))
    setup.requests(5)
    assert setup.proxy.get("/none").origin_traceparent is not None
    assert setup.host.terminate() == 0
    assert collector.calls == 0
    assert "exported=0 " in setup.host.text() and "spans lost" not in setup.host.text()


# -- several at once


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_concurrency(setup, protocol):
    """Four exports are under way while the collector does not answer; requests go on, and nothing
    is lost."""
    with make_collector(protocol) as collector:
        setup.start(
            env(
                protocol, collector,
                EXPORT_CONCURRENCY="4",
                OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
                OTEL_EXPORTER_OTLP_TIMEOUT="60000",
            )
        )
        collector.hold()
        paths = setup.requests(40)
        collector.wait_held(4)
        paths += setup.requests(40)  # each is answered while all four hang
        assert collector.calls == 4
        collector.release()
        spans = collector.wait_spans(160)
        check_pairs(spans, paths)
        for batch in collector.batches:  # a request's spans are always in one
            ids = {span.span_id for span in batch}
            assert all(span.parent_id in ids for span in batch if span.kind == "CLIENT")
        assert setup.host.terminate() == 0
        assert "exported=160 " in setup.host.text()
        collector.check()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_hangs_does_not_hold_up_the_end(setup, protocol):
    with make_collector(protocol) as collector:
        setup.start(env(protocol, collector, EXPORT_CONCURRENCY="2", SPOE_SHUTDOWN_TIMEOUT="2s"))
        collector.hold()
        setup.requests(2)
        collector.wait_held(1)
        assert setup.host.terminate() == 0
        setup.host.wait_line("spans lost: 4 shutdown")


RETRYABLE = [
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
]
REFUSALS = [c for c in grpc.StatusCode if c not in RETRYABLE and c is not grpc.StatusCode.OK]


def test_grpc_answers(setup):
    """Each of these is tried again, with the same spans."""
    with Collector() as collector:
        setup.start(env("grpc", collector))
        for code in RETRYABLE:
            collector.refuse(code)
        paths = setup.requests(1)
        assert setup.host.terminate() == 0  # the flush does not wait for long
        check_pairs(collector.spans, paths)
        assert collector.calls == len(RETRYABLE) + 1
        assert re.match(
            r"spoe-host-otel/\S+ OTel-OTLP-Exporter-C/\d\S* grpc-c/", collector.user_agents[0]
        )
        assert f"retries={len(RETRYABLE)}" in setup.host.text()
        collector.check()


def test_grpc_connection_that_breaks(setup):
    """Under an export: it is tried again over a new one. The collector, which had it already, gets
    it twice; that is OTLP's choice."""
    with Collector() as collector, Relay(collector.port) as relay:
        endpoint = f"http://127.0.0.1:{relay.port}"
        setup.start(env("grpc", collector, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint))
        collector.hold()
        paths = setup.requests(1)
        collector.wait_held(1)
        relay.cut()
        setup.host.wait_line("export to .* failed: UNAVAILABLE")
        collector.release()
        assert setup.host.terminate() == 0
        collector.wait_spans(4)
        first, again = collector.batches
        assert first == again
        check_pairs(first, paths)
        assert "exported=2 " in setup.host.text()


def test_grpc_refusals_of_every_kind(setup):
    """None of these is tried again, RESOURCE_EXHAUSTED without RetryInfo among them."""
    with Collector() as collector:
        setup.start(env("grpc", collector))
        for n, code in enumerate(REFUSALS):
            collector.refuse(code)
            setup.requests(1)
            collector.wait_calls(n + 1)
        assert setup.host.terminate() == 0
        assert collector.calls == len(REFUSALS) == 10
        assert f"not_retryable={2 * len(REFUSALS)}" in setup.host.text()


def test_grpc_retry_info(setup):
    """RESOURCE_EXHAUSTED with RetryInfo is tried again, and not before its time; without one it
    would be after 7.5 seconds at most."""
    with Collector() as collector:
        setup.start(env("grpc", collector))
        collector.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=9)
        paths = setup.requests(1)
        check_pairs(collector.wait_spans(2), paths)
        assert collector.times[1] - collector.times[0] >= 9
        assert setup.host.terminate() == 0
        assert collector.calls == 2


def test_grpc_partial_success(setup):
    """What the collector rejects of an accepted request is counted, told and not sent again."""
    with Collector() as collector:
        setup.start(env("grpc", collector))
        partial = b"\x08\x01\x12\x07too old"
        collector.answer(b"\x0a" + bytes([len(partial)]) + partial)
        setup.requests(1)
        setup.host.wait_line("spans lost: 1 rejected; too old")
        assert setup.host.terminate() == 0
        assert collector.calls == 1
        assert "exported=1 rejected=1 " in setup.host.text()


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAUTHENTICATED])
def test_grpc_refusals(setup, code):
    with Collector() as collector:
        setup.start(env("grpc", collector))
        collector.refuse(code)
        setup.requests(1)
        setup.host.wait_line(f"spans lost: 2 not_retryable; {code.name}")
        setup.requests(1)
        collector.wait_spans(2)
        assert collector.calls == 2
