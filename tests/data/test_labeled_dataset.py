import gzip
import json

import numpy as np
import pytest
import torch
from PIL import Image

from data import Loader
from data.pictures.choice import share
from data.pictures.sources import LOOKED_AT, look
from options import UserError

from .helpers import dataset, images
from .test_image_folder import same

DIGITS = ("--dataroot", "digits", "--crop_size", 8)


def folder(root, layout, size=(16, 16), mode="RGB"):
    """Write pictures of one colour, {folder: how many}; each has a colour of its own."""
    shade = iter(range(10, 250))
    for place, count in layout.items():
        (root / place).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (next(shade), 0, 40)).convert(mode).save(root / place / f"{i:02d}.png")
    return root


def shades(data):
    return {round(float((item["image"][0, 0, 0] + 1) * 127.5)) for item in (data[i] for i in range(len(data)))}


# -- items -------------------------------------------------------------------------------------------------------------


def test_a_batch():
    data = dataset("labeled", *DIGITS, "--batch_size", 16)
    batch = next(Loader(data, data.opt).epoch())
    assert batch["image"].shape == (16, 1, 8, 8) and batch["image"].dtype == torch.float32
    assert batch["label"].dtype == torch.int64 and batch["label"].shape == (16,)
    assert [path[0] for path in batch["image_paths"]] == [str(label) for label in batch["label"].tolist()]
    assert data.classes == tuple("0123456789") and data.channels == 1 and data.opt.num_threads == 0


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    found, truth = dataset("labeled", *DIGITS, "--phase", "all"), load_digits()
    assert len(found) == 1797 and found.labels.tolist() == truth.target.tolist()
    levels = (found[7]["image"][0] + 1) * 8  # 0 is black, 16 the brightest stroke
    assert torch.allclose(levels, torch.from_numpy(truth.images[7]).float(), atol=8 / 255)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_order_is_shuffled_by_epoch_whatever_the_number_of_workers(tmp_path):
    root = folder(tmp_path / "d", {"cat": 9, "dog": 9}, size=(20, 12))
    words = ("--dataroot", root, "--crop_size", 8, "--batch_size", 4, "--random_crop")
    streams = []
    for threads in (0, 2):
        data = dataset("labeled", *words, "--num_threads", threads)
        loader = Loader(data, data.opt)
        streams.append([batch for number in (1, 2) for batch in loader.epoch(number)])
        loader.close()
    assert same(*streams) and len(streams[0]) == 6
    assert streams[0][0]["image_paths"] != streams[0][3]["image_paths"]


def test_names_of_classes_may_hold_commas(tmp_path):
    root = folder(tmp_path / "d", {"cat": 3, "dog, black": 3, "dog, white": 3, "dog": 3})
    for words, classes in (
        (("dog, black", "cat"), ("cat", "dog, black")),
        (("dog,white,dog",), ("dog", "dog, white")),
        (("dog",), ("dog",)),
    ):
        assert dataset("labeled", "--dataroot", root, "--classes_used", *words).classes == classes
    with pytest.raises(UserError, match="--classes_used grey: no such class"):
        dataset("labeled", "--dataroot", root, "--classes_used", "dog, grey")


@pytest.mark.slow
def test_mirroring_is_off_where_it_changes_the_class(tmp_path):
    root = folder(tmp_path / "d", {"cat": 3, "dog": 3})
    for words, expected in (
        (DIGITS, False),
        ((*DIGITS, "--flip", "true"), True),
        (("--dataroot", root), True),
        (("--dataroot", root, "--flip", "false"), False),
        (("--source", "glyphs", "--charset", "greek", "--target_font", "DejaVuSans"), False),
    ):
        assert dataset("labeled", *words).mirrors is expected
    tested = dataset("labeled", *DIGITS, "--flip", "true", "--max_dataset_size", 60, train=False)
    assert torch.equal(torch.stack([tested[i]["image"] for i in range(60)]), tested.arrays("test")[0])
    plain, mirrored = dataset("labeled", *DIGITS), dataset("labeled", *DIGITS, "--flip", "true")
    turned = [not torch.equal(plain[i]["image"], mirrored[i]["image"]) for i in range(60)]
    assert 15 < sum(turned) < 45
    assert torch.equal(plain[turned.index(True)]["image"].flip(2), mirrored[turned.index(True)]["image"])
    assert torch.equal(torch.stack([plain[i]["image"] for i in range(60)]), mirrored.arrays("train")[0][:60])


def test_pictures_that_are_not_square_are_cut(tmp_path, capsys):
    (tmp_path / "d/cat").mkdir(parents=True)
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (16, 1))  # its brightness says which part was cut out
    for n in range(5):
        Image.fromarray(ramp).save(tmp_path / f"d/cat/{n}.png")
    words = ("--dataroot", tmp_path / "d", "--crop_size", 16, "--test_fraction", 0, "--flip", "false")
    middle = dataset("labeled", *words)[0]["image"]
    assert middle.shape == (1, 16, 16) and ((middle[0, 0] + 1) * 127.5).round().tolist() == list(range(96, 160, 4))
    assert "5 of 5 pictures are not square; their shorter side becomes --crop_size 16" in capsys.readouterr().err
    wide = ("--crop_size", "32x16")  # scaled to cover it, as it is here
    middle_of_wide = dataset("labeled", *words, *wide)[0]["image"]
    assert ((middle_of_wide[0, 0] + 1) * 127.5).round().tolist() == list(range(64, 192, 4))
    told = "5 of 5 pictures are not of 32x16; they are scaled to cover --crop_size 32x16 and the middle is cut out"
    assert told in capsys.readouterr().err
    assert dataset("labeled", *words, "--crop_size", "8x16")[0]["image"].shape == (1, 16, 8)
    data = dataset("labeled", *words, "--random_crop")
    assert len({round(float(data[i]["image"][0, 0, 0]), 3) for i in range(5)}) > 2
    assert torch.equal(data.arrays("train")[0][0], middle)  # what is measured is not augmented


def test_channels_are_those_of_the_data_unless_asked_for(tmp_path):
    grey, colour = folder(tmp_path / "g", {"a": 2, "b": 2}, mode="L"), folder(tmp_path / "c", {"a": 2, "b": 2})
    Image.new("L", (16, 16)).save(colour / "a/grey.png")
    for root, more, expected in (
        (grey, (), 1),
        (colour, (), 3),
        (grey, ("--output_nc", 3), 3),
        (colour, ("--output_nc", 1), 1),
    ):
        data = dataset("labeled", "--dataroot", root, *more)
        assert data.channels == expected and data[0]["image"].shape == (expected, 32, 32)
    three = dataset("labeled", *DIGITS, "--output_nc", 3)[0]["image"]
    assert torch.equal(three, dataset("labeled", *DIGITS)[0]["image"].repeat(3, 1, 1))
    for channels in (2, 4):
        with pytest.raises(UserError, match=f"--output_nc {channels}: choose from 0, 1, 3"):
            dataset("labeled", "--dataroot", colour, "--output_nc", channels)


def test_a_look_at_many_files_is_short(tmp_path):
    root = folder(tmp_path / "d", {"a": 3})
    data = dataset("labeled", "--dataroot", root, "--phase", "all")
    many = data.pictures.take(np.arange(3).repeat(LOOKED_AT))
    assert look(many) == (False, 0, LOOKED_AT) and look(data.pictures) == (False, 0, 3)


def test_unreadable_pictures_stop_the_run_or_are_left_out(tmp_path, capsys):
    root = folder(tmp_path / "d", {"a": 3, "b": 3})
    (root / "a/00.png").write_bytes(b"no picture")
    words = ("--dataroot", root, "--phase", "all", "--batch_size", 3)
    data = dataset("labeled", *words)
    with pytest.raises(UserError, match=r"00\.png: cannot be read .*; --on_bad_image skip leaves such files out"):
        list(Loader(data, data.opt).epoch())
    data = dataset("labeled", *words, "--on_bad_image", "skip")
    assert len(list(Loader(data, data.opt).epoch())) == 2 and len(data.arrays("all")[0]) == 5
    assert capsys.readouterr().err.count("skipped:") == 1


# -- which pictures are for what ---------------------------------------------------------------------------------------


def test_the_share_held_out_is_disjoint_stratified_and_drawn_by_the_seed():
    halves = {phase: dataset("labeled", *DIGITS, "--phase", phase, train=False) for phase in ("train", "test", "all")}
    names = {phase: set(data.pictures.names) for phase, data in halves.items()}
    assert not names["train"] & names["test"] and names["train"] | names["test"] == names["all"]
    whole, test = (torch.bincount(halves[phase].labels) for phase in ("all", "test"))
    assert test.tolist() == (whole * 0.2).round().long().tolist()
    assert set(dataset("labeled", *DIGITS).pictures.names) == names["train"]
    assert set(dataset("labeled", *DIGITS, "--split_seed", 1).pictures.names) != names["train"]
    assert len(dataset("labeled", *DIGITS, "--test_fraction", 0)) == 1797


def test_a_class_of_two_gives_one_to_the_test(tmp_path, capsys):
    root = folder(tmp_path / "d", {"one": 1, "two": 2, "ten": 10})
    train, test = dataset("labeled", "--dataroot", root), dataset("labeled", "--dataroot", root, train=False)
    assert train.classes == test.classes == ("one", "ten", "two")
    assert torch.bincount(train.labels).tolist() == [1, 8, 1] and test.labels.tolist() == [1, 1, 2]
    said = capsys.readouterr()
    assert "folder: 3 classes, 10 pictures to train on: 1 of one to 8 of ten" in said.out
    assert "2 classes have fewer than two pictures (one, two)" in said.err
    dataset("labeled", "--dataroot", root, "--test_fraction", 0)
    assert "1 class has fewer than two pictures (one)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test", "val"])
def test_folders_of_phases(name, tmp_path):
    root = folder(tmp_path / "d", {"train/cat": 3, "train/dog/puppies": 2, f"{name}/cat": 1, f"{name}/dog": 1})
    train, test = dataset("labeled", "--dataroot", root), dataset("labeled", "--dataroot", root, train=False)
    assert (len(train), len(test), train.classes) == (5, 2, ("cat", "dog"))
    assert not shades(train) & shades(test) and test.labels.tolist() == [0, 1]
    assert len(train.arrays("test")[0]) == 2 and len(train.arrays("all")[0]) == 7
    assert train.arrays("train")[0].shape == (5, 3, 32, 32)


def test_a_class_may_be_called_train(tmp_path):
    root = folder(tmp_path / "d", {"bus": 2, "train": 2})
    assert dataset("labeled", "--dataroot", root).classes == ("bus", "train")


def test_classes_by_name(tmp_path):
    data = dataset("labeled", *DIGITS, "--classes_used", "7", "3")
    assert data.classes == ("3", "7") and set(data.labels.tolist()) == {0, 1}
    assert all(data[i]["image_paths"][0] == "37"[data[i]["label"]] for i in range(20))
    with pytest.raises(UserError, match=r"--classes_used dgo: no such class; did you mean dog\?; there are cat, dog"):
        dataset("labeled", "--dataroot", folder(tmp_path / "d", {"cat": 2, "dog": 2}), "--classes_used", "dgo")


def test_a_small_part_has_every_class():
    data = dataset("labeled", *DIGITS, "--max_dataset_size", 25)
    assert torch.bincount(data.labels).tolist() == [3] * 5 + [2] * 5
    assert len(data.arrays("train")[1]) == 25 and len(data.arrays("test")[1]) > 300


def test_arrays_of_a_limit_are_drawn_from_all():
    data = dataset("labeled", *DIGITS)
    (x, y), (again, _) = data.arrays("test", 100), data.arrays("test", 100)
    assert x.shape == (100, 1, 8, 8) and torch.equal(x, again) and len(set(y.tolist())) == 10
    assert x.min() == -1 and x.max() == 1


def test_a_limit_takes_of_every_class_in_proportion():
    labels = np.array([5] * 100 + [2] * 50 + [7] * 10)
    rows = share(labels, 32, seed=0)
    assert np.bincount(labels[rows], minlength=8).tolist() == [0, 0, 10, 0, 0, 20, 0, 2]
    assert len(set(rows)) == 32 and (np.diff(rows) > 0).all() and not np.array_equal(rows, share(labels, 32, seed=1))
    data = dataset("labeled", *DIGITS)
    assert set(torch.bincount(data.arrays("test", 36)[1]).tolist()) == {3, 4}


def test_levels_are_the_arrays_in_bytes_of_the_classes_asked_for(tmp_path):
    data = dataset("labeled", *DIGITS)
    (x, y), (levels, labels, there) = data.arrays("test"), data.levels("test", among=(3, 8))
    kept = (y == 3) | (y == 8)
    assert levels.dtype == torch.uint8 and torch.equal(labels, y[kept]) and there == len(labels)
    assert torch.equal(levels.float() / 127.5 - 1, x[kept])
    few, labels, counted = data.levels("test", 10, (3, 8))
    assert few.shape == (10, 1, 8, 8) and counted == there and torch.bincount(labels)[[3, 8]].tolist() == [5, 5]
    (tmp_path / "d/deep").mkdir(parents=True)
    np.save(tmp_path / "d/deep/0.npy", np.full((8, 8), 0.75, dtype=np.float32))  # of [0, 1]: level 191.25
    deep = dataset("labeled", "--dataroot", tmp_path / "d", "--crop_size", 8, "--test_fraction", 0)
    assert deep.levels("train")[0].unique().tolist() == [191] and deep.arrays("train")[0].unique().tolist() == [0.5]
    with pytest.raises(UserError, match="--phase test: no pictures of these classes"):
        data.levels("test", among=())


def test_what_is_wrong_with_a_folder_is_said(tmp_path, capsys):
    with pytest.raises(UserError, match=r"--dataroot \S+nowhere: no such folder"):
        dataset("labeled", "--dataroot", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"--dataroot placeholder: give a folder .* or digits"):
        dataset("labeled")
    (tmp_path / "empty/cat").mkdir(parents=True)
    with pytest.raises(UserError, match=r"expected a folder of pictures for each class, found folders without .*\(cat"):
        dataset("labeled", "--dataroot", tmp_path / "empty")
    unaligned = folder(tmp_path / "u", {"trainA": 2, "trainB": 2})
    with pytest.raises(UserError, match="they are for --dataset_mode unaligned"):
        dataset("labeled", "--dataroot", unaligned)
    root = folder(tmp_path / "d", {"train/cat": 2, "train/dog": 2, "train/void": 0, "test/cat": 1, "test/fox": 1})
    images(root / "train", "loose.png")
    dataset("labeled", "--dataroot", root)
    told = capsys.readouterr().err
    assert "no pictures of void; left out as classes" in told and "1 pictures beside the folders" in told
    assert len(dataset("labeled", "--dataroot", root, train=False)) == 1
    assert "fox is no class of the training" in capsys.readouterr().err
    flat = dataset("labeled", "--dataroot", folder(tmp_path / "flat", {".": 4}))
    assert flat.classes == ("flat",) and "one class: enough for a model without classes" in capsys.readouterr().err
    for words, message in (
        (("--phase", "test"), "--phase test: choose train or all"),
        (("--test_fraction", 1), "--test_fraction 1.0: must be below 1"),
        (("--download",), "--download with --source auto: give one of cifar10"),
    ):
        with pytest.raises(UserError, match=message):
            dataset("labeled", *DIGITS, *words)


# -- a run and its tests -----------------------------------------------------------------------------------------------


def test_labels_mean_in_a_test_what_they_meant_in_training(tmp_path, capsys):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    root = folder(tmp_path / "d", {"bee": 5, "cat": 5, "dog": 5})
    train = dataset("labeled", "--dataroot", root, *run, "--split_seed", 3)
    train.save_files(tmp_path / "run")
    assert json.loads((tmp_path / "run/classes.json").read_text()) == {
        "classes": ["bee", "cat", "dog"],
        "channels": 3,
        "source": "folder",
        "split_seed": 3,
        "test_fraction": 0.2,
    }
    test = dataset("labeled", "--dataroot", root, *run, train=False)  # of another seed: the run's split counts
    assert not set(test.pictures.names) & set(train.pictures.names) and len(test) == 3
    other = folder(tmp_path / "o", {"ant": 2, "dog": 2}, mode="L")
    capsys.readouterr()
    test = dataset("labeled", "--dataroot", other, *run, "--phase", "all", train=False)
    assert test.classes == train.classes and test.labels.tolist() == [2, 2] and test.channels == 3
    assert "ant: no class of run; left out" in capsys.readouterr().err
    assert dataset("labeled", "--dataroot", root, *run, "--continue_train").seed == 3
    (tmp_path / "run/classes.json").write_text('{"classes": []}')
    with pytest.raises(UserError, match=r"classes\.json: not a table of classes"):
        dataset("labeled", "--dataroot", root, *run, train=False)


def test_a_test_without_the_data_knows_the_classes(tmp_path, capsys):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    gone = ("--dataroot", tmp_path / "gone")
    dataset("labeled", *DIGITS, *run, "--classes_used", "1,2").save_files(tmp_path / "run")
    data = dataset("labeled", *gone, *run, train=False)
    assert (data.present, len(data), data.classes, data.channels) == (False, 0, ("1", "2"), 1)
    assert data.labels.shape == (0,) and "going on without the data, with the classes of run" in capsys.readouterr().err
    for use in (lambda: data.arrays("test"), lambda: Loader(data, data.opt)):
        with pytest.raises(UserError, match="gone: no such folder"):
            use()
    with pytest.raises(UserError, match="no such folder"):  # there is no such run
        dataset("labeled", *gone, "--checkpoints_dir", tmp_path, "--name", "other", train=False)


def test_a_run_on_everything_keeps_nothing_for_a_test(tmp_path):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    dataset("labeled", *DIGITS, *run, "--phase", "all").save_files(tmp_path / "run")
    assert len(dataset("labeled", *DIGITS, *run, train=False)) == 0


# -- formats, as their authors distribute them -------------------------------------------------------------------------

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 0, 2, 1, 3, 0, 2, 1, 0, 2, 3])
NAMES = ("ape", "bat", "cat", "dog")


def found(root, *words, phase="train", train=True):
    data = dataset("labeled", "--dataroot", root, *words, "--phase", phase, "--flip", "false", train=train)
    array = torch.stack([data[i]["image"] for i in range(len(data))])
    return data, ((array + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def written_by_python_2(**fields):
    """A pickle, protocol 2, of {str: str | [int] | array of bytes} as Python 2 writes it."""

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    def number(value):
        return b"J" + int(value).to_bytes(4, "little", signed=True)

    def item(value):
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return b"](" + b"".join(text(v) if isinstance(v, str) else number(v) for v in value) + b"e"
        dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + number(-1) + number(-1) + b"K\x00tb"
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        size = value.nbytes.to_bytes(4, "little")
        shape = number(value.shape[0]) + number(value.shape[1]) + b"\x86"
        return made + b"(K\x01" + shape + dtype + b"\x89T" + size + value.tobytes() + b"tb"

    return b"\x80\x02}(" + b"".join(text(name) + item(value) for name, value in fields.items()) + b"u."


def planes(pixels):
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


def cifar10_for_python(root):
    place = root / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for n in range(6):
        rows, labels = planes(PIXELS[2 * n : 2 * n + 2]), LABELS[2 * n : 2 * n + 2].tolist()
        batch = written_by_python_2(batch_label=f"batch {n}", labels=labels, data=rows, filenames=["a.png", "b.png"])
        (place / ("test_batch" if n == 5 else f"data_batch_{n + 1}")).write_bytes(batch)
    (place / "batches.meta").write_bytes(written_by_python_2(label_names=list(NAMES)))
    return place


def cifar10_binary(root):
    place = root / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for n in range(6):
        rows = np.hstack([LABELS[2 * n : 2 * n + 2, None].astype(np.uint8), planes(PIXELS[2 * n : 2 * n + 2])])
        (place / ("test_batch.bin" if n == 5 else f"data_batch_{n + 1}.bin")).write_bytes(rows.tobytes())
    (place / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return place


@pytest.mark.parametrize("write", [cifar10_for_python, cifar10_binary])
def test_cifar10(write, tmp_path):
    place = write(tmp_path / "d")
    for root in (tmp_path / "d", place):
        data, array = found(root)
        assert data.source.kind == "cifar10" and data.classes == NAMES and data.labels.tolist() == LABELS[:10].tolist()
        assert np.array_equal(array, PIXELS[:10])
    data, array = found(tmp_path / "d", phase="test", train=False)
    assert np.array_equal(array, PIXELS[10:]) and data[0]["image_paths"] == "test_cat_00000"
    next(place.glob("data_batch_3*")).unlink()
    with pytest.raises(UserError, match="cifar10 without data_batch_3"):
        found(tmp_path / "d")


def test_cifar100_has_fine_labels(tmp_path):
    fine, rows = LABELS.tolist(), planes(PIXELS)
    for folder_name in ("cifar-100-python", "cifar-100-binary"):
        (tmp_path / folder_name).mkdir()
    batch = written_by_python_2(coarse_labels=[0] * 12, data=rows, fine_labels=fine)
    (tmp_path / "cifar-100-python/train").write_bytes(batch)
    (tmp_path / "cifar-100-python/meta").write_bytes(written_by_python_2(fine_label_names=list(NAMES)))
    front = np.stack([np.zeros(12, np.uint8), LABELS.astype(np.uint8)], axis=1)
    (tmp_path / "cifar-100-binary/train.bin").write_bytes(np.hstack([front, rows]).tobytes())
    (tmp_path / "cifar-100-binary/fine_label_names.txt").write_text("\n".join(NAMES))
    for root in (tmp_path / "cifar-100-python", tmp_path / "cifar-100-binary"):
        data, array = found(root)
        assert data.classes == NAMES and data.labels.tolist() == fine and np.array_equal(array, PIXELS)


def test_a_pickle_runs_nothing(tmp_path):
    place = cifar10_for_python(tmp_path)
    trap = tmp_path / "it ran"
    (place / "data_batch_1").write_bytes(b"cpathlib\nPath.touch\n(cpathlib\nPath\n(V" + str(trap).encode() + b"\ntRtR.")
    with pytest.raises(UserError, match=r"data_batch_1 is damaged.*it names pathlib\.\w+.*, which no batch of CIFAR"):
        found(tmp_path)
    assert not trap.exists()
    (place / "data_batch_1").write_bytes(b"")
    with pytest.raises(UserError, match="data_batch_1 is damaged"):
        found(tmp_path)


@pytest.mark.parametrize("kind, folder_name", [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_files_packed_or_not(kind, folder_name, tmp_path):
    place = tmp_path / folder_name / "raw"
    place.mkdir(parents=True)
    grey = PIXELS[..., 0][:, :28, :28]
    for n, prefix in ((10, "train"), (2, "t10k")):
        head = b"\0\0\x08\x03" + b"".join(side.to_bytes(4, "big") for side in (n, 28, 28))
        (place / f"{prefix}-images-idx3-ubyte").write_bytes(head + grey[:n].tobytes())
        packed = gzip.compress(b"\0\0\x08\x01" + n.to_bytes(4, "big") + LABELS[:n].astype(np.uint8).tobytes())
        (place / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(packed)
    data, array = found(tmp_path, "--crop_size", 28)
    assert data.source.kind == kind and len(data.classes) == 10 and data.labels.tolist() == LABELS[:10].tolist()
    assert (
        np.array_equal(array[..., 0], grey[:10])
        and data.channels == 1
        and data.source.mirrors is (kind == "fashion_mnist")
    )
    assert len(found(tmp_path, phase="test", train=False)[0]) == 2
    with pytest.raises(UserError, match="holds mnist and fashion_mnist; say which with --source mnist"):
        found(place)
    (place / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(UserError, match=f"train-images-idx3-ubyte is damaged, or not {kind}"):
        found(tmp_path)


def test_stl10(tmp_path):
    place = tmp_path / "stl10_binary"
    place.mkdir()
    large = RNG.integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    (place / "train_X.bin").write_bytes(large.transpose(0, 3, 2, 1).tobytes())  # column by column
    (place / "train_y.bin").write_bytes(bytes([1, 4, 2, 2]))
    (place / "class_names.txt").write_text("\n".join(NAMES))
    data, array = found(tmp_path, "--crop_size", 96)
    assert np.array_equal(array, large) and data.labels.tolist() == [0, 3, 1, 1] and data.classes == NAMES
    with pytest.raises(UserError, match=r"stl10 without test_X.bin, test_y.bin, which --phase test reads"):
        found(tmp_path, phase="test", train=False)


def test_svhn_calls_zero_ten(tmp_path):
    from scipy.io import savemat

    digit = np.array([10, 1, 9] * 4, dtype=np.uint8)
    savemat(tmp_path / "train_32x32.mat", {"X": PIXELS.transpose(1, 2, 3, 0), "y": digit[:, None]})
    data, array = found(tmp_path)
    assert np.array_equal(array, PIXELS) and data.labels.tolist() == [0, 1, 9] * 4 and data.source.kind == "svhn"


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr("data.pictures.archives.fetch", lambda kind, root: fetched.append(cifar10_binary(root)))
    words = ("--source", "cifar10", "--dataroot", tmp_path / "d")
    with pytest.raises(UserError, match=r"there is no \S+cifar-10-batches-py/data_batch_1; --download fetches the"):
        dataset("labeled", *words)
    with pytest.raises(UserError, match=r"--source cifar10: give the folder .* with --dataroot"):
        dataset("labeled", *words[:2], "--download")
    assert not fetched
    assert len(dataset("labeled", *words, "--download")) == len(dataset("labeled", *words, "--download")) == 10
    assert len(fetched) == 1


def test_a_download_that_fails_says_so(tmp_path, monkeypatch):
    def refuse(*args, **more):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", refuse)
    with pytest.raises(UserError, match=r"--download: cifar100 could not be fetched into .* \(no route to host\)"):
        dataset("labeled", "--source", "cifar100", "--dataroot", tmp_path, "--download")


# -- glyphs ------------------------------------------------------------------------------------------------------------

GLYPHS = ("--source", "glyphs", "--crop_size", 24, "--target_font", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono")


def test_a_character_is_a_class(tmp_path):
    (tmp_path / "abc.txt").write_text("AB/ö永")
    words = (*GLYPHS, "--charset", tmp_path / "abc.txt")
    data = dataset("labeled", *words, "--phase", "all")
    assert data.classes == ("U+002F", "A", "B", "ö") and len(data) == 4 * 3 * 4 and data.channels == 1
    item = data[data.labels.tolist().index(1)]
    assert item["image_paths"] == "U+0041_A_DejaVuSans_0" and item["image"].shape == (1, 24, 24)
    assert item["image"][0, 0, 0] == 1 and item["image"].min() < -0.8  # dark on white
    drawn = {tuple(data[i]["image"].flatten().tolist()) for i in range(len(data))}
    assert len(drawn) == len(data)  # no two are alike
    assert torch.equal(data[5]["image"], dataset("labeled", *words, "--phase", "all")[5]["image"])


def test_all_drawings_of_a_glyph_are_on_one_side_of_the_split():
    train, test = (dataset("labeled", *GLYPHS, "--charset", "greek", train=train) for train in (True, False))
    sides = [{name.rpartition("_")[0] for name in data.pictures.names} for data in (train, test)]
    assert not sides[0] & sides[1] and len(sides[1]) == 69  # one of three fonts, of each of the charset's 69 letters
    one = (*GLYPHS[:4], "--target_font", "DejaVuSans", "--charset", "greek")
    assert len(dataset("labeled", *one)) == 3 * 69 and len(dataset("labeled", *one, train=False)) == 69


def test_a_font_is_a_class():
    data = dataset("labeled", *GLYPHS, "--charset", "greek", "--class_by", "font", "--glyph_variants", 1)
    assert data.classes == ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono")
    assert torch.bincount(data.labels).tolist() == [55] * 3  # 69 less a fifth
    assert all(data.classes[data[i]["label"]] in data[i]["image_paths"] for i in range(9))


@pytest.mark.slow
def test_drawings_are_turned_and_shrunk_about_the_middle():
    def ink(*words):
        data = dataset("labeled", *GLYPHS[:4], "--target_font", "DejaVuSans", "--charset", "ascii", "--phase", "all",
                       "--glyph_variants", 2, "--classes_used", "H", *words)  # fmt: skip
        return [(1 - data[i]["image"][0]) / 2 for i in range(2)]

    plain, same_again = ink("--glyph_rotation", 0, "--glyph_shrink", 0)
    assert torch.allclose(plain, same_again, atol=2 / 255)
    plain, smaller = ink("--glyph_rotation", 0, "--glyph_shrink", 0.5)
    assert 0.25 * plain.sum() < smaller.sum() < plain.sum()
    plain, turned = ink("--glyph_rotation", 30, "--glyph_shrink", 0)
    assert turned.sum() == pytest.approx(float(plain.sum()), rel=0.02) and (plain - turned).abs().max() > 0.3


def test_folders_of_fonts(tmp_path):
    from util.fonts.faces import Face

    (tmp_path / "fonts").mkdir()
    for name in ("DejaVuSans", "cmr10"):
        (tmp_path / "fonts" / f"{name}.ttf").write_bytes(Face(name).path.read_bytes())
    words = ("--source", "glyphs", "--charset", "ascii", "--class_by", "font")
    assert dataset("labeled", *words, "--target_font", tmp_path / "fonts").classes == ("DejaVuSans", "cmr10")
    with pytest.raises(UserError, match=r"font nowhere\.ttf: no such file"):
        dataset("labeled", *words, "--target_font", "nowhere.ttf")
    with pytest.raises(UserError, match="--charset kana: no --target_font has any of its 169 characters"):
        dataset("labeled", "--source", "glyphs", "--charset", "kana", "--target_font", "cmr10")


def test_pages_tell_whether_data_are_grey(tmp_path):
    for name, mode in (("grey", "L"), ("colour", "RGB")):
        (tmp_path / name / "x").mkdir(parents=True)
        pages = [Image.new(mode, (9, 7), 30 * i if mode == "L" else (30 * i, 0, 40)) for i in range(4)]
        pages[0].save(tmp_path / name / "x" / "scan.tif", save_all=True, append_images=pages[1:])
    assert [dataset("labeled", "--dataroot", tmp_path / name).channels for name in ("grey", "colour")] == [1, 3]


def test_what_is_not_read_is_told_once_for_all_classes(tmp_path, capsys):
    root = folder(tmp_path / "d", {"cat": 5, "dog": 5})
    for name in ("cat/a.xcf", "dog/b.psd", "labels.csv"):
        (root / name).touch()
    data = dataset("labeled", "--dataroot", root)
    data.arrays("test")
    line = f"3 files of {root} are not read: cat/a.xcf, dog/b.psd, labels.csv; read are avif "
    assert capsys.readouterr().err.count(line) == 1
    (tmp_path / "useless/cat").mkdir(parents=True)
    (tmp_path / "useless/cat/a.xcf").touch()
    with pytest.raises(UserError, match=r"found folders without .* \(cat\); 1 file of \S+ is not read: cat/a.xcf;"):
        dataset("labeled", "--dataroot", tmp_path / "useless")
