# SPDX-License-Identifier: Apache-2.0
"""What the user says of a message in the plugin's section, and HAProxy's side then has. Issue 12.1."""

import re
import subprocess

import pytest

from conftest import PLUGINS
from lib.procs import clean_env, host_binary


def command(*argv):
    done = subprocess.run([host_binary(), "--plugin-dir", str(PLUGINS), *argv], env=clean_env({}),
                          text=True, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr.replace("\\", "")


def message(text, name):
    """The lines of one message."""
    (found,) = re.findall(rf"^spoe-message {re.escape(name)}\n((?:    .*\n)*)", text, re.M)
    return [line.strip() for line in found.splitlines()]


def option(key, value, plugin="slots", name="slots"):
    return ["--set", f'{plugin}.message."{name}".{key}={value}']


def printed(*argv, plugins="slots"):
    status, text, log = command("--plugins", plugins, "--print-spoe-config", *argv)
    assert status == 0, log
    return text


def test_event_and_condition():
    before = printed()
    text = printed(*option("event", "on-backend-http-request"), *option("if", "{ path_beg /api }"))
    assert message(text, "slots")[-1] == "event on-backend-http-request if { path_beg /api }"
    assert message(text, "slots-other") == message(before, "slots-other")
    text = printed(*option("if", "unless { path /x }"))
    assert message(text, "slots")[-1] == "event on-frontend-http-request unless { path /x }"


def test_arguments_are_replaced_added_and_taken_away():
    text = printed(*option("args", "flag= new=req.hdr(\"x y\") number=rand(5) b=str('a # b')"))
    assert message(text, "slots")[:-1] == [
        "args text=str(text) number=rand(5) addr=str(addr) blob=str(blob) any=str(any) "
        "new=req.hdr(\"x y\") b=str('a # b')"]


def test_many_arguments_go_on_several_lines():
    lines = message(printed(*option("args", " ".join(f"a{i}=int({i})" for i in range(20)))), "slots")
    assert len(lines) == 5 and all(len(line.split()) <= 9 for line in lines)
    names = [word.split("=")[0] for line in lines[:-1] for word in line.split()[1:]]
    assert names == ["text", "number", "flag", "addr", "blob", "any", *(f"a{i}" for i in range(20))]


@pytest.mark.parametrize("key, value, says", [
    ("event", "on-x", "expected one of on-client-session"),
    ("args", "text=", "argument text is required: it cannot be taken away"),
    ("args", "nobody=", "declares no argument nobody that could be taken away"),
    ("args", "a=b a=c", "argument a is given twice"),
    ("args", "src", 'expected NAME=EXPRESSION at "src"'),
    ("args", "a=str('b", "a ' without its end"),
    ("args", "a=b # c", "a # begins a comment"),
    ("args", "a=b\nevent", "a control character"),
    ("args", "a=str(\\\nx=y)", "before nothing that it could"),
    ("args", "a=str(b)\\", "before nothing that it could"),
    ("if", "{ path /x } \\", "before nothing that it could"),
    ("if", "\\\nuse-backend evil", "before nothing that it could"),
    ("if", "", "expected a condition"),
    ("if", "{ path \"a }", 'a " without its end'),
    ("when", "x", "unknown option slots.message"),
    ("when", "x", 'expected message."NAME" and .event, .if, .args or .processing-timeout, where NAME is one of: '),
])
def test_what_will_not_do_is_refused_and_named(key, value, says):
    status, _, log = command("--plugins", "slots", "-t", *option(key, value))
    assert status == 1
    assert says in log, log
    assert f'slots.message."slots".{key}' in log


def test_messages_of_the_log_have_no_such_options():
    status, _, log = command("--plugins", "from_log", "-t",
                             *option("if", "x", "from-log", "on-http-log"))
    assert status == 1 and "unknown option" in log


def test_a_file_says_it_and_it_is_shown_where_it_is_set(tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text('[slots]\nmessage."slots".args = flag=bool(true)\n')
    text = printed("-f", conf)
    assert " flag=bool(true) " in message(text, "slots")[0]
    status, text, _ = command("--plugins", "slots", "-T", "-f", conf)
    assert status == 0
    assert re.findall(r'^.*message\."slots.*$', text, re.M) == [
        f'message."slots".args = flag=bool(true)  ; {conf}:2']


def test_each_instance_has_its_own():
    text = printed(*option("if", "{ path /a }", "several:a", "base-several"), plugins="several:a,several:b")
    assert message(text, "several:a.base-several") == ["event on-frontend-http-request if { path /a }"]
    assert message(text, "several:b.base-several") == ["event on-frontend-http-request"]
