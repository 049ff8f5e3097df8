"""Glyphs with captions that are true by construction: the character, and what the tables of its font say of it."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from data.captions.sources import Captioned, CaptionSource
from data.captions.words import WORDS, article, called, objects, parse_caption, told
from data.fonts.drawn import FontOptions, drawings, read_fonts
from data.fonts.styles import Glyphs
from data.pictures.sources import with_channels
from options import UserError, default, option
from util.fonts.faces import Geometry
from util.seeding import derive

__all__ = ["CaptionGlyphOptions", "glyphs", "parse_caption"]

FINER = 2  # glyphs are bent at this many times their size
SMALLEST = 0.85  # of the size: smaller, and c would be as large as C
SHIFT = 0.08  # of the canvas, to each side
TURN, TURN_SPREAD = 25.0, 3.0  # degrees
BEND, CELLS = 0.6 / 64, 5  # of the canvas; places from side to side between which the bending is smooth
PEN = 0.3 / 64  # of the canvas: how far an outline moves out or in
LIGHTEST = 0.75  # ink
GRAIN = 0.01  # standard deviation, black to white is 1
TRAITS = ("family", "weight", "slant")
SYNONYMS, SHORTER = 5, 3  # captions that say everything in other words, and that leave something out


@dataclass(frozen=True, kw_only=True)
class CaptionGlyphOptions(FontOptions):
    section = "captioned glyphs"
    target_font: tuple[str, ...] = default(
        (
            *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
            *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
            *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
        )
    )
    charset: str = default("letters")
    glyph_scale: float = default(0.9)
    glyph_variants: int = default(8)
    turned: float = option(0.0, "glyphs: part of the drawings that is rotated by 25 degrees, as captions say", least=0)
    vary: float = option(1.0, "glyphs: how far drawings of a glyph differ in size, place, pen and ink; 0: not", least=0)
    draw_seed: int = option(0, "glyphs: another seed draws the same things anew, as never seen", least=0, per_run=True)

    def validate(self) -> None:
        if self.turned > 1:
            raise UserError(f"--turned {self.turned}: must be at most 1")
        if self.vary > 1.5:
            raise UserError(f"--vary {self.vary}: must be at most 1.5; beyond that c becomes as large as C")


# -- what a font is ----------------------------------------------------------------------------------------------------


def traits(glyphs: Glyphs, name: str) -> dict[str, str]:
    """``family``, ``weight`` and ``slant`` as the tables of a font say; by its name where they do not.

    A family that neither tells is left out. Tables are believed: cmr10 says that it has no serifs, and is captioned so.
    """
    font, axes = getattr(glyphs, "font", {}), getattr(glyphs, "location", {})  # a folder of images has no tables
    os2, post, lower = font.get("OS/2"), font.get("post"), name.lower()
    serif = os2.panose.bSerifStyle if os2 and os2.panose.bFamilyType in (0, 2) else 0
    if (post and post.isFixedPitch) or (font and _one_width(glyphs)):
        family = "mono"
    elif 2 <= serif <= 15:
        family = "serif" if serif <= 10 else "sans"
    else:
        family = next((word for word in ("mono", "sans", "serif") if word in lower), "")
    weight = axes.get("wght", os2.usWeightClass if os2 else None)  # the tables are those of a variable font's default
    bold = weight >= 600 if weight is not None else any(word in lower for word in ("bold", "heavy", "black"))
    sloped = bool(post and post.italicAngle) or bool(os2 and os2.fsSelection & (1 << 0 | 1 << 9))
    sloped = bool(axes.get("slnt") or axes.get("ital")) if {"slnt", "ital"} & axes.keys() else sloped
    italic = sloped if os2 or post else any(word in lower for word in ("italic", "oblique"))
    found = {"family": family, "weight": "bold" if bold else "thin", "slant": "italic" if italic else "upright"}
    return {trait: value for trait, value in found.items() if value}


def _one_width(glyphs: Glyphs) -> bool:
    """Whether i is as wide as m: some fonts of typewriters do not say that they are."""
    narrow, wide = ord("i"), ord("m")
    return glyphs.real((narrow, wide)) == {narrow, wide} and glyphs.advance(narrow) == glyphs.advance(wide)


# -- captions ----------------------------------------------------------------------------------------------------------


def captions(shown: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """True captions of a glyph and what each says, the fullest first; which ones, is a function of the arguments.

    Args:
        shown: letter; weight, slant and family, as far as they are known, and turn, which no caption leaves out.
    """
    letter, rng = shown["letter"], random.Random(derive("captions", sorted(shown.items())))
    traits = {name: shown[name] for name in ("weight", "slant", "family") if name in shown}
    turn = {"turn": shown["turn"]} if "turn" in shown else {}
    full = " ".join([*(WORDS[name][value][0] for name, value in traits.items()), called(letter)])
    found = {article(full) + _turned(turn, None): {"letter": letter, **traits, **turn}}
    for place in range(SYNONYMS + SHORTER):
        kept = traits if place < SYNONYMS else {name: v for name, v in traits.items() if rng.random() < 0.5}
        if place >= SYNONYMS and kept == traits and traits:
            kept = {name: v for name, v in traits.items() if name != rng.choice(list(traits))}
        words = {name: rng.choice(WORDS[name][value]) for name, value in kept.items()}
        found.setdefault(_phrase(letter, words, rng) + _turned(turn, rng), {"letter": letter, **kept, **turn})
    return list(found.items())


def _phrase(letter: str, words: Mapping[str, str], rng: random.Random) -> str:
    if not words:
        return rng.choice((f"the {called(letter, rng)}", article(called(letter, rng)), letter))
    order = rng.choice(("before", "in", "list"))
    if order == "before":
        return article(" ".join([*words.values(), called(letter, rng)]))
    if order == "in":
        return f"the {called(letter, rng)} in {' '.join(words.values())}"
    return ", ".join([letter, *rng.sample(list(words.values()), len(words))])


def _turned(turn: Mapping[str, str], rng: random.Random | None) -> str:
    words = WORDS["turn"][turn["turn"]] if turn else ()
    return f", {rng.choice(words) if rng else words[0]}" if words else ""


# -- pictures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DrawnWithCaptions(Captioned):
    """Glyphs that are drawn when they are read: dark on white, (H, H, 1); each drawing a function of name and seed.

    Attributes:
        fonts, codes: (N,) places in ``glyphs``, code points.
        angles: (N,) degrees to the left, before they vary; 0 is not turned.
        compositions: (N,) the letter and what its font is.
        vary: how far drawings differ; 1 is the usual.
    """

    fonts: np.ndarray
    codes: np.ndarray
    angles: np.ndarray
    compositions: np.ndarray
    glyphs: Sequence[Glyphs]
    geometry: Geometry
    vary: float
    seed: int

    @property
    def groups(self) -> np.ndarray:
        """All drawings of one letter in fonts of one kind."""
        return self.compositions

    def pixels(self, row: int, channels: int) -> np.ndarray:
        side, vary = self.geometry.canvas * FINER, self.vary
        rng = np.random.default_rng(derive(self.seed, "drawing", self.names[row]))
        geometry = Geometry(side, self.geometry.scale, self.geometry.shift)
        ink = 1 - self.glyphs[self.fonts[row]].draw(int(self.codes[row]), geometry).astype(np.float32) / 255
        factor = 1 - rng.uniform(0, 1 - SMALLEST) * vary
        angle = self.angles[row] + (rng.uniform(-TURN_SPREAD, TURN_SPREAD) * vary if self.angles[row] else 0)
        shift = rng.uniform(-SHIFT, SHIFT, 2) * vary * side
        bend = rng.standard_normal((2, CELLS, CELLS)).astype(np.float32) * BEND * vary * side
        pen, level = rng.uniform(-PEN, PEN) * vary * side, 1 - rng.uniform(0, 1 - LIGHTEST) * vary
        if vary or angle:
            ink = _bent(ink, _placed(ink, math.radians(angle), factor, shift), bend)
        if pen:
            ink = _thickened(ink, pen)
        ink = ink.reshape(side // FINER, FINER, side // FINER, FINER).mean((1, 3)) * level
        ink += rng.standard_normal(ink.shape, dtype=np.float32) * GRAIN * vary
        return with_channels(((1 - ink).clip(0, 1) * 255).round().astype(np.uint8)[..., None], channels)


def _placed(ink: np.ndarray, angle: float, factor: float, shift: np.ndarray) -> np.ndarray:
    """Where in ``ink`` each place of the result comes from: (2, H, H) rows and columns.

    Ink is turned to the left by ``angle``, in radians, about the middle, scaled, and moved; less than asked where it
    would leave the canvas.
    """
    side = len(ink)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])  # of (down, right)
    points = np.stack(np.nonzero(ink > 0.1)) - (side - 1) / 2
    if points.size:
        low, high = (turn @ points).min(1), (turn @ points).max(1)
        room = side / 2 - 1 - (3 * BEND + PEN) * side  # bending and a thick pen reach further
        factor = min(factor, 2 * room / max((high - low).max(), 1))
        lowest, highest = -room - factor * low, room - factor * high
        shift = np.minimum(np.maximum(shift, np.minimum(lowest, highest)), np.maximum(lowest, highest))
    places = np.indices(ink.shape).reshape(2, -1) - (side - 1) / 2
    return (turn.T @ (places - shift[:, None]) / factor + (side - 1) / 2).reshape(2, side, side)


def _bent(ink: np.ndarray, places: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """``ink`` at ``places`` and displaced by ``bend``, (2, K, K) pixels, smooth between its places."""
    size = ink.shape[::-1]
    waves = [np.asarray(Image.fromarray(wave).resize(size, Image.Resampling.BICUBIC)) for wave in bend]
    return map_coordinates(ink, places + np.stack(waves), order=1, mode="constant")


def _thickened(ink: np.ndarray, pen: float) -> np.ndarray:
    """Move outlines out by ``pen`` pixels: another level of the blurred ink, with edges a pixel wide."""
    width = 0.011 * len(ink)  # of the blur, about as far as a pen moves
    level = 0.5 - 0.5 * math.erf(pen / width / math.sqrt(2))
    slope = max(width * math.sqrt(2 * math.pi), 0.5 / min(level, 1 - level))  # at least so that paper stays white
    return ((gaussian_filter(ink, width, truncate=3) - level) * slope + 0.5).clip(0, 1)


# -- the source --------------------------------------------------------------------------------------------------------


def glyphs(opt: Any, seed: int) -> CaptionSource:
    """``--charset`` in every ``--target_font`` that has the character, ``--glyph_variants`` times.

    Raises:
        Missing, UserError: as :func:`data.fonts.drawn.read_fonts`.
    """
    styles, codes, real = read_fonts(opt)
    seen = [traits(style.glyphs, style.name) for style in styles]
    values = {name: tuple(v for v in WORDS[name] if v in {t.get(name) for t in seen}) for name in TRAITS}
    attributes = {"letter": tuple(map(chr, codes)), **{name: known for name, known in values.items() if known}}
    if opt.turned:
        attributes["turn"] = tuple(WORDS["turn"])
    (labels, fonts, of_rows, _), names = drawings(styles, codes, real, opt.glyph_variants)
    groups = objects(f"{code} {sorted(seen[font].items())}" for font, code in zip(fonts, of_rows, strict=True))
    turns = [_turn(name, opt.turned) for name in names]
    angles = np.array([{"none": 0.0, "left": TURN, "right": -TURN}[turn] for turn in turns])
    shown = [
        {"letter": chr(code), **seen[font], **({"turn": turn} if opt.turned else {})}
        for font, code, turn in zip(fonts, of_rows, turns, strict=True)
    ]
    geometry = Geometry(opt.crop_size, opt.glyph_scale, opt.glyph_shift)
    faces = [style.glyphs for style in styles]
    columns = (labels, names, *told(shown, attributes, captions), fonts, of_rows, angles, groups)
    every = partial(DrawnWithCaptions, *columns, faces, geometry, opt.vary, opt.draw_seed)
    return CaptionSource("glyphs", attributes, {"every": every}, channels=1)


def _turn(name: str, part: float) -> str:
    """left or right for a part of the drawings, none for the others; the same in every run."""
    rng = random.Random(derive("turned", name))
    return rng.choice(("left", "right")) if rng.random() < part else "none"
