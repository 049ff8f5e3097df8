import numpy as np
import pytest

from options import UserError
from util.fonts.check import check_font, ink_overlap
from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry

FACE, GEOMETRY = Face("DejaVuSerif"), Geometry(128)
GLYPHS = {ord(c): FACE.draw(ord(c), GEOMETRY) for c in "Agß8&"}
ADVANCES = {code: FACE.advance(code) for code in GLYPHS}
BLANK = np.full((128, 128), 255, np.uint8)


def test_overlap_is_that_of_sets():
    a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert ink_overlap(a, b) == pytest.approx(1 / 3) and ink_overlap(a, a) == 1
    assert ink_overlap(a & False, b & False) == 1 and ink_overlap(a, b & False) == 0
    assert ink_overlap(np.array([0.5, 1]), np.array([1, 0.5])) == pytest.approx(0.5)


def test_an_exported_font_shows_its_images(tmp_path):
    build_font(tmp_path / "x.ttf", GLYPHS, GEOMETRY, "New", advances=ADVANCES)
    scores = check_font(tmp_path / "x.ttf", GLYPHS, GEOMETRY)
    assert list(scores) == sorted(GLYPHS)
    assert np.mean([*scores.values()]) > 0.97 and min(scores.values()) > 0.95


def test_glyphs_of_64_pixels_are_smooth_at_512(tmp_path):
    small, large = Geometry(64), Geometry(512)
    build_font(tmp_path / "x.ttf", {c: FACE.draw(c, small) for c in GLYPHS}, small, "New", advances=ADVANCES)
    scores = check_font(tmp_path / "x.ttf", {c: FACE.draw(c, large) for c in GLYPHS}, small)
    assert np.mean([*scores.values()]) > 0.963  # 0.973; the image enlarged by bicubic interpolation has 0.956


def test_a_missing_a_blank_and_another_character_are_told_apart(tmp_path):
    build_font(tmp_path / "x.ttf", {65: GLYPHS[65], 66: BLANK}, GEOMETRY, "New", advances=ADVANCES)
    scores = check_font(tmp_path / "x.ttf", {65: GLYPHS[ord("8")], 66: BLANK, 67: GLYPHS[65]}, GEOMETRY)
    assert scores[65] < 0.6 and scores[66] == 1 and scores[67] == 0


def test_a_damaged_font_is_named(tmp_path):
    path = tmp_path / "x.ttf"
    build_font(path, GLYPHS, GEOMETRY, "New", advances=ADVANCES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(UserError, match=r"x\.ttf"):
        check_font(path, GLYPHS, GEOMETRY)
