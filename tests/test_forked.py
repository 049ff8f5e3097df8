"""Scripts that are forked do what those do that a new interpreter runs."""

import os
import signal
import subprocess
import sys

import pytest

from tests import forked
from tests.conftest import small_argv
from tests.test_train import ROOT, differences, state

WAYS = {"forked": forked.ForkedPopen, "ordinary": forked.ORDINARY}


def start(way, *words, **more):
    usual = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return WAYS[way]([sys.executable, *map(str, words)], **{**usual, **more})


@pytest.mark.exhaustive
def test_a_run_is_the_same(dataroot, tmp_path):
    said = {}
    for way in WAYS:
        argv = small_argv(dataroot, tmp_path / way, "--n_epochs", 1, "--n_epochs_decay", 0, "--print_freq", 3)
        process = start(way, "train.py", *argv)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        said[way] = [line.split(" ")[:2] for line in out.replace(way, "").splitlines()], err
    assert not differences(state(tmp_path / "forked"), state(tmp_path / "ordinary"))
    assert said["forked"] == said["ordinary"] and len(said["forked"][0]) > 3


@pytest.mark.parametrize("way", ["forked", pytest.param("ordinary", marks=pytest.mark.exhaustive)])
def test_words_streams_folder_and_status(way, tmp_path):
    """Its own code, its words and its folder; what comes in, and both that come out as one."""
    process = start(way, ROOT / "train.py", "--model", "no_such", cwd=tmp_path, stderr=subprocess.STDOUT)
    assert "no_such" in process.communicate(timeout=100)[0] and process.returncode == 2
    with (tmp_path / "said").open("w") as file:
        done = start(way, "train.py", "--help", stdout=file, stderr=None, start_new_session=True)
        assert done.wait(100) == 0 and done.poll() == 0
    assert (tmp_path / "said").read_text().startswith("usage: train.py")


@pytest.mark.parametrize("way", ["forked", pytest.param("ordinary", marks=pytest.mark.exhaustive)])
def test_a_signal_ends_it_alone(way, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    process = start(way, "train.py", "--config", tmp_path / "pipe", start_new_session=True)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    process.communicate()


@pytest.mark.parametrize(
    "words,environment",
    [
        (["-c", "print(1)"], {}),
        (["-X", "importtime", "train.py"], {}),
        (["train.py"], {"OMP_NUM_THREADS": "2"}),
        (["train.py"], {"PYTHONPATH": "elsewhere"}),
        (["setup.py"], {}),
    ],
)
def test_what_needs_an_interpreter_of_its_own_has_one(words, environment):
    assert forked.asked([sys.executable, *words], ROOT, {**os.environ, **environment}) is None
    assert forked.asked([sys.executable, "train.py"], ROOT, None) is not None
