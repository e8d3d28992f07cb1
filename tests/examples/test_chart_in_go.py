# SPDX-License-Identifier: Apache-2.0
"""The chart by what Helm renders with, Go's text/template and Sprig, which Debian has where it has no Helm: fetched and
unpacked, not installed. chart.py, which the quick test uses, has to have made the same of it."""

import json
import os
import re
import subprocess

import pytest
import yaml

from chart import Chart
from common import EXAMPLES, SOURCE

CHART = EXAMPLES / "helm" / "spoe-host"
PACKAGES = ["golang-go", "golang-github-masterminds-sprig-dev"]
VALUES = {"replicas": 7, "image": {"repository": "registry.example/x"},
          "haproxy": {"config": "# my \"own\" <&> 'file'\n\ttab\n", "resources": {"requests": {"cpu": "3"}}},
          "otel": {"headers": "a: \"b\" \\c\n"}}


def run(*argv, cwd, env=None, stdin=None):
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})}, input=stdin, text=True, timeout=900,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """The program of render.go."""
    tmp = tmp_path_factory.mktemp("go")
    plan = run("apt-get", "-s", "install", "--no-install-recommends", *PACKAGES, cwd=tmp)
    missing = re.findall(r"^Inst (\S+)", plan, re.M)
    if missing:
        run("apt-get", "download", *missing, cwd=tmp)
    for package in tmp.glob("*.deb"):
        run("dpkg-deb", "-x", package, tmp / "root", cwd=tmp)
        package.unlink()
    roots = [root for root in (tmp / "root", "/") for root in [os.path.join(root, "usr")] if os.path.isdir(root)]
    (goroot, *_) = [os.path.join(usr, "lib", name) for usr in roots for name in sorted(os.listdir(f"{usr}/lib"))
                    if re.fullmatch(r"go-\d+\.\d+", name)]
    (tmp / "render").mkdir()
    (tmp / "render" / "render.go").write_text((SOURCE / "tests" / "examples" / "render.go").read_text())
    run(f"{goroot}/bin/go", "build", "-o", tmp / "program", ".", cwd=tmp / "render", env={
        "GOROOT": goroot, "GOPATH": ":".join(f"{usr}/share/gocode" for usr in roots), "GO111MODULE": "off",
        "GOCACHE": str(tmp / "cache"), "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"})
    return tmp / "program"


@pytest.mark.parametrize("release,values", [("edge", {}), ("other", VALUES)], ids=["as it is", "other values"])
def test_the_same(render, tmp_path, release, values):
    chart = Chart(CHART, release, values)
    out = run(render, CHART, release, cwd=tmp_path, stdin=json.dumps(chart.top["Values"]))
    rendered = [o for objects in chart.render().values() for o in objects]
    assert rendered and [o for o in yaml.safe_load_all(out) if o] == rendered
