import pytest

from data import Loader
from options import UserError

from .helpers import dataset, images

SMALL = ("--load_size", 20, "--crop_size", 16)


def test_an_epoch_is_as_long_as_the_larger_side(tmp_path):
    images(tmp_path / "trainA", "only.png")
    images(tmp_path / "trainB", *(f"{i}.png" for i in range(7)))
    data = dataset("unaligned", "--dataroot", tmp_path, *SMALL)
    items = [data[i] for i in range(len(data))]
    assert len(items) == 7 and {i["A_paths"] for i in items} == {str(tmp_path / "trainA" / "only.png")}
    assert set(items[0]) == {"A", "B", "A_paths", "B_paths"}
    assert items[0]["A"].shape == (3, 16, 16) and -1 <= items[0]["A"].min() < items[0]["A"].max() <= 1
    drawn = [i["B_paths"] for i in items]
    assert len(set(drawn)) > 1 and drawn != sorted(drawn)  # random
    assert drawn == [data[i]["B_paths"] for i in range(7)]  # but the same when asked again
    data.epoch = 2
    assert drawn != [data[i]["B_paths"] for i in range(7)]


def test_serial_batches_walk_through_both_sides(tmp_path):
    images(tmp_path / "trainA", *(f"{i}.png" for i in range(5)))
    images(tmp_path / "trainB", *(f"{i}.png" for i in range(3)))
    data = dataset("unaligned", "--dataroot", tmp_path, *SMALL, "--serial_batches")
    assert [data[i]["B_paths"][-5] for i in range(5)] == ["0", "1", "2", "0", "1"]


@pytest.mark.parametrize(("direction", "side", "channels"), [("AtoB", "A", 3), ("BtoA", "B", 3)])
def test_a_second_image_is_of_the_side_that_is_translated(tmp_path, direction, side, channels):
    images(tmp_path / "trainA", *(f"{i}.png" for i in range(5)))
    images(tmp_path / "trainB", *(f"{i}.png" for i in range(4)))
    data = dataset("unaligned", "--dataroot", tmp_path, *SMALL, "--second_A", "--direction", direction)
    chosen = []
    read = data.read
    data.read = lambda path, *rest: chosen.append(path) or read(path, *rest)
    items = [data[i] for i in range(5)]
    assert {path.parent.name for path in chosen[2::3]} == {f"train{side}"} and len(set(chosen[2::3])) > 1
    assert all(item["A2"].shape == (channels, 16, 16) for item in items)
    assert all((data[i]["A2"] == items[i]["A2"]).all() for i in range(5))
    assert "A2" not in dataset("unaligned", "--dataroot", tmp_path, *SMALL)[0]


def test_a_test_repeats_nothing_and_needs_one_side(tmp_path):
    images(tmp_path / "testA", "a/x.png", "b/x.png", "c.png")
    images(tmp_path / "testB", "y.png")
    data = dataset("unaligned", "--dataroot", tmp_path, train=False)
    assert [sorted(data[i]) for i in range(len(data))] == [["A", "A_paths", "B", "B_paths"], *[["A", "A_paths"]] * 2]
    (tmp_path / "testA").rename(tmp_path / "elsewhere")
    data = dataset("unaligned", "--dataroot", tmp_path, train=False)
    assert len(data) == 1 and set(data[0]) == {"B", "B_paths"}
    assert len(list(Loader(data, data.opt).epoch())) == 1


def test_a_test_falls_back_to_the_validation_images(tmp_path):
    images(tmp_path / "valA", "x.png")
    images(tmp_path / "valB", "x.png")
    assert "valA" in dataset("unaligned", "--dataroot", tmp_path, train=False)[0]["A_paths"]
    images(tmp_path / "testB", "x.png")
    assert set(dataset("unaligned", "--dataroot", tmp_path, train=False)[0]) == {"B", "B_paths"}


@pytest.mark.parametrize(
    ("files", "message"),
    (
        (["trainA/x.png"], r"no images in trainB; trainA and trainB must hold images, but found trainA/ \(1 image\)"),
        (["trainA/x.png", "trainB/notes.txt"], r"no images in trainB; .* trainB/ \(no images\)"),
        (["photos/x.png"], r"no images in trainA and trainB; .* found photos/ \(1 image\)"),
        (["train/x.png"], r"--dataset_mode aligned"),
        ([], r"but it is empty"),
    ),
)
def test_missing_folders_are_explained(tmp_path, files, message):
    for name in files:
        if name.endswith("png"):
            images(tmp_path, name)
        else:
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).touch()
    with pytest.raises(UserError, match=message):
        dataset("unaligned", "--dataroot", tmp_path)


def test_a_missing_root_is_explained(tmp_path):
    with pytest.raises(UserError, match=r"--dataroot .*nowhere: no such folder"):
        dataset("unaligned", "--dataroot", tmp_path / "nowhere")
    with pytest.raises(UserError, match="give the folder of the data with --dataroot"):
        dataset("unaligned")
    images(tmp_path / "photos", "x.png")
    with pytest.raises(UserError, match=r"testA or testB must hold images.*--dataset_mode single"):
        dataset("unaligned", "--dataroot", tmp_path, train=False)
