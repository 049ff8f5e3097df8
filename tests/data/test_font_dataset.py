import json

import numpy as np
import pytest
import torch
from PIL import Image

from data import Loader
from options import UserError
from tests.util.fonts.test_faces import build_variable
from util.fonts.faces import Face, Geometry

from .helpers import dataset, images
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


@pytest.mark.parametrize(("direction", "side"), [("AtoB", "source"), ("BtoA", "target")])
def test_a_second_glyph_is_of_the_side_that_is_translated(direction, side):
    words = (*ASCII, "--direction", direction, "--input_nc", 3)
    data, without = dataset("font", *words, "--second_A"), dataset("font", *words)
    glyphs = data.sources[0] if side == "source" else data.style_list[0].glyphs
    every = torch.stack([data.glyph(glyphs, code, 3) for code in data.characters])
    drawn = [int((every - item["A2"]).abs().sum((1, 2, 3)).argmin()) for item in items(data)]
    assert all(torch.equal(every[place], item["A2"]) for place, item in zip(drawn, items(data), strict=True))
    assert all(own != second for own, second in enumerate(drawn)) and len(set(drawn)) > 30
    assert [i["B_paths"] for i in items(data)] == [i["B_paths"] for i in items(without)] and "A2" not in without[0]
    assert "A2" not in dataset("font", *words, train=False)[0]


def test_halves_are_disjoint_and_complete():
    train, test = dataset("font", *ASCII), dataset("font", *ASCII, train=False)
    every = dataset("font", *ASCII, "--phase", "all")
    assert not set(train.characters) & set(test.characters) and (len(train), len(test), len(every)) == (85, 9, 94)
    assert dataset("font", *ASCII, "--seed", 1).characters != train.characters
    none = dataset("font", *ASCII, "--test_fraction", 0, train=False)
    with pytest.raises(UserError, match="--phase test: no characters"):
        Loader(none, none.opt)


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


@pytest.mark.slow
def test_a_second_source_font_fills_the_gaps_of_the_first():
    with pytest.raises(UserError):
        dataset("font", "--charset", "cyrillic", "--source_font", "cmr10")
    data = dataset("font", "--charset", "auto", "--source_font", "cmr10", "DejaVuSans", "--phase", "all")
    assert data.source_of[ord("A")].name == "cmr10" and data.source_of[0x416].name == "DejaVuSans"


def test_ink_outside_the_canvas_is_counted(capsys):
    dataset("font", *ASCII, "--glyph_scale", 1.2)
    assert "the canvas cuts off" in capsys.readouterr().err


@pytest.mark.slow
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


# -- several target fonts --------------------------------------------------------------------------

THREE = (*ASCII, "--target_font", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")


def test_every_character_in_every_style(tmp_path):
    data = dataset("font", *THREE, "--paired")
    assert data.styles == ["DejaVuSerif", "DejaVuSansMono", "STIXGeneral"] and len(data) == 3 * 85
    seen = {(item["label"], item["group"], item["character"]) for item in items(data)}
    assert seen == {(n, name, code) for n, name in enumerate(data.styles) for code in data.characters}
    first, other = data[0], data[85]
    assert first["character"] == other["character"] and torch.equal(first["A"], other["A"])
    assert not torch.equal(first["B"], other["B"])


@pytest.mark.parametrize("styles, characters, wanted", [(3, 4, 3), (2, 5, 2), (2, 5, 7)])
def test_batches_are_styles_by_characters(styles, characters, wanted):
    fonts = THREE if wanted > 2 else (*THREE[:-1],)
    data = dataset(
        "font", *fonts, "--paired", "--styles_per_batch", wanted, "--batch_size", min(wanted, styles + 1) * characters
    )
    P = data.styles_in_batch
    epochs = [list(Loader(data, data.opt).epoch(number)) for number in (1, 1, 2)]
    assert same(epochs[0], epochs[1]) and not same(epochs[0], epochs[2])
    for batch in epochs[0]:
        label, character = batch["label"].view(characters, P), batch["character"].view(characters, P)
        assert (label == label[0]).all() and len(set(label[0].tolist())) == P
        assert (character == character[:, :1]).all() and len(set(character[:, 0].tolist())) == characters
    pairs = [(n, c) for b in epochs[0] for n, c in zip(b["label"].tolist(), b["character"].tolist(), strict=True)]
    assert len(set(pairs)) == len(data.styles) * (len(data.characters) // characters * characters)
    assert len(pairs) == len(Loader(data, data.opt)) * data.opt.batch_size


def test_styles_that_do_not_fill_the_last_batch_come_with_some_of_the_first():
    data = dataset("font", *THREE, "--paired", "--styles_per_batch", 2, "--batch_size", 10)
    order = data.order(torch.Generator().manual_seed(0))
    count = torch.bincount(torch.tensor(order), minlength=len(data))
    assert len(order) == 85 // 5 * 5 * 4 and count.min() == 1 and count.max() == 2


def test_numbers_of_characters_take_the_place_of_the_fraction():
    words = (*ASCII, "--test_characters", 20, "--train_characters", 30)
    train, test = dataset("font", *words), dataset("font", *words, train=False)
    assert (len(train), len(test)) == (30, 20) and not set(train.characters) & set(test.characters)
    assert len(dataset("font", *words, "--phase", "all")) == 50


def test_styles_can_be_held_out_and_picked():
    assert dataset("font", *THREE, "--held_out", "DejaVuSansMono").styles == ["DejaVuSerif", "STIXGeneral"]
    data = dataset("font", *THREE, "--styles", "2", "DejaVuSerif", train=False)
    assert data.styles == ["STIXGeneral", "DejaVuSerif"] and [data[0]["label"], data[9]["label"]] == [2, 0]
    with pytest.raises(UserError, match="--styles DejaVuSansMono is one of --held_out"):
        dataset("font", *THREE, "--held_out", "1", "--styles", "1")


def test_an_instance_is_a_style_and_is_named_as_it_was_given(tmp_path):
    bold = f"{build_variable(tmp_path / 'v.ttf')}@wght=900,wdth=80"
    data = dataset("font", *ASCII, "--target_font", bold, "DejaVuSerif", "--held_out", bold)
    assert [style.name for style in data.all_styles] == ["v-wght900-wdth80", "DejaVuSerif"]
    assert data.styles == ["DejaVuSerif"] and data.all_styles[0].glyphs.location == {"wght": 900, "wdth": 80}
    assert set(dataset("font", *ASCII, "--target_font", bold, train=False).source_of) == {ord("A")}


def test_labels_and_names_are_kept_with_the_run_and_go_on(tmp_path):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    dataset("font", *THREE, *run, "--held_out", "STIXGeneral").save_files(tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "styles.json").read_text())
    assert [(row["label"], row["name"], row["trained"]) for row in rows] == [
        (0, "DejaVuSerif", True),
        (1, "DejaVuSansMono", True),
        (2, "STIXGeneral", False),
    ]
    assert "Bitstream" in rows[0]["licence"]
    more = (*ASCII, "--target_font", "STIXGeneral", "cmr10", "--checkpoints_dir", tmp_path, "--name", "more")
    data = dataset("font", *more, "--pretrained_name", "run")
    assert [(s.name, s.label) for s in data.style_list] == [("STIXGeneral", 2), ("cmr10", 3)]
    assert data.known_labels == [0, 1]
    (tmp_path / "run" / "styles.json").write_text('[{"name": "x"}]')
    with pytest.raises(UserError, match=r"styles\.json: not a table of styles"):
        dataset("font", *THREE, *run, train=False)


@pytest.mark.slow
def test_what_the_earlier_run_has_not_seen_stays_unseen(tmp_path):
    base = dataset("font", *ASCII, "--checkpoints_dir", tmp_path, "--name", "base")
    base.save_files(tmp_path / "base")
    words = (*ASCII, "--checkpoints_dir", tmp_path, "--name", "few", "--pretrained_name", "base")
    few = dataset("font", *words, "--train_characters", 16, "--seed", 7)
    assert len(few.train) == 16 and set(few.train) <= set(base.train) and few.test == base.test
    every = dataset("font", *words, "--test_fraction", 0)
    assert len(every.train) == 94 and not every.test


def test_fonts_that_are_nearly_one_are_reported(capsys):
    dataset("font", *ASCII, "--target_font", "DejaVuSerif", "DejaVuSerif")
    told = capsys.readouterr().err
    assert "fonts DejaVuSerif and DejaVuSerif-2 are nearly the same: they share 100% of their ink" in told
    dataset("font", *ASCII, "--target_font", "DejaVuSerif", "STIXGeneral")
    assert "nearly the same" not in capsys.readouterr().err


@pytest.mark.slow
def test_mistakes_about_grids_are_told():
    grid = (*THREE, "--paired", "--styles_per_batch", 3)
    assert [dataset("font", *grid, "--batch_size", n).styles_in_batch for n in (9, 8, 7)] == [3, 2, 1]
    with pytest.raises(UserError, match=r"takes 100 characters, there are 85; give --batch_size 255"):
        dataset("font", *grid, "--batch_size", 300)
    with pytest.raises(UserError, match="--serial_batches does not go with"):
        dataset("font", *grid, "--batch_size", 6, "--serial_batches")


def test_an_epoch_of_few_characters_may_go_through_them_more_than_once():
    for grid in ((), ("--styles_per_batch", 3, "--paired")):
        data = dataset("font", *THREE, *grid, "--repeat", 3, "--batch_size", 15)
        count = torch.bincount(torch.tensor(data.order(torch.Generator().manual_seed(0))), minlength=len(data))
        assert (count == 3).all() and len(Loader(data, data.opt)) == 3 * 85 * 3 // 15


def test_what_was_trained_on_once_is_never_unseen_again(tmp_path):
    base = dataset("font", *ASCII, "--checkpoints_dir", tmp_path, "--name", "base")
    base.save_files(tmp_path / "base")
    (tmp_path / "k.txt").write_text("".join(map(chr, base.train[:20])))
    words = ("--checkpoints_dir", tmp_path, "--name", "few")
    few = dataset("font", *words, "--charset", tmp_path / "k.txt", "--pretrained_name", "base", "--test_fraction", 0)
    few.save_files(tmp_path / "few")
    test = dataset("font", *ASCII, *words, train=False)
    assert not set(test.characters) & set(base.train) and set(test.characters) == set(base.test)
    some = dataset("font", *ASCII, *words, "--pretrained_name", "base", "--test_fraction", 0, "--test_characters", 5)
    assert len(some.test) == 5 and set(some.test) <= set(base.test)


def test_training_never_reads_the_test_half():
    with pytest.raises(UserError, match="--phase test: choose train, or all, which keeps none for a test"):
        dataset("font", *ASCII, "--phase", "test")
    with pytest.raises(UserError, match="--phase tests: choose train, test or all"):
        dataset("font", *ASCII, "--phase", "tests", train=False)
    every = dataset("font", *ASCII, "--phase", "all")
    assert len(every.train) == 94 and not every.test


def test_a_test_without_characters_says_how_to_have_some():
    data = dataset("font", *ASCII, "--test_fraction", 0, train=False)
    assert len(data) == 0  # --text needs none
    with pytest.raises(
        UserError, match="--phase test: no characters; 94 are for training and 0 for testing; see --phase"
    ):
        Loader(data, data.opt)


def test_a_run_that_goes_on_keeps_its_geometry_and_knows_its_fonts_by_their_files(tmp_path, capsys):
    for folder in "ab":
        images(tmp_path / folder / "hand", "A.png", "B.png", "C.png", size=(64, 64), seed=ord(folder))
    run = ("--checkpoints_dir", tmp_path, "--charset", "latin", "--test_fraction", 0)
    first = dataset("font", *run, "--name", "base", "--target_font", tmp_path / "a/hand", tmp_path / "b/hand")
    first.save_files(tmp_path / "base")
    assert [(s.name, s.label) for s in first.all_styles] == [("hand", 0), ("hand-2", 1)]
    more = (*run, "--name", "base", "--target_font", tmp_path / "b/hand")
    assert [(s.name, s.label) for s in dataset("font", *more, train=False).all_styles] == [("hand-2", 1)]
    with pytest.raises(UserError, match=r"--glyph_scale 0.7: base was trained with 0.8; give --glyph_scale 0.8"):
        dataset("font", *run, "--name", "new", "--pretrained_name", "base", "--glyph_scale", 0.7)


@pytest.mark.slow
def test_pairs_of_any_label_are_used_when_they_are_mixed_freely(tmp_path, capsys):
    def pair(label, code):
        glyph = [Face(font).draw(code, Geometry(64)) for font in ("DejaVuSerif", "DejaVuSans")]
        Image.fromarray(np.concatenate(glyph, 1)).save(tmp_path / "pairs" / f"{label}_U+{code:04X}.png")

    (tmp_path / "pairs").mkdir()
    for label, text in enumerate(("ABCDE", "DEFG")):
        for character in text:
            pair(label, ord(character))
    words = ("--pairs", tmp_path / "pairs", "--test_fraction", 0, "--paired", "--batch_size", 2)
    grid = dataset("font", *words, "--styles_per_batch", 2)
    assert grid.characters == [ord("D"), ord("E")] and len(grid) == 4
    assert "2 characters are in all 2 labels, 7 in some; --styles_per_batch 0 uses these too" in capsys.readouterr().err
    mixed = dataset("font", *words)
    assert [(item["label"], chr(item["character"])) for item in items(mixed)] == [
        *((0, c) for c in "ABCDE"),
        *((1, c) for c in "DEFG"),
    ]
    assert torch.equal(mixed[0]["B"], dataset("font", "--charset", "latin", "--paired", "--test_fraction", 0)[0]["B"])
    assert mixed.first_rows(2) == [0, 1, 5, 6]
    swapped = dataset("font", *words, "--pairs_left", "source")
    assert torch.equal(swapped[0]["A"], mixed[0]["B"]) and torch.equal(swapped[0]["B"], mixed[0]["A"])
