# SPDX-License-Identifier: Apache-2.0
"""haproxy -c, with warnings as errors, on the files that users get."""

import pytest
from lib import haproxy as hap

SPOE_FILES = ["spoe-otel.cfg", "spoe-otel-3.x.cfg"]


@pytest.mark.parametrize("name", SPOE_FILES)
def test_files_are_accepted(binary, version, name):
    env = {"SPOE_OTEL_CFG": f"{hap.SOURCE}/haproxy/{name}"}
    status, out = hap.check(binary, f"{hap.SOURCE}/haproxy/haproxy.cfg", env)
    if name == "spoe-otel-3.x.cfg" and version < (3, 0):
        # What its first lines promise: an older version says so at once.
        assert status != 0 and "unknown fetch method" in out
    else:
        assert status == 0, out


def test_both_files_send_the_same_base():
    """The second file only adds to the first."""

    def args(name):
        words = {}
        message = None
        for line in hap.source_text(name).splitlines():
            word = line.split()
            if word[:1] == ["spoe-message"]:
                message = words.setdefault(word[1], [])
            elif word[:1] == ["args"]:
                message += word[1:]
        return words

    base, more = (args(name) for name in SPOE_FILES)
    assert base.keys() == more.keys()
    for message, words in base.items():
        assert more[message][: len(words)] == words
