"""The target fonts of a run: a name and a number for each, which a run keeps and later runs go on with."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from options import UserError, nearest
from options.listed import in_words, listed
from util.distributed import say_once
from util.fonts.characters import SYNTHETIC
from util.fonts.faces import Face, Geometry
from util.fonts.instances import short_name
from util.reading.json_file import read_json
from util.writing import write_atomically

FILE = "styles.json"
PAIRS = re.compile(r"(.+) label ([0-9]+) target", re.DOTALL)  # the file of a style that came in pairs
ROWS = [{"name": str, "label": int, "trained?": bool}]
MOST = 100_000  # styles: a network has numbers for each
ALIKE = 0.85  # ink that two fonts share, above which one of them tells a model nothing new
LOOKED_AT = 80  # characters for that comparison, at the size it was measured with: 64 pixels


class Glyphs(Protocol):
    """Where glyphs come from: a face of a font file, a folder of images, one side of paired images."""

    name: str

    @property
    def characters(self) -> Iterable[int]: ...
    def real(self, characters: Iterable[int]) -> set[int]: ...
    def advance(self, code: int) -> float: ...
    def draw(self, code: int, geometry: Geometry) -> np.ndarray: ...
    def leaves_canvas(self, code: int, geometry: Geometry) -> bool: ...


@dataclass(frozen=True)
class Style:
    """One target font. ``label`` is its row in a model's table of styles."""

    name: str
    label: int
    glyphs: Glyphs


def open_glyphs(name: str) -> Glyphs:
    """A font file, or a folder with an image for each character."""
    if Path(name).is_dir():
        from util.fonts.picture_folder import GlyphImages

        return GlyphImages(Path(name))
    return Face(name)


def styles_of_fonts(fonts: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[Style]:
    """A style for each font, named after its file.

    A font that ``rows`` of an earlier run know, by its file or else by its name, keeps its name and number; others
    take the next numbers.
    """
    named: dict[str, tuple[str, int]] = {}
    free = list(rows)
    for key in ("file", "name"):  # a file is a better sign than a name, whatever the order of the fonts
        for font in fonts:
            row = next((r for r in free if r.get(key) == (font if key == "file" else short_name(font))), None)
            if font not in named and row is not None:
                named[font] = row["name"], row["label"]
                free.remove(row)
                if key == "name" and row.get("file", font) != font:
                    print(f"{font} goes on as style {row['name']}, which was {row['file']}", file=sys.stderr)
    styles: list[Style] = []
    for font in fonts:
        taken = [*(row["name"] for row in rows), *(style.name for style in styles)]
        labels = [*(row["label"] for row in rows), *(style.label for style in styles)]
        fresh = _unused(short_name(font), taken), max(labels, default=-1) + 1
        name, label = named.pop(font, fresh)
        styles.append(Style(name, label, open_glyphs(font)))
    return styles


def styles_of_pairs(
    path: str, left: str, rows: Sequence[dict[str, Any]], same_run: bool = False, first: int = SYNTHETIC
) -> tuple[list[Glyphs], list[Style]]:
    """The source glyphs and the styles of paired images, which say their labels themselves.

    In a run that goes on from another one, numbers are that run's: of its style of the same name, or the next.

    Args:
        same_run: a test, or the same training further: a label is then the run's style of that label, whatever the file
            is called, and a character that no name tells has the number that it had in training.
        first: where such numbers begin if what was trained on is gone.
    """
    from util.fonts.pairs import read_pairs

    trained = _package_of(path, rows) if same_run else None
    pairs = read_pairs(Path(path), left=left, continued=trained, first=first)  # type: ignore[arg-type]
    labels = {row["name"]: row["label"] for row in rows}
    styles: list[Style] = []
    for pair in pairs:
        name = pair.name
        if trained is not None and (row := _row_of(trained, pair.label, rows)):
            name = row["name"]
        elif pair.name in labels and not same_run:
            say_once(f"{path}: label {pair.label} goes on as style {pair.name}, which has the name of this file")
        label = labels.setdefault(name, max(labels.values(), default=-1) + 1) if rows else pair.label
        styles.append(Style(name, label, pair.target))
    if trained is not None:
        say_once(f"{path}: its labels are the styles of {trained}, on which the run was trained")
    return [pair.source for pair in pairs], styles


def _package_of(path: str, rows: Sequence[dict[str, Any]]) -> Path | None:
    """Of what a run was trained on, what other pairs continue: one of their name, else the one beside, else the last.

    None where it is the same, perhaps moved, or the run was trained on no pairs.
    """
    packages = [Path(match[1]) for row in rows if (match := PAIRS.fullmatch(str(row.get("file", ""))))]
    here, places = Path(path).absolute(), [package.absolute() for package in packages]
    of_this_name = [package for package in packages if package.name == here.name]
    if not packages or here in places or (of_this_name and not of_this_name[-1].exists()):
        return None
    beside = [package for package, place in zip(packages, places, strict=True) if place.parent == here.parent]
    return (of_this_name or beside or packages)[-1]


def _row_of(package: Path, label: int, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return next((row for row in rows if row.get("file") == f"{package} label {label} target"), None)


def _unused(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    return next(n for k in range(2, len(taken) + 3) if (n := f"{name}-{k}") not in taken)


def choose(styles: Sequence[Style], words: Sequence[str], flag: str) -> list[Style]:
    """The styles that a flag names, by name, by label, or by their fonts as they were given, in its order.

    Raises:
        UserError: there is no such style.
    """
    by_word = {style.glyphs.name: style for style in styles}
    by_word |= {str(style.label): style for style in styles} | {style.name: style for style in styles}
    words = listed(words, by_word)
    for word in words:
        if word not in by_word:
            names = [style.name for style in styles]
            raise UserError(f"{flag} {word}: no such style{nearest(word, names)}; there are {in_words(names, 20)}")
    return [by_word[word] for word in words]


def read_rows(run: Path) -> list[dict[str, Any]]:
    """The table of styles that a run kept: dictionaries with ``name``, ``label``, ``trained``; empty where it has none.

    Raises:
        UserError: its file is no table of styles.
    """
    path = run / FILE
    if not path.is_file():
        return []
    rows = read_json(path, ROWS, "a table of styles", "delete it to count them anew")
    if wrong := next((row for row in rows if not 0 <= row["label"] < MOST), None):
        raise UserError(f"{path}: not a table of styles (label {wrong['label']}); delete it to count them anew")
    return rows


def write_rows(run: Path, styles: Iterable[Style], trained: Iterable[Style], earlier: list[dict[str, Any]]) -> None:
    """Keep names, labels, files and licences with the run, and the rows that earlier runs gave away."""
    before = {row["name"]: row for row in earlier}
    names = {style.name for style in trained}
    rows = before | {
        style.name: {
            "label": style.label,
            "name": style.name,
            "trained": style.name in names or before.get(style.name, {}).get("trained", False),
            "file": style.glyphs.name,
            "licence": getattr(style.glyphs, "licence", ""),
        }
        for style in styles
    }
    ordered = sorted(rows.values(), key=lambda row: row["label"])
    write_atomically(run / FILE, json.dumps(ordered, indent=1, ensure_ascii=False))


def report_alike(named: Sequence[tuple[str, Glyphs]], characters: Sequence[int]) -> None:
    """Warn of fonts that are nearly one: beside each other in training and test they flatter a result."""
    geometry, codes = Geometry(64), characters[:: max(1, len(characters) // LOOKED_AT)][:LOOKED_AT]
    if not codes:
        return
    ink = [np.stack([glyphs.draw(code, geometry) for code in codes]) < 128 for _, glyphs in named]
    for i in range(len(named)):
        for j in range(i):
            union = np.logical_or(ink[i], ink[j]).sum()
            shared = np.logical_and(ink[i], ink[j]).sum() / union if union else 1.0
            if shared > ALIKE:
                print(
                    f"fonts {named[j][0]} and {named[i][0]} are nearly the same: they share {shared:.0%} of their ink; "
                    "do not train on one to judge by the other",
                    file=sys.stderr,
                )
