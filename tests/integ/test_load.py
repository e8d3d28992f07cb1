# SPDX-License-Identifier: Apache-2.0
"""Loading plugins, configuration, and the commands that do not serve: -t, --plugin-info,
--print-spoe-config, --version."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import PLUGINS, host_args
from lib.procs import LIMIT, clean_env, host_binary, run

HAPROXY = os.environ.get("HAPROXY") or shutil.which("haproxy") or "/usr/sbin/haproxy"


def host(*args, env=None):
    """Run spoe-host to its end: (exit status, output). It must not get as far as serving."""
    return run([host_binary(), *args], env=clean_env({"SPOE_ADDR": "127.0.0.1:0", **(env or {})}))


def spoe_config(*args):
    """What --print-spoe-config writes to standard output, and nothing of the log."""
    got = subprocess.run([host_binary(), "--print-spoe-config", *args], env=clean_env(), timeout=LIMIT,
                         stdout=subprocess.PIPE, text=True, check=True)
    return got.stdout


def errors(text):
    """The lines of level err."""
    return [line for line in text.splitlines() if re.search(r"level=error\b", line)]


@pytest.mark.parametrize("test_only", [True, False], ids=["-t", ""])
@pytest.mark.parametrize("name,words", [
    ("no_entry", ["spoe_plugin_entry_v1"]),
    ("null_entry", []),
    ("wrong_magic", ["magic"]),
    ("wrong_major", ["2.3", "1.1"]),
    ("short_size", ["64"]),
    ("newer_minor", ["1.9", "1.1"]),
    ("null_handle", ["handle"]),
    ("null_configure", ["configure"]),
    ("bad_id", ["Bad Id"]),
    ("host_id", ["host"]),
    ("bad_option", ["odd"]),
    ("bad_default", ["colour"]),
    ("bad_message", ["two words"]),
    ("configure_fails", ["configure"]),
])
def test_a_bad_plugin_stops_the_start_with_one_message(name, words, test_only):
    args = [*host_args("good", name), *(["-t"] if test_only else [])]
    status, text = host(*args)
    assert status == 1, text
    lines = errors(text)
    assert len(lines) == 1, text
    for word in [f"{name}.so", *words]:
        assert word in lines[0], text
    # Both versions: the ABI's of the host, and the plugin's where it has one.
    if name not in ("no_entry", "null_entry", "wrong_magic"):
        assert "1.1" in lines[0], text
    assert "ready" not in text


def test_a_file_that_is_no_library(tmp_path):
    (tmp_path / "text.so").write_text("not a library")
    status, text = host("--plugin-dir", tmp_path)
    assert status == 1 and "text.so" in text and len(errors(text)) == 1, text


@pytest.mark.parametrize("size", [64, 1000, 5000])
def test_a_library_that_was_copied_in_part(tmp_path, size):
    """The loader by itself would end the process with SIGBUS and no word."""
    whole = (pathlib.Path(PLUGINS) / "good.so").read_bytes()
    (tmp_path / "part.so").write_bytes(whole[:size])
    for command in (["-t"], [], ["--plugin-info", tmp_path / "part.so"]):
        status, text = host("--plugin-dir", tmp_path, *command)
        assert status == 1 and len(errors(text)) == 1, text
        assert "part.so" in text and re.search("too early|file too short|cannot read", text), text


def test_a_plugin_that_is_not_there():
    status, text = host(*host_args("good", "missing"))
    assert status == 1 and "missing.so" in text and len(errors(text)) == 1, text


def test_a_directory_that_is_not_there(tmp_path):
    status, text = host("--plugin-dir", tmp_path / "none")
    assert status == 1 and "none" in text, text


def test_start_without_a_plugin_is_refused_or_said(tmp_path):
    """An empty directory: nothing was asked for, so whatever the host does it has to say so."""
    status, text = host("-t", "--plugin-dir", tmp_path)
    assert status in (0, 1) and re.search(r"no plugin|0 plugins", text), text


@pytest.mark.parametrize("name,level", [("start_fails", 2), ("worker_start_fails", 2)])
def test_a_start_that_fails_stops_the_host(name, level):
    status, text = host(*host_args("good", name, "lifecycle"), "--workers", str(level))
    assert status == 1, text
    (line,) = errors(text)
    for word in (name.replace("_", "-"), f"{name}.so", "version 1.2.3", "host ABI 1.1"):
        assert word in line, line
    assert re.search(r"start\(\) failed with \S+ \(-\d+\) ", line), line
    assert 'msg="ready"' not in text and "msg=ready" not in text
    # The plugins that were started are stopped and destroyed.
    if "call start" in text:
        assert "call stop" in text, text
    assert "call destroy" in text, text


def test_two_plugins_with_one_id():
    status, text = host(*host_args("dup_a", "dup_b"))
    assert status == 1, text
    (line,) = errors(text)
    for word in ("dup_a.so", "dup_b.so", "dup"):
        assert word in line


def test_two_plugins_that_differ_about_an_argument():
    status, text = host(*host_args("shared_a", "shared_conflict"))
    assert status == 1, text
    (line,) = errors(text)
    for word in ("shared-a", "shared-conflict", "shared", "path", "url"):
        assert word in line, line


def test_two_plugins_that_agree():
    status, text = host("-t", *host_args("shared_a", "shared_b"))
    assert status == 0, text


def test_a_plugin_built_for_a_newer_minor_that_does_not_need_it():
    status, text = host("-t", *host_args("newer_built"))
    assert status == 0, text


def test_order_of_plugins(tmp_path):
    """A list is taken in its order, a directory by name, directories one after the other."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    for where, name in ((one, "shared_b"), (one, "good"), (two, "error"), (two, "slots")):
        shutil.copy(PLUGINS / f"{name}.so", where)
    (one / "README.txt").write_text("not a plugin")

    def order(*args):
        status, text = host("-t", "--log-level", "debug", *args)
        assert status == 0, text
        found = []
        for name in re.findall(r"(?:one|two)/(\w+)\.so", text):
            if name not in found:
                found.append(name)
        return found

    assert order("--plugin-dir", f"{one}:{two}") == ["good", "shared_b", "error", "slots"]
    assert order("--plugin-dir", f"{two}:{one}") == ["error", "slots", "good", "shared_b"]
    assert order("--plugin-dir", f"{one}:{two}", "--plugins", "slots.so,good.so") == ["slots", "good"]
    assert order("--plugins", f"{two}/slots.so,{one}/good.so") == ["slots", "good"]


# -- configuration


def test_several_errors_in_one_run(tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text("[host]\nworkers = 0\nno-such-key = 1\n\n[slots]\ncolour = red\n[nobody]\na = b\n")
    status, text = host("-t", "-f", conf, *host_args("slots"), "--max-pending", "many",
                        env={"SPOE_LOG_LEVEL": "loud"})
    assert status == 1, text
    for word in ("host.conf:2", "host.conf:3", "no-such-key", "host.conf:6", "colour", "nobody",
                 "max-pending", "SPOE_LOG_LEVEL"):
        assert word in text, f"{word}\n{text}"


def test_errors_of_configure_are_all_told_with_their_origin(tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text("[config-error]\ntwo = 22-secret\n")
    status, text = host("-t", "-f", conf, *host_args("config_error"), env={"TEST_ONE": "5"})
    assert status == 1, text
    assert re.search(r"environment TEST_ONE: config-error.one: too small for me", text), text
    assert re.search(r"host\.conf:2: config-error.two: not to my taste", text), text
    assert "22-secret" not in text


@pytest.mark.parametrize("args,env", [
    (["--workers", "65536"], {}), (["--max-frame-size", "255"], {}),
    (["--processing-timeout", "soon"], {}), (["--listen", "nonsense"], {}),
    (["--listen", "127.0.0.1:99999"], {}), (["--log-format", "xml"], {}),
    (["--no-such-option"], {}), (["--no-such-option=1"], {}), (["-x"], {}), (["stray"], {}),
    (["--set", "nobody.key=1"], {}), (["--set", "slots.none=1"], {}), (["--set", "malformed"], {}),
    (["--workers"], {}), (["--set"], {}), (["-f"], {}), (["-f", "/no/such/file"], {}),
    ([], {"SPOE_WORKERS": "few"}), ([], {"SPOE_HELLO_TIMEOUT": "-1s"}),
    ([], {"SPOE_ADDR": "256.0.0.1:x"})], ids=str)
def test_bad_settings_are_refused(args, env):
    status, text = host("-t", *host_args("slots"), *args, env=env)
    assert status != 0 and text.strip(), text
    for word in [*env.values(), *[a for a in args if a.startswith("--no-such")]]:
        assert word.split("=")[0] in text


def test_one_file_only(tmp_path):
    (tmp_path / "a.ini").write_text("[host]\nworkers = 2\n")
    for args in (["-f", tmp_path / "a.ini", "--file", tmp_path / "a.ini"], ["-f"]):
        status, text = host("-t", *args)
        assert status == 1 and "command line: -f" in text and len(errors(text)) == 1, text


def test_command_line_beats_environment_beats_file(tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text("[host]\nlog-format = json\n")
    for args, env, is_json in (
            ([], {}, True), ([], {"SPOE_LOG_FORMAT": "logfmt"}, False),
            (["--log-format", "json"], {"SPOE_LOG_FORMAT": "logfmt"}, True)):
        # A bad plugin, so that there is a line to look at.
        status, text = host("-f", conf, *host_args("no_entry"), *args, env=env)
        assert status == 1
        assert text.strip().splitlines()[-1].startswith("{") == is_json, text


def test_check_says_nothing_is_wrong_and_starts_nothing():
    status, text = host("-t", *host_args("lifecycle"))
    assert status == 0, text
    assert re.findall(r"call (\w+)", text) == ["configure", "destroy"], text
    assert "listening" not in text


def test_version():
    status, text = host("--version")
    assert status == 0 and text.startswith("spoe-host ") and len(text.splitlines()) <= 3, text
    assert re.search(r"\d+\.\d+\.\d+", text)


def test_help_names_every_option():
    status, text = host("-h")
    assert status == 0
    for word in ("--listen", "--plugin-dir", "--plugins", "--workers", "--max-frame-size",
                 "--max-connections", "--processing-timeout", "--max-pending", "--hello-timeout",
                 "--shutdown-timeout", "--log-level", "--log-format", "--set", "--plugin-info",
                 "--print-spoe-config", "SPOE_ADDR", "SPOE_PLUGINS"):
        assert word in text, word


# -- the commands


def test_plugin_info():
    status, text = host("--plugin-info", PLUGINS / "pending.so")
    assert status == 0, text
    for word in ("pending", "1.1", "pending-release", "on-frontend-http-request", "key", "unique-id",
                 "required", "milliseconds", "req.hdr(x-mode)"):
        assert word in text, word
    status, text = host("--plugin-info", PLUGINS / "config_error.so")
    assert status == 0, text
    for word in ("one", "TEST_ONE", "two", "first", "100"):
        assert word in text, word


@pytest.mark.parametrize("name", ["no_entry", "wrong_major", "none_such"])
def test_plugin_info_of_a_bad_plugin(name):
    status, text = host("--plugin-info", PLUGINS / f"{name}.so")
    assert status == 1 and name in text, text


@pytest.mark.parametrize("plugins", [("slots",), ("shared_a", "shared_b"), ("pending", "good", "post"),
                                     ("shared_b", "slots", "lifecycle", "pending", "shared_a")])
def test_haproxy_accepts_what_the_host_writes(tmp_path, plugins):
    assert pathlib.Path(HAPROXY).exists(), "haproxy is needed here"
    text = spoe_config(*host_args(*plugins))
    engines = re.findall(r"^\[([^\]]+)\]", text, re.M)
    assert len(engines) == len(plugins)
    backend = re.search(r"^\s*use-backend\s+(\S+)", text, re.M).group(1)
    spoe = tmp_path / "spoe.cfg"
    spoe.write_text(text)
    filters = "\n".join(f"    filter spoe engine {engine} config {spoe}" for engine in engines)
    for name in re.findall(r"^\s*spoe-message\s+(\S+)", text, re.M):
        assert re.search(r"^\s*messages\s.*\b" + re.escape(name) + r"(\s|$)", text, re.M)
    cfg = tmp_path / "haproxy.cfg"
    cfg.write_text(f"""
global
    maxconn 100
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend f
    bind 127.0.0.1:18080
    unique-id-format %[uuid()]
{filters}
    default_backend b
backend b
    server s 127.0.0.1:18081
backend {backend}
    mode tcp
    timeout server 3m
    server a 127.0.0.1:12345
""")
    status, said = run([HAPROXY, "-c", "-f", cfg])
    assert status == 0, f"{said}\n{text}"
    assert "ALERT" not in said and "WARNING" not in said, f"{said}\n{text}"


@pytest.mark.parametrize("args", [["--print-spoe-config"], ["--help"], ["--version"], ["-t"]], ids=str)
def test_output_that_is_lost_is_an_error(args):
    """A disk that is full must not leave HAProxy half a file and the caller a status of 0."""
    with open("/dev/full", "wb") as full:
        got = subprocess.run([host_binary(), *host_args("slots"), *args], env=clean_env(), timeout=LIMIT,
                             stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert got.returncode == 1 and "standard output: No space left" in got.stderr, got.stderr


def test_shared_messages_are_each_ones_own():
    """In a section for each, with its own arguments (issue 12, 1)."""
    text = spoe_config(*host_args("shared_a", "shared_b"))
    first, second = text.split("\n[shared-b]\n")
    for section, name, args in ((first, "shared-a", "path=path method=method"),
                                (second, "shared-b", "src=src path=path")):
        assert re.findall(r"^spoe-message (.*)$", section, re.M) == [f"{name}.shared"]
        assert f"\n    args {args}\n" in section
        assert f"\n    option var-prefix {name.replace('-', '_')}\n" in section


def test_json_lines_parse(start, connect):
    server = start("lifecycle", args=["--log-format", "json", "--listen", "127.0.0.1:0",
                                      "--workers", "1"])
    client = connect(server)
    client.hello()
    client.ask("lifecycle")
    assert server.terminate() == 0
    lines = [json.loads(line) for line in server.lines]
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line["time"]), line
        assert line["level"] in ("error", "warning", "notice", "info", "debug")
        assert line["component"] in ("host", "listener", "spop", "lifecycle")
    texts = [line["msg"] for line in lines if line["component"] == "lifecycle"]
    assert any('a "quoted" line' in t and "and a break" in t for t in texts), texts


def test_logfmt_lines(start, connect):
    server = start("lifecycle", args=["--workers", "1"])
    client = connect(server)
    client.hello()
    client.ask("lifecycle")
    assert server.terminate() == 0
    for line in server.lines:
        assert re.match(r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=\w+ component=[\w-]+ '
                        r'msg=("(\\.|[^"\\])*"|[^\s"]+)', line), line
    assert re.search(r"\d+\.\d+\.\d+", server.lines[0]), "the first line gives the version"
