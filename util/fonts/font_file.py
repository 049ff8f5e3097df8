"""Font files as fontTools reads them: opened, and which of their characters have an outline. Without PyTorch.

A font can compose a glyph of two of another that is composed of two of a third, and so on. A file that does not come
with matplotlib is read in a child first (:mod:`util.reading.child`), which may fail.
"""

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

from util.fonts.placeholders import is_placeholder
from util.reading.json_file import bytes_of

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on odd dates in a header
MOST_BYTES = 512 << 20  # those of all Han characters together have 120 MB
SECONDS = 20  # for all characters of a font


@dataclass(frozen=True)
class FontFile:
    """One face of a file.

    Attributes:
        cmap: code point -> name of a glyph, as the file promises; see :meth:`real`.
        widths: name of a glyph -> (advance, left side bearing).
        notdef: what is drawn for a character that is not there.
    """

    font: TTFont
    units_per_em: int
    cmap: dict[int, str]
    widths: Mapping[str, tuple[float, float]]
    notdef: str

    def at(self, location: dict[str, float]) -> "FontFile":
        """An instance of a variable font. Which characters are real is the same in all: axes only move points."""
        return replace(self, widths=_WidthsAt(self.font, location))

    def real(self, codes: Iterable[int]) -> set[int]:
        """Those whose glyph has an outline of its own; whatever fontTools raises is raised.

        An outline is none of its own where it is empty, .notdef's, or a :attr:`placeholder <placeholders>`.
        """
        return {code for code in codes if code not in self.placeholders and self._is_real(code)}

    @cached_property
    def placeholders(self) -> frozenset[int]:
        """Characters whose outline stands for many that have nothing in common: a box under other names than .notdef.

        They are told by the whole font, whichever of them are asked for.
        """
        of_glyph: dict[str, list[int]] = {}
        for code, glyph in self.cmap.items():
            of_glyph.setdefault(glyph, []).append(code)
        sharing: dict[Hashable, list[int]] = {}
        for glyph, codes in of_glyph.items():
            if (shape := self._shape(glyph)) is not None:
                sharing.setdefault(shape, []).extend(codes)
        return frozenset(code for codes in sharing.values() if is_placeholder(codes) for code in codes)

    def _is_real(self, code: int) -> bool:
        glyph = self.cmap.get(code)
        if glyph is None or glyph == self.notdef:
            return False
        if "glyf" in self.font:
            data = self._glyph_data(self.font.getGlyphID(glyph))
            contours = int.from_bytes(data[:2], "big", signed=True) if data else 0
            if contours == 0:
                return False
            if contours > 0:
                return data != self._notdef_data
        outline = self._outline(glyph)  # CFF, or a glyph composed of others
        return any(name in ("lineTo", "curveTo", "qCurveTo") for name, _ in outline) and outline != self._notdef_outline

    def _shape(self, glyph: str) -> Hashable:
        """What equal outlines have in common, without drawing them where that can be told; None of an empty one."""
        number = self.font.getGlyphID(glyph)
        if "glyf" not in self.font:
            return self._program(number)
        seen: set[int] = set()
        while number not in seen:
            seen.add(number)
            data = self._glyph_data(number)
            contours = int.from_bytes(data[:2], "big", signed=True) if data else 0
            if contours >= 0:
                return data if contours else None
            alone = _only_component(data)
            if alone is None:
                return data
            number = alone
        return None

    def _program(self, number: int) -> Hashable:
        """Of a glyph in CFF: its program, and whose subroutines that calls."""
        top = self.font["CFF2" if "CFF2" in self.font else "CFF "].cff.topDictIndex[0]
        charstrings = top.CharStrings.charStringsIndex
        program = charstrings[number].bytecode
        chosen = top.FDSelect[number] if hasattr(top, "FDSelect") else 0
        return (chosen, program) if program and len(program) > 4 else None  # shorter, it draws nothing

    def _glyph_data(self, number: int) -> bytes:
        start, end = self.font["loca"][number], self.font["loca"][number + 1]
        if not 0 <= start <= end <= len(self._glyf):
            raise ValueError(f"glyph {number} lies outside its table")
        return self._glyf[start:end]

    @cached_property
    def _glyf(self) -> bytes:
        return self.font.getTableData("glyf")

    @cached_property
    def _notdef_data(self) -> bytes:
        return self._glyph_data(0)

    @cached_property
    def _notdef_outline(self) -> list[Any]:
        return self._outline(self.notdef)

    @cached_property
    def _glyphs(self) -> Any:
        return self.font.getGlyphSet()

    def _outline(self, glyph: str) -> list[Any]:
        pen = DecomposingRecordingPen(self._glyphs)
        self._glyphs[glyph].draw(pen)
        return pen.value


class _WidthsAt(Mapping[str, tuple[float, float]]):
    """Advances of an instance, each computed when it is asked for."""

    def __init__(self, font: TTFont, location: dict[str, float]):
        self.font, self.glyphs = font, font.getGlyphSet(location=location)

    def __getitem__(self, glyph: str) -> tuple[float, float]:
        found = self.glyphs[glyph]
        return found.width, found.lsb

    def __iter__(self) -> Iterator[str]:
        return iter(self.font.getGlyphOrder())

    def __len__(self) -> int:
        return len(self.font.getGlyphOrder())


def _only_component(data: bytes) -> int | None:
    """The number of the glyph that a composite of TrueType is a copy of: of one part, not moved, not scaled."""
    flags, number = int.from_bytes(data[10:12], "big"), int.from_bytes(data[12:14], "big")
    words, more, transformed = flags & 0x0001, flags & 0x0020, flags & (0x0008 | 0x0040 | 0x0080)
    moved = any(data[14 : 14 + (4 if words else 2)])
    return None if more or transformed or moved else number


def is_woff2(path: Path) -> bool:
    """Whether a file is packed so that it takes another package to read it, whatever its name says."""
    with path.open("rb") as file:
        return file.read(4) == b"wOF2"


def open_font(path: Path, index: int) -> FontFile:
    """Whatever fontTools raises of damaged tables is raised.

    Raises:
        ValueError: it has no outlines, or cannot be read.
    """
    data = BytesIO(bytes_of(path, MOST_BYTES))  # worker processes would share an open file's position
    if index and data.getbuffer()[:4] != b"ttcf":  # fontTools would not mind, FreeType refuses to draw it
        raise ValueError(f"it is no collection and has one face; leave out #{index}")
    font = TTFont(data, fontNumber=index, lazy=True)
    opened = FontFile(
        font, font["head"].unitsPerEm, font.getBestCmap() or {}, font["hmtx"].metrics, font.getGlyphOrder()[0]
    )
    if not any(table in font for table in ("glyf", "CFF ", "CFF2")):
        raise ValueError("it has no outlines")
    if opened.units_per_em < 16:  # the least that OpenType has
        raise ValueError(f"an em of {opened.units_per_em} units")
    return opened


# -- in a child --------------------------------------------------------------------------------------------------------


def probe(path: Path, index: int) -> None:
    _opened(path, path.stat().st_mtime_ns, index)


def find_real(path: Path, index: int, codes: list[int]) -> tuple[list[int], list[int]]:
    """Those of these characters that are real, and those whose outline is a placeholder."""
    font = _opened(path, path.stat().st_mtime_ns, index)
    return sorted(font.real(codes)), sorted(font.placeholders.intersection(codes))


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, index: int) -> FontFile:
    return open_font(path, index)
