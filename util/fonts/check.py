"""Does an exported font show what was put into it?"""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont

from options import UserError
from util.fonts.faces import Face, Geometry


def check_font(
    path: str | Path,
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    boxes: Mapping[int, float] | None = None,
) -> dict[int, float]:
    """Draw every character again: {character: intersection over union of its ink with the image's}.

    Ink is what is darker than half grey. Compare grey with :func:`overlap` where edges fall on the middle of pixels.

    Args:
        glyphs: (H, H) bytes, white 255 and ink 0, at any H; the geometry is taken at that size.
        boxes: width of the box in the middle of a character's image, in ems, where that is not its advance.

    Raises:
        UserError: FreeType cannot draw the font, or it does not outlive being read and written again.
    """
    face, scores = Face(str(path)), {}
    there = face.real(glyphs)
    for code in sorted(glyphs):
        image = glyphs[code]
        drawn = np.full_like(image, 255)
        if code in there:
            drawn = face.draw(code, replace(geometry, canvas=len(image)), (boxes or {}).get(code))
        scores[code] = ink_overlap(drawn < 128, image < 128)
    _survives(path, face, there)
    return scores


def ink_overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two amounts of ink, in [0, 1] each or true and false; 1 where neither has any."""
    union = np.maximum(a, b).sum(dtype=np.float64)
    return float(np.minimum(a, b).sum(dtype=np.float64) / union) if union else 1.0


def _survives(path: str | Path, face: Face, codes: set[int]) -> None:
    try:
        first = TTFont(face.path, fontNumber=face.index)
        again = BytesIO()
        names = sorted({first.getBestCmap()[code] for code in codes})
        before = _shapes(first, names)
        maps = _maps(first)
        first.save(again)
        second = TTFont(again)
        same = maps == _maps(second) and before == _shapes(second, [_renamed(first, second, name) for name in names])
    except Exception as error:  # fontTools raises what a damaged table leads it to
        raise UserError(f"font {path}: cannot be read and written again ({error or type(error).__name__})") from None
    if not same:
        raise UserError(f"font {path}: read and written again, it is another font")


def _renamed(first: TTFont, second: TTFont, name: str) -> str:
    return second.getGlyphName(first.getGlyphID(name))


def _shapes(font: TTFont, names: list[str]) -> list[Any]:
    shapes, glyphs, metrics = [], font.getGlyphSet(), font["hmtx"]
    for name in names:
        pen = RecordingPen()
        glyphs[name].draw(pen)
        shapes.append((pen.value, metrics[name]))
    return shapes


def _maps(font: TTFont) -> list[tuple[Any, ...]]:
    return [
        (t.platformID, t.platEncID, t.format, {code: font.getGlyphID(name) for code, name in t.cmap.items()})
        for t in font["cmap"].tables
        if t.format in (4, 12)
    ]
