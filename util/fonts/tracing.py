"""The outlines of all characters of a font, from their images."""

import sys
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from options import UserError
from util.fonts.faces import Geometry, character_name
from util.fonts.outlines import trace
from util.stopwatch import Countdown

IDEOGRAPHIC_SPACE = 0x3000


def trace_all(
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    advances: Mapping[int, float],
    units_per_em: int,
    without: Iterable[int] = (),
) -> tuple[dict[int, Any], list[int]]:
    """{character: outline}, sorted, and the characters whose image is white; with progress, and a line about those."""
    codes = sorted(set(glyphs) - set(without))
    countdown, outlines, blank = Countdown(len(codes), "glyph"), {}, []
    for code in codes:
        image = glyphs[code]
        if image.shape != (geometry.canvas,) * 2 or image.dtype != np.uint8:
            raise UserError(
                f"{character_name(code)}: an image of {image.dtype} {image.shape}; the geometry's canvas asks for "
                f"uint8 {(geometry.canvas,) * 2}"
            )
        # a full-width character is drawn in a box of one em, whatever the font's width of it is
        box = 1.0 if is_full_width(code) else advances.get(code, 1.0)
        outline = trace(image, geometry, box, units_per_em)
        if outline is not None:
            outlines[code] = outline
        elif code != IDEOGRAPHIC_SPACE:
            blank.append(code)
        countdown.step()
    if blank:
        first = " ".join(map(character_name, blank[:8])) + " ..." * (len(blank) > 8)
        print(f"{len(blank)} of {len(codes)} images are white; these characters are left out: {first}", file=sys.stderr)
    return outlines, blank


def is_full_width(code: int) -> bool:
    return unicodedata.east_asian_width(chr(code)) in "WF"
