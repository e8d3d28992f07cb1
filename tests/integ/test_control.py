# SPDX-License-Identifier: Apache-2.0
"""Issue 13, 3: changes at run time: who may ask for them, all or nothing, what is said of them, and that no
GET changes anything."""

import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import admin

TOKEN = "a-token-of-24-characters"
JSON = {"Content-Type": "application/json"}


def post(host, options, **headers):
    """An Answer to a change."""
    body = options if isinstance(options, str) else json.dumps(options)
    return admin.ask(host, "/control", "POST", body=body, headers={**JSON, **headers})


def options(host):
    return {o["option"]: o for o in admin.page(host, "/control")["options"]}


class Controlled:
    def __init__(self, start, connect, tmp_path, env=None, args=()):
        self.path = tmp_path / "host.ini"
        self.path.write_text("[reload]\nname = of-the-file\n")
        self.host = start("reload", args=["-f", self.path, "--admin", f"unix:{tmp_path}/admin", *args],
                          env={"SPOE_ADDR": "127.0.0.1:0", **(env or {})})
        self.client = connect(self.host)
        self.client.hello()

    def answer(self):
        return self.client.ask("base-reload").variables

    def counts(self):
        family = admin.metrics(self.host)["spoe_host_control_changes_total"]
        return (family.value(result="success"), family.value(result="failure"))


@pytest.fixture
def begin(start, connect, tmp_path):
    def make(**more):
        return Controlled(start, connect, tmp_path, **more)

    return make


def test_a_change_is_taken_and_told(begin):
    it = begin()
    shown = options(it.host)
    assert set(shown) == {"host.log-level", "host.log-format", "reload.name", "reload.limit"}
    assert shown["reload.name"]["value"] == "of-the-file"
    answer = post(it.host, {"reload.name": "by \"hand\" \u00e4", "reload.limit": 7})
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.text)["changed"] == [
        {"option": "reload.name", "value": "by \"hand\" \u00e4", "before": "of-the-file"},
        {"option": "reload.limit", "value": "7", "before": "1"}]
    assert (it.answer()["name"], it.answer()["limit"]) == ("by \"hand\" \u00e4", "7")
    assert options(it.host)["reload.limit"]["origin"] == "control"
    mine = {o["key"]: o for o in admin.page(it.host, "/plugins")[0]["options"]}
    assert (mine["limit"]["value"], mine["limit"]["origin"]) == ("7", "control")
    it.host.wait_line(rf"level=notice .*changed by uid {os.getuid()}, pid {os.getpid()}: reload.limit = 7 \(it was 1\)")
    assert it.counts() == (1, 0)
    # What is not set, and set again: the rest stays.
    assert post(it.host, {"reload.limit": "8"}).status == 200
    assert (it.answer()["name"], it.answer()["limit"]) == ("by \"hand\" \u00e4", "8")


def test_the_log_s_level(begin):
    it = begin()
    assert post(it.host, {"host.log-level": "debug", "host.log-format": "json"}).status == 200
    it.host.wait_line('"level":"(debug|notice)"')
    shown = {o["key"]: o for o in admin.page(it.host, "/status")["options"]}
    assert (shown["log-level"]["value"], shown["log-level"]["origin"]) == ("debug", "control")
    assert post(it.host, {"host.log-level": "err"}).status == 200


@pytest.mark.parametrize("body,status,words", [
    ({"reload.limit": "many"}, 422, "reload.limit"),
    ({"reload.limit": "101"}, 422, "reload.limit"),
    ({"reload.name": "new", "reload.limit": "101"}, 422, "reload.limit"),
    ({"reload.name": "new", "host.log-level": "debug"}, 422, "one plugin"),
    ({"reload.name": "new", "reload.fixed": "b"}, 422, "cannot be changed while"),
    ({"host.workers": "3"}, 422, "cannot be changed while"),
    ({"host.admin-token-file": "/etc/hostname"}, 422, "cannot be changed while"),
    ({"reload.odd": "1"}, 422, "no such option"),
    ({"relod.name": "1"}, 422, "no plugin"),
    ({"name": "1"}, 422, "ID.KEY"),
    ({}, 422, "no option"),
    ("", 400, "no JSON"),
    ("[]", 400, "no object"),
    ("{\"reload.name\": \"new\"", 400, "line 1, column 21: '}' expected near end of file"),
    ("{\"reload.name\": {}}", 400, "no string"),
    ("{\"reload.name\": \"a\", \"reload.name\": \"b\"}", 400, "duplicate"),
    ("{\"reload.name\": \"a\\u0000b\"}", 400, "\\u0000 is not taken"),
])
def test_what_is_refused_changes_nothing(begin, body, status, words):
    it = begin()
    before = options(it.host), it.answer()
    answer = post(it.host, body)
    assert answer.status == status and words in answer.text, answer
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert (options(it.host), it.answer()) == before
    assert it.counts() == (0, 1 if status == 422 else 0)
    assert post(it.host, {"reload.name": "new"}).status == 200, "it goes on"


def test_a_change_that_takes_long_holds_up_nobody_else(begin):
    """13.3. How the waiting connection is put off: tests/unit/admin/test_http.c."""
    it = begin(args=["--shutdown-timeout", "1s"])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, it.host, {"reload.name": "hang"})
        it.host.wait_line('component=reload msg="?reconfigure')
        for path in ("/metrics", "/status", "/control", "/"):
            assert admin.ask(it.host, path).status == 200
        answer = post(it.host, {"reload.name": "another"})
        assert answer.status == 503 and "another change is under way" in answer.text
        assert answer.headers["Retry-After"] == "1"
        answer = first.result()
        assert answer.status == 503 and "goes on" in answer.text
        assert "Retry-After" not in answer.headers, "what has become of it is seen at /control"
    assert admin.ask(it.host, "/healthz").status in (200, 503)
    it.host.signal(signal.SIGTERM)
    assert it.host.wait() == 1, "it hangs: the watch ends it"


def test_changes_at_once_are_done_one_after_the_other(begin):
    """While the configuration is read again all the time. Most were refused at once, by a 503 that did not say what
    to do."""
    it = begin()

    def change(value):
        answer = post(it.host, {"reload.limit": value})
        while answer.status == 503 and "Retry-After" in answer.headers:
            answer = post(it.host, {"reload.limit": value})
        return answer

    with ThreadPoolExecutor(4) as pool:
        changes = [pool.submit(change, i) for i in range(20)]
        while not all(change.done() for change in changes):
            it.host.signal(signal.SIGHUP)
        answers = [change.result() for change in changes]
    assert [answer.status for answer in answers] == [200] * 20, answers
    assert it.counts() == (20, 0)


def test_a_reload_goes_by_the_file_again(begin):
    it = begin()
    assert post(it.host, {"reload.name": "by hand"}).status == 200
    mark = it.host.mark()
    it.host.signal(signal.SIGHUP)
    line = it.host.wait_line("these options change", start=mark)
    assert "reload.name" in line.string
    assert it.answer()["name"] == "of-the-file"
    assert options(it.host)["reload.name"]["origin"].endswith("host.ini:2")


def test_no_get_changes_anything(begin):
    """Every page there is, by GET and HEAD, with what a POST would have."""
    it = begin()
    before = options(it.host), it.answer()
    body = json.dumps({"reload.name": "by GET"})
    pages = admin.ask(it.host, "/no-such-page").text.split()
    assert "/control" in pages
    for path in pages:
        for method in ("GET", "HEAD"):
            for target in (path, path + "?reload.name=by-GET"):
                assert admin.ask(it.host, target, method, body=body, headers=JSON).status == 200, (method, target)
    assert (options(it.host), it.answer()) == before
    assert it.counts() == (0, 0)


def test_over_tcp_it_takes_the_token(start, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o640)
    host = start("reload", env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_ADMIN_TOKEN_FILE": str(token)})
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    change = {"reload.name": "new"}
    assert post(host, change).status == 401
    assert post(host, change, Authorization="Bearer wrong").status == 401
    assert post(host, change, **bearer, Origin="http://evil.example").status == 403
    assert post(host, change, **bearer, Host="evil.example").status == 421
    assert admin.ask(host, "/control", "POST", body="{}", headers=bearer).status == 415
    assert options(host)["reload.name"]["value"] != "new"
    assert post(host, change, **bearer).status == 200
    host.wait_line(r"changed by 127\.0\.0\.1:\d+: reload.name = new")
    # SIGHUP reads the token again.
    token.write_text("another-token-of-letters\n")
    mark = host.mark()
    host.signal(signal.SIGHUP)
    host.wait_line("configuration read again", start=mark)
    assert post(host, change, **bearer).status == 401
    assert post(host, change, Authorization="Bearer another-token-of-letters").status == 200
    assert TOKEN not in host.text() and "another-token" not in host.text()


def test_a_token_of_everybody_is_said_once_for_each_load(start, open_folder):
    token = open_folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o644)
    warning = f"level=warning .*admin-token-file: {token}: its mode is 0644: every user may read the secret in it"
    host = start("reload", env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_ADMIN_TOKEN_FILE": str(token)})
    assert post(host, {"reload.name": "new"}, Authorization=f"Bearer {TOKEN}").status == 200, "it counts all the same"
    for said in (1, 2):
        assert len(re.findall(warning, host.text())) == said, host.text()
        mark = host.mark()
        host.signal(signal.SIGHUP)
        host.wait_line("configuration read again", start=mark)
        token.chmod(0o640)
    assert len(re.findall(warning, host.text())) == 2, "whoever has mended it hears no more of it"


def test_over_tcp_without_a_token_it_is_refused(start):
    host = start("reload", env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})
    answer = post(host, {"reload.name": "new"})
    assert answer.status == 403 and "admin-token-file" in answer.text
    assert options(host)["reload.name"]["origin"] == "default"
