"""Evaluation while training: the same run with it and without it, its records, the best checkpoint."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

import test as test_script
import train as train_script
import translate as translate_script
from evaluation.training import words_of_test
from models import MODELS
from options import UserError
from tests.conftest import small_argv, train_options
from tests.data.helpers import dataset, images
from tests.evaluation.test_testing import EYES
from tests.test_fonts import SMALL as FONTS
from tests.test_latent import TINY
from tests.test_train import ROOT, differences, run, state
from util.seeding import seed_everything
from util.training.engine import Engine

SHORT = ("--n_epochs", 2, "--n_epochs_decay", 1, "--no_html", "--print_freq", 4)
EVALUATED = ("--eval_freq", 3, "--eval_metrics", "self_similarity")


class Wild:
    """An evaluator that does to a process whatever it can, but to the model."""

    def __init__(self, *_):
        self.steps = []

    def prepare(self):
        seed_everything(7, "wild")
        return {"L1": 0.0, "odd": 0.0}, {"L1": "lower"}

    def __call__(self, model, engine):
        self.steps.append(engine.progress.step)
        seed_everything(8, "wild")
        torch.set_grad_enabled(False)
        torch.backends.cudnn.benchmark = True
        torch.use_deterministic_algorithms(True)
        torch.rand(5)
        value = abs(engine.progress.step - 6)  # the best in the middle
        return SimpleNamespace(
            values={"L1": float(value), "odd": float("nan")},
            better={"L1": "lower"},
            remarks=[],
            diversity=1.0,
            lines=[],
            entries={},
        )

    def close(self):
        self.steps.append("closed")


def records(folder):
    return [json.loads(line) for line in (folder / "checkpoints/run/evaluations.jsonl").read_text().splitlines()]


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.setattr(train_script, "make_evaluator", Wild)


CUT = ("--ema_decay", 0.9, "--normG", "batch")
ZI2ZI = (*FONTS[: FONTS.index("--n_epochs")], "--gpu_ids", -1, "--num_threads", 0, "--max_dataset_size", 64)
ZI2ZI += ("--GAN_from", 0, "--n_epochs", 2)
CONTRAGAN = ("--model", "contragan", "--dataroot", "digits", *TINY, "--max_dataset_size", 80, "--n_epochs", 2)
SETS = ("--eval_metrics", "fid,kid", "--eval_samples", 40)


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv,evaluation",
    [
        pytest.param(CUT, EVALUATED[2:], id="cut"),
        pytest.param(ZI2ZI, ("--eval_metrics", "l1,ssim"), id="zi2zi"),
        pytest.param(CONTRAGAN, SETS, id="contragan"),
    ],
)
def test_a_run_is_the_same_bits_with_evaluation_and_without(dataroot, tmp_path, argv, evaluation):
    """Averages, statistics of batch norm, vectors of spectral norm, moments of optimizers: all of a checkpoint."""
    if evaluation is SETS:
        (tmp_path / "eyes.py").write_text(EYES)
        evaluation = (*SETS, "--extractor", f"module:{tmp_path / 'eyes.py'}:Eyes")
    for name, more in (("with", ("--eval_freq", 16, *evaluation)), ("without", ())):
        where = ("--checkpoints_dir", tmp_path / name / "checkpoints", "--name", "run", "--no_html")
        words = (
            [*small_argv(dataroot, tmp_path / name, *argv, *SHORT), *more] if argv is CUT else [*argv, *where, *more]
        )
        words = [5 if word == 16 and argv is CUT else word for word in words]
        assert train_script.main([str(word) for word in words]) == 0
    assert len(records(tmp_path / "with")) >= 4
    assert differences(state(tmp_path / "with"), state(tmp_path / "without")) == []
    assert not (tmp_path / "without/checkpoints/run/evaluations.jsonl").exists()


@pytest.mark.slow
def test_records_the_best_checkpoint_and_the_last_evaluation(dataroot, tmp_path, wild, capsys):
    assert run(dataroot, tmp_path, *SHORT, "--eval_freq", 3, "--eval_metrics", "l1", "--max_steps", 10) == 0
    found = records(tmp_path)
    assert [(r["step"], r["epoch"], r["best"]) for r in found] == [
        (3, 1, True),
        (6, 1, True),
        (9, 2, False),
        (10, 2, False),
    ]
    assert found[0]["values"] == {"L1": 3.0, "odd": None} and found[0]["better"] == {"L1": "lower"}
    out = capsys.readouterr().out
    assert "best so far: L1 0 at step 6" in out and "best, step 6: L1 0, odd not defined (--epoch best)" in out
    record = json.loads((tmp_path / "checkpoints/run/run.json").read_text())
    assert record["best"] == {"metric": "L1", "value": 0.0, "step": 6} and record["evaluation_seconds"] > 0
    assert state(tmp_path, "best")[".progress.step"] == 6 and state(tmp_path)[".progress.step"] == 10


@pytest.mark.slow
@pytest.mark.parametrize("cut", [4, 7, 10])
def test_cut_off_and_continued_the_same_records_come_out(dataroot, tmp_path, wild, monkeypatch, cut):
    argv = (*SHORT, "--eval_freq", 3, "--eval_metrics", "l1", "--max_steps", 11, "--save_latest_freq", 5)
    run(dataroot, tmp_path / "whole", *argv)

    class Killed(Exception):
        pass

    calls, step = [], Engine.update

    def dying(self, model, name, compute):
        calls.append(name)
        if calls.count("D") > cut:
            raise Killed
        return step(self, model, name, compute)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Engine, "update", dying)
        run(dataroot, tmp_path / "cut", *argv)
    assert run(dataroot, tmp_path / "cut", "--continue_train") == 0
    timeless = [
        [{k: v for k, v in r.items() if k not in ("time", "seconds")} for r in records(tmp_path / name)]
        for name in ("whole", "cut")
    ]
    assert timeless[0] == timeless[1] and len(timeless[0]) == 4
    for label in ("latest", "best"):
        assert differences(state(tmp_path / "whole", label), state(tmp_path / "cut", label)) == []


@pytest.mark.slow
def test_an_evaluation_that_was_killed_in_the_end_is_made_by_a_continued_run(dataroot, tmp_path, monkeypatch):
    class Dying(Wild):
        def __call__(self, model, engine):
            raise KeyboardInterrupt

    monkeypatch.setattr(train_script, "make_evaluator", Dying)
    with pytest.raises(KeyboardInterrupt):
        run(dataroot, tmp_path, *SHORT, "--eval_freq", 1000, "--eval_metrics", "l1")
    monkeypatch.setattr(train_script, "make_evaluator", Wild)
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert [r["step"] for r in records(tmp_path)] == [21]


@pytest.mark.slow
def test_the_best_checkpoint_can_be_tested_and_translated_with(dataroot, tmp_path, wild):
    run(dataroot, tmp_path, *SHORT, "--eval_freq", 3, "--eval_metrics", "l1", "--max_steps", 7)
    where = ("--name", "run", "--checkpoints_dir", tmp_path / "checkpoints", "--gpu_ids", -1, "--epoch", "best")
    words = ["--dataroot", dataroot, *where, "--results_dir", tmp_path / "results", "--num_threads", 0]
    assert test_script.main([str(word) for word in words]) == 0
    assert (tmp_path / "results/run/test_best/index.html").is_file()
    words = ["--input", dataroot / "testA", "--output", tmp_path / "out", "--checkpoint", tmp_path / "checkpoints/run"]
    words += ["--gpu_ids", -1, "--epoch", "best"]
    assert translate_script.main([str(word) for word in words]) == 0
    assert list((tmp_path / "out").rglob("*.png"))


@pytest.mark.parametrize(
    "argv,message",
    [
        (("--eval_freq", 5), "--eval_freq 5: evaluates by --eval_metrics, and there are none"),
        (("--eval_metrics", "l1,fid"), "--eval_metrics l1,fid: nothing is evaluated without --eval_freq"),
        (("--best_metric", "FID"), "--best_metric FID: nothing is evaluated without --eval_freq"),
        (("--eval_freq", 5, "--eval_metrics", "nosuch"), "nosuch"),
        (("--eval_freq", 5, "--eval_metrics", "l1"), "no true targets"),
        (("--eval_freq", 5, "--eval_metrics", "fid"), "--extractor"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_before_anything_is_written(dataroot, tmp_path, argv, message):
    with pytest.raises(UserError, match=message):
        run(dataroot, tmp_path, *argv)
    assert not (tmp_path / "checkpoints").exists()


def test_judges_are_not_evaluated_and_a_test_is_told_what_it_must_be():
    judge = train_options(
        "--model", "glyph_judge", "--dataset_mode", "font", "--eval_freq", "5", "--eval_metrics", "l1"
    )
    with pytest.raises(UserError, match="--model glyph_judge makes no images that could be evaluated"):
        words_of_test(judge, MODELS.find("glyph_judge"))
    words = ["--eval_freq", "5", "--eval_metrics", "l1", "--batch_size", "4", "--on_bad_image", "skip"]
    told = words_of_test(train_options(*words), MODELS.find("cut"))
    assert told[told.index("--on_bad_image") + 1] == "skip" and "--batch_size" not in told
    noise = ("--model", "contragan", "--eval_freq", "5", "--eval_metrics", "fid", "--eval_samples", "7")
    told = words_of_test(train_options(*noise), MODELS.find("contragan"))
    assert told[told.index("--num_samples") + 1] == "7"


def test_a_value_that_does_not_exist_is_named_before_the_first_step(dataroot, tmp_path):
    with pytest.raises(UserError, match=r"--best_metric FID: there is no such value.*; the values are "):
        run(dataroot, tmp_path, *SHORT, *EVALUATED, "--best_metric", "FID")
    assert not (tmp_path / "checkpoints/run/metrics.jsonl").exists()


@pytest.mark.exhaustive
def test_two_processes_evaluate_together_and_one_says_so(dataroot, tmp_path):
    """That the values are those of one process is shown in tests/evaluation/test_shares.py."""
    argv = small_argv(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", "--max_steps", 3)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29737"]
    command += ["train.py", *argv, "--eval_freq", "4", "--eval_metrics", "self_similarity"]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert [r["step"] for r in records(tmp_path)] == [2, 3]
    assert done.stdout.count("evaluation at step") == 2


# -- what evaluations read -----------------------------------------------------------------------------------------


def with_val(dataroot, folder):
    """The same data with a valA and a valB beside."""
    shutil.copytree(dataroot, folder)
    for side in "AB":
        shutil.copytree(folder / f"test{side}", folder / f"Val{side}")
    return folder


@pytest.mark.slow
def test_evaluations_read_val_where_there_is_one_and_a_run_keeps_what_they_read(dataroot, tmp_path, capsys):
    data = with_val(dataroot, tmp_path / "data")
    shutil.rmtree(data / "testB")  # then the test has no B to compare with
    words = ("--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", "--eval_freq", 100, "--eval_metrics", "fid")
    (tmp_path / "eyes.py").write_text(EYES)
    words += ("--extractor", f"module:{tmp_path / 'eyes.py'}:Eyes")
    assert run(data, tmp_path, *words) == 0
    assert "evaluations, and best by them, read val;" in capsys.readouterr().out
    assert [r["phase"] for r in records(tmp_path)] == ["val"]
    again = ("--continue_train", "--n_epochs", 2, *words[-2:])
    with pytest.raises(UserError, match=r"--eval_phase test: the 1 evaluations of run.* are of --eval_phase val"):
        run(data, tmp_path, *again, "--eval_phase", "test")
    assert run(data, tmp_path, *again) == 0
    assert [r["phase"] for r in records(tmp_path)] == ["val", "val"]
    shutil.rmtree(data / "ValA")
    shutil.rmtree(data / "ValB")
    with pytest.raises(UserError, match=r"--eval_phase val: .* has none beside the test's"):
        run(data, tmp_path, *again, "--n_epochs", 3)


@pytest.mark.slow
def test_a_run_that_began_before_keeps_to_the_test(dataroot, tmp_path, capsys):
    data = with_val(dataroot, tmp_path / "data")
    words = ("--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", "--eval_freq", 100, *EVALUATED[2:])
    assert run(data, tmp_path, *words, "--eval_phase", "test") == 0
    folder = tmp_path / "checkpoints/run"
    text = (folder / "train_opt.yaml").read_text()
    assert "eval_phase: test\n" in text
    (folder / "train_opt.yaml").write_text(text.replace("eval_phase: test\n", ""))
    old = [{key: value for key, value in record.items() if key != "phase"} for record in records(tmp_path)]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(record) + "\n" for record in old))
    capsys.readouterr()
    assert run(data, tmp_path, "--continue_train", "--n_epochs", 2) == 0
    assert "evaluations, and best by them, read the test, as in this run before" in capsys.readouterr().out
    assert [r.get("phase") for r in records(tmp_path)] == [None, "test"]


@pytest.mark.parametrize("kind", ["aligned", "unaligned", "template", "labeled", "two folders", "fallen back"])
def test_which_data_have_a_val_of_their_own(kind, tmp_path):
    """In folders of any capitals; what is held out of two folders is the test, and so is a val that stands for it."""
    places = {"aligned": ("train", "test", "VAL"), "template": ("train", "test", "val"), "labeled": ("train", "val")}
    places |= dict.fromkeys(("unaligned", "two folders"), ("trainA", "trainB", "testA", "validA"))
    places["fallen back"] = ("trainA", "trainB", "valA", "valB")
    for place in places[kind]:
        images(tmp_path / place, *(f"{c}/{i}.png" for c in "xy" for i in range(2)), seed=len(place))
    mode = kind if kind in ("aligned", "template", "labeled") else "unaligned"
    where = ("--dataroot", tmp_path)
    if kind == "two folders":
        where = ("--A", tmp_path / "trainA", "--B", tmp_path / "trainB")
    data = dataset(mode, *where, "--gpu_ids", -1)
    assert data.has_val() == (kind not in ("two folders", "fallen back"))
