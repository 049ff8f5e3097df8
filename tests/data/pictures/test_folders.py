"""Folders as people have them: phases by any name, and ImageNet's pictures with the files of their classes."""

import numpy as np
import pytest
from scipy.io import savemat

from options import UserError
from tests.data.helpers import dataset
from tests.data.test_labeled_dataset import folder

TRAIN = {"train/n01": 5, "train/n02": 5, "train/n03": 5}


def halves(root, *words):
    """Of data in training: {class: pictures} of training and of what is held out, by the names of the files."""
    data = dataset("labeled", "--dataroot", root, *words)
    return data, {
        phase: {
            name: [str(n) for n in pictures.names[pictures.labels == label]] for label, name in enumerate(data.classes)
        }
        for phase, pictures in (("train", data.half("train")), ("test", data.half("test")))
    }


def counts(found):
    return {phase: {name: len(files) for name, files in of.items()} for phase, of in found.items()}


@pytest.mark.parametrize(
    "train,held",
    [("train", "valid"), ("Train", "Test"), ("TRAIN", "Validation"), ("training", "testing"), ("Training", "val")],
)
def test_phases_by_any_name_are_no_classes_and_what_is_held_out_is_said(tmp_path, train, held, capsys):
    root = folder(tmp_path / "d", {f"{train}/cat": 5, f"{train}/dog": 4, f"{held}/cat": 2, f"{held}/dog": 1})
    _, found = halves(root)
    assert counts(found) == {"train": {"cat": 5, "dog": 4}, "test": {"cat": 2, "dog": 1}}
    assert f"held out: 3 pictures of {held}/\n" in capsys.readouterr().out


def test_what_is_held_out_is_said_of_data_that_are_not_divided_and_of_all_of_them(tmp_path, capsys):
    root = folder(tmp_path / "d", {"cat": 10, "dog": 5})
    halves(root)
    assert "held out: 3 pictures, 0.2 of each class (--test_fraction)\n" in capsys.readouterr().out
    halves(root, "--phase", "all")
    assert "held out: nothing (--phase all)\n" in capsys.readouterr().out
    folder(root / "three", {"train/cat": 3, "test/cat": 2, "valid/cat": 1, "train/dog": 1})
    halves(root / "three")
    assert "held out: 2 pictures of test/, 1 picture of valid/\n" in capsys.readouterr().out


def ilsvrc(root, count=6):
    folder(root, TRAIN | {"val": count})
    for i in range(count):
        (root / f"val/{i:02d}.png").rename(root / f"val/ILSVRC2012_val_{i + 1:08d}.png")
    return root


CLASSES = ["n02", "n01", "n03", "n01", "n02", "n02"]  # of the six pictures
NUMBERS = {"n01": 7, "n02": 3, "n03": 12}  # by the development kit, which orders them otherwise
NAMES = [f"ILSVRC2012_val_{i + 1:08d}" for i in range(6)]


def development_kit(place):
    place.mkdir(parents=True, exist_ok=True)
    table = np.array([(n, w) for w, n in NUMBERS.items()], dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])
    savemat(place / "meta.mat", {"synsets": table.reshape(-1, 1)})
    lines = "".join(f"{NUMBERS[name]}\n" for name in CLASSES)
    (place / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def kaggle(place):
    rows = "".join(f"{n},{c} 1 2 3 4 {c} 1 1 2 2 \n" for n, c in zip(NAMES, CLASSES, strict=True))
    (place / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + rows)


def pairs(lines):
    return "".join(f"{n}.png {c}\n" for n, c in lines)


WAYS = {
    "the development kit": lambda root: development_kit(root / "ILSVRC2012_devkit_t12/data"),
    "the kit beside the pictures": lambda root: development_kit(root / "val"),
    "Kaggle's table": kaggle,
    "Kaggle's table far above": lambda root: kaggle(root.parents[2]),
    "a class a line": lambda root: (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(CLASSES)),
    "names and classes": lambda root: (root / "val.txt").write_text(pairs(zip(NAMES, CLASSES, strict=True))),
    "names and numbers, as Caffe's": lambda root: (root / "val.txt").write_text(
        pairs((n, ["n01", "n02", "n03"].index(c)) for n, c in zip(NAMES, CLASSES, strict=True))
    ),
    "a table with a header": lambda root: (root / "val/labels.csv").write_text(
        "filename,label\n" + pairs(zip(NAMES, CLASSES, strict=True)).replace(" ", ",")
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_imagenets_flat_validation_has_its_classes_from_the_file_that_ships_with_it(tmp_path, way, capsys):
    root = ilsvrc(tmp_path / "ILSVRC/Data/CLS-LOC")
    WAYS[way](root)
    _, found = halves(root)
    assert counts(found) == {"train": dict.fromkeys(("n01", "n02", "n03"), 5), "test": {"n01": 2, "n02": 3, "n03": 1}}
    assert found["test"]["n03"] == [f"val/{NAMES[2]}.png"]
    captured = capsys.readouterr()
    assert "held out: 6 pictures of val/" in captured.out and "its pictures are of the classes that" in captured.err


def test_numbers_of_the_development_kit_mean_nothing_without_their_names(tmp_path):
    root = ilsvrc(tmp_path / "d")
    development_kit(root)
    (root / "meta.mat").unlink()
    with pytest.raises(UserError, match=r"ground_truth\.txt: .*named by meta\.mat of the development kit"):
        halves(root)
    development_kit(root)
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text("99\n" * 6)
    with pytest.raises(UserError, match=r"meta\.mat has no class of the number 99"):
        halves(root)
    (root / "meta.mat").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read as classes of pictures"):
        halves(root)


def test_a_number_beyond_the_classes_is_no_class(tmp_path):
    root = ilsvrc(tmp_path / "d")
    (root / "val.txt").write_text(pairs((n, i + 1) for i, n in enumerate(NAMES)))  # as ImageSets/CLS-LOC/val.txt counts
    with pytest.raises(UserError, match=r"val\.txt: .*it counts to 6, and the training has classes 0 to 2"):
        halves(root)


def test_a_header_alone_tells_no_classes(tmp_path):
    root = ilsvrc(tmp_path / "d")
    (root / "val.csv").write_text("name,label\n")
    with pytest.raises(UserError, match=r"val\.csv: .*it has a header and no name"):
        halves(root)


def tiny(root):
    layout = {f"train/{name}/images": 3 for name in ("n01", "n02")} | {"val/images": 4, "test/images": 3}
    folder(root, layout)
    (root / "train/n01/n01_boxes.txt").write_text("n01_0.JPEG\t0\t0\t7\t7\n")
    rows = (f"{i:02d}.png\tn0{1 + (i == 3)}\t0\t32\t44\t62\n" for i in range(4))
    (root / "val/val_annotations.txt").write_text("".join(rows))
    return root


def test_tiny_imagenet_as_it_is_distributed(tmp_path, capsys):
    _, found = halves(tiny(tmp_path / "tiny"))
    assert counts(found) == {"train": {"n01": 3, "n02": 3}, "test": {"n01": 3, "n02": 1}}
    assert found["test"]["n02"] == ["val/images/03.png"]
    captured = capsys.readouterr()
    assert "held out: 4 pictures of val/" in captured.out
    assert "test: 3 pictures are left out, of no known class" in captured.err  # nobody has told those
    for name, rows in (("n01", (0, 1, 2)), ("n02", (3,))):
        for i in rows:
            (tmp_path / f"tiny/val/images/{name}").mkdir(exist_ok=True)
            (tmp_path / f"tiny/val/images/{i:02d}.png").rename(tmp_path / f"tiny/val/images/{name}/{i:02d}.png")
    assert counts(halves(tmp_path / "tiny")[1])["test"] == {"n01": 3, "n02": 1}


def test_pictures_that_a_file_does_not_tell_and_classes_of_no_training_are_counted(tmp_path, capsys):
    root = tiny(tmp_path / "tiny")
    (root / "val/val_annotations.txt").write_text("00.png\tn01\t0\n01.png\tn09\t0\n02.png\tn02\t0\n")
    assert counts(halves(root)[1])["test"] == {"n01": 1, "n02": 1}
    told = capsys.readouterr().err
    assert "1 of 4 pictures are left out, whose class no file tells" in told
    assert "n09 is no class of the training" in told
    (root / "val/val_annotations.txt").write_text("00.png\n")
    with pytest.raises(UserError, match=r"val_annotations\.txt: .*line 1 has no name and class"):
        halves(root)


def test_flat_pictures_that_nobody_tells_the_classes_of_are_no_test(tmp_path, capsys):
    root = ilsvrc(tmp_path / "d")
    assert counts(halves(root)[1]) == {
        phase: dict.fromkeys(("n01", "n02", "n03"), n) for phase, n in (("train", 4), ("test", 1))
    }
    captured = capsys.readouterr()
    assert "val: 6 pictures are left out, of no known class" in captured.err and "LOC_val_solution.csv" in captured.err
    assert "held out: 3 pictures, 0.2 of each class" in captured.out
