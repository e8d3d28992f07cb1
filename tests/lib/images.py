# SPDX-License-Identifier: Apache-2.0
"""The container images, built from the Containerfile without a registry.

The base image is made with debootstrap and imported under the name that the Containerfile uses.
What lasts (that image, the layer with the build packages) is kept in SPOE_CONTAINER_CACHE, so that
a second run needs no network. Needs root, buildah, debootstrap and Debian's archive keyring.
SPOE_CONTAINER_ARCH=arm64 is for that architecture, whose programs the kernel runs by qemu-user (binfmt_misc). Each has
a cache of its own.
"""

import os
import pathlib
import re
import resource
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("SPOE_CONTAINER_CACHE", SOURCE / "build" / "container"))
BASE = "docker.io/library/debian:13"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
VERSION = re.search(r"project\(spoe-host VERSION ([0-9.]+)", (SOURCE / "CMakeLists.txt").read_text())[1]
COMMIT = "0123456789ab"
BUILD_TIME = "2001-02-03T04:05:06Z"
ARCH = os.environ.get("SPOE_CONTAINER_ARCH") or subprocess.run(
    ["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
BUILD_LIMIT = 4 * 3600


def use_storage(driver):
    """Make buildah, and tools/build-image with it, keep its storage in CACHE."""
    conf = CACHE / f"{driver}.conf"
    conf.write_text(f"""[storage]
driver = "{driver}"
graphroot = "{CACHE / driver}"
runroot = "{CACHE / driver}-run"
""")
    os.environ["CONTAINERS_STORAGE_CONF"] = str(conf)


def pick_storage():
    """overlay where the kernel lets us mount one; else vfs, which copies every layer whole."""
    CACHE.mkdir(parents=True, exist_ok=True)
    use_storage("overlay")
    name = f"probe-{os.getpid()}"
    works = all(subprocess.run(["buildah", *words], capture_output=True, timeout=120,
                               check=False).returncode == 0
                for words in (["from", "--name", name, "scratch"], ["mount", name]))
    subprocess.run(["buildah", "rm", name], capture_output=True, timeout=120, check=False)
    if not works:
        use_storage("vfs")


def run(*argv, limit=1200):
    """Run to the end; the output. A failure shows it."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=limit, cwd=SOURCE)
    assert done.returncode == 0, f"{argv} failed ({done.returncode}):\n{done.stdout}"
    return done.stdout.strip()


def limits():
    """As tools/build-image: versions of buildah ask for more than a machine may give."""
    for name, which in ("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC):
        hard = resource.getrlimit(which)[1]
        n = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
        yield from ("--ulimit", f"{name}={n}:{n}")


def buildah(*argv, limit=1200):
    return run("buildah", *argv, limit=limit)


def container_of(image):
    """Its name, which is the last line where buildah has something to say first."""
    return buildah("from", "--pull-never", f"--arch={ARCH}", *limits(), image).split("\n")[-1]


def ask(*argv):
    """What a program in a container writes that ends at once. buildah 1.28 loses it now and then: 3 times in 100 on a
    loaded machine; then the program is asked again."""
    for _ in range(20):
        text = run(*argv)
        if text:
            return text
    raise AssertionError(f"{argv} writes nothing")


def base_image():
    """Debian 13 under the base image's name, made once."""
    if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True,
                      check=False).returncode == 0:
        return
    root = CACHE / "debian13"
    archive = CACHE / "debian13.tar"
    shutil.rmtree(root, ignore_errors=True)
    run("debootstrap", f"--arch={ARCH}", "--variant=minbase", "trixie", root, MIRROR)
    run("tar", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*",
        "-cf", archive, ".")
    container = container_of("scratch")
    buildah("add", "-q", container, archive, "/")
    buildah("commit", "-q", "--rm", container, BASE)
    shutil.rmtree(root)
    archive.unlink()


def build_images():
    """test and test-plugins, and the example plugin from the stage that they were built in."""
    os.environ["BUILDAH_ISOLATION"] = "chroot"      # works where namespaces cannot be had
    pick_storage()
    base_image()
    os.environ.update(ENGINE="buildah", BASE=BASE, SPOE_GIT_COMMIT=COMMIT, SPOE_BUILD_TIME=BUILD_TIME,
                      TAG="localhost/spoe-host:test", STAGES="build host plugins", SBOM=str(CACHE / "sbom"))
    run("tools/build-image", "--pull-never", f"--arch={ARCH}", limit=BUILD_LIMIT)
    plugins = CACHE / "plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    plugins.mkdir(parents=True)
    stage = container_of("localhost/spoe-host:test-build")
    example = "src/build/release/lib/spoe-host/examples/example.so"
    shutil.copy(pathlib.Path(buildah("mount", stage)) / example, plugins)
    buildah("rm", stage)
    return plugins
