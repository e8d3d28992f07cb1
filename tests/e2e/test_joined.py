# SPDX-License-Identifier: Apache-2.0
"""The files that users get for each plugin, joined into one configuration as an operator would: the frontends' lines
in one frontend, a SPOE file each. HAProxy takes them without a warning, and every plugin does its part (issue 12)."""

import http.client
import os
import re

from lib import admin, procs, traces
from lib import haproxy as hap
from lib.procs import SpoeHost, wait_until

from test_together import by_path, environment

OTHERS = ["auth-request", "ip-reputation", "mirror"]
# HAProxy warns where a line stands behind one that is done later.
ORDER = ["bind", "unique-id-format", "unique-id-header", "option", "filter", "acl", "tcp-request", "http-request",
         "http-after-response", "default_backend"]
BLOCKED = "127.0.0.2"  # as test_together's environment has it


def frontend(text):
    """The statements of `frontend web`."""
    body = re.search(r"^frontend web\n(.*?)^(?=\S)", text, re.M | re.S).group(1)
    return [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("#")]


class Joined(hap.Config):
    """haproxy.cfg, and in its first frontend what the others' have."""

    def __init__(self, directory):
        super().__init__(directory)
        lines = frontend(self.main)
        for name in OTHERS:
            lines += [line for line in frontend(hap.source_text(f"{name}.cfg"))
                      if line.split()[0] not in ("bind", "default_backend")]
        lines.sort(key=lambda line: ORDER.index(line.split()[0]))
        self.edit_main(r"^frontend web\n(?:.*\n)*?(?=^\S)", lambda _: "\n".join(["frontend web", *lines, "", ""]))

    def others(self, edit):
        """The others' SPOE files, edited, by the variables that name them."""
        found = {}
        for name in OTHERS:
            path = os.path.join(self.directory, f"spoe-{name}.cfg")
            with open(path, "w", encoding="ascii") as file:
                file.write(edit(hap.source_text(f"spoe-{name}.cfg")))
            found[f"SPOE_{name.upper().replace('-', '_')}_CFG"] = path
        return found


def patient(text):
    text, found = re.subn(r"timeout processing .*", "timeout processing 60s", text)
    assert found == 1
    return text


def test_the_files_joined_are_accepted(binary, tmp):
    config = Joined(tmp)
    main, spoe = config.write()
    status, out = hap.check(binary, main, {"SPOE_OTEL_CFG": spoe, **config.others(lambda text: text)})
    assert status == 0, out


def ask(proxy, address, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.web, timeout=procs.LIMIT, source_address=(address, 0))
    connection.request(method, path, body, {"Authorization": "alice"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_the_files_joined_answer(binary, tmp, collector, origin, service, second):
    config = Joined(tmp).relax("60s")
    cases = [("127.0.0.4", "GET", "/get?a=b", None, 200), ("127.0.0.4", "POST", "/post", b"b" * 8500, 200),
             ("127.0.0.4", "GET", "/status/401", None, 401), ("127.0.0.4", "GET", "/status/403", None, 403),
             (BLOCKED, "POST", "/blocked", b"b", 403)]
    with SpoeHost(env=environment(tmp, collector, service, second)) as host, hap.HAProxy(
            binary, config, [host.port], origin.address, env=config.others(patient)) as proxy:
        proxy.wait_agent()
        for *request, status in cases:
            assert ask(proxy, *request) == status, request

        def number(name, **labels):
            return admin.metrics(host)[f"spoe_{name}"].total(**labels)

        wait_until(lambda: number("mirror_answers_total") == len(cases), host.report)
        assert number("ip_reputation_lookups_total") == number("auth_request_answers_total") == len(cases)
        wait_until(lambda: number("otel_requests_ended_total", reason="response") == 2, host.report)
        assert host.terminate() == 0, host.report()

    first, copies = by_path(origin.requests), by_path(second.requests)
    assert set(first) == {"/get?a=b", "/post"} and set(copies) == {path for _, _, path, _, _ in cases}
    assert first["/post"].body == copies["/post"].body == b"b" * 8500
    spans = {span.span_id for span in collector.spans}
    for request in first.values():
        assert request.all("x-user") == ["alice"]
        assert request.header("traceparent").split("-")[2] in spans
    assert len(traces.pairs(collector.spans)) >= 2
