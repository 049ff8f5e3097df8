"""Files of captions as rows: COCO's JSON, Karpathy's, tables of (image, caption), a text file of each picture."""

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from options import UserError
from options.shown import shown
from util.reading.json_file import bytes_of, decode_json

PICTURE_KEYS, CAPTION_KEYS = ("image", "file_name", "file", "path"), ("caption", "captions", "text")
MOST_BYTES = 512 << 20  # COCO's captions of 2017 have 92 MB
MARKS = (",", "\t", ";", "|")  # that may separate the columns of a table with a header
# Karpathy and Fei-Fei's division of COCO and Flickr, which most work on captions follows, trains on restval too.
SPLITS = {"train": "train", "restval": "train", "val": "val", "test": "test"}
OF_SPLIT, BEGINNING = re.compile(rb'"split"\s*:\s*"(\w+)"'), 1 << 20  # bytes in which an image shows how it is told
BOMS = (  # the longer ones first: UTF-32 begins like UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class CaptionRow:
    """One caption and its picture as a file has them, of whatever type; ``where`` is the place in the file."""

    picture: Any
    caption: Any
    where: str


@dataclass
class Notes:
    """What was wrong with the rows of a file: told at the end, in one line for each kind.

    Attributes:
        path: the file, or a folder of them.
        skip: go on without rows that cannot be used.
    """

    path: Path
    skip: bool
    found: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, where: str, what: str) -> None:
        """A row that cannot be used.

        Raises:
            UserError: it is not to be skipped.
        """
        what = shown(what[:300])
        if not self.skip:
            raise UserError(f"{self.path}: {where}: {what}; --on_bad_caption skip leaves such rows out")
        self.add("rows left out", f"{where}: {what}")

    def add(self, kind: str, case: str) -> None:
        self.found.setdefault(kind, []).append(shown(case[:300]))

    def tell(self) -> None:
        for kind, cases in self.found.items():
            print(f"{self.path}: {len(cases)} {kind}, the first: {cases[0]}", file=sys.stderr)


def splits_of(path: Path) -> set[str]:
    """The phases that a .json of Karpathy's layout divides its pictures into; none of another file."""
    try:
        data = bytes_of(path, MOST_BYTES) if path.suffix.lower() == ".json" else b""
    except ValueError:  # whoever reads it says so
        return set()
    if b'"sentences"' not in data[:BEGINNING]:
        return set()
    return {SPLITS[name] for name in map(bytes.decode, OF_SPLIT.findall(data)) if name in SPLITS}


def read_table(path: Path, encoding: str, notes: Notes, split: str = "") -> Iterator[CaptionRow]:
    """The rows of a .json, .jsonl, .csv or .tsv.

    Args:
        split: the phase whose rows they are, where the file divides its pictures; "" is all.

    Raises:
        UserError: the file as a whole cannot be read, or a row cannot be and is not to be skipped.
    """
    try:
        text = decoded(path, encoding)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    kind = path.suffix.lower()
    if kind == ".json":
        yield from _json(path, text, notes, split)
    elif kind == ".jsonl":
        yield from _jsonl(text, notes)
    else:
        yield from _csv(text, notes, "\t" if kind == ".tsv" else ",")


def beside(pictures: Iterable[Path], encoding: str, notes: Notes) -> Iterator[CaptionRow]:
    """The lines of a .txt beside each picture; a picture without one has no rows."""
    for picture in pictures:
        path = picture.with_suffix(".txt")
        if path.is_file():
            yield from lines_of(path, picture, path.name, encoding, notes)


def lines_of(path: Path, picture: Path, where: str, encoding: str, notes: Notes) -> Iterator[CaptionRow]:
    """The captions of one picture, a line each."""
    try:
        lines = decoded(path, encoding).split("\n")
    except ValueError as error:
        notes.fault(where, str(error))
        return
    while len(lines) > 1 and not lines[-1].strip():  # the end of a file is no caption
        lines.pop()
    for n, line in enumerate(lines, 1):
        yield CaptionRow(picture, line, f"{where}, line {n}")


def decoded(path: Path, encoding: str) -> str:
    """The text of a file: by its byte-order mark where it has one, else in this encoding.

    Raises:
        ValueError: it cannot be read, or is not of this encoding.
    """
    try:
        data = bytes_of(path, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"cannot be read ({error})") from None
    used = next((name for mark, name in BOMS if data.startswith(mark)), encoding)
    try:
        return data.decode(used)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not {used}; name its encoding by --caption_encoding") from None


# -- the kinds of table ------------------------------------------------------------------------------------------------


def _json(path: Path, text: str, notes: Notes, split: str) -> Iterator[CaptionRow]:
    """COCO's ``images`` and ``annotations``, Karpathy's images, or a list of what a line of JSONL holds."""
    try:
        data = decode_json(text, halves=True)
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error})") from None
    if isinstance(data, list):
        for n, item in enumerate(data):
            yield from _object(item, f"item {n}", notes)
        return
    images, annotations = (data.get(key) if isinstance(data, dict) else None for key in ("images", "annotations"))
    if isinstance(images, list) and annotations is None and any("sentences" in _fields(item) for item in images):
        yield from _karpathy([_fields(item) for item in images], notes, split)
        return
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise UserError(
            f"{path}: expected COCO's lists images and annotations, Karpathy's images with sentences, or a list of "
            "images with captions"
        )
    yield from _coco([_fields(item) for item in images], [_fields(item) for item in annotations], notes)


def _coco(images: list[dict[str, Any]], annotations: list[dict[str, Any]], notes: Notes) -> Iterator[CaptionRow]:
    files: dict[str, Any] = {}
    first: dict[str, str] = {}  # file -> its first id
    for n, image in enumerate(images):
        key, name = str(image.get("id")), image.get("file_name")
        if files.setdefault(key, name) != name:
            notes.fault(f"images, item {n}", f"id {key} is that of {files[key]} already")
        elif first.setdefault(str(name), key) != key:
            notes.add("pictures of two ids, whose captions are joined", f"{name}, {first[str(name)]} and {key}")
    captioned = {str(item.get("image_id")) for item in annotations}
    for key, name in files.items():
        if key not in captioned:
            notes.add("images without a caption", f"id {key}, {name}")
    for n, item in enumerate(annotations):
        key, where = str(item.get("image_id")), f"annotations, item {n}"
        if key in files:
            yield CaptionRow(files[key], item.get("caption"), where)
        else:
            notes.fault(where, f"image_id {key} is not among the images")


def _karpathy(images: list[dict[str, Any]], notes: Notes, split: str) -> Iterator[CaptionRow]:
    """Sentences as they were written (``raw``), of the images of this split."""
    for n, image in enumerate(images):
        where, of = f"images, item {n}", SPLITS.get(str(image.get("split")))
        if split and of != split:
            if of is None:
                notes.fault(where, f"split {image.get('split')!r:.40}; expected one of {', '.join(SPLITS)}")
            continue
        folder, name, sentences = (image.get(key) for key in ("filepath", "filename", "sentences"))
        picture = f"{folder}/{name}" if isinstance(folder, str) and isinstance(name, str) and folder else name
        for sentence in sentences if isinstance(sentences, list) and sentences else [{}]:
            yield CaptionRow(picture, _fields(sentence).get("raw"), where)


def _jsonl(text: str, notes: Notes) -> Iterator[CaptionRow]:
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = decode_json(line, halves=True)
        except ValueError as error:
            notes.fault(f"line {n}", f"no JSON ({error})")
            continue
        yield from _object(item, f"line {n}", notes)


def _object(item: Any, where: str, notes: Notes) -> Iterator[CaptionRow]:
    """An object with a picture and its caption, or a list of its captions."""
    fields = _fields(item)
    picture, found = (
        next((fields[key] for key in keys if key in fields), None) for keys in (PICTURE_KEYS, CAPTION_KEYS)
    )
    if picture is None:
        notes.fault(where, f"expected an object with one of {', '.join(PICTURE_KEYS)}")
        return
    captions = found if isinstance(found, list) else [found]
    for caption in captions or [""]:
        yield CaptionRow(picture, caption, where)


def _fields(item: Any) -> dict[str, Any]:
    return item if isinstance(item, dict) else {}


def _csv(text: str, notes: Notes, mark: str) -> Iterator[CaptionRow]:
    """Rows below a header that names both columns, among others in any order; without one they are the only two."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    mark, width, picture, caption = _header(first, mark) or (mark, 2, 0, 1)
    wanted = bool(_header(first, mark))  # whether a header is still to come
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            notes.fault(f"{where} to {reader.line_num}", f"the table is broken here ({error})")
            continue
        if not cells:
            continue
        if wanted:
            wanted = False
        elif len(cells) == width:
            yield CaptionRow(cells[picture].strip(), cells[caption], where)
        else:
            told = f"{len(cells)} columns, not {width}; a caption with {mark!r} in it needs quotes around it"
            notes.fault(where, told)


def _header(line: str, usual: str) -> tuple[str, int, int, int] | None:
    """What separates the columns, how many there are, and which are picture and caption; None if it is no header."""
    for mark in dict.fromkeys((usual, *MARKS)):
        names = [name.strip().strip('"').lower() for name in line.strip().split(mark)]
        picture, caption = (
            next((names.index(key) for key in keys if key in names), -1) for keys in (PICTURE_KEYS, CAPTION_KEYS)
        )
        if picture >= 0 and caption >= 0:
            return mark, len(names), picture, caption
    return None
