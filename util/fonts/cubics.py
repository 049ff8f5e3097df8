"""From quadratic outlines (glyf) to cubic ones (CFF), and back."""

import statistics
from collections.abc import Mapping
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.basePen import BasePen
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.qu2cu.qu2cu import quadratic_to_curves
from fontTools.ttLib import TTFont, newTable

from util.fonts.names import weight_word

MOST = 0.5  # units of an em of 1000 between a cubic curve and the quadratic ones that it takes the place of

Point = tuple[float, float]


class CubicPen(BasePen):
    """Draws quadratic curves as cubic ones on another pen; what is cubic already stays.

    A cubic curve ends where a contour turns a corner and where it is level or upright: extrema stay points.
    """

    skipMissingComponents = False

    def __init__(self, pen: Any, glyphs: Any):
        super().__init__(glyphs)
        self.pen, self.at = pen, (0.0, 0.0)
        self.run: list[tuple[Point, Point, Point]] = []

    def _moveTo(self, point: Point) -> None:
        self.run, self.at = [], point
        self.pen.moveTo(point)

    def _lineTo(self, point: Point) -> None:
        self._end()
        self.at = point
        self.pen.lineTo(point)

    def _curveToOne(self, *points: Point) -> None:
        self._end()
        self.at = points[-1]
        self.pen.curveTo(*points)

    def _qCurveToOne(self, control: Point, point: Point) -> None:
        if self.run and _is_end(self.run[-1][1], self.at, control):
            self._end()
        self.run.append((self.at, control, point))
        self.at = point

    def _closePath(self) -> None:
        self._end()
        self.pen.closePath()

    def _endPath(self) -> None:
        self._end()
        self.pen.endPath()

    def _end(self) -> None:
        if self.run:
            for curve in quadratic_to_curves([list(quad) for quad in self.run], MOST, all_cubic=True):
                self.pen.curveTo(*curve[1:])
        self.run = []


def _is_end(before: Point, at: Point, after: Point) -> bool:
    (x0, y0), (x1, y1) = (at[0] - before[0], at[1] - before[1]), (after[0] - at[0], after[1] - at[1])
    if min(abs(x0), abs(x1)) < 1e-6 or min(abs(y0), abs(y1)) < 1e-6:
        return True
    turn, along = x0 * y1 - x1 * y0, x0 * x1 + y0 * y1
    return along <= 0 or abs(turn) > 0.1 * along  # six degrees: rounding turns short tangents by less


TRUETYPE = ("glyf", "loca", "cvt ", "fpgm", "prep", "gasp", "hdmx", "LTSH", "VDMX", "DSIG")
POSTSCRIPT = ("CFF ", "VORG", "DSIG")


def to_cff(font: TTFont) -> None:
    """Give a font of quadratic outlines cubic ones, in place; instructions are of no use to them."""
    glyphs, metrics = font.getGlyphSet(), font["hmtx"].metrics
    default = statistics.mode(width for width, _ in metrics.values())
    strings = {name: charstring(glyphs, name, metrics[name][0], default) for name in font.getGlyphOrder()}
    for table in TRUETYPE:
        if table in font:
            del font[table]
    builder = FontBuilder(font=font)
    builder.isTTF = False
    width = {"defaultWidthX": default, "nominalWidthX": 0}
    builder.setupCFF(font["name"].getDebugName(6) or "Font", _facts(font), strings, width)
    maxp = font["maxp"] = newTable("maxp")
    maxp.tableVersion, maxp.numGlyphs = 0x00005000, len(strings)
    font["post"].formatType = 3.0  # CFF has the names
    _finish(font)


def _facts(font: TTFont) -> dict[str, Any]:
    """What a CFF table says too: in ASCII, so a name that has other letters is the one for PostScript."""
    name, post = font["name"].getDebugName, font["post"]
    technical = name(6) or "Font"
    texts = {"FullName": name(4), "FamilyName": name(16) or name(1), "Notice": name(0)}
    instead = {"FullName": technical, "FamilyName": technical.rpartition("-")[0] or technical}
    plain = {
        key: text if text.isascii() else instead.get(key) or text.encode("ascii", "ignore").decode()
        for key, text in texts.items()
        if text
    }
    facts: dict[str, Any] = {key: text for key, text in plain.items() if text}
    if "OS/2" in font:
        facts["Weight"] = weight_word(font["OS/2"].usWeightClass)
    return facts | {"ItalicAngle": post.italicAngle, "isFixedPitch": int(bool(post.isFixedPitch))}


def charstring(glyphs: Any, name: str, width: int, default: int, nominal: int = 0) -> Any:
    """A glyph's outline for a CFF table whose private dictionary has these widths."""
    pen = T2CharStringPen(None if width == default else width - nominal, glyphs)
    glyphs[name].draw(CubicPen(pen, glyphs))
    return pen.getCharString()


def to_glyf(font: TTFont) -> None:
    """Give a font of cubic outlines quadratic ones, in place, at most MOST away from them."""
    glyphs, most = font.getGlyphSet(), MOST * font["head"].unitsPerEm / 1000
    shapes = {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(None)
        glyphs[name].draw(Cu2QuPen(pen, most, reverse_direction=True))
        shapes[name] = pen.glyph(dropImpliedOnCurves=True)
    if not hasattr(font["CFF "].cff.topDictIndex[0], "ROS"):
        font["post"].formatType, font["post"].extraNames, font["post"].mapping = 2.0, [], {}
    for table in POSTSCRIPT:
        if table in font:
            del font[table]
    font["loca"], font["glyf"], font["maxp"] = newTable("loca"), newTable("glyf"), newTable("maxp")
    font["glyf"].glyphOrder, font["glyf"].glyphs = font.getGlyphOrder(), shapes
    maxp = font["maxp"]
    maxp.tableVersion, maxp.numGlyphs, maxp.maxZones = 0x00010000, len(shapes), 1
    for field in ("Points", "Contours", "CompositePoints", "CompositeContours", "ComponentElements", "ComponentDepth"):
        setattr(maxp, f"max{field}", 0)
    for field in (
        "TwilightPoints",
        "Storage",
        "FunctionDefs",
        "InstructionDefs",
        "StackElements",
        "SizeOfInstructions",
    ):
        setattr(maxp, f"max{field}", 0)
    font.sfntVersion = "\0\1\0\0"
    _finish(font)


def bounds(font: TTFont, name: str) -> tuple[int, int, int, int]:
    """A glyph's left, lower, right and upper end; zeros where it has no outline."""
    if "glyf" in font:
        glyph = font["glyf"][name]
        return tuple(getattr(glyph, side, 0) for side in ("xMin", "yMin", "xMax", "yMax"))  # type: ignore[return-value]
    strings = font["CFF "].cff.topDictIndex[0].CharStrings
    found = strings[name].calcBounds(strings)
    return tuple(map(round, found)) if found else (0, 0, 0, 0)  # type: ignore[return-value]


def _finish(font: TTFont) -> None:
    """Side bearings of the outlines as they are now; boxes are found anew when the font is written."""
    font.recalcBBoxes = True
    if "glyf" in font:
        for glyph in font["glyf"].glyphs.values():
            glyph.recalcBounds(font["glyf"])
    else:
        font["CFF "].cff.topDictIndex[0].recalcFontBBox()
    metrics: Mapping[str, Any] = font["hmtx"].metrics
    font["hmtx"].metrics = {name: (width, bounds(font, name)[0]) for name, (width, _) in metrics.items()}
