# SPDX-License-Identifier: Apache-2.0
"""W3C's test suite for Trace Context, live: what it sends goes through HAProxy and the agent, and
what it looks at is what the origin gets. The cases are lib/w3c.py's, and here those about header
names and numbers of headers.

The suite has the service under test call it back several times per request, which a proxy does not;
its cases of that are several requests here.
"""

import re

import pytest
from lib.w3c import OWS, TRACEPARENTS, TRACESTATES, S, T

from test_propagation import request, running

PARENT = f"00-{T}-{S}-00"
LINES = 3  # that haproxy/'s files send of themselves


@pytest.fixture
def proxy(binary, config, collector, origin):
    with running(binary, config, collector, origin) as haproxy:
        yield haproxy


class Case:
    """One request, and what came out of it."""

    count = 0

    def __init__(self, proxy, origin, *lines):
        Case.count += 1
        _, seen = request(proxy, origin, f"/{Case.count}", lines=lines)
        (traceparent,) = seen.all("traceparent")
        match = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", traceparent)
        assert match, traceparent
        self.trace_id, self.parent_id, self.flags = match.groups()
        self.tracestate = seen.all("tracestate")
        assert self.trace_id.strip("0") and self.parent_id.strip("0")
        assert self.parent_id != S

    @property
    def inherited(self):
        return self.trace_id == T


def test_traceparent(proxy, origin):
    valid = {t.value: t for t in TRACEPARENTS if t.valid}
    for case in TRACEPARENTS:
        got = Case(proxy, origin, ("traceparent", case.value))
        sent = valid.get(case.value.strip(OWS))
        assert got.inherited == (sent is not None), case.name
        # Sampled is what we decided; random goes on as it came, and a new trace is.
        assert got.flags == (f"{1 | sent.flags & 2:02x}" if sent else "03"), case.name


def check_tracestates(proxy, origin, cases):
    for case in cases:
        lines = [("tracestate", line) for line in case.lines]
        got = Case(proxy, origin, ("traceparent", PARENT), *lines)
        assert got.inherited, case.name
        assert got.tracestate == ([case.out] if case.out else []), case.name


def test_tracestate(proxy, origin):
    check_tracestates(proxy, origin, [t for t in TRACESTATES if len(t.lines) <= LINES])


def test_tracestate_of_any_number_of_lines(binary, config, collector, origin):
    """With the line of spoe-otel.cfg that is there as a comment."""
    config.edit_spoe(r"^    args tracestate\d?=.*\n", "")
    config.edit_spoe(r"^    #(args tracestate='req\.hdrs,.*)$", r"    \1")
    assert any(len(t.lines) > LINES for t in TRACESTATES)
    with running(binary, config, collector, origin) as proxy:
        check_tracestates(proxy, origin, TRACESTATES)
        members = [f"k{i}={i}" for i in range(32)]
        for lines in (members, ["", *members, ""]):
            got = Case(proxy, origin, ("traceparent", PARENT), *(("TraceState", m) for m in lines))
            assert got.tracestate == [",".join(members)]


def test_traceparent_header_name(proxy, origin):
    for name in ("trace-parent", "trace.parent"):
        assert not Case(proxy, origin, (name, PARENT)).inherited
    for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT"):
        assert Case(proxy, origin, (name, PARENT)).inherited


def test_tracestate_header_name(proxy, origin):
    for name in ("trace-state", "trace.state"):
        assert Case(proxy, origin, ("traceparent", PARENT), (name, "foo=1")).tracestate == []
    for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE"):
        assert Case(proxy, origin, ("traceparent", PARENT), (name, "foo=1")).tracestate == ["foo=1"]


def test_traceparent_duplicated(proxy, origin):
    other = PARENT.replace(T, T[:-1] + "1")
    got = Case(proxy, origin, ("traceparent", other), ("traceparent", PARENT))
    assert got.trace_id not in (T, T[:-1] + "1")


def test_tracestate_included_traceparent_missing(proxy, origin):
    for value in ("foo=1", "foo=1,bar=2"):
        assert Case(proxy, origin, ("tracestate", value)).tracestate == []


@pytest.mark.parametrize("value", [PARENT, None, f"00-{'0' * 32}-{S}-01"])
def test_multiple_requests(proxy, origin, value):
    lines = [("traceparent", value)] if value else []
    got = [Case(proxy, origin, *lines) for _ in range(3)]
    assert len({case.parent_id for case in got}) == 3
    assert {case.inherited for case in got} == {value == PARENT}
