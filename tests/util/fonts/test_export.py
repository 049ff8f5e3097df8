import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from PIL import ImageFont

from options import UserError
from util.fonts import formats
from util.fonts.export import build_font, extend_map, new_map
from util.fonts.faces import Face, Geometry

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


def test_lines_follow_the_baseline_and_windows_cuts_no_ink(tmp_path):
    block = WHITE.copy()
    block[1:63, 20:40] = 0  # beyond the em, which takes 0.8 of the canvas
    build_font(tmp_path / "x.ttf", LETTERS | {0x42: block}, GEOMETRY, "Tall")
    font = TTFont(tmp_path / "x.ttf")
    os2, hhea, head = font["OS/2"], font["hhea"], font["head"]
    assert (os2.sTypoAscender, os2.sTypoDescender) == (hhea.ascent, hhea.descent) == (880, -120)
    assert os2.sTypoLineGap == hhea.lineGap == 0 and os2.fsSelection & 1 << 7
    assert os2.usWinAscent == head.yMax > 880 and os2.usWinDescent == -head.yMin > 120


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
    assert os2.usFirstCharIndex == 0x20 and os2.fsType == 0


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
        ({"path": "x.otf"}, r"x\.otf: the name of a TrueType font ends with \.ttf"),
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
