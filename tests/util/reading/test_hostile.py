"""Files on which a reader hung, crashed, took gigabytes or raised what nobody caught: each is refused in one line."""

import shutil
import time
from pathlib import Path

import pytest

from options import UserError
from tests.util.reading.fuzzing import READERS
from util.images import read_pixels

HOSTILE = Path(__file__).parent / "hostile"
LINES = {
    "yaml": {
        "laughs.yaml": "aliases that stand for more than 100,000 values (line 6)",
        "merges.yaml": "aliases that stand for more than 100,000 values (line 6)",
        "itself.yaml": "an alias stands within what it is an alias of (line 1)",
        "digits.yaml": "a whole number of 5000 digits (line 1)",
        "sixty.yaml": "a whole number of 6001 digits (line 1)",
        "deep.yaml": "nested deeper than 32 levels",
        "twice.yaml": "option 'lr' is given twice, on line 2 again",
        "key.yaml": "the name 'on' is no text; put it in quotes (line 1)",
        "escape.yaml": "chr() arg not in range(0x110000)",
        "nul.yaml": "a text holds a NUL or half of a character (line 1)",
        "half.yaml": "a text holds a NUL or half of a character (line 1)",
        "binary.yaml": "only plain values are read (line 1)",
        "empty_tag.yaml": "no YAML (IndexError: string index out of range)",
        "beyond.yaml": "1.0e+400 is beyond what a number holds (line 1)",
        "utf16.yaml": "byte 0 is not UTF-8",
    },
    "json": {
        "deep.json": "nested deeper than 64 levels",
        "shallow.json": "nested deeper than 64 levels",
        "beyond.json": "1e400 is beyond what a number holds",
        "nan.json": "NaN is no number of JSON",
        "twice.json": "'a' is given twice",
        "half.json": "a text holds half of a character",
        "digits.json": "a whole number of 5000 digits",
        "list.json": "a list, not a dictionary of names",
        "utf16.json": "byte 0 is not UTF-8",
    },
    "weights": {
        "sparse.pth": "it holds a sparse tensor; dense tensors and plain values are read",
        "meta.pth": "it holds a meta tensor",
        "quantized.pth": "it holds a quantized tensor",
        "complex.pth": "it holds complex numbers",
        "nested.pth": "it holds a nested tensor",
        "expanded.pth": "a tensor of shape (1000000000000,) in 4 bytes",
        "expanded_old.pth": "a tensor of shape (1000000000000,) in 4 bytes",
        "strided.pth": "a tensor of shape (1000, 4) in 16 bytes",
        "declared.pth": "its tensor 0 is not whole",
        "bomb.pth": "it is a compressed archive, which torch.save never writes",
        "encode.pth": "it holds a call of _codecs.encode other than with latin1",
        "cycle.pth": "nested deeper than 64 levels",
        "laughs.pth": "more than 5,000,000 values",
        "list.pth": "holds no state dict of one network (a list, not a dictionary of names)",
        "number.pth": "holds no state dict of one network (a whole number, not a dictionary of names)",
    },
    "package": {
        "large.obj": "13000 x 6500 pixels are too many for two glyphs",
        "encode.obj": "one text that is encoded again and again",
    },
    "cifar": {"memo_train": "train is damaged, or not cifar100"},
    "idx": {"bomb_train-labels-idx1-ubyte.gz": "says it holds 4095 MiB"},
    "matlab": {f"crash{n}_train_32x32.mat": "its decoder ended with signal 11" for n in (1, 2)},
    "array": {
        "object.npy": "Array can't be memory-mapped: Python objects in dtype.",
        "huge.npy": "mmap length is greater than file size",
        "header.npy": "cannot be read (",
        "archive.npy": "not an array of NumPy",
    },
    "pictures": {"large.png": "more than 89478485 pixels; scale it down or leave it out"},
    "tiff": {
        "strips.tif": "",
        "sides.tif": "more than 89478485 pixels",
    },
    "font": {
        "glyphs.ttf": "damaged outlines (not decoded within",
    },
}
CASES = [(reader, name, line) for reader, lines in LINES.items() for name, line in lines.items()]
HARMLESS = {"date.yaml", "circle.tif", "tags.tif"}
SLOW = ("matlab", "tiff", "font")


@pytest.mark.parametrize(
    ("reader", "name", "line"),
    [pytest.param(*case, id=case[1], marks=[pytest.mark.slow] * (case[0] in SLOW)) for case in CASES],
)
def test_what_did_harm_is_refused_in_one_line(reader, name, line, tmp_path, monkeypatch):
    monkeypatch.setattr("util.fonts.faces.SECONDS", 3)
    read, ending, _ = READERS[reader]
    path = tmp_path / (name if ending[0] == "." else name[name.index(ending) :])
    shutil.copyfile(HOSTILE / name, path)
    begin = time.monotonic()
    with pytest.raises(UserError) as error:
        read(path)
    text = str(error.value)
    assert line in text and str(tmp_path) in text and "\n" not in text and len(text) < 600
    assert time.monotonic() - begin < 60


def test_every_file_is_tried():
    assert {path.name for path in HOSTILE.iterdir()} - {name for _, name, _ in CASES} == HARMLESS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["circle.tif", "tags.tif"])
def test_what_can_be_read_is_read_once(name, tmp_path):
    shutil.copyfile(HOSTILE / name, tmp_path / name)
    READERS["tiff"][0](tmp_path / name)


def test_a_date_stays_a_text():
    assert READERS["yaml"][0](HOSTILE / "date.yaml") == {"lr": "2020-13-45"}


def test_a_picture_that_is_too_large_is_so_for_any_reader(tmp_path):
    shutil.copyfile(HOSTILE / "large.png", tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: more than 89478485 pixels"):
        read_pixels(tmp_path / "a.png", 1)
