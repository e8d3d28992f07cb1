# SPDX-License-Identifier: Apache-2.0
"""What a HAProxy configuration says, comments, blank lines and order within a list apart; and what
`spoe-host --print-haproxy-config` writes."""

import os
import re
import subprocess

from . import procs


def printed(way, version="2.6", *options, env=None):
    """What the host writes for its plugins: haproxy.cfg's part, and the SPOE file's."""
    got = subprocess.run(
        [procs.host_binary(), f"--print-haproxy-config={way}", "--for", version, *options],
        env=procs.clean_env({"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"],
                             "SPOE_PLUGINS": "otel", **(env or {})}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=procs.LIMIT, check=False,
    )
    assert got.returncode == 0, got.stderr
    text = got.stdout
    main, spoe = re.match(r"(.*?)((?:^\[.*)?)\Z", text, re.S | re.M).groups()
    return main, spoe


def statements(text):
    """Its lines, white space made one."""
    lines = (re.sub(r"\s+", " ", line.strip()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def sections(text):
    """{header: [statements, in their order]}. A log-format is a list of its pairs, in any order: what
    comes first and last in it is a test of its own."""
    found = {}
    for line in statements(text):
        word = line.split()[0]
        if word in ("global", "defaults", "frontend", "backend", "listen", "ring", "log-profile"):
            body = found.setdefault(line, [])
        elif word in ("log-format", "on"):
            head, pairs = re.match(r'(.*?)"(.*)"', line).groups()
            body += [head, *sorted(pairs.split())]
        else:
            body.append(line)
    return found


def spoe_file(text):
    """{section: {arguments: {}, else: set of lines}} of a SPOE file."""
    found = {}
    for line in statements(text):
        words = line.split()
        if line.startswith("["):
            found[line] = True
        elif words[0] in ("spoe-agent", "spoe-message", "spoe-group"):
            acls, args, rest = {}, {}, set()
            found[line] = (args, rest)
        elif words[0] == "acl":
            acls[words[1]] = "{ " + " ".join(words[2:]) + " }"
        elif words[0] == "args":
            args.update(word.split("=", 1) for word in words[1:])
        else:  # a condition by the name of an acl is one in braces
            for name, condition in acls.items():
                line = re.sub(rf"(?<=[ !]){name}\b", condition, line)
            rest.add(line)
    return found
