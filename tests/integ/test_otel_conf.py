# SPDX-License-Identifier: Apache-2.0
"""The otel plugin's configuration in a host that runs: OpenTelemetry's variables are forgiving, ours
are not; what the resource says; a plugin that is switched off."""

import os
import re

import pytest

from lib.collector import Collector
from lib.http_collector import HttpCollector
from lib.procs import clean_env, host_binary, run
from lib.spop import Client

OTEL_DIR = os.environ["SPOE_TEST_OTEL_DIR"]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BASE = {"SPOE_PLUGIN_DIR": OTEL_DIR, "SPOE_PLUGINS": "otel.so"}


def check(env):
    """spoe-host -t: (exit status, output)."""
    return run([host_binary(), "-t"], env=clean_env({**BASE, **env}))


def test_a_start_without_random_ids_says_why(tmp_path):
    """OpenSSL as FIPS 140 has it, without the provider that it needs then."""
    conf = tmp_path / "openssl.cnf"
    conf.write_text("openssl_conf = o\n[o]\nproviders = p\nalg_section = a\n[a]\n"
                    "default_properties = fips=yes\n[p]\ndefault = d\n[d]\nactivate = 1\n")
    status, text = run([host_binary(), "--listen", "127.0.0.1:0"],
                       env=clean_env({**BASE, "OPENSSL_CONF": str(conf)}))
    assert status == 1, text
    assert re.search("level=error component=otel .*no random ids: OpenSSL", text), text


@pytest.fixture
def collector():
    with Collector() as c:
        yield c
        c.check()


@pytest.mark.parametrize("name,value,key", [
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "timeout"),
    ("OTEL_TRACES_SAMPLER", "sometimes", "sampler"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x", "endpoint"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz", "resource-attributes"),
    ("OTEL_SDK_DISABLED", "perhaps", "tracing-disabled"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "headers"),
])
def test_a_bad_value_of_theirs_warns(name, value, key):
    status, text = check({name: value})
    assert status == 0, text
    assert re.search(rf"level=warning component=host .*environment {name}: otel\.{key}: ", text), text
    assert "level=error" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("name,value,key", [
    ("OTLP_TIMEOUT", "soon", "timeout"),
    ("SAMPLER", "sometimes", "sampler"),
    ("OTLP_ENDPOINT", "ftp://x:1", "endpoint"),
    ("RESOURCE_ATTRIBUTES", "a=%zz", "resource-attributes"),
    ("OTLP_HEADERS", "hunter2", "headers"),
    ("OTLP_HEADERS_FILE", "/nonexistent/headers", "headers-file"),
])
def test_a_bad_value_of_ours_stops_the_start(name, value, key):
    status, text = check({name: value, "OTEL_BSP_SCHEDULE_DELAY": "x"})
    assert status == 1, text
    assert re.search(rf"level=error component=host .*environment {name}: otel\.{key}: ", text), text
    assert "hunter2" not in text
    if name not in ("OTLP_TIMEOUT", "SAMPLER"):  # warnings are told beside errors
        assert "environment OTEL_BSP_SCHEDULE_DELAY" in text


def test_a_host_with_a_bad_value_of_theirs_serves(start, collector):
    host = start(env={**BASE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "nonsense",
                      "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoint}",
                      "OTEL_BSP_SCHEDULE_DELAY": "50"})
    assert host.count(r"level=warning .*OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == 1
    with Client(host.port) as client:
        client.hello()
        ack = client.ask("on-http-request", [("unique-id", "a"), ("method", "GET")])
        assert "traceparent" in str(ack.variables)
        client.ask("on-http-response", [("unique-id", "a"), ("status", 200)])
        collector.wait_spans(1)
    host.terminate()


def test_the_resource(start, collector):
    host = start(env={**BASE, "OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50",
                      "OTEL_SERVICE_NAME": "shop", "SERVICE_VERSION": "7",
                      "OTEL_RESOURCE_ATTRIBUTES": "service.name=x,k8s.pod.name=p%2C1,host.name=h"})
    with Client(host.port) as client:
        client.hello()
        client.ask("on-http-request", [("unique-id", "a"), ("method", "GET")])
        client.ask("on-http-response", [("unique-id", "a"), ("status", 200)])
        span = collector.wait_spans(1)[0]
    got = dict(span.resource)
    assert got.pop("service.instance.id")
    got.pop("container.id", None)
    assert got == {
        "service.name": "shop", "service.version": "7", "k8s.pod.name": "p,1", "host.name": "h",
        "process.pid": host.pid, "telemetry.sdk.name": "spoe-host", "telemetry.sdk.language": "c",
        "telemetry.sdk.version": got["telemetry.sdk.version"]}
    host.terminate()


def test_a_plugin_that_is_disabled_answers_and_exports_nothing(start, collector):
    host = start(env={**BASE, "OTLP_ENDPOINT": collector.endpoint, "OTEL_SDK_DISABLED": "true"})
    assert host.count("disabled") == 1
    with Client(host.port) as client:
        client.hello()
        ack = client.ask("on-http-request", [("unique-id", "a"), ("method", "GET"),
                                              ("traceparent", TRACEPARENT)])
        assert not ack.variables
        client.ask("on-http-response", [("unique-id", "a"), ("status", 200)])
    host.terminate()
    assert collector.calls == 0


def test_plugin_info_names_their_variables():
    status, text = run([host_binary(), "--plugin-info", os.path.join(OTEL_DIR, "otel.so")],
                       env=clean_env())
    assert status == 0, text
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_ENDPOINT" in text
    assert "OTLP_ENDPOINT" in text


@pytest.mark.parametrize("name,value,warned", [
    ("OTLP_ENDPOINT", "no-such-name.invalid:4317", True),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://no-such-name.invalid", True),
    ("OTLP_ENDPOINT", "https://127.0.0.1:4317", False),
])
def test_5_2_a_collector_that_does_not_resolve_is_a_warning(name, value, warned):
    status, text = check({name: value})
    assert status == 0 and "Configuration is valid" in text, text
    assert ("level=warning component=otel msg=\"the collector's name does not resolve: "
            "no-such-name.invalid:" in text) == warned, text
    assert check({name: value, "OTEL_SDK_DISABLED": "true"})[1].count("resolve") == 0


@pytest.mark.parametrize("more,default", [({}, "localhost:4317"),
                                          ({"OTLP_PROTOCOL": "http/protobuf"}, "localhost:4318"),
                                          ({"OTLP_ENDPOINT": "127.0.0.1:4317"}, None),
                                          ({"OTEL_TRACES_EXPORTER": "none"}, None),
                                          ({"OTEL_SDK_DISABLED": "true"}, None)])
def test_3_9_a_check_names_the_default_that_takes_the_place_of_a_bad_endpoint(more, default):
    status, text = check({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector", **more})
    assert status == 0, text
    assert [m[1] for m in re.finditer(r"so spans go to the default, ([^ \"]+)", text)] == (
        [default] if default else []), text


def test_w8_a_mounted_secret_ends_in_a_line_end():
    status, text = check({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2,\n",
                          "OTEL_RESOURCE_ATTRIBUTES": "a=1,,b=2"})
    assert status == 0 and "level=warning component=host" not in text, text


@pytest.mark.parametrize("variable,key", [
    ("OTLP_HEADERS_FILE", "headers-file"), ("OTLP_TLS_KEY", "tls-key"),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "logs-tls-key")])
def test_a_file_of_secrets_that_every_user_may_read_is_a_warning(open_folder, variable, key):
    """Once for each option."""
    file = open_folder / "secret"
    file.write_text("api-key: a\n")
    for mode, warnings in ((0o644, 1), (0o640, 0)):
        file.chmod(mode)
        status, text = check({variable: str(file)})
        found = re.findall(f"level=warning .*otel.{key}: {file}: its mode is 0644: every user may read", text)
        assert status == 0 and len(found) == warnings, text


def test_w9_propagators_of_others():
    status, text = check({"OTEL_PROPAGATORS": "jaeger,b3"})
    assert status == 0, text
    assert "environment OTEL_PROPAGATORS: otel.propagators: jaeger: not known here" in text


@pytest.mark.parametrize("place", ["command line", "environment", "file"])
@pytest.mark.parametrize("path,sent_to", [("", "/v1/traces"), ("/", "/v1/traces"),
                                          ("/otlp/x", "/otlp/x")])
def test_5_3_a_url_wherever_an_endpoint_can_be_set(start, tmp_path, place, path, sent_to):
    conf = tmp_path / "host.ini"
    conf.write_text("[host]\nlisten = 127.0.0.1:0\n")
    args, env = ["-f", conf], {**BASE, "OTLP_PROTOCOL": "http/protobuf", "BATCH_DELAY": "50ms"}
    with HttpCollector() as collector:
        if place == "command line":
            args += ["--set", f"otel.endpoint={collector.url}{path}"]
        elif place == "environment":
            env["OTLP_ENDPOINT"] = collector.url + path
        else:
            conf.write_text(f"{conf.read_text()}[otel]\nendpoint = {collector.url}{path}\n")
        host = start(args=args, env=env)
        with Client(host.port) as client:
            client.hello()
            client.ask("on-http-request", [("unique-id", "a"), ("method", "GET")])
            client.ask("on-http-response", [("unique-id", "a"), ("status", 200)])
            collector.wait_spans(1)
        assert set(collector.paths) == {sent_to}
        assert host.terminate() == 0
