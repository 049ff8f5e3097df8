"""Archives that evaluate.py is given: what is odd in them is a line, before anything is computed."""

import zipfile

import numpy as np
import pytest

from evaluation.sides import Side, of_one_kind, open_side
from options import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.arange(6) % 2


def side(path, **arrays):
    np.savez(path, **arrays)
    return open_side("fake", path)


@pytest.mark.parametrize(
    "arrays, line",
    [
        ({"images": IMAGES, "labels": LABELS * 2**40}, "labels count to 1,099,511,627,776; classes are"),
        ({"images": IMAGES, "y": np.full(6, 2**64 - 1, np.uint64)}, "y has numbers of classes from 1.84"),
        ({"images": IMAGES[:, :0, :0, :0]}, "images is uint8, 6 x 0 x 0 x 0; wanted are"),
        ({"images": np.array(7, np.uint8)}, "images is uint8, ; wanted are"),
        ({"images": IMAGES, "labels": np.zeros((6, 0))}, "labels has 2 sides"),
        ({"images": IMAGES[..., :0]}, "images is uint8, 6 x 8 x 8 x 0; wanted are"),
        ({"feats": np.zeros((6, 0))}, "its feats are no finite numbers"),
        ({"feats": np.full((6, 2), 1e300)}, "its feats are no finite numbers"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"its mu \(F,\) and sigma \(F, F\) do not"),
        ({"\x1b[2Jgone\n": LABELS}, r"holds \?\[2Jgone ?; wanted are"),
    ],
)
def test_what_is_odd_in_an_archive_is_a_line(tmp_path, arrays, line, recwarn):
    with pytest.raises(UserError, match=rf"--fake .*d\.npz: {line}"):
        side(tmp_path / "d.npz", **arrays)
    assert not recwarn.list


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_damaged_within_is_a_line(tmp_path, packed):
    path = tmp_path / "d.npz"
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (400, 16, 16, 3), np.uint8))
    with zipfile.ZipFile(path, "w", packed) as file:
        file.write(tmp_path / "images.npy", "images.npy")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\xff" * 400
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"--fake .*d\.npz: its array images is damaged") as error:
        open_side("fake", path)
    assert error.value.code == 4


def test_images_of_other_channels_are_compared_as_colours_or_not_at_all(tmp_path):
    colour, grey = (
        side(tmp_path / f"{name}.npz", images=images)
        for name, images in (("colour", IMAGES), ("grey", IMAGES[..., :1]))
    )
    sides = of_one_kind({"real": colour, "fake": grey}, channels=1)
    assert np.array_equal(sides["fake"].images, IMAGES[..., :1].repeat(3, 3)) and sides["real"] is colour
    assert of_one_kind({"real": grey, "fake": grey}, channels=3)["fake"].images.shape[3] == 1
    folder = Side("real", tmp_path, files=[tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(
        UserError, match=r"--fake .*: its images have 3 channels, and folders are read in 1 \(--channels"
    ):
        of_one_kind({"fake": colour, "real": folder}, channels=1)
    with pytest.raises(UserError, match=r"two\.npz: images is of 6 x 8 x 8 x 2; wanted are"):
        side(tmp_path / "two.npz", images=IMAGES[..., :2])
