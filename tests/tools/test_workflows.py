# SPDX-License-Identifier: Apache-2.0
"""13.1: what of .github can be seen without GitHub. The files are YAML of the form that GitHub takes, actions are
named by commit, jobs may do no more than they need, bash reads the scripts, expressions name what is there, and so do
commands. The workflow of the plugins' template is held to the same."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

SOURCE = pathlib.Path(os.environ["SPOE_TEST_SOURCE_DIR"])
GITHUB = SOURCE / ".github"
TEMPLATE = SOURCE / "sdk/template/workflow.yml"
WORKFLOWS = [*sorted((GITHUB / "workflows").glob("*.yml")), TEMPLATE]
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
MAKE = set(re.findall(r"^([a-z-]+):", (SOURCE / "Makefile").read_text(), re.M))
# What each job may beyond reading the sources, and why is in the workflow.
MAY_WRITE = {
    ("release.yml", "image"): {"packages"},
    ("release.yml", "manifest"): {"packages", "id-token", "attestations"},
    ("release.yml", "publish"): {"contents", "id-token", "attestations"},
}
# By which names expressions may go on, in a workflow of ours.
CONTEXTS = {"github": {"ref", "event_name", "run_id"}, "secrets": {"GITHUB_TOKEN"},
            "vars": {"SPOE_HOST_URL", "SPOE_HOST_REF"}}


class Strict(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` is a word; a key that comes twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key comes twice: {keys}"
        return super().construct_mapping(node, deep)


Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Strict.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(path):
    return yaml.load(path.read_text(), Loader=Strict)


def jobs(path):
    return load(path)["jobs"].items()


def steps(path):
    return [(name, step) for name, job in jobs(path) for step in job["steps"]]


def texts(value):
    """All strings below."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def ids(paths):
    return [str(path.relative_to(SOURCE)) for path in paths]


@pytest.fixture(params=WORKFLOWS, ids=ids(WORKFLOWS))
def workflow(request):
    return request.param


def test_all_are_there():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "fuzz.yml", "release.yml", "workflow.yml"]


def test_form(workflow):
    content = load(workflow)
    assert set(content) <= {"name", "on", "permissions", "concurrency", "defaults", "env", "jobs"}
    assert content["on"] and content["jobs"] and content["name"]
    for name, job in jobs(workflow):
        assert re.fullmatch(r"[a-z][a-z0-9-]*", name)
        assert set(job) <= {"name", "needs", "strategy", "runs-on", "timeout-minutes", "permissions", "container",
                            "env", "outputs", "steps", "if"}, name
        assert job["runs-on"] and job["timeout-minutes"] <= 360 and job["steps"]
        for step in job["steps"]:
            assert set(step) <= {"name", "id", "if", "uses", "with", "run", "env"}, step
            assert ("uses" in step) != ("run" in step) and ("with" not in step or "uses" in step), step
        wanted = job.get("needs", [])
        assert set([wanted] if isinstance(wanted, str) else wanted) <= set(load(workflow)["jobs"])


def test_says_that_it_was_not_run(workflow):
    comments = " ".join(line.lstrip("# ") for line in workflow.read_text().split("\n") if line.startswith("#"))
    assert "Not run where it was written" in comments


def test_actions_are_named_by_commit(workflow):
    """A tag can be moved, a commit cannot; which version it is stands beside it, for whoever reads."""
    lines = [line for line in workflow.read_text().split("\n") if "uses:" in line]
    assert len(lines) == sum("uses" in step for _, step in steps(workflow))
    for line in lines:
        assert re.fullmatch(r" +(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_one_commit_for_each_action():
    uses = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+ # \S+)", path.read_text())}
    assert len({re.sub(r"(/[\w.-]+)[^@]*@.*", r"\1", line) for line in uses}) == len(
        {(line.split("@")[0].split("/")[1], line.split("@")[1]) for line in uses})


def test_permissions_are_minimal(workflow):
    assert load(workflow)["permissions"] == {"contents": "read"}
    for name, job in jobs(workflow):
        given = job.get("permissions", {})
        writes = {scope for scope, level in given.items() if level == "write"}
        assert writes == MAY_WRITE.get((workflow.name, name), set())
        assert set(given.items()) - {(scope, "write") for scope in writes} <= {("contents", "read")}
    for _, step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_nobody_elses_text_is_a_script(workflow):
    """An expression in `run` is pasted into the script: whoever names a branch would write it. No secret leaves for a
    pull request either."""
    for _, step in steps(workflow):
        assert "${{" not in step.get("run", ""), step
    assert "pull_request_target" not in load(workflow)["on"]
    assert "pull_request" not in load(workflow)["on"] or "secrets." not in workflow.read_text()


def test_scripts(workflow):
    """bash reads each; its variables are set in the workflow, by GitHub, or by itself."""
    content = load(workflow)
    for name, step in steps(workflow):
        script = step.get("run", "")
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0 and not done.stderr, f"{step}: {done.stderr}"
        known = {*content.get("env", {}), *content["jobs"][name].get("env", {}), *step.get("env", {})}
        known |= set(re.findall(r"\b(\w+)=", script)) | set(re.findall(r"for (\w+) in", script))
        for variable in re.findall(r"\$\{?(\w+)", script):
            assert variable in known or variable.startswith("GITHUB_"), f"{variable} in {step}"
    # In a container GitHub's own default is sh.
    if re.search(r"\$\{\w+[,^]", workflow.read_text()) or "pipefail" in workflow.read_text():
        assert content["defaults"]["run"]["shell"] == "bash"


def test_expressions(workflow):
    """They name steps, jobs, outputs and dimensions that are there."""
    content = load(workflow)
    for name, job in jobs(workflow):
        outputs = {i: other.get("outputs", {}) for i, other in content["jobs"].items()}
        needs = job.get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        matrix = job.get("strategy", {}).get("matrix", {})
        dimensions = set(matrix) - {"include"} | {key for entry in matrix.get("include", []) for key in entry}
        written = {step["id"]: set(re.findall(r'echo "(\w+)=.*GITHUB_OUTPUT', step["run"]))
                   for step in job["steps"] if "id" in step}
        inputs = content["on"].get("workflow_dispatch", {}).get("inputs", {}) if isinstance(content["on"], dict) else {}
        for text in texts(job):
            for word in re.findall(r"\b(?:needs|steps|matrix|inputs|github|secrets|vars)\.[\w.-]+",
                                   " ".join(re.findall(r"\$\{\{(.*?)\}\}", text))):
                first, *rest = word.split(".")
                if first == "needs":
                    assert rest[0] in needs and rest[1] == "outputs" and rest[2] in outputs[rest[0]], f"{name}: {word}"
                elif first == "steps":
                    assert rest[1] == "outputs" and rest[2] in written[rest[0]], f"{name}: {word}"
                elif first == "matrix":
                    assert rest[0] in dimensions, f"{name}: {word}"
                elif first == "inputs":
                    assert rest[0] in inputs, f"{name}: {word}"
                else:
                    assert rest[0] in CONTEXTS[first], f"{name}: {word}"


def test_commands_exist(workflow):
    """Files of this tree, targets of make, and what the tools take."""
    for _, step in steps(workflow):
        script = step.get("run", "")
        for file in re.findall(r"(?<![\w./-])(?:\.ci|tools|build-aux)/[\w.-]+", script):
            assert os.access(SOURCE / file, os.X_OK), f"{file} in {step}"
        for target in re.findall(r"^\s*make ([a-z-]+)", script, re.M):
            assert target in MAKE, f"make {target} in {step}"
        for profiles in re.findall(r"tools/install-deps ([a-z ]+)", script):
            subprocess.run([SOURCE / "tools/install-deps", "--list", *profiles.split()], check=True, timeout=60,
                           stdout=subprocess.DEVNULL)
        for word in re.findall(r"tools/release (\w+)", script):
            assert re.search(rf"^{word}\) ", (SOURCE / "tools/release").read_text(), re.M), word


def test_ci_is_what_ci_does():
    """The checkout apart, nothing but .ci/run: what is green here is green there."""
    scripts = [step["run"] for _, step in steps(GITHUB / "workflows/ci.yml") if "run" in step]
    assert [s.strip() for s in scripts if "apt-get" not in s and "safe.directory" not in s] == [".ci/run"]


def test_artifacts_arrive():
    """What a job of the release downloads some job before it uploads."""
    path = GITHUB / "workflows/release.yml"
    uploads = {name: re.sub(r"\$\{\{.*\}\}", "x", step["with"]["name"]) for name, step in steps(path)
               if "upload-artifact" in step.get("uses", "")}
    assert set(uploads) == {"source", "packages", "image"}
    downloads = [(name, step["with"]["pattern"]) for name, step in steps(path) if "download-artifact" in step.get("uses", "")]
    for name, pattern in downloads:
        matching = {job for job, artifact in uploads.items() if pathlib.PurePath(artifact).match(pattern)}
        assert matching and matching <= set(load(path)["jobs"][name]["needs"]), (name, pattern)


@pytest.mark.parametrize("form", FORMS, ids=ids(FORMS))
def test_issue_forms(form):
    content = load(form)
    if form.name == "config.yml":
        assert set(content) <= {"blank_issues_enabled", "contact_links"}
        return
    assert set(content) <= {"name", "description", "title", "labels", "assignees", "body"}
    assert content["name"] and content["description"]
    asked = [field for field in content["body"] if field["type"] != "markdown"]
    assert asked and len({field["id"] for field in asked}) == len(asked)
    for field in content["body"]:
        assert field["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        assert field["attributes"]["value" if field["type"] == "markdown" else "label"]
        if field["type"] in ("dropdown", "checkboxes"):
            assert field["attributes"]["options"]


def test_a_bug_is_asked_for_what_finds_it():
    body = load(GITHUB / "ISSUE_TEMPLATE/bug.yml")["body"]
    labels = " ".join(field["attributes"].get("label", "") for field in body if field.get("validations", {}).get("required"))
    for wanted in ("spoe-host --version", "haproxy -vv", "configuration"):
        assert wanted in labels


def test_dependabot():
    content = load(GITHUB / "dependabot.yml")
    assert content["version"] == 2
    assert [u["package-ecosystem"] for u in content["updates"]] == ["github-actions"]
