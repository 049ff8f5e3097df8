"""Classes of pictures that lie together, from the files that ship with ImageNet's and Tiny-ImageNet's."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data.loading.phases import standard
from options import UserError
from util import distributed
from util.reading.child import in_child
from util.reading.json_file import bytes_of

MOST_BYTES = 64 << 20  # of a file; that of the 1.3 million pictures of ImageNet has 40 MB
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"  # of the development kit: numbers, which meta.mat names
SYNSETS = "imagenet_2012_validation_synset_labels.txt"  # of TensorFlow's models: a class a line
SOLUTION = "LOC_val_solution.csv"  # of Kaggle
WANTED = (
    f"val_annotations.txt, {SOLUTION}, {GROUND_TRUTH} with meta.mat, {SYNSETS} and val.txt (a name and a class a line)"
)
BESIDE = ("", "data", "ILSVRC2012_devkit_t12/data", "devkit/data", "annotations")  # folders in which they lie
ABOVE = 3  # folders above --dataroot in which Kaggle's lies, if that is ILSVRC/Data/CLS-LOC
NUMBER = re.compile(r"(\d+)$")  # of a picture, which ends its name


def classes_beside(root: Path, place: Path, classes: Sequence[str], pictures: Sequence[Path]) -> dict[str, str]:
    """Name, or stem, of a picture below ``place`` -> its class; nothing where no such file tells one of them.

    Args:
        place: the folder of a phase below ``root``; files of ImageNet's are of its validation.
        classes: of the training, in their order, which numbers from 0 on stand for.

    Raises:
        UserError: a file is damaged, or its numbers mean nothing here.
    """
    phase = place.relative_to(root).as_posix().lower()
    of_validation = standard(phase) == "val"
    folders = [*(place / name for name in BESIDE), *(root / name for name in BESIDE)]
    above = [*folders, *list(root.resolve().parents)[:ABOVE]]
    readers = (
        ([f"{phase}_annotations.txt", *["val_annotations.txt"] * of_validation], folders, _annotations),
        ([SOLUTION] * of_validation, above, _solution),
        ([GROUND_TRUTH] * of_validation, folders, _ground_truth),
        ([SYNSETS] * of_validation, folders, _synsets),
        ([f"{phase}.txt", f"{phase}.csv", f"{standard(phase)}.txt", f"{standard(phase)}.csv"], folders, _pairs),
        (["labels.txt", "labels.csv"], [place], _pairs),
    )
    for names, there, read in readers:
        if path := next((folder / name for folder in there for name in names if (folder / name).is_file()), None):
            try:
                table = read(path, classes)
            except (ValueError, csv.Error) as error:
                raise UserError(f"{path}: cannot be read as classes of pictures ({error})") from None
            if any(told(table, picture) is not None for picture in pictures):
                distributed.say_once(f"{place}: its pictures are of the classes that {path} tells")
                return table
    return {}


def told(table: Mapping[str, str], picture: Path) -> str | None:
    """The class of a picture."""
    return table.get(picture.name) or table.get(picture.stem)


def _lines(path: Path) -> list[str]:
    return _lines_of(bytes_of(path, MOST_BYTES))


def _lines_of(data: bytes) -> list[str]:
    text = data.decode("utf-8-sig")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    return lines


def annotations(data: bytes) -> dict[str, str]:
    """``val_0.JPEG<tab>n03444034<tab>0<tab>32<tab>44<tab>62``: a name, a class, a box."""
    return dict(_first_two(line.split("\t") for line in _lines_of(data)))


def _annotations(path: Path, classes: Sequence[str]) -> dict[str, str]:
    return annotations(bytes_of(path, MOST_BYTES))


def _solution(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """``ILSVRC2012_val_00048981,n03995372 85 1 499 272``, below a header: a stem, and classes with boxes."""
    rows = dict(_first_two(csv.reader(_lines(path))))
    return {name: words.split()[0] for name, words in rows.items() if words.split() and name != "ImageId"}


def _synsets(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """A class a line, in the order of the pictures' numbers."""
    return _Numbered(_lines(path))


def _ground_truth(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """Numbers that the development kit gave the classes, not their order; meta.mat beside it names them."""
    numbers, meta = [int(line) for line in _lines(path)], path.with_name("meta.mat")
    if not meta.is_file():
        raise ValueError("its numbers are named by meta.mat of the development kit, which is not beside it")
    try:
        names = dict(in_child("util.reading.matlab:synsets", meta))
        return _Numbered([names[number] for number in numbers])
    except KeyError as error:
        raise ValueError(f"{meta.name} has no class of the number {error}") from None


def _pairs(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """A name and a class a line, or the place of one among the classes; commas, tabs or spaces between them."""
    lines = _lines(path)
    comma = path.suffix.lower() == ".csv"
    rows = [(Path(name).name, of) for name, of in _first_two(csv.reader(lines) if comma else map(str.split, lines))]
    if rows[0][1].lower() in ("label", "class", "labels", "category", "wnid"):  # a header
        rows = rows[1:]
    if not rows:
        raise ValueError("it has a header and no name")
    if classes and not {of for _, of in rows} & set(classes) and all(of.isdecimal() for _, of in rows):
        if (most := max(int(of) for _, of in rows)) >= len(classes):
            raise ValueError(f"it counts to {most}, and the training has classes 0 to {len(classes) - 1}")
        rows = [(name, classes[int(of)]) for name, of in rows]
    return dict(rows)


def _first_two(rows: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    found = []
    for number, row in enumerate(rows, start=1):
        if len(row) < 2 or not row[0].strip() or not row[1].strip():
            raise ValueError(f"line {number} has no name and class")
        found.append((row[0].strip(), row[1].strip()))
    return found


class _Numbered(dict[str, str]):
    """Classes by the number that ends the stem of a picture, from 1 on."""

    def __init__(self, classes: Sequence[str]):
        super().__init__((str(number), name) for number, name in enumerate(classes, start=1))

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = NUMBER.search(name)
        return super().get(str(int(found[1]))) if found else default
