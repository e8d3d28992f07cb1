# SPDX-License-Identifier: Apache-2.0
"""What a request's two spans have to be to each other."""


def pairs(spans):
    """Each SERVER span with its CLIENT spans: a list of (server, [client, ...])."""
    return [
        (server, [s for s in spans if s.kind == "CLIENT" and s.parent_id == server.span_id])
        for server in spans
        if server.kind == "SERVER"
    ]


def nested(server, client):
    """AssertionError unless `client` is a proper child of `server`."""
    assert server.kind == "SERVER" and client.kind == "CLIENT"
    assert client.trace_id == server.trace_id
    assert client.parent_id == server.span_id != client.span_id
    assert server.start <= client.start <= client.end <= server.end


def find(spans, path):
    """The complete pair of the one request for `path`, None as long as it is not there."""
    for server, clients in pairs(spans):
        if server.attributes.get("url.path") == path and clients:
            return server, clients[0]
    return None


def wait_pair(collector, path):
    """Wait for both spans of the one request for `path`; they are checked to be nested."""
    server, client = collector.wait(lambda spans: find(spans, path), f"both spans of {path}")
    nested(server, client)
    return server, client


def end(agent):
    """End the agent well: what it still has is with the collector afterwards. Tests do this rather
    than wait the five seconds of a batch."""
    assert agent.terminate() == 0, agent.report()


def wait_pairs(collector, count):
    """Wait until `count` requests have both spans; all pairs, each checked to be nested, no id used
    twice."""

    def complete(spans):
        return [(server, clients) for server, clients in pairs(spans) if clients]

    got = collector.wait(
        lambda spans: complete(spans) if len(complete(spans)) >= count else None,
        f"{count} requests with both spans",
    )
    for server, clients in got:
        assert len(clients) == 1, (server, clients)
        nested(server, clients[0])
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))
    return [(server, clients[0]) for server, clients in got]


def traceparent(span, flags=None):
    """The header that names `span` as the parent; the flags are those of its trace."""
    return f"00-{span.trace_id}-{span.span_id}-{span.flags & 0xFF if flags is None else flags:02x}"
