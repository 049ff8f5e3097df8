import string

import pytest

from util.fonts.faces import Face
from util.fonts.placeholders import is_placeholder

from .test_faces import BAR, BOX, FontBuilder, TTGlyphPen, rectangle


@pytest.mark.parametrize(
    "shared",
    (
        "AΑАᎪ",  # Latin, Greek, Cyrillic, Cherokee
        "oOοΟоОօՕ",  # and small ones, in capitals alone
        "aàáâãäåāăąǎȁȃạảấầẩẫậắằẳẵặ",  # accents that a plain font leaves out
        "Il|ǀӀ",
        "ÐĐƉ",
        "一⼀㇐",
        "豈豈",
        "戶户戸",
        "-\u00ad‐‑‒–—―−─",
        "·•∙⋅‧・․.",
        "Ⅰ Ｉ I ｌ l".replace(" ", ""),
    ),
)
def test_outlines_that_are_rightly_shared(shared):
    assert not is_placeholder(map(ord, shared))


@pytest.mark.parametrize(
    "shared",
    (
        "abcde",
        "あいうえお",
        "永和九年歲在癸丑",
        "가각간갈감",
        "♀♁♂♠♡♣♤♥♧♨♩♪♬",
        "\ue000\ue001\ue002\ue003\ue004",
        "абвгдАБВ",
        "AΑА" + "永和九年歲",  # a sign that some letters share, too
    ),
)
def test_outlines_that_stand_for_what_is_missing(shared):
    assert is_placeholder(map(ord, shared))


def build(path, letters, boxed, own):
    """Each of ``boxed`` has a glyph of its own with one and the same box, which is not .notdef's."""
    builder = FontBuilder(1000)
    names = {character: f"g{ord(character)}" for character in letters + boxed}
    builder.setupGlyphOrder([".notdef", "copied", *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    pens = {name: TTGlyphPen({"copied": None}) for name in [".notdef", "copied", *names.values()]}
    rectangle(pens[".notdef"], *BAR)
    rectangle(pens["copied"], *BOX)
    for number, (character, name) in enumerate(names.items()):
        if character in letters:
            rectangle(pens[name], 100, 0, 300 + number, 700)
        elif number % 2:
            pens[name].addComponent("copied", (1, 0, 0, 1, 0, 0))
        else:
            rectangle(pens[name], *BOX)
    builder.setupGlyf({name: pen.glyph() for name, pen in pens.items()})
    builder.setupHorizontalMetrics(dict.fromkeys(pens, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_a_box_that_many_characters_have_is_no_glyph(tmp_path, capfd):
    letters, boxed = "ABCDEFGHIJ", string.ascii_lowercase + "KLMNOPQRSTUVW"
    face = Face(str(build(tmp_path / "x.ttf", letters, boxed, {})))
    every = list(map(ord, letters + boxed))
    assert len(every) == 49 and face.real(every) == set(map(ord, letters))
    assert face.real([ord("k")]) == set()  # whichever of them are asked for
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and "39 of 49 count as missing: U+004B_K U+004C_L" in said[0]


def test_letters_that_look_alike_stay(tmp_path):
    face = Face(str(build(tmp_path / "x.ttf", "B", "AΑАÀ", {})))
    assert face.real(map(ord, "BAΑАÀ")) == set(map(ord, "BAΑАÀ"))
    face = Face("DejaVuSans")
    assert face.real(face.cmap) >= set(map(ord, "AΑАIl|-‐–—·∙⋅"))
