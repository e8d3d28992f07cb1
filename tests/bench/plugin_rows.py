# SPDX-License-Identifier: Apache-2.0
"""The bench of the further plugins as rows: mirror's copy, auth-request's questions, and answers of
ip-reputation while its lists are built anew (12.4)."""

import contextlib
import os
import re
import statistics

import agents
import ip_reload
from agents import Failure
from lib import procs
from lib.auth_service import AuthService
from lib.spop import Client, string

os.environ.setdefault("SPOE_TEST_HOST", agents.program("spoe-host"))

COPY = re.compile(r"^(\d+) bytes: to the sender and back (\d+) ns, malloc and copy alone (\d+) ns$", re.M)
HEADERS = string("host") + string("shop.example") + string("user-agent") + string("v" * 120)


def mirror(bench, _collector, program=None, arguments=()):
    """What a worker does for a copy that plugins/mirror sends."""
    text = agents.output("mirror-copy", arguments, program)
    found = COPY.findall(text)
    if len(found) != 2:
        raise Failure(f"mirror-copy wrote {text!r}")
    for size, took, alone in found:
        bench.row(f"mirror, {size} bytes: a copy's way to the sender over malloc() and copy alone",
                  int(took) / max(int(alone), 1), note=f"{took} ns")


def optional(name):
    return os.path.join(agents.BUILD, f"lib/spoe-host/plugins/optional/{name}.so")


@contextlib.contextmanager
def auth_request(service, more=None):
    """The host with auth-request, which asks this service."""
    with agents.cores(agents.AGENT_CORES):
        host = procs.SpoeHost(["--plugins", optional("auth-request"), "--workers", "1"],
                              env={"AUTH_REQUEST_URL": service.url, "AUTH_REQUEST_TIMEOUT": "9s",
                                   "SPOE_PROCESSING_TIMEOUT": "10s", **(more or {})})
    with host:
        yield agents.Agent(host, host.port)
        if host.terminate() != 0:
            raise Failure(f"spoe-host failed{host.report()}")


def cpu_of_answers(agent, name, args, n, expect):
    """CPU of the agent per message, asked one after the other."""
    with Client(agent.port) as client:
        client.hello()
        for i in range(2 * n):
            if i == n:  # what came before does not count
                before = agent.cpu()
            variables = client.ask(name, args(i)).variables
            if not variables or not expect(variables):
                raise Failure(f"{name} is answered with {variables}")
        return (agent.cpu() - before) * 1e6 / n


def question(uri):
    return {"method": "GET", "uri": uri, "ssl": True, "hdrs": HEADERS + b"\0\0"}


def auth(bench, _collector, questions=2000):
    """A question to a service, and an answer that is kept, beside the do-nothing plugin."""
    asked, kept = [], []

    def allowed(variables):
        return variables.get("allowed") is True

    for _ in range(bench.options.rounds):
        with agents.nothing() as agent:
            nothing = cpu_of_answers(agent, "on-backend-http-request", lambda i: {
                "unique-id": f"{i}", "method": "GET", "path": "/"}, questions, bool)
        with AuthService() as service:
            with auth_request(service) as agent:
                asked.append(cpu_of_answers(agent, "auth-request", lambda i: question(f"/{i}"),
                                            questions, allowed) / nothing)
            with auth_request(service, {"AUTH_REQUEST_CACHE_TTL": "1h"}) as agent:
                kept.append(cpu_of_answers(agent, "auth-request", lambda i: question("/same"),
                                           questions, allowed) / nothing)
    bench.row("auth-request, a service asked each time: CPU per message over the do-nothing plugin's",
              statistics.median(asked), note="one question at a time, libcurl and its socket included")
    bench.row("auth-request, a kept answer: CPU per message over the do-nothing plugin's",
              statistics.median(kept))


def reload(bench, _collector, prefixes=1000000, rounds=10, questions=2000):
    """Answers of ip-reputation while a list of a million prefixes is built anew."""
    took, memory = ip_reload.measure(optional("ip-reputation"), prefixes,
                                     rounds, questions)
    p50, p99 = ({which: ip_reload.quantile(times, q) for which, times in took.items()}
                for q in (0.5, 0.99))
    for name, of, target in (("p50", p50, None), ("p99", p99, 1.2)):
        bench.row(f"ip-reputation, {name} of an answer while a list is read anew over otherwise",
                  of[True] / of[False], target, note=f"{of[True]:.0f} and {of[False]:.0f} us")
    bench.row("ip-reputation, a million prefixes: the host's memory, at most", memory, unit="MiB")


PARTS = {"mirror": mirror, "auth": auth, "reload": reload}
