"""Where CI=true a run fails on a skip that the committed list does not name, with one process and with several."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import LIST, allowed

ROOT = Path(__file__).parents[1]
SUITE = """
import pytest

def test_passes():
    pass

@pytest.mark.skip(reason="no moon tonight")
def test_skipped():
    pass

def test_skips_itself():
    pytest.skip("no stars")

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    raise AssertionError
"""
WHOLE_FILE = 'import pytest\n\npytest.importorskip("no_such_package_anywhere", reason="no such package")\n'
NAMED = "# why\ntest_a.py::test_skipped | no moon tonight\ntest_a.py::test_skips_itself | no stars\n"
ABREAST = ("-n", "2")
ALONE = [(), pytest.param(ABREAST, marks=pytest.mark.exhaustive)]


def run(folder, *words, ci="true", suite=SUITE, names=NAMED):
    (folder / "test_a.py").write_text(suite)
    (folder / "tests").mkdir()
    (folder / LIST).write_text(names)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ci, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "--rootdir", ".", "-c", "/dev/null"]
    return subprocess.run(
        [*command, *words, "test_a.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", ALONE)
def test_a_skip_that_is_named_passes(tmp_path, words):
    done = run(tmp_path, *words)
    assert done.returncode == 0 and "1 passed, 2 skipped, 1 xfailed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ABREAST])
def test_a_skip_that_is_not_named_fails(tmp_path, words):
    done = run(tmp_path, *words, names="test_a.py::test_skipped | no moon tonight\n")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED: test_a.py::test_skips_itself was skipped: no stars" in done.stdout
    assert "test_skipped was skipped" not in done.stdout


@pytest.mark.slow
def test_a_named_test_that_skips_for_another_reason_fails(tmp_path):
    done = run(tmp_path, names=NAMED.replace("no moon tonight", "no sun today"))
    assert done.returncode == 1 and "test_a.py::test_skipped was skipped: no moon tonight" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", ALONE)
def test_a_file_that_is_skipped_as_a_whole_fails(tmp_path, words):
    done = run(tmp_path, *words, suite=WHOLE_FILE)
    assert done.returncode == 1 and "test_a.py was skipped: no such package" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_elsewhere_a_skip_is_shown_and_passes(tmp_path):
    done = run(tmp_path, ci="", names="")
    assert done.returncode == 0 and "hole: test_a.py::test_skipped was skipped: no moon tonight" in done.stdout


def test_what_the_list_names_exists():
    entries = allowed(ROOT / LIST)
    assert entries
    for test, reason in entries:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert (
            reason and re.search(rf"^def {re.escape(name.partition('[')[0])}\(", text, re.MULTILINE) and reason in text
        )
