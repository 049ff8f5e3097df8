import pytest
import torch
from PIL import Image

from data import Loader
from options import UserError

from .helpers import dataset, images


@pytest.fixture
def root(tmp_path):
    images(tmp_path / "trainA", *(f"{i}.png" for i in range(5)))
    images(tmp_path / "trainB", *(f"{i}.jpg" for i in range(3)), seed=1)
    return tmp_path


SMALL = ("--load_size", 20, "--crop_size", 16)


def stream(data, workers, epochs=(1, 2)):
    object.__setattr__(data.opt, "num_threads", workers)
    loader = Loader(data, data.opt)
    return [batch for number in epochs for batch in loader.epoch(number)]


def same(left, right):
    def equal(x, y):
        return torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y

    return len(left) == len(right) and all(
        one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
        for one, two in zip(left, right, strict=True)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_items_do_not_depend_on_the_number_of_workers(root):
    data = dataset("unaligned", "--dataroot", root, *SMALL, "--batch_size", 2)
    alone = stream(data, 0)
    assert same(alone, stream(data, 1)) and same(alone, stream(data, 4))
    assert not same(alone[:2], alone[2:])  # another epoch, another crop
    assert not same(alone, stream(dataset("unaligned", "--dataroot", root, *SMALL, "--batch_size", 2, "--seed", 1), 0))


def test_after_n_epochs_images_are_no_longer_jittered(root):
    data = dataset("unaligned", "--dataroot", root, *SMALL, "--n_epochs", 3, "--no_flip")
    data.epoch = 1
    first = data[0]["A"]
    data.epoch = 3
    assert not torch.equal(data[0]["A"], first)
    data.epoch = 4
    settled = data[0]["A"]
    data.epoch = 5
    assert torch.equal(data[0]["A"], settled) and settled.shape == (3, 16, 16)


def test_a_test_reads_images_in_their_own_size(root):
    images(root / "testA", "odd.png", size=(41, 27))
    item = dataset("unaligned", "--dataroot", root, train=False)[0]
    assert item["A"].shape == (3, 27, 41)
    cropped = dataset("unaligned", "--dataroot", root, "--preprocess", "resize_and_crop", *SMALL, train=False)[0]
    assert cropped["A"].shape == (3, 16, 16)


def test_load_size_below_crop_size_is_refused(root):
    with pytest.raises(UserError, match=r"--load_size 286 is smaller than --crop_size 512; give --load_size 572"):
        dataset("unaligned", "--dataroot", root, "--crop_size", 512)
    dataset("unaligned", "--dataroot", root, "--crop_size", 512, "--preprocess", "crop")


def test_the_largest_dataset_is_the_first_by_name(root):
    data = dataset("unaligned", "--dataroot", root, "--max_dataset_size", 2)
    assert [p.name for p in data.sides["A"]] == ["0.png", "1.png"] and len(data) == 2


@pytest.mark.slow
def test_a_bad_image_stops_the_run_or_is_skipped(root, capfd):
    (root / "trainA" / "2.png").write_bytes(b"no image")
    data = dataset("unaligned", "--dataroot", root, *SMALL)
    with pytest.raises(UserError, match=r"trainA/2\.png: cannot be read \(not an image\); --on_bad_image skip"):
        stream(data, 0)
    with pytest.raises(UserError, match=r"trainA/2\.png"):
        stream(data, 1)
    data = dataset("unaligned", "--dataroot", root, *SMALL, "--on_bad_image", "skip")
    alone = stream(data, 0, (1, 2, 3))
    warning = capfd.readouterr().err
    assert warning.count("skipped") == 1 and "(1 of 8 files so far)" in warning
    data = dataset("unaligned", "--dataroot", root, *SMALL, "--on_bad_image", "skip")
    assert same(alone, stream(data, 1, (1, 2, 3)))
    assert len(alone) == 15 and all("2.png" not in batch["A_paths"][0] for batch in alone)


def test_when_every_image_is_bad_the_run_stops(tmp_path):
    for side in "AB":
        images(tmp_path / f"train{side}", "x.png")
        (tmp_path / f"train{side}" / "x.png").write_bytes(b"")
    with pytest.raises(UserError, match="no item of the dataset can be read"):
        stream(dataset("unaligned", "--dataroot", tmp_path, "--on_bad_image", "skip"), 0)


def test_channels_follow_the_direction(root):
    data = dataset("unaligned", "--dataroot", root, "--input_nc", 1, *SMALL)
    assert data[0]["A"].shape[0] == 1 and data[0]["B"].shape[0] == 3
    data = dataset("unaligned", "--dataroot", root, "--input_nc", 1, "--direction", "BtoA", *SMALL)
    assert data[0]["A"].shape[0] == 3 and data[0]["B"].shape[0] == 1
    batch = next(iter(Loader(data, data.opt).epoch()))
    assert batch["A"].shape[1] == 1 and batch["A_paths"][0].endswith(".jpg")


def test_sixteen_bits_reach_the_item(tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        ramp = Image.new("I;16", (64, 64))
        ramp.putdata(range(30000, 30000 + 4096))
        ramp.save(tmp_path / f"train{side}" / "x.png")
    data = dataset("unaligned", "--dataroot", tmp_path, "--input_nc", 1, "--preprocess", "none")
    assert len(data[0]["A"].unique()) == 4096
