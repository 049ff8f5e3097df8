"""Images from captions through the scripts: files with captions, what a user types, digits, the recipe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import test as test_script
import train as train_script
from models.captions.encoders import TextOptions
from networks.xmcgan import XMCGenerator
from networks.xmcgan_discriminator import XMCDiscriminator
from options import UserError
from tests.conftest import train_options
from tests.util.test_words import ROWS as SCRIPTS

TINY = (
    "--n_epochs_decay",
    0,
    "--ngf",
    8,
    "--ndf",
    8,
    "--z_dim",
    8,
    "--text_dim",
    16,
    "--text_layers",
    1,
    "--batch_size",
    8,
    "--gpu_ids",
    -1,
)
RECIPE = Path(__file__).parents[1] / "recipes/xmcgan_coco.yaml"
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}


def run(script, folder, *words):
    own = ("--checkpoints_dir", folder / "checkpoints", "--name", "run", "--gpu_ids", -1)
    return script.main([str(word) for word in (*own, *words)])


def squares(folder, count=24):
    """Pictures of a coloured square, and a table of two captions for each."""
    folder.mkdir()
    rows = ["file_name,caption"]
    random = np.random.default_rng(0)
    for i in range(count):
        name, colour = list(COLOURS.items())[i % 3]
        pixels = np.full((40, 48, 3), 250, np.uint8)
        top, left = random.integers(0, 20, 2)
        pixels[top : top + 16, left : left + 16] = colour
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        rows += [f'{i:02d}.png,"a {name} square, on white"', f"{i:02d}.png,{name} paper"]
    (folder / "captions.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    flags = ("--model", "xmcgan", "--dataroot", squares(folder / "squares"), "--n_epochs", 1, "--print_freq", 8)
    assert run(train_script, folder, *flags, *TINY) == 0
    return folder


@pytest.fixture
def trained(once, tmp_path):
    """A folder with a run that a test may spoil, and its data."""
    shutil.copytree(once / "checkpoints", tmp_path / "checkpoints")
    return tmp_path, once / "squares"


@pytest.mark.slow
def test_a_table_of_captions_is_trained_on_and_a_typed_caption_drawn(trained, capsys):
    folder, data = trained
    typed = ("--caption", 'a blue square, on "purple" <b>', "--results_dir", folder / "results")
    assert run(test_script, folder, "--dataroot", data, *typed, "--images_per_caption", 3, "--standing_steps", 1) == 0
    assert "purple" in capsys.readouterr().err  # a word that was never read
    result = folder / "results/run/captions_latest"
    made = json.loads((result / "captions.json").read_text(encoding="utf-8"))
    assert [row["caption"] for row in made] == [typed[1]] * 3
    images = np.load(result / "samples.npz")["images"]
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
    page = (result / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page and "<b>" not in page.split("<main")[1].split("a blue square")[1][:80]


def test_losses_of_a_run_stand_beside_their_levels(trained):
    folder, _ = trained
    log = (folder / "checkpoints/run/loss_log.txt").read_text(encoding="utf-8")
    assert all(term in log for term in ("D_sent", "D_word", "G_sent", "G_word", "G_img"))
    lines = (folder / "checkpoints/run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert np.isfinite([value for value in json.loads(lines[-1]).values() if value is not None]).all()


def test_the_run_is_tested_without_its_pictures(trained, capsys):
    folder, _ = trained
    flags = ("--num_samples", 4, "--standing_steps", 1, "--results_dir", folder / "results")
    assert run(test_script, folder, "--dataroot", folder / "gone", *flags) == 0
    assert "gone" in capsys.readouterr().err
    assert len(json.loads((folder / "results/run/test_latest/captions.json").read_text(encoding="utf-8"))) == 4


@pytest.mark.slow
def test_captions_in_many_scripts_are_read_by_their_words_and_by_those_of_the_run(tmp_path, capsys):
    data = squares(tmp_path / "data", len(SCRIPTS))
    rows = [f'{i:02d}.png,"{row[1]}"' for i, row in enumerate(SCRIPTS)]
    (data / "captions.csv").write_text("\n".join(("image,caption", *rows)), encoding="utf-8")
    flags = ("--model", "xmcgan", "--dataroot", data, "--n_epochs", 1, "--test_fraction", 0, "--max_words", 15)
    assert run(train_script, tmp_path, *flags, *TINY) == 0
    told, file = capsys.readouterr(), tmp_path / "checkpoints/run/vocabulary.json"
    assert f"--max_words 15: 1 of {len(SCRIPTS)} captions are longer and are cut\n" in told.out  # the Thai one has 16
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["rule"] == "UAX 29" and set(kept["words"]) == {word for row in SCRIPTS for word in row[2].split()}
    del kept["rule"]  # as a run of before has it
    file.write_text(json.dumps(kept), encoding="utf-8")
    typed = (
        "--caption",
        "红鸟",
        "--results_dir",
        tmp_path / "results",
        "--images_per_caption",
        1,
        "--standing_steps",
        1,
    )
    assert run(test_script, tmp_path, "--dataroot", data, "--phase", "all", *typed) == 0
    told = capsys.readouterr().err
    assert "this run keeps the words that it was trained with" in told
    assert "'红鸟': read as 1 word, as this run was trained; by Unicode's rules it has 2" in told


@pytest.mark.parametrize(
    ("caption", "told"),
    [("", "names nothing"), (" \t", "names nothing"), ("\u200b", "no words"), ("...", "no words")],
)
def test_a_caption_that_says_nothing_is_refused(caption, told, trained):
    folder, data = trained
    with pytest.raises(UserError, match=rf"--caption\b.*{told}"):
        run(test_script, folder, "--dataroot", data, "--caption", caption, "--results_dir", folder / "results")
    config = folder / "test.yaml"
    config.write_text(json.dumps({"caption": caption}), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        run(test_script, folder, "--dataroot", data, "--config", config, "--results_dir", folder / "results")
    assert not (folder / "results").exists()


@pytest.mark.slow
def test_a_judge_scores_what_a_trained_model_draws(trained, capsys):
    folder, data = trained
    own = ["--checkpoints_dir", folder / "checkpoints", "--name", "judge", "--gpu_ids", -1, "--dataroot", data]
    learn = ["--model", "caption_judge", "--crop_size", 32, "--njf", 4, "--n_epochs", 1, "--batch_size", 8]
    assert train_script.main([str(word) for word in (*own, *learn, "--split_seed", 3)]) == 0
    flags = ("--caption_judge", folder / "checkpoints/judge", "--num_samples", 6, "--standing_steps", 1)
    assert run(test_script, folder, "--dataroot", data, *flags, "--results_dir", folder / "results") == 0
    numbers = json.loads((folder / "results/run/test_latest/metrics.json").read_text(encoding="utf-8"))
    assert numbers["variety"]["images"] == 6 and numbers["KID-domain x 1000"]["value"] is None
    assert "the judge was trained with --split_seed 3" in capsys.readouterr().out
    pools = np.load(folder / "results/run/test_latest/r_precision_ids.npz")
    assert set(pools) == {"generated", "held-out", "training", "shuffled"}


def test_a_vocabulary_that_is_damaged_is_named(trained):
    folder, data = trained
    (folder / "checkpoints/run/vocabulary.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"vocabulary\.json") as error:
        run(test_script, folder, "--dataroot", data)
    assert error.value.code == 4


@pytest.mark.slow
def test_digits_have_captions_measured_from_their_pixels(tmp_path):
    flags = ("--model", "xmcgan", "--dataroot", "digits", "--max_dataset_size", 64, "--n_epochs", 1)
    assert run(train_script, tmp_path, *flags, *TINY) == 0
    words = json.loads((tmp_path / "checkpoints/run/vocabulary.json").read_text(encoding="utf-8"))["words"]
    assert {"seven", "bold", "leaning"} <= set(words)


def test_the_recipe_says_what_to_expect_and_can_be_read():
    """It begins with its command, which names it, and tells hours and a figure; its networks are the published ones."""
    header = [line for line in RECIPE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    command = next(line for line in header if "python train.py" in line).split()
    assert f"recipes/{RECIPE.name}" in command and "--dataroot" in command
    assert any("Expected:" in line for line in header) and any("Hours:" in line for line in header)
    opt = train_options("--config", RECIPE, *command[command.index("--dataroot") :])
    assert isinstance(opt, TextOptions) and opt.text_encoder.startswith("hf:") and opt.max_words == 17
    with torch.device("meta"):
        netG = XMCGenerator(opt.crop_size, 3, 768, opt.z_dim, opt.ngf)
        netD = XMCDiscriminator(opt.crop_size, 3, 768, opt.ndf)
    counts = [round(sum(p.numel() for p in net.parameters()) / 1e6, 1) for net in (netG, netD)]
    assert counts == [78.5, 87.9]  # of the authors' code at 128 pixels
