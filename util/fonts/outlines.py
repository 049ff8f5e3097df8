"""From a glyph in grey levels to a TrueType outline."""

from functools import lru_cache
from typing import Any

import numpy as np
from fontTools.cu2qu.cu2qu import curve_to_quadratic
from fontTools.pens.ttGlyphPen import TTGlyphPen
from scipy.interpolate import make_interp_spline
from skimage.measure import find_contours

from util.fonts.bezier import Strand, fit_curves
from util.fonts.faces import OVERSAMPLING, Geometry

# Lengths are in pixels of the image.
FINE = 4  # samples per pixel that the edge is looked for in
SHARPENINGS = 8  # of the surface: a disc of 40 pixels comes out round to 0.06 px; to 0.10 without
PAD = 3  # white around the image: ink at the border closes, and the spline is at rest
SPECK = 1.0  # square pixels: islands and holes below are noise
STEP = 0.25  # between the points of an edge
TOLERANCE = 0.12  # between a fitted curve and the edge: 1.2 units of 1000 at 128 px; with 0.2, IoU falls
LINE = 0.12  # between a straight line and an edge from corner to corner
LONG = 4  # from where on a line is laid on an axis that it misses by less than LINE: below two degrees
NEAR, FAR = 3, 9  # steps: how far from a corner its straight sides are looked at; nearer, pixels have rounded it
STRAIGHT = 0.06  # by how much a side of a corner may bend
TURN = np.deg2rad(40)  # at a corner; below, a curve follows as well
REACH = 0.75  # from the edge to the corner that its sides meet in: half a pixel's diagonal, and noise


def trace(image: np.ndarray, geometry: Geometry, advance: float = 1.0, units_per_em: int = 1000) -> Any:
    """The outline of a glyph, for a ``glyf`` table; None where there is no ink.

    Grey is the part of a pixel that ink covers: the edge is where a surface with these means crosses one half, found to
    a part of a pixel. A network's output is best passed as it is: made black and white, glyphs of 128 pixels come out
    with an IoU of .87 to .92 instead of .97 to .99 with what they show (measured with cwTeX Kai and HeiBold, at 512).

    Args:
        image: (H, H) bytes, white 255 and ink 0, as :meth:`.fonts.Face.draw` and :func:`.images.to_uint8` make them.
        geometry: what the glyph was drawn with; ``canvas`` is H.
        advance: width of the box that was centred on the canvas, in ems.

    Returns:
        a glyph of fontTools in whole units, outer contours clockwise and holes counter-clockwise, with its bounds.
    """
    loops = [loop for loop in edges(image) if abs(area(loop)) >= SPECK]
    if not loops:
        return None
    strands = [_strands(_even(loop)) for loop in loops]
    fitted = iter(fit_curves([strand for of_loop in strands for strand in of_loop], TOLERANCE))
    pen = TTGlyphPen(None)
    for of_loop in strands:
        curves = np.concatenate([next(fitted) for _ in of_loop])
        bent = _bend(curves) > TOLERANCE
        _align(curves, bent)
        in_units = _to_units(curves, geometry, advance, units_per_em)
        _draw(pen, in_units, bent, TOLERANCE * units_per_em / geometry.em)
    glyph = pen.glyph(dropImpliedOnCurves=True)
    glyph.recalcBounds(None)
    return glyph


def _to_units(curves: np.ndarray, geometry: Geometry, advance: float, units_per_em: int) -> np.ndarray:
    """Points (..., 2) on the canvas in font units. Drawing lays a glyph's origin on whole pixels of a larger canvas."""
    left, base = geometry.origin(advance)
    x = curves[..., 0] - (round(left * OVERSAMPLING) / OVERSAMPLING - left)
    y = curves[..., 1] - (round(base * OVERSAMPLING) / OVERSAMPLING - base)
    return np.stack(geometry.inverse(x, y, advance, units_per_em), axis=-1)  # type: ignore[arg-type]


def _bend(curves: np.ndarray) -> np.ndarray:
    """How far (K,) the handles of cubics (K, 4, 2) lie from their chords."""
    begin, chord = curves[:, 0], curves[:, 3] - curves[:, 0]
    length = np.maximum(np.hypot(*chord.T), 1e-9)
    return np.maximum(*(np.abs(_cross(curves[:, i] - begin, chord)) / length for i in (1, 2)))


def _align(curves: np.ndarray, bent: np.ndarray) -> None:
    """Lay long lines that are level or upright but for noise on the axis, in place; their neighbours follow."""
    for here in np.flatnonzero(~bent) if len(curves) > 2 else ():
        before, after = here - 1, (here + 1) % len(curves)
        off = np.abs(curves[here, 3] - curves[here, 0])
        axis = int(np.argmin(off))
        if off[axis] > LINE or off[1 - axis] < LONG:
            continue
        to = curves[here, [0, 3], axis].mean()
        curves[before, 2:, axis] += to - curves[here, 0, axis]
        curves[after, :2, axis] += to - curves[here, 3, axis]
        curves[here, :, axis] = to


def _draw(pen: TTGlyphPen, curves: np.ndarray, bent: np.ndarray, tolerance: float) -> None:
    """A closed contour of cubics (K, 4, 2) as quadratics and, where they are not bent, lines."""
    pen.moveTo(tuple(curves[0, 0]))
    last = len(curves) - 1
    for number, ((p0, *rest), curved) in enumerate(zip(curves.tolist(), bent, strict=True)):
        if curved:
            pen.qCurveTo(*curve_to_quadratic([p0, *rest], tolerance)[1:])
        elif number != last and [round(v) for v in p0] != [
            round(v) for v in rest[-1]
        ]:  # the last line closes by itself
            pen.lineTo(rest[-1])
    pen.closePath()


# ---- edges -----------------------------------------------------------------------------------------------------------


def edges(image: np.ndarray) -> list[np.ndarray]:
    """Closed polylines (N, 2) of x and y in pixels, where a pixel (0, 0) spans 0 to 1; ink lies to one side of all."""
    ink = np.pad(1 - image.astype(np.float32) / 255, PAD)
    finer, size = _finer(len(ink)), len(ink)
    surface = finer @ ink @ finer.T
    for _ in range(SHARPENINGS):  # what lies above one half shall cover as much of each pixel as its grey says
        covered = np.clip(4 * surface - 1.5, 0, 1).reshape(size, FINE, size, FINE).mean(axis=(1, 3))
        surface += finer @ (ink - covered) @ finer.T / 2  # whole, narrow gaps swing and close
    return [(loop[:-1, ::-1] + 0.5) / FINE - PAD for loop in find_contours(surface, 0.5)]


@lru_cache(maxsize=4)
def _finer(size: int) -> np.ndarray:
    """(size * FINE, size): samples of a cubic spline whose means over each pixel are the pixels' values."""
    at = (np.arange(size * FINE) + 0.5) / FINE
    spline = make_interp_spline(np.arange(size) + 0.5, np.eye(size), k=3)(at)
    means = spline.reshape(size, FINE, size).mean(axis=1)
    return (spline @ np.linalg.inv(means)).astype(np.float32)


def area(loop: np.ndarray) -> float:
    """Signed area of a closed polyline (N, 2)."""
    return float(_cross(loop, np.roll(loop, -1, axis=0)).sum() / 2)


def _even(loop: np.ndarray) -> np.ndarray:
    """The same closed line with a point every STEP."""
    closed = np.concatenate([loop, loop[:1]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    count = max(8, round(arc[-1] / STEP))
    at = np.arange(count) * arc[-1] / count
    return np.stack([np.interp(at, arc, values) for values in closed.T], axis=1)


# ---- corners ---------------------------------------------------------------------------------------------------------


def _strands(loop: np.ndarray) -> list[Strand]:
    """A closed line cut at its corners, which take the place of the points that pixels have rounded.

    What lies between two corners is a line of two points where it is straight. The surface rings near a corner, so
    corners at straight sides are where the whole sides meet.
    """
    where, into, out = _corners(loop)
    if not len(where):
        return [Strand(np.concatenate([loop, loop[:1]]), closed=True)]
    count = len(where)
    corners, between = _meet(into, out), []
    straight = np.zeros(count, bool)
    for here in range(count):
        after = (here + 1) % count
        gap = (where[after] - where[here]) % len(loop) or len(loop)
        between.append(loop[(where[here] + np.arange(NEAR, gap - NEAR + 1)) % len(loop)])
        inner = between[here][NEAR:-NEAR]
        if len(inner) > NEAR:
            middle, along, bend = _line(inner[:, None])
            straight[here] = bend[0] <= LINE
            if straight[here]:
                out[0][here], out[1][here] = into[0][after], into[1][after] = middle[0], along[0]
    whole = _meet(into, out)
    near = np.hypot(*(whole - loop[where]).T) < REACH
    corners = np.where(near[:, None], whole, corners)
    return [
        Strand(np.concatenate([corners[[i]], between[i][: 0 if straight[i] else None], corners[[(i + 1) % count]]]))
        for i in range(count)
    ]


Lines = tuple[np.ndarray, np.ndarray]  # a place on each line and its direction, (K, 2) both


def _corners(loop: np.ndarray) -> tuple[np.ndarray, Lines, Lines]:
    """Indices (K,) of the points at corners, and the lines that lead into and out of them."""
    if len(loop) < 2 * FAR:
        none = np.zeros((0, 2))
        return np.zeros(0, int), (none, none), (none, none)
    (before, into, bend_in), (behind, out, bend_out) = (_side(loop, sign) for sign in (-1, 1))
    turn = np.abs(np.arctan2(_cross(-into, out), -(into * out).sum(1)))
    away = np.hypot(*(_meet((before, into), (behind, out)) - loop).T)
    fits = (turn > TURN) & (np.maximum(bend_in, bend_out) < STRAIGHT) & (away < REACH)
    score = np.where(fits, -away, -np.inf)  # of neighbours, the one at the middle is nearest to where the sides meet
    best = np.max([np.roll(score, step) for step in range(-NEAR, NEAR + 1)], axis=0)
    where = np.flatnonzero(fits & (score == best))
    where = where[np.diff(where, prepend=-len(loop)) > NEAR]
    return where, (before[where], into[where]), (behind[where], out[where])


def _meet(one: Lines, two: Lines) -> np.ndarray:
    """Where pairs of lines cross, (K, 2); far away where they are nearly parallel."""
    (a, along), (b, across) = one, two
    sine = _cross(along, across)
    way = np.where(np.abs(sine) > 0.1, _cross(b - a, across) / np.where(sine == 0, 1, sine), 1e6)
    return a + way[:, None] * along


def _side(loop: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line through the points before (-1) or after (1) each point, leading away from it; see :func:`_line`."""
    points = np.stack([np.roll(loop, -sign * step, axis=0) for step in range(NEAR, FAR + 1)])
    middle, along, bend = _line(points)
    along *= np.where((along * (points[-1] - points[0])).sum(1) < 0, -1, 1)[:, None]
    return middle, along, bend


def _line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines through N sets of points (D, N, 2): middles (N, 2), directions (N, 2), and how far (N,) points stray."""
    middle = points.mean(axis=0)
    x, y = (points - middle).transpose(2, 0, 1)
    angle = np.arctan2(2 * (x * y).mean(0), (x**2 - y**2).mean(0)) / 2  # of the longer principal axis
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return middle, along, np.abs(_cross(points - middle, along)).max(axis=0)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
