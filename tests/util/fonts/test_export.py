import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from PIL import ImageFont

from options import UserError
from util.fonts import formats
from util.fonts.export import About, build_font, extend_map, new_map
from util.fonts.faces import Face, Geometry
from util.fonts.kerning import kerning_of
from util.fonts.tables import lines_of

GEOMETRY = Geometry(64)
SERIF = Face("DejaVuSerif")
LETTERS = {ord(c): SERIF.draw(ord(c), GEOMETRY) for c in "AgO"}
WIDTHS = {code: SERIF.advance(code) for code in LETTERS}
KANJI, RARE = ord("字"), 0x20000  # the shape does not matter, the width of the character does
WHITE = np.full((64, 64), 255, np.uint8)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("font") / "new" / "x.ttf"
    glyphs = LETTERS | {KANJI: LETTERS[ord("O")], RARE: LETTERS[ord("O")], ord("B"): WHITE}
    report = build_font(path, glyphs, GEOMETRY, "手書き Hand", advances=WIDTHS)
    assert report.blank == (ord("B"),) and report.added == tuple(sorted(glyphs.keys() - {ord("B")}))
    return path


def test_characters_spaces_and_notdef_are_there(built):
    font = TTFont(built)
    assert set(font.getBestCmap()) == {*LETTERS, KANJI, RARE, 0x20, 0xA0, 0x3000}
    assert font.getGlyphOrder()[0] == ".notdef"
    assert Face(str(built)).real(font.getBestCmap()) == {*LETTERS, KANJI, RARE}
    maps = {(t.format, t.platformID, t.platEncID): t.cmap for t in font["cmap"].tables}
    assert set(maps) == {(4, 0, 3), (4, 3, 1), (12, 0, 4), (12, 3, 10)}
    assert RARE in maps[12, 3, 10] and RARE not in maps[4, 3, 1]


def test_widths_are_the_given_and_one_em_else(built):
    face = Face(str(built))
    width = {code: face.widths[name][0] for code, name in face.cmap.items()}
    assert all(width[code] == round(1000 * ems) for code, ems in WIDTHS.items())
    assert width[KANJI] == width[0x3000] == 1000 and width[0x20] == 333


@pytest.mark.parametrize("units", [1000, 2048])
def test_lines_hold_the_em_and_all_the_ink(tmp_path, units):
    block = WHITE.copy()
    block[1:63, 20:40] = 0  # beyond the em, which takes 0.8 of the canvas
    inside = WHITE.copy()
    inside[20:40, 20:40] = 0
    for name, image in (("tall", block), ("low", inside)):
        build_font(tmp_path / f"{name}.ttf", {0x42: image}, GEOMETRY, "Lines", units_per_em=units)
        font = TTFont(tmp_path / f"{name}.ttf")
        os2, hhea, head = font["OS/2"], font["hhea"], font["head"]
        lines = (head.yMax, -head.yMin) if name == "tall" else (round(0.88 * units), round(0.12 * units))
        assert (os2.sTypoAscender, -os2.sTypoDescender) == (hhea.ascent, -hhea.descent) == lines
        assert (os2.usWinAscent, os2.usWinDescent) == lines
        assert os2.sTypoLineGap == hhea.lineGap == 0 and os2.fsSelection & 1 << 7 and os2.version == 4
    assert TTFont(tmp_path / "tall.ttf")["head"].yMax > 0.88 * units


@pytest.mark.parametrize("font", ("DejaVuSerif", "cmr10"))
def test_lines_are_as_far_apart_as_another_fonts(tmp_path, font):
    told = lines_of(Face(font).font)
    build_font(tmp_path / "x.ttf", {0x42: SERIF.draw(0x42, GEOMETRY)}, GEOMETRY, "Lines", lines=told)
    os2, hhea = TTFont(tmp_path / "x.ttf")["OS/2"], TTFont(tmp_path / "x.ttf")["hhea"]
    ascent, descent = max(round(1000 * told.ascent), 880), max(round(1000 * told.descent), 120)
    assert (hhea.ascent, -hhea.descent, hhea.lineGap) == (ascent, descent, round(1000 * told.gap))
    assert (os2.sTypoAscender, -os2.sTypoDescender, os2.sTypoLineGap) == (ascent, descent, hhea.lineGap)
    assert (os2.usWinAscent, os2.usWinDescent) == (ascent, descent)


def test_lines_that_no_text_has_say_nothing():
    font = TTFont(Face("DejaVuSerif").path)
    font["hhea"].ascent = 9 * font["head"].unitsPerEm
    assert lines_of(font).ascent == font["OS/2"].sTypoAscender / font["head"].unitsPerEm
    font["OS/2"].sTypoAscender = 0
    assert lines_of(font) is None
    font = TTFont(Face("DejaVuSerif").path)
    assert lines_of(font).ascent == font["hhea"].ascent / font["head"].unitsPerEm
    font["OS/2"].fsSelection |= 1 << 7
    assert lines_of(font).ascent == font["OS/2"].sTypoAscender / font["head"].unitsPerEm


def test_names_are_the_users(built):
    font = TTFont(built)
    name = font["name"].getDebugName
    assert (name(1), name(2), name(4), name(5)) == ("手書き Hand", "Regular", "手書き Hand", "Version 1.000")
    assert name(6).isascii() and " " not in name(6) and len(name(6)) <= 63
    assert font["post"].formatType == 3.0 and font["head"].fontRevision == 1.0
    assert ImageFont.truetype(built, 20).getmask("A").getbbox()


def test_unicode_ranges_and_code_pages_name_what_is_there(built):
    os2 = TTFont(built)["OS/2"]
    assert {0, 59} <= os2.getUnicodeRanges()  # Basic Latin, CJK Unified Ideographs
    assert os2.getCodePageRanges() == {0, 17, 18, 20}  # 字 is in all of Japan's, China's and Taiwan's
    assert os2.usFirstCharIndex == 0x20 and os2.fsType == 0


@pytest.mark.parametrize(
    ("style", "selection", "mac", "weight", "panose"),
    [
        ("Regular", 1 << 6, 0, 400, 5),
        ("Bold", 1 << 5, 1, 700, 8),
        ("Italic", 1 << 0, 2, 400, 5),
        ("Bold Oblique", 1 << 0 | 1 << 5 | 1 << 9, 3, 700, 8),
        ("Light", 1 << 6, 0, 300, 4),
        ("Black Italic", 1 << 0, 2, 900, 10),
    ],
)
def test_every_table_says_the_same_of_a_style(tmp_path, style, selection, mac, weight, panose):
    build_font(tmp_path / "x.ttf", LETTERS, GEOMETRY, "Styled", advances=WIDTHS, about=About(style, angle=-11.5))
    font = TTFont(tmp_path / "x.ttf")
    os2, hhea = font["OS/2"], font["hhea"]
    assert os2.fsSelection == selection | 1 << 7 and os2.version == 4 and font["head"].macStyle == mac
    assert os2.usWeightClass == weight  # said by the name, else the stems of DejaVu Serif
    assert (os2.panose.bFamilyType, os2.panose.bSerifStyle, os2.panose.bWeight) == (2, 0, panose)
    italic = bool(mac & 2)
    assert font["post"].italicAngle == (-11.5 if italic else 0)
    assert (hhea.caretSlopeRise, hhea.caretSlopeRun) == ((1000, 203) if italic else (1, 0))


def test_a_weight_that_is_said_is_kept_and_an_angle_that_is_not_is_measured(tmp_path):
    face = Face("DejaVuSans-Oblique")
    letters = {ord(c): face.draw(ord(c), GEOMETRY) for c in "HIJKLMxhiklnmt"}
    build_font(tmp_path / "x.ttf", letters, GEOMETRY, "Said", about=About("Italic", weight=350))
    font = TTFont(tmp_path / "x.ttf")
    assert font["OS/2"].usWeightClass == 350 and font["post"].italicAngle == pytest.approx(-11, abs=2)


@pytest.mark.parametrize("units", [1000, 2048])
def test_heights_are_those_of_x_and_H_where_they_are(tmp_path, units):
    letters = {ord(c): SERIF.draw(ord(c), GEOMETRY) for c in "xH"}
    for characters, x, H in (("xH", 0.519, 0.729), ("x", 0.519, 0), ("H", 0, 0.729)):
        path = tmp_path / f"{characters}.ttf"
        build_font(path, {ord(c): letters[ord(c)] for c in characters}, GEOMETRY, "Tall", units_per_em=units)
        os2 = TTFont(path)["OS/2"]
        assert (os2.sxHeight / units, os2.sCapHeight / units) == pytest.approx((x, H), abs=0.01)


@pytest.mark.parametrize(
    ("characters", "widths", "fixed"),
    [
        ("AgO", {"A": 0.6, "g": 0.6, "O": 0.6, " ": 0.6}, True),
        ("AgO", {"A": 0.6, "g": 0.6, "O": 0.6, " ": 0.3}, False),
        ("AgO", {"A": 0.6, "g": 0.5, "O": 0.6, " ": 0.6}, False),
        ("AgO字", {"A": 0.5, "g": 0.5, "O": 0.5, " ": 0.5}, True),  # and full-width characters twice as wide
        ("字天", {" ": 0.25}, True),
    ],
)
def test_one_width_for_all_is_said_where_it_is(tmp_path, characters, widths, fixed):
    glyphs = {ord(c): LETTERS[ord("O")] for c in characters}
    build_font(tmp_path / "x.ttf", glyphs, GEOMETRY, "Mono", advances={ord(c): w for c, w in widths.items()})
    font = TTFont(tmp_path / "x.ttf")
    assert bool(font["post"].isFixedPitch) is fixed and font["OS/2"].panose.bProportion == (9 if fixed else 0)
    if fixed and "字" not in characters:
        assert {width for width, _ in font["hmtx"].metrics.values()} == {600}  # .notdef and the figure space too


def test_kerning_is_in_the_font_and_nowhere_without(tmp_path):
    path = tmp_path / "x.ttf"
    kerning = {(65, 79): -0.05, (79, 65): -0.05, (65, 0x42): -0.1}  # B is not in the font
    build_font(path, LETTERS, GEOMETRY, "Kerned", advances=WIDTHS, kerning=kerning, units_per_em=2048)
    read = kerning_of(Face(str(path)), [65, 66, 79, 103])
    assert read == {(65, 79): -102 / 2048, (79, 65): -102 / 2048} and TTFont(path)["OS/2"].usMaxContext == 2
    build_font(path, LETTERS, GEOMETRY, "Not", overwrite=True)
    assert "GPOS" not in TTFont(path) and "vhea" not in TTFont(path)


def test_vertical_lines_of_full_width_characters(tmp_path):
    corner, line = WHITE.copy(), WHITE.copy()
    corner[44:52, 8:16], line[30:34, 10:54] = 0, 0  # at the lower left; a stroke across
    glyphs = {ord("字"): LETTERS[ord("O")], ord("。"): corner, ord("ー"): line, ord("ゃ"): LETTERS[ord("A")]}
    build_font(tmp_path / "x.ttf", glyphs, GEOMETRY, "Upright")
    font = TTFont(tmp_path / "x.ttf")
    glyf, cmap, vmtx = font["glyf"], font.getBestCmap(), font["vmtx"].metrics
    for name, (height, top) in vmtx.items():
        glyph = glyf[name]
        assert height == 1000 and (not glyph.numberOfContours or top == 880 - glyph.yMax)
    assert (font["vhea"].ascent, font["vhea"].descent, font["vhea"].lineGap) == (500, -500, 0)
    lookups = font["GSUB"].table.LookupList.Lookup
    forms = {old: glyf[new] for lookup in lookups for s in lookup.SubTable for old, new in s.mapping.items()}
    assert [record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord] == ["vert"]
    assert set(forms) == {cmap[ord(c)] for c in "。ーゃ"}

    def middle(glyph):
        return (glyph.xMin + glyph.xMax) / 2, (glyph.yMin + glyph.yMax) / 2

    old, new = glyf[cmap[ord("。")]], forms[cmap[ord("。")]]  # the opposite corner of an em around (500, 380)
    assert middle(new) == pytest.approx((1000 - middle(old)[0], 760 - middle(old)[1]), abs=1)
    old, new = glyf[cmap[ord("ー")]], forms[cmap[ord("ー")]]
    assert (new.xMax - new.xMin, new.yMax - new.yMin) == (old.yMax - old.yMin, old.xMax - old.xMin)
    assert middle(new) == pytest.approx((500 + middle(old)[1] - 380, 380 - middle(old)[0] + 500), abs=1)
    old, new = glyf[cmap[ord("ゃ")]], forms[cmap[ord("ゃ")]]
    assert middle(new) == (middle(old)[0] + 120, middle(old)[1] + 100)


def test_the_same_glyphs_make_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in "ab":
        build_font(tmp_path / f"{name}.ttf", LETTERS, GEOMETRY, "Same", advances=WIDTHS)
    assert (tmp_path / "a.ttf").read_bytes() == (tmp_path / "b.ttf").read_bytes()


def test_an_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "x.ttf"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"x\.ttf: exists; choose another name, or move the file away$"):
        build_font(path, LETTERS, GEOMETRY, "New")
    assert path.read_bytes() == b"mine"
    build_font(path, LETTERS, GEOMETRY, "New", overwrite=True)
    assert set(LETTERS) <= set(Face(str(path)).cmap) and [*tmp_path.iterdir()] == [path]


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    def full(font, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats.TTFont, "save", full)
    with pytest.raises(UserError, match=r"x\.ttf: cannot be written \(No space left") as caught:
        build_font(tmp_path / "x.ttf", LETTERS, GEOMETRY, "New")
    assert caught.value.code == 5 and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "x.eot"}, r"x\.eot: the name of a font ends with one of \.ttf"),
        ({"family": " "}, "family name ' '"),
        ({"path": "new/x.ttf", "glyphs": {65: WHITE, 66: WHITE}}, r"x\.ttf: every image is white"),
        ({"units_per_em": 8}, "units_per_em 8"),
        ({"version": "one"}, "version 'one'"),
        ({"glyphs": {65: LETTERS[65][:32]}}, r"U\+0041_A: an image of uint8 \(32, 64\)"),
        ({"glyphs": {65: LETTERS[65] / 255.0}}, "an image of float64"),
        ({"glyphs": dict.fromkeys(range(0x10000, 0x20000), WHITE)}, "65539 glyphs, and a font can hold 65535"),
    ],
)
def test_what_makes_no_font_is_named(tmp_path, change, message):
    arguments = {"path": "x.ttf", "glyphs": LETTERS, "geometry": GEOMETRY, "family": "F"} | change
    with pytest.raises(UserError, match=message):
        build_font(**arguments | {"path": tmp_path / arguments["path"]})
    assert not [*tmp_path.iterdir()]


def test_a_map_of_64_kib_leaves_the_highest_characters_to_format_12():
    names = [".notdef", *(f"g{i}" for i in range(12000))]
    font = TTFont()
    font.setGlyphOrder(names)
    characters = {0x100 + 2 * i: names[i + 1] for i in range(12000)}  # each a segment of its own: 8 bytes
    short, long = new_map(4, 3, 1), new_map(12, 3, 10)
    for table in (short, long):
        extend_map(font, table, characters)
    assert long.cmap == characters
    kept = sorted(short.cmap)
    assert kept == sorted(characters)[: len(kept)] and 5000 < len(kept) < 12000
    again = CmapSubtable.newSubtable(4)
    again.decompile(short.compile(font), font)
    assert again.cmap == short.cmap
