import pytest

from data.loading.phases import phase_folder, phases_in, read_for, standard
from options import UserError
from tests.data.helpers import dataset, images


def made(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ((), "trainA", "trainA"),
        (("TrainA",), "trainA", "TrainA"),
        (("TRAINA", "trainA"), "trainA", "trainA"),
        (("validation",), "val", "validation"),
        (("Valid", "validation", "val"), "val", "val"),
        (("val",), "validation", "val"),
        (("Holdout",), "holdout", "Holdout"),
        (("tests", "train"), "test", "test"),
    ],
)
def test_a_folder_is_found_by_what_it_means(tmp_path, there, asked, found, capsys):
    side = asked[-1] if asked[-1] in "AB" else ""
    assert phase_folder(made(tmp_path, *there), asked.removesuffix(side), side) == tmp_path / found
    told = capsys.readouterr().err
    assert ("is read; left out is" in told) == (len(there) > 1 and found in there) and told.count("\n") <= 1


def test_of_two_that_could_be_meant_none_is_guessed(tmp_path):
    made(tmp_path, "Train", "TRAIN", "valid", "validation")
    for asked, names in (("train", "TRAIN and Train"), ("val", "valid and validation")):
        with pytest.raises(UserError, match=rf"{names} could each be {asked}; rename all but one"):
            phase_folder(tmp_path, asked)
    (tmp_path / "Test").mkdir()
    assert read_for(tmp_path, "test", ("",)) == "test"  # whatever validation is


def test_files_are_no_phases(tmp_path):
    (tmp_path / "Train").touch()
    found = phases_in(made(tmp_path, "TEST", "Validation"))
    assert found == {"test": tmp_path / "TEST", "val": tmp_path / "Validation"}
    assert [standard(word) for word in ("TEST", "Valid", "mine")] == ["test", "val", "mine"]


@pytest.mark.slow
def test_every_kind_of_data_takes_capitals_and_validation(tmp_path):
    for folder in ("TrainA", "trainB", "ValidA", "validB", "two/Train", "two/Validation"):
        images(tmp_path / folder, "x.png", size=(80, 40))
    for folder in ("Train/cat", "Train/dog", "valid/cat", "valid/dog"):
        images(tmp_path / "classes" / folder, "x.png", "y.png")
    images(tmp_path / "said", "Train/x.png", "Train/y.png", "Valid/z.png")
    for name in ("Train/x", "Train/y", "Valid/z"):
        (tmp_path / "said" / f"{name}.txt").write_text(name)
    small, root = ("--load_size", 16, "--crop_size", 16), ("--dataroot", tmp_path)
    for mode, words, places in (
        ("unaligned", (*root, *small), ("TrainA", "ValidA")),
        ("aligned", ("--dataroot", tmp_path / "two", *small), ("two/Train", "two/Validation")),
        ("singleimage", (*root, "--crop_size", 16), ("TrainA", "TrainA")),
        ("template", ("--dataroot", tmp_path / "two", *small), ("two/Train", None)),
        ("single", root, (None, "ValidA")),
        ("labeled", ("--dataroot", tmp_path / "classes"), ("classes/Train", "classes/valid")),
        ("caption", ("--dataroot", tmp_path / "said"), ("said/Train", "said/Valid")),
    ):
        for train, place in zip((True, False), places, strict=True):
            for phase in ((),) if train or place is None else ((), ("--phase", "val"), ("--phase", "Validation")):
                if place is None:
                    continue
                item = dataset(mode, *words, *phase, train=train)[0]
                path = item.get("A_paths") or item["image_paths"]
                assert path.startswith(f"{tmp_path / place}/"), (mode, train, phase)


def test_tables_of_captions_find_their_folder(tmp_path):
    images(tmp_path, "TRAIN2014/x.png", "images/Validation/y.png")
    (tmp_path / "captions_train2014.csv").write_text("image,caption\nx.png,one\n")
    (tmp_path / "Captions_Valid.csv").write_text("image,caption\ny.png,two\n")
    data = [dataset("caption", "--dataroot", tmp_path, train=train) for train in (True, False)]
    assert [d.pictures.names.tolist() for d in data] == [["TRAIN2014/x.png"], ["images/Validation/y.png"]]
