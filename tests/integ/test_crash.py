# SPDX-License-Identifier: Apache-2.0
"""A last line for a process that dies of a plugin's error, and the death that it would have died."""

import json
import os
import re
import resource
import signal
import subprocess

import pytest

from conftest import PLUGINS, host_args
from lib.procs import Proc, clean_env, host_binary
from test_watch import trouble

DEATHS = {
    "segv": (signal.SIGSEGV, "SIGSEGV"), "bus": (signal.SIGBUS, "SIGBUS"),
    "fpe": (signal.SIGFPE, "SIGFPE"), "ill": (signal.SIGILL, "SIGILL"),
    "abort": (signal.SIGABRT, "SIGABRT"), "deep": (signal.SIGSEGV, "SIGSEGV"),
}


def is_built_with(sanitizer):
    with open(host_binary(), "rb") as binary:
        return sanitizer in binary.read()


ASAN = is_built_with(b"__asan_init")
SANITIZED = ASAN or is_built_with(b"__tsan_init")


def died(status, number):
    """A sanitizer has the last word where it is built in: abort_on_error, or a status of its own."""
    return status == -number or (SANITIZED and status != 0)


@pytest.mark.parametrize("what", DEATHS)
@pytest.mark.parametrize("at", ["configure", "handle"])
def test_a_crash_names_plugin_call_and_file(start, connect, at, what):
    """2.8: on the main thread and on a worker's; a full stack as well. Then it dies as it would."""
    number, name = DEATHS[what]
    host = start("trouble", args=["--workers", "1", *trouble(at, what)], wait=at == "handle")
    if at == "handle":
        client = connect(host)
        client.hello()
        client.notify([("trouble", {"text": "now"})])
    assert died(host.wait(), number), host.report()
    thread = "worker-0" if at == "handle" else "main"
    line = host.wait_line(rf"level=error component=host .*{name}: .*").group()
    assert f"{thread} is in {at}() of plugin trouble ({PLUGINS}/trouble.so)" in line, line
    assert re.search(r" at 0x[0-9a-f]+ in /\S+\.so", line), line
    # AddressSanitizer's own handler goes on working.
    if ASAN and what in ("segv", "deep"):
        assert "AddressSanitizer: " in host.text(), host.report()
    # What was logged before has come out before.
    assert host.text().index(f"trouble in {at}") < host.text().index(f"{name}: "), host.report()


@pytest.mark.parametrize("what", ["segv", "hang"])
def test_a_posted_function_is_its_plugins(start, connect, what):
    """2.8: whoever called post(), and on whichever thread; before, the plugin was named "?"."""
    host = start("good", "trouble", args=["--workers", "1", "--shutdown-timeout", "1s", *trouble("posted", what)])
    client = connect(host)
    client.hello()
    client.notify([("trouble", {"text": "now"})])
    host.wait_line("trouble in posted")
    if what == "hang":
        assert host.terminate() == 1
    else:
        assert died(host.wait(), signal.SIGSEGV), host.report()
    host.wait_line(rf"worker-0 is in a posted function of plugin trouble \({PLUGINS}/trouble\.so\)")


def test_a_crash_on_a_plugins_own_thread(start, connect):
    """2.8: the thread's name, and the file that the code is in."""
    host = start("trouble", args=trouble("handle", "thread"))
    client = connect(host)
    client.hello()
    client.notify([("trouble", {"text": "now"})])
    assert died(host.wait(), signal.SIGSEGV), host.report()
    host.wait_line(rf"SIGSEGV: thread troublemaker, address 0x0, at 0x[0-9a-f]+ in {PLUGINS}/trouble\.so")


def test_threads_that_crash_together(start):
    """2.8: whichever is first has its line, and the other does not end the process before."""
    for _ in range(10):
        host = start("trouble", args=trouble("configure", "threads"), wait=False)
        assert died(host.wait(), signal.SIGSEGV), host.report()
        assert host.count("SIGSEGV: ") == 1, host.report()


def test_a_crash_at_an_address_that_cannot_be(start):
    """2.8: the kernel tells none, which is not 0x0."""
    host = start("trouble", args=trouble("configure", "wild"), wait=False)
    assert died(host.wait(), signal.SIGSEGV)
    line = host.wait_line(r"SIGSEGV: .*").group()
    assert ", at 0x" in line
    assert ", address 0x0," not in line


def test_a_crash_as_json(start):
    """2.8: in the format that was asked for"""
    host = start("trouble", args=["--log-format", "json", *trouble("configure", "segv")], wait=False)
    assert died(host.wait(), signal.SIGSEGV)
    lines = [json.loads(line) for line in host.lines if line.startswith("{")]
    assert lines[-1]["level"] == "error" and "plugin trouble" in lines[-1]["msg"]


def test_a_signal_from_outside(start):
    """2.8: kill -SEGV: named too, and it dies."""
    host = start("slots")
    host.signal(signal.SIGSEGV)
    assert died(host.wait(), signal.SIGSEGV)
    host.wait_line(r"level=error .*SIGSEGV: thread ")


def test_core_dumps_go_on_working(tmp_path):
    """2.8: the disposition is the default one again when it dies, so the kernel's verdict is "core
    dumped" wherever a core may be written."""
    if SANITIZED:
        return  # a sanitizer asks for no core: its shadow memory is too large

    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    popen = subprocess.Popen([host_binary(), *host_args("trouble"), *trouble("configure", "segv")],
                             env=clean_env(), preexec_fn=allow, cwd=tmp_path,
                             stderr=subprocess.DEVNULL)
    _, status = os.waitpid(popen.pid, 0)
    popen.returncode = status
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as pattern:
        if pattern.read().strip():
            assert os.WCOREDUMP(status)


# -- exit()


@pytest.mark.parametrize("command", [[], ["-t"], ["--print-spoe-config"]], ids=["run", "-t", "print"])
@pytest.mark.parametrize("at", ["configure", "destroy"])
def test_exit_in_a_call_is_named(command, at):
    """2.8 H7: status 70, under every command."""
    if at == "destroy" and not command:
        command = ["--shutdown-timeout", "20s"]
    with Proc([host_binary(), *host_args("trouble"), *command, *trouble(at, "exit")],
              env=clean_env({"SPOE_ADDR": "127.0.0.1:0"})) as host:
        if command and command[0] == "--shutdown-timeout":
            host.wait_line(r'msg="ready"')
            host.signal(signal.SIGTERM)
        assert host.wait() == 70, host.report()
        host.wait_line(rf"level=error .*exit\(\) was called: main is in {at}\(\) of plugin trouble "
                       rf"\({PLUGINS}/trouble\.so\)")


def test_exit_on_a_worker(start, connect):
    """2.8"""
    host = start("trouble", args=["--workers", "1", *trouble("handle", "exit")])
    client = connect(host)
    client.hello()
    client.notify([("trouble", {"text": "now"})])
    assert host.wait() == 70
    host.wait_line(r"exit\(\) was called: worker-0 is in handle\(\) of plugin trouble")


@pytest.mark.parametrize("command", ["--plugin-info", "-t"])
@pytest.mark.parametrize("name,where", [("exit_entry", "spoe_plugin_entry_v1()"),
                                        ("exit_constructor", "dlopen()")])
def test_exit_while_it_is_loaded(command, name, where):
    """2.8 H7: in the entry function, and in a constructor of the file."""
    args = [command, f"{PLUGINS}/{name}.so"] if command != "-t" else ["-t", *host_args(name)]
    with Proc([host_binary(), *args], env=clean_env()) as host:
        assert host.wait() == 70, host.report()
        line = host.wait_line(r"exit\(\) was called.*").group()
        assert where in line and f"{name}.so" in line, line
