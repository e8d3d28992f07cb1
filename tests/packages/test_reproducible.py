# SPDX-License-Identifier: Apache-2.0
"""A plain build: twice the same bytes from one commit, in folders of other names and depths (issue 13, 1)."""

import hashlib
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
JOBS = os.environ.get("JOBS", str(os.cpu_count()))


def build(folder):
    """The sums of all that is installed."""
    folder.mkdir(parents=True)
    subprocess.run(f"git ls-files -z | tar --create --null --files-from=- | tar --extract -C '{folder}'", shell=True,
                   cwd=SOURCE, check=True)
    # A cache of compilers would answer the second build with the first one.
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000", "CCACHE_DISABLE": "1"}
    for command in (["cmake", "--preset", "release", "-DSPOE_GIT_COMMIT=0123456789ab"],
                    ["cmake", "--build", "--preset", "release", "-j", JOBS],
                    ["cmake", "--install", "build/release", "--prefix", "installed"],
                    ["cmake", "--install", "build/release", "--prefix", "installed", "--component", "otlp-console"]):
        done = subprocess.run(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=1800, check=False)
        assert done.returncode == 0, done.stdout
    version = subprocess.run([folder / "installed/bin/spoe-host", "--version"], check=True, text=True,
                             stdout=subprocess.PIPE, timeout=60).stdout
    assert "2001-09-09T01:46:40Z" in version, version
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (folder / "installed").rglob("*") if path.is_file()}


def test_two_builds_give_the_same_bytes(tmp_path):
    first, second = build(tmp_path / "one"), build(tmp_path / "two/deeper")
    # The unit names the prefix; so it is the only one that knows where it was installed.
    first.pop("installed/share/spoe-host/spoe-host.service")
    second.pop("installed/share/spoe-host/spoe-host.service")
    assert first == second
    assert len([name for name in first if name.endswith(".so")]) == 4
