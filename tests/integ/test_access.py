# SPDX-License-Identifier: Apache-2.0
"""Issue 13, 3: who may have which page of the admin endpoint, over real sockets. The table of cases is
tests/unit/admin/test_access.c."""

import json
import signal

import pytest

from lib import admin
from lib.procs import clean_env, host_binary, run
from conftest import host_args

OPEN = ["/metrics", "/healthz", "/readyz"]
SHOWN = ["/plugins", "/status"]
TOKEN = "a-token-of-24-characters"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o640)
    return path


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix"])
def test_a_name_that_leads_here_by_another_s_dns_gets_no_further(start, tmp_path, address):
    host = start("slots", args=["--admin", f"unix:{tmp_path}/admin" if address == "unix" else address,
                                "--admin-hosts", "spoe-host, Admin.example"])
    for path in OPEN:
        assert admin.ask(host, path, headers={"Host": "evil.example:9902"}).status == 200, path
    for path in SHOWN:
        answer = admin.ask(host, path, headers={"Host": "evil.example:9902"})
        assert answer.status == 421 and "admin-hosts" in answer.text, path
        for name in ("localhost", "127.0.0.1:9902", "[::1]:9902", "spoe-host:9902", "admin.example"):
            assert admin.ask(host, path, headers={"Host": name}).status == 200, (path, name)
    host.wait_line("component=admin .*refused .*421")


def test_a_token_is_read_as_secrets_are(start, token_file, tmp_path):
    host = start("slots", env={"SPOE_ADMIN_ADDR": "127.0.0.1:0", "SPOE_ADMIN_TOKEN_FILE": str(token_file)})
    options = {o["key"]: o for o in admin.page(host, "/status")["options"]}
    assert options["admin-token-file"]["value"] == str(token_file)
    assert TOKEN not in json.dumps(options) and TOKEN not in host.text()
    for bad, why in (("short", "16 to 512"), ("two words of a token", "white space")):
        token_file.write_text(bad)
        status, text = run([host_binary(), *host_args("slots"), "-t", "--admin-token-file", token_file],
                           env=clean_env())
        assert status == 1 and "host.admin-token-file" in text and why in text, text
        assert bad not in text.replace(str(token_file), "")
    # A bad one does not take the one in use away.
    mark = host.mark()
    host.signal(signal.SIGHUP)
    host.wait_line("nothing changes", start=mark)
    assert host.terminate() == 0
