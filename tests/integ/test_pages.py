# SPDX-License-Identifier: Apache-2.0
"""13.5: the commands of README and of the pages for users are run as they stand, each page from its top in a
machine of its own: a folder in the place of /, an installation below it, ports that are free in the place of
those on the page. What that machine cannot have (root, systemd, containers) has an owner, and is only parsed.

tests/lib/pages.py says what the words behind ```sh mean."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from lib import pages
from lib.procs import LIMIT, Proc, ReservedPort, clean_env, run, wait_until

SOURCE = pathlib.Path(pages.SOURCE)
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
PAGES = ["README.md", "docs/get-started.md", "docs/troubleshooting.md", "docs/control.md", "docs/live-page.md",
         *sorted(str(p.relative_to(SOURCE)) for p in (SOURCE / "docs" / "how-to").glob("*.md"))]

# Who runs what is not run here.
OWNERS = {
    "ci": "CI itself",
    "test_demo": "tests/e2e/test_demo.py",
    "package": "what installs with apt or as root: the tests of the packages, tests/install",
    "container": "what needs a container engine: tests/container",
    "service": "what needs systemd: tests/install/test_service_pages.py",
    "manual": "one that names a machine of the reader's",
}
NOT_RUN_MAX = 24

# Ports as pages write them.
PORT = re.compile(r"(?<![\d.])(431[78]|800\d|808\d|8443|990\d|1234\d|1251\d)(?!\d)")

# Parts of a configuration, each with what makes a whole of it for haproxy -c.
HEAD = """defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
"""
SITE = "frontend web\n    bind 127.0.0.1:8080\n    unique-id-format %[uuid()]\n"
APP = "    default_backend app\nbackend app\n    server app1 127.0.0.1:8000\n"
FILTER = "    filter spoe engine otel config /etc/haproxy/spoe-otel.cfg\n"
AGENT = "backend spoe-host\n    mode tcp\n    timeout connect 1s\n    timeout server 3m\n"
SERVER = "    server agent1 127.0.0.1:12345\n"
PARTS = {
    "frontend": lambda text: HEAD + SITE + (text if "filter spoe" in text else FILTER + text) + APP + AGENT + SERVER,
    "untraced": lambda text: HEAD + SITE + FILTER + text + APP + AGENT + SERVER,
    "line": lambda text: HEAD + SITE + FILTER + text + APP + AGENT + SERVER,
    "backend": lambda text: HEAD + SITE + APP.replace("    server", text + "    server"),
    "agent": lambda text: HEAD + SITE + FILTER + APP + text,
    "servers": lambda text: HEAD + SITE + FILTER + APP + AGENT + text,
    "whole": lambda text: text if "defaults" in text else HEAD + text,
}


class Machine:
    """What a page is tried on."""

    def __init__(self, installed):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="spoe-"))
        self.installed = installed
        self.stack = contextlib.ExitStack()
        self.ports = {}
        self.running = []
        self.output = ""
        for folder in ("etc/haproxy", "etc/default", "etc/spoe-host", "run/spoe-host", "work", "tmp"):
            (self.root / folder).mkdir(parents=True)
        # The reader's own, until the page says another one.
        (self.root / "etc/haproxy/haproxy.cfg").write_text(self.local(HEAD + SITE + APP))
        self.found = set(installed.rglob("*"))
        self.env = clean_env({
            "PATH": f"{installed}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
            "PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig",  # where /usr/local has it without being told
            "HOME": str(self.root / "work"),
            # Defaults that no page names would be those of the real machine.
            "SPOE_ADMIN_ADDR": f"127.0.0.1:{self.port('9902')}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port('4317')}",
            "BATCH_DELAY": "20ms",
            "SPOE_PROCESSING_TIMEOUT": "10s",
        })

    def port(self, name):
        if name not in self.ports:
            self.ports[name] = self.stack.enter_context(ReservedPort()).port
        return self.ports[name]

    def local(self, text):
        """What a page says, for this machine."""
        text = PORT.sub(lambda m: str(self.port(m.group(1))), text)
        text = text.replace("/usr/local/share/spoe-host", f"{self.installed}/share/spoe-host")
        text = text.replace("build/release/bin/", "")
        text = re.sub(r"\bctl (?=status|set|trace)", f"ctl -f {self.root}/etc/spoe-host/spoe-host.ini ", text)
        text = re.sub(r"(?<![\w/.])/(etc/(?:haproxy|default|spoe-host)|run/spoe-host)\b", rf"{self.root}/\1", text)
        return re.sub(r"\bsudo ", "", text)

    def write(self, block):
        path = pathlib.Path(self.local(block.options["file"]))
        path = path if path.is_absolute() else self.root / "work" / path
        assert path.is_relative_to(self.root), block
        path.write_text(self.local(block.text))
        if re.search("^admin =", block.text, re.M):  # then not the one of __init__()
            del self.env["SPOE_ADMIN_ADDR"]

    def sh(self, block):
        argv = ["bash", "-euo", "pipefail", "-c", self.local(block.text)]
        cwd = self.root / "work"
        if "instead" in block.options:
            for proc in [p for p in self.running if block.options["instead"] in p.name]:
                assert proc.terminate() == 0, proc.report()
                self.running.remove(proc)
        if "background" in block.options:
            proc = self.stack.enter_context(Proc(argv, name=block.text.strip(), env=self.env, cwd=cwd))
            self.running.append(proc)
            if block.options["background"]:
                proc.wait_line(re.escape(block.options["background"]))
            return
        status, self.output = run(argv, env=self.env, cwd=cwd)
        assert status == int(block.options.get("status", 0)), f"{block}\n{self.output}{self.report()}"

    def shows(self, block):
        """Each line has been written by the last command, or by something that runs; … is anything."""
        for line in block.text.splitlines():
            regex = re.compile(".*".join(re.escape(part) for part in line.strip().split("…")))

            def seen(regex=regex):
                return regex.search("\n".join([self.output, *(p.text() for p in self.running)]))

            wait_until(seen, lambda line=line: f"{line!r} of {block}\n{self.output}{self.report()}")

    def check(self, block):
        (part,) = block.words
        path = self.root / "tmp" / "part.cfg"
        text = PARTS[part](block.text).replace("/etc/haproxy/spoe-otel.cfg", "/usr/local/share/spoe-host/spoe-otel.cfg")
        path.write_text(self.local(text))
        status, out = run(["haproxy", "-c", "-f", path], env=self.env, cwd=self.root / "work")
        assert status == 0 and "ALERT" not in out, f"{block}\n{out}"

    def report(self):
        return "".join(p.report() for p in self.running)

    def close(self):
        self.stack.close()
        for path in set(self.installed.rglob("*")) - self.found:
            path.unlink()
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts there and nothing else, patient with a slow machine."""
    prefix = tmp_path_factory.mktemp("installed")
    status, out = run([SOURCE / "tools/install", "install"], limit=4 * LIMIT,
                      env={**os.environ, "BUILD": str(BUILD), "PREFIX": str(prefix), "DESTDIR": ""})
    assert status == 0, out
    for file in (prefix / "share/spoe-host").glob("*.cfg"):
        file.write_text(re.sub(r"timeout processing .*", "timeout processing 20s", file.read_text()))
    return prefix


def kind(block):
    """What is done with a block: run, owned, or nothing."""
    if block.language == "sh":
        return "owned" if "owner" in block.options else "run"
    if "file" in block.options:
        return "file"
    if block.language == "text" and not block.options:
        return "text"
    if block.language == "haproxy" and block.words:
        return "part"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_page(page, installed):
    """All that the page says to do, in its order."""
    found = [block for block in pages.blocks(page) if kind(block)]
    steps = {"run": Machine.sh, "file": Machine.write, "text": Machine.shows, "part": Machine.check}
    machine = Machine(installed)
    try:
        for block in found:
            if kind(block) != "owned":
                steps[kind(block)](machine, block)
    finally:
        machine.close()


def test_what_is_not_run():
    """Listed, owned, few, and shell all the same."""
    owned = [(page, block) for page in PAGES for block in pages.blocks(page) if kind(block) == "owned"]
    for page, block in owned:
        owner = block.options["owner"]
        print(f"{page}:{block.line}: {owner}: {block.text.splitlines()[0]}")
        assert owner in OWNERS, f"{page}:{block.line}: owner={owner}"
        done = subprocess.run(["bash", "-n"], input=block.text, text=True, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0, f"{page}:{block.line}: {done.stderr}"
    assert len(owned) <= NOT_RUN_MAX, f"{len(owned)} commands are not run"


@pytest.mark.parametrize("page", PAGES)
def test_no_shell_without_a_name(page):
    """A command that stands in a block of another kind would not be run."""
    for block in pages.blocks(page):
        assert block.language, f"{page}:{block.line}: a block without a language"
        if block.language not in ("sh", "text"):
            continue
        unknown = set(block.options) - {"background", "instead", "owner", "status", "scene", "held"}
        assert not unknown and not block.words, f"{page}:{block.line}: {block.words} {unknown}"


def test_the_runner_sees_what_fails(installed):
    """A command that fails, an output that is not there: neither passes."""
    machine = Machine(installed)
    try:
        with pytest.raises(AssertionError):
            machine.sh(pages.Block("sh", [], {}, "false | true"))
        machine.sh(pages.Block("sh", [], {}, "echo one 8080"))
        assert machine.output == f"one {machine.port('8080')}\n"
        machine.shows(pages.Block("text", [], {}, "o…e\n"))
        with pytest.raises(AssertionError):
            machine.check(pages.Block("haproxy", ["frontend"], {}, "    no such line\n"))
    finally:
        machine.close()
