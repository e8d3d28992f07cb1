# SPDX-License-Identifier: Apache-2.0
"""Senders of log lines, in HAProxy's place, and what the plugin from_log tells of them."""

import re
import socket

from .procs import LIMIT, wait_until


def addresses(host):
    """{kind: [address]} of a SpoeHost's log: kinds udp, tcp (tcp+octet too), unix, unixgram."""
    found = {}
    for line in list(host.lines):
        match = re.search(r'taking log lines on ([a-z]+)(?:\+octet)?:([^\s"]+)', line)
        if match:
            found.setdefault(match.group(1), []).append(match.group(2))
    return found


def where(host, kind, n=0):
    """The n-th address of its kind."""
    return addresses(host)[kind][n]


class Sender:
    """send(line) as the transport has it. kind: udp, unixgram, tcp, tcp+octet, unix."""

    def __init__(self, kind, address):
        self.octets = kind == "tcp+octet"
        self.datagrams = kind in ("udp", "unixgram")
        family = (socket.AF_UNIX if kind.startswith("unix")
                  else socket.AF_INET6 if address.startswith("::") else socket.AF_INET)
        self.sock = socket.socket(
            family, socket.SOCK_DGRAM if self.datagrams else socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        if family == socket.AF_UNIX:
            self.sock.connect(address)
        else:
            name, port = address.rsplit(":", 1)
            self.sock.connect((name, int(port)))

    def frame(self, line):
        line = line.encode() if isinstance(line, str) else line
        if self.octets:
            return b"%d %s" % (len(line), line)
        return line + b"\n"

    def send(self, *lines):
        if self.datagrams:
            for line in lines:
                self.sock.send(self.frame(line))
        else:
            self.sock.sendall(b"".join(self.frame(line) for line in lines))

    def raw(self, data):
        self.sock.sendall(data)

    def ended(self):
        """Wait until the host has closed the connection."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()


class Told:
    """The file of the plugin from_log."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        if not self.path.exists():
            return []
        return self.path.read_text(errors="replace").split("\n")[:-1]

    def wait(self, n):
        """Wait for n lines, return them."""
        wait_until(lambda: len(self.lines()) >= n,
                   lambda: f"{n} messages, there are {len(self.lines())}: {self.lines()[-5:]}")
        return self.lines()
