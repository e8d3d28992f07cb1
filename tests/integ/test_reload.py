# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the configuration is read again while the host serves (2.7)."""

import json
import os
import re
import signal

import pytest

from conftest import host_args
from lib import admin
from lib.procs import clean_env, host_binary, run, wait_until

DONE = r'configuration (not )?read again'


class Reloadable:
    """A host with the plugin `reload`, its file, and a client."""

    def __init__(self, start, connect, path, env=None, args=()):
        self.path = path
        self.write("")
        self.host = start("reload", args=["-f", path, *args],
                          env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_ADDR": "127.0.0.1:0",
                               **(env or {})})
        self.client = connect(self.host)
        self.client.hello()

    def write(self, text):
        self.path.write_text(text)

    def reload(self, text=None):
        """Write the file, SIGHUP; the lines that the host logs until it is done."""
        if text is not None:
            self.write(text)
        mark = self.host.mark()
        self.host.signal(signal.SIGHUP)
        self.host.wait_line(DONE, start=mark)
        return self.host.lines[mark:]

    def answer(self):
        """On the connection that was there before: nobody is disconnected."""
        return self.client.ask("base-reload").variables

    def counts(self):
        family = admin.metrics(self.host)["spoe_host_config_reloads_total"]
        return (family.value(result="success"), family.value(result="failure"))


@pytest.fixture
def begin(start, connect, tmp_path):
    def make(**more):
        return Reloadable(start, connect, tmp_path / "host.ini", **more)

    return make


def lines_with(lines, *words):
    return [line for line in lines if all(word in line for word in words)]


def test_a_new_value_is_taken(begin):
    it = begin()
    assert it.answer() == {"name": "first", "limit": "1", "fixed": "a", "shared": "s"}
    before = admin.metrics(it.host)["spoe_host_config_last_reload_success_timestamp_seconds"].value()
    lines = it.reload("[reload]\nname = second\nlimit = 7\n")
    assert lines_with(lines, "these options change", "reload.name, reload.limit")
    assert not lines_with(lines, "level=error") and not lines_with(lines, "level=warning")
    assert it.answer() == {"name": "second", "limit": "7", "fixed": "a", "shared": "s"}
    assert it.counts() == (1, 0)
    after = admin.metrics(it.host)["spoe_host_config_last_reload_success_timestamp_seconds"].value()
    assert after >= before
    options = {o["key"]: o for o in admin.page(it.host, "/plugins")[0]["options"]}
    assert options["name"]["value"] == "second" and options["name"]["origin"].endswith("host.ini:2")
    # Back to the default.
    it.reload("")
    assert it.answer()["name"] == "first"
    assert it.host.terminate() == 0


def test_nothing_changed(begin):
    it = begin()
    lines = it.reload("# a comment\n[reload]\nname = first\n")
    assert lines_with(lines, "no option changes") and len(lines) == 1
    assert it.host.count("call reconfigure|msg=reconfigure") == 0
    assert it.counts() == (1, 0)


@pytest.mark.parametrize("text,words", [
    ("[reload]\nname = second\nlimit = many\n", ["reload.limit", "many"]),
    ("[reload]\nname = second\nlmit = 2\n", ["reload.lmit", "did you mean limit"]),
    ("[host]\nlog-level = debug\nlog-format = xml\n", ["host.log-format", "xml"]),
    ("[host]\nlog-level = debug\nsocket-group = no-such\n", ["host.socket-group", "no-such"]),
    ("[reload]\nname = second\nno key and no value\n", ["neither"]),
    ("[relod]\nname = second\n", ["relod", "did you mean [reload]"]),
])
def test_a_bad_file_changes_nothing(begin, text, words):
    it = begin()
    it.reload("[reload]\nname = before\n")
    lines = it.reload(text)
    assert lines_with(lines, "level=error", *words), lines
    assert lines_with(lines, "level=error", "nothing changes")
    assert it.answer() == {"name": "before", "limit": "1", "fixed": "a", "shared": "s"}
    assert it.counts() == (1, 1)
    assert not lines_with(it.host.lines, "level=debug")
    # What was wrong is mended: the next one takes.
    it.reload("[reload]\nname = after\n")
    assert it.answer()["name"] == "after" and it.counts() == (2, 1)


def test_every_error_is_named(begin):
    it = begin()
    lines = it.reload("[host]\nworkers = none\n[reload]\nlimit = 101\nodd = 1\n")
    for word in ("host.workers", "reload.limit", "reload.odd"):
        assert len(lines_with(lines, "level=error", word)) == 1, lines


def test_a_file_that_is_gone(begin):
    it = begin()
    it.path.unlink()
    lines = it.reload()
    assert lines_with(lines, "level=error", "host.ini")
    assert it.answer()["name"] == "first" and it.counts() == (0, 1)


def test_what_needs_a_restart_is_named_in_one_line(begin):
    it = begin()
    lines = it.reload("[host]\nworkers = 3\nmax-pending = 17\n[reload]\nfixed = b\nname = second\n")
    (line,) = lines_with(lines, "needs a restart")
    assert "host.workers" in line and "host.max-pending" in line and "reload.fixed" in line
    assert "level=warning" in line and "reload.name" not in line
    # The others are taken, and the plugin sees the value that it runs with.
    assert it.answer() == {"name": "second", "limit": "1", "fixed": "a", "shared": "s"}
    assert it.counts() == (1, 0)
    options = {o["key"]: o["value"] for o in admin.page(it.host, "/plugins")[0]["options"]}
    assert options["fixed"] == "a" and options["name"] == "second"
    options = {o["key"]: o["value"] for o in admin.page(it.host, "/status")["options"]}
    assert options["max-pending"] == "10000"
    # Also the next time: it still waits for the restart.
    assert lines_with(it.reload(), "needs a restart", "reload.fixed")


def test_what_the_file_sets_in_vain_is_named_in_one_line(begin):
    it = begin(env={"TEST_RELOAD_NAME": "of-env", "SPOE_LOG_LEVEL": "info"},
               args=["--set", "reload.limit=5"])
    assert it.answer()["name"] == "of-env"
    lines = it.reload("[host]\nlog-level = err\n[reload]\nname = of-file\nlimit = 6\nfixed = a\n")
    (line,) = lines_with(lines, "in vain")
    for word in ("host.log-level", "reload.name", "reload.limit"):
        assert word in line
    assert "fixed" not in line  # the same value, or one that counts, is not in vain
    assert it.answer() == {"name": "of-env", "limit": "5", "fixed": "a", "shared": "s"}


def test_what_the_file_sets_in_vain_is_named_at_the_start_too(start, tmp_path):
    """As under systemd, whose unit sets SPOE_ADDR."""
    path = tmp_path / "host.ini"
    path.write_text("[host]\nlisten = 127.0.0.1:1\nworkers = 1\n[reload]\nname = of-file\nlimit = 6\n")
    args = ["-f", path, "--set", "reload.limit=5", "--workers", "1"]
    env = {"SPOE_ADDR": "127.0.0.1:0", "SPOE_ADMIN_ADDR": "off"}
    status, out = run([host_binary(), "-t", *host_args("reload"), *args], env=clean_env(env))
    assert status == 0, out
    for lines in (out.splitlines(), start("reload", args=args, env=env).lines):
        listen, limit = lines_with(lines, "level=warning", "in vain")
        assert "host.listen" in listen and "environment SPOE_ADDR" in listen
        assert "reload.limit" in limit and "command line" in limit


@pytest.mark.parametrize("name,words", [("bad", ["reload.name", "a bad name", "host.ini:2"]),
                                        ("broken", ["reconfigure()", "SPOE_E_INTERNAL"])])
def test_a_plugin_that_refuses_keeps_all_that_it_had(begin, name, words):
    it = begin()
    lines = it.reload(f"[reload]\nname = {name}\nlimit = 9\n[host]\nlog-format = json\n")
    text = "\n".join(lines)
    for word in words:
        assert word in text
    assert "none of its changes was taken: reload.name, reload.limit" in text
    assert it.answer() == {"name": "first", "limit": "1", "fixed": "a", "shared": "s"}
    assert it.counts() == (0, 1)
    options = {o["key"]: o["value"] for o in admin.page(it.host, "/plugins")[0]["options"]}
    assert options["name"] == "first" and options["limit"] == "1"


def test_log_level_and_format(begin):
    it = begin()
    it.reload("[host]\nlog-level = debug\nlog-format = json\n")
    last = json.loads(it.host.lines[-1])
    assert last["level"] == "notice" and "host.log-level, host.log-format" in last["msg"]
    options = {o["key"]: o["value"] for o in admin.page(it.host, "/status")["options"]}
    assert options["log-level"] == "debug"
    mark = it.host.mark()
    it.write("[host]\nlog-level = err\n")
    it.host.signal(signal.SIGHUP)
    wait_until(lambda: it.counts() == (2, 0), "the second reload")
    assert it.host.lines[mark:] == []
    assert it.host.terminate() == 0


def test_an_error_is_one_whatever_reconfigure_returns(begin):
    """2.7: reported by config_error(), and SPOE_OK after it."""
    it = begin()
    lines = it.reload("[reload]\nname = torn\n")
    assert lines_with(lines, "level=error", "reload.name: neither one nor the other")
    assert lines_with(lines, "level=error", "reported an error and returned SPOE_OK")
    assert lines_with(lines, "level=error", "may use them: reload.name")
    assert it.counts() == (0, 1)
    assert not lines_with(lines, "these options change")
    lines = it.reload("[reload]\nname = second\n")
    assert lines_with(lines, "these options change: reload.name")
    assert it.answer()["name"] == "second"


def test_a_reload_that_does_not_return_is_seen(begin, connect):
    """2.2: the main thread accepts nothing meanwhile; /readyz and a metric say so."""
    it = begin(args=["--shutdown-timeout", "500ms"])
    assert admin.ask(it.host, "/readyz").status == 200
    assert admin.metrics(it.host)["spoe_host_main_stalled"].value() == 0
    it.write("[reload]\nname=hang\n")
    it.host.signal(signal.SIGHUP)
    it.host.wait_line("reconfigure")

    def stalled():
        answer = admin.ask(it.host, "/readyz")
        return answer if answer.status == 503 else None

    answer = wait_until(stalled, "the main thread to be seen not to turn", interval=0.2)
    assert re.search(r"the main thread does not turn: .*main is in reconfigure\(\) of plugin reload",
                     answer.text)
    assert admin.metrics(it.host)["spoe_host_main_stalled"].value() == 1
    assert it.answer()["name"] == "first"
    assert it.host.terminate() == 1


def test_a_shared_variable_that_the_plugin_refused_at_start(begin):
    """It was passed over then; it does not look like a change now."""
    it = begin(env={"TEST_RELOAD_SHARED": "odd"})
    assert it.answer()["shared"] == "s"
    lines = it.reload("[reload]\nname = second\n")
    assert not lines_with(lines, "needs a restart")
    assert it.answer()["name"] == "second"


def test_without_a_file(start, connect):
    host = start("reload")
    client = connect(host)
    client.hello()
    host.signal(signal.SIGHUP)
    host.wait_line("no option changes")
    assert client.ask("base-reload").variables["name"] == "first"
    assert host.terminate() == 0


def test_a_plugin_without_reconfigure(start, connect, tmp_path):
    """It says that an option can change, and has no function for it: that needs a restart."""
    path = tmp_path / "host.ini"
    path.write_text("")
    host = start("reloadable_only", args=["-f", path], env={"SPOE_ADDR": "127.0.0.1:0"})
    path.write_text("[reloadable-only]\nword = new\n")
    host.signal(signal.SIGHUP)
    host.wait_line("needs a restart: reloadable-only.word")
    host.wait_line(DONE)
    assert host.terminate() == 0


def test_reloads_under_load(begin, connect):
    """Answers go on, each of one policy or the other."""
    it = begin()
    for i in range(40):
        it.write(f"[reload]\nname = n{i}\nlimit = {i}\n")
        it.host.signal(signal.SIGHUP)
        for _ in range(20):
            answer = it.answer()
            assert answer["name"] in ("first", f"n{answer['limit']}"), answer
    wait_until(lambda: sum(it.counts()) >= 1, "a reload")
    it.reload("[reload]\nname = last\n")
    assert it.answer()["name"] == "last" and it.counts()[1] == 0
    assert it.host.terminate() == 0


def test_a_file_that_would_have_to_be_waited_for(begin, connect):
    """2.1, 2.7: before, the thread that accepts connections waited for it."""
    it = begin()
    it.path.unlink()
    os.mkfifo(it.path)
    for what in ("a pipe", "a device"):
        lines = it.reload()
        assert lines_with(lines, "level=error", "host.ini: not a regular file"), (what, lines)
        it.path.unlink()
        it.path.symlink_to("/dev/zero")
    assert it.counts() == (0, 2)
    connect(it.host).hello()
    it.path.unlink()
    it.path.symlink_to("/dev/null")
    assert lines_with(it.reload(), "no option changes")
    assert it.host.terminate() == 0


def test_sighup_while_it_starts_and_while_it_ends(start, tmp_path):
    """2.7: before, it ended the process."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    host = start("slow_start", args=["--set", f"slow-start.pipe={pipe}"], wait=False)
    host.wait_line("component=slow-start .*starting")
    for _ in range(5):
        host.signal(signal.SIGHUP)
    pipe.write_bytes(b"x")
    host.wait_ready()
    host.wait_line(DONE)
    host.signal(signal.SIGTERM)
    for _ in range(20):
        if host.alive():
            host.signal(signal.SIGHUP)
    assert host.wait() == 0
