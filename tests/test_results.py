"""test.py from the command line: names, sizes, sides, pages, metrics, and plugins from end to end."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import test as test_script
import train as train_script
import translate as translate_script
from options import UserError
from tests.browser import chromium
from tests.conftest import EVERY_STEP, records, small_argv


def results(folder, *more):
    argv = [
        "--checkpoints_dir",
        folder / "checkpoints",
        "--name",
        "run",
        "--results_dir",
        folder / "results",
        "--gpu_ids",
        -1,
        "--num_threads",
        0,
        *more,
    ]
    assert test_script.main([str(a) for a in argv]) == 0
    return folder / "results/run/test_latest"


def test_results_are_named_after_their_own_source_and_nothing_is_lost(whole, capsys):
    page = results(whole)
    assert {p.name: sorted(f.name for f in p.iterdir()) for p in (page / "images").iterdir()} == {
        "real_A": [f"testA_{i}.png" for i in range(3)],
        "fake_B": [f"testA_{i}.png" for i in range(3)],
        "real_B": [f"testB_{i}.png" for i in range(2)],
    }
    html = (page / "index.html").read_text()
    links = set(re.findall(r'src="(images/[^"]+)"', html))
    assert (
        len(links) == 8
        and all((page / link).is_file() for link in links)
        and "http" not in html.replace("http-equiv", "")
    )
    assert "Experiment = run, Phase = test, Epoch = latest" in html


def test_a_batch_gives_the_images_of_one_by_one(whole):
    page = results(whole, "--results_dir", whole / "one")
    page = whole / "one/run/test_latest"
    results(whole, "--results_dir", whole / "three", "--batch_size", 3)
    for path in (page / "images").rglob("*.png"):
        other = whole / "three/run/test_latest" / path.relative_to(page)
        difference = np.asarray(Image.open(path), int) - np.asarray(Image.open(other), int)
        assert np.abs(difference).max() <= 1


def test_any_size_comes_out_as_it_went_in_and_one_side_is_enough(whole, tmp_path):
    sizes = {"wide": (61, 33), "tall": (30, 47), "even": (32, 32), "tiny": (3, 2)}
    (tmp_path / "data/testA").mkdir(parents=True)
    for name, size in sizes.items():
        Image.new("RGB", size, (200, 30, 90)).save(tmp_path / f"data/testA/{name}.png")
    results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path, "--batch_size", 4)
    made = tmp_path / "run/test_latest/images"
    assert {p.stem: Image.open(p).size for p in (made / "fake_B").iterdir()} == sizes
    assert not (made / "real_B").exists()
    (tmp_path / "data/testA").rename(tmp_path / "data/testB")
    with pytest.raises(UserError, match=r"missing in .*data, testA; --dataset_mode single reads any folder"):
        results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="--direction BtoA: the run run translates AtoB alone"):
        results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path / "none", "--direction", "BtoA")
    words = ("--dataset_mode", "single", "--results_dir", tmp_path / "other")
    results(whole, "--dataroot", tmp_path / "data/testB", *words)


@pytest.mark.slow
def test_a_direction_is_what_it_is_in_translate(dataroot, tmp_path, capsys):
    """A run that translates both ways, with grey A and coloured B: --direction takes the other generator."""
    words = small_argv(dataroot, tmp_path, "--model", "cycle_gan", "--lambda_identity", 0)
    words = [w for w in words if w not in ("--netF_nc", "8", "--num_patches", "16")]
    words += ["--input_nc", "1", "--max_steps", "2", "--ema_decay", "0.5"]
    assert train_script.main(words) == 0
    both = results(tmp_path, "--dataroot", dataroot)
    results(tmp_path, "--dataroot", dataroot, "--direction", "BtoA", "--results_dir", tmp_path / "back")
    back = tmp_path / "back/run/test_latest"
    pairs = {"real_A": "real_B", "fake_B": "fake_A", "rec_A": "rec_B", "real_B": "real_A", "fake_A": "fake_B"}
    for name, source in pairs.items():
        files = sorted(p.name for p in (both / "images" / source).iterdir())
        assert files and files == sorted(p.name for p in (back / "images" / name).iterdir())
        for file in files:
            one, other = (Image.open(p) for p in (both / "images" / source / file, back / "images" / name / file))
            assert one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other)), (name, file)
    assert Image.open(back / "images/fake_B/testB_0.png").mode == "L"
    single = ["--dataroot", dataroot / "testB", "--dataset_mode", "single", "--results_dir", tmp_path / "single"]
    results(tmp_path, *single, "--direction", "BtoA")
    for file in (back / "images/fake_B").iterdir():
        assert file.read_bytes() == (tmp_path / "single/run/test_latest/images/fake_B" / file.name).read_bytes()
        translated = tmp_path / "translated.png"
        told = ["--checkpoint", tmp_path / "checkpoints/run", "--input", dataroot / "testB" / file.name, "--overwrite"]
        told += ["--output", translated, "--direction", "BtoA", "--gpu_ids", -1]
        assert translate_script.main([str(w) for w in told]) == 0
        difference = np.asarray(Image.open(translated), int) - np.asarray(Image.open(file), int)
        assert np.abs(difference).max() <= 1
    with pytest.raises(UserError, match="--direction BtoA: the run run is trained AtoB; leave the flag out"):
        train_script.main([*words, "--continue_train", "--direction", "BtoA"])


def test_published_weights_take_the_direction_as_upstream(whole, dataroot, tmp_path):
    """Without options beside them, as published, B is fed to the one generator that there is."""
    run = tmp_path / "checkpoints/run"
    run.mkdir(parents=True)
    shutil.copy(whole / "checkpoints/run/latest_net_G.pth", run)
    turned = results(tmp_path, "--dataroot", dataroot, "--direction", "BtoA")
    assert sorted(p.name for p in (turned / "images/fake_B").iterdir()) == ["testB_0.png", "testB_1.png"]


def test_averaged_weights_are_used_where_there_are_any(whole, tmp_path):
    raw, averaged = (
        results(whole, "--results_dir", tmp_path / n, "--use_ema", n) and tmp_path / n / "run/test_latest"
        for n in ("false", "true")
    )
    pairs = [
        (np.asarray(Image.open(p)), np.asarray(Image.open(averaged / p.relative_to(raw))))
        for p in (raw / "images/fake_B").iterdir()
    ]
    assert any((a != b).any() for a, b in pairs)


def test_testing_needs_a_checkpoint(dataroot, tmp_path):
    with pytest.raises(UserError, match="no checkpoint") as error:
        results(tmp_path, "--dataroot", dataroot)
    assert error.value.code == 4 and not (tmp_path / "results").exists()


@pytest.mark.slow
def test_one_channel_from_end_to_end_on_glyphs(tmp_path):
    argv = (
        "--dataset_mode",
        "font",
        "--charset",
        "ascii",
        "--test_fraction",
        0.2,
        "--n_epochs",
        1,
        "--n_epochs_decay",
        0,
        "--max_dataset_size",
        8,
    )
    words = small_argv("placeholder", tmp_path, *argv)
    at = words.index("--load_size")
    train_script.main(words[:at] + words[at + 2 :])
    page = results(tmp_path, "--num_test", "all", "--metrics", "l1")
    scores = json.loads((page / "metrics.json").read_text())["L1"]
    assert (
        0 < scores["floors"]["the source, copied"]["value"] < 0.3 and 0 <= scores["value"] <= 1 and scores["pairs"] > 10
    )
    assert all(Image.open(p).mode == "L" for p in (page / "images/fake_B").iterdir())
    trained = json.loads((tmp_path / "checkpoints/run/split.json").read_text())
    assert trained
    with pytest.raises(UserError, match=r"no metric named 'l2'.*known: .*l1"):
        results(tmp_path, "--metrics", "l2")


def test_metrics_need_true_targets(whole):
    with pytest.raises(UserError, match="no true targets"):
        results(whole, "--metrics", "l1")


@pytest.mark.slow
def test_the_templates_train(dataroot, tmp_path):
    argv = [
        "--model",
        "template",
        "--dataroot",
        dataroot / "trainA",
        "--checkpoints_dir",
        tmp_path / "checkpoints",
        "--name",
        "run",
        "--crop_size",
        32,
        "--load_size",
        36,
        "--ndf",
        4,
        "--netD",
        "n_layers",
        "--n_layers_D",
        2,
        "--gpu_ids",
        -1,
        "--num_threads",
        0,
        "--n_epochs",
        40,
        "--n_epochs_decay",
        0,
        "--print_freq",
        7,
        "--lr",
        0.003,
        "--lambda_L1",
        100,
    ]
    train_script.main([str(a) for a in argv])
    losses = [r["L1"] for r in records(tmp_path)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])
    page = results(tmp_path, "--num_test", "all", "--metrics", "l1")
    assert (page / "images/fake_B").is_dir()


PLUGIN = """
from dataclasses import dataclass
from torch import nn
from models import BaseModel
from options import option

class OutsideModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        section = "outside"
        depth: int = option(2, "layers of the network", least=1)

    visual_names = ("real_A", "fake_B")

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(opt.depth)])
        if opt.is_train:
            self.add_optimizer("G", self.netG)

    def set_input(self, batch):
        self.real_A, self.real_B, self.image_paths = batch["A"], batch.get("B"), {"A": batch["A_paths"]}

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.update("G", lambda: {"L2": (self.fake_B - self.real_B).square().mean()})
"""


@pytest.mark.slow
def test_a_plugin_from_outside_the_tree(dataroot, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/outside_model.py").write_text(PLUGIN)
    argv = [
        "--model",
        "outside",
        "--plugin_dir",
        tmp_path / "plugins",
        "--depth",
        3,
        "--dataroot",
        dataroot,
        "--checkpoints_dir",
        tmp_path / "checkpoints",
        "--name",
        "run",
        "--crop_size",
        32,
        "--load_size",
        32,
        "--gpu_ids",
        -1,
        "--num_threads",
        1,
        "--n_epochs",
        1,
        "--n_epochs_decay",
        1,
    ]
    assert train_script.main([str(a) for a in argv]) == 0
    page = results(tmp_path, "--plugin_dir", tmp_path / "plugins")
    assert len(list((page / "images/fake_B").iterdir())) == 3
    with pytest.raises(UserError, match="no model named 'outside'"):  # a run's own files never name code to run
        results(tmp_path)


@pytest.mark.slow
def test_the_pages_of_a_run_open_in_a_browser(whole):
    """The scripts of the pages run, every image loads, and nothing is asked for but the pages' own files."""
    results(whole)
    with chromium() as browser:
        for page, images in ((whole / "checkpoints/run/web", 12), (whole / "results/run/test_latest", 8)):
            browser.open(page / "index.html")
            assert browser.run("document.querySelectorAll('figure img').length") == images
            assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(page) == []
    html = (whole / "checkpoints/run/web/index.html").read_text()
    assert "finished" in html and "NCE_Y" in html


@pytest.mark.slow
def test_a_page_is_whole_while_its_run_is_alive(dataroot, tmp_path, monkeypatch):
    from util.visualizer import Visualizer

    page, seen = tmp_path / "checkpoints/run/web/index.html", []
    display = Visualizer.display_current_results

    def looking(self, *args, **kwargs):
        display(self, *args, **kwargs)
        seen.append(page.read_text())

    monkeypatch.setattr(Visualizer, "display_current_results", looking)
    train_script.main(small_argv(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, *EVERY_STEP))
    assert len(seen) > 3 and all(text.rstrip().endswith("</html>") and "running" in text for text in seen)
    assert "finished" in page.read_text()
