"""Real photographs, those inside scikit-image, from files of several kinds and sizes to results of their own size."""

import pytest
from PIL import Image
from skimage import data

import test as test_script
import train as train_script

SIZES = {"wide.jpg": (150, 90), "tall.png": (70, 131), "odd.jpg": (101, 67), "square.png": (96, 96)}
PHOTOGRAPHS = {"A": ("astronaut", "coffee"), "B": ("chelsea", "rocket")}


@pytest.fixture
def photographs(tmp_path):
    """Pieces of two photographs on each side, in training and for the test."""
    for side, names in PHOTOGRAPHS.items():
        for phase, name in zip(("train", "test"), names, strict=True):
            whole = Image.fromarray(getattr(data, name)())
            folder = tmp_path / "data" / f"{phase}{side}"
            folder.mkdir(parents=True)
            for n, (file, (width, height)) in enumerate(SIZES.items()):
                whole.crop((60 + 20 * n, 40 + 10 * n, 60 + 20 * n + width, 40 + 10 * n + height)).save(folder / file)
    return tmp_path / "data"


@pytest.mark.slow
def test_photographs_are_translated_at_their_own_size(photographs, tmp_path):
    common = ["--dataroot", str(photographs), "--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "photos"]
    small = "--ngf 4 --ndf 4 --netF_nc 8 --num_patches 16 --load_size 64 --crop_size 48 --n_epochs 1 --n_epochs_decay 1"
    assert train_script.main([*common, *small.split(), "--gpu_ids", "-1", "--num_threads", "1"]) == 0
    assert test_script.main([*common, "--results_dir", str(tmp_path / "results"), "--gpu_ids", "-1"]) == 0
    made = tmp_path / "results/photos/test_latest/images"
    expected = {file.split(".")[0]: size for file, size in SIZES.items()}
    for visual in ("real_A", "fake_B", "real_B"):
        found = {path.stem: Image.open(path) for path in (made / visual).iterdir()}
        assert {stem: picture.size for stem, picture in found.items()} == expected
        assert all(low < high for picture in found.values() for low, high in picture.getextrema())  # not one colour
    with Image.open(photographs / "testA/tall.png") as source, Image.open(made / "real_A/tall.png") as shown:
        assert shown.tobytes() == source.tobytes()
