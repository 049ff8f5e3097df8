"""Pairs of glyphs as zi2zi keeps them: the same character in a source font and in one of several target styles."""

import io
import re
import sys
import unicodedata
import warnings
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from options import UserError
from util.fonts.characters import SYNTHETIC
from util.fonts.file_names import DECIMAL, code_of
from util.fonts.pictures import FAINT, Fit, PictureGlyphs, to_levels
from util.fonts.recognition import Recognizer
from util.fonts.zi2zi_package import record, records
from util.images import FORMATS, from_pillow, read_pixels
from util.listing import look_into
from util.reading import frames

LARGEST = 8192 * 4096  # pixels of a pair in a package, whose pictures are packed to a thousandth
CACHE = 16 * 2**20  # bytes of decoded pairs that a process keeps
LABELLED = re.compile(r"([0-9]{1,9})_(.*)", re.DOTALL)
Side = Literal["target", "source"]
Names = Literal["auto", "codes", "ignore"]


@dataclass(frozen=True)
class PairedStyle:
    """The pairs of one label; a character has the same code in every label."""

    label: int
    name: str
    source: PictureGlyphs
    target: PictureGlyphs


def read_pairs(
    path: str | Path,
    left: Side = "target",
    names: Names = "auto",
    fit: Fit = "canvas",
    continued: Path | None = None,
    first: int = SYNTHETIC,
) -> list[PairedStyle]:
    """Every label of a folder or package of pairs, in the order of labels. Pictures are decoded when they are needed.

    - a folder of pictures twice as wide as high: zi2zi's font2img writes the target on the left;
    - a folder with the sub-folders A (source) and B (target), with the same names in both;
    - a file of zi2zi's package.py (``train.obj``), read by :mod:`util.fonts.zi2zi_package`, which loads no pickle.

    A name is ``<label>_<anything>``, and without a number in front the label is 0. ``<anything>`` may tell the
    character, see :func:`.file_names.code_of`. All-digit ones are sequence numbers (zi2zi's ``0_0012``) unless
    every one of them can be the decimal code point of a letter, and none begins with 0. Where no name tells the
    character, it is recognised by its source picture: nearly identical ones show the same character, whose code is
    from ``fonts.SYNTHETIC`` up, numbered in order of first appearance. That order is of names, or of records.

    Args:
        left: what the left half of a picture is.
        names: "codes", all-digit names are code points whatever they look like; "ignore", names tell no character.
        fit: see :class:`util.fonts.pictures.PictureGlyphs`.
        continued: other pairs, whose characters keep the codes that they have there.
        first: the first code of a character that is recognised, where ``continued`` is gone.

    Raises:
        UserError: nothing there that is a pair, or a package that is cut off or holds anything else.
    """
    for what, value, known in (("left", left, ("target", "source")), ("names", names, ("auto", "codes", "ignore"))):
        if value not in known:
            raise UserError(f"{path}: {what} {value!r} is none of {', '.join(known)}")
    store = _open(Path(path), left)
    codes = _named(store.stems, names)
    store.check(path)
    notes = []
    if numbers := [stem for stem, code in zip(store.stems, codes, strict=True) if code and DECIMAL.fullmatch(stem)]:
        notes.append(f"all-digit names are decimal code points ({numbers[0]} is {chr(int(numbers[0]))})")
    if None in codes:
        recognizer = _knowing(continued, left, names, first)
        first_problem, blank = _recognize(store, codes, recognizer)
        unreadable = sum(code is None for code in codes) - blank
        notes += [f"{blank} without a source glyph left out"] * bool(blank)
        notes += [f"{unreadable} unreadable left out ({first_problem})"] * bool(unreadable)
        recognized = sum(code >= SYNTHETIC for code in {*codes} - {None} if code is not None)
        notes.append(f"{recognized} told apart by their source pictures, since no name says which they are")
    chosen: dict[int, dict[int, int]] = {}
    repeated: Counter[int] = Counter()
    for index, (label, code) in enumerate(zip(store.labels, codes, strict=True)):
        if code is None:
            continue
        if code in chosen.setdefault(label, {}):
            repeated[label] += 1
        else:
            chosen[label][code] = index
    if not chosen:
        raise UserError(f"{path}: none of its {len(codes)} pairs can be used: {'; '.join(notes)}")
    if repeated:
        notes.append(f"{repeated.total()} repeat a character of their label and are left out")
    count = len(set().union(*chosen.values()))
    print(
        f"{path}: {len(codes)} pairs, {len(chosen)} label{'s' * (len(chosen) != 1)}, {count} characters"
        + "".join(f"; {note}" for note in notes),
        file=sys.stderr,
    )
    styles = []
    for label, indices in sorted(chosen.items()):
        name = f"{Path(path).name} label {label}"
        halves = [_Half(f"{path} label {label} {side}", store, i, indices, fit) for i, side in enumerate(SIDES)]
        styles.append(PairedStyle(label, name, *halves))
    return styles


SIDES = ("source", "target")


class _Half(PictureGlyphs):
    """The source or the target glyphs of one label."""

    def __init__(self, name: str, store: "_Store", half: int, indices: dict[int, int], fit: Fit):
        super().__init__(name, fit)
        self.store, self.half, self.indices = store, half, indices

    @property
    def characters(self) -> Collection[int]:
        return self.indices.keys()

    def _pixels(self, code: int) -> np.ndarray:
        return self.store.pair(self.indices[code])[self.half]


class _Store:
    """Where pairs lie. Labels and stems are per pair; a stem is what the name has after the label, "" for none."""

    labels: Sequence[int]
    stems: Sequence[str]

    def __init__(self) -> None:
        self._cache: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._cached = 0

    def __getstate__(self) -> dict[str, Any]:  # worker processes decode for themselves
        return self.__dict__ | {"_cache": OrderedDict(), "_cached": 0}

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and target as pixels with one channel."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        pair = self._decode(index)
        self._cache[index] = pair
        self._cached += sum(half.nbytes for half in pair)
        while self._cached > CACHE and len(self._cache) > 1:
            self._cached -= sum(half.nbytes for half in self._cache.popitem(last=False)[1])
        return pair

    def check(self, path: str | Path) -> None:
        """Say at once what is wrong if none of the first pairs is one."""
        problem: UserError | None = None
        for index in range(min(8, len(self.labels))):
            try:
                self.pair(index)
                return
            except UserError as error:
                problem = problem or error
        raise problem or UserError(f"{path}: no pairs in it")

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


class _Wide(_Store):
    """Side by side in one picture each."""

    left: Side

    def _halve(self, pixels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        height, width = pixels.shape[:2]
        if width != 2 * height:
            raise UserError(
                f"{name}: is {width} x {height} pixels; a pair is twice as wide as high, or lies in sub-folders A and B"
            )
        first, second = pixels[:, :height].copy(), pixels[:, height:].copy()
        return (second, first) if self.left == "target" else (first, second)


class _Folder(_Wide):
    def __init__(self, files: Sequence[Path], left: Side):
        super().__init__()
        self.files, self.left = files, left
        self.labels, self.stems = _split_names([file.stem for file in files])

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._halve(read_pixels(self.files[index], 1), str(self.files[index]))


class _TwoFolders(_Store):
    def __init__(self, files: Sequence[tuple[Path, Path]]):
        super().__init__()
        self.files = files
        self.labels, self.stems = _split_names([source.stem for source, _ in files])

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        source, target = self.files[index]
        return read_pixels(source, 1), read_pixels(target, 1)


class _Package(_Wide):
    """Only where each record lies is in memory."""

    def __init__(self, path: Path, left: Side):
        super().__init__()
        self.path, self.left = path, left
        found = list(records(path))
        self.labels = [label for label, _, _ in found]
        self.stems = [""] * len(found)
        self.spans = [span for _, *span in found]

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        name = f"{self.path}: the image of record {index}"
        data = record(self.path, *self.spans[index])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                    if image.width * image.height > LARGEST:
                        raise ValueError(f"{image.width} x {image.height} pixels are too many for two glyphs")
                    pixels = from_pillow(image, 1)
        except Exception as error:  # decoders of damaged images raise what they please
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error)
            raise UserError(f"{name}: cannot be read ({reason or type(error).__name__})") from None
        return self._halve(pixels, name)


def _open(path: Path, left: Side) -> _Store:
    if path.is_file():
        return _Package(path, left)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder")
    if (path / "A").is_dir() and (path / "B").is_dir():
        return _TwoFolders(_matched(path))
    listing = look_into(path)
    files = listing.tell() if listing.pictures else []
    if not files:
        packages = sorted(path.rglob("*.obj"))
        hint = f"; give the package itself, such as {packages[0]}" if packages else listing.unread(before="; ")
        raise UserError(f"{path}: no pictures in it, nor sub-folders A and B{hint}")
    return _Folder(files, left)


def _matched(path: Path) -> list[tuple[Path, Path]]:
    """Pictures of A and B with the same name, whatever their extensions."""
    sides: list[dict[Path, Path]] = []
    for side in "AB":
        files = look_into(path / side).tell()
        sides.append({frames.named(file).relative_to(path / side).with_suffix(""): file for file in files})
        if len(sides[-1]) < len(files):
            raise UserError(f"{path / side}: some pictures differ in their extension only; remove one of each two")
    both = sides[0].keys() & sides[1].keys()
    alone = len(sides[0].keys() ^ sides[1].keys())
    if not both:
        raise UserError(
            f"{path}: no picture of A has the name of one of B ({len(sides[0])} in A, {len(sides[1])} in B)"
        )
    if alone:
        odd = min(sides[0].keys() ^ sides[1].keys())
        print(f"{path}: {alone} pictures are in A or B alone and left out, such as {odd}", file=sys.stderr)
    return [(sides[0][name], sides[1][name]) for name in sorted(both)]


def _split_names(stems: Sequence[str]) -> tuple[list[int], list[str]]:
    matches = [LABELLED.fullmatch(stem) for stem in stems]
    labels = [int(match[1]) if match else 0 for match in matches]
    return labels, [match[2] if match else stem for match, stem in zip(matches, stems, strict=True)]


def _named(stems: Sequence[str], names: Names) -> list[int | None]:
    """The character that each name tells, or None."""
    if names == "ignore":
        return [None] * len(stems)
    numbers = {stem for stem in stems if stem.isascii() and stem.isdigit()}
    if names == "auto" and not all(DECIMAL.fullmatch(stem) and _is_letter(code_of(stem)) for stem in numbers):
        return [None if not stem or stem in numbers else code_of(stem) for stem in stems]
    return [code_of(stem) if stem else None for stem in stems]


def _is_letter(code: int | None) -> bool:
    return code is not None and unicodedata.category(chr(code))[0] in "LN"


def _knowing(known: Path | None, left: Side, names: Names, first: int) -> Recognizer:
    """A recogniser that has seen these pairs, as it did when they were read."""
    if known is None:
        return Recognizer()
    if not known.exists():
        print(f"{known}: is gone; characters that no name tells count as ones that it did not have", file=sys.stderr)
        return Recognizer(first)
    recognizer, store = Recognizer(), _open(known, left)
    codes = _named(store.stems, names)
    if None in codes:
        _recognize(store, codes, recognizer)
    return recognizer


def _recognize(store: _Store, codes: list[int | None], recognizer: Recognizer) -> tuple[str, int]:
    """Fill in the codes that no name tells; those of unreadable or blank sources stay None.

    Returns:
        the first problem of an unreadable pair, and how many source pictures are blank.
    """
    taken = [code for code in codes if code is not None and code >= SYNTHETIC]
    recognizer.next = max(recognizer.next, max(taken, default=SYNTHETIC - 1) + 1)
    problem, blank = "", 0
    named = [index for index, code in enumerate(codes) if code is not None]
    unnamed = [index for index, code in enumerate(codes) if code is None]
    for index in [*named, *unnamed]:  # so that a picture without a name can be known by one that has it
        try:
            levels = to_levels(store.pair(index)[0])
        except UserError as error:
            problem = problem or str(error)
            continue
        if levels.min() > 255 - FAINT:
            blank += codes[index] is None
        else:
            code = recognizer.code(levels, codes[index])
            codes[index] = code if codes[index] is None else codes[index]
    return problem, blank
