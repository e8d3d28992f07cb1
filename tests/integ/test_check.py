# SPDX-License-Identifier: Apache-2.0
"""spoe-plugin-check: each bad plugin of the tests is found, by the rule that it breaks, and each good
one passes (12.3)."""

import concurrent.futures
import os
import pathlib
import re
import subprocess

import pytest

from conftest import PLUGINS
from lib.procs import clean_env, host_binary

BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
CHECK = pathlib.Path(host_binary()).with_name("spoe-plugin-check")
SANITIZED = "-fsanitize" in (BUILD / "compile_commands.json").read_text()  # which has its own malloc()

# What is wrong with each, by the rule that it breaks; what is not here is good.
BAD = {
    "bad_default": "load", "bad_id": "load", "bad_message": "load", "bad_option": "load", "host_id": "load",
    "library": "load", "newer_minor": "load", "no_entry": "load", "null_configure": "load",
    "null_entry": "load", "null_handle": "load", "short_size": "load", "wrong_magic": "load",
    "wrong_major": "load", "odd_2_newer": "load", **{f"odd_{n}": "load" for n in range(1, 16)},
    "exit_constructor": "alive", "exit_entry": "alive",
    "opens_early": "entry left",  # it is open still after destroy(), until the file goes
    "config_error": "configure", "configure_fails": "configure", "live": "configure",
    "slow_start": "configure",  # the latter two have an option that must be set
    "start_fails": "start", "worker_start_fails": "start",
    "blocks": "returns", "stop_hangs": "returns", "never_completes": "completes",
    "chatty": "log", "pending": "log", "lifecycle": "log",  # a line for each message
    "slots": "limits", "toobig": "limits",  # they want to know what comes of it
}
# Those that need a script to do something that takes no time.
SCRIPTS = {"open": "open\nclose\n", "slow": "slow ms=1\n"}

# Who breaks a rule if it is asked to: (plugin, options, script) and the rule.
ASKED = [
    ("breaks", "breaks.rule=thread", "", "left"), ("breaks", "breaks.rule=descriptor", "", "left"),
    ("breaks", "breaks.rule=signals", "", "signals"), ("breaks", "breaks.rule=stop", "", "stop"),
    ("breaks", "breaks.rule=twice", "", "once"), ("breaks", "breaks.rule=forgets", "", "completes"),
    ("breaks", "breaks.rule=reconfigure", "", "reconfigure"), ("breaks", "breaks.rule=config", "", "threads"),
    ("breaks", "breaks.rule=lines", "", "log"), ("breaks", "breaks.rule=late", "", "late"),
    ("error", "", "base-error\n", "answers"),
    ("pending", "", "pending key=k mode=twice\n", "once"),
    ("slow", "", "slow ms=3500\n", "blocks"),
]
if not SANITIZED:
    ASKED.append(("breaks", "breaks.rule=memory", "", "memory"))


def check(*args):
    """(status, output, names of the rules that are broken)"""
    done = subprocess.run([CHECK, *map(str, args)], env=clean_env(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=550)
    return done.returncode, done.stdout, set(re.findall(r"^broken  (\w+):", done.stdout, re.M))


def check_all(jobs):
    """Outcomes of checks that mostly wait, many at a time."""
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        return list(pool.map(lambda job: check(*job), jobs))


def test_each_plugin_of_the_tests(tmp_path):
    """12.3: all of them, by name, so that a new one has to say what it is"""
    jobs = []
    files = sorted(p for p in PLUGINS.glob("*.so"))
    assert len(files) > 50 and set(BAD) <= {p.stem for p in files}
    for file in files:
        script = tmp_path / f"{file.stem}.script"
        script.write_text(SCRIPTS.get(file.stem, ""))
        jobs.append([file] + ([script] if file.stem in SCRIPTS else []))
    wrong = []
    for file, (status, text, rules) in zip(files, check_all(jobs)):
        wanted = set(BAD.get(file.stem, "").split())
        if rules != wanted or status != bool(wanted):
            wrong.append(f"{file.stem}: {status}, {rules or 'good'}, wanted {wanted or 'good'}\n{text}")
    assert not wrong, "\n".join(wrong)


def test_each_rule_that_can_be_broken_by_the_way(tmp_path):
    """12.3"""
    jobs = []
    for n, (plugin, option, script, _) in enumerate(ASKED):
        file = tmp_path / f"{n}.script"
        file.write_text(script)
        jobs.append([*(["--set", option] if option else []), PLUGINS / f"{plugin}.so",
                     *([file] if script else [])])
    for asked, (status, text, rules) in zip(ASKED, check_all(jobs)):
        assert (status, rules) == (1, {asked[3]}), f"{asked}\n{text}"


def test_it_names_rule_and_scenario():
    """12.3: and shows the log"""
    status, text, _ = check("--set", "breaks.rule=twice", PLUGINS / "breaks.so")
    assert status == 1
    assert "broken  once: what is PENDING is completed once" in text
    assert "in scenario quiet (one worker, one message after the other): " in text
    assert "completed a request that is not pending" in text and "breaks.so breaks a rule" in text


def test_good_plugins_of_the_tree():
    """12.3: example.so, and otel.so where it is built"""
    files = [pathlib.Path(os.environ["SPOE_TEST_EXAMPLE_DIR"]) / "example.so"]
    otel = pathlib.Path(host_binary()).parents[1] / "lib/spoe-host/plugins/otel.so"
    jobs = [[files[0]]]
    if otel.exists():
        jobs.append(["--set", "otel.traces-exporter=console", otel])
    for status, text, rules in check_all(jobs):
        assert (status, rules) == (0, set()), text


def test_a_scenario_is_left_out():
    """12.3: what a language decides, such as to abort where memory ends, and no plugin can mend"""
    status, text, _ = check("--without", "memory", "--set", "breaks.rule=memory", PLUGINS / "breaks.so")
    assert status == 0 and "\nnot run memory (" in text and "keeps all rules that were tried" in text, text
    assert "good    quiet (" in text, text


def test_a_script(tmp_path):
    """12.3: what it says wrong is named with its line"""
    script = tmp_path / "script"
    script.write_text("# a comment\nslots text=a number=x\n")
    status, text, _ = check(PLUGINS / "slots.so", script)
    assert status == 1 and f"{script}:2: argument number" in text, text


@pytest.mark.parametrize("args,words", [
    ((), "which plugin?"), (("/nonexistent.so",), "/nonexistent.so: No such file"),
    (("--sett", "a"), "unknown option --sett"), (("a", "b", "c"), "unexpected c"), (("--set",), "no value behind"),
    (("--without", "nothing", "a"), "no scenario nothing"),
])
def test_the_command_line(args, words):
    """12.3"""
    status, text, _ = check(*args)
    assert status == 1 and words in text, text


def test_what_it_says_of_itself():
    """12.3"""
    for word, words in (("--help", "spoe-plugin-check [OPTION"), ("--rules", "completes "), ("--version", "ABI 1.")):
        status, text, _ = check(word)
        assert status == 0 and words in text, text
