"""A font file of generated glyphs."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.fontBuilder import FontBuilder
from fontTools.misc.timeTools import timestampNow
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables.ttProgram import Program

from options import UserError
from util.fonts.faces import Geometry
from util.fonts.formats import may_write, save_font
from util.fonts.names import check_family, names_of
from util.fonts.tracing import IDEOGRAPHIC_SPACE, trace_all

SPACE, NO_BREAK_SPACE = 0x20, 0xA0
MOST = 65535  # glyphs that a font can number
# The customary 'prep' of a font without instructions: SCANCTRL and SCANTYPE, no pixel of a thin stroke is dropped. Two
# idle PUSHB and POP make it longer than 7 bytes: FreeType, unless told to, then leaves the outlines as they are.
UNHINTED = bytes.fromhex("B8 01FF 85 B0 04 8D B0 00 21 B0 00 21")
UNICODE_MAPS = {4: ((0, 3), (3, 1)), 12: ((0, 4), (3, 10))}  # format of the table: platform and encoding


@dataclass(frozen=True)
class Exported:
    """What came into a font: characters with their glyphs, and those left out because their image was white."""

    added: tuple[int, ...]
    blank: tuple[int, ...]


def build_font(
    path: str | Path,
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    family: str,
    *,
    advances: Mapping[int, float] | None = None,
    units_per_em: int = 1000,
    style: str = "Regular",
    version: str = "1.000",
    overwrite: bool = False,
) -> Exported:
    """Write a TrueType font of these characters, a space, an ideographic space and .notdef.

    Args:
        path: a .ttf file; its folder is made. It appears whole or not at all.
        glyphs: image of each character, (H, H) bytes as :func:`.outlines.trace` has them; fetched one at a time.
        geometry: what they were drawn with; its baseline and em become the font's.
        family: name in menus. A font under the Open Font License may reserve its own: choose another.
        advances: widths in ems, 1 where a character has none.

    Raises:
        UserError: the file exists, every image is white, or a value does not make a font. Nothing was written.
    """
    path = may_write(path, overwrite)
    check_family(family)
    if not 16 <= units_per_em <= 16384:
        raise UserError(f"units_per_em {units_per_em}: a TrueType font has 16 to 16384, and commonly 1000 or 2048")
    check_count(len(glyphs) + 3, path)
    advances = advances or {}
    outlines, blank = trace_all(glyphs, geometry, advances, units_per_em, without=(SPACE, NO_BREAK_SPACE))
    check_outlines(outlines, path)
    spaces = {SPACE: "space", NO_BREAK_SPACE: "space", IDEOGRAPHIC_SPACE: "ideographicspace"}
    characters = {code: glyph_name(code) for code in outlines}
    shapes = {".notdef": _notdef(units_per_em), "space": TTGlyphPen(None).glyph()}
    shapes |= {"ideographicspace": TTGlyphPen(None).glyph()} | {characters[code]: outlines[code] for code in outlines}
    widths = {name: units(advances.get(code, 1.0), units_per_em) for code, name in characters.items()}
    widths |= {"space": units(advances.get(SPACE, 1 / 3), units_per_em)}  # a third of an em, as compositors have it
    widths |= {".notdef": units_per_em, "ideographicspace": units(advances.get(IDEOGRAPHIC_SPACE, 1), units_per_em)}

    builder = FontBuilder(units_per_em)
    builder.setupGlyphOrder(list(shapes))
    builder.setupGlyf(shapes)
    left = {name: getattr(glyph, "xMin", 0) for name, glyph in shapes.items()}
    builder.setupHorizontalMetrics({name: (widths[name], left[name]) for name in shapes})
    _set_maps(builder.font, spaces | characters)
    _set_lines(builder, geometry, outlines.values())
    builder.setupNameTable(names_of(family, style, version), mac=False)
    builder.setupPost(
        keepGlyphNames=False,
        underlinePosition=-round(units_per_em / 10),
        underlineThickness=round(units_per_em / 20),
    )
    now = timestampNow()  # SOURCE_DATE_EPOCH, where it is set
    builder.updateHead(flags=0b1011, lowestRecPPEM=8, fontRevision=_number(version), created=now, modified=now)
    _set_hinting(builder.font)
    save_font(builder.font, path, overwrite)
    return Exported(tuple(outlines), tuple(blank))


# ---- for every way to write a font -----------------------------------------------------------------------------------


def check_count(count: int, path: Path) -> None:
    if count > MOST:
        raise UserError(f"{path}: {count} glyphs, and a font can hold {MOST}; export fewer characters")


def check_outlines(outlines: Mapping[int, Any], path: Path) -> None:
    if not outlines:
        raise UserError(f"{path}: every image is white, so there is no glyph to write; has this network been trained?")


def glyph_name(code: int) -> str:
    return f"uni{code:04X}" if code <= 0xFFFF else f"u{code:X}"


def units(ems: float, units_per_em: int) -> int:
    return max(0, min(round(ems * units_per_em), 65535))


def extend_map(font: TTFont, table: Any, characters: Mapping[int, str]) -> None:
    """Add characters to one map. Format 4 holds no character above U+FFFF, and no more than 64 KiB: what is too much,
    from the highest down, stands in format 12 alone."""
    new = sorted(code for code in characters if table.format == 12 or code <= 0xFFFF)
    before = {code: table.cmap[code] for code in new if code in table.cmap}
    table.cmap.update((code, characters[code]) for code in new)
    while table.format == 4 and new and not _fits(font, table):
        new, dropped = new[: len(new) // 2], new[len(new) // 2 :]
        for code in dropped:
            table.cmap.pop(code)
            table.cmap.update({code: before[code]} if code in before else {})


def _fits(font: TTFont, table: Any) -> bool:
    try:
        table.compile(font)
    except struct.error:  # its length has 16 bits
        return False
    return True


def new_map(form: int, platform: int, encoding: int) -> Any:
    table = CmapSubtable.newSubtable(form)
    table.platformID, table.platEncID, table.language, table.cmap = platform, encoding, 0, {}
    return table


# ---- tables of a new font --------------------------------------------------------------------------------------------


def _set_maps(font: TTFont, characters: Mapping[int, str]) -> None:
    font["cmap"] = newTable("cmap")
    font["cmap"].tableVersion, font["cmap"].tables = 0, []
    for form, places in UNICODE_MAPS.items():
        tables = [new_map(form, *place) for place in places]
        extend_map(font, tables[0], characters)
        for table in tables:
            table.cmap = tables[0].cmap
        font["cmap"].tables += tables
    font["cmap"].tables.sort(key=lambda table: (table.platformID, table.platEncID))


def _set_lines(builder: FontBuilder, geometry: Geometry, outlines: Iterable[Any]) -> None:
    """Ascent and descent: the em around the baseline, and on Windows, which cuts off what lies outside, all the ink."""
    outlines, em = list(outlines), builder.font["head"].unitsPerEm
    descent = round(geometry.shift * em)
    ascent = em - descent
    builder.setupHorizontalHeader(ascent=ascent, descent=-descent, lineGap=0)
    builder.setupOS2(
        sTypoAscender=ascent,
        sTypoDescender=-descent,
        sTypoLineGap=0,
        usWinAscent=max([ascent, *(glyph.yMax for glyph in outlines)]),
        usWinDescent=max([descent, *(-glyph.yMin for glyph in outlines)]),
        fsType=0,
        fsSelection=1 << 6 | 1 << 7,  # regular; lines are spaced by the typographic values
        achVendID="NONE",
    )
    table = builder.font["OS/2"]
    table.recalcAvgCharWidth(builder.font)
    table.recalcUnicodeRanges(builder.font)
    table.recalcCodePageRanges(builder.font)


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        raise UserError(f"version {version!r}: give a number such as 1.000") from None


def _notdef(units_per_em: int) -> Any:
    """A hollow box, which no character looks like."""
    pen = TTGlyphPen(None)
    for inset, turn in ((0.1, 1), (0.15, -1)):
        low, high = round(inset * units_per_em), round((0.9 - inset) * units_per_em)
        corners = [(low, low), (low, high), (high, high), (high, low)][::turn]
        pen.moveTo(corners[0])
        for corner in corners[1:]:
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()


def _set_hinting(font: TTFont) -> None:
    font["prep"] = newTable("prep")
    font["prep"].program = Program()
    font["prep"].program.fromBytecode(UNHINTED)
    font["gasp"] = newTable("gasp")
    font["gasp"].version, font["gasp"].gaspRange = 1, {0xFFFF: 0b1111}  # smooth at every size
