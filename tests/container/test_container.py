# SPDX-License-Identifier: Apache-2.0
"""The images: built from the Containerfile without a registry, looked at, and run.

The base image is made with debootstrap and imported under the name that the Containerfile uses.
What lasts (that image, the layer with the build packages) is kept in SPOE_CONTAINER_CACHE, so that
a second run needs no network. Needs root, buildah, debootstrap and Debian's archive keyring.
"""

import filecmp
import ipaddress
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import stat
import struct
import subprocess

import pytest

from lib import spop
from lib.procs import Proc, ReservedPort, wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("SPOE_CONTAINER_CACHE", SOURCE / "build" / "container"))
BASE = "docker.io/library/debian:13"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
COMMIT = "0123456789ab"
BUILD_TIME = "2001-02-03T04:05:06Z"
HOST = "/usr/bin/spoe-host"
OTEL = "/usr/lib/spoe-host/plugins/otel.so"
OPTIONAL = [f"/usr/lib/spoe-host/plugins/optional/{name}.so"
            for name in ("auth-request", "ip-reputation", "mirror")]


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


def base_image():
    """Debian 13 under the base image's name, made once."""
    if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True,
                      check=False).returncode == 0:
        return
    root = CACHE / "debian13"
    archive = CACHE / "debian13.tar"
    shutil.rmtree(root, ignore_errors=True)
    run("debootstrap", "--variant=minbase", "trixie", root, MIRROR)
    run("tar", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*",
        "-cf", archive, ".")
    container = buildah("from", "scratch").split("\n")[-1]
    buildah("add", "-q", container, archive, "/")
    buildah("commit", "-q", "--rm", container, BASE)
    shutil.rmtree(root)
    archive.unlink()


def build_images():
    """test and test-plugins, and the example plugin from the stage that they were built in."""
    os.environ.update(ENGINE="buildah", BASE=BASE, SPOE_GIT_COMMIT=COMMIT, SPOE_BUILD_TIME=BUILD_TIME,
                      TAG="localhost/spoe-host:test", STAGES="build host plugins")
    run("tools/build-image", "--pull-never")
    plugins = CACHE / "plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    plugins.mkdir(parents=True)
    stage = buildah("from", "--pull-never", "localhost/spoe-host:test-build")
    example = "src/build/release/lib/spoe-host/examples/example.so"
    shutil.copy(pathlib.Path(buildah("mount", stage)) / example, plugins)
    buildah("rm", stage)
    return plugins


class Image:
    """A built image and a container of it with its root mounted."""

    def __init__(self, tag):
        name = f"localhost/spoe-host:{tag}"
        self.config = json.loads(buildah("inspect", "--type", "image", name))["OCIv1"]["config"]
        self.container = buildah("from", "--pull-never", *limits(), name)
        self.root = pathlib.Path(buildah("mount", self.container))

    def argv(self, *args, mounts=()):
        """The entry point with arguments, in the container, as the image's user."""
        volumes = [word for m in mounts for word in ("-v", m)]
        return ["buildah", "run", *volumes, self.container, "--",
                *self.config["Entrypoint"], *args]

    def files(self):
        return {"/" + str(p.relative_to(self.root)): p for p in self.root.rglob("*")
                if p.is_file() and not p.is_symlink()}

    def libraries(self):
        """Names of the shared objects that are no plugins."""
        return {f.rsplit("/", 1)[1] for f in self.files() if ".so" in f and "/spoe-host/" not in f}

    def needed_by(self, *paths):
        """Names of the libraries that these need, directly or not."""
        where = {f.rsplit("/", 1)[1]: p for f, p in self.files().items()}
        todo, seen = [self.root / p.lstrip("/") for p in paths], set()
        while todo:
            names = set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", todo.pop())))
            todo += [where[name] for name in names - seen]
            seen |= names
        return seen


@pytest.fixture(scope="module")
def example():
    """The folder with the example plugin; the images are built."""
    os.environ["BUILDAH_ISOLATION"] = "chroot"      # works where namespaces cannot be had
    pick_storage()
    base_image()
    return build_images()


@pytest.fixture(scope="module")
def image(example):
    built = Image("test")
    yield built
    buildah("rm", built.container)


@pytest.fixture(scope="module")
def with_plugins(example):
    built = Image("test-plugins")
    yield built
    buildah("rm", built.container)


def test_configuration(image):
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] == ["/usr/bin/spoe-host"]
    assert sorted(image.config["ExposedPorts"]) in (["12345", "9902"], ["12345/tcp", "9902/tcp"])
    assert "SPOE_PLUGIN_DIR=/usr/lib/spoe-host/plugins:/plugins" in image.config["Env"]


def test_holds_only_what_it_needs(image):
    """No shell, no package manager, no other program; libraries, certificates, /plugins."""
    files = image.files()
    rest = sorted(f for f in files if not (f.startswith("/usr/lib/") and ".so" in f))
    loader = [f for f in rest if f.startswith("/usr/lib64/ld-linux")]
    assert [f for f in rest if f not in loader] == [
        "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt", HOST]
    assert [f for f in files if "/spoe-host/" in f] == [OTEL]
    assert image.libraries() == image.needed_by(HOST, OTEL)
    assert not [f for f, p in files.items() if p.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    assert (image.root / "plugins").is_dir()
    assert files["/etc/ssl/certs/ca-certificates.crt"].stat().st_size > 100000


def test_the_second_adds_the_optional_plugins_alone(image, with_plugins):
    """12.4: them and the libraries that they need; the rest is the first image's, file by file."""
    assert with_plugins.config == image.config
    theirs, ours = with_plugins.files(), image.files()
    assert sorted(f for f in theirs if "/spoe-host/" in f) == sorted([OTEL, *OPTIONAL])
    assert with_plugins.libraries() == with_plugins.needed_by(HOST, OTEL, *OPTIONAL)
    changed = [f for f, p in ours.items() if f not in theirs or not filecmp.cmp(p, theirs[f], shallow=False)]
    assert not changed
    # The database of addresses is what nothing else has.
    assert any(name.startswith("libmaxminddb.so") for name in with_plugins.libraries() - image.libraries())


def test_no_shell_runs(image):
    done = subprocess.run(["buildah", "run", image.container, "--",
                           "/bin/sh", "-c", "echo alive"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and "alive" not in done.stdout


def test_version(image):
    version = run(*image.argv("--version"))
    assert COMMIT in version and BUILD_TIME in version


def varint(value):
    """SPOE.txt 3.1"""
    if value < 240:
        return bytes([value])
    out = [value & 0xFF | 0xF0]
    value = (value - 240) >> 4
    while value >= 128:
        out.append(value & 0xFF | 0x80)
        value = (value - 128) >> 7
    return bytes([*out, value])


def string(text):
    return varint(len(text)) + text.encode()


def hello(port):
    """HAPROXY-HELLO; the type of the frame that answers it, and the frame."""
    items = (string("supported-versions") + b"\x08" + string("2.0")
             + string("max-frame-size") + b"\x03" + varint(16380)
             + string("capabilities") + b"\x08" + string("pipelining")
             + string("engine-id") + b"\x08" + string("container-test"))
    frame = b"\x01" + struct.pack(">I", 1) + b"\x00\x00" + items
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(struct.pack(">I", len(frame)) + frame)
        reader = sock.makefile("rb")
        size = struct.unpack(">I", reader.read(4))[0]
        answer = reader.read(size)
    return answer[0], answer


@pytest.fixture
def port():
    """By it the container's processes are told from others."""
    with ReservedPort() as reserved:
        yield reserved.port


@pytest.mark.parametrize("mounted", [True, False])
def test_answers(image, example, mounted, port):
    """With an example plugin mounted at /plugins, and with the empty folder that the image has."""
    mounts = [f"{example}:/plugins:ro"] if mounted else []
    argv = image.argv("--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0", mounts=mounts)
    with Proc(argv, name="container") as host:
        def answered():
            assert host.alive(), host.report()
            try:
                return hello(port)
            except ConnectionRefusedError:
                return None

        host.wait_line('msg="ready"')
        kind, answer = wait_until(answered, host.report)
        assert kind == 101, answer      # AGENT-HELLO
        assert b"version" in answer and b"2.0" in answer
        assert COMMIT in host.lines[0], host.report()
        loaded = host.text()
        assert "otel" in loaded, host.report()
        assert ("example" in loaded) == mounted, host.report()
        # The host's own processes run as the image's user.
        pids = [p for p in os.listdir("/proc") if p.isdigit() and is_host(p, port)]
        assert pids, host.report()
        for pid in pids:
            assert os.stat(f"/proc/{pid}").st_uid == 65532


def test_the_second_answers(with_plugins, port, tmp_path):
    """12.4: all optional plugins beside otel; one of them is asked."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "block").write_text("192.0.2.0/24\n", encoding="ascii")
    with ReservedPort() as nobody:
        argv = with_plugins.argv(
            "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0",
            "--plugins", "otel,auth-request,ip-reputation,mirror",
            "--set", "host.processing-timeout=30s",
            "--set", f"auth-request.url=http://{nobody.address}/",
            "--set", "ip-reputation.lists=block:70=/lists/block",
            "--set", f"mirror.url=http://{nobody.address}", mounts=[f"{lists}:/lists:ro"])
        with Proc(argv, name="container") as host:
            host.wait_line('msg="ready"')
            with spop.Client(port) as client:
                client.hello()
                answer = client.ask("check-ip", {"ip": ipaddress.ip_address("192.0.2.7")}).variables
            assert (answer["score"], answer["list"]) == (70, "block"), host.report()
            for name in "otel", "auth-request", "ip-reputation", "mirror":
                assert f"plugin {name} " in host.text(), host.report()


def is_host(pid, port):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == b"/usr/bin/spoe-host" and f"127.0.0.1:{port}".encode() in words
