"""Glyphs that are pictures: what they have in common wherever the pictures lie."""

import hashlib
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from options import UserError
from util.fonts.characters import character_name
from util.fonts.faces import Geometry

Fit = Literal["canvas", "em"]
FAINT = 16  # of 255: a picture whose darkest point is no darker below white shows nothing
ALIKE = 5  # so many characters with one and the same picture: the sign for a missing glyph, not a shape they share


class PictureGlyphs:
    """A source of glyphs that answers as :class:`util.fonts.faces.Face` does; subclasses say which pictures there are.

    A picture is dark on light; colours count by their luma and transparency is white. One that is not square is
    padded with white to a square, centred, never stretched; grey levels are kept.

    Args:
        name: what messages call it.
        fit: "canvas", a picture is the whole canvas; "em", it is the em square, so that the geometry's margins
            surround it.
    """

    def __init__(self, name: str, fit: Fit = "canvas"):
        if fit not in ("canvas", "em"):
            raise UserError(f"{name}: fit {fit!r} is neither canvas nor em")
        self.name, self.fit = name, fit
        self._seen: dict[int, tuple[str, str]] = {}  # what real() found: a problem or "", and a digest
        self._reported: set[tuple[str, int]] = set()

    @property
    def characters(self) -> Collection[int]:
        """Code points for which there is a picture, whatever it shows."""
        raise NotImplementedError

    def _pixels(self, code: int) -> np.ndarray:
        """A picture as :func:`util.images.read_pixels` has it, with one channel."""
        raise NotImplementedError

    def advance(self, code: int) -> float:
        """Width of a character's box in ems. A picture does not tell it: 1, a full-width box."""
        return 1.0

    def real(self, codes: Iterable[int]) -> set[int]:
        """Those characters whose picture can be read and shows something that is their own.

        Every picture asked for is decoded, once. Left out, and reported in one line for each reason: damaged and
        blank pictures, and one picture that stands for ALIKE or more of the characters asked for.
        """
        asked = sorted(set(codes) & set(self.characters))
        for code in asked:
            if code not in self._seen:
                self._seen[code] = self._examine(code)
        found = [code for code in asked if self._seen[code][0] in ("", "dark")]
        count = Counter(self._seen[code][1] for code in found)
        alike = {code for code in found if count[self._seen[code][1]] >= ALIKE}
        self._report(
            "show one and the same picture, probably a font's sign for a missing glyph, and are left out", alike
        )
        self._report("are blank and left out", [c for c in asked if self._seen[c][0] == "blank"])
        self._report(
            "are mostly dark; dark glyphs on white are expected", [c for c in found if self._seen[c][0] == "dark"]
        )
        broken = [c for c in asked if self._seen[c][0] not in ("", "dark", "blank")]
        if broken:
            self._report(f"cannot be read and are left out ({self._seen[broken[0]][0]})", broken)
        return set(found) - alike

    def _examine(self, code: int) -> tuple[str, str]:
        try:
            levels = self._levels(code)
        except UserError as error:
            return str(error), ""
        if levels.min() > 255 - FAINT:
            return "blank", ""
        digest = hashlib.blake2b(levels.tobytes() + str(levels.shape).encode(), digest_size=16).hexdigest()
        return ("dark" if levels.mean() < 127.5 else ""), digest

    def _report(self, what: str, codes: Iterable[int]) -> None:
        new = [code for code in sorted(codes) if (what, code) not in self._reported]
        if new:
            self._reported.update((what, code) for code in new)
            first = " ".join(map(character_name, new[:5])) + " ..." * (len(new) > 5)
            print(f"{self.name}: {len(new)} of {len(self.characters)} pictures {what}: {first}", file=sys.stderr)

    def draw(self, code: int, geometry: Geometry) -> np.ndarray:
        """The picture on the canvas in grey levels, (H, H) bytes: white 255, ink 0."""
        square = to_square(self._levels(code))
        start, side = self._window(len(square), geometry)
        return place(square, start, side, geometry.canvas)

    def leaves_canvas(self, code: int, geometry: Geometry) -> bool:
        """Whether some ink falls outside the canvas: only where that is a part of the picture."""
        if self._shows_all(geometry):
            return False
        square = to_square(self._levels(code))
        start, side = self._window(len(square), geometry)
        x, y = start if isinstance(start, tuple) else (start, start)
        rows, columns = (slice(max(0, math.floor(at)), max(0, math.ceil(at + side))) for at in (y, x))
        square[rows, columns] = 255
        return bool(square.min() < 128)

    def _shows_all(self, geometry: Geometry) -> bool:
        """Whether nothing of a picture lies outside the canvas, as its size tells."""
        return self.fit == "canvas" or geometry.scale <= 1

    def _window(self, size: int, geometry: Geometry) -> tuple[float | tuple[float, float], float]:
        """Where the canvas begins in a square picture and how long its side is, in the picture's pixels.

        The em box is in the middle of the canvas, both ways: see :meth:`Geometry.origin` with an advance of 1.
        """
        side = size if self.fit == "canvas" else size / geometry.scale
        return (size - side) / 2, side

    def _levels(self, code: int) -> np.ndarray:
        if code not in self.characters:
            raise UserError(f"{self.name}: has no picture of {character_name(code)}")
        return to_levels(self._pixels(code))


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 1), bytes or floats in [-1, 1], as float32 (H, W) from 0 (ink) to 255."""
    levels = pixels[..., 0].astype(np.float32)
    return levels if pixels.dtype == np.uint8 else (levels + 1) * 127.5


def to_square(levels: np.ndarray) -> np.ndarray:
    """A picture (H, W) in the middle of a white square; always a copy."""
    height, width = levels.shape
    size = max(height, width)
    top, left = (size - height) // 2, (size - width) // 2
    return np.pad(levels, ((top, size - height - top), (left, size - width - left)), constant_values=255)


def window_of(made: Geometry, asked: Geometry) -> tuple[tuple[float, float], float]:
    """Where, in a picture of one geometry, the canvas of another begins, x and y, and its side.

    Ems are as long in both, and baselines meet; boxes are in the middle.
    """
    side = made.canvas * made.scale / asked.scale
    base = replace(asked, canvas=1, left=None).origin(1.0)[1]
    return ((made.canvas - side) / 2, made.origin(1.0)[1] - base * side), side


def place(square: np.ndarray, start: float | tuple[float, float], side: float, size: int) -> np.ndarray:
    """The part of a square picture on a canvas, antialiased; white beyond the picture.

    Args:
        square: float32 (n, n), 0 to 255.
        start: x and y, or both at once, at which the canvas begins, in the picture's pixels; may be negative.
        side: length of the canvas there.
        size: pixels of the result.

    Returns:
        (size, size) bytes.
    """
    x, y = start if isinstance(start, tuple) else (start, start)
    margin = max(0, math.ceil(-min(x, y)), math.ceil(max(x, y) + side) - len(square))
    image = Image.fromarray(np.pad(square, margin, constant_values=255))
    x, y, end = x + margin, y + margin, float(len(square) + 2 * margin)
    filter = Image.Resampling.BICUBIC if size > side else Image.Resampling.HAMMING  # the latter never overshoots
    resized = image.resize((size, size), filter, box=(x, y, min(x + side, end), min(y + side, end)))
    return np.asarray(resized).round().clip(0, 255).astype(np.uint8)
