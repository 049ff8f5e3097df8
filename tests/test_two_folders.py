"""Two folders as users have them, by --A and --B: pictures of telephones, other files, a split that stays."""

import json
from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

import evaluate
import test as test_script
import train as train_script
import translate
from util.cli import run

from .conftest import SMALL

pytestmark = pytest.mark.slow


def pictures(folder, first, count, suffix):
    rng = np.random.default_rng(first)
    folder.mkdir(parents=True)
    for i in range(first, first + count):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.{suffix}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten pictures of A, five of B, and a run on them that was evaluated."""
    root = tmp_path_factory.mktemp("two")
    pictures(root / "photos", 0, 6, "PNG")
    pictures(root / "photos" / "deep", 6, 4, "AVIF")
    pictures(root / "paintings", 10, 5, "jpg")
    for name in ("photos/a.xcf", "photos/deep/b.PSD", "photos/c.mp4", "photos/.DS_Store", "photos/Thumbs.db"):
        (root / name).touch()
    evaluated = ("--eval_freq", 4, "--eval_metrics", "self_similarity", "--test_fraction", 0.3)
    assert train(root, "--A", root / "photos", "--B", root / "paintings", "--max_steps", 4, *evaluated) == 0
    return root


def train(root, *more):
    return run(lambda: train_script.main([*place(root), *SMALL, *map(str, more)]))


def place(root):
    return ["--checkpoints_dir", str(root / "ck"), "--name", "run"]


def run_test(root, tmp_path, *more):
    """How a test ends, and which files of A it read."""
    words = [*place(root), "--results_dir", str(tmp_path), "--gpu_ids", "-1", "--num_threads", "0", *map(str, more)]
    code = run(lambda: test_script.main(words))
    return code, {path.stem for path in tmp_path.rglob("images/real_A/*.png")}


def test_what_was_held_out_is_tested_and_evaluated(root, tmp_path, capsys):
    kept = json.loads((root / "ck/run/held_out.json").read_text())
    held = {PurePath(name).stem for name in kept["A"]["files"]}
    assert run_test(root, tmp_path) == (0, held) and (len(held), len(kept["B"]["files"])) == (3, 2)
    assert "--phase test: 3 of 10 of A and 2 of 5 of B" in capsys.readouterr().err
    evaluations = (root / "ck/run/evaluations.jsonl").read_text().splitlines()
    assert json.loads(evaluations[0])["entries"]["self-similarity"]["pairs"] == 3


def test_a_test_may_read_other_data(root, dataroot, tmp_path, capsys):
    code, seen = run_test(root, tmp_path / "whole", "--dataroot", dataroot)
    assert code == 0 and seen == {f"testA_{i}" for i in range(3)}
    code, seen = run_test(root, tmp_path / "other", "--A", dataroot / "testA", "--B", dataroot / "testB")
    assert code == 0 and seen == {f"testA_{i}" for i in range(3)}
    assert run_test(root, tmp_path / "none", "--dataroot", dataroot, "--A", dataroot / "testA")[0] == 2
    assert "give --B too" in capsys.readouterr().err


def test_a_run_goes_on_with_the_same_split(root, capsys):
    before = (root / "ck/run/held_out.json").read_bytes()
    pictures(root / "photos" / "later", 15, 5, "png")
    assert train(root, "--continue_train", "--max_steps", 6) == 0
    assert (root / "ck/run/held_out.json").read_bytes() == before
    assert "held out for test.py: 3 of 15 of A and 2 of 5 of B" in capsys.readouterr().err
    assert train(root, "--continue_train", "--max_steps", 8, "--A", root / "paintings") == 2
    assert "is trained on" in capsys.readouterr().err


def test_what_is_not_read_is_said_by_every_script(root, tmp_path, capsys):
    photos, useless, out = root / "photos", tmp_path / "useless", str(tmp_path / "out")
    useless.mkdir()
    (useless / "a.xcf").touch()

    def translated(folder):
        words = ["--checkpoint", str(root / "ck/run"), "--input", str(folder), "--output", out, "--gpu_ids", "-1"]
        return run(lambda: translate.main(words))

    def evaluated(folder):
        return run(lambda: evaluate.main(["--real", str(photos), "--fake", str(folder), "--metrics", "l1"]))

    calls = {
        photos: [lambda _: run_test(root, tmp_path / "results")[0], translated, evaluated],
        useless: [
            lambda folder: train(root, "--A", folder, "--B", root / "paintings", "--overwrite"),
            lambda folder: train(root, "--dataroot", folder.parent, "--overwrite"),
            lambda folder: run_test(root, tmp_path / "results", "--A", folder)[0],
            translated,
            evaluated,
        ],
    }
    for folder, what, code in (
        (photos, f"3 files of {photos} are not read: a.xcf, c.mp4, deep/b.PSD; read are avif bmp", 0),
        (useless, f"1 file of {useless} is not read: a.xcf; read are avif bmp", 2),
    ):
        for call in calls[folder]:
            assert call(folder) == code
            said = capsys.readouterr().err
            assert said.count(what) == 1, said
