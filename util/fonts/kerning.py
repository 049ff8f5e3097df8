"""Kerning of a font: what its pairs of characters are moved by, and the same as classes of a new font."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.ttLib import TTFont

from options import UserError
from util.fonts.font_file import SECONDS, open_font
from util.reading.child import in_child

PAIRS, EXTENSION = 2, 9  # types of GPOS lookups
MOST = 1500  # characters whose pairs are looked at: all alphabets together have fewer letters

Kerning = dict[tuple[int, int], float]  # of two characters, in ems


def kerning_of(face: Any, codes: Iterable[int]) -> Kerning:
    """Of these characters in a font, those of full width apart. One that the font lacks is kerned as its bare letter.

    Raises:
        UserError: the tables are damaged.
    """
    narrow = [code for code in sorted(codes) if unicodedata.east_asian_width(chr(code)) not in "WF"][:MOST]
    stands_for = {code: code if code in face.cmap else bare_letter(code) for code in narrow}
    there = sorted({code for code in stands_for.values() if code in face.cmap})
    if len(there) < 2 or not {"GPOS", "kern"} & set(face.font.keys()):
        return {}
    try:
        found = in_child("util.fonts.kerning:read", face.path, face.index, there, seconds=SECONDS)
    except ValueError as error:
        raise UserError(f"font {face.name}: its kerning cannot be read ({error})") from None
    own = {(int(a), int(b)): int(value) / face.units_per_em for a, b, value in found}
    like: dict[int, list[int]] = {}
    for code, letter in stands_for.items():
        like.setdefault(letter, []).append(code)
    return {(a, b): value for (one, two), value in own.items() for a in like[one] for b in like[two]}


def bare_letter(code: int) -> int:
    """The letter under its accents."""
    return ord(unicodedata.normalize("NFD", chr(code))[0])


def kerning_rules(
    kerning: Kerning, names: Mapping[int, str], units_per_em: int, writings: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The feature, in the language of feature files: characters that are kerned alike are a class; "" for none.

    Args:
        writings: {name of a glyph: all of its writings}, which are kerned as it is.
    """
    units = {
        pair: value
        for pair, ems in kerning.items()
        if pair[0] in names and pair[1] in names and (value := round(ems * units_per_em))
    }
    if not units:
        return ""
    first, second = (sorted({pair[side] for pair in units}) for side in (0, 1))
    table = np.zeros((len(first), len(second)), np.int64)
    for (a, b), value in units.items():
        table[first.index(a), second.index(b)] = value
    rows, of_row = np.unique(table, axis=0, return_inverse=True)
    cells, of_column = np.unique(rows, axis=1, return_inverse=True)
    glyphs = {code: " ".join((writings or {}).get(name, [name])) for code, name in names.items()}
    lines = [*_classes("left", of_row, first, glyphs), *_classes("right", of_column, second, glyphs)]
    lines += [f"  pos @left{i} @right{j} {cells[i, j]};" for i, j in np.argwhere(cells)]
    return "\n".join(["feature kern {", *lines, "} kern;"])


def _classes(side: str, numbers: np.ndarray, codes: Sequence[int], names: Mapping[int, str]) -> list[str]:
    members: dict[int, list[str]] = {}
    for number, code in zip(numbers.ravel().tolist(), codes, strict=True):
        members.setdefault(number, []).append(names[code])
    return [f"  @{side}{number} = [{' '.join(words)}];" for number, words in sorted(members.items())]


# -- in a child --------------------------------------------------------------------------------------------------------


def read(path: Path, index: int, codes: list[int]) -> np.ndarray:
    """(N, 3): two characters and by how many units the first one's advance changes; of GPOS, else of kern."""
    opened = open_font(path, index)
    names = [opened.cmap[code] for code in codes]
    table = _of_gpos(opened.font, names) if "GPOS" in opened.font else None
    if table is None and "kern" in opened.font:
        table = _of_kern(opened.font, names)
    if table is None:
        return np.zeros((0, 3), np.int64)
    place, them = np.argwhere(table), np.array(codes, np.int64)
    return np.concatenate([them[place], table[tuple(place.T)][:, None]], axis=1).reshape(-1, 3)


def _of_gpos(font: TTFont, names: list[str]) -> np.ndarray | None:
    """Of every script's ``kern``; None where there is none. Rules that depend on neighbours are not read."""
    gpos = font["GPOS"].table
    if not gpos.FeatureList or not gpos.LookupList:
        return None
    records = [record.Feature for record in gpos.FeatureList.FeatureRecord if record.FeatureTag == "kern"]
    lookups = sorted({number for feature in records for number in feature.LookupListIndex})
    if not lookups:
        return None
    total = np.zeros((len(names),) * 2, np.int64)
    for number in lookups:
        lookup = gpos.LookupList.Lookup[number]
        done = np.zeros_like(total, bool)  # in a lookup the first table that knows a pair has the last word
        for subtable in lookup.SubTable:
            kind = subtable.ExtensionLookupType if lookup.LookupType == EXTENSION else lookup.LookupType
            subtable = subtable.ExtSubTable if lookup.LookupType == EXTENSION else subtable
            if kind == PAIRS:
                known, values = (_single if subtable.Format == 1 else _by_class)(subtable, names)
                total += np.where(known & ~done, values, 0)
                done |= known
    return total


def _single(subtable: Any, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs (n, n) a table of pairs knows, and their values."""
    known, values = np.zeros((len(names),) * 2, bool), np.zeros((len(names),) * 2, np.int64)
    sets = dict(zip(subtable.Coverage.glyphs, subtable.PairSet, strict=True))
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    for row, name in enumerate(names):
        for record in sets[name].PairValueRecord if name in sets else ():
            for column in places.get(record.SecondGlyph, ()):
                known[row, column], values[row, column] = True, _advance(record)
    return known, values


def _by_class(subtable: Any, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    covered = set(subtable.Coverage.glyphs)
    left, right = (
        np.array([(classes.classDefs if classes else {}).get(name, 0) for name in names], int)
        for classes in (subtable.ClassDef1, subtable.ClassDef2)
    )
    cells = np.array([[_advance(cell) for cell in row.Class2Record] for row in subtable.Class1Record], np.int64)
    known = np.repeat(np.array([name in covered for name in names])[:, None], len(names), axis=1)
    return known, cells[left[:, None], right[None]]


def _advance(record: Any) -> int:
    return getattr(record.Value1, "XAdvance", 0) or 0


def _of_kern(font: TTFont, names: list[str]) -> np.ndarray:
    total = np.zeros((len(names),) * 2, np.int64)
    for table in font["kern"].kernTables:
        pairs = getattr(table, "kernTable", None)  # another format than that of pairs
        if pairs is None or not getattr(table, "coverage", 1) & 1:  # vertical
            continue
        total += np.array([[pairs.get((a, b), 0) for b in names] for a in names], np.int64)
    return total
