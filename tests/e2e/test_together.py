# SPDX-License-Identifier: Apache-2.0
"""All plugins of this project in one host behind one HAProxy, as the host prints it: an engine each, many clients
at once. Every request is answered rightly by all of them (issue 12, "Done when")."""

import hashlib
import http.client
import os
import threading

from lib import admin, procs, traces, versions
from lib.procs import SpoeHost, wait_until

from test_engines import BUFFER, Site

CLIENTS, ROUNDS = 6, 10
# What becomes of a client by its address: the list that it is on, and whether HAProxy denies it.
LISTS = {"127.0.0.2": ("block", True), "127.0.0.3": ("watch", False), "127.0.0.4": (None, False)}
SIZES = (0, 1, 900, 8500, 12000)
PLUGINS = ["otel", "auth-request", "ip-reputation", "mirror"]
RULE = "    http-request deny deny_status 429 if { var(txn.ip_reputation.score) -m int ge 80 }\n"
SEEN = ["auth_request.reason", "ip_reputation.list", "ip_reputation.score",
        *(f"{name.replace('-', '_')}.spoe.status" for name in PLUGINS)]


class Case:
    """One request, and all that has to become of it."""

    def __init__(self, client, turn):
        self.address = sorted(LISTS)[client % len(LISTS)]
        self.list, listed = LISTS[self.address]
        said = (200, 200, 401, 403)[turn % 4]
        self.path = f"/status/{said}/{client}/{turn}" if said != 200 else f"/ok/{client}/{turn}"
        self.query = f"?of={client}&turn={turn}"
        self.user = f"user-{client}-{turn}"
        # Each with a body of its own: none of another's can pass for it.
        seed = hashlib.sha256(self.path.encode()).hexdigest().encode()
        self.body = (seed * 200)[:SIZES[(client + turn) % len(SIZES)]]
        self.method = "POST" if self.body else "GET"
        self.allowed = said == 200
        # The defaults' rules, which have the service's no, come before the frontend's own.
        self.status = 403 if not self.allowed else 429 if listed else 200
        self.answer = None

    def send(self, connection):
        connection.request(self.method, self.path + self.query, self.body or None, {"Authorization": self.user})
        answer = connection.getresponse()
        answer.read()
        self.answer = answer.status, {key.lower()[2:]: value for key, value in answer.getheaders()
                                      if key.lower()[2:] in SEEN}

    def expected(self):
        """Status and variables; set-on-error has nothing to say."""
        variables = {"auth_request.reason": "allowed" if self.allowed else "denied",
                     "ip_reputation.score": {"block": "90", "watch": "10", None: "0"}[self.list]}
        if self.list:
            variables["ip_reputation.list"] = self.list
        return self.status, variables


def environment(tmp, collector, service, second):
    lists = []
    for name, address, score in (("block", "127.0.0.2", 90), ("watch", "127.0.0.3", 10)):
        path = os.path.join(tmp, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"192.0.2.0/24\n{address}\n")
        lists.append(f"{name}:{score}={path}")
    return {"SPOE_PLUGINS": ",".join(PLUGINS), "SPOE_WORKERS": "2", "SPOE_ADMIN_ADDR": "127.0.0.1:0",
            "SPOE_PROCESSING_TIMEOUT": "55s", "OTLP_ENDPOINT": collector.endpoint,
            "AUTH_REQUEST_URL": service.url, "AUTH_REQUEST_TIMEOUT": "50s",
            "AUTH_REQUEST_RESPONSE_HEADERS": "X-User", "IP_REPUTATION_LISTS": ", ".join(lists),
            "MIRROR_URL": f"http://{second.address}", "MIRROR_TIMEOUT": "60s", "MIRROR_CONNECT_TIMEOUT": "60s",
            "MIRROR_QUEUE_TIME": "60s", "MIRROR_QUEUE": "1000", "MIRROR_MEMORY": "64m"}


def send_all(port, cases, at_once):
    """Each client on a connection of its own, from its own address; one request after the other. Unless they are
    all at once, a client begins when the one before is done."""

    def client(mine):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=procs.LIMIT,
                                                source_address=(mine[0].address, 0))
        for case in mine:
            case.send(connection)
        connection.close()

    threads = [threading.Thread(target=client, args=(mine,)) for mine in cases]
    for thread in threads:
        thread.start()
        if not at_once:
            thread.join()
    for thread in threads:
        thread.join()


def by_path(requests):
    found = {request.path: request for request in requests}
    assert len(found) == len(requests)  # none of them twice
    return found


def test_every_request_is_answered_rightly(binary, version, tmp, collector, origin, service, second):
    env = environment(tmp, collector, service, second)
    site = Site(tmp, env, SEEN, BUFFER + RULE)
    assert site.spoe.count("\nspoe-agent ") == len(PLUGINS)
    clients = [[Case(client, turn) for turn in range(ROUNDS)] for client in range(CLIENTS)]
    cases = [case for mine in clients for case in mine]
    with SpoeHost(env=env) as host, site.run(binary, host, origin) as proxy:
        send_all(proxy.web, clients, at_once=not versions.needs_room(version))
        for case in cases:
            assert case.answer == case.expected(), case.path

        def number(name, **labels):
            return admin.metrics(host)[f"spoe_{name}"].total(**labels)

        wait_until(lambda: number("mirror_answers_total") == len(cases), host.report)
        assert number("mirror_dropped_requests_total") == number("mirror_failures_total") == 0
        assert number("auth_request_answers_total") == number("ip_reputation_lookups_total") == len(cases)
        # HAProxy answers the client before the agent has the message of the response.
        passed = [case for case in cases if case.status == 200]
        wait_until(lambda: number("otel_requests_ended_total", reason="response") == len(passed), host.report)
        assert number("host_truncated_actions_total") == number("host_unknown_messages_total") == 0
        assert host.terminate() == 0, host.report()

    check_service(service, cases)
    check_origins(by_path(origin.requests), by_path(second.requests), cases)
    check_spans(collector, origin, passed)


def check_service(service, cases):
    """It is asked about each once, with that one's own credentials."""
    asked = {request.header("x-original-uri"): request.header("authorization") for request in service.requests}
    assert asked == {case.path + case.query: case.user for case in cases}
    assert len(service.requests) == len(cases)


def check_origins(first, second, cases):
    """The second has all of them whole, the first those that may go on, and who it is."""
    for case in cases:
        copy = second.pop(case.path + case.query)
        assert (copy.method, copy.body) == (case.method, case.body)
        if case.status == 200:
            request = first.pop(case.path + case.query)
            assert (request.method, request.body) == (case.method, case.body)
            assert request.all("x-user") == [case.user]
    assert first == second == {}


def check_spans(collector, origin, passed):
    """Two of each request that was passed on; the origin was told the trace."""
    pairs = {server.attributes["url.path"]: (server, clients) for server, clients in traces.pairs(collector.spans)}
    told = {request.path.split("?")[0]: request.header("traceparent") for request in origin.requests}
    for case in passed:
        server, clients = pairs[case.path]
        assert len(clients) == 1, case.path
        traces.nested(server, clients[0])
        assert told[case.path] == traces.traceparent(clients[0])
        assert server.attributes["http.response.status_code"] == 200
    assert {path for path, (_, clients) in pairs.items() if clients} == {case.path for case in passed}
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))
