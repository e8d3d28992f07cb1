# SPDX-License-Identifier: Apache-2.0
"""The filter beside other things that HAProxy does, as docs/haproxy.md describes it."""

import re
import socket
import threading

import pytest
from lib import haproxy as hap
from lib.haproxy import HAProxy
from lib.procs import SpoeHost, wait_until
from lib.spop import Client
from lib.traces import end, wait_pair

from conftest import host_env

OTHER_FILTERS = {  # lines of the frontend besides the filters, and of the file's end
    "compression": ("filter compression", "compression algo gzip", ""),
    "cache": (
        "filter cache small",
        "http-request cache-use small\n    http-response cache-store small",
        "\ncache small\n    total-max-size 1\n    max-age 60\n",
    ),
}


@pytest.mark.parametrize("names", [["compression"], ["cache"], ["cache", "compression"]])
@pytest.mark.parametrize("first", [True, False])
def test_other_filters(binary, config, agent, origin, collector, names, first):
    """W1: compression and the cache need a filter line of their own beside SPOE's, the cache's
    before that of compression; SPOE's may stand before or behind them."""
    spoe = r'^    filter spoe engine otel config "\$\{SPOE_OTEL_CFG.*\n'
    line = re.search(spoe, config.main, flags=re.M).group(0)
    others = "".join(f"    {OTHER_FILTERS[name][0]}\n" for name in names)
    rules = "".join(f"    {OTHER_FILTERS[name][1]}\n" for name in names)
    lines = (line + others if first else others + line) + rules
    config.edit_main(spoe, lines.replace("\\", r"\\"), count=1)
    config.main += "".join(OTHER_FILTERS[name][2] for name in names)
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        for path in ("/a", "/b"):
            answer = proxy.get(path, headers={"Accept-Encoding": "gzip"})
            assert (answer.status, answer.otel_status) == (200, None)
            assert (answer.headers.get("Content-Encoding") == "gzip") == ("compression" in names)
        end(agent)
    for path in ("/a", "/b"):
        for span in wait_pair(collector, path):
            assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("name", OTHER_FILTERS)
def test_other_filters_are_needed(binary, config, name):
    """... and without it HAProxy says so, on every version."""
    config.edit_main(
        r"^    default_backend web-app", f"    {OTHER_FILTERS[name][1]}\n    default_backend web-app"
    )
    config.main += OTHER_FILTERS[name][2]
    path, spoe = config.write()
    status, out = hap.check(binary, path, {"SPOE_OTEL_CFG": spoe})
    assert status == 1 and "explicit filter declaration" in out


def test_request_message_behind_the_rules(binary, config, agent, origin, collector):
    """W10: sent by a rule behind set-src, the request's message has the client that the balancer
    in front of HAProxy names."""
    config.edit_spoe(
        r"^    messages on-http-request (.*)$", r"    messages \1\n    groups request"
    )
    config.edit_spoe(r"^    event on-frontend-http-request .*\n", "")
    config.edit_spoe(
        r"^spoe-message on-http-request", "spoe-group request\n    messages on-http-request\n\n"
        "spoe-message on-http-request"
    )
    config.edit_spoe(r"^    acl untraced .*\n", "")
    config.edit_main(
        r"^    http-request set-header traceparent ",
        "    http-request set-src req.hdr(x-forwarded-for)\n"
        "    http-request send-spoe-group otel request\n"
        "    http-request set-header traceparent ",
        count=1,
    )
    with HAProxy(binary, config, [agent.port], origin.address) as proxy:
        answer = proxy.get("/behind", headers={"X-Forwarded-For": "203.0.113.7"})
        assert (answer.status, answer.otel_status) == (200, None)
        end(agent)
    server, client = wait_pair(collector, "/behind")
    assert server.attributes["client.address"] == "203.0.113.7"
    assert answer.origin_traceparent.split("-")[2] == client.span_id


@pytest.mark.parametrize("how", ["option", "rule", "none"])
def test_a_response_after_the_ttl(binary, config, origin, collector, how):
    """W2: with a hold, of the agent or by the line that the file has as a comment, both spans are
    whole; without, they are incomplete and the response is a span of its own."""
    env = host_env(collector, SPAN_TTL="1s", BATCH_DELAY="10ms")
    if how == "option":
        env["SPAN_HOLD"] = "10m"
    elif how == "rule":
        config.edit_spoe(r"^    #(args hold=var\(txn\.otel_hold\))$", r"    \1")
        config.edit_main(
            r'^    bind "\$\{WEB_ADDR.*$',
            r"\g<0>\n    tcp-request inspect-delay 5s"
            r"\n    tcp-request content set-var(txn.otel_hold) int(600)",
        )
    with SpoeHost(env=env) as agent, HAProxy(binary, config, [agent.port], origin.address) as proxy:
        origin.hold()
        held = threading.Thread(target=proxy.get, args=("/hold",))
        held.start()
        origin.wait_request("/hold")
        with Client(agent.port) as client:  # a request that comes later, and that nothing holds
            client.hello()
            client.ask("on-http-request", {"unique-id": "x", "method": "GET", "path": "/marker"})
            collector.wait(
                lambda spans: [s for s in spans if s.attributes.get("url.path") == "/marker"],
                "the eviction",
            )
        origin.release()
        held.join()
        end(agent)
    late = [span for span in collector.spans if span.name == "late response"]
    server, client = wait_pair(collector, "/hold")
    if how == "none":
        assert server.incomplete and client.incomplete
        assert [span.attributes["http.response.status_code"] for span in late] == [200]
        assert late[0].parent_id == server.span_id
    else:
        assert not server.incomplete and not client.incomplete and not late
        assert server.attributes["http.response.status_code"] == 200
        assert server.end - server.start > 10**9, "it ends with the response"


# -- names of agents


class NameServer:
    """Answers every A question with 127.0.0.1 once it knows the name, and nothing before that."""

    def __init__(self):
        self.known = threading.Event()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                query, peer = self._sock.recvfrom(4096)
            except OSError:
                return
            question_end = query.index(b"\0", 12) + 5
            is_a = query[question_end - 4 : question_end - 2] == b"\0\1"
            found = is_a and self.known.is_set()
            code = b"\x81\x80" if self.known.is_set() else b"\x81\x83"  # no error, or no such name
            head = query[:2] + code + b"\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if found else b""
            self._sock.sendto(head + query[12:question_end] + answer, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()


def test_agent_whose_name_comes_later(binary, config, agent, origin, collector):
    """W11: HAProxy starts although the agent's name is not known, serves without traces, and finds
    the agent when it is, by the lines that haproxy.cfg has as comments."""
    config.edit_main(r"^    #(default-server resolvers .*)$", r"    \1")
    config.edit_main(r"^#resolvers system", "resolvers system")
    with NameServer() as names:
        config.edit_main(
            r"^#    parse-resolv-conf",
            f"    nameserver test 127.0.0.1:{names.port}\n    hold nx 200ms\n    hold other 200ms\n"
            "    timeout resolve 200ms\n    timeout retry 200ms",
        )
        name = f"spoe-host.invalid:{agent.port}"
        with HAProxy(binary, config, [name], origin.address) as proxy:
            assert proxy.get("/unknown").status == 200
            names.known.set()
            paths = []

            def traced():
                paths.append(f"/known/{len(paths)}")
                return proxy.get(paths[-1]).otel_status is None

            wait_until(traced, lambda: f"a request that the agent answers{proxy.report()}")
            end(agent)
    wait_pair(collector, paths[-1])
    assert not [s for s in collector.spans if s.attributes.get("url.path") == "/unknown"]
