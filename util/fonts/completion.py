"""A user's own font with the characters that it lacks."""

import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.cffLib.CFF2ToCFF import convertCFF2ToCFF
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.O_S_2f_2 import intersectUnicodeRanges
from fontTools.varLib.instancer import instantiateVariableFont

from options import UserError
from util.fonts.alternates import name_of_writing, take_turns
from util.fonts.code_pages import code_pages
from util.fonts.cubics import bounds, charstring, to_glyf
from util.fonts.export import (
    UNICODE_MAPS,
    Exported,
    check_count,
    check_outlines,
    extend_map,
    glyph_name,
    new_map,
    units,
)
from util.fonts.faces import Face, Geometry
from util.fonts.formats import may_write, save_font
from util.fonts.keeping import Kept, add_kept
from util.fonts.names import check_family, rename
from util.fonts.tracing import is_full_width, trace_all

RESTRICTED = 0x0002  # OS/2 fsType: not to be modified, embedded or exchanged without the owner's permission
UNICODE = {(0, encoding) for encoding in (0, 1, 2, 3, 4, 6)} | {(3, 1), (3, 10)}


def complete_font(
    base: str | Path,
    path: str | Path,
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    *,
    advances: Mapping[int, float] | None = None,
    boxes: Mapping[int, float] | None = None,
    family: str | None = None,
    overwrite: bool = False,
    kept: Kept | None = None,
    simplify: float | None = None,
) -> Exported:
    """Write a copy of a font in which the characters that it lacks have the glyphs of these images.

    A character lacks a glyph where :meth:`.fonts.Face.real` says so, also one that is mapped to nothing or to the
    outline of .notdef. What the base has stays: its glyphs, widths, names, line spacing and layout tables. New glyphs
    stand at its baseline and, where they are full-width, have the width of its own full-width characters; in a font
    that has one width for all others, they have it too.

    Args:
        base: a font file, or ``<file>#2``, a face of a collection, which becomes a font of its own.
        path: see :func:`.may_write`; never the base itself. Of a variable base one instance is completed.
        glyphs: image of each character, also of those that the base has, which are not looked at.
        advances: widths of characters that are not full-width, in ems; 1 where a character has none.
        boxes, simplify: see :func:`.export.build_font`.
        family: a name in menus in place of the base's, see :func:`.font_names.rename`. A font under the Open Font
            License may reserve its own for copies that were not changed.
        kept: of what the base lacks, characters that are traced from their own pictures, and their other writings.

    Raises:
        UserError: the file exists, the images of what is lacking are all white, or the base is no font that glyphs can
            be added to. Nothing was written.
    """
    face, path = Face(str(base)), Path(path)
    if path.exists() and path.samefile(face.path):
        raise UserError(f"{path}: is the font to be completed, which is kept as it is; choose another name")
    path, advances = may_write(path, overwrite), advances or {}
    if family is not None:
        check_family(family)
    font = _open(face, path)
    by_hand = set(kept.writings) - face.real(kept.writings) if kept else set[int]()
    kept = kept.only(sorted(by_hand)) if kept else None
    lacking = {code: glyphs[code] for code in sorted(set(glyphs) - face.real(glyphs) - by_hand)}
    check_count(len(face.font.getGlyphOrder()) + len(lacking) + len(by_hand) + (kept.others if kept else 0), path)
    if "OS/2" in font and font["OS/2"].fsType & RESTRICTED:
        print(f"{base}: its maker forbids to modify it without permission (OS/2 fsType, restricted)", file=sys.stderr)
    em, wide = face.units_per_em, _full_width_glyphs(face)
    only = _only_width(face)
    if only is not None:
        advances = dict.fromkeys([*lacking, *by_hand], only / em)
    told = {} if only else boxes or {}
    boxes = {**advances, **told}
    drawn, blank = trace_all(lacking, geometry, boxes, em, simplify=simplify)
    outlines, others = add_kept(drawn, kept, geometry, boxes, em, simplify)
    if lacking or by_hand:
        check_outlines(outlines, path)
    full = statistics.mode([round(face.widths[name][0]) for name in wide] or [em])
    widths = {c: full if is_full_width(c) else units(advances.get(c, 1.0), em) for c in outlines}
    try:
        again = {(code, k): outline for code, of_one in others.items() for k, outline in enumerate(of_one, 1)}
        names = _add_glyphs(font, {**outlines, **again}, {**widths, **{key: widths[key[0]] for key in again}}, wide)
        _add_characters(font, {code: names[code] for code in outlines})
        take_turns(font, {names[c]: [names[c], *(names[key] for key in again if key[0] == c)] for c in others})
        if family is not None:
            rename(font, family)
    except UserError:
        raise
    except Exception as error:  # fontTools raises what a damaged table leads it to
        raise UserError(f"font {base}: cannot be completed ({error or type(error).__name__})") from None
    _warn_of_clipping(font, base, outlines)
    save_font(font, path, overwrite)
    return Exported(tuple(outlines), tuple(blank), font, told)


def _open(face: Face, path: Path) -> TTFont:
    """The font for writing, with outlines of the kind that new ones get; tables that are not looked at are copied."""
    if not face.cmap:
        raise UserError(f"font {face.name}: has no Unicode character map to be extended")
    font = TTFont(face.path, fontNumber=face.index, lazy=True, recalcBBoxes=False)
    try:
        if "fvar" in font:
            at = ", ".join(f"{tag}={value:g}" for tag, value in face.location.items())
            print(f"{face.name}: is a variable font; what is completed is its instance {at}")
            font = _instance(font, face)  # its axes would not move a new glyph
        if "CFF2" in font:
            convertCFF2ToCFF(font)
            font["CFF "].cff.topDictIndex[0].recalcFontBBox()
        if "CFF " in font and path.suffix.lower() == ".ttf":
            to_glyf(font)
            print(
                f"{face.name}: its outlines are PostScript's (CFF) and become TrueType's; .otf keeps them as they are"
            )
    except Exception as error:  # fontTools raises what a damaged table leads it to
        raise UserError(f"font {face.name}: cannot be completed ({error or type(error).__name__})") from None
    return font


def _instance(font: TTFont, face: Face) -> TTFont:
    """Of a variable font, called as its style attributes (STAT) have it."""
    if face.location == {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes}:
        return instantiateVariableFont(font, face.location, inplace=True)
    try:
        return instantiateVariableFont(font, face.location, inplace=True, updateFontNames=True)
    except ValueError as error:  # raised before anything is changed
        print(
            f"{face.name}: its names stay those of its default, for it names no such style ({error})", file=sys.stderr
        )
    return instantiateVariableFont(font, face.location, inplace=True)


def _full_width_glyphs(face: Face) -> list[str]:
    return sorted({face.cmap[code] for code in face.real(filter(is_full_width, face.cmap))})


def _only_width(face: Face) -> int | None:
    """The width of all characters that are not full-width, where a monospaced font has just one."""
    if "post" not in face.font or not face.font["post"].isFixedPitch:
        return None
    narrow = face.real(code for code in face.cmap if not is_full_width(code))
    widths = {round(face.widths[face.cmap[code]][0]) for code in narrow} - {
        0
    }  # accents that stand over the letter before
    return widths.pop() if len(widths) == 1 else None


def _add_glyphs(
    font: TTFont, outlines: Mapping[Any, Any], widths: Mapping[Any, int], wide: list[str]
) -> dict[Any, str]:
    """Append them to every table that counts glyphs: {character, or (character, number of a writing): name}."""
    order = list(font.getGlyphOrder())
    taken, names = set(order), {}
    for code in outlines:
        name = name_of_writing(glyph_name(code[0]), code[1]) if isinstance(code, tuple) else glyph_name(code)
        while name in taken:  # of an empty glyph, say
            name += ".new"
        taken.add(name)
        names[code] = name
    upright = _vertical_origin(font, wide) if "vmtx" in font else None
    for table in ("hdmx", "LTSH", "DSIG"):  # caches of widths, which are optional; a signature that is void now
        if table in font:
            del font[table]
    if font["post"].formatType == 1.0 and names:  # the names of the Macintosh's 258 glyphs
        font["post"].formatType, font["post"].extraNames, font["post"].mapping = 2.0, [], {}
    add = _add_to_glyf if "glyf" in font else _add_to_cff
    names = add(font, order, names, outlines, widths)
    for code, glyph in outlines.items():
        font["hmtx"][names[code]] = (widths[code], glyph.xMin)
        if upright:
            font["vmtx"][names[code]] = (upright[0], upright[1] - glyph.yMax)
    _set_extremes(font, outlines, widths, upright)
    return names


def _add_to_glyf(
    font: TTFont, order: list[str], names: dict[Any, str], outlines: Mapping[Any, Any], _: Mapping[Any, int]
) -> dict[Any, str]:
    font.setGlyphOrder([*order, *names.values()])
    for code, glyph in outlines.items():
        font["glyf"][names[code]] = glyph
    return names


def _add_to_cff(
    font: TTFont, order: list[str], names: dict[Any, str], outlines: Mapping[Any, Any], widths: Mapping[Any, int]
) -> dict[Any, str]:
    """Of a font whose glyphs have numbers (CID) the new ones get the next, and the hints of its last part."""
    top = font["CFF "].cff.topDictIndex[0]
    strings, part = top.CharStrings, None
    private: Any = getattr(top, "Private", None)
    if hasattr(top, "ROS"):
        next_ = max(int(name[3:]) for name in order if name.startswith("cid")) + 1
        names = {code: f"cid{number:05d}" for number, code in enumerate(names, next_)}
        part = len(top.FDArray) - 1
        private = top.FDArray[part].Private
        top.CIDCount = max(top.CIDCount, next_ + len(names))
    shapes = {names[code]: _Drawn(glyph) for code, glyph in outlines.items()}
    for code, name in names.items():
        string = charstring(shapes, name, widths[code], private.defaultWidthX, private.nominalWidthX)
        string.private, string.globalSubrs = private, top.GlobalSubrs
        strings.charStrings[name] = len(strings.charStringsIndex)
        strings.charStringsIndex.append(string)
        if part is not None:
            top.FDSelect.append(part)
    top.charset = [*order, *names.values()]
    font.setGlyphOrder([*order, *names.values()])
    box = [(glyph.xMin, glyph.yMin, glyph.xMax, glyph.yMax) for glyph in outlines.values()]
    for side, (old, pick) in enumerate(zip(top.FontBBox, (min, min, max, max), strict=True)):
        top.FontBBox[side] = pick(old, *(one[side] for one in box)) if box else old
    return names


class _Drawn:
    """A glyph of a ``glyf`` table that is in none."""

    def __init__(self, glyph: Any):
        self.glyph = glyph

    def draw(self, pen: Any) -> None:
        self.glyph.draw(pen, None)


def _vertical_origin(font: TTFont, wide: list[str]) -> tuple[int, int]:
    """Height of a full-width character's box, and where its top lies above the baseline."""
    em, vmtx = font["head"].unitsPerEm, font["vmtx"].metrics
    ascent = font["hhea"].ascent
    return (
        statistics.mode([vmtx[name][0] for name in wide] or [em]),
        statistics.mode([vmtx[name][1] + bounds(font, name)[3] for name in wide] or [ascent]),
    )


def _set_extremes(
    font: TTFont, outlines: Mapping[Any, Any], widths: Mapping[Any, int], upright: tuple[int, int] | None
) -> None:
    """What head, hhea, vhea and maxp say about the largest glyph."""
    head, hhea, maxp = font["head"], font["hhea"], font["maxp"]
    for code, glyph in outlines.items():
        for side in ("xMin", "yMin"):
            setattr(head, side, min(getattr(head, side), getattr(glyph, side)))
        for side in ("xMax", "yMax"):
            setattr(head, side, max(getattr(head, side), getattr(glyph, side)))
        hhea.advanceWidthMax = max(hhea.advanceWidthMax, widths[code])
        hhea.minLeftSideBearing = min(hhea.minLeftSideBearing, glyph.xMin)
        hhea.minRightSideBearing = min(hhea.minRightSideBearing, widths[code] - glyph.xMax)
        hhea.xMaxExtent = max(hhea.xMaxExtent, glyph.xMax)
        if "glyf" in font:
            maxp.maxPoints = max(maxp.maxPoints, len(glyph.coordinates))
            maxp.maxContours = max(maxp.maxContours, glyph.numberOfContours)
        if upright and "vhea" in font:
            vhea, (height, top) = font["vhea"], upright
            vhea.advanceHeightMax = max(vhea.advanceHeightMax, height)
            vhea.minTopSideBearing = min(vhea.minTopSideBearing, top - glyph.yMax)
            vhea.minBottomSideBearing = min(vhea.minBottomSideBearing, height - top + glyph.yMin)
            vhea.yMaxExtent = max(vhea.yMaxExtent, top - glyph.yMin)


def _add_characters(font: TTFont, characters: dict[int, str]) -> None:
    """Extend every Unicode map; one of format 12 is made where a character needs it."""
    tables = font["cmap"].tables
    whole = dict(font.getBestCmap())
    for table in tables:
        if (table.platformID, table.platEncID) in UNICODE and table.format in UNICODE_MAPS:
            extend_map(font, table, characters)
    if any(font.getBestCmap().get(code) != name for code, name in characters.items()):
        for place in UNICODE_MAPS[12]:
            tables.append(new_map(12, *place))
            extend_map(font, tables[-1], whole | characters)
        tables.sort(key=lambda table: (table.platformID, table.platEncID))
    if "OS/2" in font and characters:
        os2 = font["OS/2"]
        os2.setUnicodeRanges(os2.getUnicodeRanges() | intersectUnicodeRanges(set(characters)))
        if os2.version >= 1:
            os2.setCodePageRanges(os2.getCodePageRanges() | code_pages({*whole, *characters}))


def _warn_of_clipping(font: TTFont, base: str | Path, outlines: Mapping[int, Any]) -> None:
    if "OS/2" not in font:
        return
    top, bottom = font["OS/2"].usWinAscent, -font["OS/2"].usWinDescent
    beyond = sum(glyph.yMax > top or glyph.yMin < bottom for glyph in outlines.values())
    if beyond:
        print(
            f"{base}: {beyond} of {len(outlines)} new glyphs reach beyond its lines ({bottom} to {top} units), where "
            "Windows may cut them off",
            file=sys.stderr,
        )
