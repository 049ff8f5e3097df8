import re
import shutil
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from data.captions.glyphs import CaptionGlyphOptions, captions, glyphs, parse_caption, traits
from data.captions.sources import UNSAID
from data.pictures.choice import held_out
from data.pictures.sources import Missing
from options import UserError
from tests.util.fonts.test_faces import build_variable
from util.fonts.faces import Face, Geometry

FONTS = {  # what their names say; the tables must say the same
    f"DejaVu{shape}{ending}": (
        family,
        "bold" if "Bold" in ending else "thin",
        "italic" if "ique" in ending else "upright",
    )
    for shape, family in (("Sans", "sans"), ("SansMono", "mono"))
    for ending in ("", "-Bold", "-Oblique", "-BoldOblique")
} | {
    "DejaVuSerif": ("serif", "thin", "upright"),
    "DejaVuSerif-Bold": ("serif", "bold", "upright"),
    "DejaVuSerif-Italic": ("serif", "thin", "italic"),
    "DejaVuSerif-BoldItalic": ("serif", "bold", "italic"),
}


def source(**flags):
    values = {field.name: field.default for field in fields(CaptionGlyphOptions)}
    return glyphs(SimpleNamespace(**{**values, "crop_size": 32, **flags}), 0)


def every(**flags):
    return source(**flags).phases["every"]()


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """Four letters, of which one differs from another in its case alone, and digits; a third of them turned."""
    text = tmp_path_factory.mktemp("charset") / "some.txt"
    text.write_text("Rgaa7c" + "C", encoding="utf-8")
    return {"charset": str(text), "turned": 0.3, "glyph_variants": 3}


# -- fonts -------------------------------------------------------------------------------------------------------------


def test_tables_of_fonts_say_what_their_names_say():
    assert tuple(CaptionGlyphOptions().target_font) == tuple(FONTS) and len(FONTS) == 12
    for name, expected in FONTS.items():
        assert tuple(traits(Face(name), "").values()) == expected, name


def test_what_tables_do_not_tell_the_name_does(tmp_path):
    assert traits(Face("STIXGeneral"), "Some Serif")["family"] == "serif"  # its PANOSE numbers are all 0
    assert "family" not in traits(Face("STIXGeneral"), "STIXGeneral")
    assert traits(Face("cmtt10"), "")["family"] == "mono"  # post says it is not; i is as wide as m
    bare = SimpleNamespace(real=set, advance=lambda code: 1.0)  # a folder of images has no tables
    path = build_variable(tmp_path / "v.ttf")
    weights = [traits(Face(f"{path}@wght={weight}"), "v")["weight"] for weight in (400, 700)]
    assert weights == ["thin", "bold"]  # of the instance, whose tables are the default's
    assert traits(bare, "Sans-BoldOblique") == {"family": "sans", "weight": "bold", "slant": "italic"}


def test_an_unknown_family_is_left_unsaid(some):
    found = source(target_font=("STIXGeneral", "DejaVuSerif-Bold"), **some)
    pictures = found.phases["every"]()
    assert found.attributes["family"] == ("serif",)
    unknown = pictures.shown[:, 1] == UNSAID
    assert unknown.sum() == len(pictures) / 2
    assert not any("serif" in caption for row in np.flatnonzero(unknown) for caption in pictures.captions[row])
    assert "family" not in source(target_font=("STIXGeneral",), **some).attributes


def test_one_font_is_enough():
    found = source(target_font=("DejaVuSansMono",), charset="letters", glyph_variants=1)
    assert found.attributes == {
        "letter": tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        "family": ("mono",),
        "weight": ("thin",),
        "slant": ("upright",),
    }
    pictures = found.phases["every"]()
    assert len(pictures) == 52 and not held_out(pictures, 0, 0.2).any()  # one picture of a letter: none to spare


def test_a_character_that_one_font_has(tmp_path):
    (tmp_path / "set.txt").write_text("aЖ", encoding="utf-8")
    pictures = every(charset=str(tmp_path / "set.txt"), target_font=("DejaVuSans", "STIXGeneral", "cmr10"))
    assert len(set(pictures.labels)) == 2 and len(pictures) < 6 * 8
    assert pictures.pixels(len(pictures) - 1, 1).min() < 100


def test_fonts_that_are_not_there():
    with pytest.raises(Missing, match="Dejavu: neither a file nor a font"):
        source(target_font=("Dejavu",))
    with pytest.raises(UserError, match=r"--turned 1\.5: must be at most 1"):
        CaptionGlyphOptions(turned=1.5).validate()


# -- captions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "family", "weight", "slant", "turn", "caption"),
    [
        ("R", "serif", "bold", "italic", None, "a bold italic serif capital R"),
        ("g", "sans", "thin", "upright", "none", "a thin upright sans-serif small g"),
        ("7", "mono", "bold", "upright", "left", "a bold upright monospaced digit 7, rotated left"),
        ("a", None, "thin", "italic", "right", "a thin italic small a, rotated right"),
        ("%", "serif", "thin", "upright", None, "a thin upright serif character %"),
    ],
)
def test_the_fullest_caption(letter, family, weight, slant, turn, caption):
    shown = {"letter": letter, "family": family, "weight": weight, "slant": slant, "turn": turn}
    shown = {name: value for name, value in shown.items() if value}
    assert captions(shown)[0] == (caption, shown)


def test_captions_are_true_and_say_what_they_are_said_to_say(some):
    found = source(**some)
    pictures = found.phases["every"]()
    assert found.attributes["turn"] == ("none", "left", "right")
    for row in range(len(pictures)):
        said, shown = pictures.said[row], pictures.shown[row]
        assert len(pictures.captions[row]) == len(said) == len(set(pictures.captions[row])) and len(said) > 4
        assert (said[0] == shown).all() and ((said == shown) | (said == UNSAID)).all()
        assert (said[:, 0] == shown[0]).all() and (said[:, -1] == shown[-1]).all()  # the letter and its turn always
        for caption, says in zip(pictures.captions[row], said, strict=True):
            assert parse_caption(caption, found.attributes).tolist() == says.tolist(), caption


def test_every_way_to_say_it_occurs():
    pictures = every(glyph_variants=1)
    text = "\n".join(caption for row in pictures.captions for caption in row)
    for words in (
        *("a thin ", "light", "regular", "bold", "heavy", "italic", "slanted", "upright", "straight", "serif"),
        *("sans-serif", "a sans ", "monospaced", "typewriter", "letter R", "capital R", "uppercase R", "small r"),
        *("lowercase r", "the letter R in ", "R, "),
    ):
        assert words in text, words
    assert re.search(r"^a (thin|light|regular) (italic|slanted) letter \w$", text, re.MULTILINE)  # of any family
    said = np.concatenate(pictures.said)
    assert 0.25 < (said == UNSAID).any(1).mean() < 0.4  # about a third leave something out


def test_what_a_user_types_is_read():
    attributes = source().attributes | {"turn": ("none", "left", "right")}

    def read(caption):
        places = zip(attributes.items(), parse_caption(caption, attributes), strict=True)
        return {name: values[place] for (name, values), place in places if place != UNSAID}

    assert read("A  Heavy, SLANTED sans\nserif letter r.") == {
        **{"letter": "r", "family": "sans", "weight": "bold", "slant": "italic", "turn": "none"}
    }
    assert read("capital letter g, turned left") == {"letter": "G", "turn": "left"}
    assert read('lowercase "Q" in typewriter') == {"letter": "q", "family": "mono", "turn": "none"}
    assert read("a bold A") == {"letter": "A", "weight": "bold", "turn": "none"}
    assert read("a, bold") == {"letter": "a", "weight": "bold", "turn": "none"}
    assert read("A in bold") == {"letter": "A", "weight": "bold", "turn": "none"}
    for caption in ("A with serifs, bold", "A as a bold glyph", "A and so on, bold", "bold A upright", "'A' bold"):
        assert read(caption)["letter"] == "A", caption
    assert read("A bold sans")["weight"] == "bold" and "letter" not in read("A bold sans")
    assert read("A g in bold")["letter"] == "g" and "letter" not in read("in a bold font")
    assert read("a dog beside a red house") == {"turn": "none"} == read("")
    assert read("letter é") == {"turn": "none"}


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_drawings_are_a_function_of_name_and_seed(some):
    first, again, anew = every(**some), every(**some), every(draw_seed=1, **some)
    assert first.captions.tolist() == again.captions.tolist() == anew.captions.tolist()
    assert (first.shown == anew.shown).all() and first.names.tolist() == anew.names.tolist()
    for row in range(0, len(first), 7):
        assert np.array_equal(first.pixels(row, 1), again.take(np.array([row])).pixels(0, 1))
        assert not np.array_equal(first.pixels(row, 1), anew.pixels(row, 1))
    assert first.pixels(0, 3).shape == (32, 32, 3)


def test_drawings_of_a_glyph_differ_unless_told_not_to(some):
    plain, varied = every(**some | {"vary": 0.0, "turned": 0.0}), every(**some | {"turned": 0.0})
    larger, first = Geometry(64, 0.9), plain.pixels(0, 1)[..., 0]
    drawn = Image.fromarray(Face("DejaVuSans").draw(int(plain.codes[0]), larger)).reduce(2)
    assert np.array_equal(first, plain.pixels(1, 1)[..., 0])
    assert abs(first.astype(int) - np.asarray(drawn)).max() <= 1
    assert abs(varied.pixels(0, 1).astype(int) - varied.pixels(1, 1)).max() > 100


@pytest.mark.slow
def test_ink_stays_on_the_paper_and_paper_white():
    pictures = every(charset="letters", turned=0.3)
    for row in np.random.default_rng(0).permutation(len(pictures))[:150]:
        image = pictures.pixels(row, 1)[..., 0]
        edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert edge.min() > 200, pictures.names[row]
        assert np.median(image) > 245 and image.min() < 150, pictures.names[row]


@pytest.mark.slow
def test_capitals_are_larger_than_small_letters():
    pictures = every(charset="letters", glyph_variants=16, crop_size=64)
    for font in (0, 1, 8):
        height: dict[str, list[int]] = {}
        for row in np.flatnonzero(np.isin(pictures.codes, [ord("c"), ord("C")]) & (pictures.fonts == font)):
            rows = (pictures.pixels(row, 1)[..., 0] < 128).any(1).sum()
            height.setdefault(chr(pictures.codes[row]), []).append(rows)
        assert max(height["c"]) < min(height["C"])


def test_left_is_against_the_clock(some):
    pictures = every(
        **some | {"charset": "letters", "target_font": ("DejaVuSans",), "glyph_variants": 12, "turned": 0.7}
    )
    rows = np.flatnonzero(pictures.codes == ord("I"))
    seen = set()
    for row in rows:
        down, right = np.nonzero(pictures.pixels(row, 1)[..., 0] < 128)
        slope = np.degrees(np.arctan(np.polyfit(down, right, 1)[0]))  # the bar of an I, from its top to its bottom
        turn = ("none", "left", "right")[pictures.shown[row, -1]]
        seen.add(turn)
        low, high = {"none": (-6, 6), "left": (18, 32), "right": (-32, -18)}[turn]
        assert low < slope < high, (turn, slope)
    assert seen == {"none", "left", "right"}


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_a_part_is_turned(part):
    found = source(turned=part, glyph_variants=2)
    assert ("turn" in found.attributes) == (part > 0)
    turned = (found.phases["every"]().angles != 0).mean()
    assert abs(turned - part) < 0.05  # of 1248, standard deviation 0.012


# -- which are held out ------------------------------------------------------------------------------------------------


def test_held_out_compositions_are_never_seen_and_every_part_of_them_is():
    pictures = every()
    test = held_out(pictures, 0, 0.2)
    seen, unseen = ({tuple(row) for row in pictures.shown[rows]} for rows in (~test, test))
    assert not seen & unseen and len(seen | unseen) == 52 * 12 and len(unseen) == 52 * 2
    table = np.array(sorted(seen))
    for letter in range(52):
        partners = table[table[:, 0] == letter]
        assert len(partners) == 10
        for attribute in range(1, table.shape[1]):  # each family, weight and slant, in several fonts
            values, counts = np.unique(partners[:, attribute], return_counts=True)
            assert len(values) == len(np.unique(table[:, attribute])) and counts.min() >= 2
    for attribute in range(1, table.shape[1]):
        for value in np.unique(table[:, attribute]):
            assert len(set(table[table[:, attribute] == value, 0])) == 52


def test_fonts_of_one_kind_are_held_out_together(tmp_path):
    shutil.copy(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), tmp_path / "Other.ttf")
    pictures = every(target_font=("DejaVuSans", str(tmp_path / "Other.ttf"), "DejaVuSans-Bold", "DejaVuSerif"))
    test = held_out(pictures, 0, 0.34)
    seen, unseen = ({tuple(row) for row in pictures.shown[rows]} for rows in (~test, test))
    assert unseen and not seen & unseen
