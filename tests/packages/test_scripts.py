# SPDX-License-Identifier: Apache-2.0
"""debian/spoe-host.postinst at an upgrade: what becomes of a host that is enabled or not, and of the sockets that the
package enables. Debian's own deb-systemd-helper says, over a root of the test's; systemctl and deb-systemd-invoke are
the test's. The scripts in a Debian that is booted: test_packages.py."""

import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
SOCKETS = ["spoe-host-admin.socket", "spoe-host-log.socket"]
WANTED = {"spoe-host.service": ["multi-user.target"], **{s: ["sockets.target", "spoe-host.service"] for s in SOCKETS}}


class Upgrade:
    def __init__(self, folder):
        self.root = folder / "root"
        self.calls = folder / "calls"
        self.booted = folder / "booted"
        units, stubs = self.root / "usr/lib/systemd/system", folder / "stubs"
        for made in units, stubs, self.booted, self.root / "usr/bin":
            made.mkdir(parents=True)
        (self.root / "usr/bin/systemctl").touch(mode=0o755)  # it has systemd
        for unit in WANTED:
            (units / unit).write_text((SOURCE / "dist" / unit).read_text())
        self.calls.touch()
        for name, text in (("deb-systemd-invoke", f'echo "$@" >>{self.calls}'), ("systemctl", "exec ${ACTIVE-false}")):
            (stubs / name).write_text(f"#!/bin/sh\n{text}\n")
            (stubs / name).chmod(0o755)
        self.env = {"PATH": f"{stubs}:{os.environ['PATH']}", "DPKG_ROOT": str(self.root),
                    "DPKG_MAINTSCRIPT_PACKAGE": "spoe-host"}

    def enable(self, *units):
        for unit in units:
            for target in WANTED[unit]:
                folder = self.root / f"etc/systemd/system/{target}.wants"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")

    def helper(self, *args):
        return subprocess.run(["deb-systemd-helper", "--quiet", *args], env=self.env, check=False).returncode

    def run(self, *args, **env):
        """@return what was asked of systemd, and whether debhelper's part enables each socket then"""
        text = (SOURCE / "debian/spoe-host.postinst").read_text().replace("/run/systemd/system", str(self.booted))
        subprocess.run(["sh", "-ec", text, "postinst", *args], env={**self.env, **env}, check=True)
        return self.calls.read_text(), [self.helper("was-enabled", s) == 0 for s in SOCKETS]


@pytest.fixture
def upgrade(tmp_path):
    return Upgrade(tmp_path)


STOP = "stop spoe-host.service\n"


def test_sockets_that_are_new_take_the_addresses_of_a_host_that_runs(upgrade):
    upgrade.enable("spoe-host.service")
    assert upgrade.run("configure", "0.1") == (STOP, [True, True])


def test_sockets_that_are_new_do_not_start_a_host_that_is_disabled(upgrade):
    """One that was started by hand goes on; debhelper's part starts it again."""
    assert upgrade.run("configure", "0.1") == ("", [False, False])


def test_sockets_of_the_administrators_choice_stay_as_they_are(upgrade):
    """A service that its sockets alone start, and one without a socket."""
    upgrade.enable(*SOCKETS)
    for unit in SOCKETS:
        upgrade.helper("update-state", unit)
    assert upgrade.run("configure", "0.1") == ("", [True, True])
    upgrade.enable("spoe-host.service")
    for target in WANTED[SOCKETS[0]]:
        (upgrade.root / f"etc/systemd/system/{target}.wants" / SOCKETS[0]).unlink()
    assert upgrade.run("configure", "0.1") == ("", [False, True])


def test_sockets_that_are_open_stay_open(upgrade):
    upgrade.enable("spoe-host.service", *SOCKETS)
    assert upgrade.run("configure", "0.1", ACTIVE="true") == ("", [True, True])


def test_a_machine_that_is_not_booted_by_systemd_is_asked_nothing(upgrade):
    upgrade.enable("spoe-host.service")
    upgrade.booted.rmdir()
    assert upgrade.run("configure", "0.1") == ("", [True, True])
