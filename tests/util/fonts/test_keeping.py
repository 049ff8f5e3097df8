import numpy as np
import pytest
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from PIL import Image

from options import UserError
from util.fonts.check import check_font, ink_overlap
from util.fonts.completion import complete_font
from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry
from util.fonts.file_names import writing_of
from util.fonts.keeping import FINEST, Kept, read_kept
from util.fonts.picture_folder import GlyphImages, geometry_note

from .test_completion import make_base

GEOMETRY = Geometry(64)
HAND, OTHER = Face("DejaVuSerif-Italic"), Face("DejaVuSans")


@pytest.fixture
def hand(tmp_path):
    """A written three times, b once at another size; a picture that shows nothing, and one of no character."""
    folder = tmp_path / "hand"
    folder.mkdir()
    for name, face, size in (
        ("U+0041_A", HAND, 200),
        ("A-2", OTHER, 200),
        ("U+0041 (3)", Face("DejaVuSans-Bold"), 200),
        ("b", HAND, 2 * FINEST),
    ):
        character = "b" if name == "b" else "A"
        Image.fromarray(face.draw(ord(character), Geometry(size))).save(folder / f"{name}.png")
    Image.new("L", (64, 64), 255).save(folder / "c.png")
    return folder


def bounds(font, character):
    """Of the outline itself, in ems."""
    glyphs = font.getGlyphSet()
    pen = BoundsPen(glyphs)
    glyphs[font.getBestCmap()[ord(character)]].draw(pen)
    return [side / font["head"].unitsPerEm for side in pen.bounds]


@pytest.mark.parametrize(
    ("stem", "found"),
    (
        ("U+6C38_2", (0x6C38, 2)),
        ("U+6C38_12", (0x6C38, 12)),
        ("永-2", (0x6C38, 2)),
        ("永_2", (0x6C38, 2)),
        ("永 (2)", (0x6C38, 2)),
        ("永(3)", (0x6C38, 3)),
        ("U+6C38_永_2", (0x6C38, 2)),
        ("U+6C38_永", (0x6C38, 1)),
        ("uni6C38-4", (0x6C38, 4)),
        ("U+0032_2", (0x32, 1)),
        ("U+0032_2_2", (0x32, 2)),
        ("U+0032_3", (0x32, 3)),
        ("27704", (27704, 1)),
        ("U+6C38_水", (None, 1)),
        ("picture-2", (None, 1)),
        ("--2", (0x2D, 2)),
    ),
)
def test_names_tell_which_writing(stem, found):
    assert writing_of(stem) == found


def test_the_hand_is_in_the_font_as_it_was_written(hand, tmp_path, capsys):
    kept = read_kept(GlyphImages(hand))
    assert {chr(code): [p.shape for p in pictures] for code, pictures in kept.writings.items()} == {
        "A": [(200, 200)] * 3,
        "b": [(FINEST, FINEST)],
    }
    assert "1 of 3 pictures are blank and left out: U+0063_c" in capsys.readouterr().err and kept.others == 2
    widths = {code: HAND.advance(code) for code in map(ord, "Abd")}
    drawn = {code: OTHER.draw(code, GEOMETRY) for code in map(ord, "Ad")}  # of A the hand's is taken
    exported = build_font(
        tmp_path / "x.ttf", drawn, GEOMETRY, "Hand", advances=widths, kerning={(65, 98): -0.05}, kept=kept
    )
    assert exported.added == tuple(map(ord, "Abd"))
    shared = check_font(tmp_path / "x.ttf", kept.pictures, GEOMETRY)
    assert min(shared.values()) > 0.98 and np.mean(list(shared.values())) > 0.988
    font = TTFont(tmp_path / "x.ttf")
    for character in "Ab":  # in one geometry, whatever the size of the picture: on the baseline, as large as it was
        assert bounds(font, character) == pytest.approx(bounds(TTFont(HAND.path), character), abs=0.006)
    last = font.getGlyphOrder()[-2:]  # the other writings of A
    (pairs,) = font["GPOS"].table.LookupList.Lookup[0].SubTable
    writings = [font.getBestCmap()[ord("A")], *last]
    assert set(writings) <= set(pairs.Coverage.glyphs)
    assert len({pairs.ClassDef1.classDefs.get(name) for name in writings}) == 1
    assert [font["hmtx"][name][0] for name in last] == [font["hmtx"][font.getBestCmap()[ord("A")]][0]] * 2


def test_a_base_keeps_its_own_and_takes_the_hand_for_what_it_lacks(hand, tmp_path):
    base = tmp_path / "base.ttf"
    build_font(base, {ord("b"): OTHER.draw(ord("b"), GEOMETRY)}, GEOMETRY, "Base")
    exported = complete_font(base, tmp_path / "x.ttf", {}, GEOMETRY, kept=read_kept(GlyphImages(hand)))
    assert exported.added == (ord("A"),)
    font, before = TTFont(tmp_path / "x.ttf"), TTFont(base)
    assert len(font.getGlyphOrder()) == len(before.getGlyphOrder()) + 3
    assert font["glyf"][font.getBestCmap()[ord("b")]] == before["glyf"][before.getBestCmap()[ord("b")]]
    assert [record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord][:2] == ["aalt", "calt"]


def test_a_base_with_cubic_outlines_takes_the_hand_too(hand, tmp_path):
    base = make_base(tmp_path / "base.otf", cff=True)
    kept = read_kept(GlyphImages(hand)).only([ord("b")])
    kept = Kept({0x5730: kept.writings[ord("b")] * 3}, {})
    exported = complete_font(base, tmp_path / "x.otf", {}, GEOMETRY, kept=kept)
    font = TTFont(tmp_path / "x.otf")
    assert exported.added == (0x5730,) and "CFF " in font
    assert len(font.getGlyphOrder()) == len(TTFont(base).getGlyphOrder()) + 3
    assert min(check_font(tmp_path / "x.otf", kept.pictures, GEOMETRY).values()) > 0.98
    assert {record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord} >= {"calt", "ss01", "ss02"}


def test_a_font_can_be_of_kept_characters_alone_and_white_ones_are_none(tmp_path):
    white = np.full((64, 64), 255, np.uint8)
    kept = Kept({65: [white, OTHER.draw(65, GEOMETRY)], 66: [white]}, {})
    assert build_font(tmp_path / "x.ttf", {}, GEOMETRY, "Few", kept=kept).added == (65,)
    with pytest.raises(UserError, match="every image is white"):
        build_font(tmp_path / "y.ttf", {}, GEOMETRY, "None", kept=kept.only([66]))


def test_pictures_that_note_another_geometry_come_into_the_one_of_the_font(hand, tmp_path):
    made = Geometry(200, 0.6, 0.25)
    for character in "Ab":
        picture = Image.fromarray(HAND.draw(ord(character), made))
        picture.save(hand / f"{'U+0041_A' if character == 'A' else 'b'}.png", pnginfo=geometry_note(made))
    folder = GlyphImages(hand)
    kept = read_kept(folder).only(map(ord, "Ab"))
    widths = {code: HAND.advance(code) for code in map(ord, "Ab")}
    build_font(tmp_path / "x.ttf", {}, GEOMETRY, "Hand", advances=widths, kept=kept)
    for character in "Ab":
        wanted = bounds(TTFont(HAND.path), character)
        assert bounds(TTFont(tmp_path / "x.ttf"), character) == pytest.approx(wanted, abs=0.008)
        drawn, true = (g.draw(ord(character), GEOMETRY) for g in (folder, HAND))  # as a style, too
        assert ink_overlap(1 - drawn / 255, 1 - true / 255) > 0.9
    assert not folder.leaves_canvas(ord("b"), GEOMETRY) and folder.leaves_canvas(ord("b"), Geometry(64, 1.8, 0.12))
