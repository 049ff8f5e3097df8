"""Tests, evaluations and evaluate.py in two processes: the values and files are those of one, bit for bit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate as evaluate_script
import test as test_script
from data import DATASETS
from models import MODELS
from tests.conftest import small_argv, train_options
from tests.evaluation.test_testing import EYES
from tests.test_latent import TINY
from tests.test_train import run
from tests.util.test_distributed import in_processes
from train import make_evaluator
from util.training.engine import Engine
from util.training.isolation import isolated


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "eyes.py"
    path.write_text(EYES)
    return "--metrics", "fid,self_similarity", "--extractor", f"module:{path}:Eyes"


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A generator with dropout, so that what it makes depends on what it draws; 12 pictures, and one of no use."""
    folder, random = tmp_path_factory.mktemp("shares"), np.random.default_rng(0)
    for side in ("trainA", "trainB", "testA", "testB"):
        (folder / "data" / side).mkdir(parents=True)
        for i in range(12):
            size = (36, 32, 3) if i == 2 else (32, 32, 3)
            Image.fromarray(random.integers(0, 255, size).astype(np.uint8)).save(folder / "data" / side / f"{i}.png")
    (folder / "data/testA/1b.png").write_bytes(b"none")
    words = ("--no_dropout", "false", "--max_steps", 1, "--no_html", "--pool_size", 3, "--normG", "batch")
    assert run(folder / "data", folder, *words) == 0
    return folder


def test_argv(folder, results, *more):
    words = ("--dataroot", folder / "data", "--checkpoints_dir", folder / "checkpoints", "--name", "run")
    more = (*more, "--results_dir", results, "--num_threads", 0, "--on_bad_image", "skip", "--gpu_ids", -1)
    return [str(word) for word in (*words, *more)]


test_argv.__test__ = False


def files_of(folder):
    """What a test wrote, but for when it did."""
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {name: content for name, content in found.items() if not name.endswith((".yaml", ".txt"))}


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--batch_size", 2)], ids=["one at a time", "two"])
def test_a_test_of_two_processes_is_that_of_one(tried, eyes, tmp_path, more):
    assert test_script.main(test_argv(tried, tmp_path / "one", *eyes, *more)) == 0
    argv = test_argv(tried, tmp_path / "two", *eyes, *more)
    assert in_processes(lambda rank: test_script.main(argv), tmp_path) == [0, 0]
    one, two = (files_of(tmp_path / name / "run/test_latest") for name in ("one", "two"))
    assert one.keys() == two.keys() and len([name for name in one if name.endswith(".png")]) >= 10
    assert [name for name in one if one[name] != two[name]] == []
    assert json.loads(one["metrics.json"])


@pytest.mark.slow
def test_evaluate_in_two_processes_has_the_values_of_one(tmp_path, eyes):
    random = np.random.default_rng(0)
    for side in ("real", "fake"):
        (tmp_path / side).mkdir()
        for i in range(70):  # more than two batches
            size = (9, 8, 3) if i % 50 == 40 else (8, 8, 3)
            Image.fromarray(random.integers(0, 255, size).astype(np.uint8)).save(tmp_path / side / f"{i:02}.png")

    def argv(output):
        words = ("--real", tmp_path / "real", "--fake", tmp_path / "fake", "--metrics", "fid,l1", *eyes[2:])
        return [str(word) for word in (*words, "--output", tmp_path / output, "--gpu_ids", -1)]

    assert evaluate_script.main(argv("one.json")) == 0
    assert in_processes(lambda rank: evaluate_script.main(argv("two.json")), tmp_path) == [0, 0]
    one, two = ((tmp_path / name).read_text() for name in ("one.json", "two.json"))
    assert one == two and json.loads(one)


def evaluated(argv, twice=True):
    """What is found in one process or in several, of which each has statistics of batch norm of its own."""

    def work(rank):
        opt = train_options(*argv)
        engine = Engine(opt)
        dataset = DATASETS.make(opt.dataset_mode, opt.plugin_dir, opt)
        model = MODELS.make(opt.model, opt.plugin_dir, opt)
        model.see_data(dataset)
        engine.prepare(model)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer += rank
        evaluator, found = make_evaluator(opt, dataset, engine), []
        for _ in range(1 + twice):
            with isolated(together=True):
                found.append(evaluator(model, engine))
        evaluator.close()
        told = [None if one is None else (one.values, one.entries, one.diversity, one.lines) for one in found]
        return list(map(json.dumps, told))

    return work


PHOTOS = ("--normG", "batch", "--no_dropout", "false", "--eval_freq", 1, "--eval_metrics", "fid,self_similarity")
NOISE = ("--model", "contragan", "--dataroot", "digits", *TINY, "--max_dataset_size", 80)
NOISE += ("--eval_freq", 1, "--eval_metrics", "fid", "--eval_samples", 250, "--gpu_ids", -1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["photos", pytest.param("noise", marks=pytest.mark.exhaustive)])
def test_an_evaluation_of_two_processes_has_the_values_of_one(tried, eyes, tmp_path, kind):
    more = (*PHOTOS, "--on_bad_image", "skip", *eyes[2:])
    photos = small_argv(tried / "data", tmp_path, *more)
    argv = photos if kind == "photos" else (*NOISE, *eyes[2:], "--checkpoints_dir", tmp_path)
    work = evaluated(argv)
    one, (two, other) = work(0), in_processes(work, tmp_path)
    assert one == two and one[0] == one[1] and "NaN" not in one[0] and other == ["null", "null"]
