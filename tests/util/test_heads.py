"""Sizes from the heads of files are those of the pictures that are read."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from util.heads import read_head
from util.listing import list_images


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("turned.jpg", np.zeros((20, 30, 3), np.uint8)),
        ("deep.tif", np.zeros((20, 30, 3), np.uint16)),
        ("pages.tif", np.zeros((2, 20, 30), np.float32)),
        ("array.npy", np.zeros((20, 30, 5))),
    ],
)
def test_a_head_tells_the_size_of_what_is_read(tmp_path, name, array):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 and array.shape[2] == 3 else "minisblack")
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(array).save(path, exif=exif)
    for page in list_images(tmp_path):
        head = read_head(page)
        assert (head.width, head.height) == ((20, 30) if name == "turned.jpg" else (30, 20))
        assert head.grey == (name == "pages.tif")
