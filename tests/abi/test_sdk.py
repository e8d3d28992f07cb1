# SPDX-License-Identifier: Apache-2.0
"""The SDK as strangers use it: installed, outside the tree, with CMake and with pkg-config."""

import os
import pathlib
import re
import shutil
import signal
import urllib.error
import urllib.request

import pytest

from lib import admin
from lib.procs import Proc, ReservedPort, SpoeHost, clean_env, run, wait_until
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
CONSUMER = SOURCE / "tests/abi/consumer"


def check(argv, **more):
    status, text = run(argv, **more)
    assert status == 0, f"{' '.join(map(str, argv))}\n{text}"
    return text


def exported(path):
    """Names of the dynamic symbols that a file defines."""
    text = check(["nm", "-D", "--defined-only", path])
    return [line.split()[-1] for line in text.splitlines()]


def assert_is_plugin(path):
    assert exported(path) == ["spoe_plugin_entry_v1"]
    flags = check(["readelf", "-d", path])
    assert "NODELETE" in flags and "NOW" in flags


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """spoe-host, installed; then moved, since an installation must not know where it is."""
    first = tmp_path_factory.mktemp("inst") / "first"
    check(["cmake", "--install", BUILD, "--prefix", first])
    moved = first.with_name("moved")
    first.rename(moved)
    return moved


@pytest.fixture(scope="module")
def built(prefix, tmp_path_factory):
    """The consumer, built with CMake from a copy that is not in the tree."""
    where = tmp_path_factory.mktemp("consumer")
    shutil.copytree(CONSUMER, where / "src")
    check(["cmake", "-S", where / "src", "-B", where / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
           "-DCMAKE_INSTALL_LIBDIR=lib"])
    check(["cmake", "--build", where / "build"])
    return where / "build"


def test_layout_of_installation(prefix):
    for path in ("include/spoe/plugin.h", "include/spoe/util.h", "lib/pkgconfig/spoe-sdk.pc",
                 "lib/cmake/spoe-sdk/spoe-sdk-config.cmake", "lib/spoe-host/plugins",
                 "bin/spoe-host", "share/spoe-host/examples/example/example.c"):
        assert (prefix / path).exists(), path
    assert not list((prefix / "lib/spoe-host/plugins").glob("example*"))
    plugins = prefix / "lib/spoe-host/plugins"
    installed = [p for folder in (plugins, plugins / "optional") if folder.is_dir() for p in folder.iterdir()]
    assert [p for p in installed if p.suffix != ".so"] in ([], [plugins / "optional"])
    headers = [h.relative_to(prefix) for h in (prefix / "include/spoe").rglob("*.h*")]
    assert len(headers) == len(list((SOURCE / "sdk/include").rglob("*.h*")))
    for header in headers:
        assert (prefix / header).read_bytes() == (SOURCE / "sdk" / header).read_bytes()


@pytest.mark.parametrize("name", ["consumer", "consumer_cxx", "classes"])
def test_cmake_consumer_is_a_plugin(built, name):
    assert_is_plugin(built / f"{name}.so")


def test_package_refuses_another_major(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C)\n"
        "find_package(spoe-sdk 2.0 REQUIRED)\n")
    status, text = run(["cmake", "-S", tmp_path, "-B", tmp_path / "b",
                        f"-DCMAKE_PREFIX_PATH={prefix}"])
    assert status != 0 and "1.1" in text


def pkg_config(prefix, *args):
    env = clean_env({"PKG_CONFIG_PATH": prefix / "lib/pkgconfig"})
    return check(["pkg-config", *args, "spoe-sdk"], env=env).split()


def test_pkg_config_consumer_is_a_plugin(prefix, tmp_path):
    out = tmp_path / "consumer.so"
    check(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden",
           "-shared", *pkg_config(prefix, "--cflags"), CONSUMER / "consumer.c",
           CONSUMER / "helpers.c", *pkg_config(prefix, "--libs"), "-o", out])
    assert_is_plugin(out)
    (plugindir,) = pkg_config(prefix, "--variable=plugindir")
    assert os.path.samefile(plugindir, prefix / "lib/spoe-host/plugins")
    status, text = run([prefix / "bin/spoe-host", "--plugin-info", out])
    assert status == 0 and "consumer" in text, text


def test_undefined_symbol_does_not_link(prefix, tmp_path):
    source = tmp_path / "open.c"
    source.write_text("#include <spoe/plugin.h>\nextern int nowhere(void);\n"
                      "const struct spoe_plugin *spoe_plugin_entry_v1(void)\n"
                      "{ return nowhere() ? 0 : 0; }\n")
    status, text = run(["cc", "-fPIC", "-shared", *pkg_config(prefix, "--cflags"), source,
                        *pkg_config(prefix, "--libs"), "-o", tmp_path / "open.so"])
    assert status != 0 and "nowhere" in text


def test_example_builds_from_its_installed_copy(prefix, tmp_path):
    shutil.copytree(prefix / "share/spoe-host/examples/example", tmp_path / "example")
    check(["cmake", "-S", tmp_path / "example", "-B", tmp_path / "build",
           f"-DCMAKE_PREFIX_PATH={prefix}"])
    check(["cmake", "--build", tmp_path / "build"])
    assert_is_plugin(tmp_path / "build/example.so")
    check(["cmake", "--install", tmp_path / "build"])
    assert (prefix / "lib/spoe-host/plugins/example.so").exists()
    (prefix / "lib/spoe-host/plugins/example.so").unlink()


def test_example_is_short():
    lines = (SOURCE / "plugins/example/example.c").read_text().splitlines()
    assert len(lines) < 50


def test_host_describes_and_accepts_them(prefix, built):
    host = prefix / "bin/spoe-host"
    text = check([host, "--plugin-info", built / "consumer.so"])
    for word in ("consumer", "7.0", "1.1", "on-frontend-http-request", "counts arguments"):
        assert word in text
    text = check([host, "--plugin-info", built / "consumer_cxx.so"])
    for word in ("consumer-cxx", "word", "plus plus"):
        assert word in text
    check([host, "-t", "--plugin-dir", built])


def test_host_runs_them(prefix, built, monkeypatch):
    monkeypatch.setenv("SPOE_TEST_HOST", str(prefix / "bin/spoe-host"))
    with SpoeHost(["--plugin-dir", built, "--set", "consumer-cxx.word=hi"]) as host:
        with Client(host.port) as client:
            client.hello()
            assert client.ask("consumer", {"a": "b"}).variables == {"consumer": 2}
            assert client.ask("consumer-cxx").variables == {"consumer_cxx": "hi"}
        assert host.terminate() == 0


# 12.2: spoe/plugin.hpp
def test_classes_in_the_host(prefix, built, monkeypatch):
    """What is thrown costs a message its variables, and what is forgotten is completed."""
    monkeypatch.setenv("SPOE_TEST_HOST", str(prefix / "bin/spoe-host"))
    with SpoeHost(["--plugin-dir", built, "--plugins", "classes.so", "--workers", "1",
                   "--set", "classes.greeting=hullo",
                   "--processing-timeout", "30s"]) as host:
        with Client(host.port) as client:
            client.hello()
            said = {"said": "hullo you", "even": True, "worker": 0}
            asked = {"word": "you", "number": 4}
            assert client.ask("classes-ask", asked).variables == said
            assert client.ask("classes-later", {"word": "soon"}).variables == {"later": "soon"}
            for word, logged in (("it", "handle: thrown: it"), ("memory", "handle: out of memory")):
                mark = host.mark()
                assert client.ask("classes-throw", {"word": word}).variables == {}
                host.wait_line(logged, start=mark)
            # Were it not completed the answer would come after 30 s.
            assert client.ask("classes-forget", {"word": "x"}).variables == {}
            host.wait_line("handle: forgotten")
            assert client.ask("classes-ask", asked).variables == said
        assert host.terminate() == 0


@pytest.mark.parametrize("fail,words", [
    ("config", ["command line: classes.fail: it is to fail"]),
    ("seven", ["something was thrown that is no std::exception"]),
])
def test_a_constructor_that_throws_stops_the_start(prefix, built, fail, words):
    status, text = run([prefix / "bin/spoe-host", "-t", "--plugin-dir", built, "--plugins",
                        "classes.so", "--set", f"classes.fail={fail}"], env=clean_env())
    assert status == 1
    for word in words:
        assert word in text, text


def test_frozen_plugin_runs_in_todays_host():
    with SpoeHost(["--plugin-dir", os.environ["SPOE_TEST_FROZEN_DIR"]],
                  env={"FROZEN_NUMBER": "58"}) as host:
        with Client(host.port) as client:
            client.hello()
            ack = client.ask("frozen", {"path": "/p"})
            assert ack.variables == {"frozen_path": "/p", "frozen_sum": 58 + 15_000_000 + 1 + 1}
            # Nothing of what 1.1 appended is read of a plugin of 1.0.
            host.signal(signal.SIGHUP)
            host.wait_line("configuration read again")
            assert client.ask("frozen", {"path": "/p"}).variables == ack.variables
        assert host.terminate() == 0


# 12.5
def test_frozen_plugin_of_1_1_runs_in_todays_host(tmp_path):
    """What 1.1 brought, as plugins that were built then use it."""
    conf = tmp_path / "host.ini"
    conf.write_text("[frozen-v1-1]\nnumber = 8\n")
    with SpoeHost(["-f", conf, "--plugin-dir", os.environ["SPOE_TEST_FROZEN_DIR"],
                   "--processing-timeout", "200ms"], env={"SPOE_ADMIN_ADDR": "127.0.0.1:0",
                                                          "SPOE_ADDR": "127.0.0.1:0"}) as host:
        with Client(host.port) as client:
            client.hello()
            wanted = {"frozen_path": "/p", "frozen_number": 8, "frozen_reconfigured": 0}
            assert client.ask("frozen-1", {"path": "/p"}).variables == wanted
            assert client.ask("frozen-1-later").variables == {"frozen_late": "committed"}
            conf.write_text("[frozen-v1-1]\nnumber = 9\n")
            host.signal(signal.SIGHUP)
            host.wait_line("these options change: frozen-v1-1.number")
            wanted.update(frozen_number=9, frozen_reconfigured=1)
            assert client.ask("frozen-1", {"path": "/p"}).variables == wanted
            page = admin.page(host, "/status")
            assert [p["reason"] for p in page["plugins"] if p["id"] == "frozen-v1-1"] == ["is old"]
            handled = admin.metrics(host)["spoe_frozen_v1_1_handled_total"]
            assert handled.value() == 3
        assert host.terminate() == 0
        host.wait_line("frozen is quiet")


@pytest.mark.parametrize("plugin", ["SPOE_TEST_EXAMPLE", "SPOE_TEST_SLOTS", "SPOE_TEST_FROZEN",
                                    "SPOE_TEST_FROZEN_1"])
def test_plugin_lives_with_a_host_of_version_1_0(plugin):
    check([os.environ["SPOE_TEST_FAKE_HOST"], os.environ[plugin]])


# 12.5
def test_classes_live_with_a_host_of_version_1_0(built):
    text = check([os.environ["SPOE_TEST_FAKE_HOST"], built / "classes.so", "errors"])
    assert "pending 2 completed 2" in text


def test_otel_lives_with_a_host_of_version_1_0():
    """12.5: by its defaults, to the spans of a request; the build may be one without it."""
    for plugin in (BUILD / "lib/spoe-host/plugins").glob("otel.so"):
        text = check([os.environ["SPOE_TEST_FAKE_HOST"], plugin, "texts"])
        assert "set_var traceparent type 8" in text and "opened=1 ended=1" in text, text


def test_host_of_version_1_0_refuses_what_needs_more():
    """Those of the tree that use what they cannot do without say so; optional ones may not be built."""
    folders = [BUILD / "lib/spoe-host" / f for f in ("plugins", "plugins/optional", "test-plugins")]
    names = {"typed.so", "auth-request.so", "ip-reputation.so", "mirror.so"}
    plugins = [p for folder in folders for p in sorted(folder.glob("*.so")) if p.name in names]
    assert "typed.so" in [p.name for p in plugins]
    for plugin in plugins:
        status, text = run([os.environ["SPOE_TEST_FAKE_HOST"], plugin])
        assert status == 3 and "plugin needs ABI 1.1, this host has 1.0" in text, text


def test_plugins_of_the_tree_export_their_entry_only():
    plugins = sorted(BUILD.glob("lib/spoe-host/*/*.so"))
    assert len(plugins) > 20
    for plugin in plugins:
        want = [] if plugin.name in ("no_entry.so", "library.so") else ["spoe_plugin_entry_v1"]
        assert exported(plugin) == want, plugin


def test_host_exports_nothing():
    """Besides copies of libc's data (such as stderr), which the linker has to place here."""
    libc = {"stdin", "stdout", "stderr", "environ", "__environ", "_environ", "optarg", "optind",
            "opterr", "optopt", "timezone", "daylight", "tzname"}
    names = [n.split("@")[0] for n in exported(os.environ["SPOE_TEST_HOST"])]
    names = [n for n in names if not n.startswith(("__asan_", "__tsan_", "__ubsan_"))]
    assert set(names) <= libc, names


# -- issue 12, 3: from --new-plugin on


@pytest.fixture(scope="module")
def fresh(prefix, tmp_path_factory):
    """A plugin that --new-plugin has written, and its build, with the installed SDK alone."""
    where = tmp_path_factory.mktemp("new")
    check([prefix / "bin/spoe-host", "--new-plugin", "my-first"], cwd=where)
    folder = where / "my-first"
    check(["cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}"])
    check(["cmake", "--build", folder / "build"])
    return folder


def test_a_new_plugin_keeps_the_rules(fresh, prefix):
    """12.3: its own test is the checker"""
    assert_is_plugin(fresh / "build/my-first.so")
    text = check(["ctest", "--test-dir", fresh / "build", "--output-on-failure", "-V"])
    assert "my-first.so keeps all rules" in text
    assert not [p for p in fresh.rglob("*") if "build" not in p.parts and p.is_file() and "@" in
                re.sub(r"actions/checkout@[0-9a-f]{40}", "", p.read_text())]
    text = check([prefix / "bin/spoe-host", "--plugin-dir", fresh / "build", "--try-file",
                  fresh / "my-first.script"])
    assert "txn.my_first.hidden = bool false" in text and "txn.my_first.hidden = bool true" in text
    text = check([prefix / "bin/spoe-host", "--plugin-info", fresh / "build/my-first.so"])
    assert "txn.my_first.hidden  bool" in text
    text = check([prefix / "bin/spoe-host", "--plugin-dir", fresh / "build", "--plugins", "my-first:a,my-first:b",
                  "--set", "my-first:b.hidden=/b", "--try", "my-first:b.my-first path=/b"])
    assert "txn.my_first_b.hidden = bool true" in text


def test_a_new_plugin_and_haproxy(fresh, prefix, tmp_path, monkeypatch):
    """12.3: to a variable in HAProxy, by the files that were written"""
    haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert haproxy, "HAProxy is a package of the tests"
    monkeypatch.setenv("SPOE_TEST_HOST", str(prefix / "bin/spoe-host"))
    (tmp_path / "spoe.cfg").write_text(
        check([prefix / "bin/spoe-host", "--plugin-dir", fresh / "build", "--print-spoe-config"]))
    with SpoeHost(["--plugin-dir", fresh / "build", "--processing-timeout", "50s"]) as host, \
            ReservedPort() as web:
        text = (fresh / "haproxy.cfg").read_text()
        for was, now in (("127.0.0.1:8080", f"127.0.0.1:{web.port}"),
                         ("127.0.0.1:12345", f"127.0.0.1:{host.port}"),
                         ("config spoe.cfg", f"config {tmp_path}/spoe.cfg")):
            assert was in text
            text = text.replace(was, now)
        (tmp_path / "haproxy.cfg").write_text(text)
        spoe = (tmp_path / "spoe.cfg").read_text()
        patient = re.sub(r"timeout processing +\S+", "timeout processing 60s", spoe)
        assert patient != spoe
        (tmp_path / "spoe.cfg").write_text(patient)
        with Proc([haproxy, "-db", "-f", tmp_path / "haproxy.cfg"], name="haproxy", env=clean_env()) as proxy:

            def status(path):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{web.port}{path}", timeout=70) as answer:
                        return answer.status
                except urllib.error.HTTPError as error:
                    return error.code
                except OSError:
                    return None  # it has not started yet

            wait_until(lambda: status("/"), lambda: f"HAProxy to answer{proxy.report()}")
            assert status("/") == 200
            assert status("/internal/x") == 404
        assert host.terminate() == 0


def test_a_new_plugin_is_installed_below_the_prefix_that_is_given(fresh, prefix, tmp_path):
    """12.3: --prefix, or else the SDK's"""
    check(["cmake", "--install", fresh / "build", "--prefix", tmp_path / "other"])
    assert (tmp_path / "other/lib/spoe-host/plugins/my-first.so").exists()
    assert not (prefix / "lib/spoe-host/plugins/my-first.so").exists()
    check(["cmake", "--install", fresh / "build"])
    (prefix / "lib/spoe-host/plugins/my-first.so").unlink()


@pytest.mark.parametrize("name,wrong", [("My", "is no name for a plugin"), ("host", "is no name"),
                                        ("../x", "is no name"), ("", "is no name"), ("a" * 33, "is no name"),
                                        ("there", "there: File exists")])
def test_a_name_that_will_not_do(prefix, tmp_path, name, wrong):
    """12.3: nothing is written, and nothing written over"""
    (tmp_path / "there").mkdir()
    status, text = run([prefix / "bin/spoe-host", "--new-plugin", name], cwd=tmp_path)
    assert status == 1 and wrong in text
    assert [p.name for p in tmp_path.iterdir()] == ["there"] and not list((tmp_path / "there").iterdir())


def test_pkg_config_with_sanitizers_of_clang(prefix, tmp_path):
    """12.3: clang links their runtime into executables only"""
    env = clean_env({"PKG_CONFIG_PATH": prefix / "lib/pkgconfig"})
    out = tmp_path / "consumer.so"
    check(["clang", "-std=c11", "-fsanitize=address,undefined", "-fPIC", "-fvisibility=hidden", "-shared",
           *pkg_config(prefix, "--cflags"), CONSUMER / "consumer.c", CONSUMER / "helpers.c",
           *check(["pkg-config", "--libs", "spoe-sdk-sanitizer"], env=env).split(), "-o", out])
    assert exported(out) == ["spoe_plugin_entry_v1"]


def test_pages_are_installed_with_links_that_lead_somewhere(prefix):
    """12.3: to headers and to the example"""
    page = (prefix / "share/doc/spoe-host/plugins.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", page) if link.startswith("../")]
    assert len(links) > 2
    for link in links:
        assert (prefix / "share/doc/spoe-host" / link).exists(), link
