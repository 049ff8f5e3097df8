"""Whose run it is: train.py with --continue_train auto, beside other processes, and in folders that go."""

import shutil
import signal
import time

import pytest

import train as train_script
from options import UserError
from tests.conftest import EVERY_STEP, small_argv
from tests.test_train import differences, run, spawn, state
from tests.util.test_claim import held
from util.training.engine import Engine

SHORT = ("--n_epochs", 1, "--n_epochs_decay", 0, *EVERY_STEP, "--no_html")


def tree(folder):
    """What is on the disk, with its content; not when it was written."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def at_step(monkeypatch, number, act):
    """Do something within this step of a run, in its first optimizer."""
    update = Engine.update

    def acting(self, model, name, compute):
        if self.progress.step + 1 == number and name == "D":
            act()
        return update(self, model, name, compute)

    monkeypatch.setattr(Engine, "update", acting)


class Killed(BaseException):
    pass


def kill():
    raise Killed


@pytest.mark.slow
def test_auto_starts_what_is_not_there_and_goes_on_with_what_is(dataroot, tmp_path, monkeypatch, capsys):
    command = (*SHORT, "--continue_train", "auto")
    run(dataroot, tmp_path / "whole", *SHORT)
    at_step(monkeypatch, 5, kill)
    with pytest.raises(Killed):
        run(dataroot, tmp_path, *command)
    monkeypatch.undo()
    assert run(dataroot, tmp_path, *command) == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path)) == []
    capsys.readouterr()
    before = tree(tmp_path)
    assert run(dataroot, tmp_path, *command) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/checkpoints/run: done, 7 steps in 1 epoch; nothing is left to do\n"
    assert tree(tmp_path) == before
    assert run(dataroot, tmp_path, *command, "--n_epochs", 2) == 0  # told to be longer, it goes on
    assert state(tmp_path)[".progress.step"] == 14


@pytest.mark.slow
def test_auto_takes_other_weights_for_the_start_alone(whole, dataroot, tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/other").symlink_to(whole / "checkpoints/run")
    command = (*SHORT, "--continue_train", "auto", "--pretrained_name", "other", "--epoch", 1)
    assert run(dataroot, tmp_path, *command) == 0
    assert "ignored" not in capsys.readouterr().out
    assert run(dataroot, tmp_path, *command, "--n_epochs", 2) == 0
    said = capsys.readouterr().out
    assert "--pretrained_name other: ignored, for the run goes on from its own checkpoint" in said
    assert state(tmp_path)[".progress.step"] == 14  # not again from its epoch 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--overwrite",), "--continue_train and --overwrite contradict each other"),
        (("--epoch", 3), "--continue_train auto --epoch 3: every restart would go back to it"),
        (("--eval_metrics", "l1"), "--eval_metrics l1: nothing is evaluated without --eval_freq"),
    ],
)
def test_what_contradicts_auto_is_refused_at_the_first_start(dataroot, tmp_path, words, said):
    with pytest.raises(UserError, match=said):
        run(dataroot, tmp_path, "--continue_train", "auto", *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--continue_train",), ("--continue_train", "auto"), ("--overwrite",)])
def test_a_run_is_one_process_s(whole, dataroot, tmp_path, words):
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    before = tree(tmp_path)
    with held(tmp_path / "checkpoints/run/.lock") as other:
        with pytest.raises(UserError, match=f"another run is training here .process {other.pid} on") as error:
            run(dataroot, tmp_path, *words)
        assert error.value.code == 2
    (tmp_path / "checkpoints/run/.lock").unlink()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("moment", ["util.training.run_folder._identity", "util.claim.Claim._write"])
def test_a_start_that_ends_while_it_claims_its_folder_leaves_nothing(dataroot, tmp_path, monkeypatch, moment):
    monkeypatch.setattr(moment, lambda *_: kill())
    with pytest.raises(Killed):
        run(dataroot, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.exhaustive
def test_a_run_that_was_killed_goes_on_at_once(dataroot, tmp_path):
    """Its workers may live on for a moment; they hold nothing."""
    process = spawn(dataroot, tmp_path, *SHORT, "--n_epochs", 400, "--num_threads", 2)
    while not (tmp_path / "checkpoints/run/latest.manifest.json").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = state(tmp_path)[".progress.step"]
    assert run(dataroot, tmp_path, "--continue_train", "auto", "--n_epochs", 1 + done // 7) == 0


@pytest.mark.slow
@pytest.mark.parametrize("become", ["removed", "renamed", "replaced"])
def test_a_folder_that_goes_in_mid_run_is_not_made_anew(dataroot, tmp_path, monkeypatch, capfd, become):
    folder, other = tmp_path / "checkpoints/run", tmp_path / "checkpoints/moved"

    def act():
        folder.rename(other)
        if become == "removed":
            shutil.rmtree(other)
        elif become == "replaced":
            shutil.copytree(other, folder)

    at_step(monkeypatch, 4, act)
    argv = [a for a in small_argv(dataroot, tmp_path, *SHORT) if a != "--no_html"]
    with pytest.raises(UserError, match="the folder of this run was removed, renamed or unmounted") as error:
        train_script.main([*argv, "--use_tensorboard"])
    assert error.value.code == 5 and "cannot write" not in capfd.readouterr().err
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        "removed": set(), "renamed": {"moved"}, "replaced": {"moved", "run"},
    }[become]  # fmt: skip
    if become == "replaced":
        assert not (folder / "4_net_G.pth").exists() and state(tmp_path)[".progress.step"] == 2


@pytest.mark.slow
def test_what_is_overwritten_is_there_until_a_step_is_done(whole, dataroot, tmp_path, monkeypatch):
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints/run/notes.txt").write_text("mine")
    before = tree(tmp_path)
    at_step(monkeypatch, 1, kill)
    with pytest.raises(Killed):
        run(dataroot, tmp_path, *SHORT, "--overwrite")
    assert tree(tmp_path) == before
    monkeypatch.undo()
    assert run(dataroot, tmp_path, *SHORT, "--overwrite") == 0
    names = {p.name for p in (tmp_path / "checkpoints/run").iterdir()}
    assert "3_net_G.pth" not in names and "notes.txt" in names and not names & {".overwritten", ".lock"}
