# SPDX-License-Identifier: Apache-2.0
"""The packages of arm64, built by Debian's cross toolchain with their unit tests (issue 13, 1); installed in an arm64
Debian whose programs this machine's kernel runs by qemu-user (binfmt_misc), they trace a request of this machine's
HAProxy, and leave nothing."""

import os
import pathlib
import shutil
import tempfile

import pytest

from building import ROOTS, SOURCE, build, built
from lib import haproxy, traces
from lib.collector import Collector
from lib.origin import Origin
from lib.procs import Proc, ReservedPort
from machine import ENVIRONMENT, files_of, outside, run

# As an installed host begins, without systemd; $1: the root.
BEGIN = """
mount --make-rprivate /
mount -t proc proc "$1/proc"
root=$1
shift
exec chroot "$root" "$@"
"""


@pytest.fixture(scope="module")
def debs(suite, tmp_path_factory):
    """The unit tests passed, unless SPOE_DEB_BUILT=build/deb says that they are built."""
    os.chdir(SOURCE)
    return built("SPOE_DEB_BUILT", suite, "arm64") or build(suite, tmp_path_factory.mktemp("built"), ARCH="arm64", CHECK="1")


@pytest.fixture(scope="module")
def root(suite, debs, tmp_path_factory):
    """An arm64 Debian, the packages in /root."""
    kept = ROOTS / f"{suite}-arm64"
    if not kept.exists():
        new = kept.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        run("debootstrap", "--arch=arm64", "--variant=minbase", suite, new,
            os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian"), limit=3600)
        new.rename(kept)
    made = tmp_path_factory.mktemp("arm64") / "root"
    run("cp", "-a", kept, made)
    shutil.copytree(debs, made / "root", dirs_exist_ok=True)
    yield made
    shutil.rmtree(made)


def test_all_are_of_arm64(debs):
    kinds = {deb.name.split("_")[0]: run("dpkg-deb", "--field", deb, "Architecture").strip() for deb in debs.glob("*.deb")}
    assert kinds.pop("spoe-host-plugins") == "all"
    assert set(kinds.values()) == {"arm64"} and len(kinds) == 7


def test_from_installation_to_purge(root):
    outside(root, "apt-get -qq update")
    found = files_of(root)
    outside(root, "apt-get -qq -y install /root/*.deb")
    for name in "otel", "auth-request", "ip-reputation", "mirror":
        assert name in outside(root, f"spoe-host --plugin-info {name}")
    outside(root, "spoe-plugin-check --version")
    binary = os.environ.get("HAPROXY") or shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    with tempfile.TemporaryDirectory(prefix="spoe-") as short, Collector() as collector, Origin() as origin, \
            ReservedPort() as port:
        env = {**ENVIRONMENT, "SPOE_ADDR": port.address, "SPOE_ADMIN_ADDR": "127.0.0.1:0",
               "SPOE_PROCESSING_TIMEOUT": "10s", "OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", BEGIN, "sh", str(root),
                "spoe-host"]
        with Proc(argv, env=env, name="spoe-host") as host:
            host.wait_line('msg="ready"')
            config = haproxy.Config(pathlib.Path(short)).relax().show_status()
            with haproxy.HAProxy(binary, config, [port.port], origin.address) as proxy:
                proxy.wait_agent()
                assert proxy.get("/from-arm64").status == 200
                traces.wait_pair(collector, "/from-arm64")
        collector.check()
    outside(root, "apt-get -qq -y purge 'spoe-*' otlp-console; apt-get -qq -y autoremove --purge")
    # What Debian's packages leave on their own, which apt keeps where one recommends another, is not looked at here.
    assert not {path for path in files_of(root) - found if "spoe" in path or "otlp" in path}
    assert not found - files_of(root)
