# SPDX-License-Identifier: Apache-2.0
"""What is made of the option tables says what they say: --help, the documentation's tables, the man
pages, the completion of bash. (13.2)"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lib.procs import clean_env, host_binary

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
HOST = pathlib.Path(host_binary())
MAN_PAGES = sorted(SOURCE.glob("docs/man/*.[0-9]"))
PAGES = {"host": "configuration.md", "otel": "otel-configuration.md", "auth-request": "auth-request.md",
         "ip-reputation": "ip-reputation.md", "mirror": "mirror.md"}


def run(*argv, **kwargs):
    done = subprocess.run(argv, env=clean_env(), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, check=False, **kwargs)
    return done.returncode, done.stdout


def tables(section):
    status, text = run(HOST, "--print-options", section)
    assert status == 0, text
    return json.loads(text)


def test_nothing_made_of_the_tables_is_stale():
    """Run tools/options and commit what it writes where this fails."""
    status, text = run(SOURCE / "tools/options", "--check", HOST)
    assert status == 0, text


def test_a_change_is_noticed(tmp_path):
    """In a copy: a default in a page, and an option that a page has not."""
    for folder in ("docs", "dist", "tools"):
        shutil.copytree(SOURCE / folder, tmp_path / folder)
    assert run(tmp_path / "tools/options", "--check", HOST)[0] == 0
    page = tmp_path / "docs/mirror.md"
    text = page.read_text()
    page.write_text(text.replace("| `32m` |", "| `33m` |"))
    status, said = run(tmp_path / "tools/options", "--check", HOST)
    assert status == 1 and "docs/mirror.md" in said
    page.write_text(text)
    man = tmp_path / "docs/man/spoe-host.8"
    man.write_text(man.read_text().replace("1 to 64", "1 to 65"))
    assert "docs/man/spoe-host.8" in run(tmp_path / "tools/options", "--check", HOST)[1]
    assert run(tmp_path / "tools/options", HOST) == (0, "tools/options wrote docs/man/spoe-host.8\n")
    otel = tmp_path / "docs/otel-configuration.md"
    otel.write_text(otel.read_text().replace("<!-- options otel: endpoint tls", "<!-- options otel: tls"))
    status, said = run(tmp_path / "tools/options", "--check", HOST)
    assert status == 1 and "not in a table: ['endpoint']" in said


def test_help_says_the_first_sentence():
    status, text = run(HOST, "--help")
    assert status == 0
    host = tables("host")
    for option in host["options"]:
        first = option["help"].split(". ")[0].replace("`", "")
        env = option["env"][0] if option["env"] else "-"
        assert re.search(rf"^ +--{option['key']} +{re.escape(first)} \({env}, {re.escape(option['default'] or '-')}\)$",
                         text, re.M), option
    for word in host["words"]:
        assert f"--{word['name']}{word['value']}" in text
        assert word["help"].split(". ")[0].replace("`", "") in text


@pytest.mark.parametrize("section", PAGES)
def test_each_option_is_in_page_and_man_page(section):
    """Looked at without tools/options: the default and the variables stand beside the key."""
    page = (SOURCE / "docs" / PAGES[section]).read_text()
    name = "spoe-host.ini" if section == "host" else f"spoe-host-{section}"
    status, man = run("mandoc", "-T", "utf8", "-O", "width=1000", SOURCE / f"docs/man/{name}.5")
    assert status == 0
    man = re.sub(".\b", "", man)
    for option in tables(section)["options"]:
        rows = re.findall(rf"^\| \[?`{option['key']}`.*$", page, re.M)
        rows = [r for r in rows if all(f"`{e}`" in r for e in option["env"])]
        assert len(rows) == 1, option
        paragraphs = re.findall(rf"^     {option['key']}(?:\n|  )((?:.+\n)+)", man, re.M)
        paragraphs = [p for p in paragraphs if all(e in p for e in option["env"])]
        assert len(paragraphs) == 1, option
        for text in [*option["env"], *option["env_lenient"], option["default"] or ""]:
            assert text in rows[0] and text.replace("\\", "") in paragraphs[0].replace("\\", ""), (option, text)


def test_plugins_of_the_tree_have_its_version():
    """12: all the host's own"""
    version = run(HOST, "--version")[1].split()[1].rstrip(",")
    for section in PAGES:
        if section != "host":
            assert f"\nversion  {version}\n" in run(HOST, "--plugin-info", section)[1], section


def test_a_plugin_that_is_not_there_and_a_file(tmp_path):
    status, text = run(HOST, "--print-options", "absent")
    assert status == 1 and "absent" in text
    example = next((HOST.parents[1] / "lib/spoe-host/plugins").glob("*.so"))
    assert json.loads(run(HOST, "--print-options", example)[1])["section"] == example.stem
    assert run(HOST, "--print-options")[0] == 1


@pytest.mark.parametrize("page", MAN_PAGES, ids=lambda p: p.name)
def test_man_pages_are_in_order(page):
    """mandoc's lint has nothing to say, but of pages that this machine may not have."""
    _, text = run("mandoc", "-T", "lint", page)
    left = [line for line in text.splitlines()
            if "referenced manual not found" not in line and "outdated mandoc.db" not in line]
    assert not left
    for name, section in re.findall(r"^\.Xr (spoe-\S+) (\d)", page.read_text(), re.M):
        assert (SOURCE / f"docs/man/{name}.{section}").exists(), f"{page.name}: {name}({section})"


# ---- bash ----------------------------------------------------------------------------------------

# bash as it is when a key asks for completion. $1: the words, split as readline splits them.
ASK = """
complete() { :; }
compopt() { :; }
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_spoe_host "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(line, cwd=None, program=HOST):
    """What may stand at the line's end; = and : are words of their own, as for readline."""
    words = [w for part in line.split(" ") for w in re.split("([=:])", part) if w or not part]
    if line.endswith("="):
        words = [w for w in words if w]
    status, text = run("bash", "--norc", "-c", ASK, "bash", SOURCE / "dist/spoe-host.bash", program, *words,
                       cwd=cwd)
    assert status == 0, text
    return text.split()


@pytest.mark.parametrize("line, answers", [
    ("--log-lev", {"--log-level"}),
    ("--log-level ", {"err", "warning", "notice", "info", "debug", "error", "warn"}),
    ("--log-level d", {"debug"}),
    ("--log-level=", {"err", "warning", "notice", "info", "debug", "error", "warn"}),
    ("--log-level=in", {"info"}),
    ("--log-format j", {"json"}),
    ("-t --plugin-tr", {"--plugin-trust"}),
    ("--plugin-trust ", {"checked", "any"}),
    ("--print-haproxy-config=", {"spoe", "log", "both"}),
    ("--print-haproxy-config s", {"spoe"}),
    ("--workers ", set()),
    ("--plugins mir", {"mirror"}),
    ("--plugins otel,auth", {"otel,auth-request"}),
    ("--plugin-info ote", {"otel"}),
    ("--print-options h", {"host"}),
    ("--set ot", {"otel."}),
    ("--set otel.sampler-", {"otel.sampler-arg="}),
    ("--set host.log-f", {"host.log-format=", "host.log-from="}),
    ("--set host.log-format=", {"logfmt", "json"}),
    ("--set otel.protocol=", {"grpc", "http/protobuf"}),
    ("--set otel.protocol=g", {"grpc"}),
    ("--set otel.keep-errors=", {"on", "off"}),
    ("--set=otel.tls=", {"disabled", "enabled", "skip-verify"}),
    ("--set auth-request.fail=o", {"open"}),
])
def test_completion(line, answers):
    assert set(complete(line)) == answers


def test_completion_knows_every_word():
    host = tables("host")
    found = set(complete(""))
    assert found == {"ctl"} | {f"--{w['name']}" for w in host["words"]} | {f"--{o['key']}" for o in host["options"]} | {
        f"-{w['letter']}" for w in host["words"] if w["letter"]}
    for option in host["options"]:
        if option["choices"]:
            assert complete(f"--{option['key']} ") == option["choices"]


@pytest.mark.parametrize("line, answers", [
    ("ct", {"ctl"}),
    ("-t ct", set()),
    ("ctl ", {"status", "set", "trace", "--json", "--socket", "--url", "--file", "--token-file", "-f"}),
    ("ctl st", {"status"}),
    ("ctl --json s", {"set", "status"}),
    ("ctl --url http://localhost:9902 tr", {"trace"}),
    ("ctl --url=http://localhost:9902 tr", {"trace"}),
    ("ctl --url ", set()),
    ("ctl --socket /x set ot", {"otel."}),
    ("ctl set host.log", {"host.log-level", "host.log-format"}),
    ("ctl set otel.sampler", {"otel.sampler", "otel.sampler-arg"}),
    ("ctl set otel.tls", set()),
    ("ctl set host.log-level d", {"debug"}),
    ("ctl set otel.keep-errors ", {"on", "off"}),
    ("ctl set host.log-level debug host.log-f", {"host.log-format"}),
    ("ctl set host.log-level debug host.log-format ", {"logfmt", "json"}),
    ("ctl status ", {"--json"}),
    ("ctl -f x.ini status --j", {"--json"}),
    ("ctl status --json ", set()),
])
def test_completion_of_ctl(line, answers):
    assert set(complete(line)) == answers


def test_ctl_is_one_table():
    """Its help, page and man page name each command and option, with the first sentence of its help."""
    ctl = tables("host")["ctl"]
    status, text = run(HOST, "ctl", "--help")
    assert status == 0
    page = (SOURCE / "docs/control.md").read_text()
    man = (SOURCE / "docs/man/spoe-host.8").read_text()
    assert {c["name"] for c in ctl["commands"]} == {"status", "set", "trace"}
    for dashes, words in (("", ctl["commands"]), ("--", ctl["options"])):
        for word in words:
            first = word["help"].split(". ")[0]
            assert re.search(rf"^ .*{dashes}{word['name']}{re.escape(word['value'])} +{re.escape(first.replace('`', ''))}$",
                             text, re.M), word
            assert f"`{dashes}{word['name']}{word['value']}` | {first}" in page, word
            item = (r"\-" + word["name"].replace("-", r"\-")) if dashes else f".It Cm {word['name']}"
            assert item in man, word


def test_completion_of_files(tmp_path):
    (tmp_path / "one.ini").touch()
    (tmp_path / "odd name.ini").touch()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/mine.so").touch()
    assert complete("-f on", tmp_path) == ["one.ini"]
    assert complete("--try-file on", tmp_path) == ["one.ini"]
    assert complete("ctl -f on", tmp_path) == complete("ctl --token-file on", tmp_path) == ["one.ini"]
    assert complete("ctl --socket=on", tmp_path) == ["one.ini"]
    assert complete("--plugin-dir ", tmp_path) == ["plugins"]
    assert complete("--plugin-dir plugins --plugins ", tmp_path) == ["mine"]
    assert complete("--plugin-dir=plugins --plugins ", tmp_path) == ["mine"]


def test_bash_takes_the_file_as_it_is():
    """And nothing that it defines is anybody else's."""
    status, text = run("bash", "--norc", "-euc", 'source "$1"; complete -p spoe-host; compgen -A function',
                       "bash", SOURCE / "dist/spoe-host.bash")
    assert status == 0, text
    first, *functions = text.split("\n")
    assert first == "complete -F _spoe_host spoe-host"
    assert all(f.startswith("_spoe_host") for f in functions if f)
