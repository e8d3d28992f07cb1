# SPDX-License-Identifier: Apache-2.0
"""The facets of the loop, of data that is reloaded and of health, and what is posted, cancelled and taken of the
log, in C++ and in Rust (12.2): the wrappers over a host of their own, under sanitizers too, and two plugins in
both languages, `gate` and `errands`, in the host."""

import ipaddress
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import threading

import pytest

from lib import admin
from lib.lines import Sender, where
from lib.procs import SpoeHost, clean_env, host_binary, run, wait_until
from lib.spop import Client

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["SPOE_TEST_BUILD_DIR"])
INCLUDE = SOURCE / "sdk/include"
CRATE = SOURCE / "sdk/rust"
CHECK = pathlib.Path(host_binary()).with_name("spoe-plugin-check")
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
LANGUAGES = ["cc", "rs"]


def sanitizers():
    """As the host was built: its library is there once."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    found = re.search(r"^SPOE_SANITIZE:STRING=(.+)$", cache, re.M)
    return [f"-fsanitize={found[1]}", "-fno-sanitize-recover=all"] if found else []


def good(argv, **more):
    status, text = run(argv, limit=300, **more)
    assert status == 0, f"{shlex.join(map(str, argv))}\n{text}"
    return text


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_classes_over_a_host_of_their_own(tmp_path, sanitizer):
    """12.2: no exception leaves a function of theirs, and no handle is used after its worker's end."""
    program = tmp_path / "facets"
    good(["g++", "-std=c++17", "-g", *WARNINGS, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-I",
          INCLUDE, SOURCE / "tests/abi/facets.cc", "-pthread", "-o", program])
    good([program], env=clean_env())


def rustc(where, *args):
    good(["rustc", "--edition", "2021", "-D", "warnings", *args], cwd=where)


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    where = tmp_path_factory.mktemp("rust")
    rustc(where, "--crate-type", "rlib", "--crate-name", "spoe", CRATE / "src/lib.rs")
    return where / "libspoe.rlib"


def build(crate, make_folder, name, sources):
    """The folders of this plugin, by language."""
    where = {language: make_folder(f"{name}-{language}") for language in LANGUAGES}
    good(["g++", "-std=c++17", "-g", "-O1", *WARNINGS, *sanitizers(), "-fPIC", "-fvisibility=hidden", "-shared",
          "-I", INCLUDE, sources["cc"], "-Wl,-z,now,-z,nodelete",
          f"-Wl,--version-script={SOURCE / 'sdk/cmake/spoe-plugin.map'}", "-o", where["cc"] / f"{name}.so"])
    rustc(where["rs"], "--crate-type", "cdylib", "--crate-name", name, sources["rs"], "-o",
          where["rs"] / f"{name}.so", "-C", "link-arg=-Wl,-z,now,-z,nodelete", "--extern", f"spoe={crate}")
    return where


@pytest.fixture(scope="module")
def gates(crate, tmp_path_factory):
    sources = {"cc": SOURCE / "sdk/guide/gate.cc", "rs": CRATE / "examples/gate.rs"}
    return build(crate, tmp_path_factory.mktemp, "gate", sources)


@pytest.fixture(scope="module")
def errands(crate, tmp_path_factory):
    sources = {language: SOURCE / "tests/abi" / f"errands.{language}" for language in LANGUAGES}
    return build(crate, tmp_path_factory.mktemp, "errands", sources)


class Service:
    """Says yes to the addresses it is given, nothing about those it is told to ignore, no to all others."""

    def __init__(self, yes=(), silent=()):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.yes, self.silent = yes, silent
        self.asked = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            text, who = self.socket.recvfrom(100)
            if not text:
                return
            number, address = text.decode().split()
            self.asked.append(address)
            if address not in self.silent:
                self.socket.sendto(f"{number} {'yes' if address in self.yes else 'no'}".encode(), who)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def put(path, text):
    """At once: whoever reads it meanwhile has the one before."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def arguments(folder, path, port, *more):
    return ["--plugin-dir", folder, "--workers", "2", "--set", f"gate.networks={path}", "--set",
            f"gate.port={port}", "--set", "gate.always=198.51.100.0/24, 2001:db8::/32", *more]


def begin(folder, path, port, *more):
    return SpoeHost(arguments(folder, path, port, *more), env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})


def allowed(client, address):
    return client.ask("gate", {"src": ipaddress.ip_address(address)}).variables["allowed"]


def told(host):
    (plugin,) = admin.page(host, "/status")["plugins"]
    return plugin["health"], plugin["reason"], plugin["status"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_from_the_loop_and_data_that_is_reloaded(gates, language, tmp_path):
    """12.2: a list, prefixes and an address among the options; a descriptor; a state without a lock."""
    path = tmp_path / "networks"
    put(path, "# ours\n\n192.0.2.0/24\n")
    with Service(yes=("203.0.113.1", "2001:db9::1")) as service, \
            begin(gates[language], path, service.port, "--processing-timeout", "60s") as host, \
            Client(host.port) as client:
        client.hello()
        for address in ("192.0.2.7", "198.51.100.1", "2001:db8::9"):
            assert allowed(client, address)
        assert service.asked == []
        assert allowed(client, "203.0.113.1") and allowed(client, "2001:db9::1")
        assert not allowed(client, "203.0.113.2")
        assert told(host) == ("ready", "", "1 networks")
        put(path, "203.0.113.0/25\n203.0.113.1/25\n")
        host.wait_line(rf"build: {path}:2: no network")
        assert allowed(client, "192.0.2.7"), "what was there stays"
        put(path, "203.0.113.0/25\n10.0.0.0/8\n")
        wait_until(lambda: allowed(client, "203.0.113.2"), "the new networks")
        assert not allowed(client, "192.0.2.7") and allowed(client, "10.1.1.1")
        assert told(host) == ("ready", "", "2 networks")
        assert host.terminate() == 0
    assert "left" not in host.text(), host.report()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_timer_ends_the_wait(gates, language, tmp_path):
    """12.2: half of processing-timeout, which it has read; what was committed is the answer in any case."""
    path = tmp_path / "networks"
    put(path, "")
    with Service(silent=("203.0.113.9",)) as service, \
            begin(gates[language], path, service.port, "--processing-timeout", "60ms") as host, \
            Client(host.port) as client:
        client.hello()
        assert allowed(client, "203.0.113.9") is False
        wait_until(lambda: told(host)[:2] == ("degraded", "the service does not answer"), "the timer")
        assert host.terminate() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_waits_at_the_end_is_answered(gates, language, tmp_path):
    """12.2: a worker ends with its loop; nothing is left on it, and no request forgotten."""
    path = tmp_path / "networks"
    put(path, "")
    with Service(silent=("203.0.113.9",)) as service, \
            begin(gates[language], path, service.port, "--processing-timeout", "600s", "--shutdown-timeout",
                  "2s") as host, Client(host.port) as client:
        client.hello()
        client.notify([("gate", {"src": ipaddress.ip_address("203.0.113.9")})])
        client.notify([])
        client.recv_ack()  # so both have been read
        host.signal(signal.SIGTERM)
        assert client.recv_ack().variables == {"allowed": False}
        assert host.wait() == 0, host.report()
    assert "left" not in host.text(), host.report()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_that_is_wrong_is_named_before_the_start(gates, language, tmp_path):
    """12.2: check() builds once; and the host's start waits for the first build"""
    path = tmp_path / "networks"
    path.write_text("10.0.0.0/8\nno network\n")
    for more in (["-t"], ["--listen", "127.0.0.1:0"]):
        status, text = run([host_binary(), *arguments(gates[language], path, 9, *more)], env=clean_env())
        assert status == 1 and f"{path}:2: no network" in text, text


def keeps_the_rules(language, *args):
    """Under the host's own asserts; Rust's library aborts where memory ends."""
    without = ["--without", "memory"] if language == "rs" else []
    done = subprocess.run([CHECK, *without, *args], env=clean_env(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=550)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_keeps_the_rules(gates, language, tmp_path):
    """12.2: spoe-plugin-check has nothing to say"""
    path = tmp_path / "networks"
    path.write_text("192.0.2.0/24\n")
    (tmp_path / "script").write_text("gate src=192.0.2.1\ngate src=203.0.113.1\n")
    with Service() as service:
        keeps_the_rules(language, "--set", f"gate.networks={path}", "--set", f"gate.port={service.port}",
                        gates[language] / "gate.so", tmp_path / "script")


# -- what is posted, cancelled, quiet, and taken of the log


def run_errands(folder, *more):
    return SpoeHost(["--plugin-dir", folder, "--workers", "2", *more], env={"SPOE_ADMIN_ADDR": "127.0.0.1:0"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_work_is_brought_back_to_its_worker(errands, language):
    """12.2: by a thread of the plugin's; what it throws there costs its request the variables, and no other."""
    with run_errands(errands[language], "--processing-timeout", "600s") as host:
        workers = set()
        with Client(host.port) as one, Client(host.port) as two:
            for client in (one, two):
                client.hello()
                for word in ("first", "second"):
                    said = client.ask("errand", {"word": word}).variables
                    workers.add(said.pop("worker"))
                    assert said == {"said": word, "own_thread": True}
            assert workers <= {0, 1}
            assert one.ask("errand", {"word": "lost"}).variables == {}
            host.wait_line("a posted function: .*lost on the way")
            assert one.ask("errand", {"word": "third"}).variables["said"] == "third"
        assert host.terminate() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_nobody_waits_for_is_taken_off(errands, language):
    """12.2: cancel() finds it by what was put to the request: at its deadline, and when its connection closes"""
    with run_errands(errands[language], "--processing-timeout", "50ms") as host, Client(host.port) as client:
        client.hello()
        assert client.ask("errand", {"word": "keep"}).variables == {}
        host.wait_line("cancelled 2")
        assert host.terminate() == 0
        host.wait_line("post in stop -6")  # the errand is brought back to nobody
    with run_errands(errands[language], "--processing-timeout", "600s") as host:
        with Client(host.port) as client:
            client.hello()
            client.notify([("errand", {"word": "keep"})])
            client.notify([])
            client.recv_ack()  # so both have been read
        host.wait_line("cancelled 1")
        wait_until(lambda: admin.metrics(host)["spoe_host_pending"].value() == 0, "its completion")
        assert host.terminate() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_end_is_told_first(errands, language):
    """12.2: quiesce(), then cancel() of what waits, then post() says that the worker has ended"""
    with run_errands(errands[language], "--processing-timeout", "600s", "--shutdown-timeout", "2s") as host, \
            Client(host.port) as client:
        client.hello()
        client.notify([("errand", {"word": "keep"})])
        client.notify([])
        client.recv_ack()
        host.signal(signal.SIGTERM)
        assert client.recv_ack().variables == {}
        assert host.wait() == 0, host.report()
        text = host.text()
    places = [text.find(line) for line in ("errands is quiet after 0 lines", "cancelled 3", "post in stop -6")]
    assert -1 not in places and places == sorted(places), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_of_the_log(errands, language):
    """12.2: their own text is an argument, and there is no answer"""
    with run_errands(errands[language], "--log-listen", "udp:127.0.0.1:0") as host:
        sender = Sender("udp", where(host, "udp"))
        sender.send("<133>1 2026-11-27T17:08:25.882146+00:00 hhh haproxy 158 - [s v=1 msg=errand-line] GET / 200")
        host.wait_line("line GET / 200 set -7")
        sender.close()
        assert host.terminate() == 0
        host.wait_line("errands is quiet after 1 lines")


@pytest.mark.parametrize("language", LANGUAGES)
def test_errands_keep_the_rules(errands, language, tmp_path):
    """12.2: spoe-plugin-check has nothing to say"""
    (tmp_path / "script").write_text("errand word=one\nerrand word=two\nerrand-line syslog.message=text\n")
    keeps_the_rules(language, errands[language] / "errands.so", tmp_path / "script")


HEAD = """
use spoe::*;
use std::sync::Arc;
pub struct P(pub Reload<String>);
"""
# 12.2: threads and lifetimes are in the types. What each is not, and why.
REFUSED = {
    "a timer is not sent to another thread":
        "pub fn f(t: Timer) { std::thread::spawn(move || drop(t)); }",
    "a loop is not sent either":
        "pub fn f(on: Loop) { std::thread::spawn(move || drop(on)); }",
    "nor is a watch shared":
        "pub fn f(w: &Watch<std::net::UdpSocket>) { std::thread::scope(|s| { s.spawn(|| w.get()); }); }",
    "a state does not outlive its turn":
        "pub fn f(r: &Reload<String>, m: &Message) -> &'static str { r.get(m.turn()).unwrap() }",
    "nor is it kept by a function of the loop":
        "pub fn f(r: Reload<String>, on: &Loop) { let mut kept: Option<&str> = None;"
        " let _ = Timer::new(on, move |turn, _| { kept = r.get(turn).map(|s| &**s); drop(kept); Ok(()) }); }",
    "a state is Sync":
        "pub fn f(c: &Config, s: &Source) { let _ = Reload::declare(c, s, |_| Ok(Some(std::cell::Cell::new(1)))); }",
    "a letter is sent, and so is what it has":
        "pub fn f(on: &Loop) { let _ = on.mailbox(|_, _: std::rc::Rc<u8>| Ok(())); }",
    "a request that is cancelled is not kept for another thread":
        "pub fn f(c: Cancel) { std::thread::spawn(move || c.data()); }",
    "a worker is that of its plugin":
        "struct Q; impl Plugin for Q { fn configure(_: Host, _: &Config) -> Result<Q, Error> { Ok(Q) } }"
        " struct R; impl Plugin for R { fn configure(_: Host, _: &Config) -> Result<R, Error> { Ok(R) } }"
        " struct W; impl Worker for W { type Plugin = Q;"
        " fn start(_: &Arc<Q>, _: &Loop, _: u32) -> Result<W, Error> { Ok(W) }"
        " fn handle(&self, _: &mut Request, _: &Message) -> Result<(), Error> { Ok(()) } }"
        " plugin! { R, worker: W, id: \"r\", version: \"1\", help: \"\", needs_minor: 1,"
        " messages: M { }, variables: { }, options: O { } }",
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_compiler_refuses(crate, tmp_path, what):
    source = tmp_path / "x.rs"
    argv = ["rustc", "--edition", "2021", "--crate-type", "lib", "--emit", "metadata", "--extern",
            f"spoe={crate}", source]
    source.write_text(HEAD + "pub fn unused(_: Arc<()>) {}\n")
    if what == next(iter(REFUSED)):
        good(argv, cwd=tmp_path)  # so that it is the line that is refused
    source.write_text(HEAD + REFUSED[what])
    status, text = run(argv, cwd=tmp_path, limit=300)
    assert status != 0 and re.search(r"cannot be (sent|shared) between threads|lifetime may not live|borrowed data"
                                     r"|type mismatch resolving|may not live long enough", text), text
