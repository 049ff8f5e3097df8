import numpy as np
import pytest
import torch
from PIL import Image

from options import UserError

from .helpers import dataset, images


def test_the_example_works(tmp_path):
    picture = np.full((32, 32, 3), 255, np.uint8)
    picture[:, 16:] = 0
    Image.fromarray(picture).save(tmp_path / "x.png")
    item = dataset("template", "--dataroot", tmp_path, "--outline_gain", 1.5, train=False)[0]
    assert item["A"].shape == (3, 32, 32) and item["B"].shape == (1, 32, 32)
    assert item["B"][0, 5].tolist() == pytest.approx([1.0] * 15 + [-0.5, -0.5] + [1.0] * 15)  # 1 - 2 * 1.5 * 0.5
    assert torch.equal(item["B"][0, 0], item["B"][0, 31])


def test_the_example_trains(tmp_path):
    images(tmp_path / "train", "x.png", "y.png")
    data = dataset("template", "--dataroot", tmp_path, "--load_size", 20, "--crop_size", 16)
    assert len(data) == 2 and data[1]["A"].shape == (3, 16, 16) and data[1]["B"].shape == (1, 16, 16)
    with pytest.raises(UserError, match="--dataroot"):
        dataset("template", "--dataroot", tmp_path / "nowhere")
