# SPDX-License-Identifier: Apache-2.0
"""haproxy -c, with warnings as errors, on the files that users get."""

import os

import pytest
from lib import haproxy as hap
from lib import versions
from lib.haproxy_config import printed, sections
from lib.recipes import recipes

SPOE_FILES = ["spoe-otel.cfg", "spoe-otel-3.x.cfg"]


@pytest.mark.parametrize("name", SPOE_FILES)
def test_files_are_accepted(binary, version, name):
    env = {"SPOE_OTEL_CFG": f"{hap.SOURCE}/haproxy/{name}"}
    status, out = hap.check(binary, f"{hap.SOURCE}/haproxy/haproxy.cfg", env)
    if name == "spoe-otel-3.x.cfg" and version < (3, 0):
        # What its first lines promise: an older version says so at once.
        assert status != 0 and "unknown fetch method" in out
    else:
        assert status == 0, out


def test_both_files_send_the_same_base():
    """The second file only adds to the first."""

    def args(name):
        words = {}
        message = None
        for line in hap.source_text(name).splitlines():
            word = line.split()
            if word[:1] == ["spoe-message"]:
                message = words.setdefault(word[1], [])
            elif word[:1] == ["args"]:
                message += word[1:]
        return words

    base, more = (args(name) for name in SPOE_FILES)
    assert base.keys() == more.keys()
    for message, words in base.items():
        assert more[message][: len(words)] == words


# -- what the host writes (issue 11, 1.8) is accepted by the HAProxies that it says. That it is the
# files: tests/tools/test_haproxy_files.py.

def checked(binary, tmp, main, section):
    paths = [os.path.join(tmp, name) for name in ("written.cfg", "written-spoe.cfg")]
    for path, text in zip(paths, (main, section)):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    return hap.check(binary, paths[0], {"SPOE_CFG": paths[1]})


@pytest.mark.parametrize("way", ["spoe", "log", "both"])
@pytest.mark.parametrize("least", ["2.6", "2.9", "3.0", "3.1"])
def test_what_the_host_writes_is_accepted(binary, version, tmp, way, least):
    status, out = checked(binary, tmp, *printed(way, least))
    if version >= tuple(map(int, least.split("."))):
        assert status == 0, out
    elif way != "spoe" and least == "3.1":
        assert status != 0 and "profile" in out  # which is why there is a --for


@pytest.mark.parametrize("address", ["udp:*:12514", "udp:[::1]:12514", "unixgram:/run/lines",
                                     "tcp:127.0.0.1:12514", "tcp+octet:[::]:12514", "unix:/run/lines"])
def test_each_address_of_lines_is_accepted(binary, version, tmp, address):
    """A logger for datagrams, a ring for streams."""
    main, _ = printed("log", "3.1" if version >= (3, 1) else "2.6", "--log-listen", address)
    status, out = checked(binary, tmp, main, "")
    if address.startswith("unix:") and versions.refuses_unix_rings(version):
        assert status != 0 and "log server address family not supported" in out
    else:
        assert status == 0, out
    stream = not address.startswith(("udp:", "unixgram:"))
    assert ("ring spoe-lines" in sections(main)) == stream
    assert ("log-proto octet-count" in main) == ("octet" in address)
    assert "${AGENT_LOG_ADDR-" in main


def test_options_are_heeded(binary, tmp):
    """Engine, time-out, addresses and propagators are those of the host that runs."""
    main, section = printed("spoe", "2.6", "--engine", "traces", "--listen", "unix:/run/spoe.sock",
                            "--processing-timeout", "20ms",
                            env={"OTEL_PROPAGATORS": "tracecontext,b3,b3multi"})
    status, out = checked(binary, tmp, main, section)
    assert status == 0, out
    assert section.startswith("[traces]\n") and "timeout processing 25ms" in section
    assert "option var-prefix traces" in section and "txn.otel." not in main + section
    assert "var(txn.traces.traceparent)" in main and "unix@/run/spoe.sock" in main
    assert "set-header b3 " in main and "set-header X-B3-Flags 1" in main
    assert " b3=req.fhdr(b3)" in section and "x-b3-flags=" in section


# -- docs/recipes.md (issue 11, 5.2)


@pytest.mark.parametrize("recipe", recipes(), ids=lambda r: f"{r.heading}, {r.way} {r.least}")
def test_recipe(binary, version, tmp, recipe):
    paths = [os.path.join(tmp, name) for name in ("traced.cfg", "spoe.cfg", "sites.cfg")]
    for path, text in zip(paths, recipe.files()):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    more = ("-f", paths[0]) if recipe.site else ()
    status, out = hap.check(binary, paths[2 if recipe.site else 0], {"SPOE_CFG": paths[1]}, more)
    if version >= tuple(map(int, recipe.least.split("."))):
        assert status == 0, out
    else:
        assert status != 0, "it does not need " + recipe.least
