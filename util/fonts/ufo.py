"""A font as a UFO, the folder of texts that font editors share (unifiedfontobject.org, version 3)."""

import plistlib
from types import SimpleNamespace
from typing import Any

from fontTools.pens.pointPen import SegmentToPointPen
from fontTools.ttLib import TTFont
from fontTools.ufoLib.glifLib import glyphNameToFileName, writeGlyphToString

from util.fonts.cubics import CubicPen

NAMES = {
    0: "copyright",
    1: "styleMapFamilyName",
    2: "styleMapStyleName",
    5: "openTypeNameVersion",
    6: "postscriptFontName",
    7: "trademark",
    8: "openTypeNameManufacturer",
    9: "openTypeNameDesigner",
    10: "openTypeNameDescription",
    13: "openTypeNameLicense",
    14: "openTypeNameLicenseURL",
}
FOUR = ("regular", "bold", "italic", "bold italic")  # styles that a family of old programs can have
LEFT_OUT = ("GSUB", "GPOS", "kern", "GDEF")  # tables of what an editor's sources say in other ways


def ufo_files(font: TTFont) -> dict[str, bytes]:
    """{path below the folder: content}: cubic outlines, widths, characters and the names and lines of the font."""
    glyphs, metrics, order = font.getGlyphSet(), font["hmtx"].metrics, font.getGlyphOrder()
    codes: dict[str, list[int]] = {}
    for code, name in sorted((font.getBestCmap() or {}).items()):
        codes.setdefault(name, []).append(code)
    contents: dict[str, str] = {}
    files: dict[str, bytes] = {}
    taken: set[str] = set()
    for name in order:
        contents[name] = glyphNameToFileName(name, taken)
        taken.add(contents[name].lower())
        facts = SimpleNamespace(width=metrics[name][0], unicodes=codes.get(name, []))

        def draw(pen: Any, name: str = name) -> None:
            glyphs[name].draw(CubicPen(SegmentToPointPen(pen), glyphs))

        files[f"glyphs/{contents[name]}"] = writeGlyphToString(name, facts, draw).encode()
    return {
        "metainfo.plist": plistlib.dumps({"creator": "diptych", "formatVersion": 3}),
        "fontinfo.plist": plistlib.dumps(_facts(font)),
        "layercontents.plist": plistlib.dumps([["public.default", "glyphs"]]),
        "lib.plist": plistlib.dumps({"public.glyphOrder": order}),
        "glyphs/contents.plist": plistlib.dumps(contents),
        **files,
    }


def _facts(font: TTFont) -> dict[str, Any]:
    name, os2, hhea = font["name"].getDebugName, font.get("OS/2", None), font["hhea"]
    major, _, minor = f"{font['head'].fontRevision:.3f}".partition(".")
    facts: dict[str, Any] = {key: name(number) for number, key in NAMES.items() if name(number)}
    facts |= {
        "familyName": name(16) or name(1) or "",
        "styleName": name(17) or name(2) or "Regular",
        "unitsPerEm": font["head"].unitsPerEm,
        "versionMajor": int(major),
        "versionMinor": int(minor),
        "ascender": hhea.ascent,
        "descender": hhea.descent,
        "openTypeHheaAscender": hhea.ascent,
        "openTypeHheaDescender": hhea.descent,
        "openTypeHheaLineGap": hhea.lineGap,
        "italicAngle": font["post"].italicAngle,
        "postscriptIsFixedPitch": bool(font["post"].isFixedPitch),
    }
    if (style := facts.get("styleMapStyleName", "").lower()) in FOUR:
        facts["styleMapStyleName"] = style
    else:  # an editor makes these two of the others
        facts.pop("styleMapStyleName", None)
        facts.pop("styleMapFamilyName", None)
    if os2 is not None:
        facts |= {
            "openTypeOS2TypoAscender": os2.sTypoAscender,
            "openTypeOS2TypoDescender": os2.sTypoDescender,
            "openTypeOS2TypoLineGap": os2.sTypoLineGap,
            "openTypeOS2WinAscent": os2.usWinAscent,
            "openTypeOS2WinDescent": os2.usWinDescent,
            "openTypeOS2WeightClass": os2.usWeightClass,
            "xHeight": getattr(os2, "sxHeight", 0),
            "capHeight": getattr(os2, "sCapHeight", 0),
        }
    return facts
