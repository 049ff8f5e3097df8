"""Lines of text: in glyphs as a network draws them, spaced as their font will be, and in a font file."""

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.fonts.fitting import Fit
from options import UserError
from util.fonts.characters import character_name, refuse_shaped, runs_leftwards
from util.fonts.export import SPACE, SPACE_WIDTH
from util.fonts.faces import Face, Geometry
from util.fonts.kerning import kerning_of
from util.fonts.tracing import IDEOGRAPHIC_SPACE


def readable(pen: Any, text: str) -> dict[int, Any]:
    """The sources of a text's characters.

    Raises:
        UserError: a character is in no source font, or the text runs both ways.
    """
    wanted = [ord(c) for c in text if not blank(c)]
    refuse_shaped(wanted, f"--text {text}")
    runs_leftwards(text, f"--text {text}")
    sources = pen.sources(wanted)
    missing = [character_name(code) for code in dict.fromkeys(wanted) if code not in sources]
    if missing or not wanted:
        if not missing:
            raise UserError(f"--text {text!r}: holds no characters; give the text to write")
        fonts = ",".join(glyphs.name for glyphs in pen.fonts)
        where = f"--source_font {fonts}; leave them out, or add a font that has them to --source_font"
        if pen.dataset.opt.pairs and fonts == ",".join(glyphs.name for glyphs in pen.dataset.sources):
            where = f"{pen.dataset.opt.pairs}; name the font that its sources were drawn from, --source_font ming.ttf"
        raise UserError(f"--text {text}: {' '.join(missing[:8])} not in {where}")
    return sources


def blank(character: str) -> bool:
    return unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc")


def source_fit(pen: Any, sources: Mapping[int, Any]) -> Fit:
    """How the source fonts' own glyphs stand in lines; pairs are kerned as in the first font."""
    advances = {code: font.advance(code) for code, font in sources.items()}
    first = pen.fonts[0]
    if not isinstance(first, Face):
        return Fit(advances)
    advances |= {SPACE: first.advance(SPACE)} if SPACE in first.cmap else {}
    return Fit(advances, kerning=kerning_of(first, [code for code, font in sources.items() if font is first]))


def between(one: Fit, other: Fit, part: float) -> Fit:
    """What lies a part of the way from one style to another."""
    return Fit(
        _mixed(one.advances, other.advances, part),
        _mixed({**one.advances, **one.boxes}, {**other.advances, **other.boxes}, part),
        _mixed(dict.fromkeys(other.kerning, 0.0) | one.kerning, dict.fromkeys(one.kerning, 0.0) | other.kerning, part),
    )


def _mixed(one: Mapping[Any, float], other: Mapping[Any, float], part: float) -> dict[Any, float]:
    """Of what both know."""
    return {key: (1 - part) * one[key] + part * other[key] for key in one.keys() & other.keys()}


def typeset(text: str, glyphs: Mapping[int, np.ndarray], fit: Fit, geometry: Geometry) -> np.ndarray:
    """A line of glyphs as an exported font would set them, Hebrew from the right: bytes (H, W), ink 0."""
    leftwards = runs_leftwards(text, text)
    H, em = geometry.canvas, geometry.em
    codes = [ord(character) for character in text]
    widths = [advance_in(fit, code) for code in codes]
    kerned = [fit.kerning.get(pair, 0.0) for pair in itertools.pairwise(codes)]
    margin, x = (H - em) / 2, (H - em) / 2
    end = em * (sum(widths) + sum(kerned)) + 2 * margin
    line = np.full((H, int(np.ceil(end + 2 * H))), 255, np.uint8)
    for code, width, kern in zip(codes, widths, [*kerned, 0.0], strict=True):
        if not blank(chr(code)):
            origin = end - x - width * em if leftwards else x
            left = round(origin - geometry.origin(fit.boxes.get(code, width))[0]) + round(margin)  # of its canvas
            window = line[:, max(left, 0) : left + H]
            np.minimum(window, glyphs[code][:, max(-left, 0) :][:, : window.shape[1]], out=window)
        x += (width + kern) * em
    return line[:, : int(np.ceil(x + 2 * margin))]


def advance_in(fit: Fit, code: int) -> float:
    """In ems; of blanks that nothing tells of as in an exported font."""
    if code in fit.advances or not blank(chr(code)):
        return fit.advances.get(code, 1.0)
    return 1.0 if code == IDEOGRAPHIC_SPACE else fit.advances.get(SPACE, SPACE_WIDTH)


def width_of(text: str) -> int:
    """Of a line on a page, in CSS pixels."""
    return min(1600, max(200, len(text) * 64))


def specimen(font: Path, text: str, width: int = 1200, sizes: Sequence[int] = (96, 48, 32, 20, 14)) -> np.ndarray:
    """The text in a font at several sizes in pixels, each on lines of its own: bytes (H, W), ink 0."""
    parts, margin = [], 24
    for size in sizes:
        face = ImageFont.truetype(str(font), size, layout_engine=ImageFont.Layout.BASIC)
        repeated = text * (1 if size > 40 else 2)
        lines = [""]
        for character in repeated:
            if face.getlength(lines[-1] + character) > width - 2 * margin:
                lines.append("")
            lines[-1] += character
        part = Image.new("L", (width, round(size * 1.35) * len(lines) + size // 2), 255)
        for row, words in enumerate(lines):
            ImageDraw.Draw(part).text((margin, round(size * 1.35 * row + size * 1.1)), words, 0, face, anchor="ls")
        parts.append(np.array(part))
    return np.concatenate(parts)
