# SPDX-License-Identifier: Apache-2.0
"""Issue 13, 3: the live page, and the last requests behind it: who may see them, what they hold, that
they are kept while somebody looks and never else. In a browser: tests/long/test_page.py."""

import json
import os
import re
from contextlib import closing

import pytest

from lib import admin
from lib.collector import Collector
from lib.lines import Sender, where
from lib.procs import SpoeHost, wait_until
from lib.spop import Client

PLUGINS = os.environ["SPOE_TEST_OTEL_DIR"]
TOKEN = "a-token-of-24-characters"
JSON = {"Content-Type": "application/json"}
FILES = {"/": "text/html; charset=utf-8", "/page.css": "text/css; charset=utf-8",
         "/page.js": "text/javascript; charset=utf-8"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LINE = ("v=1 fe=web be=app srv=s1 st=503 m=GET ts=sC-- ci=192.0.2.7 start={start}000 te={end}000 tR=1 ta=90 tw=10 "
        "tc=20 tr=40 tp=" + PARENT + " sid=1112131415161718 cid=2122232425262728 u=\"/line?token=abc\"")


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


def begin(collector, **env):
    return SpoeHost(env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_PLUGIN_DIR": PLUGINS, "SPOE_PLUGINS": "otel.so",
                         "SPOE_PROCESSING_TIMEOUT": "10s", "OTLP_ENDPOINT": collector.endpoint,
                         "SPOE_LOG_ADDR": "udp:127.0.0.1:0", "SPOE_LOG_DELAY": "1ms", "BATCH_DELAY": "10ms", **env})


def look(host, after=0, **headers):
    answer = admin.ask(host, "/requests", "POST", body=json.dumps({"after": after}), headers={**JSON, **headers})
    assert answer.status == 200, answer
    return json.loads(answer.text)


def handle(client, key, path, status=200, **more):
    client.ask("on-http-request", {"unique-id": key, "method": "GET", "path": path, "fe_name": "web", **more})
    client.ask("on-backend-http-request", {"unique-id": key, "method": "GET"})
    client.ask("on-http-response", {"unique-id": key, "status": status, "be_name": "app", "srv_name": "s1"})


def attributes(request, part):
    return {key: value for of, key, value in request["attributes"] if of == part}


def test_nothing_is_kept_unless_somebody_looks(collector):
    with begin(collector) as host, Client(host.port) as client:
        client.hello()
        handle(client, "before", "/before")
        for _ in range(2):
            unseen = admin.page(host, "/requests")  # GET begins nothing
            assert (unseen["on"], unseen["requests"], unseen["ends_in_seconds"]) == (False, [], 0)
        first = look(host)
        assert first["on"] and first["requests"] == [] and 590 < first["ends_in_seconds"] <= 600
        host.wait_line("component=admin .*requests are kept in memory")
        hostile = "/\"><img src=x onerror=alert(1)><script>alert(2)</script>"
        handle(client, "seen", hostile, 503, query="id=7&token=abc")
        (seen,) = look(host)["requests"]
        # The facts, and what is redacted on spans is redacted here.
        assert (seen["method"], seen["status"], seen["frontend"], seen["backend"], seen["server"]) == \
            ("GET", 503, "web", "app", "s1")
        assert seen["target"].startswith(hostile + "?") and "abc" not in json.dumps(seen)
        assert [part["kind"] for part in seen["parts"]] == ["server", "client"]
        assert [part["error"] for part in seen["parts"]] == [True, True]
        assert seen["parts"][1]["parent"] == seen["parts"][0]["id"] and seen["sampled"] and not seen["incomplete"]
        assert int(seen["start"]) <= int(seen["parts"][1]["start"]) <= int(seen["parts"][1]["end"]) <= int(seen["end"])
        spans = collector.wait_spans(4)
        (server,) = [s for s in spans if s.kind == "SERVER" and s.attributes["url.path"] == hostile]
        assert seen["trace"] == server.trace_id and seen["parts"][0]["id"] == server.span_id
        shown = attributes(seen, 0)
        assert shown == {key: str(value) for key, value in server.attributes.items()}
        # What was seen does not come again; a number of another process begins anew.
        handle(client, "next", "/next")
        answer = look(host, seen["n"])
        assert [r["target"] for r in answer["requests"]] == ["/next"] and answer["last"] == seen["n"] + 1
        assert len(look(host, 10 ** 9)["requests"]) == 2
        assert len(admin.page(host, "/requests")["requests"]) == 2
        assert host.terminate() == 0


def test_the_last_two_hundred(collector):
    with begin(collector) as host, Client(host.port) as client:
        client.hello()
        look(host)
        for i in range(205):
            handle(client, f"r{i}", f"/{i}")
        answer = look(host)
        got = sorted(answer["requests"], key=lambda r: r["n"])
        assert len(got) == answer["max"] == 200 and answer["last"] == 205
        assert [got[0]["target"], got[-1]["target"]] == ["/5", "/204"]


def test_a_request_that_is_not_sampled_is_seen_too(collector):
    with begin(collector, OTEL_TRACES_SAMPLER="always_off") as host, Client(host.port) as client:
        client.hello()
        look(host)
        handle(client, "k", "/unsampled", 404)
        (seen,) = look(host)["requests"]
        assert (seen["target"], seen["sampled"], seen["exported"], seen["status"]) == ("/unsampled", False, False, 404)
        with closing(Sender("udp", where(host, "udp"))) as sender:
            sender.send(LINE.format(start=1700000000000, end=1700000000090).replace("331-01", "331-00"))
            wait_until(lambda: len(look(host)["requests"]) == 2, "the line's request")
        assert not any(r["sampled"] for r in look(host)["requests"])
        assert host.terminate() == 0  # and the spans add up
    assert not collector.spans


# 13.3: what it says of the export is true.
@pytest.mark.parametrize("env,status,expected", [
    ({}, 200, (True, True)),
    ({"OTEL_TRACES_EXPORTER": "none"}, 200, (True, False)),
    ({"OTEL_TRACES_SAMPLER": "always_off", "KEEP_ERRORS": "on"}, 503, (False, True)),
    ({"OTEL_TRACES_SAMPLER": "always_off", "KEEP_ERRORS": "on", "OTEL_TRACES_EXPORTER": "none"}, 503, (False, False)),
])
def test_whether_it_is_exported(collector, env, status, expected):
    with begin(collector, **env) as host, Client(host.port) as client, \
            closing(Sender("udp", where(host, "udp"))) as sender:
        client.hello()
        look(host)
        handle(client, "k", "/k", status)
        flag = "00" if "OTEL_TRACES_SAMPLER" in env else "01"
        sender.send(LINE.format(start=1700000000000, end=1700000000090).replace("331-01", "331-" + flag))
        wait_until(lambda: len(look(host)["requests"]) == 2, "the line's request")
        assert [(r["sampled"], r["exported"]) for r in look(host)["requests"]] == [expected, expected]
        assert host.terminate() == 0


def test_a_line_has_the_timers_as_phases(collector):
    with begin(collector) as host, closing(Sender("udp", where(host, "udp"))) as sender:
        look(host)
        sender.send(LINE.format(start=1700000000000, end=1700000000090))
        wait_until(lambda: look(host)["requests"], "the line's request")
        (seen,) = look(host)["requests"]
        assert (seen["status"], seen["termination"], seen["client"]) == (503, "sC", "192.0.2.7")
        assert seen["target"].startswith("/line?") and "abc" not in json.dumps(seen)
        phases = [(part["name"], (int(part["end"]) - int(part["start"])) // 10 ** 6)
                  for part in seen["parts"] if part["kind"] == "phase"]
        assert phases[:3] == [("queue", 10), ("connect", 20), ("response", 40)]
        client = seen["parts"][1]
        assert all(int(client["start"]) <= int(part["start"]) <= int(part["end"]) <= int(client["end"])
                   for part in seen["parts"][2:])


@pytest.mark.parametrize("timers,last", [
    ("tw=10 tc=-1 tr=-1", ("connect", 79)), ("tw=10 tc=20 tr=-1", ("response", 59)),
    ("tw=10 tc=20 tr=40", ("transfer", 19)), ("tw=-1 tc=-1 tr=-1", None)])
def test_the_rest_belongs_to_the_timer_that_never_ended(collector, timers, last):
    """13.3: a server that cannot be connected to has transferred nothing."""
    with begin(collector) as host, closing(Sender("udp", where(host, "udp"))) as sender:
        look(host)
        sender.send(re.sub(r"tw=\S+ tc=\S+ tr=\S+", timers, LINE.format(start=1700000000000, end=1700000000090)))
        wait_until(lambda: look(host)["requests"], "the line's request")
        (seen,) = look(host)["requests"]
        phases = [(part["name"], (int(part["end"]) - int(part["start"])) // 10 ** 6)
                  for part in seen["parts"] if part["kind"] == "phase"]
        assert (phases[-1] if phases else None) == last


def test_a_request_whose_end_nobody_told(collector):
    with begin(collector, SPAN_TTL="200ms") as host, Client(host.port) as client:
        client.hello()
        look(host)
        client.ask("on-http-request", {"unique-id": "k", "method": "GET", "path": "/open"})
        wait_until(lambda: look(host)["requests"], "the request's end")
        (seen,) = look(host)["requests"]
        assert seen["incomplete"] and seen["target"] == "/open" and seen["status"] == 0


# ---- who may see them

def statuses(host, **headers):
    """Of GET, and of POST: one of them alone would begin or show something."""
    return (admin.ask(host, "/requests", headers=headers).status,
            admin.ask(host, "/requests", "POST", body="{}", headers={**JSON, **headers}).status)


def test_who_may_see_requests(collector, tmp_path):
    with begin(collector) as host:
        for refused in ({"Host": "evil.example"}, ):
            assert statuses(host, **refused) == (421, 421)
        for refused in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                        {"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}):
            assert statuses(host, **refused) == (403, 403), refused
        assert admin.ask(host, "/requests", "POST", body="{}").status == 415
        assert admin.ask(host, "/requests", "PUT", body="{}", headers=JSON).status == 405
        assert admin.ask(host, "/", "POST", body="{}", headers=JSON).status == 405
        assert not admin.page(host, "/requests")["on"], "none of these began anything"
        assert statuses(host) == (200, 200)
    with begin(collector, SPOE_ADMIN_ADDR=f"unix:{tmp_path}/admin") as host:
        assert statuses(host) == (200, 200)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with begin(collector, SPOE_ADMIN_TOKEN_FILE=str(token)) as host:
        assert statuses(host) == (401, 401)
        assert statuses(host, Authorization=f"Bearer {TOKEN}x") == (401, 401)
        # A reverse proxy may pass it on, with the token.
        right = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.1"}
        assert statuses(host, **right) == (200, 200)
        for path in FILES:  # which hold nothing, and ask for it
            assert admin.ask(host, path).status == 200
        assert TOKEN not in admin.ask(host, "/requests", headers=right).text


@pytest.mark.parametrize("body", ["", "[]", "{", '{"after"}', '{"after":}', '{"after":-1}', '{"after":1', "{} x",
                                  '{"after":99999999999999999999999}', '{"before":1}', '{"trace":1}', '{"trace":"0af7"}', '{"trace":"' + "G" * 32 + '"}', '{"after":1}\0', "{\0}"])
def test_a_body_that_is_none_begins_nothing(collector, body):
    with begin(collector) as host:
        answer = admin.ask(host, "/requests", "POST", body=body, headers=JSON)
        assert answer.status == 400 and "after" in answer.text
        assert not admin.page(host, "/requests")["on"]


@pytest.mark.parametrize("body", ["{}", " { } ", '{"trace":"' + "0a" * 16 + '"}', '{"after":0}', '\r\n{\t"after" : 18 }\n'])
def test_a_body_may_have_white_space(collector, body):
    with begin(collector) as host:
        assert admin.ask(host, "/requests", "POST", body=body, headers=JSON).status == 200
        assert admin.page(host, "/requests")["on"]


# ---- the page

def test_the_page_takes_nothing_from_elsewhere(collector):
    with begin(collector) as host:
        for path, content_type in FILES.items():
            answer, head = admin.ask(host, path), admin.ask(host, path, "HEAD")
            assert answer.status == head.status == 200 and head.text == ""
            assert answer.headers["Content-Type"] == content_type
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
            assert policy == {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
                              "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
                              "frame-ancestors": "'none'"}
            assert not re.search(r"https?:|//[a-z]|@import|url\(", answer.text.replace("// ", "")), path
            assert admin.ask(host, path, headers={"Host": "evil.example"}).status == 421
        script = admin.ask(host, "/page.js").text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|localStorage|Function\(",
                             script)
        assert len(script.splitlines()) < 400
        html = admin.ask(host, "/").text
        assert re.findall(r"<script[^>]*>", html) == ['<script src="page.js" defer>']
        assert not re.search(r"<style|style=| on[a-z]+=", html)


def test_status_says_how_the_export_is():
    def says():
        return admin.page(host, "/status")["plugins"][0]["status"]

    with Collector(autostart=False) as collector, begin(collector) as host, \
            Client(host.port) as client:
        client.hello()
        assert says() == f"traces to {collector.endpoint}: nothing sent yet"
        handle(client, "k", "/k")
        wait_until(lambda: "fails, is tried again; last error " in says(), lambda: f"a failure: {says()}")
        collector.start()
        wait_until(lambda: f"traces to {collector.endpoint}: works; last error " in says(),
                   lambda: f"the collector to be there: {says()}")
        assert admin.page(host, "/status")["plugins"][0]["health"] == "ready"


def test_where_there_is_no_plugin_that_tells(start):
    host = start("slots", env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    assert look(host)["requests"] == []
    assert admin.ask(host, "/").status == 200
    assert host.terminate() == 0
