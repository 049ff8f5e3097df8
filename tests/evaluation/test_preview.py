"""--preview: the same pictures all along, within their time, and nothing of them in the training."""

import shutil
from types import SimpleNamespace

import pytest
import torch

import evaluation.preview as module
import train as train_script
from data.loading.rows import TestSet
from evaluation.preview import Preview, words_of_preview
from tests.conftest import small_argv, test_options, train_options
from tests.test_fonts import SMALL as FONTS
from tests.test_train import differences, run, state
from util.files import json_or_empty

SHORT = ("--n_epochs", 2, "--n_epochs_decay", 0, "--print_freq", 4, "--display_freq", 2)
CUT = ("--ema_decay", 0.9, "--normG", "batch", "--no_dropout", "false")
ZI2ZI = (*FONTS[: FONTS.index("--n_epochs")], "--gpu_ids", -1, "--num_threads", 0, "--max_dataset_size", 64)


@pytest.fixture
def patient(monkeypatch):
    """Time enough for a look at every display."""
    monkeypatch.setattr(module, "SHARE", 1e9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv", [pytest.param(CUT, id="cut"), pytest.param(ZI2ZI, id="zi2zi", marks=pytest.mark.exhaustive)]
)
def test_a_run_is_the_same_bits_with_a_preview_and_without(dataroot, tmp_path, patient, argv):
    """Averages, statistics of batch norm, dropout, moments of optimizers: all of a checkpoint."""
    for name, count in (("with", 3), ("without", 0)):
        where = ("--checkpoints_dir", tmp_path / name / "checkpoints", "--name", "run", *SHORT[:4])
        words = small_argv(dataroot, tmp_path / name, *argv, *SHORT) if argv is CUT else [*argv, *where]
        assert train_script.main([str(word) for word in (*words, "--preview", count)]) == 0
    kept = json_or_empty(tmp_path / "with/checkpoints/run/web/preview.json")
    assert len(kept["names"]) == 3 and len(kept["steps"]) >= 2
    assert not (tmp_path / "without/checkpoints/run/web/preview.json").exists()
    assert differences(state(tmp_path / "with"), state(tmp_path / "without")) == []


@pytest.mark.slow
def test_a_continued_run_goes_on_with_the_strip(dataroot, tmp_path, patient):
    words = (*CUT, "--no_dropout", "true", *SHORT[2:], "--preview", 2)  # whose last look is that of its last step
    assert run(dataroot, tmp_path / "whole", *words, "--n_epochs", 2) == 0
    assert run(dataroot, tmp_path / "parts", *words, "--n_epochs", 1) == 0
    assert run(dataroot, tmp_path / "parts", *words, "--n_epochs", 2, "--continue_train") == 0
    folders = [tmp_path / part / "checkpoints/run/web" for part in ("whole", "parts")]
    whole, parts = (json_or_empty(folder / "preview.json") for folder in folders)
    assert set(whole["steps"]) <= set(parts["steps"]) and parts["names"] == ["testA_0.png", "testA_1.png"]
    for name in [f"preview_{step:08d}_{row}.png" for step in whole["steps"] for row in (1, 2)]:
        assert (folders[0] / "images" / name).read_bytes() == (folders[1] / "images" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_without_a_test_it_shows_what_training_sees_and_says_so(dataroot, tmp_path, capsys, direction):
    shutil.copytree(dataroot, tmp_path / "data")
    for side in "AB":
        shutil.rmtree(tmp_path / f"data/test{side}")
    assert run(tmp_path / "data", tmp_path, *SHORT, "--max_steps", 2, "--direction", direction) == 0
    assert (
        "--preview 4: there are no pictures of test or val, so it shows some that training" in capsys.readouterr().out
    )
    names = json_or_empty(tmp_path / "checkpoints/run/web/preview.json")["names"]
    side, there = ("A", (0, 1, 3, 5)) if direction == "AtoB" else ("B", (0, 1, 2, 3))
    assert names == [f"train{side}_{i}.png" for i in there]


@pytest.mark.slow
def test_what_cannot_be_previewed_costs_one_line(dataroot, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Preview, "_translated", lambda *_: 1 / 0)
    assert run(dataroot, tmp_path, *SHORT, "--max_steps", 8) == 0
    said = capsys.readouterr().err
    assert said.count("--preview 4: no pictures can be translated (ZeroDivisionError") == 1
    assert not (tmp_path / "checkpoints/run/web/preview.json").exists()


def test_pictures_are_of_the_size_that_training_crops_to(dataroot):
    for words, size in (
        (("--load_size", 40, "--crop_size", 24), 24),
        (("--preprocess", "none", "--crop_size", 28), 28),
    ):
        opt = train_options("--dataroot", dataroot, "--model", "cut", "--gpu_ids", "-1", *words)
        told = test_options(*words_of_preview(opt, "test"), "--dataroot", dataroot, "--crop_size", opt.crop_size)
        batches = TestSet(told, lambda x: x).spread(2)
        assert [tuple(batch["A"].shape) for batch in batches] == [(1, 3, size, size)] * 2
        assert [set(batch) for batch in batches] == [{"A", "A_paths"}] * 2


def test_looks_are_held_to_their_part_of_the_time(monkeypatch, capsys):
    """After the first, none until a hundred times what it took has passed; the last is made whatever it costs."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    preview = Preview(4, None, None, None)
    engine = SimpleNamespace(device=torch.device("cpu"))
    assert preview.due(1)
    with preview.timed(engine):
        now[0] += 2
    assert not preview.due(2) and not preview.due(3)
    assert capsys.readouterr().out.count("--preview 4: pictures are translated less often") == 1
    now[0] = 100 + 200 - 1
    assert not preview.due(4) and preview.due(5, last=True)
    now[0] = 100 + 200
    assert preview.due(6)
    assert not Preview(0, None, None, None).due(1, last=True)
