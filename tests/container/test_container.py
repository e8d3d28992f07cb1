# SPDX-License-Identifier: Apache-2.0
"""The images: built from the Containerfile without a registry, looked at, and run.

tests/lib/images.py builds them.
"""

import filecmp
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import tempfile

import pytest

from lib import haproxy, pages, spdx, spop, traces
from lib.collector import Collector
from lib.images import ARCH, BUILD_TIME, CACHE, COMMIT, VERSION, ask, build_images, buildah, container_of, run
from lib.origin import Origin
from lib.procs import Proc, ReservedPort, wait_until

HOST = "/usr/bin/spoe-host"
LIBRARIES = ("/usr/lib/", "/usr/lib64/")
DATABASE = "/var/lib/dpkg/status.d/"
OTEL = "/usr/lib/spoe-host/plugins/otel.so"
OPTIONAL = [f"/usr/lib/spoe-host/plugins/optional/{name}.so"
            for name in ("auth-request", "ip-reputation", "mirror")]


class Image:
    """A built image and a container of it with its root mounted."""

    def __init__(self, tag):
        self.tag = tag
        name = f"localhost/spoe-host:{tag}"
        described = json.loads(buildah("inspect", "--type", "image", name))["OCIv1"]
        self.architecture, self.config = described["architecture"], described["config"]
        self.container = container_of(name)
        self.root = pathlib.Path(buildah("mount", self.container))
        self.state = CACHE / f"dpkg-{tag}"          # for dpkg, which wants a folder to itself
        shutil.rmtree(self.state, ignore_errors=True)
        (self.state / "info").mkdir(parents=True)
        (self.state / "updates").mkdir()

    def argv(self, *args, mounts=(), env=()):
        """The entry point with arguments, in the container, as the image's user."""
        options = [word for m in mounts for word in ("-v", m)] + [word for e in env for word in ("-e", e)]
        return ["buildah", "run", *options, self.container, "--",
                *self.config["Entrypoint"], *args]

    def files(self):
        return {"/" + str(p.relative_to(self.root)): p for p in self.root.rglob("*")
                if p.is_file() and not p.is_symlink()}

    def libraries(self):
        """Names of the shared objects that are no plugins."""
        return {f.rsplit("/", 1)[1] for f in self.files() if f.startswith(LIBRARIES) and ".so" in f
                and "/spoe-host/" not in f}

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


def test_architecture(image, with_plugins):
    """13.1: what the image says of itself is what its programs are, and what its packages say."""
    machine = {"amd64": "X86-64", "arm64": "AArch64"}[ARCH]
    for built in image, with_plugins:
        assert built.architecture == ARCH
        for file, path in built.files().items():
            if file == HOST or ".so" in file:
                assert machine in run("readelf", "--file-header", path), file
            elif file.startswith(DATABASE) and not file.endswith(".md5sums"):
                assert re.search(rf"^Architecture: ({ARCH}|all)$", path.read_text(), re.M), file


def test_configuration(image):
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] == ["/usr/bin/spoe-host"]
    assert sorted(image.config["ExposedPorts"]) in (["12345", "9902"], ["12345/tcp", "9902/tcp"])
    assert "SPOE_PLUGIN_DIR=/usr/lib/spoe-host/plugins:/plugins" in image.config["Env"]


def test_holds_only_what_it_needs(image):
    """No shell, no package manager, no other program; libraries, certificates, /plugins; and, of each
    package that these are from, its licence and its part of the database."""
    files = image.files()
    rest = sorted(f for f in files if not (f.startswith(LIBRARIES) and ".so" in f))
    texts = ("/usr/share/common-licenses/", "/usr/share/doc/", "/var/lib/dpkg/status.d/")
    assert [f for f in rest if not f.startswith(texts)] == [
        "/etc/debian_version", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt", HOST,
        "/usr/lib/os-release"]
    assert [f for f in files if f.startswith("/usr/lib/spoe-host/")] == [OTEL]
    programs = [f for f, p in files.items() if p.stat().st_mode & 0o111 and ".so" not in f]
    assert programs == [HOST]
    assert image.libraries() == image.needed_by(HOST, OTEL)
    assert not [f for f, p in files.items() if p.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    assert (image.root / "plugins").is_dir()
    assert files["/etc/ssl/certs/ca-certificates.crt"].stat().st_size > 100000


def test_the_second_adds_the_optional_plugins_alone(image, with_plugins):
    """12.4: them, the libraries that they need, and what tells of these; the rest is the first image's,
    file by file."""
    assert with_plugins.config == image.config
    theirs, ours = with_plugins.files(), image.files()
    assert sorted(f for f in theirs if f.startswith("/usr/lib/spoe-host/")) == sorted([OTEL, *OPTIONAL])
    assert with_plugins.libraries() == with_plugins.needed_by(HOST, OTEL, *OPTIONAL)
    changed = [f for f, p in ours.items() if f not in theirs or not filecmp.cmp(p, theirs[f], shallow=False)]
    # A package of which the optional plugins need one more library.
    assert not [f for f in changed if not (f.startswith(DATABASE) and f.endswith(".md5sums"))]
    # The database of addresses is what nothing else has.
    assert any(name.startswith("libmaxminddb.so") for name in with_plugins.libraries() - image.libraries())


def packages_of(image):
    """The database, as dpkg itself reads it: name -> version, and the files that it names for each."""
    files = image.files()
    names = sorted(f for f in files if f.startswith(DATABASE) and not f.endswith(".md5sums"))
    versions, owned = {}, {}
    for name in names:
        package = name.removeprefix(DATABASE)
        fields = dict(re.findall(r"^([\w-]+): (.*)$", files[name].read_text(), re.M))
        assert fields["Package"] == package and fields["Status"] == "install ok installed"
        versions[package] = fields["Version"]
        for line in files[f"{name}.md5sums"].read_text().splitlines():
            md5, path = line.split("  ")
            assert hashlib.md5(files[f"/{path}"].read_bytes()).hexdigest() == md5
            assert owned.setdefault(f"/{path}", package) == package
    return versions, owned


def test_licences_and_database(image, with_plugins):
    """13.1: each file is a package's, each package has its licence, and dpkg and Debian know them."""
    for built, ours in ((image, {"spoe-host", "spoe-host-otel"}),
                        (with_plugins, {"spoe-host", "spoe-host-otel", "spoe-host-auth-request",
                                        "spoe-host-ip-reputation", "spoe-host-mirror"})):
        versions, owned = packages_of(built)
        files = built.files()
        assert {name for name in versions if name.startswith("spoe-host")} == ours
        assert {f for f in files if not f.startswith(DATABASE)} == set(owned)
        for name in versions:
            text = files[f"/usr/share/doc/{name}/copyright"].read_text(errors="replace")
            assert re.search(r"licen[cs]e|copyright", text, re.I), name
            # What it refers to is there as well.
            for common in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text):
                assert (built.root / "usr/share/common-licenses" / common).exists(), (name, common)
        # dpkg takes the database, put together as Debian has it, and all that ours depend on is there.
        status = "\n".join(files[f"{DATABASE}{name}"].read_text() for name in versions)
        (built.state / "status").write_text(status)
        listed = run("dpkg-query", f"--admindir={built.state}", "-W", "-f", "${Package} ${Version}\n")
        assert dict(line.split() for line in listed.splitlines()) == versions
        for name in ours:
            needs = run("dpkg-query", f"--admindir={built.state}", "-W", "-f", "${Depends}", name)
            assert {word.split()[0] for word in needs.split(", ")} <= set(versions), needs
        # By these a scanner knows which Debian's advisories count.
        release = (built.root / "etc/os-release").read_text()
        assert "ID=debian" in release and 'VERSION_ID="13"' in release
        assert (built.root / "etc/debian_version").read_text().startswith("13")
    assert "libmaxminddb0" in versions and "libmaxminddb0" not in packages_of(image)[0]


@pytest.mark.parametrize("which", ["image", "with_plugins"])
def test_sbom(which, request):
    """13.1: it is SPDX, and has each package of the database and each file of the image, and no others."""
    built = request.getfixturevalue(which)
    made = json.loads((CACHE / "sbom" / f"spoe-host-{built.tag}.spdx.json").read_text())
    spdx.check(made)
    assert made["creationInfo"]["created"] == BUILD_TIME
    versions, owned = packages_of(built)
    packages = {p["name"]: p for p in made["packages"] if p["primaryPackagePurpose"] != "CONTAINER"}
    assert {name: p["versionInfo"] for name, p in packages.items()} == versions
    sums = {f["fileName"].removeprefix("."): spdx.checksum(f, "SHA256") for f in made["files"]}
    assert sums == {f: hashlib.sha256(p.read_bytes()).hexdigest() for f, p in built.files().items()}
    ids = {f["SPDXID"]: f["fileName"].removeprefix(".") for f in made["files"]}
    for name, package in packages.items():
        contains = spdx.related(made, package["SPDXID"], "CONTAINS")
        assert {ids[i] for i in contains} == {f for f, owner in owned.items() if owner == name}
    libc = packages["libc6"]["SPDXID"]
    assert libc in spdx.related(made, packages["spoe-host"]["SPDXID"], "DEPENDS_ON")


def test_no_shell_runs(image):
    done = subprocess.run(["buildah", "run", image.container, "--",
                           "/bin/sh", "-c", "echo alive"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and "alive" not in done.stdout


def test_version(image):
    version = ask(*image.argv("--version"))
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


@pytest.mark.parametrize("which", ["image", "with_plugins"])
def test_traces_a_request(which, request, port):
    """13: from Debian's HAProxy by the image to a collector, set by the environment as the pages say."""
    built = request.getfixturevalue(which)
    binary = os.environ.get("HAPROXY") or shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    with tempfile.TemporaryDirectory(prefix="spoe-") as short, Collector() as collector, Origin() as origin:
        config = haproxy.Config(short).relax().show_status()
        env = (f"SPOE_ADDR=127.0.0.1:{port}", "SPOE_ADMIN_ADDR=127.0.0.1:0", "SPOE_PROCESSING_TIMEOUT=10s",
               f"OTLP_ENDPOINT={collector.endpoint}", "SERVICE_NAME=shop",
               "OTEL_BSP_SCHEDULE_DELAY=100")
        with Proc(built.argv(env=env), name="container") as host:
            host.wait_line('msg="ready"')
            with haproxy.HAProxy(binary, config, [port], origin.address) as proxy:
                proxy.wait_agent()
                assert proxy.get("/from-an-image").status == 200
                traces.wait_pair(collector, "/from-an-image")
        collector.check()


def test_the_second_answers(with_plugins, example, port, tmp_path):
    """12.4: all optional plugins beside otel; one of them is asked. 13.1: a mounted one is there as well."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "block").write_text("192.0.2.0/24\n", encoding="ascii")
    with ReservedPort() as nobody:
        argv = with_plugins.argv(
            "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0",
            "--plugins", "otel,auth-request,ip-reputation,mirror,example",
            "--set", "host.processing-timeout=30s",
            "--set", f"auth-request.url=http://{nobody.address}/",
            "--set", "ip-reputation.lists=block:70=/lists/block",
            "--set", f"mirror.url=http://{nobody.address}", mounts=[f"{lists}:/lists:ro", f"{example}:/plugins:ro"])
        with Proc(argv, name="container") as host:
            host.wait_line('msg="ready"')
            with spop.Client(port) as client:
                client.hello()
                answer = client.ask("check-ip", {"ip": ipaddress.ip_address("192.0.2.7")}).variables
            assert (answer["score"], answer["list"]) == (70, "block"), host.report()
            for name in "otel", "auth-request", "ip-reputation", "mirror", "example":
                assert f"plugin {name} " in host.text(), host.report()


def documented():
    """The `docker run` lines of the pages that have one of our images in them."""
    for page in ("README.md", "docs/get-started.md", "docs/container.md"):
        for block in pages.blocks(page):
            if block.language == "sh":
                for line in block.text.replace("\\\n", " ").splitlines():
                    if line.startswith("docker run ") and " spoe-host:" in line:
                        yield pytest.param(line, id=f"{page}:{block.line}")


def test_pages_have_commands():
    assert len(list(documented())) >= 5


@pytest.mark.parametrize("line", documented())
def test_commands_of_the_pages(line, image, with_plugins, example, port, tmp_path):
    """13.5: what docker is told there buildah is told here, but for ports, which are this machine's own."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/block.txt").write_text("192.0.2.0/24\n", encoding="ascii")
    (tmp_path / "my-plugins").mkdir()
    shutil.copy(example / "example.so", tmp_path / "my-plugins/mine.so")
    words = iter(shlex.split(line.replace("$PWD", str(tmp_path)))[2:])
    options = []
    for word in words:
        if word in ("-e", "-v"):
            options += [word, next(words)]
        elif word == "-p":
            assert next(words).split(":")[-1] in ("12345", "9902")
        elif word != "--rm":
            break
    tag, _, variant = word.removeprefix("spoe-host:").partition("-")
    built = with_plugins if variant else image
    assert (tag, variant) in ((VERSION, ""), (VERSION, "plugins"))
    argv = ["buildah", "run", *options, "-e", f"SPOE_ADDR=127.0.0.1:{port}", "-e", "SPOE_ADMIN_ADDR=127.0.0.1:0",
            built.container, "--", *built.config["Entrypoint"], *words]
    if "--plugin-info" in argv:
        assert "example" in ask(*argv)
        return
    with Proc(argv, name="container") as host:
        host.wait_line('msg="ready"')
        assert ("plugin example " in host.text()) == ("/my-plugins:" in line), host.report()
        assert ("plugin ip-reputation " in host.text()) == bool(variant), host.report()


def is_host(pid, port):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    # Of another architecture it is an argument of its emulator.
    return HOST.encode() in words[:2] and f"127.0.0.1:{port}".encode() in words
