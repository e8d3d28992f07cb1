# SPDX-License-Identifier: Apache-2.0
"""Each variable of the host's and the plugin's own: a good value, a bad one, an empty one.
OpenTelemetry's are in tests/unit/otel/test_conf_env.c."""

import os
import re

import pytest

from lib.certs import Certs
from lib.procs import clean_env, host_binary, run

OTEL_DIR = os.environ["SPOE_TEST_OTEL_DIR"]
BASE = {"SPOE_PLUGIN_DIR": OTEL_DIR, "SPOE_PLUGINS": "otel.so", "SPOE_ADMIN_ADDR": "off"}
NO_FILE = "/nonexistent/file.pem"
NO_TEXT = b"caf\xe9"  # not UTF-8
TLS = {"OTLP_TLS": "enabled"}

# Variable: a good value, a bad one (None: every text is good), what it needs beside it. {NAME}
# stands for a file of the certificates.
VARIABLES = {
    "SPOE_ADDR": ("127.0.0.1:0,[::1]:0", "localhost", {}),
    "SPOE_SOCKET_GROUP": ("0", "no-such-group", {}),
    "SPOE_ADMIN_ADDR": ("127.0.0.1:0", "localhost", {}),
    "SPOE_ADMIN_HOSTS": ("spoe-host,admin.example", "http://a", {}),
    "SPOE_ADMIN_TOKEN_FILE": ("{admin.token}", NO_FILE, {}),
    "SPOE_PLUGIN_DIR": (OTEL_DIR, "/nonexistent", {"SPOE_PLUGINS": ""}),
    "SPOE_PLUGINS": ("otel.so", "absent.so", {}),
    "SPOE_LOG_ADDR": ("udp:127.0.0.1:0,tcp+octet:127.0.0.1:0", "127.0.0.1:0", {}),
    "SPOE_LOG_FROM": ("10.0.0.0/8,2001:db8::/32", "10.0.0.0/33", {}),
    "SPOE_LOG_DELAY": ("0", "2s", {}),
    "SPOE_LOG_LINE_MAX": ("8k", "1023", {}),
    "SPOE_LOG_RECEIVE_BUFFER": ("1m", "1k", {}),
    "SPOE_WORKERS": ("2", "0", {}),
    "SPOE_MAX_FRAME_SIZE": ("64k", "1", {}),
    "SPOE_MAX_CONNECTIONS": ("10", "many", {}),
    "SPOE_PLUGIN_TRUST": ("any", "some", {}),
    "SPOE_PROCESSING_TIMEOUT": ("5ms", "0", {}),
    "SPOE_SLOW_HANDLE": ("1ms", "slow", {}),
    "SPOE_MAX_PENDING": ("10", "-1", {}),
    "SPOE_HELLO_TIMEOUT": ("1s", "soon", {}),
    "SPOE_IDLE_TIMEOUT": ("1m", "soon", {}),
    "SPOE_SHUTDOWN_TIMEOUT": ("1s", "never", {}),
    "SPOE_DRAIN_TIME": ("1s", "never", {}),
    "SPOE_LOG_LEVEL": ("debug", "loud", {}),
    "SPOE_LOG_FORMAT": ("logfmt", "xml", {}),
    "SPOE_PLUGIN_HEALTH": ("degraded", "sick", {}),
    "SPOE_ENGINE": ("proxy", "a b", {}),
    "OTLP_ENDPOINT": ("http://127.0.0.1:4318/x", "ftp://127.0.0.1:4318", {}),
    "SERVICE_NAME": ("shop", NO_TEXT, {}),
    "OTLP_TLS": ("skip-verify", "yes", {}),
    "OTLP_TLS_CA": ("{ca.pem}", NO_FILE, TLS),
    "OTLP_TLS_CERT": ("{client.pem}", NO_FILE, {**TLS, "OTLP_TLS_KEY": "{client.key}"}),
    "OTLP_TLS_KEY": ("{client.key}", NO_FILE, {**TLS, "OTLP_TLS_CERT": "{client.pem}"}),
    "SPAN_TTL": ("2s", "soon", {}),
    "SPAN_STORE_MAX": ("10", "0", {}),
    "SPAN_QUEUE_MAX": ("1000", "1", {}),
    "SPAN_QUEUE_BYTES": ("1048576", "1048575", {}),
    "SPAN_STORE_BYTES": ("1000000", "1", {}),
    "METRIC_SERIES_MAX": ("16", "15", {}),
    "SPAN_HOLD": ("10m", "2d", {}),
    "SPAN_REORDER": ("0", "2m", {}),
    "CLIENT_SERVER_ADDRESS": ("peer", "host", {}),
    "TRACING_DISABLED": ("on", "maybe", {}),
    "TRACES_EXPORTER": ("none", "otlp,console", {}),
    "OTLP_PROTOCOL": ("http/protobuf", "http/json", {}),
    "OTLP_INSECURE": ("off", "maybe", {}),
    "OTLP_HEADERS": ("authorization=Bearer%20x", "authorization", {}),
    "OTLP_HEADERS_FILE": ("/dev/null", NO_FILE, {}),
    "OTLP_COMPRESSION": ("gzip", "zstd", {}),
    "OTLP_TIMEOUT": ("0", "2h", {}),
    "RETRY_TIMEOUT": ("1m", "soon", {}),
    "EXPORT_CONCURRENCY": ("8", "9", {}),
    "BATCH_MAX": ("100", "10001", {}),
    "BATCH_DELAY": ("10ms", "soon", {}),
    "OTLP_REQUEST_BYTES_MAX": ("100000", "1", {}),
    "OTLP_USE_PROXY": ("on", "maybe", {}),
    "OTLP_KEEPALIVE": ("5m", "soon", {}),
    "SAMPLER": ("parentbased_traceidratio", "xray", {}),
    "SAMPLER_ARG": ("0.5", "1.5", {"SAMPLER": "traceidratio"}),
    "SAMPLE_MAX_PER_SECOND": ("100", "-1", {}),
    "KEEP_ERRORS": ("on", "maybe", {}),
    "KEEP_SLOWER_THAN": ("2s", "soon", {}),
    "TRACE_BAD_REQUESTS": ("on", "maybe", {}),
    "TRUST_INBOUND": ("ignore", "maybe", {}),
    "PROPAGATORS": ("b3,tracecontext", "jaeger", {}),
    "VARIABLES": ("traceparent,sampled", "nonsense", {}),
    "RESOURCE_ATTRIBUTES": ("a=1,b=%2C", "a=1,b", {}),
    "SERVICE_VERSION": ("1.2", NO_TEXT, {}),
    "SERVICE_NAMESPACE": ("edge", NO_TEXT, {}),
    "SERVICE_INSTANCE_ID": ("one", NO_TEXT, {}),
    "TRACE_ONCE": ("0123456789abcdef0123456789abcdef", "0" * 32, {}),
    "EXCLUDE_PATHS": ("/healthz,/internal/*", "healthz", {}),
    "REDACT_QUERY": ("sig,token", None, {}),
    "KNOWN_METHODS": ("GET,PURGE", "GET,a b", {}),
    "SEMCONV": ("http/dup", "old", {}),
    "VALUE_LENGTH_LIMIT": ("100", "-1", {}),
    "ATTRIBUTE_COUNT_LIMIT": ("64", "1025", {}),
    "EVENT_COUNT_LIMIT": ("1", "-1", {}),
    "LINK_COUNT_LIMIT": ("1", "-1", {}),
    "LOGS_EXPORTER": ("otlp", "console", {}),
    "LOGS_RETRY_TIMEOUT": ("1m", "soon", {}),
    "LOGS_QUEUE_MAX": ("100", "0", {}),
    "LOGS_QUEUE_BYTES": ("1m", "1", {}),
    "LOGS_BATCH_MAX": ("100", "10001", {"LOGS_EXPORTER": "otlp"}),
    "LOGS_BATCH_DELAY": ("10ms", "soon", {}),
    "METRICS_EXPORTER": ("otlp,prometheus", "otlp,none", {}),
    "METRICS_RETRY_TIMEOUT": ("1m", "soon", {}),
    "METRIC_EXPORT_INTERVAL": ("10s", "1ms", {}),
    "METRICS_TEMPORALITY": ("delta", "both", {}),
    "OTLP_LOGS_ENDPOINT": ("http://127.0.0.1:4318/x", "ftp://127.0.0.1:4318", {"LOGS_EXPORTER": "otlp"}),
    "OTLP_LOGS_TLS_CA": ("{ca.pem}", NO_FILE, {"LOGS_EXPORTER": "otlp", "OTLP_TLS": "enabled"}),
    "OTLP_LOGS_TLS_CERT": ("{client.pem}", NO_FILE,
                        {"LOGS_EXPORTER": "otlp", "OTLP_TLS": "enabled", "OTLP_LOGS_TLS_KEY": "{client.key}"}),
    "OTLP_LOGS_TLS_KEY": ("{client.key}", NO_FILE,
                       {"LOGS_EXPORTER": "otlp", "OTLP_TLS": "enabled", "OTLP_LOGS_TLS_CERT": "{client.pem}"}),
    "OTLP_LOGS_PROTOCOL": ("http/protobuf", "http/json", {"LOGS_EXPORTER": "otlp"}),
    "OTLP_LOGS_INSECURE": ("off", "maybe", {"OTLP_LOGS_ENDPOINT": "127.0.0.1:1", **{"LOGS_EXPORTER": "otlp"}}),
    "OTLP_LOGS_HEADERS": ("authorization=Bearer%20x", "authorization", {"LOGS_EXPORTER": "otlp"}),
    "OTLP_LOGS_COMPRESSION": ("gzip", "zstd", {"LOGS_EXPORTER": "otlp"}),
    "OTLP_LOGS_TIMEOUT": ("30s", "2h", {"LOGS_EXPORTER": "otlp"}),
    "OTLP_METRICS_ENDPOINT": ("http://127.0.0.1:4318/x", "ftp://127.0.0.1:4318", {"METRICS_EXPORTER": "otlp"}),
    "OTLP_METRICS_TLS_CA": ("{ca.pem}", NO_FILE, {"METRICS_EXPORTER": "otlp", "OTLP_TLS": "enabled"}),
    "OTLP_METRICS_TLS_CERT": ("{client.pem}", NO_FILE,
                        {"METRICS_EXPORTER": "otlp", "OTLP_TLS": "enabled", "OTLP_METRICS_TLS_KEY": "{client.key}"}),
    "OTLP_METRICS_TLS_KEY": ("{client.key}", NO_FILE,
                       {"METRICS_EXPORTER": "otlp", "OTLP_TLS": "enabled", "OTLP_METRICS_TLS_CERT": "{client.pem}"}),
    "OTLP_METRICS_PROTOCOL": ("http/protobuf", "http/json", {"METRICS_EXPORTER": "otlp"}),
    "OTLP_METRICS_INSECURE": ("off", "maybe", {"OTLP_METRICS_ENDPOINT": "127.0.0.1:1", **{"METRICS_EXPORTER": "otlp"}}),
    "OTLP_METRICS_HEADERS": ("authorization=Bearer%20x", "authorization", {"METRICS_EXPORTER": "otlp"}),
    "OTLP_METRICS_COMPRESSION": ("gzip", "zstd", {"METRICS_EXPORTER": "otlp"}),
    "OTLP_METRICS_TIMEOUT": ("30s", "2h", {"METRICS_EXPORTER": "otlp"}),
}


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """check(env): spoe-host -t's (exit status, output)."""
    certs = Certs(tmp_path_factory.mktemp("certs"))
    with open(f"{certs.directory}/admin.token", "w", encoding="ascii") as token:
        token.write("a-token-of-24-characters\n")

    def run_check(env):
        texts = {k: os.fsdecode(v) if isinstance(v, bytes) else v for k, v in env.items()}
        texts = {k: re.sub(r"\{(\w+\.\w+)\}", rf"{certs.directory}/\1", v) for k, v in texts.items()}
        return run([host_binary(), "-t"], env=clean_env({**BASE, **texts}))

    return run_check


def problems(text):
    return re.findall(r"^.*level=(?:warning|error).*$", text, re.M)


def test_none_is_left_out():
    """The host's and the plugin's own lists of options have the same names."""
    status, text = run([host_binary(), "--help"])
    assert status == 0
    names = set(re.findall(r"\((SPOE_\w+), ", text))
    status, text = run([host_binary(), "--plugin-info", f"{OTEL_DIR}/otel.so"])
    assert status == 0
    names |= set(re.findall(r"^    otel\..*?; environment (\w+)", text, re.M))
    assert names == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_good(check, name):
    good, _, beside = VARIABLES[name]
    status, text = check({**beside, name: good})
    assert status == 0, text
    assert not problems(text), text


@pytest.mark.parametrize("name", [name for name, (_, bad, _) in VARIABLES.items() if bad])
def test_bad(check, name):
    """The start is refused, and the variable named."""
    _, bad, beside = VARIABLES[name]
    status, text = check({**beside, name: bad})
    assert status == 1, text
    if name.startswith("SPOE_PLUGIN"):  # the loader finds out, and names what it looked for
        name = bad
    assert re.search(rf"level=error .*{name}\b", text), text


@pytest.mark.parametrize("beside", [{}, {"SAMPLER": "traceidratio"}, {"OTLP_TLS": "skip-verify"}])
def test_empty_is_not_set(check, beside):
    """All of them at once, each as if it were not there."""
    empty = {name: "" for name in VARIABLES if name not in BASE}
    status, text = check({**empty, **beside})
    unset_status, unset_text = check(beside)
    assert status == unset_status == 0, text
    assert len(problems(text)) == len(problems(unset_text)), text
