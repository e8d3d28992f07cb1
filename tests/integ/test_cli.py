# SPDX-License-Identifier: Apache-2.0
"""The command line, the variables and the file, as a user meets them. Numbers are the issue's lines."""

import os
import subprocess

import pytest

from conftest import PLUGINS, host_args
from lib.procs import clean_env, host_binary, run

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
