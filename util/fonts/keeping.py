"""Characters that were written or drawn by hand, and stay so in a font: traced from their own pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from util.fonts.faces import Geometry
from util.fonts.outlines import Place
from util.fonts.picture_folder import GlyphImages
from util.fonts.pictures import place, window_of
from util.fonts.tracing import is_full_width, place_of, trace_each
from util.stopwatch import Countdown

AROUND = 4  # pixels of paper around the ink that are traced with it
FINEST = 256  # pixels: a picture with more is reduced, for tracing takes the cube of its side


@dataclass(frozen=True)
class Kept:
    """A hand's pictures, each the whole canvas of a geometry, at whatever size.

    Attributes:
        writings: {character: its pictures, (n, n) bytes, the first one and others that may stand in for it}.
        advances: widths in ems that the hand itself tells.
        made_with: scale and shift of the pictures' geometry; None where it is that of the font's other glyphs.
    """

    writings: Mapping[int, list[np.ndarray]]
    advances: Mapping[int, float]
    made_with: tuple[float, float] | None = None

    @property
    def pictures(self) -> dict[int, np.ndarray]:
        """The first writing of each character."""
        return {code: pictures[0] for code, pictures in self.writings.items()}

    @property
    def others(self) -> int:
        return sum(len(pictures) - 1 for pictures in self.writings.values())

    def in_geometry(self, geometry: Geometry) -> Geometry:
        """That of the pictures, in a font whose other glyphs have this one."""
        return Geometry(geometry.canvas, *self.made_with) if self.made_with else geometry

    def drawn(self, geometry: Geometry) -> dict[int, np.ndarray]:
        """The first writings on a font's canvas, to be measured with its other glyphs."""
        found = {}
        for code, picture in self.pictures.items():
            start, side = window_of(replace(self.in_geometry(geometry), canvas=len(picture)), geometry)
            found[code] = place(picture.astype(np.float32), start, side, geometry.canvas)
        return found

    def only(self, codes: Iterable[int]) -> "Kept":
        return replace(self, writings={code: self.writings[code] for code in codes if code in self.writings})

    def trace(
        self, geometry: Geometry, boxes: Mapping[int, float], units_per_em: int, simplify: float | None = None
    ) -> tuple[dict[int, Any], dict[int, list[Any]]]:
        """Outlines in the geometry's em and on its baseline: {character: first writing}, {character: the others}.

        Args:
            boxes: width of the box that is in the middle of each character's canvas, in ems.
        """
        own, outlines = self.in_geometry(geometry), dict[int, Any]()
        others: dict[int, list[Any]] = {}
        rows = [(code, picture) for code, pictures in self.writings.items() for picture in pictures]
        places = [place_of(replace(own, canvas=len(p)), boxes[code], units_per_em, simplify) for code, p in rows]
        images = [_cut(picture, place) for (_, picture), place in zip(rows, places, strict=True)]
        countdown = Countdown(len(rows), "kept glyph")
        for (code, _), outline in zip(rows, trace_each(images), strict=True):
            if outline is not None and outlines.setdefault(code, outline) is not outline:
                others.setdefault(code, []).append(outline)
            countdown.step()
        return outlines, others


def add_kept(
    drawn: Mapping[int, Any],
    kept: Kept | None,
    geometry: Geometry,
    advances: Mapping[int, float],
    units_per_em: int,
    simplify: float | None = None,
) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    """Outlines in the order of their characters, those that are kept among them, and the kept ones' other writings."""
    if kept is None:
        return dict(drawn), {}
    boxes = {code: 1.0 if is_full_width(code) else advances.get(code, 1.0) for code in kept.writings}
    own, others = kept.trace(geometry, boxes, units_per_em, simplify)
    return dict(sorted({**drawn, **own}.items())), others


def read_kept(folder: GlyphImages) -> Kept:
    """Every picture of a folder that shows something; what it leaves out it tells."""
    codes = sorted(folder.real(code for code in folder.characters if code < 0x110000))
    writings = {code: [_of_tracing_size(levels) for levels in folder.writings(code)] for code in codes}
    return Kept(writings, {code: folder.advance(code) for code in folder.told_advances}, folder.made_with)


def _cut(picture: np.ndarray, place: Place) -> tuple[np.ndarray, Place]:
    """The square around a picture's ink, and where it lies: the smaller, the sooner traced."""
    rows, columns = (np.flatnonzero((picture < 255).any(axis)) for axis in (1, 0))
    if not len(rows):
        return picture, place
    side = min(len(picture), max(int(np.ptp(rows)), int(np.ptp(columns))) + 1 + 2 * AROUND)
    y, x = (int(np.clip(ink[0] - AROUND, 0, len(picture) - side)) for ink in (rows, columns))
    return picture[y : y + side, x : x + side], replace(place, left=place.left - x, base=place.base - y)


def _of_tracing_size(square: np.ndarray) -> np.ndarray:
    if len(square) > FINEST:
        square = np.asarray(Image.fromarray(square).resize((FINEST, FINEST), Image.Resampling.BOX))
    return square.round().clip(0, 255).astype(np.uint8)
