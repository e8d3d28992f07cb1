# SPDX-License-Identifier: Apache-2.0
"""What single releases of HAProxy do otherwise than Debian's. Tests ask here what to expect. A version is what
lib.haproxy.version() has first: 3.5-dev5 is (3, 5, 0)."""


def refuses_unix_rings(version):
    """A unix socket in a ring: "log server address family not supported" (docs/log-lines.md)."""
    return version in ((3, 3, 0), (3, 5, 0))


def connects_late(version):
    """For a second or two no new connection to the agent, after the last one of a thread has ended
    (docs/haproxy.md, "HAProxy 2.8.0")."""
    return version in ((2, 8, 0), (3, 0, 0))


def needs_room(version):
    """A message that finds no room in the connection's buffer ends the connection (docs/haproxy.md, "HAProxy
    2.8.0"). One client at a time does not make it happen."""
    return version == (2, 8, 0)


def blames_the_client(version):
    """A server that stalls in a response: CD in place of sD (docs/otel-log.md)."""
    return (3, 0, 0) < version < (3, 1) or version == (3, 3, 0)


def takes_two_hosts(version):
    """"Host: a,b" is answered, not refused with 400."""
    return version <= (3, 0, 0) or version == (3, 3, 0)


def calls_a_tarpit_a_deny(version):
    """Termination state PR in place of PT (docs/otel-log.md)."""
    return version == (2, 8, 0)
