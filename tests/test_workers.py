"""The scripts with workers that are started afresh and inherit nothing: macOS, Windows, everywhere from Python 3.14."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import test as test_script
import train as train_script
from tests.conftest import EPOCHS, EVERY_STEP, small_argv
from tests.test_train import differences, state

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

PLUGIN_DATA = """
from dataclasses import dataclass
from data.unaligned_dataset import UnalignedDataset
from lab_levels import darker
from options import option

class DarkDataset(UnalignedDataset):
    @dataclass(frozen=True, kw_only=True)
    class Options(UnalignedDataset.Options):
        section = "dark"
        dark: float = option(0.5, "how much darker", least=0)

    def __getitem__(self, index):
        return {k: darker(v, self.opt.dark) if k in "AB" else v for k, v in super().__getitem__(index).items()}
"""
PLUGIN_MODEL = """
from dataclasses import dataclass
from models.cut_model import CUTModel
from options import default, option

class DarkModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "dark model"
        dataset_mode: str = default("dark")
        depth: int = option(3, "of something")

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options):
        again: bool = option(False, "once more", per_run=True)
"""
LEVELS = "def darker(image, by):\n    return (image - by).clamp(-1, 1)\n"


@pytest.fixture
def start(request, tmp_path):
    """``start(script, words)`` runs a script in which this is how processes start."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(
        f"import multiprocessing\nmultiprocessing.set_start_method({request.param!r})\n"
    )
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(tmp_path / "site"))

    def run(script, *words):
        argv = [sys.executable, script, *map(str, words)]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr

    return run


def words_of_test(folder, results, threads):
    where = ("--checkpoints_dir", folder / "checkpoints", "--results_dir", results, "--name", "run")
    return [*map(str, where), "--gpu_ids", "-1", "--num_threads", str(threads), "--metrics", "self_similarity"]


def written(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.suffix in (".png", ".html")}


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", ["spawn", "forkserver"], indirect=True)
def test_training_and_test_are_those_of_one_process(start, whole, dataroot, tmp_path):
    start("train.py", *small_argv(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--num_threads", 2))
    assert differences(state(whole), state(tmp_path)) == []
    start("test.py", *words_of_test(tmp_path, tmp_path / "there", 2), "--dataroot", dataroot)
    test_script.main([*words_of_test(tmp_path, tmp_path / "here", 0), "--dataroot", str(dataroot)])
    here = written(tmp_path / "here")
    assert len(here) > 6 and here == written(tmp_path / "there")


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", ["forkserver", "spawn"], indirect=True)
def test_plugins_of_a_folder_reach_the_workers(start, dataroot, tmp_path, monkeypatch):
    lab = tmp_path / "lab"
    lab.mkdir()
    for name, text in (("dark_dataset", PLUGIN_DATA), ("dark_model", PLUGIN_MODEL), ("lab_levels", LEVELS)):
        (lab / f"{name}.py").write_text(text)
    once = ("--model", "dark", "--plugin_dir", lab, "--dark", 0.25, "--n_epochs", 1, "--n_epochs_decay", 0)
    train_script.main(small_argv(dataroot, tmp_path / "here", *once, "--num_threads", 0))
    start("train.py", *small_argv(dataroot, tmp_path / "there", *once, "--num_threads", 1))
    assert differences(state(tmp_path / "here"), state(tmp_path / "there")) == []
    start(
        *("test.py", *words_of_test(tmp_path / "there", tmp_path / "results", 1)),
        *("--dataroot", dataroot, "--plugin_dir", lab, "--again"),
    )
