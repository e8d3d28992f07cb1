# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools: a collector that accepts everything would prove nothing."""

import grpc
import pytest
from lib import otlp
from lib.collector import SERVICES, Collector


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def ld(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed64(number, value):
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def attribute(key, value):
    return ld(9, ld(1, key) + ld(2, ld(1, value)))


def request(extra=b"", trace_id=b"\x11" * 16, span_id=b"\x22" * 8, name=b"GET"):
    span = ld(1, trace_id) + ld(2, span_id) + ld(5, name) + varint(6 << 3) + varint(2)
    span += fixed64(7, 1000) + fixed64(8, 2000) + extra
    return ld(1, ld(2, ld(2, span)))


def test_reads_a_span():
    (span,) = otlp.decode_export(request(attribute(b"a", "ü".encode())))
    assert (span.trace_id, span.span_id, span.parent_id) == ("11" * 16, "22" * 8, "")
    assert (span.name, span.kind, span.start, span.end) == ("GET", "SERVER", 1000, 2000)
    assert span.attributes == {"a": "ü"}


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "without Spans"),
        (request(attribute(b"a", b"\xff")), "UTF-8"),
        (request(attribute(b"\xc3", b"x")), "UTF-8"),
        (request(name=b"\x80"), "UTF-8"),
        (request(attribute(b"a", b"1") + attribute(b"a", b"2")), "twice"),
        (request(attribute(b"", b"1")), "without key"),
        (request(trace_id=b"\x11" * 15), "16 bytes"),
        (request(trace_id=bytes(16)), "zero"),
        (request(span_id=b"\x22" * 9), "8 bytes"),
        (request(ld(4, b"\x01" * 4)), "8 bytes"),
        (request(ld(77, b"")), "unknown field 77"),
        (request(fixed64(8, 1)), "twice"),
        (request(varint(9 << 3) + b"\x01"), "wire type"),
        (request()[:-1], "over the end"),
    ],
)
def test_rejects(data, reason):
    with pytest.raises(otlp.OtlpError, match=reason):
        otlp.decode_export(data)


def test_collector_answers():
    with Collector() as collector, grpc.insecure_channel(collector.endpoint) as channel:
        export = channel.unary_unary(f"/{SERVICES['traces']}/Export")
        export(request(), timeout=60)
        assert len(collector.wait_spans(1)) == 1
        collector.check()
        collector.refuse(grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(grpc.RpcError) as refused:
            export(request(), timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError) as bad:
            export(request(span_id=b"\x22"), timeout=60)
        assert bad.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(AssertionError, match="8 bytes"):
            collector.check()
