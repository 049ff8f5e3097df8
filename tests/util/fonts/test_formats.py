import plistlib
from types import SimpleNamespace

import pytest
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.pointPen import PointToSegmentPen
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from fontTools.ufoLib import UFOReader
from PIL import ImageFont

from options import UserError
from util.fonts import cubics, ufo
from util.fonts.check import check_font
from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry
from util.fonts.formats import ENDINGS, may_write
from util.writing import write_folder

GEOMETRY, SERIF = Geometry(64), Face("DejaVuSerif")
GLYPHS = {ord(c): SERIF.draw(ord(c), GEOMETRY) for c in "Ag8&"}
WIDTHS = {code: SERIF.advance(code) for code in GLYPHS}
HEADS = {".ttf": b"\0\1\0\0", ".otf": b"OTTO", ".woff": b"wOFF", ".woff2": b"wOF2"}


def build(path):
    return build_font(path, GLYPHS, GEOMETRY, "Formats", advances=WIDTHS)


@pytest.mark.parametrize("ending", [".ttf", ".otf", ".woff", pytest.param(".woff2", marks=pytest.mark.extra)])
def test_a_font_is_what_its_ending_says_and_shows_its_glyphs(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    build(path)
    assert path.read_bytes()[:4] == HEADS[ending]
    assert min(check_font(path, GLYPHS, GEOMETRY).values()) > 0.85
    assert ImageFont.truetype(path, 40).getbbox("A")[3] > 0
    assert ("CFF " in TTFont(path)) == (ending == ".otf")


def test_cubic_outlines_have_a_sound_table(tmp_path):
    build(tmp_path / "x.otf")
    font, plain = TTFont(tmp_path / "x.otf"), build(tmp_path / "x.ttf").font
    top = font["CFF "].cff.topDictIndex[0]
    head = font["head"]
    assert list(top.FontBBox) == [head.xMin, head.yMin, head.xMax, head.yMax]
    assert font["maxp"].tableVersion == 0x5000 and not {"glyf", "loca", "prep", "gasp"} & set(font.keys())
    assert font.getBestCmap() == plain.getBestCmap() and font.getBestCmap()[65] == "uni0041"
    for name, (width, left) in font["hmtx"].metrics.items():
        assert width == plain["hmtx"][name][0] and abs(left - plain["hmtx"][name][1]) <= 1
    assert top.Private.defaultWidthX in {width for width, _ in font["hmtx"].metrics.values()}


def test_extrema_are_points_of_cubic_outlines_too(tmp_path):
    build(tmp_path / "x.otf")
    glyphs = TTFont(tmp_path / "x.otf").getGlyphSet()
    for code in GLYPHS:
        pen = RecordingPen()
        glyphs[f"uni{code:04X}"].draw(pen)
        at = None
        for name, points in pen.value:
            if name == "curveTo":
                for axis in (0, 1):
                    ends = sorted((at[axis], points[-1][axis]))
                    inner = [point[axis] for point in points[:2]]
                    assert ends[0] - 2 <= min(inner) and max(inner) <= ends[1] + 2
            at = points[-1] if points else at


def test_a_ufo_is_read_by_its_library(tmp_path):
    exported, path = build(tmp_path / "new" / "x.ufo"), tmp_path / "new" / "x.ufo"
    reader = UFOReader(path)
    glyphs, pictured = reader.getGlyphSet(), {}
    assert reader.formatVersionTuple == (3, 0)
    assert list(glyphs.keys()) and reader.readLib()["public.glyphOrder"] == exported.font.getGlyphOrder()
    for name in exported.font.getGlyphOrder():
        drawn, pen = SimpleNamespace(), AreaPen()
        glyphs.readGlyph(name, drawn, PointToSegmentPen(pen))
        pictured[name] = (drawn.width, getattr(drawn, "unicodes", []))
        plain = AreaPen()
        exported.font.getGlyphSet()[name].draw(plain)
        assert pen.value == pytest.approx(plain.value, rel=0.01)
    assert pictured["uni0041"] == (exported.font["hmtx"]["uni0041"][0], [0x41])
    assert pictured["space"][1] == [0x20, 0xA0]
    info = plistlib.loads((path / "fontinfo.plist").read_bytes())
    assert info["familyName"] == "Formats" and info["unitsPerEm"] == 1000
    assert [p.name for p in path.parent.iterdir()] == ["x.ufo"]
    with pytest.raises(UserError, match=r"x\.ufo: exists; choose another name, or move the folder away"):
        build(path)


@pytest.mark.parametrize("name", ("x.woff3", "x", "x.svg", "x.ttc", "x.eot"))
def test_other_endings_are_refused_with_the_list(tmp_path, name):
    with pytest.raises(
        UserError, match=rf"{name}: the name of a font ends with one of .*\.ttf.*\.otf.*\.ufo"
    ) as caught:
        build(tmp_path / name)
    assert all(ending in str(caught.value) for ending in ENDINGS) and not [*tmp_path.iterdir()]


def test_the_extra_of_woff2_is_named_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"x\.woff2: needs brotli, of the extra woff2: uv pip install brotli"):
        may_write(tmp_path / "x.woff2", overwrite=False)


def test_half_a_folder_is_never_there(tmp_path):
    with pytest.raises(TypeError):
        write_folder(tmp_path / "x.ufo", {"a/b": b"1", "c": None})
    assert not [*tmp_path.iterdir()]
    for content in (b"1", b"2"):
        write_folder(tmp_path / "x.ufo", {"a/b": content})
    assert (tmp_path / "x.ufo/a/b").read_bytes() == b"2" and len([*tmp_path.iterdir()]) == 1


def test_cubic_outlines_and_a_folder_for_editors_say_angle_and_style(tmp_path):
    font = TTFont(Face("DejaVuSans-BoldOblique").path)
    facts = ufo._facts(font)
    assert facts["italicAngle"] == font["post"].italicAngle < 0 and not facts["postscriptIsFixedPitch"]
    assert "styleMapStyleName" not in facts and "styleMapFamilyName" not in facts  # Bold Oblique is none of the four
    said = cubics._facts(font)
    assert (said["Weight"], said["ItalicAngle"], said["isFixedPitch"]) == ("Bold", font["post"].italicAngle, 0)
    font["name"].setName("字體", 4, 3, 1, 0x409)
    assert cubics._facts(font)["FullName"].isascii() and "DejaVu" in cubics._facts(font)["FullName"]
