# SPDX-License-Identifier: Apache-2.0
"""13.1: tools/make-sbom, of a root that is made up. tests/container has it of the images."""

import hashlib
import json
import os
import pathlib
import subprocess

import pytest

from lib import spdx

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "make-sbom"
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "981173106"}
OURS = """Package: spoe-host
Status: install ok installed
Architecture: amd64
Source: spoe-host
Version: 1.2.3
Depends: libstdc++6, nowhere
Description: the host
"""
THEIRS = """Package: libstdc++6
Status: install ok installed
Architecture: amd64
Source: gcc-14 (1:14.2.0-19)
Version: 14.2.0-19+b1
Depends: gcc-14-base (= 14.2.0-19), nobody | spoe-host:any (>= 1)
Homepage: http://gcc.gnu.org/
Description: C++ library
 of several lines
"""


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return f"{hashlib.md5(text.encode()).hexdigest()}  {path}\n"


@pytest.fixture
def root(tmp_path):
    """An image of two packages."""
    write(tmp_path, "usr/lib/os-release", 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n')
    for name, text, files in (("spoe-host", OURS, {"usr/bin/spoe-host": "program"}),
                              ("libstdc++6", THEIRS, {"usr/lib/libstdc++.so.6": "library"})):
        files[f"usr/share/doc/{name}/copyright"] = f"The licence of {name}.\n"
        sums = "".join(write(tmp_path, path, content) for path, content in files.items())
        write(tmp_path, f"var/lib/dpkg/status.d/{name}", text)
        write(tmp_path, f"var/lib/dpkg/status.d/{name}.md5sums", sums)
    return tmp_path


def run(root, *arguments):
    return subprocess.run([TOOL, root, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env=ENVIRONMENT)


def test_document(root):
    done = run(root, "--name", "spoe-host-plugins")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    spdx.check(made)
    assert made["name"] == "spoe-host-plugins-1.2.3"
    assert made["creationInfo"]["created"] == "2001-02-03T04:05:06Z"
    image, theirs, ours = sorted(made["packages"], key=lambda p: p["SPDXID"])
    assert image["primaryPackagePurpose"] == "CONTAINER"
    assert theirs["externalRefs"][0]["referenceLocator"] == (
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19%2Bb1?arch=amd64&distro=debian-13"
        "&upstream=gcc-14%401%3A14.2.0-19")
    assert made["hasExtractedLicensingInfos"][0]["extractedText"] == "The licence of libstdc++6.\n"
    assert (ours["licenseDeclared"], theirs["summary"]) == ("Apache-2.0", "C++ library")
    # Both ways, and nobody who is not there.
    assert spdx.related(made, ours["SPDXID"], "DEPENDS_ON") == {theirs["SPDXID"]}
    assert spdx.related(made, theirs["SPDXID"], "DEPENDS_ON") == {ours["SPDXID"]}
    assert len(made["files"]) == 9
    # What no package has is the image's own.
    assert len(spdx.related(made, image["SPDXID"], "CONTAINS")) == 2 + 5


def test_same_root_same_bytes(root):
    first = run(root).stdout
    assert run(root).stdout == first
    (root / "usr/bin/spoe-host").write_text("another program")
    assert json.loads(run(root).stdout)["documentNamespace"] != json.loads(first)["documentNamespace"]


@pytest.mark.parametrize("file, complaint", [
    ("usr/bin/spoe-host", "spoe-host has /usr/bin/spoe-host, which is not there"),
    ("usr/share/doc/libstdc++6/copyright", "copyright, which is not there"),
    ("var/lib/dpkg/status.d/spoe-host", "no package of spoe-host"),
    ("var/lib/dpkg/status.d/libstdc++6.md5sums", "libstdc++6.md5sums"),
    ("usr/lib/os-release", "os-release"),
])
def test_incomplete_root(root, file, complaint):
    (root / file).unlink()
    done = run(root)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("make-sbom: ") and complaint in done.stderr


def test_package_without_version(root):
    write(root, "var/lib/dpkg/status.d/libstdc++6", "Package: libstdc++6\nArchitecture: amd64\n")
    done = run(root)
    assert done.returncode == 1 and "no field Version" in done.stderr


def test_time_that_is_none(root):
    done = run(root, "--created", "yesterday")
    assert done.returncode == 1 and "yesterday" in done.stderr
