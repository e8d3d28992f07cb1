# SPDX-License-Identifier: Apache-2.0
"""A Helm chart rendered without Helm, which Debian does not have: values, files and a few functions, in one
pipeline. Whatever else a template says is an error, so that no template grows beyond what this knows."""

import hashlib
import json
import re

import yaml

WORD = r'"(?:[^"\\]|\\.)*"|\((?:[^()"]|"[^"]*")*\)|[^\s|()]+'


class Chart:
    def __init__(self, folder, release, values=None):
        self.folder = folder
        chart = yaml.safe_load((folder / "Chart.yaml").read_text())
        self.top = {
            "Values": _merged(yaml.safe_load((folder / "values.yaml").read_text()), values or {}),
            "Release": {"Name": release},
            "Chart": {"Name": chart["name"], "AppVersion": chart["appVersion"]},
        }

    def render(self):
        """{file: [objects]} of its templates."""
        return {path.name: [o for o in yaml.safe_load_all(self.text(path.read_text())) if o]
                for path in sorted((self.folder / "templates").glob("*.yaml"))}

    def text(self, template):
        return re.sub(r"\{\{(.*?)\}\}", lambda m: _shown(self._pipeline(m.group(1))), template)

    def _pipeline(self, text):
        value = None
        for stage in re.findall(rf"(?:\s*(?:{WORD}))+", text):
            value = self._call(re.findall(WORD, stage), value)
        return value

    def _call(self, words, piped):
        name, *args = words
        args = [self._word(word) for word in args]
        if name.startswith("."):
            assert not args or name == ".Files.Get", words
            return (self.folder / args[0]).read_text() if args else self._word(name)
        if name == "default":
            return piped or args[0]
        return {"quote": json.dumps, "toJson": json.dumps,
                "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest()}[name](piped)

    def _word(self, word):
        if word[0] == '"':
            return json.loads(word)
        if word[0] == "(":
            return self._pipeline(word[1:-1])
        value = self.top
        for key in word[1:].split("."):
            value = value[key]  # what is in no values.yaml is an error
        return value


def _shown(value):
    return value if isinstance(value, str) else json.dumps(value)


def _merged(values, more):
    return {key: _merged(value, more[key]) if isinstance(value, dict) and key in more else more.get(key, value)
            for key, value in values.items()}
