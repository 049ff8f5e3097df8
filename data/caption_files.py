"""Captioned pictures in files: COCO's JSON, tables of (image, caption), or a text file beside each picture."""

import codecs
import csv
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from options import UserError
from util.images import list_images
from util.seeding import derive

from .caption_sources import Captioned, CaptionSource
from .labeled_sources import PHASES, Files, Missing

TABLE = re.compile(r"(?:captions?|metadata)(?:[_-](train|test|val)[^/]*)?\.(?:jsonl?|csv)", re.IGNORECASE)
PICTURE_KEYS, CAPTION_KEYS = ("image", "file_name", "file", "path"), ("caption", "captions", "text")
MOST_CHARACTERS = 100_000  # of a caption; what is longer is no caption but a file read in the wrong way
# No word: control characters, byte-order marks, and marks that turn the direction of what follows them on a page.
UNSEEN = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufeff\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
BOMS = (  # the longer one first: UTF-32 begins like UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class CaptionedFiles(Files, Captioned):
    """Pictures in files, with captions."""


@dataclass(frozen=True)
class Row:
    """One caption and the picture it is of, as a file has them; ``where`` says where in it."""

    picture: Any
    caption: Any
    where: str


def cleaned(text: str) -> str:
    """One line in Unicode's composed form: white space and control characters become single spaces."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair, which JSON can hold, has no UTF-8
    return UNSEEN.sub(" ", unicodedata.normalize("NFC", text)).strip()


def normalised(text: str) -> str:
    """What two captions have in common that count as equal: case, white space and a final full stop do not."""
    return cleaned(text).casefold().rstrip(". ")


def number(text: str) -> int:
    """A number for a caption, equal for equal ones, in every file and every process; 63 bits."""
    return derive("caption", normalised(text))


# -- from rows to pictures ---------------------------------------------------------------------------------------------


@dataclass
class Notes:
    """What was wrong with the rows of a file: told at the end, in one line for each kind."""

    path: Path
    skip: bool
    found: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, row: Row, what: str) -> None:
        """A row that cannot be used; the end, unless --on_bad_caption is skip."""
        if not self.skip:
            raise UserError(f"{self.path}: {row.where}: {what}; --on_bad_caption skip leaves such rows out")
        self.add("rows left out", f"{row.where}: {what}")

    def add(self, kind: str, first: str) -> None:
        self.found.setdefault(kind, []).append(first)

    def tell(self) -> None:
        for kind, cases in self.found.items():
            print(f"{self.path}: {len(cases)} {kind}, the first: {cases[0][:200]}", file=sys.stderr)


def gather(rows: Iterable[Row], root: Path, places: Iterable[Path], notes: Notes, absolute: bool) -> CaptionedFiles:
    """The pictures of these rows, by name, with their captions in the order of the rows.

    Args:
        places: folders that names are relative to; the first that has the picture counts.
        absolute: whether names may lead out of ``root``, as absolute paths.
    """
    places = tuple(places)
    there = {os.path.normpath(path) for place in places if place.is_dir() for path in list_images(place)}
    captions: dict[str, dict[str, str]] = {}
    for row in rows:
        text = row.caption
        if not isinstance(text, str):
            notes.fault(row, f"the caption is {'missing' if text is None else f'no text but {text!r:.40}'}")
            continue
        try:
            path = _picture(row.picture, root, places, there, absolute)
        except ValueError as error:
            notes.fault(row, str(error))
            continue
        if len(text) > MOST_CHARACTERS:
            notes.fault(row, f"a caption of {len(text):,} characters; at most {MOST_CHARACTERS:,}")
            continue
        of_picture = captions.setdefault(path, {})
        text = cleaned(text)
        key = normalised(text)
        if not key:
            notes.add("empty captions left out", row.where)
        elif key in of_picture:
            notes.add("captions equal to another one of their picture, left out", row.where)
        else:
            of_picture[key] = text
    for path in sorted(there - captions.keys()):
        notes.add("pictures without a caption left out", path)
    for path in [path for path, of_picture in captions.items() if not of_picture]:
        notes.add("pictures left out, whose captions are all empty", path)
        del captions[path]
    notes.tell()
    if not captions:
        raise UserError(f"{notes.path}: no picture with a caption")
    return _columns(captions, root)


def _picture(name: Any, root: Path, places: tuple[Path, ...], there: set[str], absolute: bool) -> str:
    """The file of a picture, normalised.

    Raises:
        ValueError: it is missing, or outside of where it may lie.
    """
    if isinstance(name, Path):  # found in the folder
        return os.path.normpath(name)
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise ValueError("the name of the picture is missing")
    if Path(name).is_absolute():
        if not absolute:
            raise ValueError(f"picture {name}: an absolute path; only a file given by --caption_file may have them")
        if not Path(name).is_file():
            raise ValueError(f"picture {name}: no such file")
        return os.path.normpath(name)
    inside = [path for place in places if _within(path := os.path.normpath(place / name), root)]
    if not inside:
        raise ValueError(f"picture {name}: outside {root}")
    for path in inside:
        if path in there or Path(path).is_file():
            return path
    raise ValueError(f"picture {name}: no such file in {' or '.join(map(str, places))}")


def _within(path: str, root: Path) -> bool:
    return Path(path).is_relative_to(os.path.normpath(root))


def _columns(captions: dict[str, dict[str, str]], root: Path) -> CaptionedFiles:
    base = Path(os.path.normpath(root))
    named = {Path(path).relative_to(base).as_posix() if _within(path, base) else path: Path(path) for path in captions}
    names = sorted(named)
    count = len(names)
    paths, texts, said = (np.empty(count, dtype=object) for _ in range(3))
    for i, name in enumerate(names):
        paths[i] = named[name]
        texts[i] = tuple(captions[str(named[name])].values())
        said[i] = np.array([[number(text)] for text in texts[i]], dtype=np.int64)
    shown = np.array([numbers[0] for numbers in said], dtype=np.int64).reshape(count, 1)
    return CaptionedFiles(
        labels=np.zeros(count, dtype=np.int64),
        names=np.array(names, dtype=object),
        captions=texts,
        said=said,
        shown=shown,
        paths=paths,
    )


# -- from files to rows ------------------------------------------------------------------------------------------------


def read_text(path: Path, encoding: str) -> str:
    """The text of a file: by its byte-order mark where it has one, else in this encoding.

    Raises:
        UserError: it cannot be read, or is not of this encoding.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    used = next((name for mark, name in BOMS if data.startswith(mark)), encoding)
    try:
        return data.decode(used)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line} is not {used}; name its encoding by --caption_encoding") from None


def _rows(path: Path, encoding: str, notes: Notes) -> Iterator[Row]:
    text = read_text(path, encoding)
    kind = path.suffix.lower()
    if kind == ".jsonl":
        yield from _jsonl(text, notes)
    elif kind == ".json":
        yield from _json(path, text, notes)
    else:
        yield from _csv(text, notes, "\t" if kind == ".tsv" else ",")


def _json(path: Path, text: str, notes: Notes) -> Iterator[Row]:
    """COCO's ``images`` and ``annotations``, or a list of objects."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON ({error})") from None
    if isinstance(data, list):
        for n, item in enumerate(data):
            yield from _object(item, f"item {n}", notes)
        return
    lists = [data.get(key) if isinstance(data, dict) else None for key in ("images", "annotations")]
    if not all(isinstance(items, list) for items in lists):
        raise UserError(f"{path}: expected COCO's lists images and annotations, or a list of images with captions")
    images, annotations = ([item if isinstance(item, dict) else {} for item in items or ()] for items in lists)
    files: dict[str, Any] = {}
    for n, image in enumerate(images):
        key, name = str(image.get("id")), image.get("file_name")
        if files.setdefault(key, name) != name:
            notes.fault(Row(name, None, f"images, item {n}"), f"id {key} is that of {files[key]} already")
    captioned = {str(item.get("image_id")) for item in annotations}
    for key, name in files.items():
        if key not in captioned:
            notes.add("images without a caption", f"id {key}, {name}")
    for n, item in enumerate(annotations):
        key, where = str(item.get("image_id")), f"annotations, item {n}"
        if key in files:
            yield Row(files[key], item.get("caption"), where)
        else:
            notes.fault(Row(None, None, where), f"image_id {key} is not among the images")


def _jsonl(text: str, notes: Notes) -> Iterator[Row]:
    for n, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                notes.fault(Row(None, None, f"line {n}"), f"no JSON ({error})")
                continue
            yield from _object(item, f"line {n}", notes)


def _object(item: Any, where: str, notes: Notes) -> Iterator[Row]:
    item = item if isinstance(item, dict) else {}
    picture, found = (next((item[key] for key in keys if key in item), None) for keys in (PICTURE_KEYS, CAPTION_KEYS))
    if picture is None:
        notes.fault(Row(None, None, where), f"expected an object with one of {', '.join(PICTURE_KEYS)}")
        return
    for caption in found if isinstance(found, list) and found else [found if found != [] else ""]:
        yield Row(picture, caption, where)


def _csv(text: str, notes: Notes, delimiter: str) -> Iterator[Row]:
    """Rows below a header that names both columns, in any order among others; without one they are the only two."""
    first = text.lstrip("\r\n").split("\n", 1)[0].strip()
    columns, header = (0, 1), False
    for mark in dict.fromkeys((delimiter, ",", "\t", ";", "|")):
        names = [name.strip().strip('"').lower() for name in first.split(mark)]
        found = [next((names.index(key) for key in keys if key in names), -1) for keys in (PICTURE_KEYS, CAPTION_KEYS)]
        if min(found) >= 0:
            columns, header, delimiter = (found[0], found[1]), True, mark
            width = len(names)
            break
    else:
        width = 2
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            notes.fault(Row(None, None, f"line {reader.line_num}"), f"the table is broken here ({error})")
            continue
        if not cells or header:
            header = header and not cells
        elif len(cells) != width:
            told = f"{len(cells)} columns, not {width}; a caption with {delimiter!r} in it needs quotes around it"
            notes.fault(Row(None, None, where), told)
        else:
            yield Row(cells[columns[0]].strip(), cells[columns[1]], where)


def _beside(pictures: Iterable[Path], encoding: str) -> Iterator[Row]:
    """A .txt for each picture, one caption a line; pictures without one have no rows."""
    for picture in pictures:
        path = picture.with_suffix(".txt")
        if path.is_file():
            for n, line in enumerate(read_text(path, encoding).split("\n"), 1):
                yield Row(picture, line, f"{path.name}, line {n}")


# -- what lies in a folder ---------------------------------------------------------------------------------------------


def files(opt: Any, seed: int) -> CaptionSource:
    """``--caption_file``, or what lies in ``--dataroot``.

    ``annotations/captions_train2014.json`` with ``train2014/``, ``captions.csv``, ``captions_test.jsonl``,
    ``train/metadata.jsonl``, or a .txt beside each picture.

    Raises:
        Missing: no such folder or file.
        UserError: there are no captions where they are expected.
    """
    try:
        codecs.lookup(opt.caption_encoding)
    except LookupError:
        raise UserError(f"--caption_encoding {opt.caption_encoding}: no such encoding; utf-8, cp1252, ...") from None
    root = Path(opt.dataroot)
    given = Path(opt.caption_file) if opt.caption_file else None
    if given is not None:
        if not given.is_file():
            raise Missing(f"--caption_file {given}: no such file")
        root = given.parent if opt.dataroot == "placeholder" else root
    if not root.is_dir():
        hint = "give a folder of pictures with captions, glyphs or digits"
        hint = hint if opt.dataroot == "placeholder" else "is a file" if root.exists() else "no such folder"
        raise Missing(f"--dataroot {opt.dataroot}: {hint}")
    found = {"every": given} if given is not None else _found(root)
    readers = {phase: cache(partial(_read, opt, root, path, given is not None)) for phase, path in found.items()}
    return CaptionSource("files", {}, readers, channels=0)


def _found(root: Path) -> dict[str, Path]:
    """{phase: a file of captions, or a folder of pictures with text beside them}; what is not divided is "every"."""
    tables: dict[str, list[Path]] = {}
    for place in (root, root / "annotations"):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            match = TABLE.fullmatch(path.name)
            if match and path.is_file():
                tables.setdefault((match[1] or "every").lower(), []).append(path)
    for phase in PHASES:
        for path in sorted((root / phase).iterdir()) if phase not in tables and (root / phase).is_dir() else ():
            if (match := TABLE.fullmatch(path.name)) and (match[1] or phase) == phase:
                tables.setdefault(phase, []).append(path)
    for paths in tables.values():
        if len(paths) > 1:
            raise UserError(f"--dataroot {root}: captions in {paths[0]} and {paths[1]}; say which with --caption_file")
    found = {phase: paths[0] for phase, paths in tables.items()}
    if not found:
        found = {phase: root / phase for phase in PHASES if _has_texts(root / phase)}
    if "train" in found and "every" not in found:
        if "test" not in found and "val" in found:
            found["test"] = found["val"]
        return found if "test" in found else {"every": found["train"]}
    if "every" in found or _has_texts(root):
        return {"every": found.get("every", root)}
    raise UserError(
        f"--dataroot {root}: no captions; expected captions.csv, captions.jsonl, annotations/captions_train*.json, or "
        "a .txt beside each picture; or give --caption_file"
    )


def _has_texts(place: Path) -> bool:
    return place.is_dir() and any(path.with_suffix(".txt").is_file() for path in list_images(place))


def _read(opt: Any, root: Path, path: Path, absolute: bool) -> CaptionedFiles:
    notes = Notes(path, opt.on_bad_caption == "skip")
    if path.is_dir():
        return gather(_beside(list_images(path), opt.caption_encoding), root, (path,), notes, absolute)
    rows = list(_rows(path, opt.caption_encoding, notes))
    return gather(rows, root, _places(root, path), notes, absolute)


def _places(root: Path, path: Path) -> tuple[Path, ...]:
    """Folders that the names of pictures in a table may be relative to."""
    phase = re.search(r"[_-]((?:train|test|val)\w*)", path.stem)
    names = [phase[1], phase[1].rstrip("0123456789")] if phase else []
    inside = [root / above / name for name in names for above in ("", "images")]
    beside = [path.parent] if path.parent.resolve().is_relative_to(root.resolve()) else []
    return tuple(dict.fromkeys([place for place in (*inside, *beside, root / "images", root) if place.is_dir()]))
