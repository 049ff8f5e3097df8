from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ImageFont

from models.fonts.fitting import Fit
from models.fonts.lines import between, source_fit, typeset
from options import UserError
from util.fonts.characters import runs_leftwards
from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry
from util.fonts.kerning import kerning_of

SERIF, GEOMETRY = Face("DejaVuSerif"), Geometry(64)
TEXT = "AV To"


def edges_of_ink(line):
    """The columns at which ink begins and ends, where white lies between."""
    ink = np.pad((line < 200).any(axis=0).astype(int), 1)
    return np.flatnonzero(np.diff(ink))


def test_a_line_looks_as_the_font_that_is_written(tmp_path):
    codes = [ord(c) for c in TEXT if c != " "]
    glyphs = {code: SERIF.draw(code, GEOMETRY) for code in codes}
    wide = {code: SERIF.advance(code) + 0.2 for code in codes}  # ink a tenth of an em to the right of the middle
    boxes = {code: SERIF.advance(code) - 0.2 for code in codes}
    kerning = {(ord("A"), ord("V")): 0.1, (ord("T"), ord("o")): -0.08}
    fit = Fit({**wide, 32: 0.5}, boxes, kerning)
    told = dict(advances=fit.advances, boxes=boxes, kerning=kerning)
    build_font(tmp_path / "x.ttf", glyphs, GEOMETRY, "Lines", **told)
    font = ImageFont.truetype(tmp_path / "x.ttf", GEOMETRY.em, layout_engine=ImageFont.Layout.BASIC)
    mine = edges_of_ink(typeset(TEXT, glyphs, fit, GEOMETRY))
    place, expected = 0.0, []
    for code, after in zip(map(ord, TEXT), [*map(ord, TEXT[1:]), 0], strict=True):
        if chr(code) != " ":
            expected.append(place + font.getbbox(chr(code), anchor="ls")[0])
        place += GEOMETRY.em * (fit.advances[code] + kerning.get((code, after), 0))
    assert mine[::2] - mine[0] == pytest.approx(np.array(expected) - expected[0], abs=1)  # pixel


def test_the_source_is_set_with_its_own_widths_and_kerning():
    codes = [ord(c) for c in "AVo"]
    pen = SimpleNamespace(fonts=[SERIF])
    fit = source_fit(pen, dict.fromkeys(codes, SERIF))
    assert fit.advances == {code: SERIF.advance(code) for code in [*codes, 32]} and fit.boxes == {}
    assert fit.kerning == kerning_of(SERIF, codes) and fit.kerning[65, 86] < 0


def test_what_lies_between_two_styles_is_as_wide_as_a_part_of_both():
    one, other = Fit({65: 0.4}, {65: 0.2}, {(65, 86): -0.1}), Fit({65: 0.8}, {}, {})
    for part, width, box, kern in ((0, 0.4, 0.2, -0.1), (0.25, 0.5, 0.35, -0.075), (1, 0.8, 0.8, 0)):
        mixed = between(one, other, part)
        assert mixed.advances[65] == pytest.approx(width) and mixed.boxes[65] == pytest.approx(box)
        assert mixed.kerning[65, 86] == pytest.approx(kern)


def test_hebrew_is_set_from_the_right():
    face, text, mirrored = Face("DejaVuSans"), "\u05e9\u05dc \u05d5\u05dd", "dc ba"  # as if those letters were these
    glyphs = {ord(c): face.draw(ord(c), GEOMETRY) for c in text if c != " "}
    advances = {code: face.advance(code) for code in [*glyphs, 32]}
    other = {ord(m): ord(c) for m, c in zip(mirrored, reversed(text), strict=True)}
    fit = Fit(advances, kerning={(ord(text[0]), ord(text[1])): 0.2})
    plain = Fit({m: advances[c] for m, c in other.items()}, kerning={(ord("b"), ord("a")): 0.2})
    right = typeset(text, glyphs, fit, GEOMETRY)
    left = typeset(mirrored, {m: glyphs[c] for m, c in other.items() if c != 32}, plain, GEOMETRY)
    assert edges_of_ink(right) == pytest.approx(edges_of_ink(left), abs=1)


@pytest.mark.parametrize("text", ("\u05d0a", "\u05d0 12", "(\u05d0)"))
def test_a_text_that_runs_both_ways_is_refused(text):
    with pytest.raises(UserError, match=r"from right to left, and U.00.* would run the other way"):
        runs_leftwards(text, f"--text {text}")
