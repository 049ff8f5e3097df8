import random

import numpy as np
import pytest
import torch
from PIL import Image

from data import Loader
from data.singleimage_dataset import corners
from options import UserError

from .helpers import dataset, images
from .test_image_folder import same, stream


@pytest.fixture
def root(tmp_path):
    images(tmp_path / "trainA", "a.png", size=(120, 80))
    images(tmp_path / "trainB", "b.png", size=(100, 90), seed=1)
    return tmp_path


def ramp(folder, width, height):
    """A picture that says where its pixels were: red is the column, green the row."""
    folder.mkdir()
    y, x = np.mgrid[:height, :width]
    Image.fromarray(np.stack([x, y, 0 * x], 2).astype(np.uint8)).save(folder / "x.png")


SMALL = ("--crop_size", 16, "--batch_size", 4, "--max_dataset_size", 32)


def test_an_epoch_pretends_to_have_many_crops(root):
    data = dataset("singleimage", "--dataroot", root)
    assert len(data) == 100_000 and len(dataset("singleimage", "--dataroot", root, *SMALL)) == 32
    assert data.opt.preprocess == "zoom_and_patch" and data.opt.serial_batches
    item = dataset("singleimage", "--dataroot", root, *SMALL)[5]
    assert {k: getattr(v, "shape", v) for k, v in item.items()} == {
        "A": (3, 16, 16),
        "B": (3, 16, 16),
        "A_paths": str(root / "trainA/a.png"),
        "B_paths": str(root / "trainB/b.png"),
    }


def test_a_batch_shares_a_zoom_and_its_crops_do_not_overlap(tmp_path):
    """On a ramp the steps between pixels are the zoom's; what a crop shows of the picture is its corner and size."""
    for side in "AB":
        ramp(tmp_path / f"train{side}", 240, 200)
    data = dataset("singleimage", "--dataroot", tmp_path, *SMALL, "--no_flip")
    zooms = set()
    for batch in Loader(data, data.opt).epoch(1):
        for images_ in (batch["A"], batch["B"]):
            levels = (images_ + 1) * 127.5
            across = (levels[:, 0, :, -2] - levels[:, 0, :, 1]).mean(1) / 13
            down = (levels[:, 1, -2] - levels[:, 1, 1]).mean(1) / 13
            assert across.max() - across.min() < 0.2 and down.max() - down.min() < 0.2  # but for rounding and edges
            assert across.min() > 0.9 and across.max() < 3.2 and down.min() > 0.9 and down.max() < 3.2
            zooms.add((round(across.mean().item(), 1), round(down.mean().item(), 1)))
            spots = [(left, top) for left, top in zip(levels[:, 0, 0, 0], levels[:, 1, 0, 0], strict=True)]
            width, height = 16 * across.mean() - 2, 16 * down.mean() - 2
            for i, (x, y) in enumerate(spots):
                assert all(abs(x - u) > width or abs(y - v) > height for u, v in spots[:i])
    assert len(zooms) > 12  # 8 batches of two sides, each with its own


def test_corners_are_cells_of_one_grid_until_it_is_used_up():
    found = corners(50, 70, 16, 12, random.Random(0))
    assert len(set(found)) == 12 and len({(y % 16, x % 16) for y, x in found}) == 1
    assert all(0 <= y <= 34 and 0 <= x <= 54 for y, x in found) and found != sorted(found)
    again = corners(20, 70, 16, 9, random.Random(0))
    assert len(again) == 9 and len({(y % 16, x % 16) for y, x in again}) > 1
    assert corners(16, 16, 16, 3, random.Random(0)) == [(0, 0)] * 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_items_are_functions_of_seed_epoch_and_index(root):
    data = dataset("singleimage", "--dataroot", root, *SMALL)
    alone = stream(data, 0)
    assert same(alone, stream(data, 1)) and same(alone, stream(data, 3))
    assert not same(alone[:8], alone[8:])
    data.opt.__dict__["num_threads"] = 0
    assert same(alone[3:8], list(Loader(data, data.opt).epoch(1, start=12)))  # continued in the middle of an epoch
    data.epoch = 1
    for index in (29, 2, 17):  # in any order
        assert torch.equal(data[index]["A"], alone[index // 4]["A"][index % 4])
    assert not same(alone, stream(dataset("singleimage", "--dataroot", root, *SMALL, "--seed", 1), 0))


def test_every_process_reads_batches_of_its_own(root):
    data = dataset("singleimage", "--dataroot", root, *SMALL)
    alone = list(Loader(data, data.opt).epoch(1))
    for rank in range(2):
        mine = list(Loader(data, data.opt, rank=rank, world=2).epoch(1))
        assert same(mine, alone[rank::2])


def test_half_of_the_crops_are_mirrored(tmp_path):
    for side in "AB":
        ramp(tmp_path / f"train{side}", 200, 200)
    data = dataset("singleimage", "--dataroot", tmp_path, "--crop_size", 16, "--max_dataset_size", 200)
    mirrored = [(data[i]["A"][0, 8, 0] > data[i]["A"][0, 8, -1]).item() for i in range(200)]
    assert 75 < sum(mirrored) < 125


def test_small_pictures_are_scaled_up_to_the_crop(tmp_path):
    images(tmp_path / "trainA", "a.png", size=(9, 40))
    images(tmp_path / "trainB", "b.png", size=(5, 3))
    data = dataset("singleimage", "--dataroot", tmp_path, *SMALL)
    assert data[0]["A"].shape == data[0]["B"].shape == (3, 16, 16)


def test_a_test_is_both_pictures_whole(root):
    data = dataset("singleimage", "--dataroot", root, train=False)
    assert len(data) == 1 and data[0]["A"].shape == (3, 80, 120) and data[0]["B"].shape == (3, 90, 100)
    scaled = dataset(
        "singleimage", "--dataroot", root, "--preprocess", "scale_longside", "--load_size", 60, train=False
    )
    assert scaled[0]["A"].shape == (3, 40, 60)
    (root / "trainB").rename(root / "elsewhere")
    assert set(dataset("singleimage", "--dataroot", root, train=False)[0]) == {"A", "A_paths"}


def test_other_steps_can_be_joined(root):
    def shape(preprocess, *more):
        return dataset("singleimage", "--dataroot", root, *SMALL, "--preprocess", preprocess, *more)[0]["A"].shape

    assert shape("scale_width_and_patch", "--load_size", 60) == (3, 16, 16)
    assert shape("zoom_and_crop") == shape("crop") == (3, 16, 16)
    assert shape("none") == (3, 80, 120)
    data = dataset(
        "singleimage", "--dataroot", root, *SMALL, "--preprocess", "scale_width_and_patch", "--load_size", 60
    )
    assert data.pictures["A"].shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("files", "argv", "message"),
    (
        (["trainA/x.png", "trainA/y.png", "trainB/x.png"], (), r"one image each .* but found trainA/ \(2 images\)"),
        (["trainA/x.png"], (), r"one image each .* but found trainA/ \(1 image\)$"),
        (["trainA/x.png", "trainB/x.png"], ("--serial_batches", "false"), "--serial_batches false: .*belong together"),
        (["trainA/x.png", "trainB/x.png"], ("--preprocess", "zoom_and_pach"), "no step 'pach'; did you mean"),
    ),
)
def test_mistakes_are_named(tmp_path, files, argv, message):
    images(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        dataset("singleimage", "--dataroot", tmp_path, *argv)


def test_other_datasets_have_no_patches(root):
    with pytest.raises(UserError, match="patch needs --dataset_mode singleimage"):
        dataset("unaligned", "--dataroot", root, "--preprocess", "zoom_and_patch")
