# SPDX-License-Identifier: Apache-2.0
"""Debian's packages, for each suite (issue 13, 1): built twice, they are equal; in a Debian that is booted they are
installed by the lines of docs/install.md, trace a request of its HAProxy, are upgraded, and leave nothing.

SPOE_DEB_SUITES="bookworm" tries one alone; SPOE_DEB_BUILT=build/deb takes what `make deb` has built."""

import hashlib
import os
import pathlib
import re
import shutil

import pytest

from lib import pages
from lib.procs import wait_until
from machine import Machine, outside, run

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ROOTS = pathlib.Path(os.environ["SPOE_DEB_ROOTS"])
SUITES = os.environ.get("SPOE_DEB_SUITES", "bookworm trixie").split()
PACKAGES = {"spoe-host", "spoe-host-otel", "spoe-host-auth-request", "spoe-host-ip-reputation", "spoe-host-mirror",
            "spoe-host-plugins", "spoe-sdk-dev", "otlp-console"}
PAGE = "docs/install.md"
BEFORE = "0.0.9+before"
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


def build(suite, out, **env):
    run("tools/build-deb", suite, limit=3600,
        env={**os.environ, "OUT": str(out), "ROOTS": str(ROOTS), "ARCH": "", "CHECK": "", **env})
    return out / suite / run("dpkg", "--print-architecture").strip()


@pytest.fixture(scope="module", params=SUITES)
def suite(request):
    return request.param


@pytest.fixture(scope="module")
def debs(suite, tmp_path_factory):
    """The folder with the packages; lintian had nothing against them."""
    os.chdir(SOURCE)
    if os.environ.get("SPOE_DEB_BUILT"):
        return pathlib.Path(os.environ["SPOE_DEB_BUILT"]) / suite / run("dpkg", "--print-architecture").strip()
    return build(suite, tmp_path_factory.mktemp("first"))


def version_of(debs):
    return re.search(r"/spoe-host_(.*)_\w+\.deb", str(next(debs.glob("spoe-host_*.deb")))).group(1)


@pytest.fixture(scope="module")
def before(debs, tmp_path_factory):
    """The same packages under a lower version, as if they were the ones before."""
    folder = tmp_path_factory.mktemp("before")
    new = version_of(debs)
    for deb in debs.glob("*.deb"):
        tree = folder / "tree"
        run("dpkg-deb", "--raw-extract", deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(new, BEFORE))
        run("dpkg-deb", "--build", tree, folder / deb.name.replace(new, BEFORE))
        shutil.rmtree(tree)
    return folder


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
        (new / "etc/apt/apt.conf.d/yes").write_text('APT::Get::Assume-Yes "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n')
        outside(new, "apt-get -qq update; apt-get -qq install systemd systemd-sysv procps haproxy curl sudo")
        outside(new, "systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer")
        new.rename(kept)
    root = tmp_path_factory.mktemp("machine") / "root"
    run("cp", "-a", kept, root)
    shutil.copytree(before, root / "root/before")
    shutil.copytree(debs, root / "root/now")
    outside(root, "apt-get -qq --download-only install /root/now/*.deb")
    booted = Machine(root)
    yield booted
    booted.stop()
    shutil.rmtree(root)


def documented():
    """Of docs/install.md: the shell's lines."""
    return [block.text for block in pages.blocks(PAGE)
            if block.language == "sh" and block.heading == "Traces from your own HAProxy"]


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
    """In another folder, at another time."""
    again = build(suite, tmp_path, NAME="another-folder", LINTIAN="0")

    def sums(folder):
        return {str(deb.relative_to(folder)): hashlib.sha256(deb.read_bytes()).hexdigest()
                for deb in folder.rglob("*.deb")}
    assert sums(again) == sums(debs)


def test_from_installation_to_purge(machine, debs):
    frontend, backend, agent = haproxy_side(PAGE)
    assert [frontend, backend, agent] == haproxy_side("docs/get-started.md")
    own = machine.root / "etc/haproxy/haproxy.cfg"
    defaults = own.read_text()
    own.write_text(defaults + SITE.format(frontend="", backend="", agent=""))
    machine.sh("systemctl restart haproxy")
    found = machine.files()

    # As documented.
    install, console, copy, reload = documented()
    machine.sh(install, "/root/before")
    assert machine.sh("systemctl is-enabled spoe-host; systemctl is-active spoe-host") == "enabled\nactive\n"
    assert machine.starts("spoe-host") == 1
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
    assert machine.starts("spoe-host") == 2, "one restart for all packages"
    assert "\nendpoint = 127.0.0.1:4317\n" in machine.sh("cat /etc/spoe-host/spoe-host.ini")
    assert machine.sh("stat -c '%a %U' /etc/spoe-host/spoe-host.ini") == "400 spoe-host\n"
    traced(machine, console, "/after-the-upgrade")

    # What else is in them works where it was put.
    machine.sh("for plugin in otel auth-request ip-reputation mirror; do spoe-host --plugin-info $plugin; done\n"
               "spoe-plugin-check --version\n"
               "test -e /usr/lib/*/pkgconfig/spoe-sdk.pc\n"
               "spoe-host --new-plugin mine && test -e mine/CMakeLists.txt")

    reload_is_waited_for(machine)

    # A plugin that goes takes effect at once.
    machine.sh("systemctl stop haproxy; apt remove spoe-host-mirror")
    wait_until(lambda: machine.starts("spoe-host") == 3, "another start")

    machine.sh("touch /etc/default/spoe-host; apt remove 'spoe-*' otlp-console")
    assert machine.main_pid("haproxy") == "0"
    assert (machine.root / "etc/spoe-host/spoe-host.ini").exists()
    assert machine.sh("pgrep spoe-host || echo none") == "none\n"

    machine.sh("apt purge 'spoe-*'; apt autoremove --purge")
    assert machine.sh("ls /run | grep spoe || echo none") == "none\n"
    # What the user copied.
    assert machine.files() - found == {"/etc/haproxy/spoe-otel.cfg"}
    assert not found - machine.files()
