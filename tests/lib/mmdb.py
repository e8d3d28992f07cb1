# SPDX-License-Identifier: Apache-2.0
"""Small databases in MaxMind's format (maxmind.github.io/MaxMind-DB): as much as the tests need.

    write(path, "GeoLite2-Country", {"192.0.2.0/24": {"country": {"iso_code": "DE"}}})
"""

import ipaddress
import os

_U32_BITS = 32


def _control(kind, size):
    assert size < 29
    if kind < 8:
        return bytes([kind << 5 | size])
    return bytes([size, kind - 7])


def _number(kind, value):
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(data)) + data


def encode(value):
    """A value of the data section: maps, lists, texts, and integers as uint32 or uint64."""
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        data = value.encode()
        return _control(2, len(data)) + data
    return _number(6 if value.bit_length() <= _U32_BITS else 9, value)


def build(kind, networks):
    """The bytes of a database. networks: prefix -> record, none inside another."""
    nodes = [[None, None]]
    data = b""
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        bits = network.prefixlen + (96 if network.version == 4 else 0)
        address = int(network.network_address)  # IPv4 lies in ::/96
        at = 0
        for i in range(bits):
            side = address >> (127 - i) & 1
            if i == bits - 1:
                nodes[at][side] = ("data", len(data))
            else:
                if nodes[at][side] is None:
                    nodes.append([None, None])
                    nodes[at][side] = len(nodes) - 1
                at = nodes[at][side]
        data += encode(record)
    count = len(nodes)

    def record_of(entry):
        if entry is None:
            return count
        return count + 16 + entry[1] if isinstance(entry, tuple) else entry

    tree = b"".join(record_of(e).to_bytes(3, "big") for node in nodes for e in node)
    meta = {"node_count": count, "record_size": 24, "ip_version": 6, "database_type": kind,
            "languages": ["en"], "binary_format_major_version": 2,
            "binary_format_minor_version": 0, "build_epoch": 1700000000,
            "description": {"en": "a test"}}
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _metadata(meta)


def _metadata(meta):
    """As encode(), but that the format wants its own types of integers here."""
    kinds = {"record_size": 5, "ip_version": 5, "binary_format_major_version": 5,
             "binary_format_minor_version": 5, "build_epoch": 9, "node_count": 6}
    out = _control(7, len(meta))
    for key, value in meta.items():
        out += encode(key)
        out += _number(kinds[key], value) if key in kinds else encode(value)
    return out


def write(path, kind, networks):
    """Put a database in the place of a file, by a rename."""
    new = f"{path}.new"
    with open(new, "wb") as file:
        file.write(build(kind, networks))
    os.rename(new, path)
