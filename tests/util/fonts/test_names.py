import pytest
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._n_a_m_e import makeName

from util.fonts.names import Rights, names_of, postscript, rename, rights_of, style_of

ROMAN, WINDOWS, CHINESE = (1, 0, 0), (3, 1, 0x409), (3, 1, 0x804)
ENGLISH = {
    0: "Copyright of Kai, with Reserved Font Name Kai",
    1: "Kai Light",
    2: "Regular",
    3: "Kai Light:Version 1.250",
    4: "Kai Light",
    5: "Version 1.250",
    6: "Kai-Light",
    7: "Kai is a trademark",
    16: "Kai",
    17: "Light",
}


def font_of(names):
    font = TTFont()
    font["head"], font["name"] = newTable("head"), newTable("name")
    font["head"].fontRevision = 1.25
    font["name"].names = [makeName(text, i, *place) for place, texts in names.items() for i, text in texts.items()]
    return font


def renamed(names, family):
    font, found = font_of(names), {}
    rename(font, family)
    again = newTable("name")
    again.decompile(font["name"].compile(font), font)
    for r in again.names:
        found.setdefault((r.platformID, r.platEncID, r.langID), {})[r.nameID] = r.toUnicode()
    return found


def test_every_platform_and_language_gets_the_family_and_keeps_its_style():
    chinese = {1: "楷体 Light", 2: "Regular", 4: "楷体 Light", 16: "楷体", 17: "Light"}
    kept = {i: ENGLISH[i] for i in (0, 2, 5, 7, 17)}
    new = {1: "My Hand Light", 3: "1.250;MyHand-Light", 4: "My Hand Light", 6: "MyHand-Light", 16: "My Hand"}
    assert renamed({ROMAN: ENGLISH, WINDOWS: ENGLISH, CHINESE: chinese}, "My Hand") == {
        ROMAN: kept | new,
        WINDOWS: kept | new,
        CHINESE: chinese | {1: "My Hand Light", 4: "My Hand Light", 16: "My Hand"},
    }


def test_no_record_that_can_hold_the_family_keeps_the_old_one():
    texts = dict.fromkeys((1, 3, 4, 6, 16, 18, 20, 21, 25), "Kai") | {2: "Bold"}
    found = renamed({WINDOWS: texts}, "My Hand")[WINDOWS]
    assert [i for i, text in found.items() if "Kai" in text] == []
    assert (found[20], found[25]) == ("MyHand-Bold", "MyHand") and found.keys() == texts.keys()


@pytest.mark.parametrize(
    ("full", "style", "expected"),
    [
        ("Kai", "Medium", "X"),
        ("Kai Bold", "Bold", "X Bold"),
        ("Kaiti", "Bold", "X"),
        ("Another Name", "Bold", "X Bold"),
        ("Another Name", "Regular", "X"),
    ],
)
def test_a_full_name_says_of_the_style_what_it_said(full, style, expected):
    assert renamed({WINDOWS: {1: "Kai", 2: style, 4: full}}, "X")[WINDOWS][4] == expected


def test_where_the_macintosh_cannot_write_a_family_it_has_its_code_points():
    found = renamed({ROMAN: ENGLISH, WINDOWS: ENGLISH, (1, 25, 33): {1: "楷体"}}, "手写")
    assert found[WINDOWS][4] == "手写 Light" and found[1, 25, 33][1] == "手写"
    assert found[ROMAN][1] == "u624Bu5199 Light" and found[WINDOWS][6] == "u624Bu5199-Light" == found[ROMAN][6]


def test_postscript_names_are_short_and_plain():
    assert postscript("My (Hand)", "Extra Bold") == "MyHand-ExtraBold"
    assert postscript("()", "標準") == "Font-Regular"
    name = postscript("手" * 30, "Condensed Extra Light Italic")
    assert name.isascii() and len(name) == 63


@pytest.mark.parametrize(
    ("style", "four", "rest", "weight"),
    [
        ("Regular", "Regular", "", None),
        ("Bold", "Bold", "", 700),
        ("Italic", "Italic", "", None),
        ("Bold Italic", "Bold Italic", "", 700),
        ("BoldItalic", "Bold Italic", "", 700),
        ("bold oblique", "Bold Italic", "", 700),
        ("Light", "Regular", "Light", 300),
        ("Semi Bold Italic", "Italic", "Semi Bold", 600),
        ("ExtraBold", "Regular", "ExtraBold", 800),
        ("Condensed Bold", "Regular", "Condensed Bold", 700),
        ("Caption", "Regular", "Caption", None),
    ],
)
def test_a_style_is_one_of_four_and_what_is_left(style, four, rest, weight):
    told = style_of(style)
    assert (told.plain, told.rest, told.weight) == (four, rest, weight)


def test_a_new_font_has_names_for_old_programs_and_for_new_ones():
    assert names_of("Kai", "Bold Italic", "1.000") == {
        "familyName": "Kai",
        "styleName": "Bold Italic",
        "uniqueFontIdentifier": "1.000;Kai-BoldItalic",
        "fullName": "Kai Bold Italic",
        "version": "Version 1.000",
        "psName": "Kai-BoldItalic",
    }
    light = names_of("Kai", "Light Italic", "1.000", Rights("Me", "OFL-1.1", "https://openfontlicense.org"))
    assert (light["familyName"], light["styleName"]) == ("Kai Light", "Italic")
    assert (light["typographicFamily"], light["typographicSubfamily"]) == ("Kai", "Light Italic")
    assert (light["copyright"], light["licenseDescription"]) == ("Me", "OFL-1.1")
    assert light["licenseInfoURL"] == "https://openfontlicense.org" and light["fullName"] == "Kai Light Italic"


def test_rights_of_a_font_are_read_and_cut():
    font = font_of({WINDOWS: {0: "Me\0", 13: "x" * 20_000, 14: "https://a.b"}})
    assert rights_of(font) == Rights("Me", "x" * 10_000, "https://a.b")
    assert rights_of(TTFont()) == Rights()
