# SPDX-License-Identifier: Apache-2.0
"""examples/compose/compose.yaml by Debian's docker-compose, fetched and unpacked, not installed: Debian 12's has the
schema of the Compose specification, Debian 13's reads the file itself. Neither needs Docker."""

import json
import subprocess

import yaml

from common import EXAMPLES, load

FILE = EXAMPLES / "compose" / "compose.yaml"


def run(*argv, cwd):
    done = subprocess.run(argv, cwd=cwd, text=True, timeout=300, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{argv}: {done.stdout}"
    return done.stdout


def test_compose_file(tmp_path):
    run("apt-get", "download", "docker-compose", cwd=tmp_path)
    (package,) = tmp_path.glob("docker-compose_*.deb")
    run("dpkg-deb", "-x", package, tmp_path / "root", cwd=tmp_path)
    programs = [p for p in (tmp_path / "root").rglob("docker-compose")
                if p.is_file() and p.read_bytes()[:4] == b"\x7fELF"]
    if programs:
        out = run(programs[0], "-f", FILE, "config", cwd=tmp_path)
        assert yaml.safe_load(out)["services"].keys() == load(FILE)[0]["services"].keys()
    else:
        import jsonschema  # of Debian 12's python3-jsonschema

        (schema,) = (tmp_path / "root").rglob("compose_spec.json")
        validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
        errors = [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(load(FILE)[0])]
        assert not errors, errors
