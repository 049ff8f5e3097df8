import numpy as np
import pytest

from util.fonts import bezier
from util.fonts.bezier import Strand, fit_curves

TURN = np.linspace(0, 2 * np.pi, 401)
CIRCLE = 20 * np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


def along(curve, count=50):
    u = np.linspace(0, 1, count)[:, None]
    p0, p1, p2 = curve
    return (1 - u) ** 2 * p0 + 2 * u * (1 - u) * p1 + u * u * p2


def fitted(*strands, tolerance=0.05):
    return fit_curves(list(strands), np.full(len(strands), tolerance))


@pytest.mark.parametrize("tolerance", (0.3, 0.03))
def test_curves_keep_to_the_tolerance(tolerance):
    (curves,) = fitted(Strand(CIRCLE, closed=True), tolerance=tolerance)
    radius = np.hypot(*np.concatenate([along(curve) for curve in curves]).T)
    assert abs(radius - 20).max() < tolerance * 1.5
    assert len(curves) <= (8 if tolerance == 0.3 else 16)


def test_curves_that_have_settled_are_nearer_with_as_many_pieces(monkeypatch):
    ellipse, away, pieces = CIRCLE * [1, 0.5], [], []
    for rounds in (0, bezier.SETTLE):
        monkeypatch.setattr(bezier, "SETTLE", rounds)
        (curves,) = fitted(Strand(ellipse, closed=True), tolerance=0.3)
        x, y = np.concatenate([along(curve) for curve in curves]).T
        away.append(abs(np.hypot(x, 2 * y) - 20).mean())
        pieces.append(len(curves))
    assert pieces[0] == pieces[1] and away[1] < 0.8 * away[0]


def test_neighbours_share_a_tangent_and_extrema_lie_between_them():
    turns = ((0, 0), (100, 1), (200, 0), (300, 1), (400, 0))
    (curves,) = fitted(Strand(CIRCLE * [1, 0.4], closed=True, turns=turns), tolerance=0.02)
    assert len(curves) > 4
    following = np.roll(curves, -1, axis=0)
    assert np.allclose(curves[:, 2], following[:, 0], atol=1e-6)
    leaving, entering = curves[:, 2] - curves[:, 1], following[:, 1] - following[:, 0]
    cosine = (leaving * entering).sum(1) / np.hypot(*leaving.T) / np.hypot(*entering.T)
    assert cosine.min() > 0.9999
    low, high = np.minimum(curves[:, 0], curves[:, 2]), np.maximum(curves[:, 0], curves[:, 2])
    assert (curves[:, 1] >= low - 1e-3).all() and (curves[:, 1] <= high + 1e-3).all()


def test_a_parabola_is_kept_to():
    known = np.array([[0, 0], [10, 12], [20, 0]], float)
    (curves,) = fitted(Strand(along(known, 120)), tolerance=0.1)
    assert len(curves) <= 4
    found = np.concatenate([along(curve, 200) for curve in curves])
    assert np.abs(found[:, None] - along(known)[None]).sum(-1).min(0).max() < 0.2


def test_strands_stay_apart():
    line = np.array([[0.0, 0], [30, 10]])
    curve, straight, loop = fitted(Strand(CIRCLE[:100]), Strand(line), Strand(CIRCLE))
    assert len(straight) == 1 and np.allclose(straight[0], np.linspace(line[0], line[-1], 3))
    assert np.allclose(curve[0, 0], CIRCLE[0], atol=1e-3) and np.allclose(curve[-1, 2], CIRCLE[99], atol=1e-3)
    assert len(loop) >= 3  # from a corner back to it
    for alone, together in ((fitted(Strand(CIRCLE[:100]))[0], curve), (fitted(Strand(CIRCLE))[0], loop)):
        assert np.allclose(alone, together, atol=1e-6)


def test_two_points_and_a_repeated_point_are_fitted():
    short, still = fitted(Strand(np.array([[0.0, 0], [3, 4]])), Strand(np.ones((5, 2))))
    assert np.allclose(short[:, [0, 2]], [[[0, 0], [3, 4]]])
    assert np.isfinite(still).all() and fitted() == []


def test_knots_that_are_not_needed_are_left_out(monkeypatch):
    at = np.linspace(0, 1, 160)
    hook = Strand(np.stack([60 * at, 12 * np.exp(-((at - 0.3) ** 2) / 0.004) + 5 * at**2], axis=1))
    (few,) = fitted(hook, tolerance=0.1)
    monkeypatch.setattr(bezier, "HARMFUL", 0)
    (many,) = fitted(hook, tolerance=0.1)
    assert len(few) < len(many)
    near = np.concatenate([along(curve) for curve in few])
    assert np.abs(near[:, None] - hook.points[None]).sum(-1).min(0).max() < 0.6  # between places on the curve
