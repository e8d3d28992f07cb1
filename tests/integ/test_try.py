# SPDX-License-Identifier: Apache-2.0
"""`spoe-host --try`: messages handed to plugins without HAProxy (12.3)."""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import host_args
from lib.procs import clean_env, host_binary

CAPTURES = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"]) / "tests/captures"


def attempt(*args, plugins=("slots",), stdin=None):
    """(status, standard output, standard error)"""
    done = subprocess.run([host_binary(), *host_args(*plugins), *map(str, args)], env=clean_env(),
                          input=stdin, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def variables(text):
    return dict(re.findall(r"^    ([a-z]+\.\S+) = (.*)$", text, re.M))


def test_values_have_the_types_that_are_declared():
    """12.3: and what nobody declares has the type that is said; what a rule would see"""
    status, out, err = attempt(
        "--try", r'slots text="a \"b\"\n" number=-5 flag=true addr=10.0.0.1 blob="\x00\xff" any=2001:db8::1 '
                 "more=x n:int=7 raw:hex=00Ff empty=")
    assert status == 0, err
    seen = variables(out)
    assert seen.items() >= {
        "txn.slots.slot0": r'string "a \"b\"\x0a"', "txn.slots.slot1": "int64 -5",
        "txn.slots.slot2": "bool true", "txn.slots.slot3": "ipv4 10.0.0.1",
        "txn.slots.slot4": "binary 00ff (2 bytes)", "txn.slots.slot5": "ipv6 2001:db8::1",
        "txn.slots.arg0_name": 'string "more"', "txn.slots.arg0_value": 'string "x"',
        "txn.slots.arg1_value": "int64 7", "txn.slots.arg2_value": "binary 00ff (2 bytes)",
        "txn.slots.arg3_value": 'string ""'}.items()
    assert "    sess.slots.gone is unset\n" in out
    assert re.search(r"^    answered in [0-9.]+ ms$", out, re.M)


def test_what_is_printed_is_what_is_read():
    """12.3: the question can be handed over again"""
    asked = r'slots text="a \"b\"\x0a" blob="\x00\xff" addr=10.0.0.1 n:int=7 raw:hex=00ff b:bool=true a:ip=::1'
    status, out, err = attempt("--try", asked)
    assert status == 0, err
    assert out.splitlines()[0] == asked


@pytest.mark.parametrize("words,wrong", [
    ("slot", "no plugin that is loaded takes a message slot; did you mean slots?"),
    ("quite-another", "takes a message quite-another; there are: "),
    ("slots number=x", r'argument number: \"x\" is no value of its type, integer'),
    ("slots text=a addr=10.0.0", "is no value of its type, ipv4|ipv6"),
    ("slots text=a x:int=y", r"argument x: \"y\" is no value of its type, int"),
    ("slots text=a x:hex=0", "is no value of its type, hex"),
    ("slots text", r"\"text\" is no NAME=VALUE"),
    ('slots text="a', "a quote is not closed"),
    ('slots text="a"b', "a closing quote is followed by"),
    (r'slots text="\q"', r"a \\ is followed by none of"),
    ("slots text=" + "x" * 17000, "larger than a frame of HAProxy's, 16380 bytes"),
    ("# nothing", "there is no message"),
])
def test_what_is_wrong_is_named(words, wrong):
    """12.3: a clear error, and status 1 as other commands have it"""
    status, out, err = attempt("--try", words)
    assert status == 1 and wrong in err, err
    assert len([line for line in err.splitlines() if "level=error" in line]) == 1


def test_a_message_that_lacks_something():
    """12.3"""
    status, out, _ = attempt("--try", "slots number=1")
    assert status == 1
    assert "    argument text is required by plugin slots\n" in out and "not handed over" in out


def test_answers_that_come_later():
    """12.3: they are waited for, and one beyond processing-timeout is told of"""
    status, out, err = attempt("--processing-timeout", "1ms", "--try", "pending key=k mode=after delay=50",
                               plugins=["pending"])
    assert status == 0, err
    assert variables(out) == {"txn.pending.pending": 'string "k"'}
    assert "later than processing-timeout, 1.000 ms" in out
    status, out, err = attempt("--processing-timeout", "1ms", "--set", "pending.processing-timeout=60s", "--try",
                               "pending key=k mode=after delay=50", plugins=["pending"])
    assert status == 0 and "txn.pending.pending" in out and "later than" not in out, out + err  # the plugin's own


@pytest.mark.parametrize("mode,told", [("fail", "the plugin failed"),
                                       ("twice", "completed twice?")])
def test_a_plugin_that_fails(mode, told):
    """12.3"""
    status, out, err = attempt("--try", f"pending key=k mode={mode}", plugins=["pending"])
    assert status == 1 and told in out + err, out + err


def test_a_plugin_that_never_answers_or_never_comes_back():
    """12.3: it ends by itself, and says where the plugin is"""
    status, out, err = attempt("--try", "base-blocks", plugins=["blocks"])
    assert status == 1 and "no answer after" in out and "is in handle() of plugin blocks" in err
    status, out, err = attempt("--try", "base-never", plugins=["never_completes"])
    assert status == 1 and "not answered in time" in out


def test_files_of_messages(tmp_path):
    """12.3: a line each, errors by line; several, and single ones, in their order"""
    script = tmp_path / "messages"
    script.write_text("# a comment\n\nslots text=one\n  slots text=two\r\nslots number=x\nslots text=three")
    status, out, err = attempt("--try", "slots text=zero", "--try-file", script, "--try", "slots text=four")
    assert status == 1 and f"{script}:5: argument number" in err
    assert re.findall(r'slot0 = string "(\w+)"', out) == ["zero", "one", "two", "three", "four"]
    status, out, err = attempt("--try-file", "/dev/stdin", stdin="slots text=piped\n")
    assert status == 0 and 'slot0 = string "piped"' in out, err
    status, out, err = attempt("--try-file", tmp_path / "none")
    assert status == 1 and "none" in err


def test_recorded_frames(tmp_path):
    """12.3: what HAProxy once sent; shown as a message that can be tried again"""
    status, out, err = attempt("--try-file", CAPTURES / "3.2.txt")
    assert status == 0, err
    assert out.startswith("on-http-request unique-id=") and out.count("no plugin takes it") == 3
    payload = b"\x03\0\0\0\1\5\1" + b"\x05slots\2" + b"\4text\x08\2hi" + b"\6number\4\7"
    script = tmp_path / "capture"
    script.write_text(f"7 haproxy->agent {len(payload):08x}{payload.hex()}\n")
    status, out, err = attempt("--try-file", script)
    assert status == 0 and out.startswith("slots text=hi number=7\n"), err
    assert variables(out).items() >= {"txn.slots.slot0": 'string "hi"', "txn.slots.slot1": "int64 7"}.items()
    script.write_text("1 haproxy->agent 0000zz\n1 haproxy->agent 00000001\n1 haproxy->agent 000000ff0300\n")
    status, out, err = attempt("--try-file", script)
    assert status == 1
    assert f"{script}:1: a frame is no pairs" in err and f"{script}:3: " in err


def test_messages_of_the_log(tmp_path):
    """12.3: of a line; there is no answer, but whether it was taken"""
    told = tmp_path / "told"
    status, out, err = attempt("--set", f"from-log.file={told}", "--try", "on-http-log n=5 status=200",
                               plugins=["from_log"])
    assert status == 0 and re.search(r"^    taken in [0-9.]+ ms$", out, re.M), out + err
    assert "on-http-log" in told.read_text()


def test_a_message_that_several_plugins_take():
    """12.3, 12.1: as the printed configuration has it: one after the other, with prefixes of their own"""
    status, out, err = attempt("--try", "shared key=k", plugins=["shared_a", "shared_b"])
    assert status == 0, err
    asked = [line for line in out.splitlines() if not line.startswith(" ")]
    assert asked == ["shared-a.shared key=k", "shared-b.shared key=k"]
    assert {name.split(".")[1] for name in variables(out)} == {"shared_a", "shared_b"}
