# SPDX-License-Identifier: Apache-2.0
"""The command line, the variables and the file, as a user meets them. Numbers are the issue's lines."""

import os
import re
import socket
import subprocess

import pytest

from conftest import PLUGINS, host_args
from lib.procs import LIMIT, ReservedPort, clean_env, host_binary, run

OTEL = {"SPOE_PLUGIN_DIR": os.environ.get("SPOE_TEST_OTEL_DIR", ""), "SPOE_PLUGINS": "otel.so"}
DEFAULT_FILE = "/etc/spoe-host/spoe-host.ini"


def host(*args, env=None):
    """Run a spoe-host to its end: (exit status, output)."""
    return run([host_binary(), *args], env=clean_env(env))


def refused(*args, env=None):
    status, text = host(*args, env=env)
    assert status != 0 and "level=error" in text, text
    return text


# -- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("said,meant", [
    ("--plu", "--plugin-info"),
    ("--plug", "--plugin-info"),
    ("--fil", "--file"),
    ("--verison", "--version"),
    ("--chekc", "--check"),
    ("--wrokers", "--workers"),
    ("--plugin-dri", "--plugin-dir"),
])
def test_h8_unknown_options_are_refused(said, meant):
    """5.3, H8: a beginning is not the word."""
    text = refused(said, "/nonexistent/file")
    assert f"command line: unknown option {said}; did you mean " in text
    assert meant in text.split("did you mean", 1)[1]
    assert "nonexistent" not in text


@pytest.mark.parametrize("said,meant", [("check", "--check"), ("-version", "--version"),
                                        ("hlep", "--help"), ("-chek", "--check")])
def test_5_3_unknown_words(said, meant):
    assert f'command line: unexpected \\"{said}\\"; did you mean {meant}?' in refused(said)


@pytest.mark.parametrize("said", ["--", "--xyzzy", "-x", "xyzzy", ""])
def test_5_3_what_is_near_to_nothing(said):
    text = refused(said)
    assert "(see --help)" in text and "did you mean" not in text


def test_5_3_a_secret_behind_an_unknown_word_is_not_shown():
    assert "hunter2" not in refused("--heders=hunter2")


def test_5_3_unknown_variables():
    """They are warnings: the environment is not the host's alone."""
    status, text = host("-t", *host_args("slots"), env={
        "SPOE_WROKERS": "2", "SPOE_NONSENSE": "hunter2", "OTLP_ENDPOINT": "x:1", "SPOE_PLUGNIS": ""})
    assert status == 0, text
    assert "environment SPOE_WROKERS: unknown variable; did you mean SPOE_WORKERS?" in text
    assert "environment SPOE_NONSENSE: unknown variable: no option listens to it" in text
    assert "OTLP_ENDPOINT" not in text, "no plugin that is loaded has such variables"
    assert "SPOE_PLUGNIS" not in text, "an empty variable is not set"
    assert "hunter2" not in text


def test_5_3_variables_of_services_are_not_options():
    """Kubernetes and Docker make them of services' names."""
    status, text = host("-t", *host_args("slots"), env={
        "SPOE_HOST_SERVICE_HOST": "10.0.0.1", "SPOE_HOST_SERVICE_PORT_SPOP": "12345",
        "SPOE_HOST_PORT": "tcp://10.0.0.1:12345", "SPOE_HOST_PORT_12345_TCP_ADDR": "10.0.0.1"})
    assert status == 0 and "level=warning" not in text, text


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["error", "warn", "warning", "ERR", "Notice", "INFO", "deBug"])
def test_5_3_log_levels(level):
    status, text = host("-t", "--log-level", level, *host_args("slots"))
    assert status == 0, text
    assert ("plugin slots" in text) == (level in ("INFO", "deBug"))


def test_5_3_priorities_for_the_journal(tmp_path):
    """A socket pair stands for the journal's stream."""
    ours, journal = socket.socketpair()
    ours.settimeout(LIMIT)
    with ours, journal:
        for stat, begins in ((os.fstat(journal.fileno()), r"<4>time=.* level=warning "),
                             (os.stat(tmp_path), r"time=.* level=warning ")):
            stream = f"{stat.st_dev}:{stat.st_ino}"
            subprocess.run([host_binary(), "-t", *map(str, host_args("slots"))], stderr=journal,
                           env=clean_env({"JOURNAL_STREAM": stream, "SPOE_WROKERS": "1",
                                          "SPOE_LOG_LEVEL": "warning"}),
                           stdout=subprocess.DEVNULL, timeout=60, check=True)
            line = ours.recv(4096).decode()
            assert re.match(begins, line), line


# -- the file ------------------------------------------------------------------------------------


def test_5_3_a_line_of_64_kib(tmp_path):
    conf = tmp_path / "host.ini"
    key = "plugins = "
    items = "slots.so," + " " * (65536 - len(key) - len("slots.so,error.so")) + "error.so"
    conf.write_text(f"[host]\n{key}{items}\n")
    status, text = host("-t", "-f", conf, "--plugin-dir", PLUGINS)
    assert status == 0 and "plugin error " in text, text
    conf.write_text(f"[host]\n{key} {items}\n")
    assert f"{conf}:2: a line of more than 65536 bytes" in refused("-t", "-f", conf)


def own_etc(text, *args):
    """Run a spoe-host that has an /etc of its own."""
    script = (f'mount -t tmpfs none /etc && mkdir -p {os.path.dirname(DEFAULT_FILE)} && '
              f'printf %s "$0" >{DEFAULT_FILE} && exec "$@"')
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(["unshare", "--mount", *user, "sh", "-c", script, text, host_binary(), *args],
                          env=clean_env(), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout


def test_5_3_the_file_in_etc(tmp_path):
    """It is read where the command line names none."""
    status, text = own_etc("[host]\nwrokers = 2\n", "-t", *host_args("slots"))
    assert status == 1
    assert f"{DEFAULT_FILE}:2: unknown option host.wrokers; did you mean workers?" in text
    other = tmp_path / "other.ini"
    other.write_text("[host]\nworkers = 2\n")
    status, text = own_etc("[host]\nwrokers = 2\n", "-t", "-f", other, *host_args("slots"))
    assert status == 0, text


# -- the exit status -----------------------------------------------------------------------------


@pytest.mark.parametrize("args,env", [
    (["--workers", "many"], {}), ([], {"SPOE_WORKERS": "many"}), (["--plu"], {}),
    (["--set", "slots.x=1"], {}), (["-f", "/nonexistent/host.ini"], {}),
])
def test_5_5_a_bad_configuration_has_a_status_of_its_own(args, env):
    """The unit does not start again after it; -t says 1, as for all that it finds."""
    args = [*host_args("slots"), *args]
    assert host(*args, env={"SPOE_ADDR": "127.0.0.1:0", **env})[0] == 78
    assert host("-t", *args, env=env)[0] == 1


@pytest.mark.parametrize("command", [
    ["--print-haproxy-config"], ["--print-haproxy-config="], ["--print-haproxy-config=no"],
    ["--print-haproxy-config=log", "--for"], ["--for", "2.5", "--print-haproxy-config=log"],
    ["--print-haproxy-config=log", "--workers"], ["--print-spoe-config=1"], ["--plugin-info"],
])
def test_1_8_a_command_that_is_said_wrong_ends_as_the_others(command):
    """Issue 11: a value that is missing is no other error than one that is wrong."""
    assert host(*host_args("slots"), *command)[0] == 1


def test_5_5_any_other_failed_start_has_status_1(tmp_path):
    with ReservedPort() as taken, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", taken.port))
        listener.listen()
        assert host(*host_args("slots"), "--listen", taken.address)[0] == 1
    for plugin in ("no_entry", "configure_fails", "start_fails"):
        assert host(*host_args(plugin), "--listen", "127.0.0.1:0")[0] == 1, plugin


# -- -t ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address,reason", [
    ("no-such-name.invalid:12345", "not known|failure in name resolution"),
    ("192.0.2.1:12345", "Cannot assign requested address"),
    ("unix:/nonexistent/spoe.sock", "No such file or directory"),
    ("unix:/etc/passwd/spoe.sock", "Not a directory"),
    ("unix:/etc/passwd", "it is not a socket"),
])
@pytest.mark.parametrize("option", ["--listen", "--admin"])
def test_5_2_check_finds_addresses_that_would_stop_the_start(address, reason, option):
    args = [*host_args("slots"), option, address]
    text = refused("-t", *args)
    assert re.search(f"cannot listen on {address}: .*({reason})", text), text
    assert "Configuration is valid" not in text
    assert host(*args, env={"SPOE_ADDR": "127.0.0.1:0"})[0] == 1, "and so it does"


@pytest.mark.parametrize("listen,admin,where", [
    ("127.0.0.1:{port},localhost:{port}", "off", "localhost:{port}"),
    ("127.0.0.1:{port},:{port}", "off", ":{port}"),
    ("[::]:{port},[::1]:{port}", "off", "[::1]:{port}"),
    ("[::1]:{port}", "[::1]:{port}", "[::1]:{port}"),
    ("*:{port}", "127.0.0.1:{port}", "127.0.0.1:{port}"),
    ("unix:{folder}/a,unix:{folder}/link/a", "off", "unix:{folder}/link/a"),
    ("unix:{folder}/a", "unix:{folder}/./a", "unix:{folder}/./a"),
])
def test_5_2_check_finds_an_address_that_is_named_twice(listen, admin, where, tmp_path):
    """Before, it said that the configuration is valid, and the start failed."""
    (tmp_path / "link").symlink_to(tmp_path)
    with ReservedPort() as port:
        listen, admin, where = (text.format(port=port.port, folder=tmp_path)
                                for text in (listen, admin, where))
        args = [*host_args("slots"), "--listen", listen, "--admin", admin]
        text = refused("-t", *args)
        assert f"cannot listen on {where}: " in text and "has the same address" in text, text
        assert "Configuration is valid" not in text
        text = refused(*args)
        assert "cannot listen on" in text, text


def test_5_2_check_takes_addresses_that_go_together(tmp_path):
    with ReservedPort() as port:
        listen = (f"127.0.0.1:{port.port},127.0.0.2:{port.port},[::1]:{port.port},127.0.0.1:0,127.0.0.1:0,"
                  f"unix:{tmp_path}/a,unix:{tmp_path}/b")
        status, text = host("-t", *host_args("slots"), "--listen", listen)
        assert status == 0, text


def test_5_2_check_finds_a_folder_that_cannot_be_written_to(tmp_path):
    """Not by root, who may write everywhere."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != tmp_path.root:
            parent.chmod(parent.stat().st_mode | 0o055)
    folder = tmp_path / "run"
    folder.mkdir(mode=0o555)
    as_nobody = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    status, text = run([*as_nobody, host_binary(), "-t", *host_args("slots"),
                        "--listen", f"unix:{folder}/spoe.sock"], env=clean_env())
    assert status == 1 and "Permission denied" in text, text


def test_5_2_check_leaves_a_running_host_alone(start, connect, tmp_path):
    """What it listens on is taken, by itself; that is no error, and it goes on."""
    path = tmp_path / "spoe.sock"
    with ReservedPort() as port:
        listen = f"{port.address},unix:{path}"
        running = start("slots", args=["--listen", listen])
        status, text = host("-t", *host_args("slots"), "--listen", listen)
        assert status == 0, text
        for where in (port.port, path):
            connect(where).hello()
        assert running.terminate() == 0


# -- -T ------------------------------------------------------------------------------------------

SETTINGS = {  # what -T has to say so that it means the same when it is read back
    "SPOE_ADDR": "127.0.0.1:0, [::1]:0",
    "SPOE_WORKERS": "3",
    "SPOE_LOG_LEVEL": "Warn",
    "SPOE_PROCESSING_TIMEOUT": "20",
    "SPOE_MAX_FRAME_SIZE": "64k",
    "OTEL_TRACES_SAMPLER": "PARENTBASED_TRACEIDRATIO",
    "OTEL_TRACES_SAMPLER_ARG": "0.25",
    "OTEL_BSP_SCHEDULE_DELAY": "250",
    "OTEL_SERVICE_NAME": "shop #1 = \"x\"",
    "OTEL_RESOURCE_ATTRIBUTES": "a=1,,b=%2C;",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "database,http/dup",
    "OTEL_PROPAGATORS": "B3,tracecontext",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "KEEP_ERRORS": "yes",
    "EXCLUDE_PATHS": "/a,/b*",
}


def assignments(text):
    """{(section, key): (value, origin)} of the lines that count, and those of the comments."""
    live, silent, section = {}, {}, None
    for line in text.splitlines():
        if match := re.fullmatch(r"\[(.+)\]", line):
            section = match[1]
        elif match := re.fullmatch(r"(; )?([a-z0-9-]+)(?: = (.*?))?  ; (.+)", line):
            (silent if match[1] else live)[section, match[2]] = (match[3], match[4])
        else:
            assert line == "" or (line.startswith("; ") and section is None), line
    return live, silent


def effective(*args, env=None):
    """-T's standard output alone: warnings are on the other."""
    done = subprocess.run([host_binary(), "-T", *args], env=clean_env(env), text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_5_2_the_configuration_in_effect_can_be_read_back(tmp_path):
    conf, back = tmp_path / "host.ini", tmp_path / "back.ini"
    conf.write_text("[host]\nworkers = 7\nmax-pending = 77\n[otel]\nkeepalive = 30s\n")
    text = effective("-f", conf, "--set", "otel.batch-max=100", env={**OTEL, **SETTINGS})
    live, silent = assignments(text)
    assert live["host", "workers"] == ("3", "environment SPOE_WORKERS")
    assert live["host", "max-pending"] == ("77", f"{conf}:3")
    assert live["otel", "batch-max"] == ("100", "command line")
    assert live["otel", "sampler"] == ("parentbased_traceidratio", "environment OTEL_TRACES_SAMPLER")
    assert live["otel", "semconv"][0] == "http/dup", "by the rules of a file"
    assert silent["host", "hello-timeout"] == ("5s", "default")
    assert set(live) | set(silent) == {*live, *silent} and not set(live) & set(silent)

    back.write_text(text)
    again = assignments(effective("-f", back, env={"SPOE_ADMIN_ADDR": None}))
    first = {key: value for key, (value, _) in live.items()}
    assert {key: value for key, (value, _) in again[0].items()} == first
    assert again[1] == silent
    line = text.splitlines().index(next(a for a in text.splitlines() if a.startswith("workers")))
    assert again[0]["host", "workers"][1] == f"{back}:{line + 1}"


def test_5_2_secrets_are_not_printed():
    live, silent = assignments(effective(env={
        **OTEL, "OTLP_HEADERS": "authorization=hunter2", "SERVICE_VERSION": "http://u:hunter2@h/"}))
    assert silent["otel", "headers"] == (None, "environment OTLP_HEADERS, a secret")
    assert silent["otel", "service-version"] == (None, "environment SERVICE_VERSION, with credentials")
    assert not any("hunter2" in str(v) for v in [*live.values(), *silent.values()])


@pytest.mark.parametrize("value", ["a ;b", " a", "a ", "a\nworkers = 9"])
def test_5_2_what_a_file_cannot_say_is_a_comment(value):
    live, silent = assignments(effective(env={**OTEL, "SERVICE_VERSION": value}))
    assert ("otel", "service-version") not in live
    assert silent["otel", "service-version"][1].endswith("and a file cannot say it")


def test_5_2_a_bad_configuration_prints_nothing():
    done = subprocess.run([host_binary(), "-T", "--workers", "many", *map(str, host_args("slots"))],
                          env=clean_env(), text=True, timeout=60, capture_output=True, check=False)
    assert done.returncode == 1 and done.stdout == "" and "host.workers" in done.stderr


# -- --plugin-info -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slots", "slots.so"])
def test_5_3_plugin_info_looks_in_the_plugin_directories(name, tmp_path):
    assert "id       slots" in host("--plugin-info", name, env={"SPOE_PLUGIN_DIR": PLUGINS})[1]
    conf = tmp_path / "host.ini"
    conf.write_text(f"[host]\nplugin-dir = /nonexistent:{PLUGINS}\n")
    status, text = host("-f", conf, "--plugin-info", name)
    assert status == 0 and f"file     {PLUGINS}/slots.so" in text, text


def test_5_3_plugin_info_otel():
    """As the installation has it."""
    status, text = host("--plugin-info", "otel")
    assert status == 0 and "id       otel" in text, text


def test_5_3_plugin_info_of_a_name_that_nobody_has():
    assert "cannot load nobody: No such file" in refused("--plugin-info", "nobody")
