import numpy as np
import pytest

from util.fonts.bezier import Strand, fit_curves

TURN = np.linspace(0, 2 * np.pi, 401)
CIRCLE = 20 * np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


def along(curve, count=50):
    u = np.linspace(0, 1, count)[:, None]
    p0, p1, p2, p3 = curve
    return (1 - u) ** 3 * p0 + 3 * u * (1 - u) ** 2 * p1 + 3 * u * u * (1 - u) * p2 + u**3 * p3


@pytest.mark.parametrize("tolerance", (0.3, 0.03))
def test_curves_keep_to_the_tolerance(tolerance):
    (curves,) = fit_curves([Strand(CIRCLE, closed=True)], tolerance)
    radius = np.hypot(*np.concatenate([along(curve) for curve in curves]).T)
    assert abs(radius - 20).max() < tolerance * 1.5
    assert len(curves) <= (4 if tolerance == 0.3 else 8)


def test_neighbours_meet_and_share_a_tangent_around_a_closed_line():
    (curves,) = fit_curves([Strand(CIRCLE * [1, 0.4], closed=True)], 0.02)
    assert len(curves) > 3
    following = np.roll(curves, -1, axis=0)
    assert np.allclose(curves[:, 3], following[:, 0], atol=1e-9)
    leaving, entering = curves[:, 3] - curves[:, 2], following[:, 1] - following[:, 0]
    cosine = (leaving * entering).sum(1) / np.hypot(*leaving.T) / np.hypot(*entering.T)
    assert cosine.min() > 0.9999


def test_a_cubic_is_found_again():
    known = np.array([[0, 0], [6, 12], [14, 12], [20, 0]], float)
    (curves,) = fit_curves([Strand(along(known, 120))], 0.1)
    assert len(curves) == 1 and np.abs(along(curves[0]) - along(known)).max() < 0.2


def test_strands_stay_apart():
    line = np.array([[0.0, 0], [30, 10]])
    curve, straight, loop = fit_curves([Strand(CIRCLE[:100]), Strand(line), Strand(CIRCLE)], 0.05)
    assert len(straight) == 1 and np.allclose(straight[0], np.linspace(line[0], line[-1], 4))
    assert np.allclose(curve[0, 0], CIRCLE[0]) and np.allclose(curve[-1, 3], CIRCLE[99])
    assert len(loop) >= 3  # from a corner back to it


def test_two_points_and_a_repeated_point_are_fitted():
    short, still = fit_curves([Strand(np.array([[0.0, 0], [3, 4]])), Strand(np.ones((5, 2)))], 0.1)
    assert np.allclose(short[:, [0, 3]], [[[0, 0], [3, 4]]])
    assert np.isfinite(still).all()
    assert fit_curves([], 0.1) == []
