import numpy as np
import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from util.fonts.alternates import FARTHEST, add_writings, take_turns

from .test_completion import make_base
from .test_faces import rectangle


def outline(width):
    pen = TTGlyphPen(None)
    rectangle(pen, 100, 0, 100 + width, 700)
    glyph = pen.glyph()
    glyph.recalcBounds(None)
    return glyph


@pytest.fixture
def path(tmp_path):
    """A font in which A has three writings and 天 two, and ss01 is the base's own."""
    font = TTFont(make_base(tmp_path / "base.ttf"))
    take_turns(font, add_writings(font, {"A": [outline(200), outline(300)], "uni5929": [outline(400)]}))
    font.save(tmp_path / "x.ttf")
    return tmp_path / "x.ttf"


def feature(gsub, tag):
    return next(record.Feature for record in gsub.FeatureList.FeatureRecord if record.FeatureTag == tag)


def turned(font, names):
    """Names of glyphs after ``calt``, by the rules of format 3 alone."""
    gsub, names = font["GSUB"].table, list(names)
    lookups = gsub.LookupList.Lookup
    for index in feature(gsub, "calt").LookupListIndex:
        for at in range(len(names)):
            for rule in lookups[index].SubTable:
                before = [coverage.glyphs for coverage in rule.BacktrackCoverage]
                fits = len(before) <= at and names[at] in rule.InputCoverage[0].glyphs
                if fits and all(names[at - 1 - i] in glyphs for i, glyphs in enumerate(before)):
                    for record in rule.SubstLookupRecord:
                        names[at] = lookups[record.LookupListIndex].SubTable[0].mapping[names[at]]
                    break
    return names


def test_writings_take_turns(path):
    font = TTFont(path)
    assert turned(font, ["A"] * 5) == ["A", "A.alt1", "A.alt2", "A", "A.alt1"]
    mixed = ["A", "uni5929", "A", "uni5929", "uni5929", "A"]
    assert turned(font, mixed) == ["A", "uni5929", "A.alt1", "uni5929.alt1", "uni5929", "A.alt2"]
    far = ["A", *[".notdef"] * FARTHEST, "A"]
    assert turned(font, far)[-1] == "A.alt1" and turned(font, [*far[:-1], ".notdef", "A"])[-1] == "A"


def test_features_lists_and_widths(path):
    font = TTFont(path)
    gsub, lookups = font["GSUB"].table, font["GSUB"].table.LookupList.Lookup
    tags = [record.FeatureTag for record in gsub.FeatureList.FeatureRecord]
    assert tags == sorted(tags) == ["aalt", "calt", "salt", "ss01", "ss02", "ss03"]
    assert lookups[feature(gsub, "ss01").LookupListIndex[0]].SubTable[0].mapping == {"uni5929": "A"}  # the base's own
    second, third = (lookups[feature(gsub, tag).LookupListIndex[0]].SubTable[0].mapping for tag in ("ss02", "ss03"))
    assert second == {"A": "A.alt1", "uni5929": "uni5929.alt1"} and third == {"A": "A.alt2"}
    assert font["name"].getDebugName(feature(gsub, "ss03").FeatureParams.UINameID) == "Writing 3"
    for tag in ("aalt", "salt"):
        listed = lookups[feature(gsub, tag).LookupListIndex[0]].SubTable[0].alternates
        assert listed == {"A": ["A.alt1", "A.alt2"], "uni5929": ["uni5929.alt1"]}
    assert [font["hmtx"][name] for name in ("A.alt1", "uni5929.alt1")] == [(500, 100), (920, 100)]
    assert all(len(record.Script.DefaultLangSys.FeatureIndex) == 6 for record in gsub.ScriptList.ScriptRecord)


def test_features_of_every_language_go_on(tmp_path):
    font = TTFont(make_base(tmp_path / "base.ttf"))
    own = """languagesystem DFLT dflt; languagesystem latn dflt; languagesystem latn DEU;
    feature calt { sub A' A by uni5929; } calt; feature liga { sub A A by uni5730; } liga;"""
    addOpenTypeFeaturesFromString(font, own)
    take_turns(font, add_writings(font, {"A": [outline(200)]}))
    font.save(tmp_path / "x.ttf")
    gsub = TTFont(tmp_path / "x.ttf")["GSUB"].table
    tags = [record.FeatureTag for record in gsub.FeatureList.FeatureRecord]
    for record in gsub.ScriptList.ScriptRecord:
        languages = [record.Script.DefaultLangSys, *(language.LangSys for language in record.Script.LangSysRecord)]
        for language in languages:
            assert {tags[i] for i in language.FeatureIndex} == {"aalt", "calt", "liga", "salt", "ss01"}
    assert tags == sorted(tags) and len(feature(gsub, "calt").LookupListIndex) == 2


@pytest.mark.slow
@pytest.mark.parametrize("count", (94, pytest.param(1200, marks=pytest.mark.exhaustive)))
def test_many_characters_make_a_table_that_can_be_written(tmp_path, count):
    """94 characters with three writings take turns each for itself, 1200 with two do so in groups."""
    names = [f"g{i}" for i in range(count)]
    font = TTFont(make_base(tmp_path / "base.ttf"))
    font.setGlyphOrder([*font.getGlyphOrder(), *names])
    for name in names:
        font["glyf"][name], font["hmtx"][name] = outline(200), (500, 100)
    take_turns(font, add_writings(font, dict.fromkeys(names, [outline(300), outline(400)][: 2 if count == 94 else 1])))
    font.save(tmp_path / "x.ttf")
    again = TTFont(tmp_path / "x.ttf")
    assert turned(again, ["g7", "g93", "g7", "g8", "g93"]) == ["g7", "g93", "g7.alt1", "g8", "g93.alt1"]
    assert len(again.getTableData("GSUB")) < 150_000


@pytest.mark.extra
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("text", "features", "shaped"),
    (
        ("AAAA", {}, [0, 1, 2, 0]),
        ("A天A天天A", {}, [0, 0, 1, 1, 0, 2]),
        ("AA天", {"calt": False}, [0, 0, 0]),
        ("AA天", {"calt": False, "ss02": True}, [1, 1, 1]),
        ("AA", {"ss03": True}, [2, 2]),
        ("AA", {"calt": False, "salt": 2}, [2, 2]),
        ("AA", {"calt": False, "aalt": 1}, [1, 1]),
    ),
)
def test_harfbuzz_takes_them(path, text, features, shaped):
    import uharfbuzz

    font = uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path))))
    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    uharfbuzz.shape(font, buffer, features)
    order, wanted = TTFont(path).getGlyphOrder(), {"A": "A", "天": "uni5929"}
    found = [order[info.codepoint] for info in buffer.glyph_infos]
    assert found == [wanted[c] + f".alt{k}" * (k > 0) for c, k in zip(text, shaped, strict=True)]
    assert np.all([position.x_advance > 0 for position in buffer.glyph_positions])
