import pytest

from data import Loader
from options import UserError

from .helpers import dataset, images


def test_every_image_below_the_root(tmp_path):
    images(tmp_path, "b.png", "deep/a.jpg", size=(41, 27))
    data = dataset("single", "--dataroot", tmp_path, train=False)
    assert len(data) == 2 and set(data[0]) == {"A", "A_paths"} and data[1]["A"].shape == (3, 27, 41)
    data = dataset("single", "--dataroot", tmp_path / "b.png", train=False)
    assert len(data) == 1 and data[0]["A_paths"] == str(tmp_path / "b.png")
    images(tmp_path / "testA", "x.png")
    assert len(dataset("single", "--dataroot", tmp_path, train=False)) == 1


def test_the_images_are_the_input_in_either_direction(tmp_path):
    images(tmp_path, "x.png")
    for direction in ("AtoB", "BtoA"):
        data = dataset("single", "--dataroot", tmp_path, "--direction", direction, "--input_nc", 1, train=False)
        batch = next(iter(Loader(data, data.opt).epoch()))
        assert set(batch) == {"A", "A_paths"} and batch["A"].shape == (1, 1, 30, 40)


def test_one_side_cannot_be_trained_on(tmp_path):
    images(tmp_path, "x.png")
    with pytest.raises(UserError, match="one side only"):
        dataset("single", "--dataroot", tmp_path)
    (tmp_path / "x.png").unlink()
    with pytest.raises(UserError, match="expected images below it, but it is empty"):
        dataset("single", "--dataroot", tmp_path, train=False)
