"""Captioned pictures in files: which pictures and captions there are, wherever they are written down."""

import codecs
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from data.captions.birds import rows_apart, splits_in, texts_apart
from data.captions.sources import Captioned, CaptionSource
from data.captions.tables import CaptionRow, Notes, beside, read_table, splits_of
from data.loading.phases import phase_folder, phases_in
from data.pictures.sources import Files, Missing
from options import UserError
from util import distributed
from util.listing import Listing, list_images, look_into
from util.reading.frames import split
from util.seeding import derive
from util.words import cleaned

KARPATHY = re.compile(r"dataset(?:[_-]\w+)*\.json", re.IGNORECASE)
TABLE = re.compile(r"(?:captions?|metadata)(?:[_-]?(train|test|val))?.*\.(?:jsonl?|csv|tsv)", re.IGNORECASE)
MOST_CHARACTERS = 100_000  # of a caption; what is longer is no caption but a file that was read in the wrong way


@dataclass(frozen=True)
class CaptionedFiles(Files, Captioned):
    """Pictures in files, with captions; they show the number of their first one."""


def normalised(text: str) -> str:
    """What captions that count as equal have in common: case, white space and a final full stop are not told apart."""
    return _key(cleaned(text))


def _key(text: str) -> str:
    return text.casefold().rstrip(". ")


def caption_number(key: str) -> int:
    """A number for a normalised caption, the same in every file and process; 63 bits."""
    return derive("caption", key)


# -- what lies in a folder ---------------------------------------------------------------------------------------------


def files(opt: Any, seed: int) -> CaptionSource:
    """``--caption_file``, or what lies in ``--dataroot``.

    ``annotations/captions_train2014.json`` with ``train2014/``, ``captions.csv``, ``captions_test.jsonl``,
    ``train/metadata.jsonl``, Karpathy's ``dataset_coco.json``, a .txt beside each picture, or AttnGAN's ``text/``.

    Raises:
        Missing: no such folder or file.
        UserError: there are no captions where they are expected, or several files could be meant.
    """
    try:
        codecs.lookup(opt.caption_encoding)
    except LookupError:
        raise UserError(
            f"--caption_encoding {opt.caption_encoding}: no such encoding; give utf-8, cp1252, gb18030 or the like"
        ) from None
    root = Path(opt.dataroot)
    given = Path(opt.caption_file) if opt.caption_file else None
    if given is not None:
        if not given.is_file():
            raise Missing(f"--caption_file {given}: no such file")
        root = given.parent if opt.dataroot == "placeholder" else root
    if not root.is_dir():
        hint = "give a folder of pictures with captions, or glyphs or digits"
        hint = hint if opt.dataroot == "placeholder" else "is a file" if root.exists() else "no such folder"
        raise Missing(f"--dataroot {opt.dataroot}: {hint}")
    found = _divided(given) if given is not None else _found(root)
    read = {part: _Once(partial(_read, opt, root, part, given is not None)) for part in found.values()}
    return CaptionSource("files", {}, {phase: read[part] for phase, part in found.items()}, channels=0)


@dataclass(frozen=True)
class Part:
    """Where captions are: a table, a folder with texts beside pictures, or one of texts ``apart`` from theirs.

    Attributes:
        split: the phase whose part it is, where one file or folder has several; "" is all of it.
    """

    path: Path
    split: str = ""
    apart: bool = False


class _Once:
    """Reads when it is first called. A worker is sent how, not what was read: it has the pictures of its items."""

    def __init__(self, read: Callable[[], CaptionedFiles]):
        self.read = read
        self.pictures: CaptionedFiles | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Once, (self.read,)

    def __call__(self) -> CaptionedFiles:
        if self.pictures is None:
            self.pictures = self.read()
        return self.pictures


def _divided(path: Path) -> dict[str, Part]:
    """{phase: its part} of a table that divides its pictures, as Karpathy's does; "every" of another."""
    splits = splits_of(path)
    if "val" in splits and "test" not in splits:
        return {"train": Part(path, "train"), "test": Part(path, "val")} if "train" in splits else {"every": Part(path)}
    whole = {"train", "test"} <= splits
    return {split: Part(path, split) for split in sorted(splits)} if whole else {"every": Part(path)}


def _found(root: Path) -> dict[str, Part]:
    """{phase: a file of captions, or a folder of pictures with text beside them}; what is not divided is "every"."""
    published = [
        path for place in (root, root / "annotations") for path in _matching(place, KARPATHY) if splits_of(path)
    ]
    tables = _tables(root, None) + _tables(root / "annotations", None)
    if not tables:
        tables = [found for phase, folder in phases_in(root).items() for found in _tables(folder, phase)]
    if not tables and len(published) == 1:
        return _divided(published[0])
    for path in published:
        distributed.say_once(f"{path}: not read, for there are other captions too; --caption_file {path} takes it")
    found = dict(tables)
    if len(found) < len(tables) or ("every" in found and len(found) > 1):
        names = " and ".join(str(path.relative_to(root)) for _, path in tables[:4])
        raise UserError(f"--dataroot {root}: captions are in {names}; say which with --caption_file")
    if not found:
        found = {phase: folder for phase, folder in phases_in(root).items() if _has_texts(folder)}
    if "val" in found:
        found.setdefault("test", found["val"])
    if "train" in found and "test" in found:
        return {phase: Part(path) for phase, path in found.items()}
    if not found and not _has_texts(root):
        if apart := texts_apart(root):
            return {split: Part(apart, split, True) for split in splits_in(root)} or {"every": Part(apart, "", True)}
        listing = look_into(root)
        unread = "" if listing.pictures else listing.unread(before="; ")
        raise UserError(
            f"--dataroot {root}: no captions; expected captions.csv, captions.jsonl, annotations/captions_train*.json, "
            f"dataset_*.json, a .txt beside each picture, or text/ and images/; or give --caption_file{unread}"
        )
    return {"every": Part(next(iter(found.values()), root))}


def _tables(place: Path, phase: str | None) -> list[tuple[str, Path]]:
    """The tables in a folder with their phases: that in their name, else the one given, else "every"."""
    matches = [(TABLE.fullmatch(path.name), path) for path in _matching(place, TABLE)]
    return [((match[1] or phase or "every").lower(), path) for match, path in matches if match]


def _matching(place: Path, pattern: re.Pattern[str]) -> list[Path]:
    """The files of a folder that are called so."""
    paths = sorted(place.iterdir()) if place.is_dir() else []
    return [path for path in paths if pattern.fullmatch(path.name) and path.is_file()]


def _has_texts(place: Path) -> bool:
    return place.is_dir() and any(path.with_suffix(".txt").is_file() for path in list_images(place))


def _read(opt: Any, root: Path, part: Part, absolute: bool) -> CaptionedFiles:
    path, encoding = part.path, opt.caption_encoding
    notes = Notes(path, opt.on_bad_caption == "skip")
    pictures = _Pictures(root, _places(root, part), absolute)
    others: set[str] | None = set() if part.split else None  # beside these lie those of other phases
    if part.apart:
        return gather_pictures(rows_apart(root, path, part.split, encoding, notes), pictures, notes, others)
    if path.is_dir():
        listing = look_into(path)
        listed = listing.tell({picture.with_suffix(".txt") for picture in listing.pictures})
        rows = beside(listed, encoding, notes)
        return gather_pictures(rows, pictures, notes, {pictures(picture) for picture in listed})
    return gather_pictures(read_table(path, encoding, notes, part.split), pictures, notes, others)


def _places(root: Path, part: Part) -> tuple[Path, ...]:
    """Folders that the names of pictures in a table may be relative to, the likeliest first."""
    path = part.path
    phase = re.search(r"[_-]?((?:train|test|val)\w*)", path.stem, re.IGNORECASE)
    names = [phase[1], phase[1].rstrip("0123456789")] if phase else []
    inside = [phase_folder(root / above, name) for name in names for above in ("", "images")]
    parent, base = path.parent.resolve(), root.resolve()
    own = [root / parent.relative_to(base)] if parent.is_relative_to(base) else []
    below = sorted(root.iterdir()) if part.split and path.is_file() else []  # Images, Flicker8k_Dataset and the like
    return tuple(dict.fromkeys(place for place in (*inside, *own, root / "images", root, *below) if place.is_dir()))


# -- from rows to pictures ---------------------------------------------------------------------------------------------


class _Pictures:
    """Names of pictures: paths below ``root``, or absolute ones.

    Args:
        root: the folder in which relative paths stay.
        places: folders below it that they may start from; the first that has the picture counts.
        absolute: whether rows may name pictures by absolute paths.
    """

    def __init__(self, root: Path, places: tuple[Path, ...], absolute: bool):
        self.root, self.absolute = root, absolute
        self.starts = [place.relative_to(root) for place in places]
        self.locate = cache(self._locate)  # several rows name one picture

    def __call__(self, given: Any) -> str:
        """The name of a picture by what a row has for it.

        Raises:
            ValueError: it is missing, or where it may not lie.
        """
        if isinstance(given, Path):  # it was found and not named
            return given.relative_to(self.root).as_posix()
        if not isinstance(given, str) or not given.strip() or "\0" in given:
            raise ValueError("the name of the picture is missing")
        try:
            name, problem = self.locate(given)
        except OSError as error:  # of looking alone: no permission, a name too long
            name, problem = "", error.strerror or str(error)
        if problem:
            raise ValueError(f"picture {given[:200]}: {problem}")
        return name

    def _locate(self, given: str) -> tuple[str, str]:
        if Path(given).is_absolute():
            if not self.absolute:
                return "", "an absolute path; only a file given by --caption_file may have them"
            path, base = Path(os.path.normpath(given)), self.root.resolve()
            name = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
            return name, "" if path.is_file() else "no such file"
        inside = False
        for start in self.starts:
            name = Path(os.path.normpath(f"{start}/{given}")).as_posix()
            if not name.startswith("../"):
                inside = True
                if (self.root / name).is_file():
                    return name, ""
        places = " or ".join(str(self.root / start) for start in self.starts)
        return "", f"no such file in {places}" if inside else f"outside {self.root}"


def gather_pictures(
    rows: Iterable[CaptionRow], pictures: _Pictures, notes: Notes, listed: set[str] | None = None
) -> CaptionedFiles:
    """The pictures of these rows by name, each with its captions in the order of the rows.

    Args:
        listed: files that should have captions; None is all that lie beside the ones that do.

    Raises:
        UserError: a row cannot be used and is not to be skipped, or none is left.
    """
    captions: dict[str, dict[str, str]] = {}  # picture -> normalised caption -> caption
    for row in rows:
        text = row.caption
        if not isinstance(text, str):
            notes.fault(
                row.where, "the caption is missing" if text is None else f"the caption is no text: {text!r:.40}"
            )
            continue
        if len(text) > MOST_CHARACTERS:
            notes.fault(row.where, f"a caption of {len(text):,} characters; at most {MOST_CHARACTERS:,}")
            continue
        try:
            name = pictures(row.picture)
        except ValueError as error:
            notes.fault(row.where, str(error))
            continue
        of_picture = captions.setdefault(name, {})
        text = cleaned(text)
        key = _key(text)
        if not key:
            notes.add("empty captions left out", row.where)
        elif key in of_picture:
            notes.add("captions left out that equal another one of their picture", row.where)
        else:
            of_picture[key] = text
    if listed is None:
        listed = _beside(captions, pictures.root, notes.path.name)
    for name in sorted(listed - captions.keys()):
        notes.add("pictures left out that have no caption", name)
    for name in [name for name, of_picture in captions.items() if not of_picture]:
        notes.add("pictures left out whose captions are all empty", name)
        del captions[name]
    notes.tell()
    if not captions:
        raise UserError(f"{notes.path}: no picture with a caption")
    return _columns(captions, pictures.root)


def _beside(names: Iterable[str], root: Path, table: str) -> set[str]:
    """All pictures in the folders of these; says what else lies there that is no table of captions."""
    there: set[str] = set()
    others: list[Path] = []
    for folder in {Path(name).parent for name in names}:
        listing = look_into(root / folder, below=False)
        there |= {(folder / split(path)[0].name).as_posix() for path in listing.pictures}
        others += [path for path in listing.others if path.name != table and not TABLE.fullmatch(path.name)]
    Listing(root, [], sorted(others)).tell()
    return there


def _columns(found: dict[str, dict[str, str]], root: Path) -> CaptionedFiles:
    names = sorted(found)
    paths, captions, said = (np.empty(len(names), dtype=object) for _ in range(3))
    for i, name in enumerate(names):
        paths[i], captions[i] = root / name, tuple(found[name].values())
        said[i] = np.array([[caption_number(key)] for key in found[name]], dtype=np.int64)
    return CaptionedFiles(
        labels=np.zeros(len(names), dtype=np.int64),
        names=np.array(names, dtype=object),
        captions=captions,
        said=said,
        shown=np.stack([numbers[0] for numbers in said]),
        paths=paths,
    )
