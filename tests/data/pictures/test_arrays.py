"""Arrays of pictures and labels as people keep them: by their usual names, types and orders of sides."""

import importlib

import numpy as np
import pytest

from options import UserError
from tests.data.helpers import dataset

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
Y = np.arange(12) % 3


def levels(data, row):
    return ((data[row]["image"] + 1) * 127.5).round().numpy().astype(np.uint8).transpose(1, 2, 0)


def opened(path, *words, train=True):
    more = ("--crop_size", 8, "--flip", "false", *words)
    return dataset("labeled", "--dataroot", path, *more, train=train)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": X, "y": Y},
        {"images": X, "labels": Y[:, None]},
        {"arr_0": X.transpose(0, 3, 1, 2), "arr_1": Y.astype(np.float32)},
        {"imgs": X, "labels": np.eye(3)[Y]},
        {"data": X.astype(np.int64), "target": Y.astype(np.uint8), "something": np.zeros(3)},
        {"images": X.astype(np.float32) / 255, "labels": Y},
        {"images": X / 127.5 - 1, "labels": Y},
        {"images": X.astype(np.uint16) * 257, "labels": Y},
    ],
    ids=lambda arrays: ",".join(f"{k}:{v.dtype}{v.ndim}" for k, v in arrays.items()),
)
def test_arrays_of_usual_names_types_and_sides(tmp_path, arrays):
    np.savez(tmp_path / "d.npz", **arrays)
    data = opened(tmp_path / "d.npz", "--phase", "all")
    assert data.classes == ("0", "1", "2") and data.labels.tolist() == Y.tolist() and data.channels == 3
    assert all(np.abs(levels(data, row).astype(int) - X[row].astype(int)).max() <= 1 for row in range(12))
    assert data.source.kind == "npz" and data[4]["image_paths"] == "1_00004"


def test_phases_within_a_file_and_in_files(tmp_path, capsys):
    np.savez(tmp_path / "keras.npz", x_train=X[..., 0], y_train=Y, x_test=X[:3, ..., 0], y_test=Y[:3])
    data = opened(tmp_path / "keras.npz")
    assert len(data) == 12 and data.channels == 1 and not data.source.mirrors
    assert "held out: 3 pictures of x_test" in capsys.readouterr().out
    held = opened(tmp_path / "keras.npz", train=False)
    assert len(held) == 3 and np.array_equal(levels(held, 1)[..., 0], X[1, ..., 0])
    arrays = {
        f"{p}_{w}": a[:n]
        for p, n in (("train", 12), ("val", 4), ("test", 6))
        for w, a in (("images", X), ("labels", Y))
    }
    np.savez(tmp_path / "medmnist.npz", **arrays)
    assert {p: len(opened(tmp_path / "medmnist.npz").half(p)) for p in ("train", "val", "test")} == {
        "train": 12,
        "val": 4,
        "test": 6,
    }
    for name, n in (("mine_32_train.npz", 12), ("mine_32_valid.npz", 5)):
        (tmp_path / "files").mkdir(exist_ok=True)
        np.savez(tmp_path / "files" / name, images=X[:n], labels=Y[:n])
    data = opened(tmp_path / "files")
    assert len(data) == 12 and len(data.half("test")) == 5


def test_names_of_classes_and_a_file_that_is_not_divided(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", images=X, labels=Y, class_names=np.array(["ant", "bee", "cat"]))
    data = opened(tmp_path / "d.npz", "--test_fraction", 0.25)
    assert (
        data.classes == ("ant", "bee", "cat") and len(data) == 9 and "held out: 3 pictures" in capsys.readouterr().out
    )
    np.savez(tmp_path / "words.npz", images=X, labels=np.array(["ant", "bee", "cat"])[Y])
    assert opened(tmp_path / "words.npz").classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    "arrays,line",
    [
        ({"pictures": X, "labels": Y}, "holds pictures, labels; wanted are images and labels"),
        ({"images": X, "labels": Y[:5]}, "12 pictures in images and 5 labels in labels"),
        ({"images": X.reshape(12, -1), "labels": Y}, "images is of 12 x 192; wanted are pictures"),
        ({"images": X.astype(np.float32) * 9, "labels": Y}, "images has values of float32 from"),
        ({"images": np.full((12, 8, 8), np.nan), "labels": Y}, "images has values of float64 from nan"),
        ({"images": X, "labels": Y + 0.5}, "labels has numbers that are not whole"),
        ({"images": X, "labels": -1 - Y}, "all labels are below 0, which is no class"),
        ({"images": X, "labels": np.ones((12, 3))}, "labels is of 12 x 3; wanted is a class for each picture"),
        ({"images": X, "labels": np.array([{}] * 12, object)}, "its array labels is damaged, or no texts"),
    ],
)
def test_what_is_wrong_is_a_line_that_names_the_file(tmp_path, arrays, line):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(UserError, match=line) as error:
        opened(tmp_path / "d.npz")
    assert str(tmp_path / "d.npz") in str(error.value) and "\n" not in str(error.value)


def test_labels_below_0_are_of_no_class(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", images=X, labels=Y - 1)
    data = opened(tmp_path / "d.npz", "--phase", "all")
    assert data.classes == ("0", "1") and len(data) == 8
    assert "4 of 12 pictures of labels are of no class of the training; left out" in capsys.readouterr().err


def test_a_damaged_file_is_a_line(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match=r"d\.npz: cannot be read as pictures with labels"):
        opened(tmp_path / "d.npz")
    with pytest.raises(UserError, match=r"no file of \.h5 \.hdf5 \.hdf"):
        opened(tmp_path / "d.npz", "--source", "hdf5")


def test_without_h5py_a_line_names_it(tmp_path, monkeypatch):
    (tmp_path / "d.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"d\.h5: needs h5py, of the extra hdf5: uv pip install h5py"):
        opened(tmp_path / "d.h5")


@pytest.mark.extra
@pytest.mark.slow
def test_hdf5_as_studiogan_and_biggan_write_it(tmp_path):
    import h5py

    for name, n in (("CIFAR10_32_train.hdf5", 12), ("CIFAR10_32_test.hdf5", 4)):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("imgs", data=X[:n].transpose(0, 3, 1, 2), chunks=(4, 3, 8, 8))
            file.create_dataset("labels", data=Y[:n].astype(np.int64))
    data = opened(tmp_path)
    assert data.source.kind == "hdf5" and len(data) == 12 and len(data.half("test")) == 4
    assert np.array_equal(levels(data, 5), X[5]) and data.labels.tolist() == Y.tolist()
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        file["train/x"], file["train/y"] = X, Y
        file["classes"] = ["a", "b", "c"]
    assert opened(tmp_path / "groups.h5").classes == ("a", "b", "c")
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        file["labels"] = Y
        file.create_dataset("images", (12, 8, 8, 3), "u1", external=[(str(tmp_path / "groups.h5"), 0, 2304)])
    with pytest.raises(UserError, match=r"elsewhere\.h5: .*not of plain numbers of this file"):
        opened(tmp_path / "elsewhere.h5")
    (tmp_path / "secret").write_text("of another file\n" * 12)
    for name in ("classes", "labels"):
        with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
            file["images"], more = X, {} if name == "labels" else {"labels": Y}
            file.update(more)
            file.create_dataset(name, (12,), "S16", external=[(str(tmp_path / "secret"), 0, 192)])
        with pytest.raises(UserError, match=rf"elsewhere\.h5: .*{name} is of neither plain numbers nor texts of this"):
            opened(tmp_path / "elsewhere.h5")
    (tmp_path / "elsewhere.h5").write_bytes(b"\x89HDF\r\n\x1a\n nothing")
    with pytest.raises(UserError, match=r"elsewhere\.h5: cannot be read as pictures with labels"):
        opened(tmp_path / "elsewhere.h5")


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, np.nan, np.uint64(2**64 - 1)])
def test_numbers_that_name_no_class_are_a_line(tmp_path, value):
    labels = np.array([*Y[1:], value])
    np.savez(tmp_path / "d.npz", images=X, labels=labels)
    with pytest.raises(UserError, match=r"d\.npz: .*labels has numbers (that are not whole|of classes from )"):
        opened(tmp_path / "d.npz")
