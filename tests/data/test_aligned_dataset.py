import numpy as np
import pytest
from PIL import Image

from data import Loader
from options import UserError
from util import distributed

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


def test_files_of_a_pair_may_have_other_sizes_where_they_are_brought_to_one(tmp_path):
    """A slope from left to right in A, at half the size in B: crops of both show the same part."""
    for phase in ("train", "test"):
        for side, height, width in (("A", 40, 60), ("B", 20, 30)):
            (tmp_path / f"{phase}{side}").mkdir()
            slope = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], (height, width, 3))
            Image.fromarray(np.ascontiguousarray(slope)).save(tmp_path / f"{phase}{side}" / "x.png")
    for preprocess in ("resize_and_crop", "scale_width_and_crop", "scale_longside_and_zoom_and_crop"):
        data = dataset("aligned", "--dataroot", tmp_path, *SMALL, "--preprocess", preprocess)
        for data.epoch in range(1, 5):
            assert (grey(data[0]["A"]) - grey(data[0]["B"])).abs().max() < 12
    for preprocess, train in (("crop", True), ("none", False)):
        with pytest.raises(
            UserError, match=r"x.png: 30x20 pixels, but .*x.png has 60x40; a pair must be of one size, or"
        ):
            dataset("aligned", "--dataroot", tmp_path, *SMALL, "--preprocess", preprocess, train=train)[0]
    data = dataset("aligned", "--dataroot", tmp_path, "--preprocess", "resize", "--load_size", 20, train=False)
    assert data[0]["A"].shape == data[0]["B"].shape == (3, 20, 20)


def test_unpaired_data_are_told_apart(tmp_path):
    images(tmp_path / "trainA", "a.png")
    images(tmp_path / "trainB", "b.png")
    with pytest.raises(UserError, match=r"expected train/ with A and B side by side.*--dataset_mode unaligned"):
        dataset("aligned", "--dataroot", tmp_path)


def kept(root, *more):
    distributed.forget_said()
    return dataset("aligned", "--dataroot", root, "--unpaired", "keep", *SMALL, *more)


def names_of(item):
    return tuple(item[f"{side}_paths"].rsplit("/", 2)[1:] for side in "AB")


def lonely_folders(root):
    """Two pairs, three files of A and one of B without a partner, of other sizes."""
    images(root / "trainA", "1.png", "2.png")
    images(root / "trainB", "1.png", "2.png", seed=1)
    images(root / "trainA", "a.png", "b.png", "c.png", size=(24, 50))
    images(root / "trainB", "z.png", size=(33, 21))


def test_files_without_a_partner_meet_any_of_the_other_side(tmp_path, capsys):
    lonely_folders(tmp_path)
    data = kept(tmp_path)
    assert "pairs 2; A without partner 3, B without 1: trained on\n" in capsys.readouterr().err
    assert len(data) == 6 and [i in data.unpaired for i in range(6)] == [False] * 2 + [True] * 4
    drawn = {}
    for data.epoch in range(1, 13):
        items = [data[i] for i in range(6)]
        assert [names_of(item)[0][1] == names_of(item)[1][1] for item in items[:2]] == [True, True]
        assert [names_of(item)[0][1] for item in items[2:5]] == ["a.png", "b.png", "c.png"]
        assert names_of(items[5])[1] == ["trainB", "z.png"]
        assert items[5]["A"].shape == items[5]["B"].shape == (3, 16, 16)
        drawn[data.epoch] = [names_of(item) for item in items]
        assert drawn[data.epoch] == [names_of(data[i]) for i in range(6)]  # the same when asked again
    assert {str(d[2][1]) for d in drawn.values()} == {str(["trainB", n]) for n in ("1.png", "2.png", "z.png")}
    assert {d[5][0][1] for d in drawn.values()} == {"1.png", "2.png", "a.png", "b.png", "c.png"}
    serial = kept(tmp_path, "--serial_batches")
    assert [names_of(serial[i])[1][1] for i in range(2, 5)] == ["z.png", "1.png", "2.png"]  # 2 % 3, 3 % 3, 4 % 3


def test_folders_beside_pairs_in_one_file_have_no_partners(tmp_path, capsys):
    images(tmp_path / "train", "x.png", "y.png", size=(80, 30))
    images(tmp_path / "trainA", "x.png", "q.png")
    images(tmp_path / "trainB", "x.png")
    assert len(dataset("aligned", "--dataroot", tmp_path, *SMALL)) == 2
    told = capsys.readouterr().err
    assert "3 files of trainA and trainB, beside the pairs of train, are left out; --unpaired keep trains" in told
    data = kept(tmp_path, "--preprocess", "none", "--no_flip")
    assert "pairs 2; A without partner 2, B without 1: trained on\n" in capsys.readouterr().err
    assert [names_of(data[i])[0] for i in (2, 3)] == [["trainA", "q.png"], ["trainA", "x.png"]]
    halves = {}
    for data.epoch in range(1, 13):
        assert data[0]["A_paths"] == data[0]["B_paths"]
        (folder, name), _ = names_of(item := data[4])
        halves[folder, name] = item["A"].shape
    assert halves.keys() == {("train", "x.png"), ("train", "y.png"), ("trainA", "x.png"), ("trainA", "q.png")}
    assert set(halves.values()) == {(3, 32, 40)}  # of a file with both, its left half
    assert data.size_of(tmp_path / "train/x.png") == data.size_of(tmp_path / "trainA/x.png") == (40, 30)


def test_pairs_are_the_first_items_and_needed(tmp_path, capsys):
    lonely_folders(tmp_path)
    data = kept(tmp_path, "--max_dataset_size", 3)
    assert len(data) == 3 and "pairs 2; A without partner 1, B without 0" in capsys.readouterr().err
    data = kept(tmp_path, "--max_dataset_size", 1)
    assert len(data) == 1 and not data.unpaired and "pairs 1; A without partner 0" in capsys.readouterr().err
    for side in "AB":
        for name in "12":
            (tmp_path / f"train{side}/{name}.png").rename(tmp_path / f"train{side}/{side}{name}.png")
    with pytest.raises(UserError, match="--dataset_mode unaligned"):
        kept(tmp_path)


@pytest.mark.parametrize(("batch", "accumulate", "world"), [(2, 1, 1), (1, 2, 2), (3, 2, 1), (1, 1, 3)])
def test_a_batch_says_which_rows_are_pairs_and_what_they_weigh(tmp_path, batch, accumulate, world):
    lonely_folders(tmp_path)
    data = kept(tmp_path, "--batch_size", batch, "--accumulate", accumulate, "--direction", "BtoA")
    loaders = [Loader(data, data.opt, rank=rank, world=world) for rank in range(world)]
    for epoch in range(1, 6):
        per_rank = [list(loader.epoch(epoch)) for loader in loaders]
        for first in range(0, len(per_rank[0]) // accumulate * accumulate, accumulate):
            step = [b for batches in per_rank for b in batches[first : first + accumulate]]
            total = 0
            for b in step:
                same = [
                    x.rsplit("/", 1)[1] == y.rsplit("/", 1)[1] for x, y in zip(b["A_paths"], b["B_paths"], strict=True)
                ]
                assert b["pairs"].tolist() == [i for i in range(batch) if same[i]] and "paired" not in b
                total += sum(same)
            weights = [b["pair_weight"] for b in step]
            assert weights == [pytest.approx(len(b["pairs"]) * len(step) / max(total, 1)) for b in step]
