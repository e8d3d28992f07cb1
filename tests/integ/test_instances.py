# SPDX-License-Identifier: Apache-2.0
"""Several instances of one plugin in one host. Issue 12.1."""

import signal
import subprocess

import pytest

from conftest import PLUGINS
from lib import admin
from lib.procs import clean_env, host_binary

ADMIN = {"SPOE_ADMIN_ADDR": "127.0.0.1:0"}
BOTH = "several:block,several.so:allow"


def args(plugins, *more):
    return ["--plugin-dir", str(PLUGINS), "--plugins", plugins, *more]


def command(*argv, **env):
    done = subprocess.run([host_binary(), *argv], env=clean_env(env), text=True,
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def values(ack):
    return [action[3] for action in ack.actions if action[0] == "set"]


def test_each_has_options_log_and_messages_of_its_own(start, connect, tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text("[host]\nlisten = 127.0.0.1:0\n[several:block]\nlist = bad\n")
    host = start(args=args(BOTH, "-f", conf, "--set", "several:allow.list=good"))
    host.wait_line(r'component=several:block msg="?list is bad')
    host.wait_line(r'component=several:allow msg="?list is good')
    client = connect(host)
    client.hello()
    assert values(client.ask("base-several", {})) == ["bad", "good"], "the bare name is for both"
    assert values(client.ask("several:allow.base-several", {})) == ["good"]
    assert values(client.ask("several:block.base-several", {})) == ["bad"]
    # A file that is read again is each one's, too.
    conf.write_text("[host]\nlisten = 127.0.0.1:0\n[several:block]\nlist = worse\n")
    host.signal(signal.SIGHUP)
    host.wait_line(r'component=several:block msg="?list is now worse')
    host.wait_line(r"these options change: several:block\.list")
    assert values(client.ask("base-several", {})) == ["worse", "good"]


def test_variables_of_the_environment_have_the_instances_name(start):
    """A plugin's own variables would set all of them alike: they are the unnamed one's."""
    host = start(args=args("several," + BOTH),
                 env={"SEVERAL_LIST": "own", "SEVERAL_ALLOW_LIST": "mine", "OTEL_SEVERAL": "all"})
    host.wait_line(r"component=several msg=.*list is own")
    host.wait_line(r"component=several:allow msg=.*list is mine")
    host.wait_line(r"component=several:block msg=.*list is none")


def test_metrics_have_the_instance_as_a_label(start, connect):
    host = start(args=args("several," + BOTH), env=ADMIN)
    client = connect(host)
    client.hello()
    client.ask("several:allow.base-several", {})
    client.ask("several:allow.base-several", {})
    client.ask("several.base-several", {})
    families = admin.metrics(host)
    asked = families["spoe_several_asked_total"]
    assert asked.value(plugin_instance="allow") == 2
    assert asked.value(plugin_instance="block") == 0
    assert asked.value(plugin_instance="") == 1, "which is the same as none"
    handed = families["spoe_host_plugin_messages_total"]
    assert handed.value(plugin="several:allow", message="base-several") == 2
    ids = [plugin["id"] for plugin in admin.page(host, "/plugins")]
    assert ids == ["several", "several:block", "several:allow"]


def test_haproxys_side_has_a_section_for_each():
    status, text = command(*args(BOTH, "--print-spoe-config"))
    assert status == 0
    for name in ("block", "allow"):
        assert f"[several:{name}]\n" in text
        assert f"    option var-prefix several_{name}\n" in text
        assert f"spoe-message several:{name}.base-several\n" in text


@pytest.mark.parametrize("plugins, says", [
    ("slots:one", 'instance "one": plugin slots does not say that it can have instances'),
    ("several:Block", 'bad instance "Block"'),
    ("several:", 'bad instance ""'),
    ("several:" + "a" * 33, 'bad instance "aaaaaaaaa'),
    ("several:a,several:a", "instance several:a is named twice"),
    ("several,several", 'id "several" is taken by'),
    ("nothing:a", "cannot load nothing: no such file"),
])
def test_what_cannot_be_is_refused_with_a_reason(plugins, says):
    status, text = command("-t", *args(plugins))
    assert status == 1
    assert says in text.replace("\\", ""), text


def test_a_section_of_the_plugin_is_no_section_of_its_instances(tmp_path):
    conf = tmp_path / "host.conf"
    conf.write_text("[several]\nlist = a\n")
    status, text = command("-t", *args(BOTH, "-f", conf))
    assert status == 1
    assert "unknown section [several]" in text


def test_a_variable_that_is_two_options_sets_neither():
    """several:a with max-list, several:a-max with list."""
    both = args("several:a,several:a-max")
    assert command("-t", *both)[0] == 0
    status, text = command("-t", *both, SEVERAL_A_MAX_LIST="x")
    assert status == 1
    assert "environment SEVERAL_A_MAX_LIST: it would be for several:a as well as for several:a-max" in text


def test_what_is_in_effect_can_be_read_back(tmp_path):
    conf = tmp_path / "host.conf"
    status, text = command("-T", *args(BOTH, "--set", "several:block.list=x"))
    assert status == 0 and "[several:block]\n" in text
    conf.write_text(text[text.index("[several:block]"):text.index("time=")])  # then the log
    status, again = command("-T", *args(BOTH, "-f", conf))
    assert status == 0
    assert [line for line in again.splitlines() if line.startswith("list = x ")]


def test_variables_that_would_be_the_same_stop_the_start():
    """Prefixes have no - and no colon at HAProxy (issue 12, 1)."""
    status, text = command("-t", *args("several_a,several:a"))
    assert status == 1
    assert ("plugins several-a and several:a would set the same variables at HAProxy, such as "
            "several_a.spoe.status") in text
    assert command("-t", *args("several_a,several:b"))[0] == 0
