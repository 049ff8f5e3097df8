import numpy as np
import pytest
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.recordingPen import RecordingPen
from scipy import ndimage

from tests.util.fonts.crossings import count
from util.fonts.charsets import charset
from util.fonts.contours import Contour, crossings, glyph_of
from util.fonts.edges import area, edges
from util.fonts.faces import Face, Geometry
from util.fonts.outlines import TOLERANCE
from util.fonts.tracing import trace

GEOMETRY = Geometry(128)


def canvas(draw, size=128, factor=8):
    """Grey from an indicator of x and y in pixels, averaged over each pixel."""
    at = (np.arange(size * factor) + 0.5) / factor
    ink = draw(at[None, :], at[:, None]).reshape(size, factor, size, factor).mean(axis=(1, 3))
    return np.round(255 * (1 - ink)).astype(np.uint8)


def box(x0, y0, x1, y1):
    return lambda x, y: (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


def disc(x0, y0, radius):
    return lambda x, y: (x - x0) ** 2 + (y - y0) ** 2 < radius**2


def expected(x, y):
    """Font units of a place on the canvas, which drawing moved to whole pixels of a canvas four times as large."""
    left, base = GEOMETRY.origin(1.0)
    return (x - round(left * 4) / 4) * 1000 / GEOMETRY.em, (round(base * 4) / 4 - y) * 1000 / GEOMETRY.em


def contours(glyph):
    ends = np.array(glyph.endPtsOfContours) + 1
    return np.split(np.array(glyph.coordinates), ends[:-1])


def test_white_is_no_glyph():
    assert trace(np.full((128, 128), 255, np.uint8), GEOMETRY) is None


@pytest.mark.parametrize("sides", [(20, 30, 90, 44), (20.3, 30.6, 90.7, 44.4), (20.3, 30.6, 23.1, 90.9)])
def test_a_box_has_its_four_corners(sides):
    glyph = trace(canvas(box(*sides)), GEOMETRY)
    (points,) = contours(glyph)
    x0, y0, x1, y1 = sides
    assert len(points) == 4
    corners = [expected(x, y) for x in (x0, x1) for y in (y0, y1)]
    for corner in corners:
        assert np.abs(points - corner).max(axis=1).min() < 1.5  # units: a seventh of a pixel
    assert (glyph.xMin, glyph.yMax) == (points[:, 0].min(), points[:, 1].max())


def test_outer_contours_run_clockwise_and_holes_the_other_way():
    ring, inner = disc(60, 64, 40), disc(60, 64, 20)
    image = canvas(lambda x, y: ring(x, y) & ~inner(x, y) | disc(60, 64, 9)(x, y))
    turns = sorted(area(points) for points in contours(trace(image, GEOMETRY)))
    assert [np.sign(turn) for turn in turns] == [-1, -1, 1]  # y points up: negative is clockwise
    scale = (1000 / GEOMETRY.em) ** 2
    pen = AreaPen()
    trace(image, GEOMETRY).draw(pen, None)
    assert pen.value == pytest.approx(-np.pi * (40**2 - 20**2 + 9**2) * scale, rel=0.01)


def test_round_shapes_become_curves_and_few_points():
    glyph = trace(canvas(disc(64, 64, 40)), GEOMETRY)
    assert not all(glyph.flags) and len(glyph.coordinates) <= 24
    pen = RecordingPen()
    glyph.draw(pen, None)
    assert {name for name, _ in pen.value} <= {"moveTo", "qCurveTo", "closePath"}


def test_ink_at_the_border_closes():
    glyph = trace(canvas(box(-1, -1, 129, 40)), GEOMETRY)
    assert np.abs(np.array([glyph.xMin, glyph.yMax]) - expected(0, 0)).max() < 3
    assert np.abs(np.array([glyph.xMax, glyph.yMin]) - expected(128, 40)).max() < 3


def test_specks_are_dropped_and_small_counters_kept():
    image = canvas(lambda x, y: box(20, 20, 60, 60)(x, y) & ~box(40, 40, 41.5, 41.5)(x, y))
    image[100, 100] = 110
    assert len(contours(trace(image, GEOMETRY))) == 2


def test_a_hair_of_less_than_a_pixel_is_not_lost():
    loops = edges(canvas(box(20, 64.1, 100, 64.8)))
    assert len(loops) == 1 and np.ptp(loops[0][:, 0]) == pytest.approx(80, abs=1)


def test_level_lines_stay_level_under_noise():
    image = canvas(box(20.3, 40.2, 100.8, 50.6)).astype(float)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    (points,) = contours(trace(noisy, GEOMETRY))
    assert len(set(points[:, 1])) == 2 and len(points) == 4


def test_advance_and_units_carry_over():
    image = canvas(box(40, 30, 80, 90))
    narrow, large = trace(image, GEOMETRY, 0.5, 1000), trace(image, GEOMETRY, 1.0, 2048)
    assert narrow.xMin == pytest.approx(trace(image, GEOMETRY).xMin - 250, abs=2)
    assert large.yMax == pytest.approx(trace(image, GEOMETRY).yMax * 2.048, abs=2)


@pytest.mark.parametrize("size", (64, 128))
def test_letters_stay_where_their_font_has_them(size):
    face, geometry = Face("DejaVuSerif"), Geometry(size)
    for character in "HoE":
        code = ord(character)
        glyph = trace(face.draw(code, geometry), geometry, face.advance(code), face.units_per_em)
        name = face.cmap[code]
        true, mine = BoundsPen(face.font.getGlyphSet()), BoundsPen(None)
        face.font.getGlyphSet()[name].draw(true)
        glyph.draw(mine, None)
        # hinting moves edges by an eighth of a pixel; the rest is the tip of a serif
        assert np.abs(np.subtract(mine.bounds, true.bounds)).max() < 0.4 * face.units_per_em / geometry.em


def wavy(face, character, size, seed):
    """A glyph as an undecided network draws it: bent, blurred and uneven."""
    rng, image = np.random.default_rng(seed), 1 - face.draw(ord(character), Geometry(size)) / 255
    bend = ndimage.gaussian_filter(rng.normal(0, 1, (2, size, size)), (0, size / 16, size / 16))
    bend *= 1.2 / np.abs(bend).max() * size / 64
    image = ndimage.map_coordinates(ndimage.gaussian_filter(image, 0.5), np.mgrid[:size, :size] + bend, order=1)
    image += ndimage.gaussian_filter(rng.normal(0, 1, image.shape), 1) * image * (1 - image)
    return np.uint8(np.round(255 * (1 - np.clip((image - 0.5) * 1.3 + 0.5, 0, 1))))


def check_sound(glyph):
    """Nothing crosses, touches or folds; curves end at their extrema; no point is met twice."""
    assert count(glyph) == 0
    for quads in (contour.quads() for contour in contours_of(glyph)):
        low, high = quads[:, [0, 2]].min(1), quads[:, [0, 2]].max(1)
        first, middle, last = quads.transpose(1, 0, 2)
        bend = np.where(first - 2 * middle + last == 0, 1, first - 2 * middle + last)
        top = (first * last - middle**2) / bend
        beyond = np.where((middle < low) | (middle > high), np.maximum(low - top, top - high), 0)
        assert beyond.max() <= 1  # units
    for points in contours(glyph):
        assert (points != np.roll(points, 1, axis=0)).any(1).all()


def contours_of(glyph):
    flags = np.split(np.array(glyph.flags, bool), (np.array(glyph.endPtsOfContours) + 1)[:-1])
    return [Contour(points, on) for points, on in zip(contours(glyph), flags, strict=True)]


@pytest.mark.parametrize("size", (64, pytest.param(128, marks=pytest.mark.exhaustive)))
def test_outlines_cross_nothing_and_have_points_at_extrema(size):
    face = Face("DejaVuSerif")
    for seed, character in enumerate("&g8@§"):
        check_sound(trace(face.draw(ord(character), Geometry(size)), Geometry(size)))
        check_sound(trace(wavy(face, character, size, seed), Geometry(size)))


def test_a_hairpin_that_ends_in_less_than_a_unit_does_not_cross_itself():
    check_sound(trace(Face("STIXGeneral").draw(ord("m"), Geometry(32)), Geometry(32)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("font", ("DejaVuSerif-Italic", "DejaVuSansMono-Bold", "STIXGeneral", "cmr10"))
def test_no_outline_of_any_letter_crosses_anything(font):
    face = Face(font)
    for size in (32, 64, 128):
        for code in sorted(face.real(charset("latin") + charset("cyrillic"))):
            check_sound(trace(face.draw(code, Geometry(size)), Geometry(size)))
            check_sound(trace(wavy(face, chr(code), size, code), Geometry(size)))


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (90, 90), (90, 0), (0, 90)],  # crosses itself
        [(0, 0), (90, 0), (90, 90), (90, 20), (40, 90)],  # folds back
        [(0, 0), (90, 0), (90, 90), (45, 0), (0, 90)],  # touches itself
    ],
)
def test_what_crosses_folds_or_touches_is_seen(corners):
    bad = Contour(np.array(corners), np.ones(len(corners), bool))
    good = Contour(np.array([(200, 0), (290, 0), (290, 90), (200, 90)]), np.array([1, 1, 0, 1], bool))
    assert crossings([good, bad]) == {1} and count(glyph_of([bad])) and not count(glyph_of([good]))


def test_strokes_a_hair_apart_do_not_touch():
    wave = canvas(lambda x, y: (np.abs(y - 60 - 6 * np.sin(x / 3)) > 0.1) & (abs(y - 60) < 20) & (abs(x - 64) < 40))
    check_sound(trace(wave, GEOMETRY))


def test_more_may_be_simplified_than_by_default_and_less():
    face = Face("DejaVuSerif")
    image = wavy(face, "§", 64, 4)
    traced = [trace(image, Geometry(64), simplify=units) for units in (1, None, 12)]
    for glyph in traced:
        check_sound(glyph)
    near, default, far = (len(glyph.coordinates) for glyph in traced)
    assert near > 1.5 * default and default > 1.1 * far
    assert trace(image, Geometry(64), simplify=1000 * TOLERANCE / Geometry(64).em) == traced[1]  # a part of a pixel


@pytest.mark.parametrize(
    ("font", "size", "character"), [("DejaVuSerif-Italic", 32, "ą"), ("DejaVuSansMono-Bold", 64, "Ẁ")]
)
def test_long_curves_cross_nothing_and_points_that_are_implied_leave_extrema(font, size, character):
    face = Face(font)
    image = wavy(face, character, 32, ord(character)) if size == 32 else face.draw(ord(character), Geometry(size))
    check_sound(trace(image, Geometry(size)))
