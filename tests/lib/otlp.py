# SPDX-License-Identifier: Apache-2.0
"""OTLP traces from their bytes: a small, strict protobuf reader of our own.

It shares nothing with the exporter's encoder (protobuf-c on our .proto files) and is written from
the protobuf encoding's description and OpenTelemetry's field numbers, so that a mistake in one is
not hidden by the same mistake in the other. Strict: a field that it does not know, a wrong wire
type, a string that is not UTF-8, an id of a wrong length, an attribute that is there twice, a time
that is missing are all errors (OtlpError), where a real receiver may reject the batch or lose data.
"""

import struct
from dataclasses import dataclass, field


class OtlpError(Exception):
    """The message breaks a rule of protobuf or of OTLP."""


VARINT, I64, LEN, I32 = 0, 1, 2, 5
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}


def _varint(data, pos):
    value = 0
    for shift in range(0, 70, 7):
        if pos >= len(data):
            raise OtlpError("varint is cut")
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            if value >= 1 << 64:
                raise OtlpError("varint over 64 bits")
            return value, pos
    raise OtlpError("varint over 10 bytes")


def fields(data):
    """The fields of one message, in order: (number, wire type, value)."""
    pos = 0
    while pos < len(data):
        key, pos = _varint(data, pos)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise OtlpError("field number 0")
        if wire == VARINT:
            value, pos = _varint(data, pos)
        elif wire in (I64, I32):
            size = 8 if wire == I64 else 4
            if size > len(data) - pos:
                raise OtlpError("fixed field is cut")
            value = struct.unpack_from("<Q" if wire == I64 else "<I", data, pos)[0]
            pos += size
        elif wire == LEN:
            size, pos = _varint(data, pos)
            if size > len(data) - pos:
                raise OtlpError("length over the end")
            value = data[pos : pos + size]
            pos += size
        else:
            raise OtlpError(f"wire type {wire}")
        yield number, wire, value


def _string(value):
    try:
        return value.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise OtlpError(f"string is not UTF-8: {value!r}: {error}") from None


def _signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def message(data, what, table):
    """Read one message by `table`: number -> (wire type, name, convert, repeated)."""
    result = {name: [] for _, name, _, repeated in table.values() if repeated}
    for number, wire, value in fields(data):
        if number not in table:
            raise OtlpError(f"{what} has an unknown field {number}")
        want, name, convert, repeated = table[number]
        if wire != want:
            raise OtlpError(f"{what}.{name} has wire type {wire}")
        value = convert(value)
        if repeated:
            result[name].append(value)
        elif name in result:
            raise OtlpError(f"{what}.{name} is there twice")
        else:
            result[name] = value
    return result


def _any_value(data):
    got = list(fields(data))
    if len(got) != 1:
        raise OtlpError(f"AnyValue with {len(got)} values")
    number, wire, value = got[0]
    if (number, wire) == (1, LEN):
        return _string(value)
    if (number, wire) == (2, VARINT):
        return bool(value)
    if (number, wire) == (3, VARINT):
        return _signed(value)
    if (number, wire) == (4, I64):
        return struct.unpack("<d", struct.pack("<Q", value))[0]
    if (number, wire) == (5, LEN):
        return message(value, "ArrayValue", {1: (LEN, "values", _any_value, True)})["values"]
    if (number, wire) == (7, LEN):
        return bytes(value)
    raise OtlpError(f"AnyValue field {number}, wire type {wire}")


def _key_value(data):
    pair = message(
        data, "KeyValue", {1: (LEN, "key", _string, False), 2: (LEN, "value", _any_value, False)}
    )
    if not pair.get("key") or "value" not in pair:
        raise OtlpError(f"attribute without key or value: {pair}")
    return pair["key"], pair["value"]


def _attributes(pairs, what):
    result = {}
    for key, value in pairs:
        if key in result:
            raise OtlpError(f"{what} has the attribute {key!r} twice")
        result[key] = value
    return result


def _id(size, may_be_empty=False):
    def convert(value):
        if may_be_empty and not value:
            return ""
        if len(value) != size or not any(value):
            raise OtlpError(f"id {value.hex()!r} is not {size} bytes or all zero")
        return value.hex()

    return convert


@dataclass
class Event:
    name: str
    time: int
    attributes: dict


@dataclass
class Span:
    """One span; ids in lower-case hex, `parent_id` "" for a root, times in ns since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: dict
    events: list = field(default_factory=list)
    status: str = "UNSET"
    status_message: str = ""
    flags: int = 0
    dropped_attributes: int = 0
    trace_state: str = ""
    resource: dict = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""

    @property
    def incomplete(self):
        return bool(self.attributes.get("haproxy.incomplete"))


def _event(data):
    raw = message(
        data,
        "Event",
        {
            1: (I64, "time", int, False),
            2: (LEN, "name", _string, False),
            3: (LEN, "attributes", _key_value, True),
            4: (VARINT, "dropped", int, False),
        },
    )
    if not raw.get("time") or not raw.get("name"):
        raise OtlpError(f"event without time or name: {raw}")
    return Event(raw["name"], raw["time"], _attributes(raw["attributes"], "event"))


def _status(data):
    return message(
        data, "Status", {2: (LEN, "message", _string, False), 3: (VARINT, "code", int, False)}
    )


_SPAN = {
    1: (LEN, "trace_id", _id(16), False),
    2: (LEN, "span_id", _id(8), False),
    3: (LEN, "trace_state", _string, False),
    4: (LEN, "parent_id", _id(8, may_be_empty=True), False),
    5: (LEN, "name", _string, False),
    6: (VARINT, "kind", int, False),
    7: (I64, "start", int, False),
    8: (I64, "end", int, False),
    9: (LEN, "attributes", _key_value, True),
    10: (VARINT, "dropped_attributes", int, False),
    11: (LEN, "events", _event, True),
    12: (VARINT, "dropped_events", int, False),
    15: (LEN, "status", _status, False),
    16: (I32, "flags", int, False),
}


def _span(data):
    raw = message(data, "Span", _SPAN)
    for name in ("trace_id", "span_id", "name", "kind", "start", "end"):
        if not raw.get(name):
            raise OtlpError(f"span without {name}: {raw}")
    if raw["kind"] not in KINDS:
        raise OtlpError(f"span of kind {raw['kind']}")
    if raw["end"] < raw["start"]:
        raise OtlpError(f"span ends before it starts: {raw}")
    if raw.get("flags", 0) >> 10:
        raise OtlpError(f"reserved flag bits: {raw['flags']:#x}")
    status = raw.get("status", {})
    if status.get("code", 0) not in STATUS:
        raise OtlpError(f"status code {status}")
    for event in raw["events"]:
        if not raw["start"] <= event.time <= raw["end"]:
            raise OtlpError(f"event outside of its span: {raw}")
    return Span(
        trace_id=raw["trace_id"],
        span_id=raw["span_id"],
        parent_id=raw.get("parent_id", ""),
        name=raw["name"],
        kind=KINDS[raw["kind"]],
        start=raw["start"],
        end=raw["end"],
        attributes=_attributes(raw["attributes"], f"span {raw['name']!r}"),
        events=raw["events"],
        status=STATUS[status.get("code", 0)],
        status_message=status.get("message", ""),
        flags=raw.get("flags", 0),
        dropped_attributes=raw.get("dropped_attributes", 0),
        trace_state=raw.get("trace_state", ""),
    )


def _scope(data):
    return message(
        data,
        "InstrumentationScope",
        {
            1: (LEN, "name", _string, False),
            2: (LEN, "version", _string, False),
            3: (LEN, "attributes", _key_value, True),
        },
    )


def _scope_spans(data):
    return message(
        data,
        "ScopeSpans",
        {
            1: (LEN, "scope", _scope, False),
            2: (LEN, "spans", _span, True),
            3: (LEN, "schema_url", _string, False),
        },
    )


def _resource(data):
    raw = message(data, "Resource", {1: (LEN, "attributes", _key_value, True)})
    return _attributes(raw["attributes"], "resource")


def _resource_spans(data):
    return message(
        data,
        "ResourceSpans",
        {
            1: (LEN, "resource", _resource, False),
            2: (LEN, "scope_spans", _scope_spans, True),
            3: (LEN, "schema_url", _string, False),
        },
    )


def decode_export(data):
    """The spans of an ExportTraceServiceRequest, in order, each with its resource and scope."""
    request = message(data, "Request", {1: (LEN, "resource_spans", _resource_spans, True)})
    spans = []
    for resource_spans in request["resource_spans"]:
        resource = resource_spans.get("resource", {})
        for scope_spans in resource_spans["scope_spans"]:
            scope = scope_spans.get("scope", {})
            for span in scope_spans["spans"]:
                span.resource = resource
                span.scope = scope.get("name", "")
                span.scope_version = scope.get("version", "")
                spans.append(span)
    if not spans:
        raise OtlpError("request without a span")
    return spans
