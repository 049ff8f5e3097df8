"""Classes of samples through the scripts: the mix of what they are compared with, and the protocol of earlier runs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import test as test_script
import train as train_script
from evaluation.samples import RealImages
from models.noise import classes
from models.noise.classes import asked_of, chosen_classes
from tests.evaluation.test_testing import EYES
from tests.models.noise.test_results import CLASSES, Data, Model
from tests.test_latent import TINY

COUNTS = {"a": (40, 30), "b": (10, 8), "c": (2, 0)}  # for training, held out


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A folder of classes that are not alike, a run of two steps on it, and eyes."""
    root, random = tmp_path_factory.mktemp("uneven"), np.random.default_rng(0)
    for name, counts in COUNTS.items():
        for phase, count in zip(("train", "test"), counts, strict=True):
            for i in range(count):
                path = root / "data" / phase / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 90 + 80 * "abc".index(name), (32, 32), np.uint8)).save(path)
    (root / "eyes.py").write_text(EYES)
    words = ("--model", "biggan", "--dataroot", root / "data", *TINY[:-2], "--n_epochs", 1, "--no_html")
    assert script(train_script, root, *words) == 0
    return root


def script(which, root, *words, name="run"):
    where = ("--checkpoints_dir", root / "checkpoints", "--name", name, "--gpu_ids", -1)
    return which.main([str(word) for word in (*where, *words)])


def judged(root, *words, name="run"):
    eyes = ("--metrics", "fid", "--extractor", f"module:{root / 'eyes.py'}:Eyes")
    where = ("--dataroot", root / "data", "--results_dir", root / "results")
    assert script(test_script, root, *where, "--num_samples", 38, *eyes, *words, name=name) == 0
    folder = root / f"results/{name}/test_latest"
    made = np.bincount(np.load(folder / "samples.npz")["labels"], minlength=3).tolist()
    return made, json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_samples_that_are_compared_have_the_mix_of_the_held_out_images(uneven, capsys):
    made, numbers = judged(uneven)
    assert made == [30, 8, 0] and numbers["sample_classes"] == "data"
    assert not [line for line in numbers["remarks"] if "mixed otherwise" in line]
    assert capsys.readouterr().err.count("no samples of c: no held-out image is") == 1
    made, numbers = judged(uneven, "--sample_classes", "even")
    (line,) = [line for line in numbers["remarks"] if "mixed otherwise" in line]
    assert made == [13, 13, 12] and numbers["sample_classes"] == "even" and "a 78.9%" in line
    assert "--sample_classes data mixes samples" in line and "began before" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_began_before_keeps_its_protocol(uneven, capsys):
    folder = uneven / "checkpoints/run"
    (uneven / "checkpoints/old").mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (uneven / "checkpoints/old" / path.name).write_bytes(path.read_bytes())
    options = uneven / "checkpoints/old/train_opt.yaml"
    kept = yaml.safe_load(options.read_text())
    assert kept.pop("sample_classes") == "auto"
    options.write_text(yaml.safe_dump(kept))
    assert judged(uneven, name="old")[0] == [13, 13, 12]
    assert capsys.readouterr().err.count("old began before --sample_classes: its samples are spread evenly") == 1
    evaluated = ("--eval_freq", 100, "--eval_metrics", "fid", "--extractor", f"module:{uneven / 'eyes.py'}:Eyes")
    more = ("--continue_train", "--n_epochs", 2, *evaluated, "--eval_samples", 38)
    assert script(train_script, uneven, *more, name="old") == 0
    assert capsys.readouterr().err.count("began before") == 1
    assert yaml.safe_load(options.read_text())["sample_classes"] == "even"
    (record,) = (uneven / "checkpoints/old/evaluations.jsonl").read_text().splitlines()
    _, numbers = judged(uneven, name="old")
    assert json.loads(record)["values"]["FID-module"] == pytest.approx(numbers["FID-module"]["value"], rel=1e-4)


def test_what_is_drawn_follows_what_is_compared_with(tmp_path, monkeypatch, capsys):
    held = torch.tensor([0] * 9 + [2] * 3)
    real = RealImages((torch.zeros(3, 1, 2, 2), torch.arange(3)), (torch.zeros(12, 1, 2, 2), held), {})
    monkeypatch.setattr(classes, "real_images", lambda dataset, labels: real)

    def made(*words):
        asked = asked_of(Model(tmp_path, "--num_samples", 8, *words), Data())
        assert asked.real is real
        return asked.labels.bincount(minlength=len(CLASSES)).tolist()

    fid = ("--metrics", "fid", "--extractor", "inception", "--inception_weights", "x")
    assert made(*fid) == made("--label_judge", "x") == made("--sample_classes", "data") == [6, 0, 2]
    assert made() == made(*fid, "--sample_classes", "even") == [3, 3, 2]
    assert made(*fid, "--classes", f"{CLASSES[1]},{CLASSES[2]}") == [0, 0, 8]
    commas = SimpleNamespace(classes=("ab", "c, d", "e"))
    assert chosen_classes(Model(tmp_path, "--classes", "e, c, d"), commas) == [1, 2]
    real = None  # there are no data
    assert made(*fid) == [3, 3, 2] and "no data" not in capsys.readouterr().err
    assert made("--sample_classes", "data") == [3, 3, 2]
    assert capsys.readouterr().err.startswith("--sample_classes data: there are no data to follow; samples are spread")
