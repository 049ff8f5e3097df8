"""Values that test.py gives: of the images that it saved, against the real ones, whatever the model."""

import hashlib
import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance

import test as test_script
import train as train_script
from data.loading.rows import TestSet
from evaluation.diversity import Diversity
from evaluation.testing import Evaluation
from options import UserError
from tests.conftest import SMALL, small_argv, test_options
from util.images import read_pixels
from util.pages.files import ResultFiles, note_checkpoint

EYES = """
import torch

class Eyes(torch.nn.Module):
    '''Means of the channels and how much they vary: six features.'''

    def forward(self, levels):
        pixels = levels.float().flatten(2) / 255
        return torch.cat([pixels.mean(2), pixels.std(2)], 1)
"""


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "eyes.py"
    path.write_text(EYES)
    return f"module:{path}:Eyes"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """As dataroot, with enough pictures for distances of sets: 13 of training and 12 or 11 of the test a side."""
    root, random = tmp_path_factory.mktemp("gallery"), np.random.default_rng(1)
    for folder, count in (("trainA", 13), ("trainB", 13), ("testA", 12), ("testB", 11)):
        (root / folder).mkdir()
        for i in range(count):
            pixels = random.integers(0, 100 + 10 * i, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{folder}_{i}.png")
    return root


def six_features(files):
    pixels = torch.stack([torch.from_numpy(read_pixels(file, 3)).double().flatten(0, 1) / 255 for file in files])
    return torch.cat([pixels.mean(1), pixels.std(1)], 1)  # (N, 6)


def published_fid(real, fake):
    class Given(torch.nn.Module):
        num_features = 6

        def forward(self, features):
            return features

    metric = FrechetInceptionDistance(Given()).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute().item()


def run_test(run_folder, *more):
    argv = ["--checkpoints_dir", run_folder / "checkpoints", "--results_dir", run_folder / "results", "--name", "run"]
    argv += ["--gpu_ids", -1, "--num_threads", 0, *more]
    assert test_script.main([str(a) for a in argv]) == 0
    folder = run_folder / "results/run/test_latest"
    return folder, json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def trained(whole, tmp_path):
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    return tmp_path


@pytest.mark.slow
def test_fid_is_of_all_images_that_were_saved_and_all_real_ones(trained, gallery, eyes, capsys):
    more = ("--extractor", eyes, "--num_test", "all", "--dataroot", gallery)
    folder, kept = run_test(trained, "--metrics", "fid,kid", *more)
    fake = six_features(sorted((folder / "images/fake_B").iterdir()))
    real = six_features(sorted((gallery / "testB").iterdir()))
    assert (len(fake), len(real)) == (12, 11)
    entry = kept["FID-module"]
    assert entry["value"] == pytest.approx(published_fid(real, fake), rel=1e-3)
    assert (entry["images"], entry["reference"], entry["comparable"]) == (12, 11, False)
    twelves = itertools.combinations(sorted((gallery / "trainB").iterdir()), 12)
    others = [published_fid(real, six_features(files)) for files in twelves]
    floor = entry["floors"]["real training images"]["value"]
    assert min(abs(floor / other - 1) for other in others) < 1e-3  # some twelve of the training images
    out = capsys.readouterr().out
    assert "FID-module: " in out and "12 images against 11" in out and "not comparable with published FID" in out
    page = (folder / "index.html").read_text()
    assert "FID-module" in page and "training images" in page


@pytest.mark.slow
def test_both_sides_of_a_two_sided_method_are_compared(dataroot, gallery, tmp_path, eyes):
    small = small_argv(dataroot, tmp_path, "--model", "cycle_gan", "--n_epochs", 1, "--n_epochs_decay", 0)
    drop = {"--netF_nc", "--num_patches"}
    argv = [w for k, w in enumerate(small) if w not in drop and (k == 0 or small[k - 1] not in drop)]
    assert train_script.main(argv) == 0
    folder, kept = run_test(
        tmp_path, "--metrics", "fid", "--extractor", eyes, "--num_test", "all", "--dataroot", gallery
    )
    fake, real = (six_features(sorted(f.iterdir())) for f in (folder / "images/fake_A", gallery / "testA"))
    assert kept["FID-module of A"]["value"] == pytest.approx(published_fid(real, fake), rel=1e-3)
    assert (kept["FID-module"]["reference"], kept["FID-module of A"]["reference"]) == (11, 12)


def test_structure_needs_no_targets_and_pairs_do(trained, capsys):
    _, kept = run_test(trained, "--metrics", "self_similarity", "--num_test", "all")
    version, name = kept
    assert version == "version" and kept[name]["value"] > 0
    assert kept[name]["floors"]["the source, copied"]["value"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match=r"--metrics l1: --dataset_mode unaligned has no true targets"):
        run_test(trained, "--metrics", "self_similarity,l1")


def test_what_is_missing_is_said_before_anything_is_computed(trained, dataroot, eyes, tmp_path):
    with pytest.raises(UserError, match=r"no --extractor"):
        run_test(trained, "--metrics", "fid")
    with pytest.raises(UserError, match=r"r_precision: is computed .* --caption_judge"):
        run_test(trained, "--metrics", "r_precision")
    (tmp_path / "half").mkdir()
    shutil.copytree(dataroot / "testA", tmp_path / "half/testA")
    for mode in ("unaligned", "single"):
        with pytest.raises(UserError, match=r"--metrics fid: there are no real images in .*half"):
            more = ("--dataset_mode", mode, "--dataroot", tmp_path / "half")
            run_test(trained, "--metrics", "fid", "--extractor", eyes, *more)
    assert not (trained / "results").exists()


def test_pages_are_written_before_an_error_of_a_metric(trained, eyes, monkeypatch):
    def fail(self, training_items):
        raise UserError("no value")

    monkeypatch.setattr(Evaluation, "compute", fail)
    with pytest.raises(UserError, match="no value"):
        run_test(trained, "--metrics", "fid", "--extractor", eyes)
    assert "fake_B" in (trained / "results/run/test_latest/index.html").read_text()


def test_results_say_which_checkpoint_they_are_of(trained):
    folder, _ = run_test(trained, "--metrics", "self_similarity")
    manifest = (trained / "checkpoints/run/latest.manifest.json").read_text()
    told = json.loads(manifest)
    assert json.loads((folder / "checkpoint.json").read_text()) == {
        **{"checkpoint": "latest", "step": told["step"], "epoch": told["epoch"]},
        "sha256": hashlib.sha256(manifest.encode()).hexdigest(),
    }
    assert '"checkpoint.json"' in (folder / ".files").read_text()
    files = ResultFiles(folder)
    note_checkpoint(files, trained / "checkpoints/run", "7")
    nothing = {"checkpoint": "7", "step": None, "epoch": None, "sha256": None}
    assert json.loads((folder / "checkpoint.json").read_text()) == nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("--model", "label_judge", "--dataroot", "digits", "--metrics", "fid"), "--metrics fid: --model label_judge"),
        (("--model", "contragan", "--dataroot", "digits", "--recogniser", "x"), "--recogniser x: --model contragan"),
        (("--model", "zi2zi", "--dataset_mode", "font", "--text", "a", "--metrics", "l1,iou"), "--metrics l1,iou: "),
    ],
)
def test_what_a_task_does_not_judge_is_refused(words, flags, tmp_path):
    (tmp_path / "run").mkdir()
    argv = [*words, "--checkpoints_dir", tmp_path, "--name", "run", "--gpu_ids", -1]
    with pytest.raises(UserError, match=rf"{flags}.*; leave it out"):
        test_script.main([str(a) for a in argv])


def test_without_training_images_halves_of_the_real_ones_are_the_floor(trained, gallery, eyes, tmp_path):
    shutil.copytree(gallery, tmp_path / "data")
    for side in "AB":
        shutil.rmtree(tmp_path / f"data/train{side}")
    shutil.copytree(tmp_path / "data/testA", tmp_path / "data/testB", dirs_exist_ok=True)
    _, kept = run_test(trained, "--metrics", "fid", "--extractor", eyes, "--dataroot", tmp_path / "data")
    entry = kept["FID-module"]  # all of B count, whether an A is beside them or not
    assert (entry["images"], entry["reference"]) == (12, 23)
    assert entry["floors"]["real images, one half against the other"]["value"] > 0


def test_images_from_noise_have_no_pairs(tmp_path):
    opt = test_options("--model", "contragan", "--dataroot", "digits", "--metrics", "self_similarity", "--name", "x")
    with pytest.raises(UserError, match=r"self_similarity: compares image with image, and --model contragan"):
        Evaluation(opt, TestSet(opt, lambda x: x).dataset, "cpu", translates=False)


def test_training_items_are_those_of_the_side_and_read_as_in_a_test(dataroot):
    opt = test_options("--dataroot", dataroot, "--num_threads", 0, "--name", "x", *SMALL[8:12], "--gpu_ids", -1)
    items = list(TestSet(opt, lambda x: x).training_items("B", 4))
    paths = [item["B_paths"] for item in items]
    assert len(set(paths)) == 4 and all("trainB" in path for path in paths)
    again = [item["B_paths"] for item in TestSet(opt, lambda x: x).training_items("B", 4)]
    assert again == paths and len(list(TestSet(opt, lambda x: x).training_items("B", 99))) == 5


def test_diversity_is_low_where_outputs_are_alike():
    random = torch.Generator().manual_seed(0)
    real = torch.rand(8, 3, 32, 32, generator=random) * 2 - 1
    diversity = Diversity()
    diversity.add("real", real)
    assert diversity.ratio() is None
    diversity.add("fake", real[:4])
    assert diversity.ratio() == pytest.approx(1, rel=0.2)
    alike = Diversity()
    alike.add("real", real)
    alike.add("fake", real[:1] + 0.01 * real)
    assert alike.ratio() == pytest.approx(0.01, rel=0.01)
    constant = Diversity()
    constant.add("real", torch.zeros(3, 1, 16, 16))
    constant.add("fake", real)
    assert constant.ratio() is None


def test_diversity_is_of_all_images_however_they_come():
    """A stream of alike images, then one of different ones: both count, in proportion, and batches do not matter."""
    random = torch.Generator().manual_seed(0)
    late = torch.rand(600, 1, 16, 16, generator=random) * 2 - 1
    images = torch.cat([torch.zeros(600, 1, 16, 16), late])
    ratios = []
    for size in (1200, 7):
        diversity = Diversity()
        for part in images.split(size):
            diversity.add("fake", part)
            diversity.add("real", part.flip(3))
        ratios.append(diversity.ratio())
        kept = [row for _, row in diversity.thumbnails["fake"]]
        assert len(kept) == 256 and 90 < sum(bool(row.any()) for row in kept) < 166
    assert ratios[0] == ratios[1] == pytest.approx(1)
