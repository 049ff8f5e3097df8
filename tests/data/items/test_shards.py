"""Data in shards are the data of the folder that was packed; an index is made once, and whenever it must be."""

import json
import os
import tarfile

import pytest
import torch

import train as train_script
from data import Loader
from data.items import shards as module
from data.items.collection import CollectionItem
from options import UserError
from tests.conftest import small_argv
from tests.data.helpers import dataset, images
from tests.data.items.tars import picture, shard
from tests.data.test_image_folder import same
from tests.test_train import differences, state

SMALL = ("--load_size", 20, "--crop_size", 16)
FOLDER = ("trainA/a.png", "trainA/b.png", "trainB/x.jpg", "trainB/y.png", "trainB/z.png", "testA/t.png")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def two_sided(tmp_path, shards=2):
    """A folder, and the same in shards."""
    images(tmp_path / "d", *FOLDER)
    for number in range(shards):
        files = {name: (tmp_path / "d" / name).read_bytes() for name in FOLDER[number::shards]}
        shard(tmp_path / f"s/{number:03}.tar", files)
    return tmp_path / "d", f"shards:{tmp_path}/s"


def by_name(data, side):
    files = data.sides[side]
    return {str(path).rpartition("/")[2]: data.pixels(path, 3, side=side) for path in files}


def made(monkeypatch):
    """How often an index was made."""
    calls = []
    make = module.Shards._make
    monkeypatch.setattr(module.Shards, "_make", lambda self: calls.append(1) or make(self))
    return calls


# -- unaligned ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("train", [True, False])
def test_shards_are_the_folder_that_was_packed(tmp_path, train):
    root, packed = two_sided(tmp_path)
    one, other = (dataset("unaligned", "--dataroot", where, *SMALL, train=train) for where in (root, packed))
    assert len(one) == len(other) and one.has_val() == other.has_val() is False
    for side in "AB":
        first, second = by_name(one, side), by_name(other, side)
        assert first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)
    place = "000.tar/trainA/a.png" if train else "001.tar/testA/t.png"
    assert f"{tmp_path}/s/{place}" in {str(item) for item in other.sides["A"]}
    assert dict(one[0]).keys() == dict(other[0]).keys()


@pytest.mark.parametrize(
    "layout",
    [
        {"x.tar": ["TrainA/0.png", "trainb/0.png", "ValA/0.png"]},
        {"trainA-000.tar": ["0.png"], "trainB-000.tar": ["0.png"], "valA-000.tar": ["0.png"]},
        {"trainA/0.tar": ["0.png"], "trainB/0.tar": ["0.png"], "validationA/0.tar": ["0.png"]},
    ],
)
def test_sides_are_told_by_folders_and_by_names_of_shards(tmp_path, layout):
    for name, members in layout.items():
        shard(tmp_path / name, dict.fromkeys(members, 0))
    data = dataset("unaligned", "--dataroot", f"shards:{tmp_path}", *SMALL)
    assert [len(files) for files in data.sides.values()] == [1, 1]
    test = dataset("unaligned", "--dataroot", f"shards:{tmp_path}", *SMALL, train=False)
    assert len(test) == 1 and "A" in test[0]  # of val, for there is no test


def test_two_roots_hold_out_by_name(tmp_path, capsys):
    a = shard(tmp_path / "photos/0.tar", {f"{i}.jpg": picture(i, kind="JPEG") for i in range(20)}).parent
    images(tmp_path / "paintings", *(f"{i}.png" for i in range(10)))
    words = ("--A", f"shards:{a}", "--B", tmp_path / "paintings", *SMALL, "--checkpoints_dir", tmp_path, "--name", "r")
    train = dataset("unaligned", *words)
    assert "held out for test.py: 2 of 20 of A and 1 of 10 of B" in capsys.readouterr().err
    (tmp_path / "r").mkdir()
    train.save_files(tmp_path / "r")
    kept = json.loads((tmp_path / "r/held_out.json").read_text())
    assert kept["A"]["folder"] == f"shards:{a}" and all(name.startswith("0.tar/") for name in kept["A"]["files"])
    assert {str(item) for item in train.sides["A"]}.isdisjoint(f"{a}/{name}" for name in kept["A"]["files"])
    (tmp_path / "r/train_opt.yaml").write_text(f"A: shards:{a}\nB: {tmp_path}/paintings\n")
    test = dataset("unaligned", *words, train=False)
    assert sorted(str(item) for item in test.sides["A"]) == sorted(f"{a}/{name}" for name in kept["A"]["files"])


@pytest.mark.parametrize(
    ("members", "words", "line"),
    [
        ({"x/0.png": 0}, (), r"no images in trainA and trainB; .* found 1 pictures of 1 shards, in x/.*--A and --B"),
        ({"notes.md": "x"}, (), r"no images in trainA and trainB; .* found 0 pictures"),
        ({"trainA/0.png": 0, "trainB/0.png": 0}, ("--dataset_mode", "aligned"), "--dataset_mode aligned reads folders"),
    ],
)
def test_what_cannot_be_trained_on_is_a_line(tmp_path, members, words, line):
    shard(tmp_path / "0.tar", members)
    mode = words[1] if words else "unaligned"
    with pytest.raises(UserError, match=rf"--dataroot shards:{tmp_path}: {line}"):
        dataset(mode, "--dataroot", f"shards:{tmp_path}", *SMALL)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_order_is_of_the_seed_and_the_epoch_whatever_the_workers(tmp_path):
    _, packed = two_sided(tmp_path)
    words = ("--dataroot", packed, *SMALL, "--seed", 3)
    data = dataset("unaligned", *words)
    whole = list(Loader(data, data.opt).epoch(2))
    assert same(list(Loader(data, data.opt).epoch(2, start=1)), whole[1:])
    threads = dataset("unaligned", *words, "--num_threads", 1)
    loader = Loader(threads, threads.opt)
    assert same(list(loader.epoch(2)), whole)
    loader.close()


@pytest.mark.exhaustive
def test_a_run_from_shards_is_resumed_bit_for_bit(tmp_path, dataroot):
    files = sorted(dataroot.rglob("*.png"))
    for number in range(3):
        shard(
            tmp_path / f"s/{number}.tar",
            {path.relative_to(dataroot).as_posix(): path.read_bytes() for path in files[number::3]},
        )
    words = ("--no_html", "--n_epochs", 1, "--n_epochs_decay", 0)
    for folder, more in (("whole", ()), ("cut", ("--max_steps", 3))):
        assert train_script.main(small_argv(f"shards:{tmp_path}/s", tmp_path / folder, *words, *more)) == 0
    (tmp_path / "s").rename(tmp_path / "moved")
    assert (
        train_script.main(
            small_argv(f"shards:{tmp_path}/moved", tmp_path / "cut", "--continue_train", "--max_steps", 0)
        )
        == 0
    )
    assert differences(state(tmp_path / "whole"), state(tmp_path / "cut")) == []
    assert state(tmp_path / "whole")[".progress.step"] == 7


# -- classes -----------------------------------------------------------------------------------------------------------


def labeled(root, *words, train=True):
    return dataset("labeled", "--dataroot", f"shards:{root}", "--crop_size", 8, *words, train=train)


def test_classes_of_folders_and_phases(tmp_path, capsys):
    shard(tmp_path / "0.tar", {"d/train/cat/0.png": 0, "d/train/dog/0.png": 1, "d/test/dog/0.png": 2, "d/x.md": "x"})
    shard(tmp_path / "1.tar", {"./d/train/cat/0.png": 3, "d/train/cat/.x.png": b"", "d/train/dog/1.jpeg": 4})
    data = labeled(tmp_path)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1, 0, 1] and data.source.kind == "shards"
    assert data[2]["image_paths"] == f"{tmp_path}/1.tar/d/train/cat/0.png"
    test = labeled(tmp_path, train=False)
    assert test.labels.tolist() == [1] and "1 files are not read: 1 .md" in capsys.readouterr().err


def test_classes_that_are_written_beside(tmp_path, capsys):
    for number in range(2):
        files = {}
        for i in range(6):
            files |= {
                f"{number}{i}.jpg": picture(i),
                f"{number}{i}.seg.png": i,
                f"{number}{i}.cls": f"{10 * (i % 3)}\n",
            }
        shard(tmp_path / f"{number}.tar", files | {"last.png": 9, "odd.png": 9, "odd.cls": "../x"})
    data = labeled(tmp_path, "--phase", "all")
    assert data.classes == ("0", "10", "20") and data.labels.tolist() == [0, 1, 2] * 4
    told = capsys.readouterr().err
    assert "4 of 16 pictures are left out, which have no class" in told and "12 .seg.png" in told
    assert "2 classes or captions cannot be used: the class of odd is no name: ../x" in told
    shard(
        tmp_path / "j/0.tar",
        {f"{n}.{kind}": value for n in "abcd" for kind, value in (("png", 0), ("json", f'{{"label": "{n > "b"}"}}'))},
    )
    assert labeled(tmp_path / "j", "--phase", "all").classes == ("False", "True")


def test_what_is_held_out_is_that_of_names(tmp_path):
    shard(tmp_path / "0.tar", {f"{c}/{i}.png": i for c in ("cat", "dog") for i in range(10)})
    train, test = labeled(tmp_path), labeled(tmp_path, train=False)
    assert (len(train), len(test)) == (16, 4) and test.labels.tolist() == [0, 0, 1, 1]
    assert {item["image_paths"] for item in map(train.__getitem__, range(16))}.isdisjoint(
        item["image_paths"] for item in map(test.__getitem__, range(4))
    )


def test_a_source_and_a_root_that_do_not_go_together(tmp_path):
    shard(tmp_path / "0.tar", {"a/0.png": 0, "b/0.png": 0})
    with pytest.raises(UserError, match=r"--source digits --dataroot shards:.*leave --source out"):
        labeled(tmp_path, "--source", "digits")
    with pytest.raises(UserError, match="--source shards --dataroot digits: give --dataroot shards"):
        dataset("labeled", "--dataroot", "digits", "--source", "shards")
    shard(tmp_path / "u/0.tar", {"trainA/0.png": 0, "trainB/0.png": 0})
    with pytest.raises(UserError, match="trainA and trainB hold no classes; they are for --dataset_mode unaligned"):
        labeled(tmp_path / "u")
    with pytest.raises(UserError, match="no such shard"):
        labeled(tmp_path / "none")


# -- captions ----------------------------------------------------------------------------------------------------------


def test_captions_of_texts_and_json(tmp_path, capsys):
    shard(
        tmp_path / "0.tar",
        {
            **{"a.png": 0, "a.txt": "A red\tbox.\n\nA box \na red box\n", "b.png": 1, "b.json": '{"caption": "A dog"}'},
            **{"c.png": 2, "c.json": '{"captions": ["One", "Two", 3]}', "d.png": 3, "e.png": 4, "e.txt": b"\xff"},
        },
    )
    data = dataset("caption", "--dataroot", f"shards:{tmp_path}", "--crop_size", 8, "--phase", "all")
    assert list(data.pictures.captions) == [("A red box.", "A box"), ("A dog",), ("One", "Two")]
    item = data[0]
    assert item["caption"] in ("A red box.", "A box") and item["said"].shape == (1,)
    assert item["image_paths"] == f"{tmp_path}/0.tar/a.png"
    told = capsys.readouterr().err
    assert "2 of 5 pictures are left out, which have no caption" in told and "e.txt is not UTF-8" in told
    levels = data.levels("all")
    assert levels.captions == ["A red box.", "A dog", "One"] and levels.shown.shape == (3, 1)
    images, exact = data.find("a DOG", 3)
    assert exact and len(images) == 1
    with pytest.raises(UserError, match=r"--caption_file x\.csv: captions of shards lie in them"):
        dataset("caption", "--dataroot", f"shards:{tmp_path}", "--caption_file", "x.csv")


def test_captions_of_phases(tmp_path):
    for phase in ("train", "val"):
        shard(tmp_path / f"coco-{phase}-00.tar", {"0.png": 0, "0.txt": f"{phase} 0", "1.png": 1, "1.txt": f"{phase} 1"})
    words = ("--dataroot", f"shards:{tmp_path}", "--crop_size", 8)
    assert dataset("caption", *words).captions == ("train 0", "train 1")
    assert dataset("caption", *words, train=False).captions == ("val 0", "val 1")
    shard(tmp_path / "n/0.tar", {"0.png": 0})
    with pytest.raises(UserError, match=r"no captions; expected a \.txt or a \.json"):
        dataset("caption", "--dataroot", f"shards:{tmp_path}/n")


# -- the index ---------------------------------------------------------------------------------------------------------


def test_an_index_is_made_once_and_again_when_a_shard_changes(tmp_path, monkeypatch, capsys):
    calls = made(monkeypatch)
    path = shard(tmp_path / "s/0.tar", {f"{i}.png": i for i in range(4)})
    assert len(labeled(tmp_path / "s", "--phase", "all")) == 4 and len(labeled(tmp_path / "s", train=False)) == 1
    assert "4 pictures in 1 shards; the index was made in" in capsys.readouterr().err and len(calls) == 1
    index = next((tmp_path / "s").glob(".*.index"))
    (tmp_path / "s").rename(tmp_path / "t")  # moved together they stay together
    assert len(labeled(tmp_path / "t", "--phase", "all")) == 4 and len(calls) == 1
    shard(tmp_path / "t/0.tar", {f"{i}.png": i for i in range(5)})
    assert len(labeled(tmp_path / "t", "--phase", "all")) == 5 and len(calls) == 2
    os.utime(tmp_path / "t/0.tar", ns=(1, 1))
    labeled(tmp_path / "t", "--phase", "all")
    assert len(calls) == 3 and [p.name for p in (tmp_path / "t").glob(".*")] == [index.name] and path.name == "0.tar"


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "numbers", "link"])
def test_a_damaged_index_is_made_anew(tmp_path, monkeypatch, damage):
    calls = made(monkeypatch)
    shard(tmp_path / "s/0.tar", {f"{i}.png": i for i in range(4)})
    labeled(tmp_path / "s", "--phase", "all")
    index = next((tmp_path / "s").glob(".*.index"))
    data = bytearray(index.read_bytes())
    if damage == "numbers":
        place = data.index(b"\n") + 1
        data[place : place + 16] = b"\xff" * 16
    content = {"cut": data[:-50], "empty": b"", "foreign": b"x" * 1000, "numbers": data, "link": b""}[damage]
    index.write_bytes(content)
    if damage == "link":
        index.unlink()
        index.symlink_to("/dev/zero")
    assert len(labeled(tmp_path / "s", "--phase", "all")) == 4 and len(calls) == 2
    labeled(tmp_path / "s", "--phase", "all")
    assert len(calls) == 2


def test_the_index_of_a_folder_that_is_not_ours_lies_in_the_cache(tmp_path, monkeypatch, capsys):
    calls, write = made(monkeypatch), module.write_columns

    def only(*places):
        def refusing(path, *rest):
            if not any(path.is_relative_to(place) for place in places):
                raise PermissionError(13, "Permission denied", str(path))
            write(path, *rest)

        monkeypatch.setattr(module, "write_columns", refusing)

    shard(tmp_path / "s/0.tar", {"a/0.png": 0, "b/0.png": 0})
    only(tmp_path / "cache")
    labeled(tmp_path / "s", "--phase", "all")
    assert f"is kept in {tmp_path}/cache/diptych/" in capsys.readouterr().err
    labeled(tmp_path / "s", "--phase", "all")
    assert len(calls) == 1 and not list((tmp_path / "s").glob(".*"))
    only(tmp_path / "mine")
    labeled(tmp_path / "s", "--phase", "all", "--shard_cache_dir", tmp_path / "mine")
    assert len(calls) == 2 and list((tmp_path / "mine").glob("*.index"))
    only()
    with pytest.raises(UserError, match=r"no place for its index .*Permission denied.*--shard_cache_dir"):
        labeled(tmp_path / "s", "--phase", "all", "--shard_cache_dir", tmp_path / "other")


# -- what is damaged ---------------------------------------------------------------------------------------------------


def test_a_shard_that_is_cut_short_is_named(tmp_path, capsys):
    for number in range(2):
        shard(tmp_path / f"{number}.tar", {f"{c}/{number}{i}.png": i for i in range(4) for c in "ab"})
    data = (tmp_path / "1.tar").read_bytes()
    (tmp_path / "1.tar").write_bytes(data[: len(data) // 2 - 700])
    with pytest.raises(UserError, match=rf"^{tmp_path}/1\.tar: it is cut short in ./1..png, after . pictures; .*skip"):
        labeled(tmp_path, "--phase", "all")
    kept = labeled(tmp_path, "--phase", "all", "--on_bad_image", "skip")
    assert 8 < len(kept) < 16 and len(list(Loader(kept, kept.opt).epoch())) == len(kept)
    assert f"skipped: {tmp_path}/1.tar: it is cut short" in capsys.readouterr().err


def test_a_picture_that_is_none_is_skipped_as_in_a_folder(tmp_path, capsys):
    shard(tmp_path / "0.tar", {"trainA/0.png": 0, "trainA/1.png": b"nothing", "trainA/2.png": b"", "trainB/0.png": 0})
    words = ("--dataroot", f"shards:{tmp_path}", *SMALL)
    with pytest.raises(UserError, match=r"0\.tar/trainA/1\.png: cannot be read \(not an image\); --on_bad_image skip"):
        dataset("unaligned", *words)[1]
    data = dataset("unaligned", *words, "--on_bad_image", "skip")
    assert len(list(Loader(data, data.opt).epoch())) == 3
    told = capsys.readouterr().err
    assert "trainA/2.png: cannot be read (empty file) (2 of 4 files so far)" in told and told.count("skipped") == 2


def test_hostile_members_are_left_out(tmp_path, capsys):
    files = {"a/0.png": 0, "b/0.png": 1, "../out.png": 2, "/abs.png": 3, "a/../../x.png": 4, "c:\\x.png": 5}
    files |= {
        "a/link.png": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        "a/hard.png": {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        **{
            "a/null.png": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
            "a/pipe.png": {"type": tarfile.FIFOTYPE},
        },
    }
    shard(tmp_path / "s/0.tar", files)
    data = labeled(tmp_path / "s", "--phase", "all")
    assert data.classes == ("a", "b") and len(data) == 2
    assert "8 files are left out, that lead out of a shard, are links or devices" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "s"]


def test_a_shard_that_changes_under_a_run_is_a_line(tmp_path):
    shard(tmp_path / "0.tar", {"trainA/0.png": 0, "trainB/0.png": 0})
    data = dataset("unaligned", "--dataroot", f"shards:{tmp_path}", *SMALL)
    data.shards["dataroot"].store._open.clear()
    shard(tmp_path / "0.tar", {"trainA/0.png": 1, "trainB/0.png": 2})
    with pytest.raises(UserError, match=r"0\.tar: changed after its index was read"):
        data[0]


@pytest.mark.parametrize("name", ["x.npy", "x.tif", "x.png", "x.webp"])
def test_pictures_of_every_kind_are_what_they_are_in_a_folder(tmp_path, name):
    import numpy as np

    from util.heads import read_head
    from util.images import read_pixels, read_values, save_levels

    levels = np.random.default_rng(0).integers(0, 65536, (6, 5, 3)).astype(np.uint16)
    path = tmp_path / name
    if name.endswith("webp"):
        path.write_bytes(picture(kind="WEBP"))
    else:
        save_levels(levels, path)
    shard(tmp_path / "s/0.tar", {name: path.read_bytes()})
    data = labeled(tmp_path / "s", "--phase", "all")
    item = data.pictures.paths[0]
    assert isinstance(item, CollectionItem) and item.name == name and item == data.pictures.paths[0]
    for read in (read_pixels, read_values):
        one, other = read(path, 3), read(item, 3)
        assert np.array_equal(one[0], other[0]) and read_head(path) == read_head(item)
    assert torch.isfinite(data[0]["image"]).all()
    with pytest.raises(UserError, match=rf"{tmp_path}/s/0\.tar/{name}: has 3 channels, not 2"):
        read_pixels(item, 2)
