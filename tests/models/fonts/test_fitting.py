import string
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.fonts.fitting import Target, fit_style
from util.fonts.characters import character_name
from util.fonts.faces import Face, Geometry
from util.fonts.picture_folder import GlyphImages
from util.fonts.spacing import ink_sides
from util.fonts.tables import Lines

GEOMETRY = Geometry(64)
SANS = Face("DejaVuSans")
TRAIN = [ord(c) for c in string.ascii_letters + "0123" if c not in "gQ"]
UNSEEN = [ord(c) for c in "gQ789"]


class PerfectPen:
    """Draws what a network would that has learnt the style by heart; how often it is asked counts."""

    def __init__(self, target, train=TRAIN, test=UNSEEN):
        self.target, self.geometry, self.asked = target, GEOMETRY, 0
        self.dataset, self.fonts = SimpleNamespace(train=train, test=test), [SANS]

    def sources(self, codes):
        return dict.fromkeys(codes, SANS)

    def source(self, code, glyphs):
        return glyphs.draw(code, self.geometry)

    def draw(self, sources, mixture):
        self.asked += len(sources)
        return {code: self.target.draw(code, self.geometry) for code in sources}


def fit(target, codes, train=TRAIN, test=UNSEEN):
    pen = PerfectPen(target, train, test)
    sources = pen.sources(codes)
    return fit_style(pen, target_of(target), pen.draw(sources, {}), sources)


def target_of(*glyphs):
    ends = [SimpleNamespace(name="style", label=label, glyphs=of_one) for label, of_one in enumerate(glyphs)]
    return Target([(end, 1 / len(ends)) for end in ends])


def test_seen_characters_have_the_targets_widths_and_unseen_ones_learnt_ones(capsys):
    serif = Face("DejaVuSerif")
    codes = [*TRAIN, *UNSEEN, ord("Á"), ord("Q")]
    found = fit(serif, codes)
    told = capsys.readouterr().out
    assert "widths: learnt from 54 of 54 characters of style; 5 unseen ones are 0.0" in told
    assert all(found.advances[code] == serif.advance(code) and code not in found.boxes for code in TRAIN)
    assert found.advances[ord(" ")] == serif.advance(ord(" ")) != SANS.advance(ord("M"))
    for code in (ord("g"), ord("Q")):
        assert found.advances[code] == pytest.approx(serif.advance(code), abs=0.05)
        assert found.boxes[code] == pytest.approx(serif.advance(code), abs=0.05)
    assert found.advances[ord("7")] == serif.advance(ord("1"))  # figures of one width
    assert found.advances[ord("Á")] == serif.advance(ord("A"))
    assert found.kerning[ord("A"), ord("V")] < 0 and not any({a, b} <= set(range(48, 58)) for a, b in found.kerning)


def test_a_blend_is_as_wide_as_its_styles_in_the_mean(tmp_path):
    serif, mono = Face("DejaVuSerif"), Face("DejaVuSansMono")
    blend = target_of(serif, mono)
    widths = blend.told(map(ord, "Ag"))
    assert widths == pytest.approx({ord(c): (serif.advance(ord(c)) + mono.advance(ord(c))) / 2 for c in "Ag"})
    assert blend.space([]) == pytest.approx((serif.advance(32) + mono.advance(32)) / 2)
    assert blend.mixture == {0: 0.5, 1: 0.5} and blend.name == "style and style"
    pair = ord("A"), ord("V")
    assert blend.kerning(pair)[pair] == pytest.approx(target_of(serif).kerning(pair)[pair] / 2)
    left, right = (ink_sides(face.draw(ord("A"), GEOMETRY), GEOMETRY) for face in (serif, mono))
    assert blend.sides(ord("A"), GEOMETRY) == pytest.approx(np.mean([left, right], axis=0))
    Image.fromarray(SANS.draw(ord("A"), GEOMETRY)).save(tmp_path / "U+0041.png")
    assert target_of(serif, GlyphImages(tmp_path)).told([ord("A")]) == {}  # pictures do not tell


def test_learnt_widths_beat_the_sources_own(capsys):
    italic = Face("STIXGeneralItalic")
    found = fit(italic, UNSEEN[:2], test=UNSEEN[:2])
    off = np.mean([abs(found.advances[c] - italic.advance(c)) for c in UNSEEN[:2]])
    source = np.mean([abs(SANS.advance(c) - italic.advance(c)) for c in UNSEEN[:2]])
    assert off < source / 2
    assert f"{off:.3f} em off" in capsys.readouterr().out


def test_without_unseen_characters_each_is_left_out_in_turn(capsys):
    fit(Face("DejaVuSerif"), TRAIN, test=[])
    assert "each from the 53 others it is 0.0" in capsys.readouterr().out


def test_a_monospaced_target_has_one_width_and_no_kerning(capsys):
    mono = Face("DejaVuSansMono")
    found = fit(mono, [*TRAIN, *UNSEEN, ord("字")])
    assert {width for code, width in found.advances.items() if code != ord("字")} == {mono.advance(ord("A"))}
    assert found.advances[ord("字")] == 1 and not found.kerning and not found.boxes
    assert "widths: style is monospaced, 0.602 em" in capsys.readouterr().out


def test_full_width_characters_are_an_em_and_are_not_asked_for(capsys):
    pen = PerfectPen(SANS)
    found = fit_style(pen, target_of(SANS), {ord("字"): None}, {})
    assert found.advances == {ord("字"): 1.0, ord(" "): SANS.advance(ord(" "))}
    assert pen.asked == 0 and capsys.readouterr().out == ""


def test_pictures_tell_no_widths_so_ink_and_the_sources_bearings_do(tmp_path, capsys):
    for character in "AIHom":
        image = Face("DejaVuSerif").draw(ord(character), GEOMETRY)
        Image.fromarray(image).save(tmp_path / f"{character_name(ord(character))}.png")
    hand, codes = GlyphImages(tmp_path), [ord(c) for c in "AIHom"]
    found = fit(hand, codes, train=codes, test=[])
    told = capsys.readouterr().out
    ends = [SimpleNamespace(name=name, glyphs=glyphs) for name, glyphs in (("sans", SANS), ("hand", hand))]
    assert Target([(end, 0.5) for end in ends]).untold == "hand is pictures, which tell none"
    assert "is pictures, which tell none: ink and the side bearings that DejaVuSans has in the middle" in told
    extra = {code: found.advances[code] - _ink(hand, code) for code in codes}
    assert max(extra.values()) == pytest.approx(min(extra.values()), abs=1e-6) and 0.1 < max(extra.values()) < 0.25
    assert not found.kerning and found.advances[ord("I")] < found.advances[ord("m")] / 1.8


def test_a_font_whose_letters_training_never_saw_tells_nothing(capsys):
    found = fit(Face("DejaVuSerif"), [ord("A"), ord("m")], train=[ord("字")], test=[])
    assert "widths: training saw none of style that is not full-width: ink and the side" in capsys.readouterr().out
    assert found.advances[ord("A")] != Face("DejaVuSerif").advance(ord("A")) and set(found.boxes) == {65, 109}


def test_widths_that_lie_beside_pictures_are_taken(tmp_path, capsys):
    for character in "AIHom":
        Image.fromarray(SANS.draw(ord(character), GEOMETRY)).save(tmp_path / f"{character_name(ord(character))}.png")
    (tmp_path / "advances.json").write_text('{"A": 0.7, "I": 0.3, "H": 0.75, "o": 0.6, "m": 0.95}')
    found = fit(GlyphImages(tmp_path), list(map(ord, "AIHom")), train=list(map(ord, "AIHo")), test=[ord("m")])
    assert found.advances[ord("A")] == 0.7 and found.advances[ord("m")] == pytest.approx(0.95, abs=0.2)
    assert "widths: learnt from 4 of 4 characters of style; 1 unseen ones are" in capsys.readouterr().out


def _ink(glyphs, code):
    left, right = ink_sides(glyphs.draw(code, GEOMETRY), GEOMETRY)
    return right - left


def test_lines_are_as_far_apart_as_those_of_all_ends_together():
    sans, serif = Face("DejaVuSans"), Face("cmr10")
    one, other, both = target_of(sans).lines, target_of(serif).lines, target_of(sans, serif).lines
    assert one.ascent == sans.font["hhea"].ascent / sans.units_per_em
    assert both.descent == pytest.approx((one.descent + other.descent) / 2)
    assert target_of(sans, SimpleNamespace()).lines == Lines()  # pictures tell nothing
