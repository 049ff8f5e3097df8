"""Contours of quadratic curves in whole font units: few points, extrema on the curve, and nothing that crosses."""

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from fontTools.ttLib.tables._g_l_y_f import Glyph, GlyphCoordinates
from fontTools.ttLib.tables.ttProgram import Program

CUTS = 16  # straight pieces of a curve when crossings are looked for; their ends are exact
PART = 4  # of them beside each other whose box is looked at first
PROUD = 0.75  # units by which a curve may reach beyond its ends before it is divided there


@dataclass(frozen=True)
class Contour:
    """Points (N, 2) of a closed contour in whole units, beginning with one on the curve.

    Attributes:
        on: whether each lies on the curve; between two that do not a point on the curve is implied.
    """

    points: np.ndarray
    on: np.ndarray

    def quads(self) -> np.ndarray:
        """(K, 3, 2): its curves; lines have their middle in the middle."""
        points, on = self.points.astype(float), self.on
        after, next_on = np.roll(points, -1, axis=0), np.roll(on, -1)
        before, last_on = np.roll(points, 1, axis=0), np.roll(on, 1)
        begin = np.where(last_on[:, None], before, (before + points) / 2)
        end = np.where(next_on[:, None], after, (points + after) / 2)
        curves = np.stack([begin, points, end], axis=1)
        lines = np.stack([points, (points + after) / 2, after], axis=1)
        is_line = on & next_on
        return np.where(is_line[:, None, None], lines, curves)[~on | is_line]


def contour_of(quads: np.ndarray, straight: np.ndarray, corner: np.ndarray, slack: float) -> Contour | None:
    """The contour of closed curves (K, 3, 2) in font units; None where nothing is left of it.

    Args:
        straight: which of them are lines.
        corner: which of them begin at a corner, (K,).
        slack: units by which an end between two curves may be moved along them to be implied.
    """
    for axis in (0, 1):
        quads, straight, corner = _divided_at_extrema(quads, straight, corner, axis)
    low, high = np.minimum(quads[:, 0], quads[:, 2]), np.maximum(quads[:, 0], quads[:, 2])
    begin = np.rint(quads[:, 0])
    middle = np.rint(np.clip(quads[:, 1], low, high))
    # A curve of one unit is less than is rounded away; at a sharp end it would run back across its neighbours.
    hair = np.abs(np.roll(begin, -1, axis=0) - begin).max(axis=1) <= 1
    corner = corner | np.roll(hair & corner, 1)
    begin, middle, straight, corner = (rows[~hair] for rows in (begin, middle, straight, corner))
    end = np.roll(begin, -1, axis=0)
    straight = straight | (_cross(middle - begin, end - begin) == 0)
    implied = _implied(begin, middle, straight, corner, slack)
    points: list[tuple[float, float]] = []
    on: list[bool] = []
    rows = zip(begin.tolist(), middle.tolist(), straight.tolist(), implied.tolist(), strict=True)
    for first, control, is_line, is_implied in rows:
        if not is_implied:
            points.append(tuple(first))
            on.append(True)
        if not is_line:
            points.append(tuple(control))
            on.append(False)
    _tidy(points, on)
    if len(points) < 3:
        return None
    start = on.index(True)
    return Contour(np.roll(np.array(points, int), -start, axis=0), np.roll(np.array(on), -start))


def _divided_at_extrema(
    quads: np.ndarray, straight: np.ndarray, corner: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The curves, with those that reach beyond both of their ends divided where they do."""
    first, control, last = quads[..., axis].T
    bend = first - 2 * control + last
    t = np.where(bend == 0, -1, (first - control) / np.where(bend == 0, 1, bend))
    inside = (t > 0) & (t < 1) & ~straight
    t = np.where(inside, t, 0.5)[:, None]
    one, two = (1 - t) * quads[:, 0] + t * quads[:, 1], (1 - t) * quads[:, 1] + t * quads[:, 2]
    top = (1 - t) * one + t * two
    beyond = np.minimum(np.abs(top[:, axis] - first), np.abs(top[:, axis] - last))
    divide = inside & (beyond > PROUD)
    if not divide.any():
        return quads, straight, corner
    one[:, axis] = two[:, axis] = top[:, axis]
    place = np.repeat(np.arange(len(quads)), 1 + divide)
    second = np.diff(place, prepend=-1) == 0
    halves = np.stack([quads[:, 0], one, top], axis=1), np.stack([top, two, quads[:, 2]], axis=1)
    whole = quads[place]
    whole[~second & divide[place]] = halves[0][divide]
    whole[second] = halves[1][divide]
    quads = whole
    return quads, straight[place], corner[place] & ~second


def _implied(
    begin: np.ndarray, middle: np.ndarray, straight: np.ndarray, corner: np.ndarray, slack: float
) -> np.ndarray:
    """Which of the points at which curves begin need not be told: they are the middle of their neighbours, or nearly.

    Moved along a tangent by some units, a curve's end moves the curve sideways by much less.
    """
    before = np.roll(middle, 1, axis=0)
    off = begin - (before + middle) / 2
    far_before, far_after = np.roll(begin, 1, axis=0) - before, np.roll(begin, -1, axis=0) - middle
    aside = [np.abs(_cross(off, far)) / np.maximum(np.hypot(*far.T), 1) for far in (far_before, far_after)]
    along = middle - before
    beside = np.abs(_cross(off, along)) / np.maximum(np.hypot(*along.T), 1)
    smooth = ~straight & ~np.roll(straight, 1) & ~corner
    implied = smooth & (beside <= 1) & (0.3 * np.maximum(*aside) <= slack)
    while (bulging := implied & _bulging(np.where(implied[:, None], (before + middle) / 2, begin), middle)).any():
        implied &= ~bulging
    if implied.all():
        implied[0] = False
    return implied


def _bulging(begin: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Which points (K,) begin or end a curve whose control point lies beyond both of its ends."""
    end = np.roll(begin, -1, axis=0)
    past = np.maximum(np.minimum(begin, end) - middle, middle - np.maximum(begin, end)).max(axis=1) > 1
    return past | np.roll(past, 1)


def _tidy(points: list[tuple[float, float]], on: list[bool]) -> None:
    """Remove points that say nothing, in place: those met twice, and those on a line between two others."""
    i = still = 0
    while len(points) >= 3 and still <= len(points):
        n = len(points)
        i %= n
        (x0, y0), (x1, y1), (x2, y2) = points[i - 1], points[i], points[(i + 1) % n]
        before, here, after = on[i - 1], on[i], on[(i + 1) % n]
        same = (x1, y1) == (x2, y2)
        level = (x1 - x0) * (y2 - y1) == (x2 - x1) * (y1 - y0)
        if same:  # of the two one on the curve stays
            del points[i], on[i]
            on[i % len(on)] = here or after
        elif level and before and after:  # between two points of the curve, or a spike of no width
            del points[i], on[i]
        else:
            i, still = i + 1, still + 1
            continue
        i, still = i - 2, 0


def crossings(contours: list[Contour]) -> set[int]:
    """Numbers of the contours of a glyph that cross or touch themselves or one another, or fold back.

    Curves are looked at as CUTS straight pieces each: whole units and parts of them by powers of two are exact.
    """
    quads = [contour.quads() for contour in contours]
    owner = np.repeat(np.arange(len(quads)), [len(q) for q in quads])
    first, middle, last = np.concatenate(quads).transpose(1, 0, 2)[:, :, None]
    t = (np.arange(CUTS + 1) / CUTS)[:, None]
    flat = (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t * t * last
    parts = flat[:, np.arange(0, CUTS, PART)[:, None] + np.arange(PART + 1)].reshape(-1, PART + 1, 2)
    curve = np.repeat(np.arange(len(owner)), CUTS // PART)
    low, high = parts.min(axis=1), parts.max(axis=1)
    near = (low[:, None, 0] <= high[None, :, 0]) & (low[:, None, 1] <= high[None, :, 1])
    i, j = np.nonzero(near & near.T & (curve[:, None] < curve))
    one = np.repeat(parts[i][:, :-1], PART, axis=1), np.repeat(parts[i][:, 1:], PART, axis=1)
    two = np.tile(parts[j][:, :-1], (1, PART, 1)), np.tile(parts[j][:, 1:], (1, PART, 1))
    hit = _meet(*one, *two).any(axis=1)
    owner = owner[curve]
    return set(owner[i[hit]].tolist()) | set(owner[j[hit]].tolist())


def _meet(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Whether lines from a to b and from c to d (..., 2) meet, and not only where one ends and the other begins."""
    ab, cd = b - a, d - c
    sides = (
        np.sign(_cross(ab, c - a)) * np.sign(_cross(ab, d - a)),
        np.sign(_cross(cd, a - c)) * np.sign(_cross(cd, b - c)),
    )
    boxes = (np.minimum(a, b) <= np.maximum(c, d)).all(-1) & (np.minimum(c, d) <= np.maximum(a, b)).all(-1)
    meet = (sides[0] <= 0) & (sides[1] <= 0) & boxes
    joined = (b == c).all(-1) | (d == a).all(-1)
    folded = joined & (_cross(ab, cd) == 0) & ((ab * cd).sum(-1) < 0)
    return np.where(joined, folded, meet)


def glyph_of(contours: list[Contour]) -> Any:
    """A glyph of fontTools, with its bounds."""
    glyph = Glyph()
    glyph.coordinates = GlyphCoordinates([tuple(p) for c in contours for p in c.points.tolist()])
    glyph.flags = array("B", np.concatenate([c.on for c in contours]).astype(np.uint8).tobytes())
    glyph.endPtsOfContours = (np.cumsum([len(c.points) for c in contours]) - 1).tolist()
    glyph.numberOfContours = len(contours)
    glyph.program = Program()
    glyph.program.fromBytecode(b"")
    glyph.recalcBounds(None)
    return glyph


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
