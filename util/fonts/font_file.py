"""Font files as fontTools reads them: opened, and which of their characters have an outline. Without PyTorch.

A font can compose a glyph of two of another that is composed of two of a third, and so on. A file that does not come
with matplotlib is read in a child first (:mod:`util.reading.child`), which may fail.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

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
    widths: dict[str, tuple[int, int]]
    notdef: str

    def real(self, codes: Iterable[int]) -> set[int]:
        """Those whose glyph has an outline that is neither empty nor .notdef's; whatever fontTools raises is raised."""
        return {code for code in codes if self._is_real(code)}

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


def open_font(path: Path, index: int) -> FontFile:
    """Whatever fontTools raises of damaged tables is raised.

    Raises:
        ValueError: it has no outlines, or cannot be read.
    """
    data = BytesIO(bytes_of(path, MOST_BYTES))  # worker processes would share an open file's position
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


def find_real(path: Path, index: int, codes: list[int]) -> list[int]:
    return sorted(_opened(path, path.stat().st_mtime_ns, index).real(codes))


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, index: int) -> FontFile:
    return open_font(path, index)
