# SPDX-License-Identifier: Apache-2.0
"""Options of ABI 1.1, lists, URLs, addresses, prefixes and secrets, from their text to a plugin (12.2)."""

import ipaddress
import signal

import pytest

from conftest import host_args
from lib import admin
from lib.procs import clean_env, host_binary, run

FILE = """
[typed]
networks = 192.0.2.0/24, 2001:db8::/32,
home = 192.0.2.7
endpoint = https://user:hunter2@auth.example:8443/check
files = /a, /b
key = {key}
"""


def test_values_reach_the_plugin(start, connect, tmp_path):
    (tmp_path / "key").write_text("hunter3\n")
    (tmp_path / "host.ini").write_text(FILE.format(key=f"file:{tmp_path}/key"))
    host = start("typed", args=["-f", tmp_path / "host.ini"],
                 env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_ADDR": "127.0.0.1:0"})
    client = connect(host)
    client.hello()

    def ask(address):
        return client.ask("typed", {"address": ipaddress.ip_address(address)}).variables

    assert ask("192.0.2.9") == {"inside": True, "files": 2, "endpoint": "auth.example",
                                "home": ipaddress.ip_address("192.0.2.7"), "key": "hunter3"}
    assert ask("2001:db8:ffff::")["inside"] is True
    assert ask("192.0.3.1")["inside"] is False

    # The file alone has changed: that is a change of the option.
    (tmp_path / "key").write_text("hunter4\n")
    host.signal(signal.SIGHUP)
    host.wait_line("these options change: typed.key")
    assert ask("192.0.2.9")["key"] == "hunter4"

    # A file that is gone leaves what there was.
    mark = host.mark()
    (tmp_path / "key").unlink()
    host.signal(signal.SIGHUP)
    host.wait_line("key: cannot be opened: No such file", start=mark)
    assert ask("192.0.2.9")["key"] == "hunter4"

    for page in ("/status", "/plugins"):
        assert "hunter" not in admin.ask(host, page).text
    assert "hunter" not in host.text()


def test_credentials_of_systemd(start, connect, tmp_path):
    (tmp_path / "api").write_text("sesame")
    host = start("typed", args=["--set", "typed.key=credential:api"],
                 env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    client = connect(host)
    client.hello()
    answer = client.ask("typed", {"address": ipaddress.ip_address("10.1.1.1")}).variables
    assert answer["key"] == "sesame" and answer["inside"] is True
    assert answer["home"] == ipaddress.ip_address("::1")


@pytest.mark.parametrize("setting,error", [
    ("networks=10.0.0.0/8, 10.0.0.1/8", 'typed.networks: "10.0.0.1/8" in the list is not valid'),
    ("networks=10.0.0.0/8,,::/0", 'typed.networks: "" in the list is not valid'),
    ("home=localhost", 'typed.home: "localhost" is not valid, expected an address'),
    ("endpoint=auth:80", 'typed.endpoint: "auth:80" is not valid, expected a URL'),
    ("files=/a, b", 'typed.files: "b" in the list is not valid'),
    ("key=file:/nowhere", "typed.key: /nowhere: cannot be opened: No such file or directory"),
    ("key=credential:api", "typed.key: credential:api: CREDENTIALS_DIRECTORY is not set"),
])
def test_errors_say_where_and_what(setting, error):
    status, text = run([host_binary(), "-t", *host_args("typed"), "--set", f"typed.{setting}"],
                       env=clean_env())
    assert status == 1
    assert f"command line: {error}" in text.replace('\\"', '"'), text


def test_plugin_info_says_what_they_take(tmp_path):
    status, text = run([host_binary(), *host_args("typed"), "--plugin-info", "typed"])
    assert status == 0, text
    for words in ("a comma-separated list of networks", "a URL: http://HOST", "credential:NAME",
                  "an address, IPv4 or IPv6"):
        assert words in text, text
