"""Names of pictures and runs that a terminal, a page or a spreadsheet would obey reach none of them as such."""

import csv
import io
import json
import os
import re
import shutil
import sys
import unicodedata

import numpy as np
import pytest
import yaml
from PIL import Image

import compare
import evaluate
import runs as runs_script
import test as testing
import train
import translate
from options import UserError
from options.shown import JOINERS, cell, shortened, shown, visible
from util.cli import run
from util.picture_files import ResultNames

NAMES = (
    "\x1b[31mred",
    "a\u202egnp",
    "two\nlines: done",
    "=cmd()",
    "<script>alert(1)<script>",
    "n" * 250,
    os.fsdecode(b"caf\xe9"),
    "-5+1",
    "cr\rback",
)
TINY = ("--ngf", "4", "--ndf", "4", "--netG", "resnet_6blocks", "--netF_nc", "8", "--num_patches", "8",
        "--load_size", "16", "--crop_size", "16", "--netD", "pixel", "--max_steps", "2",
        "--print_freq", "1", "--num_threads", "0", "--gpu_ids", "-1", "--on_bad_image", "skip")  # fmt: skip


def harmless(text):
    """Nothing but letters, and ends of lines."""
    return all(letter in "\n\t\r" or letter in JOINERS or unicodedata.category(letter)[0] != "C" for letter in text)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Pictures with such names, and what a training on them printed and left."""
    root = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    for side in ("trainA", "trainB", "testA", "testB"):
        (root / "data" / side).mkdir(parents=True)
        for name in NAMES:
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(root / "data" / side / f"{name}.png")
        (root / "data" / side / "bad\x1b[2J\n.png").write_bytes(b"junk")
    words = (
        "--model",
        "cut",
        "--dataroot",
        str(root / "data"),
        "--name",
        "run",
        "--checkpoints_dir",
        str(root / "runs"),
    )
    return root, [*words, *TINY]


@pytest.mark.slow
def test_names_of_pictures_are_shown_harmless(lab, tmp_path, monkeypatch, capsys):
    root, words = lab
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(lambda: train.main(words)) == 0
    said = capsys.readouterr()
    assert harmless(said.out + said.err) and "skipped: " in said.err and "bad?[2J" in said.err
    runs = root / "runs"
    assert harmless((runs / "run/loss_log.txt").read_text()) and harmless((runs / "run/web/index.html").read_text())

    results = ["--name", "run", "--checkpoints_dir", str(runs), "--results_dir", str(tmp_path / "results")]
    assert testing.main([*results, "--num_test", "all", "--gpu_ids", "-1", "--on_bad_image", "skip"]) == 0
    page = tmp_path / "results/run/test_latest"
    assert harmless((page / "index.html").read_text()) and "<script>alert" not in (page / "index.html").read_text()
    made = sorted(path.name for path in (page / "images/fake_B").iterdir())
    assert len(made) == len(NAMES) and max(len(os.fsencode(name)) for name in made) < 256

    out = tmp_path / "out"
    asked = ["--checkpoint", str(runs / "run"), "--input", str(root / "data/testA"), "--output", f"{out}/"]
    assert translate.main([*asked, "--gpu_ids", "-1", "--on_bad_image", "skip"]) in (0, None)
    assert sorted(path.name for path in out.iterdir()) == made
    assert harmless(capsys.readouterr().out.replace(str(root), ""))


@pytest.mark.slow
def test_names_of_runs_are_shown_harmless(lab, tmp_path, capsys):
    root, words = lab
    if not (root / "runs/run/train_opt.yaml").is_file():
        train.main(words)
    runs = []
    for seed, name in enumerate(("plain", "=cmd()\x1b[31m", "evil\nname", os.fsdecode(b"caf\xe9"))):
        runs.append(shutil.copytree(root / "runs/run", tmp_path / name))
        options = yaml.safe_load((runs[-1] / "train_opt.yaml").read_text())
        (runs[-1] / "train_opt.yaml").write_text(yaml.safe_dump(options | {"seed": seed}))
    assert compare.main([*map(str, runs), "--experiments_dir", str(tmp_path / "cmp")]) in (0, None)
    (folder,) = (tmp_path / "cmp").iterdir()
    for name in ("index.html", "comparison.csv", "comparison.tex"):
        assert harmless((folder / name).read_text())
    rows = list(csv.reader(io.StringIO((folder / "comparison.csv").read_text())))
    assert {row[2] for row in rows[1:]} == {"plain", "'=cmd()?[31m", "evil?name", "caf?"}
    capsys.readouterr()
    assert runs_script.main(["--checkpoints_dir", str(tmp_path), "--output", str(tmp_path / "runs.html")]) == 0
    assert harmless(capsys.readouterr().out) and harmless((tmp_path / "runs.html").read_text())
    assert all(float(value) is not None for row in rows[1:] for value in row[6:] if value)  # numbers stay numbers
    assert len({len(row) for row in rows}) == 1


@pytest.mark.slow
def test_names_of_classes_are_shown_harmless(tmp_path, monkeypatch, capsys):
    """Out of an archive, where they may be anything: parts of a path, lines, bytes that are no UTF-8, nothing."""
    names = np.array(["../../up", "two\nlines: done", "\x1b[31mred", os.fsdecode(b"caf\xe9"), "=cmd()", ""])
    images = np.random.default_rng(0).integers(0, 255, (24, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(24) % 6, classes=names)
    words = ["--name", "run", "--checkpoints_dir", str(tmp_path / "runs"), "--gpu_ids", "-1"]
    tiny = ["--ngf", "4", "--ndf", "4", "--crop_size", "32", "--batch_size", "4", "--num_threads", "0"]
    data = ["--dataroot", str(tmp_path / "d.npz"), "--test_fraction", "0.6"]
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(lambda: train.main([*words, *tiny, *data, "--model", "biggan", "--max_steps", "1"])) == 0
    assert json.loads((tmp_path / "runs/run/classes.json").read_text())["classes"] == names.tolist()
    assert run(lambda: testing.main([*words, "--results_dir", str(tmp_path / "results"), "--num_samples", "6"])) == 0
    said = capsys.readouterr()
    assert harmless(said.out + said.err) and "\nlines: done" not in said.out + said.err
    results = tmp_path / "results/run/test_latest"
    assert harmless((results / "index.html").read_text()) and len(list((results / "samples").iterdir())) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npz", "results", "runs"]


def test_evaluate_names_what_it_lacks(tmp_path, monkeypatch, capsys):
    for side, names in (("real", NAMES), ("fake", NAMES[3:])):
        (tmp_path / side).mkdir()
        for name in names:
            Image.new("RGB", (8, 8)).save(tmp_path / side / f"{name}.png")
    words = ["--real", str(tmp_path / "real"), "--fake", str(tmp_path / "fake"), "--metrics", "l1", "--gpu_ids", "-1"]
    monkeypatch.setattr(sys, "argv", ["evaluate.py"])
    assert run(lambda: evaluate.main(words)) == 2
    *notes, line = capsys.readouterr().err.splitlines()
    assert (
        all(map(harmless, [*notes, line]))
        and line.startswith("evaluate.py: --fake")
        and "lacks 3 of 9 names" in line
        and "?[31mred" in line
    )
    for name in NAMES[:3]:
        Image.new("RGB", (8, 8)).save(tmp_path / "fake" / f"{name}.png")
    assert run(lambda: evaluate.main([*words, "--output", str(tmp_path / "o.json")])) == 0
    assert json.loads((tmp_path / "o.json").read_text())["L1"]["value"] == 0


def test_a_stream_obeys_nothing(monkeypatch, capsys):
    def main():
        print("a\x1b]0;title\x07b\u202ec\udce9 \u6c38\u200d\nd\te")
        print("half a line\rwhole line\x9b31m", file=sys.stderr)

    before = sys.stdout
    assert run(main) == 0 and sys.stdout is before
    said = capsys.readouterr()
    assert said.out == "a?]0;title?b?c? \u6c38\u200d\nd\te\n" and said.err == "half a line\rwhole line?31m\n"


def test_errors_are_one_line_that_fits():
    error = UserError(f"--name {'x' * 5000}: no such\x1b[2J\nrun \u2028at all")
    assert harmless(str(error)) and len(str(error)) < 300 and str(error).endswith("no such?[2J run at all")
    many = UserError("a word " * 5000)
    assert len(str(many)) < 2100 and str(many).endswith(" ...")
    assert shortened("as it is") == "as it is"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'?x"), ("\uff1d1", "'\uff1d1"),
        ("FID", "FID"), ("a=b", "a=b"), ("", ""), ("x\ny", "x?y"),
    ],
)  # fmt: skip
def test_a_cell_is_no_formula(text, safe):
    assert cell(text) == safe


def test_text_is_kept_where_it_is_harmless():
    for text in ("\u6c38 \U0001f436 e\u0301 \u05d0\u05d1", "a\u200db"):
        assert shown(text) == visible(text) == text
    assert visible("a\n\tb\x00") == "a\n\tb?" and shown("a\n\tb\x00") == "a??b?"


def test_results_have_names_that_a_file_can_have():
    names = ResultNames()
    made = [names(f"/data/{name}.png") for name in (*NAMES, "n" * 250 + "m", "a_gnp")]
    assert len({name.casefold() for name in made}) == len(made)
    assert all(len(os.fsencode(name)) <= 200 and not re.search(r"[\x00-\x1f\u202e]", name) for name in made)
    assert made[0] == "_[31mred" and made[3] == "=cmd()" and made[6] == os.fsdecode(b"caf\xe9")
