"""Fonts: which characters they really have, and what their glyphs look like on a square canvas."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from options import UserError
from util.distributed import say_once
from util.extras import require
from util.fonts.characters import first_names
from util.fonts.font_file import SECONDS, is_woff2, open_font
from util.fonts.instances import axes_in_words, fonts_of_matplotlib, located, location_of, named
from util.reading.child import in_child

MEASURED = 1000  # pixels of an em in which ink is measured
OVERSAMPLING = 4  # glyphs are drawn this much larger and averaged down: hinting no longer bends them


@dataclass(frozen=True)
class Geometry:
    """One affine map from font units to pixels for a whole font, so a glyph can be carried back into a font.

    .. math:: p_x = T_x + \\frac{F H}{U} x, \\qquad p_y = T_y - \\frac{F H}{U} y

    with T_y = H/2 (1 + F) - B F H, and T_x such that the advance box is centred. U is units per em; y points up in
    the font and down on the canvas.

    Attributes:
        canvas: H, height and width of the canvas in pixels.
        scale: F, the part of the canvas that an em takes.
        shift: B, how far the baseline lies above the bottom of the em, in ems.
        left: where the origin of every glyph lies, in ems from the left edge, in pictures in which boxes are not
            centred; None where they are.
    """

    canvas: int
    scale: float = 0.8
    shift: float = 0.12
    left: float | None = None

    @property
    def em(self) -> float:
        """Pixels of one em."""
        return self.canvas * self.scale

    def origin(self, advance: float) -> tuple[float, float]:
        """Where a glyph's origin lies, in pixels; its advance is in ems, and 1 for a full-width glyph."""
        left = (self.canvas - self.em * advance) / 2 if self.left is None else self.left * self.em
        return left, self.canvas / 2 * (1 + self.scale) - self.shift * self.em

    def forward(self, x: float, y: float, advance: float, units_per_em: int) -> tuple[float, float]:
        """From font units to pixels."""
        left, base = self.origin(advance)
        return left + self.em * x / units_per_em, base - self.em * y / units_per_em

    def inverse(self, x: float, y: float, advance: float, units_per_em: int) -> tuple[float, float]:
        """From pixels to font units."""
        left, base = self.origin(advance)
        return (x - left) * units_per_em / self.em, (base - y) * units_per_em / self.em


class Face:
    """One face of a font file.

    Args:
        name: a path; with ``#2`` after it the face of that number in a collection, with ``@wght=700`` or ``@Bold`` an
            instance of a variable font; or the bare name of a font that matplotlib ships, such as ``DejaVuSans``.

    Attributes:
        location: {axis: value} of a variable font's instance, which is what is drawn; empty for any other font.

    Raises:
        UserError: no such file, no such face, no such instance, or a damaged font.
    """

    def __init__(self, name: str, known: bool = False):
        self.name, meant = name, named(name)
        self.path, self.index = meant.path, meant.index
        self._shipped = fonts_of_matplotlib() in self.path.parents
        try:
            if is_woff2(self.path):
                require("brotli", "woff2", self.path)
            if not (known or self._shipped):
                in_child("util.fonts.font_file:probe", self.path, self.index, seconds=SECONDS)
            self._file = open_font(self.path, self.index)
            self.location = location_of(self._file.font, meant.instance, name)
            if self.location:
                self._file = self._file.at(self.location)
        except UserError:
            raise
        except Exception as error:  # fontTools raises what a damaged table leads it to
            raise UserError(f"font {name}: cannot be read ({error or type(error).__name__})") from None
        self.font, self.units_per_em = self._file.font, self._file.units_per_em
        self.cmap, self.widths = self._file.cmap, self._file.widths
        self._sized: tuple[float, ImageFont.FreeTypeFont] | None = None
        self._told_boxes = known
        if self.location and not meant.instance and not known:
            say_once(
                f"font {name}: is variable, and its default is drawn ({located(self.location)}); others are picked by "
                f"{name}@axis=value, of {axes_in_words(self.font)}"
            )

    @property
    def characters(self) -> Iterable[int]:
        """Code points that the font's map promises; see :meth:`real`."""
        return self.cmap

    @property
    def licence(self) -> str:
        """What the font says of its licence, the first line; empty where it says nothing."""
        names = self.font.get("name", None)
        text = (names.getDebugName(13) or names.getDebugName(14) or "") if names else ""
        return text.strip().splitlines()[0][:200] if text.strip() else ""

    def __reduce__(self) -> tuple[Any, ...]:  # open files do not travel to worker processes
        return Face, (self.name, True)

    def real(self, characters: Iterable[int]) -> set[int]:
        """Those characters that the font draws: mapped to a glyph with an outline of its own.

        A character map alone promises too much: fonts from template editors map thousands of characters to nothing, or
        to a box (:mod:`util.fonts.placeholders`), which is told.
        """
        codes = [code for code in characters if code in self.cmap]
        try:
            if self._shipped:
                return self._file.real(codes)
            real, boxes = in_child("util.fonts.font_file:find_real", self.path, self.index, codes, seconds=SECONDS)
        except Exception as error:
            raise UserError(f"font {self.name}: damaged outlines ({error or type(error).__name__})") from None
        if boxes and not self._told_boxes:
            self._told_boxes = True
            say_once(
                f"font {self.name}: one outline stands for characters that have nothing in common, probably a sign for "
                f"those that it lacks; {len(boxes)} of {len(codes)} count as missing: {first_names(boxes)}"
            )
        return set(real)

    def advance(self, code: int) -> float:
        """Width of a character's box in ems; 1 for full-width characters, whatever the font says."""
        if unicodedata.east_asian_width(chr(code)) in "WF":
            return 1.0
        return self.widths[self.cmap[code]][0] / self.units_per_em

    def draw(self, code: int, geometry: Geometry, box: float | None = None) -> np.ndarray:
        """The glyph in grey levels, (H, H) bytes: white 255, ink 0; ``box`` is centred where it is not the advance."""
        left, base = geometry.origin(self.advance(code) if box is None else box)
        canvas = Image.new("L", (geometry.canvas * OVERSAMPLING,) * 2, 255)
        try:
            ImageDraw.Draw(canvas).text(
                (left * OVERSAMPLING, base * OVERSAMPLING),
                chr(code),
                fill=0,
                anchor="ls",
                font=self._drawn_at(geometry.em * OVERSAMPLING),
            )
        except (OSError, ValueError, Image.DecompressionBombError) as error:  # the last of glyphs of a thousand ems
            raise UserError(f"font {self.name}: cannot draw U+{code:04X} ({error})") from None
        return np.array(canvas.reduce(OVERSAMPLING))

    def leaves_canvas(self, code: int, geometry: Geometry) -> bool:
        """Whether some ink of this glyph falls outside the canvas."""
        left, base = geometry.origin(self.advance(code))
        try:
            box = self._drawn_at(geometry.em * OVERSAMPLING).getbbox(chr(code), anchor="ls")
        except (OSError, ValueError, Image.DecompressionBombError) as error:  # the last of glyphs of a thousand ems
            raise UserError(f"font {self.name}: cannot draw U+{code:04X} ({error})") from None
        x0, y0, x1, y1 = (side / OVERSAMPLING for side in box)
        slack = 0.5  # of a pixel: antialiasing, not ink
        return min(x0 + left, y0 + base) < -slack or max(x1 + left, y1 + base) > geometry.canvas + slack

    def ink_box(self, code: int) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of a glyph's ink in ems from its origin, downwards; None where there is none."""
        mask, (left, top) = self._drawn_at(MEASURED).getmask2(chr(code), "L", anchor="ls")
        box = mask.getbbox()
        if box is None:
            return None
        x0, y0, x1, y1 = (side / MEASURED for side in (box[0] + left, box[1] + top, box[2] + left, box[3] + top))
        return x0, y0, x1, y1

    def bitmap(self, code: int, em: int) -> np.ndarray:
        """The ink of a glyph, 0 to 1, with an em of so many pixels, drawn quickly and cut to its box."""
        mask = self._drawn_at(em).getmask(chr(code), "L")
        return np.array(mask, np.float32).reshape(mask.size[::-1]) / 255

    def _drawn_at(self, size: float) -> ImageFont.FreeTypeFont:
        """FreeType's face; BASIC layout, since shaping would depend on how Pillow was built."""
        if self._sized is None or self._sized[0] != size:
            try:
                font = ImageFont.truetype(self.path, size, self.index, layout_engine=ImageFont.Layout.BASIC)
                if self.location:
                    font.set_variation_by_axes(list(self.location.values()))
            except OSError as error:
                raise UserError(f"font {self.name}: cannot be drawn ({error})") from None
            self._sized = (size, font)
        return self._sized[1]
