# SPDX-License-Identifier: Apache-2.0
"""OTLP's traces, logs and metrics from their bytes: a small, strict protobuf reader of our own.

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


def _resource(data):
    raw = message(data, "Resource", {1: (LEN, "attributes", _key_value, True)})
    return _attributes(raw["attributes"], "resource")


def _decode(data, what, item):
    """The items of any signal's request, in order, each with its resource and scope: the envelopes
    have the same fields."""

    def scope_items(inner):
        return message(inner, f"Scope{what}", {
            1: (LEN, "scope", _scope, False),
            2: (LEN, "items", item, True),
            3: (LEN, "schema_url", _string, False),
        })

    def resource_items(inner):
        return message(inner, f"Resource{what}", {
            1: (LEN, "resource", _resource, False),
            2: (LEN, "scopes", scope_items, True),
            3: (LEN, "schema_url", _string, False),
        })

    items = []
    for of_resource in message(data, "Request", {1: (LEN, "all", resource_items, True)})["all"]:
        for of_scope in of_resource["scopes"]:
            scope = of_scope.get("scope", {})
            for one in of_scope["items"]:
                one.resource = of_resource.get("resource", {})
                one.scope = scope.get("name", "")
                one.scope_version = scope.get("version", "")
                items.append(one)
    if not items:
        raise OtlpError(f"request without {what}")
    return items


def decode_export(data):
    """The spans of an ExportTraceServiceRequest."""
    return _decode(data, "Spans", _span)


# -- logs


@dataclass
class LogRecord:
    time: int
    observed: int
    severity: int
    severity_text: str
    body: object
    attributes: dict
    flags: int
    trace_id: str
    span_id: str
    dropped_attributes: int = 0
    resource: dict = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""


def _log_record(data):
    raw = message(data, "LogRecord", {
        1: (I64, "time", int, False),
        2: (VARINT, "severity", int, False),
        3: (LEN, "severity_text", _string, False),
        5: (LEN, "body", _any_value, False),
        6: (LEN, "attributes", _key_value, True),
        7: (VARINT, "dropped_attributes", int, False),
        8: (I32, "flags", int, False),
        9: (LEN, "trace_id", _id(16), False),
        10: (LEN, "span_id", _id(8), False),
        11: (I64, "observed", int, False),
        12: (LEN, "event_name", _string, False),
    })
    for name in ("time", "observed", "severity", "severity_text", "body"):
        if not raw.get(name):
            raise OtlpError(f"log record without {name}: {raw}")
    if not 1 <= raw["severity"] <= 24:
        raise OtlpError(f"severity {raw['severity']}")
    if raw.get("flags", 0) >> 8:
        raise OtlpError(f"reserved flag bits: {raw['flags']:#x}")
    if "span_id" in raw and "trace_id" not in raw:
        raise OtlpError(f"a span's id without its trace's: {raw}")
    return LogRecord(
        time=raw["time"],
        observed=raw["observed"],
        severity=raw["severity"],
        severity_text=raw["severity_text"],
        body=raw["body"],
        attributes=_attributes(raw["attributes"], "log record"),
        flags=raw.get("flags", 0),
        trace_id=raw.get("trace_id", ""),
        span_id=raw.get("span_id", ""),
        dropped_attributes=raw.get("dropped_attributes", 0),
    )


def decode_logs(data):
    """The log records of an ExportLogsServiceRequest."""
    return _decode(data, "Logs", _log_record)


# -- metrics

DELTA, CUMULATIVE = 1, 2


@dataclass
class Exemplar:
    time: int
    value: float
    span_id: str
    trace_id: str


@dataclass
class Point:
    """One data point: of a sum it has `value`, of a histogram the rest."""

    start: int
    time: int
    attributes: dict
    value: object = None
    count: int = 0
    sum: float = 0.0
    buckets: list = field(default_factory=list)
    bounds: list = field(default_factory=list)
    exemplars: list = field(default_factory=list)


@dataclass
class Metric:
    name: str
    description: str
    unit: str
    kind: str  # "sum" or "histogram"
    temporality: int
    points: list
    resource: dict = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""


def _double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def _packed(convert):
    def unpack(data):
        if len(data) % 8:
            raise OtlpError("packed field that is cut")
        return [convert(n) for n in struct.unpack(f"<{len(data) // 8}Q", data)]

    return unpack


def _exemplar(data):
    raw = message(data, "Exemplar", {
        2: (I64, "time", int, False),
        3: (I64, "value", _double, False),
        4: (LEN, "span_id", _id(8), False),
        5: (LEN, "trace_id", _id(16), False),
        7: (LEN, "filtered", _key_value, True),
    })
    if not raw.get("time") or "value" not in raw or "span_id" not in raw or "trace_id" not in raw:
        raise OtlpError(f"exemplar without time, value or ids: {raw}")
    return Exemplar(raw["time"], raw["value"], raw["span_id"], raw["trace_id"])


def _times(raw, what):
    if not raw.get("start") or not raw.get("time") or raw["start"] > raw["time"]:
        raise OtlpError(f"{what} without times, or with wrong ones: {raw}")


def _number_point(data):
    raw = message(data, "NumberDataPoint", {
        2: (I64, "start", int, False),
        3: (I64, "time", int, False),
        4: (I64, "as_double", _double, False),
        6: (I64, "as_int", _signed, False),
        7: (LEN, "attributes", _key_value, True),
    })
    _times(raw, "NumberDataPoint")
    if ("as_int" in raw) == ("as_double" in raw):
        raise OtlpError(f"a number without a value, or with two: {raw}")
    return Point(raw["start"], raw["time"], _attributes(raw["attributes"], "point"),
                 value=raw.get("as_int", raw.get("as_double")))


def _histogram_point(data):
    raw = message(data, "HistogramDataPoint", {
        2: (I64, "start", int, False),
        3: (I64, "time", int, False),
        4: (I64, "count", int, False),
        5: (I64, "sum", _double, False),
        6: (LEN, "buckets", _packed(int), False),
        7: (LEN, "bounds", _packed(_double), False),
        8: (LEN, "exemplars", _exemplar, True),
        9: (LEN, "attributes", _key_value, True),
    })
    _times(raw, "HistogramDataPoint")
    bounds, buckets = raw.get("bounds", []), raw.get("buckets", [])
    if len(buckets) != len(bounds) + 1 or sum(buckets) != raw.get("count", 0):
        raise OtlpError(f"buckets that do not add up: {raw}")
    if bounds != sorted(set(bounds)):
        raise OtlpError(f"bounds out of order: {bounds}")
    for exemplar in raw["exemplars"]:
        bucket = sum(exemplar.value > bound for bound in bounds)
        if not buckets[bucket]:
            raise OtlpError(f"exemplar of an empty bucket: {exemplar}, {raw}")
    return Point(raw["start"], raw["time"], _attributes(raw["attributes"], "point"),
                 count=raw.get("count", 0), sum=raw.get("sum", 0.0), buckets=buckets,
                 bounds=bounds, exemplars=raw["exemplars"])


def _sum(data):
    raw = message(data, "Sum", {
        1: (LEN, "points", _number_point, True),
        2: (VARINT, "temporality", int, False),
        3: (VARINT, "monotonic", bool, False),
    })
    if not raw.get("monotonic"):
        raise OtlpError(f"a sum that is not monotonic: {raw}")
    return raw


def _histogram(data):
    return message(data, "Histogram", {
        1: (LEN, "points", _histogram_point, True),
        2: (VARINT, "temporality", int, False),
    })


def _metric(data):
    raw = message(data, "Metric", {
        1: (LEN, "name", _string, False),
        2: (LEN, "description", _string, False),
        3: (LEN, "unit", _string, False),
        7: (LEN, "sum", _sum, False),
        9: (LEN, "histogram", _histogram, False),
    })
    if not raw.get("name") or ("sum" in raw) == ("histogram" in raw):
        raise OtlpError(f"a metric without name or data: {raw}")
    kind = "sum" if "sum" in raw else "histogram"
    points = raw[kind]["points"]
    if raw[kind].get("temporality") not in (DELTA, CUMULATIVE) or not points:
        raise OtlpError(f"a metric without temporality or points: {raw}")
    sets = [frozenset(point.attributes.items()) for point in points]
    if len(set(sets)) != len(sets):
        raise OtlpError(f"two points with the same attributes: {raw}")
    return Metric(raw["name"], raw.get("description", ""), raw.get("unit", ""), kind,
                  raw[kind]["temporality"], points)


def decode_metrics(data):
    """The metrics of an ExportMetricsServiceRequest."""
    return _decode(data, "Metrics", _metric)
