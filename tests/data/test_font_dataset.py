import json

import pytest
import torch

from data import Loader
from options import UserError

from .helpers import dataset
from .test_image_folder import same, stream

ASCII = ("--charset", "ascii")


def items(data):
    return [data[i] for i in range(len(data))]


def test_an_item(tmp_path):
    data = dataset("font", *ASCII)
    item = data[data.characters.index(ord("H"))]
    assert item["A"].shape == item["B"].shape == (1, 64, 64)
    assert item["A"].max() == 1 and item["A"].min() == -1 and item["A"][0, 0, 0] == 1
    assert item["A_paths"] == "U+0048_H" and item["label"] == 0 and item["character"] == ord("H")
    assert dataset("font", *ASCII, "--input_nc", 3, "--crop_size", 32)[0]["A"].shape == (3, 32, 32)
    swapped = dataset("font", *ASCII, "--input_nc", 3, "--direction", "BtoA")[0]
    assert swapped["A"].shape[0] == 1 and swapped["B"].shape[0] == 3


def test_training_pairs_characters_at_random_unless_told_otherwise():
    data = dataset("font", *ASCII)
    drawn = [(i["A_paths"], i["B_paths"]) for i in items(data)]
    assert all(a != b for a, b in drawn) and len({b for _, b in drawn}) > 30
    assert drawn == [(i["A_paths"], i["B_paths"]) for i in items(data)]
    data.epoch = 2
    assert drawn != [(i["A_paths"], i["B_paths"]) for i in items(data)]
    for data in (dataset("font", *ASCII, "--paired"), dataset("font", *ASCII, train=False)):
        assert all(i["A_paths"] == i["B_paths"] for i in items(data))
        assert not torch.equal(data[0]["A"], data[0]["B"])  # the same character in another font


def test_halves_are_disjoint_and_complete():
    train, test = dataset("font", *ASCII), dataset("font", *ASCII, train=False)
    every = dataset("font", *ASCII, "--phase", "all")
    assert not set(train.characters) & set(test.characters) and (len(train), len(test), len(every)) == (85, 9, 94)
    assert dataset("font", *ASCII, "--seed", 1).characters != train.characters
    with pytest.raises(UserError, match="--phase test: no characters"):
        dataset("font", *ASCII, "--test_fraction", 0, train=False)


def test_a_test_uses_the_split_of_its_run(tmp_path, capsys):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    train = dataset("font", *ASCII, *run, "--seed", 5)
    train.save_files(tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "split.json").read_text())
    assert saved["charset"] == "ascii" and f"U+{train.test[0]:04X}" in saved["test"]
    test = dataset("font", *ASCII, *run, train=False)  # another seed, but the run has a split
    assert test.characters == train.test and capsys.readouterr().err == ""
    assert dataset("font", *ASCII, *run, "--continue_train").train == train.train
    assert dataset("font", *ASCII, *run).train != train.train  # a new run draws a new one
    other = dataset("font", *run, "--charset", "greek", train=False)
    assert "differ from the training run's: 94 of its characters are missing, 69 are new" in capsys.readouterr().err
    assert len(other) == 69
    (tmp_path / "run" / "split.json").write_text("{}")
    with pytest.raises(UserError, match=r"split\.json: not a split"):
        dataset("font", *ASCII, *run, train=False)


def test_characters_that_a_font_lacks_are_dropped_and_told(tmp_path, capsys):
    (tmp_path / "x.txt").write_text("ABC字カ")
    data = dataset("font", "--charset", tmp_path / "x.txt", "--phase", "all")
    assert data.characters == [65, 66, 67]
    told = capsys.readouterr().err
    assert "--source_font: 2 of 5 characters are not in the font and left out: U+30AB_カ U+5B57_字" in told
    assert "--target_font: 2 of 5" in told
    with pytest.raises(UserError, match=r"--charset kana: .*share none of its 169 characters"):
        dataset("font", "--charset", "kana")


def test_a_second_source_font_fills_the_gaps_of_the_first():
    with pytest.raises(UserError):
        dataset("font", "--charset", "cyrillic", "--source_font", "cmr10")
    data = dataset("font", "--charset", "auto", "--source_font", "cmr10", "DejaVuSans", "--phase", "all")
    assert data.face_of["A"][ord("A")].name == "cmr10" and data.face_of["A"][0x416].name == "DejaVuSans"


def test_ink_outside_the_canvas_is_counted(capsys):
    dataset("font", *ASCII, "--glyph_scale", 1.2)
    assert "the canvas cuts off" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_items_do_not_depend_on_the_number_of_workers():
    data = dataset("font", *ASCII, "--crop_size", 16, "--batch_size", 8)
    alone = stream(data, 0)
    assert same(alone, stream(data, 1)) and same(alone, stream(data, 4))


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("data.font_dataset.CACHE", 10 * 64 * 64)
    data = dataset("font", *ASCII)
    once = items(data)
    assert len(data._drawn) == 10
    assert same(once, items(data))


def test_a_batch_of_a_test():
    data = dataset("font", *ASCII, "--batch_size", 4, train=False)
    batches = list(Loader(data, data.opt).epoch())
    assert [len(batch["A"]) for batch in batches] == [4, 4, 1] and batches[0]["character"].dtype == torch.int64
