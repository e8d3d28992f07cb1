# SPDX-License-Identifier: Apache-2.0
"""13.1: what `--new-plugin` writes beside the plugin: its Containerfile is built and its image run, and the scripts of
its workflow are run one after the other, in a Debian 13 as they would be at GitHub."""

import os
import pathlib
import shutil
import subprocess

import pytest
import yaml

from lib.images import BASE, SOURCE, ask, build_images, buildah, container_of, limits, run

BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
NAME = "my-first"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The folder that was written; our images are built."""
    build_images()
    where = tmp_path_factory.mktemp("template")
    subprocess.run([os.environ["SPOE_TEST_HOST"], "--new-plugin", NAME], cwd=where, check=True, timeout=60)
    return where / NAME


def test_containerfile(plugin, tmp_path):
    folder = tmp_path / NAME
    shutil.copytree(plugin, folder)
    run("cmake", "--install", BUILD, "--prefix", folder / "sdk")
    tag = f"localhost/{NAME}:test"
    # It runs the checker, and fails where that does.
    assert "ctest " in (folder / "Containerfile").read_text()
    buildah("build", "--pull-never", *limits(), "--build-arg", "BASE=localhost/spoe-host:test", "-t", tag, folder)
    container = container_of(tag)
    try:
        asked = ["buildah", "run", container, "--", "/usr/bin/spoe-host"]
        assert "txn.my_first.hidden" in ask(*asked, "--plugin-info", f"/plugins/{NAME}.so")
        answer = ask(*asked, "--plugins", NAME, "--try", f"{NAME} path=/internal/x")
        assert "txn.my_first.hidden = bool true" in answer
    finally:
        buildah("rm", container)
        buildah("rmi", tag)


def repository(folder):
    """Our sources as a repository with a tag: they may lie here without one, or as a part of another."""
    folder.mkdir()
    names = ".ci .git .cache build __pycache__".split()
    run("tar", "-C", SOURCE, *(f"--exclude=./{name}" for name in names), "-cf", folder / "all.tar", ".")
    run("tar", "-C", folder, "-xf", folder / "all.tar")
    (folder / "all.tar").unlink()
    git = ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e@example.org"]
    run(*git, "init", "-q")
    run(*git, "add", "-A")
    run(*git, "commit", "-q", "-m", "all")
    run(*git, "tag", "v0")


def test_workflow(plugin, tmp_path):
    repository(tmp_path / "spoe-host")
    folder = tmp_path / NAME
    shutil.copytree(plugin, folder)
    job = yaml.safe_load((folder / ".github/workflows/build.yml").read_text())["jobs"]["check"]
    assert job["container"]["image"] == BASE
    environment = {**job["env"], "SPOE_HOST_URL": "file:///spoe-host", "SPOE_HOST_REF": "v0"}
    container = container_of(BASE)
    ran = []
    try:
        for step in job["steps"]:
            if "run" not in step:
                assert step["uses"].startswith("actions/checkout@")
                buildah("copy", container, folder, "/work")
                buildah("config", "--workingdir", "/work", container)
                continue
            run("buildah", "run", *(f"--env={key}={value}" for key, value in environment.items()),
                "-v", f"{tmp_path}/spoe-host:/spoe-host:ro", container, "--",
                "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
            ran.append(step["run"])
    finally:
        buildah("rm", container)
    assert len(ran) == 5 and ran[-1].startswith("ctest ")
