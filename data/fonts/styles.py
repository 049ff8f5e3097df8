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
from util.fonts.faces import Face, Geometry
from util.reading.json_file import read_json
from util.writing import write_atomically

FILE = "styles.json"
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
            row = next((r for r in free if r.get(key) == (font if key == "file" else _short(font))), None)
            if font not in named and row is not None:
                named[font] = row["name"], row["label"]
                free.remove(row)
                if key == "name" and row.get("file", font) != font:
                    print(f"{font} goes on as style {row['name']}, which was {row['file']}", file=sys.stderr)
    styles: list[Style] = []
    for font in fonts:
        taken = [*(row["name"] for row in rows), *(style.name for style in styles)]
        labels = [*(row["label"] for row in rows), *(style.label for style in styles)]
        fresh = _unused(_short(font), taken), max(labels, default=-1) + 1
        name, label = named.pop(font, fresh)
        styles.append(Style(name, label, open_glyphs(font)))
    return styles


def styles_of_pairs(path: str, left: str, rows: Sequence[dict[str, Any]]) -> tuple[list[Glyphs], list[Style]]:
    """The source glyphs and the styles of paired images, which say their labels themselves.

    In a run that goes on from another one, numbers are that run's: of its style of the same name, or the next.
    """
    from util.fonts.pairs import read_pairs

    labels = {row["name"]: row["label"] for row in rows}
    styles: list[Style] = []
    pairs = read_pairs(Path(path), left=left)  # type: ignore[arg-type]
    for pair in pairs:
        label = labels.setdefault(pair.name, max(labels.values(), default=-1) + 1) if rows else pair.label
        styles.append(Style(pair.name, label, pair.target))
    return [pair.source for pair in pairs], styles


def _short(font: str) -> str:
    path, _, number = font.rpartition("#") if re.search(r"#\d+$", font) else (font, "", "")
    stem = (
        Path(path).stem if Path(path).suffix.lower() in (".ttf", ".otf", ".ttc", ".otc", ".woff2") else Path(path).name
    )
    return stem + (f"-{number}" if number else "")


def _unused(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    return next(n for k in range(2, len(taken) + 3) if (n := f"{name}-{k}") not in taken)


def choose(styles: Sequence[Style], words: Sequence[str], flag: str) -> list[Style]:
    """The styles that a flag names, by name or by label, in its order.

    Raises:
        UserError: there is no such style.
    """
    by_word = {str(style.label): style for style in styles} | {style.name: style for style in styles}
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
