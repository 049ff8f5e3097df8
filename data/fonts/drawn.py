"""Glyphs as labelled pictures: the class is the character, drawn in many fonts, or the font."""

import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from data.fonts.styles import Glyphs, Style, styles_of_fonts
from data.pictures.sources import Missing, Pictures, Source, with_channels
from options import BaseOptions, UserError, option
from util.fonts.characters import character_name
from util.fonts.charsets import SETS, charset
from util.fonts.faces import Geometry
from util.fonts.instances import ENDINGS, joined
from util.seeding import derive

FINER = 2  # glyphs are turned at this many times their size
PAPER = 255


@dataclass(frozen=True, kw_only=True)
class FontOptions(BaseOptions):
    section = "glyphs as pictures"
    of_a_family = True
    target_font: tuple[str, ...] = option(
        (
            *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
            *("DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
            *("cmr10", "cmss10", "cmtt10", "cmb10"),
        ),
        "glyphs: font files (of a collection <file>#2, of a variable font <file>@wght=700), folders of them, fonts "
        "that matplotlib ships, or folders of one image for each character",
    )
    charset: str = option("ascii", f"glyphs: characters: auto (all letters of the fonts), a text file, or sets: {SETS}")
    glyph_scale: float = option(0.8, "glyphs: part of the canvas that an em takes", above=0)
    glyph_shift: float = option(0.12, "glyphs: height of the baseline above the bottom of the em, in ems")
    glyph_variants: int = option(4, "glyphs: drawings of a glyph, each a little different", least=1)


@dataclass(frozen=True, kw_only=True)
class GlyphOptions(FontOptions):
    section = "glyphs as labelled pictures"
    of_a_family = True
    class_by: Literal["character", "font"] = option("character", "glyphs: what makes a class")
    glyph_variants: int = option(4, "glyphs: drawings of a glyph, all but the first turned and shrunk", least=1)
    glyph_rotation: float = option(8.0, "glyphs: the most a drawing is turned to either side, in degrees", least=0)
    glyph_shrink: float = option(0.25, "glyphs: the most a drawing is shrunk, a part of its size", least=0)

    def validate(self) -> None:
        if self.glyph_shrink >= 1:
            raise UserError(f"--glyph_shrink {self.glyph_shrink}: must be below 1")


@dataclass(frozen=True)
class Drawn(Pictures):
    """Glyphs that are drawn when they are read: dark on white, (H, H, 1).

    Drawing 0 of a glyph is plain; another one is turned and shrunk by amounts that are a function of its name.

    Attributes:
        fonts, codes, drawings: (N,) places in ``glyphs``, code points, numbers of the drawing.
        rotation: the most, in degrees, to either side.
        shrink: the most, a part of the size.
    """

    fonts: np.ndarray
    codes: np.ndarray
    drawings: np.ndarray
    glyphs: Sequence[Glyphs]
    geometry: Geometry
    rotation: float
    shrink: float
    seed: int

    @property
    def groups(self) -> np.ndarray:
        """All drawings of one glyph of one font."""
        return np.array([f"{font} {code}" for font, code in zip(self.fonts, self.codes, strict=True)], dtype=object)

    def pixels(self, row: int, channels: int) -> np.ndarray:
        side = self.geometry.canvas * FINER
        geometry = Geometry(side, self.geometry.scale, self.geometry.shift)
        canvas = Image.fromarray(self.glyphs[self.fonts[row]].draw(int(self.codes[row]), geometry))
        if self.drawings[row]:
            rng = random.Random(derive(self.seed, "drawing", self.names[row]))
            angle = math.radians(rng.uniform(-self.rotation, self.rotation))
            factor = 1 - rng.uniform(0, self.shrink)
            canvas = canvas.transform(
                canvas.size,
                Image.Transform.AFFINE,
                _about_the_middle(angle, factor, side),
                Image.Resampling.BICUBIC,
                fillcolor=PAPER,
            )
        return with_channels(np.array(canvas.reduce(FINER))[..., None], channels)


def _about_the_middle(angle: float, factor: float, side: int) -> tuple[float, ...]:
    """Pillow's six numbers, from a place in the result to one in the source, of turning by ``angle`` and scaling."""
    a, b, middle = math.cos(angle) / factor, math.sin(angle) / factor, side / 2
    return a, b, middle - (a + b) * middle, -b, a, middle - (a - b) * middle


def glyphs(opt: Any, seed: int) -> Source:
    """``--charset`` in every ``--target_font`` that has the character, ``--glyph_variants`` times.

    Raises:
        Missing, UserError: as :func:`read_fonts`.
    """
    styles, codes, real = read_fonts(opt)
    faces = [style.glyphs for style in styles]
    of_font = opt.class_by == "font"
    classes = tuple(style.name for style in styles) if of_font else tuple(map(class_name, codes))
    (places, fonts, of_rows, numbers), names = drawings(styles, codes, real, opt.glyph_variants)
    geometry = Geometry(opt.crop_size, opt.glyph_scale, opt.glyph_shift)
    columns = (fonts if of_font else places, names, fonts, of_rows, numbers)
    every = partial(Drawn, *columns, faces, geometry, opt.glyph_rotation, opt.glyph_shrink, seed)
    return Source("glyphs", classes, {"every": every}, channels=1, mirrors=False)


def read_fonts(opt: Any) -> tuple[list[Style], list[int], list[set[int]]]:
    """The fonts of ``--target_font``, those of ``--charset`` that any of them has, and which each of them has.

    Raises:
        Missing: a font is not there.
        UserError: no font has any of the characters.
    """
    try:
        styles = styles_of_fonts([font for name in joined(opt.target_font) for font in _fonts(name)], [])
    except UserError as error:
        raise Missing(str(error)) from None
    faces = [style.glyphs for style in styles]
    wanted = charset(opt.charset, faces)
    real = [face.real(wanted) for face in faces]
    codes = [code for code in wanted if any(code in has for has in real)]
    if not codes:
        raise UserError(f"--charset {opt.charset}: no --target_font has any of its {len(wanted)} characters")
    if len(codes) < len(wanted) and opt.charset != "auto":
        gone = len(wanted) - len(codes)
        print(f"--target_font: {gone} of {len(wanted)} characters are in no font and left out", file=sys.stderr)
    return styles, codes, real


def drawings(
    styles: Sequence[Style], codes: Sequence[int], real: Sequence[set[int]], variants: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every drawing of what :func:`read_fonts` found, character by character and in each font that has it.

    Returns:
        (4, N) places of the characters, places of the fonts, code points, numbers of the drawing; (N,) names.
    """
    rows = [
        (place, font, code, drawing)
        for place, code in enumerate(codes)
        for font, has in enumerate(real)
        if code in has
        for drawing in range(variants)
    ]
    names = [f"{character_name(code)}_{styles[font].name}_{drawing}" for _, font, code, drawing in rows]
    return np.array(rows, dtype=np.int64).T, np.array(names, dtype=object)


def class_name(code: int) -> str:
    """The character, if it is a letter or a digit; else U+002F, which no shell and no file name minds."""
    name = character_name(code)
    return name.rpartition("_")[2] if name.startswith("U+") and "_" in name else name


def _fonts(name: str) -> list[str]:
    """The font files in a folder; the name itself where it is a font, or a folder with a picture for each character."""
    folder = Path(name)
    if folder.is_dir():
        files = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
        return files or [name]
    return [name]
