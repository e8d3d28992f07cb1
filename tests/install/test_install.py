# SPDX-License-Identifier: Apache-2.0
"""Installs this build into a folder, moves that folder, and looks at what is there and whether it
works: the host must find its plugins relative to itself."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lib.procs import SpoeHost, clean_env

BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
HOST = pathlib.Path(os.environ["SPOE_TEST_HOST"])
PREFIX = HOST.parents[1]
OTEL = os.environ["SPOE_TEST_OTEL"] == "1"

EXPECTED = {
    "bin/spoe-host",
    "bin/spoe-plugin-check",
    "include/spoe/declare.h",
    "include/spoe/ext/haproxy.h",
    "include/spoe/ext/health.h",
    "include/spoe/ext/health.hpp",
    "include/spoe/ext/recent.h",
    "include/spoe/ext/loop.h",
    "include/spoe/ext/loop.hpp",
    "include/spoe/ext/metrics.h",
    "include/spoe/ext/reload.h",
    "include/spoe/ext/reload.hpp",
    "include/spoe/hdrs.h",
    "include/spoe/mailbox.hpp",
    "include/spoe/options.h",
    "include/spoe/plugin.h",
    "include/spoe/plugin.hpp",
    "include/spoe/views.hpp",
    "include/spoe/util.h",
    "lib/cmake/spoe-sdk/SpoeAddPlugin.cmake",
    "lib/cmake/spoe-sdk/spoe-plugin.map",
    "lib/cmake/spoe-sdk/spoe-sdk-config-version.cmake",
    "lib/cmake/spoe-sdk/spoe-sdk-config.cmake",
    "lib/cmake/spoe-sdk/spoe-sdk-targets.cmake",
    "lib/pkgconfig/spoe-sdk-sanitizer.pc",
    "lib/pkgconfig/spoe-sdk.pc",
    *(f"share/doc/spoe-host/{page}.md" for page in (
        "agent-in-go", "alerts", "attributes", "auth-request", "backends", "configuration", "container", "control",
        "get-started", "haproxy", "ingress", "install", "ip-reputation", "kubernetes", "live-page", "log-lines", "metrics", "mirror", "otel",
        "otel-configuration", "otel-export", "otel-log", "plugins", "propagation", "recipes", "service", "troubleshooting",
        "versions", "ways",
        *(f"how-to/{name}" for name in (
            "client-address", "migrate-go-agent", "migrate-opentelemetry-filter", "migrate-opentracing", "plugin",
            "sampling", "security", "several-haproxies", "sizing", "tls", "trace-to-log", "unix-socket", "upgrade")))),
    *(f"share/spoe-host/template/{name}" for name in (
        "CMakeLists.txt", "Containerfile", "README.md", "haproxy.cfg", "plugin.c.in", "plugin.script",
        "workflow.yml")),
    "share/spoe-host/examples/example/CMakeLists.txt",
    "share/spoe-host/examples/example/README.md",
    "share/spoe-host/examples/example/example.c",
    *(f"share/spoe-host/examples/guide/{name}" for name in (
        "auth.c", "gate.cc", "hosts.c", "journal.c", "numbers.c")),
    "share/spoe-host/rust/Cargo.toml",
    "share/spoe-host/rust/examples/gate.rs",
    "share/spoe-host/rust/examples/limit.rs",
    *(f"share/spoe-host/rust/src/{name}.rs" for name in (
        "declare", "eventloop", "facet_tests", "health", "lib", "mailbox", "options", "raw", "reload", "tests",
        "views", "worker")),
    "share/spoe-host/rust/tests/layout.rs",
    "share/bash-completion/completions/spoe-host",
    "share/man/man5/spoe-host.ini.5",
    "share/man/man8/spoe-host.8",
    "share/spoe-host/haproxy.cfg",
    "share/spoe-host/otel-both.cfg",
    "share/spoe-host/otel-log.cfg",
    "share/spoe-host/otel-spoe.cfg",
    "share/spoe-host/spoe-host-admin.socket",
    "share/spoe-host/spoe-host-log.socket",
    "share/spoe-host/spoe-host-spop.socket",
    "share/spoe-host/spoe-host.service",
    "share/spoe-host/spoe-otel-3.x.cfg",
    "share/spoe-host/spoe-otel-both.cfg",
    "share/spoe-host/spoe-otel.cfg",
}
if OTEL:
    EXPECTED |= {"lib/spoe-host/plugins/otel.so", "share/man/man5/spoe-host-otel.5"}
for plugin in filter(None, os.environ["SPOE_TEST_OPTIONAL_PLUGINS"].split(",")):
    EXPECTED |= {f"lib/spoe-host/plugins/optional/{plugin}.so", f"share/spoe-host/{plugin}.cfg",
                 f"share/spoe-host/spoe-{plugin}.cfg", f"share/man/man5/spoe-host-{plugin}.5"}


@pytest.fixture(scope="module", autouse=True)
def installed():
    first = PREFIX.with_name("prefix")
    for folder in (first, PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cmake", "--install", BUILD, "--prefix", first], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)
    first.rename(PREFIX)


def host(*args, **env):
    return subprocess.run([HOST, *args], env=clean_env(env), stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)


def test_files():
    files = {str(p.relative_to(PREFIX)) for p in PREFIX.rglob("*") if not p.is_dir()}
    assert files == EXPECTED
    assert (PREFIX / "lib/spoe-host/plugins").is_dir()


def test_modes():
    for path in [PREFIX, *PREFIX.rglob("*")]:
        mode = path.stat().st_mode & 0o7777
        program = path.is_dir() or path.parent.name == "bin"
        assert mode in ((0o755,) if program else (0o644,)), f"{path}: {mode:o}"


def test_no_build_paths():
    """Nothing that is installed knows the folder of its build."""
    for name in sorted(EXPECTED):
        path = PREFIX / name
        if path.suffix in (".cmake", ".pc", ".cfg"):
            assert str(BUILD) not in path.read_text(), name
    for name in [n for n in EXPECTED if n.startswith("bin/") or n.endswith(".so")]:
        dynamic = subprocess.run(["readelf", "-d", PREFIX / name], check=True, text=True,
                                 stdout=subprocess.PIPE, timeout=60).stdout
        assert "RUNPATH" not in dynamic and "RPATH" not in dynamic, name


def test_links_of_the_pages():
    """12: each leads to something that is installed."""
    pages = sorted((PREFIX / "share/doc/spoe-host").rglob("*.md"))
    assert pages
    n = 0
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, _ = target.partition("#")
            assert "![" not in text, f"{page.name}: a picture"
            if path and not re.match("https?:", target):
                assert (page.parent / path).exists(), f"{page.name}: {target}"
                n += 1
    assert n > 20


def test_unit_starts_what_was_installed():
    """It has the prefix of the installation, not the default one."""
    unit = (PREFIX / "share/spoe-host/spoe-host.service").read_text()
    program = PREFIX.with_name("prefix") / "bin/spoe-host"
    assert f"ExecStart={program}\n" in unit and f"ExecReload={program} -t\n" in unit
    assert "/usr/local" not in unit


def test_version():
    version = host("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("spoe-host "), version.stdout


def test_finds_its_plugins():
    """In ../lib/spoe-host/plugins, seen from the binary. Without a plugin there is nothing to do,
    and the error names that folder."""
    check = host("-t")
    assert check.returncode == (0 if OTEL else 1), check.stdout
    if not OTEL:
        assert str(PREFIX / "lib/spoe-host/plugins") in check.stdout
        return
    with SpoeHost() as process:
        assert "otel" in process.text(), process.report()
        with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
            assert str(PREFIX / "lib/spoe-host/plugins/otel.so") in maps.read(), process.report()
        assert process.terminate() == 0
