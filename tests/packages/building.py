# SPDX-License-Identifier: Apache-2.0
"""Debian's packages, built by tools/build-deb for the tests that look at them."""

import os
import pathlib

from machine import run

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ROOTS = pathlib.Path(os.environ["SPOE_DEB_ROOTS"])
NATIVE = run("dpkg", "--print-architecture").strip()


def built(variable, suite, arch=NATIVE):
    """The folder with packages that this variable names, if it does."""
    folder = os.environ.get(variable)
    return folder and pathlib.Path(folder).resolve() / suite / arch


def build(suite, out, tree=SOURCE, **env):
    """The folder with the packages; lintian had nothing against them."""
    env = {**os.environ, "OUT": str(out), "ROOTS": str(ROOTS), "ARCH": "", "CHECK": "", **env}
    run(tree / "tools/build-deb", suite, limit=4 * 3600, env=env)
    return out / suite / (env["ARCH"] or NATIVE)
