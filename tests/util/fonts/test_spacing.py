import numpy as np
import pytest

from util.fonts.faces import Face, Geometry
from util.fonts.spacing import by_bearings, features, fit_spacing, ink_sides

GEOMETRY = Geometry(64)


def rows_of(count, seed=0):
    """Characters whose side bearings are a linear function of the source's: (features, (left bearing, advance))."""
    rng, rows, boxes = np.random.default_rng(seed), [], []
    for _ in range(count):
        width, source, bearings = rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.9), rng.uniform(0.02, 0.1, 2)
        drawn = rng.uniform(-0.5, -0.4), 0.0
        row = features((drawn[0], drawn[0] + width), (bearings[0] - source / 2, source / 2 - bearings[1]), source)
        left, right = 0.5 * bearings[0] + 0.01, 0.8 * bearings[1]
        rows.append(row)
        boxes.append((left, left + width + right))
    return rows, boxes


def test_what_is_linear_in_the_source_is_learnt():
    rows, boxes = rows_of(40)
    spacing = fit_spacing(rows, boxes)
    for row, (left, advance) in zip(*rows_of(20, seed=1), strict=True):
        assert spacing(row) == pytest.approx((left, advance), abs=2e-3)
    assert spacing.missed.mean() < 2e-3


def test_the_error_that_is_told_is_that_of_characters_left_out():
    rows, boxes = rows_of(12)
    boxes = [(a, b + (-1) ** i * 0.02) for i, (a, b) in enumerate(boxes)]
    spacing = fit_spacing(rows, boxes)
    X, Y = (np.stack(rows) - spacing.middle) / spacing.spread, np.array(boxes)
    bearings = np.median(Y[:, 1] - Y[:, 0] - (np.stack(rows)[:, 1] - np.stack(rows)[:, 0]))
    rest = Y[:, 1] - (np.stack(rows)[:, 1] - np.stack(rows)[:, 0]) - spacing.bearings[0] - bearings
    tried = []
    for ridge in np.logspace(-4, 2, 13) * len(X):  # by a loop what the closed form says
        off = []
        for i in range(len(X)):
            keep = np.arange(len(X)) != i
            Z = np.concatenate([X[keep], np.ones((len(X) - 1, 1))], axis=1)
            penalty = np.diag([*[ridge] * X.shape[1], 0.0])
            w = np.linalg.solve(Z.T @ Z + penalty, Z.T @ rest[keep])
            off.append(abs([*X[i], 1.0] @ w - rest[i]))
        tried.append(np.array(off))
    assert min(np.abs(spacing.missed - off).max() for off in tried) < 1e-9


def test_of_few_characters_the_median_bearings_are_taken():
    rows, boxes = rows_of(3)
    spacing = fit_spacing(rows, boxes)
    assert not spacing.weights.any()
    width = rows[0][1] - rows[0][0]
    left, advance = spacing(rows[0])
    assert (left, advance) == pytest.approx((spacing.bearings[0], width + sum(spacing.bearings)))
    assert fit_spacing(rows[:1], boxes[:1])(rows[0]) == pytest.approx(boxes[0])


def test_a_width_stays_near_those_it_was_learnt_from():
    rows, boxes = rows_of(30)
    spacing = fit_spacing(rows, boxes)
    widest = max(advance for _, advance in boxes)
    assert spacing(rows[0] * 1000)[1] <= widest + 0.1
    assert by_bearings((0.1, 0.2))(features((-0.3, 0.4), None, 1.0)) == pytest.approx((0.1, 1.0))


def test_ends_of_ink_are_found_to_a_part_of_a_pixel():
    image = np.full((64, 64), 255, np.uint8)
    assert ink_sides(image, GEOMETRY) is None
    image[10:50, 20:30] = 0
    image[10:50, 19], image[10:50, 30] = 255 - 51, 255 - 204  # a fifth and four fifths of a pixel
    left, right = ink_sides(image, GEOMETRY)
    assert (left * GEOMETRY.em + 32, right * GEOMETRY.em + 32) == pytest.approx((19.8, 30.8), abs=0.01)


@pytest.mark.parametrize("character", "AgOi")
def test_side_bearings_of_a_font_are_seen_in_its_drawings(character):
    face = Face("DejaVuSerif")
    code, advance = ord(character), face.advance(ord(character))
    left, right = ink_sides(face.draw(code, GEOMETRY), GEOMETRY)
    glyph = face.font["glyf"][face.cmap[code]]
    assert left + advance / 2 == pytest.approx(glyph.xMin / face.units_per_em, abs=0.012)  # half a pixel
    assert right + advance / 2 == pytest.approx(glyph.xMax / face.units_per_em, abs=0.012)
