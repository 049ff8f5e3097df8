from pathlib import Path

import numpy as np
import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, newTable

from options import UserError
from util.fonts.check import check_font
from util.fonts.completion import complete_font
from util.fonts.faces import Face, Geometry

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


@pytest.mark.parametrize(
    ("kind", "message"),
    [({"cff": True}, "has PostScript outlines.*otf2ttf"), ({"variable": True}, "is a variable font.*instancer")],
)
def test_bases_that_take_no_glyphs_are_named(tmp_path, kind, message):
    base = make_base(tmp_path / "base.ttf", **kind)
    with pytest.raises(UserError, match=rf"base\.ttf: {message}"):
        complete_font(base, tmp_path / "out.ttf", IMAGES, GEOMETRY)
    assert not (tmp_path / "out.ttf").exists()


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
