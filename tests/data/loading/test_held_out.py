import json

import numpy as np
import pytest
from PIL import Image

from data.loading.held_out import FILE, drawn
from options import UserError
from tests.data.helpers import dataset, images

NAMES = [f"{i:02d}.png" for i in range(20)]


@pytest.fixture
def run(tmp_path):
    """Words for a run on two folders of 20 and 6 pictures, and the folder where it is kept."""
    images(tmp_path / "photos", *NAMES[:10], *(f"deep/{name}" for name in NAMES[10:]), size=(8, 8))
    images(tmp_path / "paintings", *NAMES[:6], size=(8, 8))
    (tmp_path / "run").mkdir()
    place = ("--checkpoints_dir", tmp_path, "--name", "run")
    return tmp_path / "run", (*place, "--A", tmp_path / "photos", "--B", tmp_path / "paintings")


def trained(run, *more):
    """The data of a training, kept as train.py keeps them."""
    folder, words = run
    data = dataset("unaligned", *words, *more)
    data.save_files(folder)
    told = {flag: getattr(data.opt, flag) for flag in ("A", "B", "test_fraction", "split_seed")}
    (folder / "train_opt.yaml").write_text(json.dumps(told | {"dataroot": "placeholder"}))
    return data


def names(data, side="A"):
    return {path.name for path in data.sides[side]}


def test_the_share_is_a_function_of_names_and_seed():
    assert drawn(NAMES, 0, 0.1) == drawn(reversed(NAMES), 0, 0.1) != drawn(NAMES, 1, 0.1)
    shares = ((20, 0.3, 6), (20, 0.01, 1), (20, 0, 0), (2, 0.9, 1), (1, 0.5, 0))
    assert all(len(drawn(NAMES[:n], 0, fraction)) == count for n, fraction, count in shares)


def test_training_and_tests_share_nothing_and_leave_nothing_out(run, capsys):
    data = trained(run, "--test_fraction", 0.25)
    assert "held out for test.py: 5 of 20 of A and 2 of 6 of B" in capsys.readouterr().err
    tests = dataset("unaligned", *run[1], "--test_fraction", 0.25, train=False)
    assert "--phase test: 5 of 20 of A and 2 of 6 of B" in capsys.readouterr().err
    every = dataset("unaligned", *run[1], "--test_fraction", 0.25, "--phase", "all", train=False)
    for side in "AB":
        assert not names(data, side) & names(tests, side)
        assert names(data, side) | names(tests, side) == names(every, side)
    assert names(dataset("unaligned", *run[1], "--test_fraction", 0.25, "--phase", "train", train=False)) == names(data)
    assert names(dataset("unaligned", *run[1], "--test_fraction", 0.25, "--seed", 5)) == names(data)
    kept = json.loads((run[0] / FILE).read_text())
    assert kept["A"]["folder"] == str(run[0].parent / "photos") and len(kept["A"]["files"]) == 5


def test_a_run_that_goes_on_keeps_its_split_whatever_is_added(run, tmp_path):
    before, tests = trained(run), dataset("unaligned", *run[1], train=False)
    images(tmp_path / "photos", *(f"new{i}.png" for i in range(30)), size=(8, 8))
    after = dataset("unaligned", *run[1], "--continue_train")
    assert names(after) == names(before) | {f"new{i}.png" for i in range(30)}
    assert names(dataset("unaligned", *run[1], train=False)) == names(tests)
    next(path for path in tests.sides["A"]).unlink()
    assert names(dataset("unaligned", *run[1], "--continue_train")) == names(after)


@pytest.mark.slow
def test_pages_of_a_file_stay_together(tmp_path):
    images(tmp_path / "b", *NAMES[:4], size=(8, 8))
    (tmp_path / "a").mkdir()
    pages = [Image.fromarray(np.full((8, 8), i, np.uint8)) for i in range(3)]
    for name in "wxyz":
        pages[0].save(tmp_path / f"a/{name}.tif", save_all=True, append_images=pages[1:])
    data = dataset("unaligned", "--A", tmp_path / "a", "--B", tmp_path / "b", "--test_fraction", 0.5)
    assert len(data.sides["A"]) == 6 and len({path.parent for path in data.sides["A"]}) == 2


def test_a_moved_folder_and_another_one(run, tmp_path, capsys):
    trained(run)
    (tmp_path / "photos").rename(tmp_path / "moved")
    words = [tmp_path / "moved" if word == tmp_path / "photos" else word for word in run[1]]
    assert len(dataset("unaligned", *words, train=False).sides["A"]) == 2
    assert "its 2 held-out files are in this one, and stay held out" in capsys.readouterr().err
    dataset("unaligned", *words, "--continue_train")
    other = [tmp_path / "paintings" if word == tmp_path / "photos" else word for word in run[1]]
    message = r"--A \S+: the run run is trained on \S+photos, and [12] of its 2 held-out files"
    with pytest.raises(UserError, match=message):
        dataset("unaligned", *other, "--continue_train")
    assert len(dataset("unaligned", *other, train=False).sides["A"]) == 6
    assert "6 of 6 of A (a folder that the run was not trained on) and 1 of 6 of B" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_said_twice_by_half_or_for_nothing(run, tmp_path):
    A, B = ("--A", tmp_path / "photos"), ("--B", tmp_path / "paintings")
    for words, message in (
        (A, r"--A \S+photos: give --B too; one folder alone is read by --dataset_mode single"),
        (B, r"--B \S+paintings: give --A too"),
        ((*A, *B, "--dataroot", tmp_path), r"--dataroot \S+ --A \S+ --B \S+: say it once"),
        ((*A, *B, "--test_fraction", 1), r"--test_fraction 1.0: must be below 1"),
        (("--dataroot", tmp_path, "--test_fraction", 0.3), r"--test_fraction 0.3: divides --A and --B"),
        ((*A, "--B", tmp_path / "no"), r"--B \S+no: no such folder"),
        ((*A, "--B", tmp_path / "run"), r"--B \S+run: no pictures in it"),
        ((*A, *B, "--phase", "test"), r"--phase test: --A and --B have train"),
    ):
        with pytest.raises(UserError, match=message):
            dataset("unaligned", *words)
    trained(run)
    for words, message in (
        ((*run[1], "--test_fraction", 0.5), r"--test_fraction 0.5: the run run keeps what it held out"),
        ((*run[1][:4], "--dataroot", tmp_path), r"--dataroot \S+: the run run is trained on --A \S+ --B \S+; leave"),
    ):
        with pytest.raises(UserError, match=message):
            dataset("unaligned", *words, "--continue_train")
    (run[0] / FILE).write_text('{"A": 1}')
    with pytest.raises(UserError, match=rf"{FILE}: not the pictures that training never saw"):
        dataset("unaligned", *run[1], train=False)


def test_nothing_is_held_out_of_a_share_of_nothing(run):
    assert len(trained(run, "--test_fraction", 0).sides["A"]) == 20
    with pytest.raises(UserError, match=r"nothing is held out of \S+photos and \S+paintings; --phase all"):
        dataset("unaligned", *run[1], "--test_fraction", 0, train=False)
