"""Set-up, hooks and workflows: what a contributor's machine and continuous integration start."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def would_run(*words):
    """The lines that make would start, where nobody chose extras: continuous integration does."""
    env = {name: value for name, value in os.environ.items() if name not in ("EXTRAS", "MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\\\n", " ").splitlines()


def installed(*words):
    """The words of the installation, as on a machine that has none yet."""
    return next(shlex.split(line) for line in would_run("-B", *words) if "requirements.lock" in line)


@pytest.mark.parametrize(
    ("extras", "asked"),
    [((), ["test", "dev"]), (("EXTRAS=",), ["test"]), (("EXTRAS=text wandb",), ["test", "text", "wandb"])],
)
def test_what_is_installed(extras, asked):
    words = installed("setup", *extras)
    assert [words[i + 1] for i, word in enumerate(words) if word == "--extra"] == asked
    assert words[words.index("--constraints") + 1] == "requirements.lock"
    assert words[words.index("-r") + 1] == "pyproject.toml"


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("test-fast",), "not slow and not exhaustive "),
        (("test",), "not exhaustive "),
        (("test", "EXTRAS="), "not exhaustive and not extra"),
        (("test-all",), None),
        (("test-all", "EXTRAS="), "not extra"),
    ],
)
def test_what_is_tested(words, chosen):
    pytest_words = next(shlex.split(line) for line in would_run(*words) if " pytest " in line)
    assert (pytest_words[pytest_words.index("-m", 3) + 1] if "-m" in pytest_words[3:] else None) == chosen


def test_everything_includes_whether_the_extras_resolve():
    (line,) = [line for line in would_run("test-all") if "for extra in" in line]
    extras = line.split("for extra in ")[1].split(";")[0].split()
    assert set(extras) == set(PROJECT["project"]["optional-dependencies"]) and "--constraints requirements.lock" in line


def test_markers_are_those_that_the_commands_know():
    markers = {line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert markers == {"slow", "exhaustive", "extra"}
    assert "--strict-markers" in PROJECT["tool"]["pytest"]["ini_options"]["addopts"]


def test_the_workflow_tests_every_python_and_once_the_core_alone():
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"] and matrix["extras"] == ["dev"]
    assert PROJECT["project"]["requires-python"] == f">={matrix['python'][0]}"
    assert [more["extras"] for more in matrix["include"]] == [""]
    command = shlex.split(job["steps"][-1]["run"])
    assert command[:2] == [".ci/run", "test"] and command[2].startswith("EXTRAS=")
    script = (ROOT / ".ci/run").read_text()
    assert re.search(r"exec make \"\$\{@:-test\}\"$", script.strip()) and "chromium fonts-dejavu-core" in script


def test_hooks_run_the_linters_of_the_environment():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    lint = " ".join(would_run("lint"))
    for hook in repo["hooks"]:
        assert " ".join(shlex.split(hook["entry"])[:2]) in lint


def test_version_and_licence_are_said_alike_everywhere():
    version, citation = PROJECT["project"]["version"], yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version and f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["license"] == PROJECT["project"]["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 The Diptych authors\n")
    assert [author["name"] for author in citation["authors"]] == ["The Diptych authors"]
