# SPDX-License-Identifier: Apache-2.0
"""What is checked of a plugin before its code is relied on: its file, and its descriptor."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from conftest import PLUGINS, host_args
from lib.procs import clean_env, host_binary, run


def check(*args, env=None):
    """-t: (exit status, output)"""
    return run([host_binary(), "-t", *args], env=clean_env({"SPOE_ADDR": "127.0.0.1:0", **(env or {})}))


def errors(text):
    return [line for line in text.splitlines() if "level=error" in line]


# -- 2.12, H9: descriptors


@pytest.mark.parametrize("odd,words", [
    (1, ["message odd-message, argument arg", "types 0x40000002"]),
    (2, ["message odd-message, argument arg", "flags 0x40", "does not know 0x40"]),
    (3, ["message odd-message, argument arg", "reserved is 0xdead"]),
    (4, ["message odd-message, argument arg", 'expression \\"str(a b)\\"', "white space"]),
    (5, ["message odd-message, argument arg", "expression", "0x09 at 5"]),
    (6, ["message odd-message, argument arg", "help has the control character 0x0a at 3"]),
    (7, ["message odd-message", "flags 0x1000"]),
    (8, ["message odd-message", "help has the control character 0x0d at 1"]),
    (9, ["option key", 'env[0] is \\"A=B\\"']),
    (10, ["option key", "flags 0x800"]),
    (11, ["option key", "reserved is 0x1"]),
    (12, ["option key", "help has the control character 0x0a at 4"]),
    (13, ["descriptor", "reserved is 0xdead"]),
    (14, ["descriptor", "help has the control character 0x7f at 2"]),
    (15, ["message odd-message, argument arg", "flags 0x80000000"]),
    ("2_newer", ["message odd-message, argument arg", "flags 0x40"]),
])
def test_an_odd_field_is_named_with_its_value(odd, words):
    """2.12 H9"""
    for status, text in (check(*host_args("good", f"odd_{odd}")),
                         run([host_binary(), "--plugin-info", f"{PLUGINS}/odd_{odd}.so"], env=clean_env())):
        assert status != 0, text
        (line,) = errors(text)
        for word in [f"odd_{odd}.so", *words]:
            assert word in line, text


def test_a_whole_descriptor_is_taken():
    """2.12: the same one with nothing odd"""
    status, text = check(*host_args("odd_0"))
    assert status == 0 and not errors(text), text


def test_an_optional_flag_of_a_newer_abi_is_ignored_with_a_notice():
    """2.12"""
    status, text = check(*host_args("odd_15_newer"))
    assert status == 0, text
    assert re.search(r"level=notice .*plugin odd: message odd-message, argument arg: flags 0x80000000 .*"
                     r"ignored", text), text


# -- 2.13: files


@pytest.fixture
def own(tmp_path):
    """A folder with one good plugin in it, (folder, file); nobody else may write to either."""
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    shutil.copy(PLUGINS / "good.so", folder)
    (folder / "good.so").chmod(0o755)
    return folder, folder / "good.so"


def test_what_is_optional_is_loaded_by_name_only(own):
    """Issue 12, 4: a host that names no plugins has those that it had before."""
    folder, _ = own
    (folder / "optional").mkdir(mode=0o755)
    shutil.copy(PLUGINS / "slots.so", folder / "optional")
    (folder / "optional/slots.so").chmod(0o755)

    def loaded(*args):
        status, text = check("--plugin-dir", folder, *args)
        assert status == 0, text
        return "slots.so" in text or "plugin slots" in text, text

    assert not loaded()[0]
    for name in ("slots", "slots.so", "good,slots"):
        found, text = loaded("--plugins", name)
        assert found, text
    (folder / "optional").chmod(0o777)
    status, text = check("--plugin-dir", folder, "--plugins", "slots")
    assert status != 0 and "everybody may write to" in text, text


def test_a_file_that_everybody_may_write_to(own):
    """2.13: refused; plugin-trust = any takes it."""
    folder, file = own
    assert check("--plugin-dir", folder)[0] == 0
    file.chmod(0o777)
    status, text = check("--plugin-dir", folder)
    assert status != 0 and "everybody may write to it" in text and "plugin-trust" in text, text
    assert "good.so" in text and len(errors(text)) == 1
    for extra, env in ((["--plugin-trust", "any"], {}), ([], {"SPOE_PLUGIN_TRUST": "any"})):
        assert check("--plugin-dir", folder, *extra, env=env)[0] == 0
    status, text = run([host_binary(), "--plugin-info", file], env=clean_env())
    assert status == 1 and "everybody may write to it" in text
    assert run([host_binary(), "--plugin-info", file], env=clean_env({"SPOE_PLUGIN_TRUST": "any"}))[0] == 0


def test_a_folder_that_everybody_may_write_to(own):
    """2.13: refused, at any height and also where only a link leads through it; but not a sticky one,
    in which nobody can put another file in this one's place."""
    folder, file = own
    above = folder.parent
    elsewhere = above / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.so").symlink_to(file)
    for open_one, arg in ((folder, folder), (above, folder), (elsewhere, elsewhere)):
        assert check("--plugin-dir", arg)[0] == 0
        mode = stat.S_IMODE(open_one.stat().st_mode)
        open_one.chmod(0o777)
        status, text = check("--plugin-dir", arg)
        assert status != 0 and f"everybody may write to its folder {open_one}" in text, text
        assert check("--plugin-dir", arg, "--plugin-trust", "any")[0] == 0
        open_one.chmod(0o1777)
        assert check("--plugin-dir", arg)[0] == 0
        open_one.chmod(mode)


def test_what_is_in_a_sticky_folder_is_roots_or_ours(own):
    """2.13: where everybody may write, a plugin of just anybody is not taken; nor a folder with
    plugins, nor a link to one."""
    folder, file = own
    above = folder.parent
    elsewhere = above / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "link.so"
    link.symlink_to(file)
    for open_one, arg, there in ((folder, folder, file), (above, folder, folder),
                                 (elsewhere, elsewhere, link)):
        mode = stat.S_IMODE(open_one.stat().st_mode)
        os.chown(there, 12345, 12345, follow_symlinks=False)
        assert check("--plugin-dir", arg)[0] == 0
        open_one.chmod(0o1777)
        status, text = check("--plugin-dir", arg)
        assert status != 0 and re.search(f"everybody may write to its folder {open_one}, and what is "
                                         "there belongs to user 12345", text), text
        assert check("--plugin-dir", arg, "--plugin-trust", "any")[0] == 0
        os.chown(there, os.geteuid(), os.getegid(), follow_symlinks=False)
        assert check("--plugin-dir", arg)[0] == 0
        open_one.chmod(mode)


def test_a_folder_on_a_read_only_mount(own):
    """2.13: nobody may write to it, whatever its mode says. In a mount namespace of its own."""
    folder, _ = own
    folder.chmod(0o777)
    script = ('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"')
    got = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", folder, host_binary(), "-t",
                          "--plugin-dir", folder], env=clean_env(), stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert got.returncode == 0, got.stdout


def test_an_owner_that_is_neither_root_nor_ours(own):
    """2.13: a warning, since mounted folders of containers often have one."""
    folder, file = own
    assert "belongs to" not in check("--plugin-dir", folder)[1]
    os.chown(file, 12345, 12345)
    status, text = check("--plugin-dir", folder)
    assert status == 0, text
    assert re.search(r"level=warning .*good\.so belongs to user 12345", text), text


def test_no_constructor_of_a_file_that_is_no_plugin(own):
    """2.13: a library without our symbol is refused before any of it runs."""
    status, text = check(*host_args("good", "library"))
    assert status != 0 and "does not export spoe_plugin_entry_v1" in text, text
    assert "a constructor ran" not in text


@pytest.mark.parametrize("style", ["sysv", "gnu"])
def test_either_kind_of_symbol_table(tmp_path, style):
    """2.13"""
    source = os.path.join(os.environ["SPOE_TEST_SOURCE_DIR"], "tests/plugins")
    include = os.path.join(os.environ["SPOE_TEST_SOURCE_DIR"], "sdk/include")
    for name in ("good", "no_entry"):
        subprocess.run(["cc", "-shared", "-fPIC", f"-Wl,--hash-style={style}", f"-I{include}", "-o",
                        tmp_path / f"{name}.so", f"{source}/{name}.c"], check=True, timeout=60)
    status, text = check("--plugin-dir", tmp_path, "--plugins", "good")
    assert status == 0, text
    status, text = check("--plugin-dir", tmp_path, "--plugins", "no_entry")
    assert status != 0 and "does not export" in text, text


def test_what_was_checked_is_what_is_loaded(own):
    """2.13: the loader gets the descriptor: the file's name is not opened a second time, and the
    process's map names the real file all the same."""
    folder, file = own
    got = subprocess.run(["strace", "-f", "-e", "trace=open,openat", host_binary(), "-t", "--plugin-dir",
                          folder], env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, timeout=60, check=False) if shutil.which("strace") else None
    if got is not None:
        assert got.stdout.count(f'"{file}"') == 1, got.stdout
    status, text = check("--plugin-dir", folder, "--log-level", "debug")
    assert status == 0 and "/proc/self/fd" not in text, text


def test_two_files_after_one_another(own):
    """2.13: the loader remembers names; the second file must not be taken for the first."""
    folder, _ = own
    for name in ("slots", "pending", "lifecycle"):
        shutil.copy(PLUGINS / f"{name}.so", folder)
    status, text = check("--plugin-dir", folder)
    assert status == 0, text
    assert sorted(re.findall(r"plugin (\S+) \S+ \(ABI", text)) == ["good", "lifecycle", "pending", "slots"]


def build_with_helper(folder, helper):
    """plugin.so, which finds lib/libhelper.so beside itself."""
    include = os.path.join(os.environ["SPOE_TEST_SOURCE_DIR"], "sdk/include")
    (folder / "lib").mkdir()
    (folder / "helper.c").write_text(f"int helper(void); int helper(void) {{ return 3; }}\n{helper}")
    (folder / "plugin.c").write_text(f'''
int helper(void);
#define PLUGIN_ID "with-helper"
#define PLUGIN_START start
#include <spoe/plugin.h>
static spoe_status start(void *inst) {{ (void)inst; return helper() - 3; }}
#include "{os.environ["SPOE_TEST_SOURCE_DIR"]}/tests/plugins/base.h"
''')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "lib/libhelper.so", folder / "helper.c"],
                   check=True, timeout=60)
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", "-o", folder / "plugin.so",
                    folder / "plugin.c", f"-L{folder}/lib", "-lhelper", "-Wl,-rpath,$ORIGIN/lib"],
                   check=True, timeout=60)


def test_a_plugin_with_libraries_beside_it(tmp_path):
    """2.13: $ORIGIN means the plugin's folder."""
    build_with_helper(tmp_path, "")
    status, text = check("--plugin-dir", tmp_path)
    assert status == 0, text


def test_a_plugin_that_is_replaced_while_it_is_loaded(tmp_path):
    """2.13: with $ORIGIN it is loaded by its path. Here a constructor puts another file there; it is
    refused, before its entry function is asked for."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "other.so").write_bytes((PLUGINS / "good.so").read_bytes())
    build_with_helper(tmp_path / "plugins", f'''
#include <stdio.h>
__attribute__((constructor)) static void replace(void)
{{
    (void)rename("{tmp_path}/other.so", "{tmp_path}/plugins/plugin.so");
}}
''')
    status, text = check("--plugin-dir", tmp_path / "plugins")
    assert status == 1 and "plugin.so: the file was changed while it was loaded" in text, text
    assert not (tmp_path / "other.so").exists()
