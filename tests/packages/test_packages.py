# SPDX-License-Identifier: Apache-2.0
"""Debian's packages, for each suite (issue 13, 1): built twice, they are equal; in a Debian that is booted they are
installed by the lines of README and of docs/install.md, have all that they should, trace a request of its HAProxy,
are upgraded from those of the version before, and leave nothing.

SPOE_DEB_BUILT=build/deb takes what `make deb` has built, SPOE_DEB_BEFORE what it has built of the version before."""

import hashlib
import os
import pathlib
import re
import shutil

import pytest

from building import ROOTS, SOURCE, build, built
from lib import pages
from lib.procs import wait_until
from machine import Machine, outside, run

PACKAGES = {"spoe-host", "spoe-host-otel", "spoe-host-auth-request", "spoe-host-ip-reputation", "spoe-host-mirror",
            "spoe-host-plugins", "spoe-sdk-dev", "otlp-console"}
SOCKETS = [f"spoe-host-{name}.socket" for name in ("admin", "log", "spop")]
PAGE = "docs/install.md"
# Beside Debian's own defaults: a site, and an application, which HAProxy plays itself.
SITE = """
frontend www
    bind :80
{frontend}    default_backend app
backend app
{backend}    server app 127.0.0.1:8000
frontend application
    bind 127.0.0.1:8000
    http-request return status 200 content-type text/plain string hello
{agent}"""


@pytest.fixture(scope="module")
def debs(suite, tmp_path_factory):
    """The folder with the packages; lintian had nothing against them."""
    os.chdir(SOURCE)
    return built("SPOE_DEB_BUILT", suite) or build(suite, tmp_path_factory.mktemp("first"))


def version_of(debs):
    return re.search(r"/spoe-host_(.*)_\w+\.deb", str(next(debs.glob("spoe-host_*.deb")))).group(1)


def revision_before():
    """That of the newest tag before this one; where there is none, the first that had packages."""
    tags = run("git", "-C", SOURCE, "tag", "--merged", "HEAD~", "--sort=-version:refname", "v*").split()
    return tags[0] if tags else run("git", "-C", SOURCE, "log", "--reverse", "--diff-filter=A", "--format=%H", "--",
                                    "debian/control").split()[0]


@pytest.fixture(scope="module")
def before(suite, debs, tmp_path_factory):
    """The packages of the version before, built as it built them."""
    del debs  # the minbase is theirs
    if os.environ.get("SPOE_DEB_BEFORE"):
        return built("SPOE_DEB_BEFORE", suite)
    folder = tmp_path_factory.mktemp("before")
    run("git", "clone", "--quiet", "--no-checkout", SOURCE, folder / "tree")
    run("git", "-C", folder / "tree", "checkout", "--quiet", revision_before())
    return build(suite, folder, folder / "tree", LINTIAN="0")


@pytest.fixture(scope="module")
def machine(suite, debs, before, tmp_path_factory):
    """Debian as a user has it, with HAProxy; the packages in /root/before and /root/now, and what they need in
    apt's cache."""
    kept = ROOTS / f"{suite}-machine"
    if not kept.exists():
        new = kept.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        run("cp", "-a", ROOTS / suite, new)
        (new / "etc/hosts").write_text("127.0.0.1 localhost debian\n")
        (new / "etc/hostname").write_text("debian\n")
        # What dpkg asks where both have changed a configuration is answered as by the key Enter: keep it.
        (new / "etc/apt/apt.conf.d/yes").write_text(
            'APT::Get::Assume-Yes "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n'
            'Dpkg::Options { "--force-confold"; };\n')
        outside(new, "apt-get -qq update; apt-get -qq install systemd systemd-sysv procps haproxy curl sudo")
        outside(new, "systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer")
        new.rename(kept)
    root = tmp_path_factory.mktemp("machine") / "root"
    run("cp", "-a", kept, root)
    shutil.copytree(before, root / "root/before")
    shutil.copytree(debs, root / "root/now")
    made = root / "root/tree/build/deb" / suite  # as `make deb` leaves them
    made.mkdir(parents=True)
    (made / debs.name).symlink_to("/root/now")
    for folder in ("before", "now"):
        outside(root, f"apt-get -qq --download-only install /root/{folder}/*.deb")
    booted = Machine(root)
    yield booted
    booted.stop()
    shutil.rmtree(root)


def documented():
    """Of docs/install.md: the shell's lines."""
    return [block.text for block in pages.blocks(PAGE)
            if block.language == "sh" and block.heading == "Traces from your own HAProxy"]


def gone(machine, found, *copied):
    """But for what the user copied, all is as it was."""
    machine.sh("apt purge 'spoe-*'; apt autoremove --purge")
    assert machine.sh("pgrep spoe-host || ls /run | grep spoe || echo none") == "none\n"
    assert machine.files() - found == set(copied)
    assert not found - machine.files()


def all_there(machine):
    """What an administrator looks for, each where it belongs."""
    def installed(pattern):
        return list(machine.root.glob(pattern))
    pages_of = [*(SOURCE / "docs/man").glob("*.[1-8]"), *(SOURCE / "debian").glob("*.1")]
    assert len(pages_of) == 8
    for page in pages_of:
        assert installed(f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz"), page
    for file in (SOURCE / "haproxy").glob("*.cfg"):
        assert installed(f"usr/share/spoe-host/{file.name}"), file
    for folder in ("collector", "helm", "ingress", "kubernetes"):
        for file in filter(pathlib.Path.is_file, (SOURCE / "examples" / folder).rglob("[!.]*")):
            assert installed(f"usr/share/doc/spoe-host/examples/{file.relative_to(SOURCE / 'examples')}"), file
    for page in ("NEWS", "configuration", "plugins", "service"):
        assert installed(f"usr/share/doc/spoe-host/{page}.md"), page
    assert installed("usr/share/spoe-host/examples/guide/*.c") and installed("usr/share/spoe-host/template/*")
    machine.sh("bash -c '. /usr/share/bash-completion/completions/spoe-host; complete -p spoe-host'")
    for unit in ("spoe-host.service", *SOCKETS):
        assert installed(f"usr/lib/systemd/system/{unit}") and not installed(f"usr/share/spoe-host/{unit}")
        machine.sh(f"systemd-analyze verify --man=no /usr/lib/systemd/system/{unit}")
    for unit in SOCKETS:
        assert machine.sh(f"systemctl is-enabled {unit} || true; systemctl is-active {unit} || true") == (
            "disabled\ninactive\n" if "spop" in unit else "enabled\nactive\n"), unit
    assert machine.sh("systemctl --failed --no-legend") == ""
    assert "taking log lines on udp:127.0.0.1:12514 (fd:log)" in machine.sh("journalctl --unit spoe-host --output cat")


def by_sockets(machine, console):
    """The units that the package brings, as docs/service.md has them: open over an upgrade, and its service again
    afterwards; that of SPOP as well, which is the user's choice."""
    machine.sh("echo SPOE_ADDR=fd:spop >>/etc/default/spoe-host\n"
               "systemctl enable spoe-host-spop.socket; systemctl restart spoe-host")
    since = machine.sh("systemctl show -p ActiveEnterTimestampMonotonic spoe-host-admin.socket spoe-host-log.socket")
    n = machine.starts("spoe-host")
    machine.sh("curl -sS --fail --retry 9 http://127.0.0.1:9902/readyz")
    traced(machine, console, "/by-sockets")
    machine.sh("apt install --reinstall ./spoe-host_*.deb", "/root/now")
    wait_until(lambda: machine.starts("spoe-host") > n, "another start")
    machine.sh("curl -sS --fail --retry 9 http://127.0.0.1:9902/readyz")
    traced(machine, console, "/by-sockets-again")
    assert since == machine.sh(
        "systemctl show -p ActiveEnterTimestampMonotonic spoe-host-admin.socket spoe-host-log.socket")


def haproxy_side(page):
    return [pages.part(page, word) for word in ("frontend", "backend", "agent")]


def traced(machine, console, path):
    """Both spans of a request. Asked again until they come: a machine that is busy may miss HAProxy's 15 ms."""
    def shown():
        """Traces are apart by an empty line."""
        return any(f"{path}\n" in trace and "SERVER" in trace and "CLIENT" in trace
                   for trace in "\n".join(console.lines).split("\n\n"))

    def asked():
        machine.sh(f"curl -s -o /dev/null http://localhost{path}")
        return shown()
    wait_until(asked, lambda: f"a trace of {path}:\n{console.report()}\n"
               + machine.sh("journalctl --unit spoe-host --output cat; journalctl --unit haproxy --output cat"),
               interval=0.5)


def reload_is_waited_for(machine):
    """13.2: Type=notify-reload, by the drop-in of docs/service.md. systemd of Debian 12 has no such type."""
    if int(machine.sh("systemctl --version").split()[1]) < 253:
        return
    folder = "/run/systemd/system/spoe-host.service.d"

    def reloads():
        machine.sh("journalctl --sync")
        return machine.sh("journalctl --unit spoe-host --output cat").count("configuration read again")

    def say(text):
        machine.sh(f"mkdir -p {folder}; cat > {folder}/reload.conf <<'END'\n{text}\nEND\nsystemctl daemon-reload")
        assert machine.sh("systemctl show --value -p Type spoe-host") == "notify-reload\n"

    documented_text = pages.part("docs/service.md", "notify-reload").replace("/usr/local/bin", "/usr/bin")
    for text in (documented_text, "[Service]\nType=notify-reload\nExecReload=\n"):
        say(text)
        before = reloads()
        for n in range(5):
            machine.sh("systemctl reload spoe-host")
            assert reloads() == before + n + 1, "it returns when the host has read the file"
    # Without a check before it the host's own is in the line of status; with it the command fails.
    machine.sh("cp -p /etc/spoe-host/spoe-host.ini /root/kept; echo '[otel' >> /etc/spoe-host/spoe-host.ini\n"
               "systemctl reload spoe-host")
    assert "the last reload failed" in machine.sh("systemctl show --value -p StatusText spoe-host")
    say(documented_text)
    assert machine.sh("systemctl reload spoe-host 2>/dev/null || echo failed") == "failed\n"
    assert machine.sh("systemctl is-active spoe-host") == "active\n"
    machine.sh("cp -p /root/kept /etc/spoe-host/spoe-host.ini; systemctl reload spoe-host\n"
               f"rm -r {folder}; systemctl daemon-reload")


def test_all_packages(debs):
    assert {deb.name.split("_")[0] for deb in debs.glob("*.deb")} == PACKAGES
    assert {deb.name.split("_")[0] for deb in (debs / "debug").iterdir()} == {
        f"{name}-dbgsym" for name in PACKAGES - {"spoe-host-plugins"}}


def test_the_version_is_the_builds(debs):
    source = re.search(r"^project\(spoe-host VERSION ([\d.]+)", (SOURCE / "CMakeLists.txt").read_text(), re.M).group(1)
    assert re.match(re.escape(source) + r"\+(git|deb)", version_of(debs))


def test_each_has_its_libraries_alone(debs):
    """Who wants the host alone gets neither gRPC nor curl."""
    needs = {deb.name.split("_")[0]: run("dpkg-deb", "--field", deb, "Depends") for deb in debs.glob("*.deb")}
    for library, users in {"libgrpc": {"spoe-host-otel", "otlp-console"}, "libmaxminddb": {"spoe-host-ip-reputation"},
                           "libcurl": {"spoe-host-otel", "spoe-host-auth-request", "spoe-host-ip-reputation",
                                       "spoe-host-mirror"}}.items():
        assert {name for name, text in needs.items() if library in text} == users


def test_two_builds_give_the_same_bytes(suite, debs, tmp_path):
    """In another folder, at another time; the second with its unit tests, which pass."""
    again = build(suite, tmp_path, NAME="another-folder", LINTIAN="0", CHECK="1")

    def sums(folder):
        return {str(deb.relative_to(folder)): hashlib.sha256(deb.read_bytes()).hexdigest()
                for deb in folder.rglob("*.deb")}
    assert sums(again) == sums(debs)


def test_the_lines_of_readme(suite, machine):
    """`make deb` has run. They name one suite; the page says that the other one is there as well."""
    block, = (b.text for b in pages.blocks("README.md") if "apt install" in b.text)
    make, install = block.splitlines()
    assert make.startswith("make deb ") and "bookworm" in block and "trixie" in block
    found = machine.files()
    machine.sh(install.replace("bookworm", suite), "/root/tree")
    assert machine.sh("systemctl is-enabled spoe-host; systemctl is-active spoe-host") == "enabled\nactive\n"
    machine.sh("spoe-host --plugin-info otel")
    gone(machine, found)


def test_from_installation_to_purge(machine, debs):
    frontend, backend, agent = haproxy_side(PAGE)
    assert [frontend, backend, agent] == haproxy_side("docs/get-started.md")
    own = machine.root / "etc/haproxy/haproxy.cfg"
    defaults = own.read_text()
    own.write_text(defaults + SITE.format(frontend="", backend="", agent=""))
    machine.sh("systemctl restart haproxy")
    found = machine.files()
    n = machine.starts("spoe-host")

    # As documented.
    install, console, copy, reload = documented()
    machine.sh(install, "/root/before")
    assert machine.sh("systemctl is-enabled spoe-host; systemctl is-active spoe-host") == "enabled\nactive\n"
    wait_until(lambda: machine.starts("spoe-host") == n + 1, "a start")  # the unit before did not say when
    console = machine.start(*console.split())
    machine.sh(copy)
    own.write_text(defaults + SITE.format(frontend=frontend, backend=backend, agent=agent))
    machine.sh(reload)
    traced(machine, console, "/")

    # Secrets are the service's own.
    pid = machine.main_pid("spoe-host")
    assert machine.sh("stat -c '%A %U %G' /etc/spoe-host /etc/spoe-host/spoe-host.ini") == (
        "drwxr-x--- root spoe-host\n-rw-r----- root spoe-host\n")
    assert machine.sh(f"stat -c %U /proc/{pid}").strip() == "spoe-host"

    # The configuration is a conffile, and the administrator's; so are its modes.
    machine.sh("sed -i 's/^#endpoint = .*/endpoint = 127.0.0.1:4317/' /etc/spoe-host/spoe-host.ini\n"
               "chmod 400 /etc/spoe-host/spoe-host.ini; chown spoe-host: /etc/spoe-host/spoe-host.ini")
    machine.sh("apt install ./*.deb", "/root/now")
    assert machine.sh("dpkg-query -W -f '${Version}' spoe-host-otel") == version_of(debs)
    assert machine.main_pid("spoe-host") not in ("0", pid)
    assert machine.starts("spoe-host") == n + 2, "one restart for all packages"
    assert "\nendpoint = 127.0.0.1:4317\n" in machine.sh("cat /etc/spoe-host/spoe-host.ini")
    assert machine.sh("stat -c '%a %U' /etc/spoe-host/spoe-host.ini") == "400 spoe-host\n"
    traced(machine, console, "/after-the-upgrade")

    # What else is in them is there, and works where it was put.
    all_there(machine)
    machine.sh("for plugin in otel auth-request ip-reputation mirror; do spoe-host --plugin-info $plugin; done\n"
               "spoe-plugin-check --version\n"
               "test -e /usr/lib/*/pkgconfig/spoe-sdk.pc\n"
               "spoe-host --new-plugin mine && test -e mine/CMakeLists.txt")

    reload_is_waited_for(machine)
    by_sockets(machine, console)

    # A plugin that goes takes effect at once.
    n = machine.starts("spoe-host")
    machine.sh("systemctl stop haproxy; apt remove spoe-host-mirror")
    wait_until(lambda: machine.starts("spoe-host") > n, "another start")

    # Lines that come meanwhile do not start it again.
    lines = machine.start("bash", "-c", "while sleep 0.02; do echo line >/dev/udp/127.0.0.1/12514 || :; done")
    machine.sh("apt remove 'spoe-*' otlp-console")
    lines.kill()
    assert machine.main_pid("haproxy") == "0"
    assert (machine.root / "etc/spoe-host/spoe-host.ini").exists()
    assert machine.sh("pgrep spoe-host || echo none") == "none\n"
    gone(machine, found, "/etc/haproxy/spoe-otel.cfg")
