#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write the first inputs of corpus/frame and corpus/value from tests/captures, and of corpus/dispatch.

Run by hand, once, when the captures change; what fuzzing finds later is added beside it. A file is
named by the SHA-1 of its bytes, as libFuzzer does.
"""
import hashlib
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
CAPTURES = HERE.parent / "captures"


def varint(n):
    if n < 240:
        return bytes([n])
    out = [n & 0xff | 0xf0]
    n = (n - 240) >> 4
    while n >= 128:
        out.append(n & 0xff | 0x80)
        n = (n - 128) >> 7
    return bytes(out + [n])


def frames():
    for path in sorted(CAPTURES.glob("*.txt")):
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                yield bytes.fromhex(line.split()[2])


def shape(frame):
    """Frames that differ only in ids and lengths of values teach the fuzzer nothing new."""
    return frame[4:5] + bytes(b for b in frame[9:] if 97 <= b <= 122)[:24]


def values():
    edges = [0, 239, 240, 2287, 2288, 264431, 264432, 2**31, 2**32, 2**63, 2**64 - 1]
    for kind in (2, 3, 4, 5):
        yield from (bytes([kind]) + varint(n) for n in edges)
    yield from (b"\x00", b"\x01", b"\x11", b"\x06\x7f\0\0\x01", b"\x07" + bytes(15) + b"\x01")
    for kind in (8, 9):
        yield from (bytes([kind]) + varint(n) + b"x" * n for n in (0, 1, 239, 240, 300))
    yield b"\x08" + varint(2**64 - 1) + b"x"
    yield b"\x04" + b"\xff" * 10


def notifies():
    """Payloads, each after two bytes of length: orders that stay and change, types that do not fit."""
    def string(s):
        return varint(len(s)) + s

    def payload(*messages):
        body = b"".join(
            string(name) + bytes([len(args)]) + b"".join(string(k) + v for k, v in args)
            for name, args in messages
        )
        return struct.pack(">H", len(body)) + body

    text, number, ip, null = b"\x08" + string(b"value"), b"\x04\x07", b"\x06\x7f\0\0\x01", b"\0"
    usual = [(b"i", number), (b"id", text), (b"req", text), (b"port", number), (b"seven77", text),
             (b"eight888", b"\x09" + string(b"x" * 300)), (b"ninenine9", ip)]
    other = [(b"sixteen-letters-", number), (b"id", b"\x11"), (b"req", text),
             (b"a-name-of-more-than-twenty-letters", text), (b"", null), (b"x" * 70, text)]
    yield payload((b"s", usual)) * 3
    yield payload((b"m", usual + other)) * 3
    yield payload((b"s", usual)) + payload((b"s", usual[::-1])) + payload((b"s", usual[2:]))
    yield payload((b"m", usual), (b"s", other), (b"unknown", usual)) * 2
    yield payload((b"s", [(k, null) for k, _ in usual])) + payload((b"s", usual))
    yield payload((b"s", [(k, ip) for k, _ in usual] + usual + usual)) * 2
    yield payload((b"m", usual))[:-3]
    yield (payload((b"s", [(b"undeclared", text), (b"req", text)])) * 2)[:-3]


def main():
    distinct = {}
    for frame in frames():
        distinct.setdefault(shape(frame), frame)
    seeds = list(distinct.values())
    seeds.append(b"".join(seeds)[:4000])  # several frames in one read
    seeds.append(struct.pack(">I", 0xffffffff))
    for name, inputs in (("frame", seeds), ("value", list(values())), ("dispatch", list(notifies()))):
        folder = HERE / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        if name == "value":
            inputs.append(b"".join(i for i in inputs if len(i) < 20)[:-12])
        for data in inputs:
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    main()
