# SPDX-License-Identifier: Apache-2.0
"""Where things are, and the checks that several of the examples need."""

import os
import pathlib
import shutil

import yaml

from lib import procs

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
EXAMPLES = SOURCE / "examples"


def haproxy():
    return os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")


def load(path):
    """All objects of a YAML file."""
    return [o for o in yaml.safe_load_all(path.read_text()) if o]


def haproxy_accepts(path, env):
    """haproxy -c, a warning being an error."""
    status, out = procs.run([haproxy(), "-dW", "-c", "-f", path], env=procs.clean_env(env))
    assert status == 0, out


def host_accepts(env, *args):
    """spoe-host -t with no variables but these, and no complaint in its log; what it wrote."""
    env = {"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"], **env}
    status, out = procs.run([procs.host_binary(), *args, "-t"], env=procs.clean_env(env))
    assert status == 0, out
    assert "level=warning" not in out and "level=error" not in out, out
    return out
