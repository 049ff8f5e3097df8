import io
from itertools import product

import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

from options import UserError
from util.fonts.faces import Face
from util.fonts.kerning import kerning_of, kerning_rules

LETTERS = "AOTVo字"
NAMES = {ord(c): f"uni{ord(c):04X}" for c in LETTERS}
PAIRS = """
  pos uni0041 uni0056 -80;
  pos [uni0054 uni0056] [uni006F uni0041] -60;
  enum pos uni0056 uni006F -40;
"""


def make(path, rules="", kern=None, units=2000):
    builder = FontBuilder(units)
    builder.setupGlyphOrder([".notdef", *NAMES.values()])
    builder.setupCharacterMap(NAMES)
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((0, units // 2))
    pen.lineTo((units // 3, 0))
    pen.closePath()
    glyph = pen.glyph()
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), **dict.fromkeys(NAMES.values(), glyph)})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *NAMES.values()], (units // 2, 0)))
    builder.setupHorizontalHeader(ascent=units, descent=0)
    builder.setupNameTable({"familyName": "Kerned", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    if rules:
        addOpenTypeFeaturesFromString(builder.font, rules)
    if kern:
        table = KernTable_format_0()
        table.version, table.coverage, table.kernTable, table.apple = 0, 1, kern, False
        builder.font["kern"] = newTable("kern")
        builder.font["kern"].version, builder.font["kern"].kernTables = 0, [table]
    builder.save(path)
    return Face(str(path))


def units_of(kerning, units=2000):
    return {chr(a) + chr(b): round(value * units) for (a, b), value in kerning.items()}


@pytest.mark.parametrize("extension", ["", "useExtension "])
def test_pairs_and_classes_of_gpos_are_read(tmp_path, extension):
    lookup = f"lookup one {extension}{{ {PAIRS} }} one;"
    face = make(tmp_path / "x.ttf", f"feature kern {{ {lookup} }} kern;")
    # a pair by itself comes before its class: Vo has -40, To and VA their class's
    found = units_of(kerning_of(face, NAMES))
    assert found == {"AV": -80, "To": -60, "TA": -60, "Vo": -40, "VA": -60}


def test_two_lookups_add_up_and_each_script_counts(tmp_path):
    rules = (
        "languagesystem DFLT dflt; languagesystem latn dflt; feature kern { lookup a { pos uni0041 uni0056 -80; } a;"
    )
    rules += " script latn; lookup b { pos uni0041 uni0056 -20; pos uni0041 uni0054 10; } b; } kern;"
    face = make(tmp_path / "x.ttf", rules)
    assert units_of(kerning_of(face, NAMES)) == {"AV": -100, "AT": 10}


def test_a_kern_table_is_read_where_gpos_has_none(tmp_path):
    face = make(tmp_path / "x.ttf", kern={("uni0041", "uni0056"): -90})
    assert units_of(kerning_of(face, NAMES)) == {"AV": -90}
    assert kerning_of(make(tmp_path / "y.ttf"), NAMES) == {}


def test_letters_that_the_font_lacks_are_kerned_as_without_accents(tmp_path):
    face = make(tmp_path / "x.ttf", "feature kern { pos uni0041 uni0056 -80; } kern;")
    assert units_of(kerning_of(face, map(ord, "ÄAV"))) == {"AV": -80, "ÄV": -80}
    assert units_of(kerning_of(face, map(ord, "字V"))) == {}


def test_rules_of_classes_say_the_same_in_other_units(tmp_path):
    face = Face("DejaVuSerif")
    codes = [ord(c) for c in "ATVLPoaevy.,-ÀÁ"]
    kerning = kerning_of(face, codes)
    assert kerning[ord("V"), ord("A")] < 0 and kerning[ord("P"), ord(".")] < 0
    font = TTFont(io.BytesIO(face.path.read_bytes()))
    del font["GPOS"]
    names = {code: face.cmap[code] for code in codes}
    rules = kerning_rules(kerning, names, face.units_per_em)
    assert rules.count("  pos ") < len(kerning) and kerning_rules({}, names, 1000) == ""
    turns = kerning_rules(kerning, names, face.units_per_em, {names[ord("V")]: [names[ord("V")], "V.alt1"]})
    assert turns.replace(" V.alt1", "") == rules and turns.count(f"{names[ord('V')]} V.alt1") == 2  # left and right
    addOpenTypeFeaturesFromString(font, rules)
    font.save(tmp_path / "again.ttf")
    assert kerning_of(Face(str(tmp_path / "again.ttf")), codes) == kerning


def test_damaged_kerning_is_named(tmp_path):
    make(tmp_path / "x.ttf", "feature kern { pos uni0041 uni0056 -80; } kern;")
    data = bytearray((tmp_path / "x.ttf").read_bytes())
    start = TTFont(tmp_path / "x.ttf").reader.tables["GPOS"].offset
    data[start + 4 : start + 10] = b"\xff\xff" * 3
    (tmp_path / "bad.ttf").write_bytes(data)
    with pytest.raises(UserError, match=r"bad\.ttf: its kerning cannot be read"):
        kerning_of(Face(str(tmp_path / "bad.ttf")), NAMES)


@pytest.mark.extra
@pytest.mark.exhaustive
def test_harfbuzz_moves_pairs_of_the_new_font_as_those_of_the_old():
    import uharfbuzz as hb

    face = Face("DejaVuSerif")
    codes = [ord(c) for c in "ATVLPoaevy.,-ÀÁ"]
    font = TTFont(io.BytesIO(face.path.read_bytes()))
    rules = kerning_rules(kerning_of(face, codes), {code: face.cmap[code] for code in codes}, face.units_per_em)
    addOpenTypeFeaturesFromString(font, rules)
    again = io.BytesIO()
    font.save(again)

    def widths(data, text):
        shaper, buffer = hb.Font(hb.Face(data)), hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(shaper, buffer, {"kern": True, "liga": False})
        return [position.x_advance for position in buffer.glyph_positions]

    for a, b in product(codes, codes):
        text = chr(a) + chr(b)
        assert widths(again.getvalue(), text) == widths(face.path.read_bytes(), text), text
