from pathlib import Path

import numpy as np
import pytest
from fontTools.cffLib import FDArrayIndex, FDSelect, FontDict
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.otlLib.builder import buildStatTable
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, newTable
from fontTools.ttLib.tables.TupleVariation import TupleVariation

from options import UserError
from util.fonts.check import check_font
from util.fonts.completion import complete_font
from util.fonts.faces import Face, Geometry

from .test_faces import build_variable

GEOMETRY, SERIF = Geometry(64), Face("DejaVuSerif")
HAN = "天地玄黃"  # the shapes of letters will do
IMAGES = {ord(c): SERIF.draw(ord("AgO8"[i]), GEOMETRY) for i, c in enumerate(HAN)}
BOX, BAR = (100, -100, 800, 700), (300, -150, 500, 750)
KEPT = ("GSUB", "name", "prep", "fpgm", "cvt ")


def rectangle(pen, x0, y0, x1, y1):
    pen.moveTo((x0, y0))
    for point in ((x0, y1), (x1, y1), (x1, y0)):
        pen.lineTo(point)
    pen.closePath()
    return pen


def make_base(path: Path, cff=False, variable=False, fs_type=0, vertical=False) -> Path:
    """天 has a bar, 地 nothing, 玄 the outline of .notdef; 黃 is not mapped. Full-width is 920 of 1000 units."""
    shapes = {".notdef": BOX, "uni5929": BAR, "uni5730": None, "tofu": BOX, "A": BAR}
    builder = FontBuilder(1000, isTTF=not cff)
    builder.setupGlyphOrder([*shapes])
    builder.setupCharacterMap({0x5929: "uni5929", 0x5730: "uni5730", 0x7384: "tofu", 65: "A"})
    pens = {name: T2CharStringPen(920, None) if cff else TTGlyphPen(None) for name in shapes}
    for name, box in shapes.items():
        if box:
            rectangle(pens[name], *box)
    if cff:
        builder.setupCFF("Base", {}, {name: pen.getCharString() for name, pen in pens.items()}, {})
    else:
        builder.setupGlyf({name: pen.glyph() for name, pen in pens.items()})
    left = {name: box[0] if box else 0 for name, box in shapes.items()}
    builder.setupHorizontalMetrics({name: (500 if name == "A" else 920, left[name]) for name in shapes})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Base", "styleName": "Regular"})
    builder.setupOS2(fsType=fs_type, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    if variable:
        builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
    if vertical:
        builder.setupVerticalHeader(ascent=500, descent=-500)
        top = {name: 850 - box[3] if box else 0 for name, box in shapes.items()}
        builder.setupVerticalMetrics({name: (1000, top[name]) for name in shapes})
    if not cff:
        addOpenTypeFeaturesFromString(builder.font, "feature ss01 { sub uni5929 by A; } ss01;")
        for tag in ("prep", "fpgm"):
            builder.font[tag] = newTable(tag)
            builder.font[tag].data = bytes.fromhex("B001") if tag == "prep" else b""
    builder.save(path)
    return path


def raw(font, name):
    return font["glyf"][name].compile(font["glyf"])


@pytest.fixture
def base(tmp_path):
    return make_base(tmp_path / "base.ttf")


def test_only_what_is_lacking_is_added(base, tmp_path):
    before = base.read_bytes()
    report = complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert "".join(map(chr, report.added)) == "地玄黃"
    assert base.read_bytes() == before
    old, new = TTFont(base), TTFont(tmp_path / "out.ttf")
    assert new.getGlyphOrder()[: len(old.getGlyphOrder())] == old.getGlyphOrder()
    assert len(new.getGlyphOrder()) == len(old.getGlyphOrder()) + 3 == new["maxp"].numGlyphs
    assert Face(str(tmp_path / "out.ttf")).real(IMAGES) == set(IMAGES)
    scores = check_font(tmp_path / "out.ttf", {code: IMAGES[code] for code in report.added}, GEOMETRY)
    assert min(scores.values()) > 0.9


def test_what_the_base_has_stays(base, tmp_path):
    complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY)
    old, new = TTFont(base), TTFont(tmp_path / "out.ttf")
    for tag in KEPT:
        assert (tag in old) == (tag in new)
        if tag in old:
            assert old.reader[tag] == new.reader[tag]
    for name in old.getGlyphOrder():
        assert raw(old, name) == raw(new, name) and old["hmtx"][name] == new["hmtx"][name]
    for field in ("ascent", "descent", "lineGap"):
        assert getattr(old["hhea"], field) == getattr(new["hhea"], field)
    for field in ("sTypoAscender", "usWinAscent", "usWinDescent", "fsType"):
        assert getattr(old["OS/2"], field) == getattr(new["OS/2"], field)
    assert old.getBestCmap()[65] == new.getBestCmap()[65] and old.getBestCmap()[0x5929] == new.getBestCmap()[0x5929]


def test_new_glyphs_have_the_width_of_the_bases_own(base, tmp_path):
    images = IMAGES | {ord("B"): IMAGES[0x5929], ord("C"): IMAGES[0x5929]}
    complete_font(base, tmp_path / "out.ttf", images, GEOMETRY, advances={ord("B"): 0.6, 0x9EC3: 0.3})
    face = Face(str(tmp_path / "out.ttf"))
    assert [face.widths[face.cmap[ord(c)]][0] for c in "黃地BC"] == [920, 920, 600, 1000]


def test_a_monospaced_base_stays_monospaced(tmp_path):
    letters = {ord(c): SERIF.draw(ord(c), GEOMETRY) for c in "Bq"} | {0x9EC3: IMAGES[0x5929]}
    for number, fixed in enumerate((1, 0)):
        font = TTFont(make_base(tmp_path / "base.ttf"))
        font["post"].isFixedPitch = fixed
        font.save(tmp_path / "mono.ttf")
        out = tmp_path / f"out{number}.ttf"
        complete_font(tmp_path / "mono.ttf", out, letters, GEOMETRY, advances=dict.fromkeys(letters, 0.7))
        face = Face(str(out))
        assert [face.widths[face.cmap[ord(c)]][0] for c in "ABq黃"] == [500, *[500 if fixed else 700] * 2, 920]


def test_code_pages_are_added_for_what_is_complete_now(base, tmp_path):
    font = TTFont(base)
    font["OS/2"].setCodePageRanges({3, 20})
    font.save(tmp_path / "marked.ttf")
    kana = dict.fromkeys(map(ord, "あいう"), IMAGES[0x5929])
    complete_font(tmp_path / "marked.ttf", tmp_path / "out.ttf", kana, GEOMETRY)
    # Japan's, which has most of 天地玄あいう, and Latin 1 for A; what the base said stays
    assert TTFont(tmp_path / "out.ttf")["OS/2"].getCodePageRanges() == {3, 20} | {17, 0}


def test_headers_know_the_largest_glyph(base, tmp_path):
    block = np.full((64, 64), 255, np.uint8)
    block[2:62, 2:62] = 0
    complete_font(base, tmp_path / "out.ttf", {0x9EC3: block}, GEOMETRY)
    font = TTFont(tmp_path / "out.ttf")
    glyph, head = font["glyf"][font.getBestCmap()[0x9EC3]], font["head"]
    assert (head.xMin, head.yMin, head.xMax, head.yMax) == (glyph.xMin, glyph.yMin, glyph.xMax, glyph.yMax)
    assert font["hhea"].xMaxExtent == glyph.xMax and font["hhea"].minRightSideBearing == 920 - glyph.xMax
    before = {t: TTFont(base)[t].__dict__ for t in ("hhea", "maxp")}
    assert font["maxp"].maxPoints >= before["maxp"]["maxPoints"]
    assert 59 in font["OS/2"].getUnicodeRanges()


def test_glyphs_beyond_the_lines_are_told(base, tmp_path, capsys):
    block = np.full((64, 64), 255, np.uint8)
    block[2:62, 2:62] = 0
    complete_font(base, tmp_path / "out.ttf", {0x9EC3: block}, GEOMETRY)
    assert "1 of 1 new glyphs reach beyond its lines (-200 to 800 units)" in capsys.readouterr().err


def test_vertical_metrics_are_extended(tmp_path):
    base = make_base(tmp_path / "base.ttf", vertical=True)
    complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY)
    font = TTFont(tmp_path / "out.ttf")
    for code in (0x5730, 0x9EC3):
        name = font.getBestCmap()[code]
        assert font["vmtx"][name] == (1000, 850 - font["glyf"][name].yMax)


def test_characters_beyond_the_first_plane_get_a_map(base, tmp_path):
    complete_font(base, tmp_path / "out.ttf", {0x20000: IMAGES[0x5929]}, GEOMETRY)
    font = TTFont(tmp_path / "out.ttf")
    assert {t.format for t in font["cmap"].tables} == {4, 12}
    assert set(font.getBestCmap()) == {0x5929, 0x5730, 0x7384, 65, 0x20000}


def test_a_face_of_a_collection_becomes_a_font(tmp_path):
    collection = TTCollection()
    collection.fonts = [TTFont(make_base(tmp_path / f"{i}.ttf", fs_type=8 * i)) for i in (0, 1)]
    collection.save(tmp_path / "x.ttc")
    complete_font(f"{tmp_path / 'x.ttc'}#1", tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert TTFont(tmp_path / "out.ttf")["OS/2"].fsType == 8
    assert Face(str(tmp_path / "out.ttf")).real(IMAGES) == set(IMAGES)


def test_a_restricted_font_is_told(tmp_path, capsys):
    complete_font(make_base(tmp_path / "a.ttf", fs_type=2), tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert "a.ttf: its maker forbids to modify it without permission" in capsys.readouterr().err
    complete_font(make_base(tmp_path / "b.ttf", fs_type=8), tmp_path / "out2.ttf", IMAGES, GEOMETRY)
    assert "forbids" not in capsys.readouterr().err


@pytest.mark.parametrize("ending", (".otf", ".ttf", ".woff"))
def test_a_base_with_cubic_outlines_keeps_them(tmp_path, ending, capsys):
    base = make_base(tmp_path / "base.otf", cff=True)
    report = complete_font(base, tmp_path / f"out{ending}", IMAGES, GEOMETRY)
    assert "".join(map(chr, report.added)) == "地玄黃"
    old, new = TTFont(base), TTFont(tmp_path / f"out{ending}")
    assert ("become TrueType's" in capsys.readouterr().out) == (ending == ".ttf")
    assert ("glyf" in new) == (ending == ".ttf") and new.flavor == {".woff": "woff"}.get(ending)
    for name in old.getGlyphOrder():
        assert drawn(old, name) == drawn(new, name) and old["hmtx"][name] == new["hmtx"][name]
    assert new["hmtx"][new.getBestCmap()[0x9EC3]][0] == 920
    scores = check_font(tmp_path / f"out{ending}", {code: IMAGES[code] for code in report.added}, GEOMETRY)
    assert min(scores.values()) > 0.9
    if ending != ".ttf":
        top, head = new["CFF "].cff.topDictIndex[0], new["head"]
        assert list(top.FontBBox) == [head.xMin, head.yMin, head.xMax, head.yMax]


def drawn(font, name):
    """Area, width and bounds of a glyph, which are the same of cubic and quadratic lines."""
    glyphs = font.getGlyphSet()
    area, box = AreaPen(glyphs), BoundsPen(glyphs)
    for pen in (area, box):
        glyphs[name].draw(pen)
    return abs(area.value), box.bounds


def test_a_base_whose_glyphs_have_numbers_gets_the_next(tmp_path):
    base = make_base(tmp_path / "base.otf", cff=True)
    font = TTFont(base)
    number_glyphs(font)
    font.save(base)
    report = complete_font(base, tmp_path / "out.otf", IMAGES, GEOMETRY)
    new = TTFont(tmp_path / "out.otf")
    assert new.getGlyphOrder()[-3:] == ["cid00005", "cid00006", "cid00007"] and len(report.added) == 3
    assert new["CFF "].cff.topDictIndex[0].FDSelect.gidArray == [0] * 8
    assert min(check_font(tmp_path / "out.otf", IMAGES, GEOMETRY)[code] for code in report.added) > 0.9


def number_glyphs(font):
    """Make the CFF table one of Adobe's CID-keyed ones."""
    top = font["CFF "].cff.topDictIndex[0]
    names = font.getGlyphOrder()
    numbers = {name: ".notdef" if i == 0 else f"cid{i:05d}" for i, name in enumerate(names)}
    part = FontDict()
    part.Private, part.FontName = top.Private, "Base-0"
    top.FDArray, top.FDSelect = FDArrayIndex(), FDSelect()
    top.FDArray.append(part)
    top.FDSelect.gidArray = [0] * len(names)
    top.ROS, top.CIDCount = ("Adobe", "Identity", 0), len(names)
    del top.Private
    strings = top.CharStrings
    for string in [strings[name] for name in names]:
        string.private = part.Private
    strings.charStrings = {numbers[name]: strings.charStrings[name] for name in names}
    strings.fdArray, strings.fdSelect = top.FDArray, top.FDSelect
    top.charset = list(numbers.values())
    metrics, maps = font["hmtx"].metrics, font["cmap"].tables
    font["hmtx"].metrics = {numbers[name]: value for name, value in metrics.items()}
    for table in maps:
        table.cmap = {code: numbers[name] for code, name in table.cmap.items()}
    font.setGlyphOrder(top.charset)


@pytest.mark.parametrize("cff", (False, True))
def test_of_a_variable_base_an_instance_is_completed(tmp_path, cff, capsys):
    base, out = tmp_path / "base.otf", tmp_path / "out.otf"
    make_variable(cff).save(base)
    report = complete_font(base, out, IMAGES, GEOMETRY)
    assert "base.otf: is a variable font; what is completed is its instance wght=400" in capsys.readouterr().out
    new = TTFont(out)
    assert not {"fvar", "gvar", "CFF2"} & set(new.keys()) and "CFF " in new
    assert "".join(map(chr, report.added)) == HAN[1:]
    assert drawn(new, new.getBestCmap()[0x5929])[1] == BAR
    assert min(check_font(out, {code: IMAGES[code] for code in report.added}, GEOMETRY).values()) > 0.9


def make_variable(cff):
    """天 has a bar, wider at wght=900."""
    builder = FontBuilder(1000, isTTF=not cff)
    builder.setupGlyphOrder([".notdef", "uni5929"])
    builder.setupCharacterMap({0x5929: "uni5929"})
    builder.setupNameTable({"familyName": "Base", "styleName": "Regular"})
    builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
    if cff:
        pens = [T2CharStringPen(None, None, CFF2=True) for _ in range(2)]
        rectangle(pens[0], *BOX), rectangle(pens[1], *BAR)
        builder.setupCFF2(dict(zip([".notdef", "uni5929"], [pen.getCharString() for pen in pens], strict=True)))
    else:
        pens = [TTGlyphPen(None) for _ in range(2)]
        rectangle(pens[0], *BOX), rectangle(pens[1], *BAR)
        builder.setupGlyf(dict(zip([".notdef", "uni5929"], [pen.glyph() for pen in pens], strict=True)))
        wider = TupleVariation({"wght": (0, 1, 1)}, [(0, 0), (0, 0), (90, 0), (90, 0), *[(0, 0)] * 4])
        builder.setupGvar({"uni5929": [wider]})
    builder.setupHorizontalMetrics({".notdef": (920, 100), "uni5929": (920, 300)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2()
    builder.setupPost(keepGlyphNames=False)
    return builder.font


@pytest.mark.parametrize("flavor", ("woff", pytest.param("woff2", marks=pytest.mark.extra)))
def test_a_base_for_the_web_is_completed(tmp_path, base, flavor):
    font = TTFont(base)
    font.flavor = flavor
    font.save(tmp_path / f"base.{flavor}")
    complete_font(tmp_path / f"base.{flavor}", tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert TTFont(tmp_path / "out.ttf").flavor is None
    assert Face(str(tmp_path / "out.ttf")).real(IMAGES) == set(IMAGES)


def test_an_instance_of_a_variable_font_is_completed(tmp_path):
    base = build_variable(tmp_path / "v.ttf")
    complete_font(f"{base}@wght=900", tmp_path / "out.ttf", IMAGES, GEOMETRY)
    font = TTFont(tmp_path / "out.ttf")
    assert "fvar" not in font and "gvar" not in font and font["OS/2"].usWeightClass == 900
    assert font["hmtx"]["A"][0] == 1000 and font["glyf"]["A"].xMax == 900  # as wght 900 draws it
    assert Face(str(tmp_path / "out.ttf")).real(IMAGES) == set(IMAGES)


@pytest.mark.parametrize("at", (700, 650))
def test_an_instance_is_called_as_its_style_attributes_have_it(tmp_path, at, capsys):
    font = make_variable(cff=False)
    named = [dict(value=400, name="Regular", flags=2), dict(value=700, name="Bold")]
    buildStatTable(font, [dict(tag="wght", name="Weight", values=named)])
    font.save(tmp_path / "v.ttf")
    complete_font(f"{tmp_path / 'v.ttf'}@wght={at}", tmp_path / "out.ttf", IMAGES, GEOMETRY)
    new, bold = TTFont(tmp_path / "out.ttf"), at == 700
    assert new["name"].getDebugName(2) == ("Bold" if bold else "Regular") and new["head"].macStyle == int(bold)
    assert bool(new["OS/2"].fsSelection & 32) == bold and new["OS/2"].usWeightClass == at
    assert ("its names stay those of its default" in capsys.readouterr().err) != bold


def test_the_base_is_never_written_on(base, tmp_path):
    before = base.read_bytes()
    link = tmp_path / "link.ttf"
    link.symlink_to(base)
    for path in (base, link):
        with pytest.raises(UserError, match="is the font to be completed"):
            complete_font(base, path, IMAGES, GEOMETRY, overwrite=True)
    assert base.read_bytes() == before


def test_white_images_alone_complete_nothing(base, tmp_path):
    white = np.full((64, 64), 255, np.uint8)
    with pytest.raises(UserError, match=r"out\.ttf: every image is white"):
        complete_font(base, tmp_path / "new/out.ttf", dict.fromkeys(IMAGES, white), GEOMETRY)
    assert [*tmp_path.iterdir()] == [base]
    report = complete_font(base, tmp_path / "new/out.ttf", {0x5929: white}, GEOMETRY)  # which the base has
    assert report.added == report.blank == ()


def test_a_family_name_replaces_the_bases(base, tmp_path):
    with pytest.raises(UserError, match="family name '': give the font a name"):
        complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY, family="")
    complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY, family="My Hand")
    names = TTFont(tmp_path / "out.ttf")["name"]
    assert {r.nameID: str(r) for r in names.names if r.platformID == 3} == {1: "My Hand", 2: "Regular"}
    assert Face(str(tmp_path / "out.ttf")).real(IMAGES) == set(IMAGES)


def test_an_existing_file_is_kept_unless_told(base, tmp_path):
    (tmp_path / "out.ttf").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"out\.ttf: exists"):
        complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert (tmp_path / "out.ttf").read_bytes() == b"mine"
