import numpy as np
import pytest
from PIL import Image

from options import UserError

from .helpers import dataset, grey, images

SMALL = ("--load_size", 20, "--crop_size", 16)


def test_both_halves_of_a_file_are_cropped_and_flipped_alike(tmp_path):
    half = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    (tmp_path / "train").mkdir()
    Image.fromarray(np.concatenate([half, 255 - half], axis=1)).save(tmp_path / "train" / "x.png")
    data = dataset("aligned", "--dataroot", tmp_path, *SMALL)
    for data.epoch in range(1, 9):
        item = data[0]
        assert item["A"].shape == (3, 16, 16) and item["A_paths"] == item["B_paths"]
        assert (grey(item["A"]) + grey(item["B"]) - 255).abs().max() <= 2  # two roundings of Pillow
    data = dataset("aligned", "--dataroot", tmp_path, "--preprocess", "none", "--no_flip", "--output_nc", 1)
    assert data[0]["B"].shape == (1, 32, 40)


def test_a_test_keeps_the_halves_exactly(tmp_path):
    half = np.random.default_rng(0).integers(0, 256, (31, 41, 3), dtype=np.uint8)
    (tmp_path / "test").mkdir()
    Image.fromarray(np.concatenate([half, half[::-1]], axis=1)).save(tmp_path / "test" / "x.png")
    item = dataset("aligned", "--dataroot", tmp_path, train=False)[0]
    assert (grey(item["A"]).permute(1, 2, 0).numpy() == half).all()
    assert (grey(item["B"]).permute(1, 2, 0).numpy() == half[::-1]).all()


def test_two_folders_are_matched_by_name(tmp_path, capsys):
    images(tmp_path / "trainA", "x.png", "deep/y.png", "lonely.png")
    images(tmp_path / "trainB", "x.jpg", "deep/y.png", "other.png")
    data = dataset("aligned", "--dataroot", tmp_path, *SMALL)
    assert [data[i]["B_paths"].rsplit("/", 1)[1] for i in range(len(data))] == ["y.png", "x.jpg"]
    assert "2 files of trainA and trainB without a partner are left out: lonely, other" in capsys.readouterr().err
    (tmp_path / "trainA").rename(tmp_path / "testA")
    (tmp_path / "trainB").rename(tmp_path / "testB")
    data = dataset("aligned", "--dataroot", tmp_path, train=False)
    assert [sorted(set(data[i]) & {"A", "B"}) for i in range(len(data))] == [["A", "B"], ["A", "B"], ["A"], ["B"]]


def test_what_is_not_a_pair_is_named(tmp_path):
    images(tmp_path / "train", "odd.png", size=(41, 20))
    with pytest.raises(UserError, match=r"odd\.png: 41 pixels wide"):
        dataset("aligned", "--dataroot", tmp_path)[0]
    images(tmp_path / "valA", "x.png", size=(40, 30))
    images(tmp_path / "valB", "x.png", size=(20, 30))
    data = dataset("aligned", "--dataroot", tmp_path, "--phase", "val", train=False)
    with pytest.raises(UserError, match=r"valB/x\.png: 20x30 pixels, but .*valA/x\.png has 40x30"):
        data[0]
    images(tmp_path / "valA", "x.jpg")
    with pytest.raises(UserError, match="have the same name"):
        dataset("aligned", "--dataroot", tmp_path, "--phase", "val", train=False)


def test_unpaired_data_are_told_apart(tmp_path):
    images(tmp_path / "trainA", "a.png")
    images(tmp_path / "trainB", "b.png")
    with pytest.raises(UserError, match=r"expected train/ with A and B side by side.*--dataset_mode unaligned"):
        dataset("aligned", "--dataroot", tmp_path)
