"""How a run ends before it is done, in this process: signals at a moment, and no memory."""

import json
import os
import signal
import sys

import pytest
import torch

import train as train_script
from evaluation.training import Evaluator
from options import Exit, UserError
from tests.conftest import EPOCHS, EVERY_STEP, small_argv
from tests.test_ends import RARELY, THROUGH, WAY, saved
from tests.test_train import differences, run, state
from util import cli
from util.commit import Commit
from util.training.engine import Engine
from util.training.run_record import read_record


def send_in(owner, name, monkeypatch, call, numbers, before=False):
    """The signals come in this call of a method, the first of which is 1."""
    method, calls = getattr(owner, name), []

    def sending(self, *args, **kwargs):
        calls.append(1)
        made = None if before else method(self, *args, **kwargs)
        for number in numbers if len(calls) == call else ():
            os.kill(os.getpid(), number)
        return method(self, *args, **kwargs) if before else made

    monkeypatch.setattr(owner, name, sending)


EVALUATED = ("--eval_freq", 4, "--eval_metrics", "self_similarity", *EPOCHS, *THROUGH, "--no_html")


def evaluations(folder):
    lines = (folder / "checkpoints/run/evaluations.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("time", "seconds")} for line in lines]


@pytest.mark.slow
def test_a_signal_in_an_evaluation_saves_and_the_evaluation_is_made(dataroot, tmp_path, monkeypatch, capsys):
    assert run(dataroot, tmp_path / "whole", *EVALUATED) == 0
    with monkeypatch.context() as patch:
        send_in(Evaluator, "of_batches", patch, 4, [signal.SIGUSR2, signal.SIGTERM], before=True)  # one is a trial
        assert run(dataroot, tmp_path, *EVALUATED) == Exit.STOPPED
    assert saved(tmp_path) == 12 and len(evaluations(tmp_path)) == 2
    assert "(SIGUSR2): saved at step 12" in capsys.readouterr().out
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert evaluations(tmp_path) == evaluations(tmp_path / "whole")
    assert differences(state(tmp_path / "whole"), state(tmp_path)) == []


@pytest.mark.slow
def test_an_evaluation_that_fails_costs_no_step(dataroot, tmp_path, monkeypatch):
    calls = []

    def failing(self, *words):
        calls.append(1)
        if len(calls) == 4:  # one is a trial
            raise UserError("no value came out")
        return evaluate(self, *words)

    evaluate = Evaluator.of_batches
    monkeypatch.setattr(Evaluator, "of_batches", failing)
    with pytest.raises(UserError, match="no value came out; saved at step 12; --continue_train goes on from here"):
        run(dataroot, tmp_path, *EVALUATED)
    assert saved(tmp_path) == 12 and len(evaluations(tmp_path)) == 2


@pytest.mark.slow
def test_a_signal_while_it_saves_does_not_break_the_save(whole, dataroot, tmp_path, monkeypatch):
    monkeypatch.setattr("util.signals.SAME", -1)
    with monkeypatch.context() as patch:
        send_in(Engine, "should_stop", patch, 5, [signal.SIGTERM])
        patch.setattr(Commit, "write", interfering(Commit.write))
        assert run(dataroot, tmp_path, *EPOCHS, *THROUGH) == Exit.STOPPED
    assert saved(tmp_path) == 5
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def interfering(write):
    def sending(*words):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return write(*words)

    return sending


@pytest.mark.slow
def test_output_that_nobody_reads_any_more_ends_with_a_save(whole, dataroot, tmp_path, monkeypatch, capsys):
    def unread(self, line):
        if "iters: 5" in line:
            raise BrokenPipeError

    argv = small_argv(dataroot, tmp_path, *EPOCHS, *THROUGH)
    with monkeypatch.context() as patch:
        patch.setattr("util.visualizer.Visualizer.say", unread)
        assert script(patch, train_script.main, argv) == Exit.STOPPED
    assert capsys.readouterr().err == f"nobody reads what is printed: saved at step 5; {WAY} here\n"
    assert read_record(tmp_path / "checkpoints/run")["state"] == "stopped"
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def script(monkeypatch, main, argv):
    """The code of a script, run here."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    return cli.run(lambda: main([str(word) for word in argv]))


@pytest.mark.slow
@pytest.mark.parametrize("freq", [4, 10**6])
def test_out_of_memory_within_a_step_leaves_the_last_checkpoint(whole, dataroot, tmp_path, monkeypatch, capsys, freq):
    update, calls = Engine.update, []

    def greedy(self, model, name, compute):
        calls.append(name)
        if len(calls) > 2 * 6 + 1:  # G of the seventh step: D has learnt
            torch.empty(1 << 50)
        return update(self, model, name, compute)

    argv = small_argv(dataroot, tmp_path, *EPOCHS, *THROUGH, "--save_latest_freq", freq)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "update", greedy)
        assert script(patch, train_script.main, argv) == Exit.MEMORY
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("train.py: out of memory (") and "Traceback" not in line
    if freq == 4:
        assert f"the last checkpoint is of step 4; {WAY} there" in line and saved(tmp_path) == 4
    else:
        assert "no checkpoint was saved" in line
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


@pytest.mark.slow
def test_a_signal_between_the_batches_of_a_step_takes_it_back(dataroot, tmp_path, monkeypatch):
    argv = ("--accumulate", 3, *EPOCHS, *EVERY_STEP, *RARELY)
    assert run(dataroot, tmp_path / "whole", *argv) == 0
    with monkeypatch.context() as patch:
        send_in(Engine, "should_stop", patch, 11, [signal.SIGTERM])  # two steps of three, one batch dropped; 3 more; 1
        assert run(dataroot, tmp_path, *argv) == Exit.STOPPED
    assert saved(tmp_path) == 3
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path)) == []
