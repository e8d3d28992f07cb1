# SPDX-License-Identifier: Apache-2.0
"""What W3C's own test suite sends (trace-context/test/test.py, level 2) and what has to come of it,
restated as data, each case by the name that it has there; some that the suite leaves out follow.

tests/unit/otel gives them to the parsers: `python3 w3c.py HEADER` writes them as C. tests/e2e sends
them through HAProxy.
"""

import sys
from typing import NamedTuple, Optional

T = "12345678901234567890123456789012"
S = "1234567890123456"
OWS = " \t"  # what HTTP servers take off the ends of a header's value


class Traceparent(NamedTuple):
    name: str
    value: str
    valid: bool = False
    flags: int = 0  # of a valid one, those that are known


TRACEPARENTS = [
    Traceparent("both_traceparent_and_tracestate_missing", ""),
    Traceparent("traceparent_included", f"00-{T}-{S}-01", True, 1),
    Traceparent("not sampled", f"00-{T}-{S}-00", True, 0),
    Traceparent("random flag", f"00-{T}-{S}-03", True, 3),
    Traceparent("random flag alone", f"00-{T}-{S}-02", True, 2),
    Traceparent("unknown flags are dropped", f"00-{T}-{S}-ff", True, 3),
    Traceparent("unknown flags alone", f"00-{T}-{S}-fc", True, 0),
    Traceparent("traceparent_duplicated, joined by a proxy", f"00-{T}-{S}-01,00-{T}-{S}-01"),
    Traceparent("version_0x00 with more", f"00-{T}-{S}-01."),
    Traceparent(
        "version_0x00 with more after a dash", f"00-{T}-{S}-01-what-the-future-will-be-like"
    ),
    Traceparent("version_0xcc", f"cc-{T}-{S}-01", True, 1),
    Traceparent("version_0xcc with more", f"cc-{T}-{S}-01-what-the-future-will-be-like", True, 1),
    Traceparent("version_0xcc with more, no dash", f"cc-{T}-{S}-01.what-the-future-will-be-like"),
    Traceparent("version_0xcc with an empty field more", f"cc-{T}-{S}-01-", True, 1),
    Traceparent("version_0xff", f"ff-{T}-{S}-01"),
    Traceparent("version_illegal_characters .0", f".0-{T}-{S}-01"),
    Traceparent("version_illegal_characters 0.", f"0.-{T}-{S}-01"),
    Traceparent("version upper case", f"CC-{T}-{S}-01"),
    Traceparent("version_too_long 000", f"000-{T}-{S}-01"),
    Traceparent("version_too_long 0000", f"0000-{T}-{S}-01"),
    Traceparent("version_too_short", f"0-{T}-{S}-01"),
    Traceparent("trace_id_all_zero", f"00-{'0' * 32}-{S}-01"),
    Traceparent("trace_id_illegal_characters first", f"00-.{T[1:]}-{S}-01"),
    Traceparent("trace_id_illegal_characters last", f"00-{T[:-1]}.-{S}-01"),
    Traceparent("trace_id upper case", f"00-{T[:-1]}A-{S}-01"),
    Traceparent("trace_id_too_long", f"00-{T}3-{S}-01"),
    Traceparent("trace_id_too_short", f"00-{T[:-1]}-{S}-01"),
    Traceparent("parent_id_all_zero", f"00-{T}-{'0' * 16}-01"),
    Traceparent("parent_id_illegal_characters first", f"00-{T}-.{S[1:]}-01"),
    Traceparent("parent_id_illegal_characters last", f"00-{T}-{S[:-1]}.-01"),
    Traceparent("parent_id upper case", f"00-{T}-{S[:-1]}F-01"),
    Traceparent("parent_id_too_long", f"00-{T}-{S}7-01"),
    Traceparent("parent_id_too_short", f"00-{T}-{S[:-1]}-01"),
    Traceparent("trace_flags_illegal_characters .0", f"00-{T}-{S}-.0"),
    Traceparent("trace_flags_illegal_characters 0.", f"00-{T}-{S}-0."),
    Traceparent("trace_flags upper case", f"00-{T}-{S}-0A"),
    Traceparent("trace_flags_too_long", f"00-{T}-{S}-001"),
    Traceparent("trace_flags_too_short", f"00-{T}-{S}-1"),
    # Valid on the wire, where white space at the ends is not part of the value.
    Traceparent("ows_handling, a space before", f" 00-{T}-{S}-01"),
    Traceparent("ows_handling, a tab before", f"\t00-{T}-{S}-01"),
    Traceparent("ows_handling, a space after", f"00-{T}-{S}-01 "),
    Traceparent("ows_handling, a tab after", f"00-{T}-{S}-01\t"),
    Traceparent("ows_handling, both ends", f"\t 00-{T}-{S}-01 \t"),
    # and what the suite leaves out
    Traceparent("no flags", f"00-{T}-{S}"),
    Traceparent("other separators", f"00.{T}.{S}.01"),
    Traceparent("garbage", "-" * 55),
]


class Tracestate(NamedTuple):
    name: str
    lines: list
    out: Optional[str] = None  # None: there is no tracestate


def _members(first, last):
    return ",".join(f"bar{i:02}={i:02}" for i in range(first, last + 1))


_TENS = [_members(1, 10), _members(11, 20), _members(21, 30)]
_KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
_VALUE = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")

TRACESTATES = [
    Tracestate("both_traceparent_and_tracestate_missing", []),
    Tracestate("tracestate_included_traceparent_included", ["foo=1,bar=2"], "foo=1,bar=2"),
    Tracestate("empty_header", [""]),
    Tracestate("empty_header after", ["foo=1", ""], "foo=1"),
    Tracestate("empty_header before", ["", "foo=1"], "foo=1"),
    Tracestate(
        "multiple_headers_different_keys",
        ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        "foo=1,bar=2,rojo=1,congo=2,baz=3",
    ),
    Tracestate("duplicated_keys, same value", ["foo=1,foo=1"]),
    Tracestate("duplicated_keys, other value", ["foo=1,foo=2"]),
    Tracestate("duplicated_keys on two lines", ["foo=1", "foo=1"]),
    Tracestate("duplicated_keys on two lines, other value", ["foo=1", "foo=2"]),
    Tracestate("all_allowed_characters", [f"{_KEY}={_VALUE}"], f"{_KEY}={_VALUE}"),
    Tracestate(
        "all_allowed_characters, with a vendor",
        [f"{_KEY}@a-z0-9_-*/={_VALUE}"],
        f"{_KEY}@a-z0-9_-*/={_VALUE}",
    ),
    Tracestate("ows_handling", ["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
    Tracestate("ows_handling, tabs", ["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
    Tracestate("ows_handling, a space before", [" foo=1"], "foo=1"),
    Tracestate("ows_handling, a tab before", ["\tfoo=1"], "foo=1"),
    Tracestate("ows_handling, a space after", ["foo=1 "], "foo=1"),
    Tracestate("ows_handling, a tab after", ["foo=1\t"], "foo=1"),
    Tracestate("ows_handling, both ends", ["\t foo=1 \t"], "foo=1"),
    Tracestate("key_illegal_characters, space", ["foo =1"]),
    Tracestate("key_illegal_characters, upper case", ["FOO=1"]),
    Tracestate("key_illegal_characters, dot", ["foo.bar=1"]),
    # Level 2 has no vendor format: '@' is a character of a key as others are, but for its first (3.9).
    Tracestate("key_illegal_vendor_format foo@", ["foo@=1,bar=2"], "foo@=1,bar=2"),
    Tracestate("key_illegal_vendor_format @foo", ["@foo=1,bar=2"]),
    Tracestate("key_illegal_vendor_format foo@@bar", ["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2"),
    Tracestate("key_illegal_vendor_format foo@bar@baz", ["foo@bar@baz=1,bar=2"],
               "foo@bar@baz=1,bar=2"),
    Tracestate("O8: level 2", ["a@b@c=1,x=2"], "a@b@c=1,x=2"),
    Tracestate("member_count_limit 32", [*_TENS, _members(31, 32)], _members(1, 32)),
    Tracestate("member_count_limit 33", [*_TENS, _members(31, 33)]),
    Tracestate("key_length_limit 256", ["foo=1", "z" * 256 + "=1"], "foo=1," + "z" * 256 + "=1"),
    Tracestate("key_length_limit 257", ["foo=1", "z" * 257 + "=1"]),
    Tracestate(
        "key_length_limit 241@14",
        ["foo=1", "t" * 241 + "@" + "v" * 14 + "=1"],
        "foo=1," + "t" * 241 + "@" + "v" * 14 + "=1",
    ),
    Tracestate("key_length_limit 242@1", ["foo=1", "t" * 242 + "@v=1"],
               "foo=1," + "t" * 242 + "@v=1"),
    Tracestate("key_length_limit 1@15", ["foo=1", "t@" + "v" * 15 + "=1"],
               "foo=1,t@" + "v" * 15 + "=1"),
    Tracestate("key_length_limit 241@14 and one more", ["t" * 241 + "@" + "v" * 15 + "=1"]),
    Tracestate("value_illegal_characters, equal sign", ["foo=bar=baz"]),
    Tracestate("value_illegal_characters, empty", ["foo=,bar=3"]),
    # and what the suite leaves out
    Tracestate("level 2: a key may begin with a digit", ["0foo=1"], "0foo=1"),
    Tracestate("empty members are left out", [",foo=1,, ,bar=2,"], "foo=1,bar=2"),
    Tracestate("no equal sign", ["foo"]),
    Tracestate("no key", ["=1"]),
    Tracestate("a control character in a value", ["foo=a\x01b"]),
    Tracestate("DEL in a value", ["foo=a\x7fb"]),
    Tracestate("not ASCII in a value", ["foo=\xc3\xbc"]),
    Tracestate("a tab in a value", ["foo=a\tb"]),
    Tracestate("a space inside a value", ["foo=a b"], "foo=a b"),
    Tracestate("one bad member of several", ["foo=1,BAR=2,baz=3"]),
]


# ---- as C ----------------------------------------------------------------------------------------


def _string(text):
    if text is None:
        return "NULL"
    # Octal, always three digits: a hexadecimal escape would go on into the letters after it.
    plain = (c if " " <= c <= "~" and c not in '"\\?' else f"\\{ord(c):03o}" for c in text)
    return f'"{"".join(plain)}"'


def _macro(name, rows):
    return f"#define {name} \\\n" + ", \\\n".join(f"    {{{', '.join(row)}}}" for row in rows)


def header():
    """Two macros with the elements of arrays: {name, text, valid, flags}, {name, {lines}, out}."""
    return "\n\n".join([
        "/* Made of tests/lib/w3c.py. */",
        f"#define W3C_LINES_MAX {max(len(t.lines) for t in TRACESTATES)}",
        _macro("W3C_TRACEPARENTS", [
            (_string(t.name), _string(t.value), "true" if t.valid else "false", str(t.flags))
            for t in TRACEPARENTS
        ]),
        _macro("W3C_TRACESTATES", [
            (_string(t.name), f"{{{', '.join(map(_string, t.lines or [None]))}}}", _string(t.out))
            for t in TRACESTATES
        ]),
    ]) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(header())
