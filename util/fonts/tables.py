"""What the tables of a new font say of it beside its glyphs: lines, style, weight, heights, languages."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.O_S_2f_2 import Panose

from util.fonts.code_pages import code_pages
from util.fonts.faces import Geometry
from util.fonts.names import Style

Box = tuple[int, int, int, int]  # xMin, yMin, xMax, yMax of a glyph
TEXT, ANY, MONOSPACED = 2, 0, 9  # of Panose: family of Latin text, any serif and proportion, one width for all
PANOSE_WEIGHT = {100: 2, 200: 3, 300: 4, 400: 5, 500: 6, 600: 7, 700: 8, 800: 9, 900: 10}
ITALIC, BOLD, REGULAR, TYPO_LINES, OBLIQUE = (1 << bit for bit in (0, 5, 6, 7, 9))  # bits of fsSelection
MAC_BOLD, MAC_ITALIC = 1 << 0, 1 << 1
TALLEST = 4  # ems of a line: Noto's Urdu, the tallest of Debian's, has 2.5


@dataclass(frozen=True)
class Lines:
    """How far lines reach above and below the baseline, and what is between them, in ems."""

    ascent: float = 0.0
    descent: float = 0.0
    gap: float = 0.0


NO_LINES = Lines()


def lines_of(font: Any) -> Lines | None:
    """What a font of fontTools says, as a program that heeds OS/2's bit of typographic lines reads it; None of nothing.

    Numbers that no line of text has, as of a damaged font, say nothing.
    """
    os2, hhea = font.get("OS/2"), font.get("hhea")
    told = [(hhea.ascent, -hhea.descent, hhea.lineGap)] if hhea else []
    if os2:
        told.append((os2.sTypoAscender, -os2.sTypoDescender, os2.sTypoLineGap))
        told = told[::-1] if os2.fsSelection & TYPO_LINES else told
    em = font["head"].unitsPerEm
    for ascent, descent, gap in told:
        if ascent > 0 and descent >= 0 and gap >= 0 and ascent + descent + gap <= TALLEST * em:
            return Lines(ascent / em, descent / em, gap / em)
    return None


def set_lines(
    builder: FontBuilder, geometry: Geometry, boxes: Collection[Box], angle: float, lines: Lines = NO_LINES
) -> None:
    """Ascent and descent, the same for every program: the em around the baseline, and all the ink, so that nothing is
    cut off and no line touches the next; and at least as far apart as lines of another font are.

    Args:
        lines: the other font's.
        angle: italicAngle, degrees; negative where letters lean to the right.
    """
    em = builder.font["head"].unitsPerEm
    below = round(geometry.shift * em)
    ascent = max([em - below, round(lines.ascent * em), *(box[3] for box in boxes)])
    descent = max([below, round(lines.descent * em), *(-box[1] for box in boxes)])
    gap = round(lines.gap * em)
    rise = em if angle else 1
    run = round(math.tan(math.radians(-angle)) * rise)
    builder.setupHorizontalHeader(ascent=ascent, descent=-descent, lineGap=gap, caretSlopeRise=rise, caretSlopeRun=run)
    builder.setupOS2(
        version=4,  # that of the bit of typographic lines
        sTypoAscender=ascent,
        sTypoDescender=-descent,
        sTypoLineGap=gap,
        usWinAscent=ascent,
        usWinDescent=descent,
        fsType=0,
        achVendID="NONE",
    )


def set_style(builder: FontBuilder, style: Style, weight: int, fixed: bool, angle: float) -> None:
    """Bold, italic, weight and width for all: in OS/2, head and post, where they must agree."""
    os2, head, em = builder.font["OS/2"], builder.font["head"], builder.font["head"].unitsPerEm
    os2.usWeightClass = weight
    os2.fsSelection = TYPO_LINES | style.bold * BOLD | style.italic * ITALIC | style.oblique * OBLIQUE
    os2.fsSelection |= 0 if style.bold or style.italic else REGULAR
    head.macStyle = style.bold * MAC_BOLD | style.italic * MAC_ITALIC
    os2.panose = Panose(bFamilyType=TEXT, bSerifStyle=ANY, bProportion=MONOSPACED if fixed else ANY)
    os2.panose.bWeight = PANOSE_WEIGHT[min(max(round(weight, -2), 100), 900)]
    builder.setupPost(
        keepGlyphNames=False,
        isFixedPitch=int(fixed),
        italicAngle=angle,
        underlinePosition=-round(em / 10),
        underlineThickness=round(em / 20),
    )


def set_sizes(font: TTFont, x_height: int, capital: int) -> None:
    """Heights of x and H, 0 where they are not there; what small and struck words look like (Noto's)."""
    os2, em = font["OS/2"], font["head"].unitsPerEm
    os2.sxHeight, os2.sCapHeight = x_height, capital
    for script, height in (("Subscript", 0.075), ("Superscript", 0.35)):
        setattr(os2, f"y{script}XSize", round(0.65 * em))
        setattr(os2, f"y{script}YSize", round(0.6 * em))
        setattr(os2, f"y{script}XOffset", 0)
        setattr(os2, f"y{script}YOffset", round(height * em))
    os2.yStrikeoutSize, os2.yStrikeoutPosition = round(em / 20), round(x_height / 2) or round(0.3 * em)


def set_characters(font: TTFont) -> None:
    """What depends on the characters and their widths."""
    os2 = font["OS/2"]
    os2.recalcAvgCharWidth(font)
    os2.recalcUnicodeRanges(font)
    os2.setCodePageRanges(code_pages(font.getBestCmap()))


def height_of(outlines: Mapping[int, Any], character: str) -> int:
    """Of a letter above the baseline; 0 where it was not drawn."""
    outline = outlines.get(ord(character))
    return max(0, outline.yMax) if outline is not None else 0


def set_upright(builder: FontBuilder, geometry: Geometry, bounds: Mapping[str, Box]) -> None:
    """Vertical lines: the em of each glyph below that of the last, around a line through its middle."""
    em = builder.font["head"].unitsPerEm
    top = em - round(geometry.shift * em)
    builder.setupVerticalHeader(ascent=em // 2, descent=em // 2 - em, lineGap=0)
    order = builder.font.getGlyphOrder()
    builder.setupVerticalMetrics({name: (em, top - bounds[name][3] if name in bounds else 0) for name in order})
