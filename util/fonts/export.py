"""A font file of generated glyphs."""

import statistics
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from util.fonts.alternates import add_writings, take_turns
from util.fonts.faces import Geometry
from util.fonts.features import add_features, vertical_forms, vertical_rules
from util.fonts.formats import may_write, save_font
from util.fonts.keeping import Kept, add_kept
from util.fonts.kerning import Kerning, kerning_rules
from util.fonts.measures import slant, weight_class
from util.fonts.names import Rights, check_family, names_of, style_of
from util.fonts.tables import (
    NO_LINES,
    Box,
    Lines,
    height_of,
    set_characters,
    set_lines,
    set_sizes,
    set_style,
    set_upright,
)
from util.fonts.tracing import IDEOGRAPHIC_SPACE, is_full_width, trace_all

SPACE, NO_BREAK_SPACE, FIGURE_SPACE = 0x20, 0xA0, 0x2007
SPACE_WIDTH = 1 / 3  # of an em, as compositors have it, where nothing tells
MOST = 65535  # glyphs that a font can number
# The customary 'prep' of a font without instructions: SCANCTRL and SCANTYPE, no pixel of a thin stroke is dropped. Two
# idle PUSHB and POP make it longer than 7 bytes: FreeType, unless told to, then leaves the outlines as they are.
UNHINTED = bytes.fromhex("B8 01FF 85 B0 04 8D B0 00 21 B0 00 21")
UNICODE_MAPS = {4: ((0, 3), (3, 1)), 12: ((0, 4), (3, 10))}  # format of the table: platform and encoding


@dataclass(frozen=True)
class Exported:
    """What came into a font: characters with their glyphs, and those left out because their image was white.

    Attributes:
        boxes: width of the box in the middle of a character's image, in ems, where that is not its advance.
    """

    added: tuple[int, ...]
    blank: tuple[int, ...]
    font: TTFont = field(repr=False, compare=False)  # as it was written
    boxes: Mapping[int, float] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class About:
    """What a new font says of itself beside its family's name.

    Attributes:
        style: "Regular", "Bold Italic", "Light".
        weight: class of weight, 1 to 1000; none is what the style's name says, else that of the drawn stems.
        angle: degrees of an italic style, negative where it leans to the right; none is measured.
    """

    style: str = "Regular"
    weight: int | None = None
    angle: float | None = None
    rights: Rights = field(default_factory=Rights)


def build_font(
    path: str | Path,
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    family: str,
    *,
    advances: Mapping[int, float] | None = None,
    boxes: Mapping[int, float] | None = None,
    kerning: Kerning | None = None,
    about: About = About(),
    units_per_em: int = 1000,
    version: str = "1.000",
    overwrite: bool = False,
    kept: Kept | None = None,
    simplify: float | None = None,
    lines: Lines = NO_LINES,
) -> Exported:
    """Write a font of these characters, a space and .notdef; of full-width ones with forms for vertical lines.

    Args:
        path: its ending says the format, see :func:`.may_write`; its folder is made. It appears whole or not at all.
        glyphs: image of each character, (H, H) bytes as :func:`.outlines.trace` has them; fetched one at a time.
        geometry: what they were drawn with; its baseline and em become the font's.
        family: name in menus. A font under the Open Font License may reserve its own: choose another.
        advances: widths in ems, 1 where a character has none.
        boxes: width of the box in the middle of a character's image, in ems, where that is not its advance.
        kept: characters that are traced from their own pictures, in place of ``glyphs``, and their other writings.
        simplify: thousandths of an em between outlines and what was drawn, see :func:`.tracing.place_of`.
        lines: how far apart lines of text are at least; ink may have them farther.

    Raises:
        UserError: the file exists, every image is white, or a value does not make a font. Nothing was written.
    """
    path = may_write(path, overwrite)
    check_family(family)
    if not 16 <= units_per_em <= 16384:
        raise UserError(f"units_per_em {units_per_em}: a TrueType font has 16 to 16384, and commonly 1000 or 2048")
    by_hand = kept.writings if kept else {}
    check_count(len({*glyphs, *by_hand}) + (kept.others if kept else 0) + 3, path)
    advances = advances or {}
    told, spaces = boxes or {}, (SPACE, NO_BREAK_SPACE, FIGURE_SPACE)
    boxes = {**advances, **told}
    drawn, blank = trace_all(glyphs, geometry, boxes, units_per_em, (*spaces, *by_hand), simplify)
    outlines, others = add_kept(drawn, kept, geometry, boxes, units_per_em, simplify)
    check_outlines(outlines, path)
    wide = any(map(is_full_width, outlines))
    forms = vertical_forms(outlines, units_per_em, geometry.shift) if wide else {}
    check_count(len(outlines) + sum(map(len, others.values())) + len(forms) + 3, path)
    spaces_of = {SPACE: "space", NO_BREAK_SPACE: "space"}
    spaces_of |= {IDEOGRAPHIC_SPACE: "ideographicspace"} if wide else {FIGURE_SPACE: "figurespace"}
    characters = {code: glyph_name(code) for code in outlines}
    upright = {characters[code]: f"{characters[code]}.vert" for code in forms}
    widths, fixed = _widths(advances, characters, units_per_em)
    widths |= {form: widths[name] for name, form in upright.items()}
    shapes = {".notdef": _notdef(units_per_em, widths[".notdef"])}
    shapes |= {name: TTGlyphPen(None).glyph() for name in spaces_of.values()}
    shapes |= {characters[code]: outlines[code] for code in outlines}
    shapes |= {upright[characters[code]]: form for code, form in forms.items()}

    builder = FontBuilder(units_per_em)
    builder.setupGlyphOrder(list(shapes))
    builder.setupGlyf(shapes)
    bounds = {name: (g.xMin, g.yMin, g.xMax, g.yMax) for name, g in shapes.items() if hasattr(g, "xMin")}
    builder.setupHorizontalMetrics({name: (widths[name], bounds.get(name, (0,))[0]) for name in shapes})
    _set_maps(builder.font, spaces_of | characters)
    ink = [*bounds.values(), *((g.xMin, g.yMin, g.xMax, g.yMax) for of_one in others.values() for g in of_one)]
    images = {**glyphs, **(kept.drawn(geometry) if kept else {})}
    _set_facts(builder, images, geometry, outlines, ink, fixed, about, lines)
    if wide:
        set_upright(builder, geometry, bounds)
    builder.setupNameTable(names_of(family, about.style, version, about.rights), mac=False)
    now = timestampNow()  # SOURCE_DATE_EPOCH, where it is set
    builder.updateHead(flags=0b0011, lowestRecPPEM=8, fontRevision=_number(version), created=now, modified=now)
    _set_hinting(builder.font)
    turns = add_writings(builder.font, {characters[code]: of_one for code, of_one in others.items()})
    kern = kerning_rules(kerning or {}, characters, units_per_em, turns)
    add_features(builder.font, (vertical_rules(upright), kern))
    take_turns(builder.font, turns)
    save_font(builder.font, path, overwrite)
    return Exported(tuple(outlines), tuple(blank), builder.font, told)


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


def _widths(
    advances: Mapping[int, float], characters: Mapping[int, str], units_per_em: int
) -> tuple[dict[str, int], bool]:
    """{glyph: its width}, and whether a program may count on one for all; full-width characters may have two."""
    widths = {name: units(advances.get(code, 1.0), units_per_em) for code, name in characters.items()}
    widths |= {"space": units(advances.get(SPACE, SPACE_WIDTH), units_per_em)}
    narrow = {widths[name] for code, name in characters.items() if not is_full_width(code)}
    fixed = len(narrow | ({widths["space"]} if narrow else set())) <= 1
    widths["ideographicspace"] = units(advances.get(IDEOGRAPHIC_SPACE, 1), units_per_em)
    figures = [widths[characters[code]] for code in map(ord, "0123456789") if code in characters]
    widths["figurespace"] = statistics.mode(figures or [widths["space"]])
    widths[".notdef"] = narrow.pop() if fixed and narrow else units_per_em
    return widths, fixed


def _set_facts(
    builder: FontBuilder,
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    outlines: Mapping[int, Any],
    ink: Sequence[Box],
    fixed: bool,
    about: About,
    lines: Lines,
) -> None:
    """What OS/2, hhea, head and post say; measured where ``about`` does not tell it."""
    style, em = style_of(about.style), builder.font["head"].unitsPerEm
    x_height, capital = height_of(outlines, "x"), height_of(outlines, "H")
    weight = about.weight or style.weight or weight_class(glyphs, outlines, geometry.em, x_height / em, capital / em)
    angle = 0.0 if not style.italic else about.angle if about.angle is not None else -slant(glyphs, outlines)
    set_lines(builder, geometry, ink, angle, lines)
    set_style(builder, style, weight, fixed, angle)
    set_sizes(builder.font, x_height, capital)
    set_characters(builder.font)


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        raise UserError(f"version {version!r}: give a number such as 1.000") from None


def _notdef(units_per_em: int, width: int) -> Any:
    """A hollow box, which no character looks like."""
    pen = TTGlyphPen(None)
    for inset, turn in ((0.1, 1), (0.15, -1)):
        low, high = round(inset * units_per_em), round((0.9 - inset) * units_per_em)
        right = width - units_per_em + high
        corners = [(low, low), (low, high), (right, high), (right, low)][::turn]
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
