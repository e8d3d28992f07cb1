# SPDX-License-Identifier: Apache-2.0
"""The configurations in docs/recipes.md: blocks ```haproxy WAY VERSION are a second file beside what the host
writes for this way and version, the example in it deleted; blocks ```sh that have the host write one stand
for themselves."""

import os
import re
from dataclasses import dataclass

from .haproxy import SOURCE
from .haproxy_config import printed


@dataclass
class Recipe:
    heading: str
    way: str
    least: str  # the oldest HAProxy that takes it
    site: str  # "": what is written, with its example
    env: dict

    def files(self):
        """The texts of traced.cfg, of the SPOE file and of sites.cfg."""
        main, spoe = printed(self.way, self.least, env=self.env)
        if self.site:
            main = re.sub(r"^(frontend web|backend web-app) .*\n(?:[ \t#].*\n|\n)*", "", main, flags=re.M)
        return main, spoe, self.site


def recipes():
    with open(os.path.join(SOURCE, "docs", "recipes.md"), encoding="ascii") as file:
        text = file.read()
    found = []
    for section in re.split(r"^## ", text, flags=re.M):
        heading = section.split("\n", 1)[0]
        for info, block in re.findall(r"^```(\w[^\n]*)\n(.*?)^```", section, re.S | re.M):
            words = info.split()
            command = re.search(r"^(.*)spoe-host --print-haproxy-config=(\w+)(?: --for ([0-9.]+))?", block,
                                re.M)
            if words[0] == "haproxy":
                found.append(Recipe(heading, words[1], words[2], block, {}))
            elif command:
                env = dict(word.split("=", 1) for word in command.group(1).split())
                found.append(Recipe(heading, command.group(2), command.group(3) or "2.6", "", env))
    return found
