# SPDX-License-Identifier: Apache-2.0
"""spoe.reload/1 in a running host: data that is built anew while messages are answered (12.2)."""

import os
import signal

import pytest

from lib import admin
from lib.procs import wait_until

ENV = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}


@pytest.fixture
def live(start, connect, tmp_path):
    class Live:
        def __init__(self):
            self.path = tmp_path / "text"

        def begin(self, text="one\n", *args, plugins=("live",)):
            if text is not None:
                self.path.write_text(text)
            self.host = start(*plugins, env=ENV,
                              args=["--set", f"live.file={self.path}", *args])
            self.client = connect(self.host)
            self.client.hello()
            return self

        def replace(self, text):
            new = tmp_path / "new"
            new.write_text(text)
            os.rename(new, self.path)

        def answer(self):
            return self.client.ask("base-live").variables.get("text")

        def wait(self, text):
            wait_until(lambda: self.answer() == text, text)

        def builds(self, result):
            return admin.metrics(self.host)["spoe_host_data_builds_total"].value(
                plugin="live", source="text", result=result)

    return Live()


def test_a_change_is_taken_and_the_old_state_released(live):
    live.begin("one\n", "--workers", "2")
    assert live.answer() == "one"
    live.replace("two\n")
    live.wait("two")
    live.host.wait_line("released one")
    live.path.write_text("three\n")
    live.wait("three")
    assert live.builds("success") == 3 and live.builds("failure") == 0
    assert admin.metrics(live.host)["spoe_host_data_last_build_success_timestamp_seconds"].value(
        plugin="live", source="text") > 0
    assert live.host.terminate() == 0, live.host.report()
    assert any("released three" in line for line in live.host.lines)


def test_what_is_broken_is_said_and_counted_and_the_old_state_stays(live):
    live.begin()
    live.replace("broken\n")
    live.host.wait_line(r"text:1: broken")
    live.host.wait_line(r"text: not built: .*what was there stays in use")
    assert live.answer() == "one" and live.builds("failure") == 1
    live.replace("two\n")
    live.wait("two")
    assert live.host.terminate() == 0, live.host.report()


def test_sighup_builds_what_has_not_changed(live):
    live.begin()
    live.host.signal(signal.SIGHUP)
    wait_until(lambda: live.builds("success") == 2, "a second build")
    assert live.answer() == "one"
    assert live.host.terminate() == 0, live.host.report()


def test_a_start_without_what_is_required_fails(live, start, tmp_path):
    host = start("live", args=["--set", f"live.file={tmp_path}/none"], wait=False)
    assert host.wait() == 1
    assert any("plugin live: text: build() failed" in line for line in host.lines)


def test_what_is_not_required_comes_later(live):
    live.begin(None, "--set", "live.required=off")
    assert live.answer() is None
    live.replace("late\n")
    live.wait("late")
    assert live.host.terminate() == 0, live.host.report()


def test_sigterm_ends_a_build_that_asks(live):
    live.begin()
    live.replace("wait\n")
    live.host.wait_line("building")
    assert live.answer() == "one"  # no worker waits for it
    assert live.host.terminate() == 0, live.host.report()


def test_sigterm_does_not_wait_for_a_build_beyond_the_deadline(live):
    """The others are stopped in order, then the watch names who is late."""
    live.begin("one\n", "--shutdown-timeout", "2s", plugins=("live", "lifecycle"))
    live.replace("hang\n")
    live.host.wait_line("building")
    live.host.signal(signal.SIGTERM)
    assert live.host.wait() == 1
    assert any("reload-0 is in build() of plugin live" in line for line in live.host.lines)
    assert not any("component=live msg=stop" in line for line in live.host.lines)
    assert any("component=lifecycle" in line and "call stop" in line for line in live.host.lines)


def test_sigterm_at_the_start_ends_a_build(live, start):
    live.path.write_text("wait\n")
    host = start("live", args=["--set", f"live.file={live.path}"], wait=False)
    host.wait_line("building")
    assert host.terminate() == 0, host.report()
