"""Smooth curves through dense polylines: Schneider's fit, for all pieces of a glyph at once."""

from dataclasses import dataclass

import numpy as np

NEWTON = 4  # times that points are assigned anew to the nearest place on their curve
SHORTEST = 3  # samples from one end of a piece to the other below which it is not divided
REACH = 5  # samples to either side that a direction is measured over: nearer, noise turns it


@dataclass(frozen=True)
class Strand:
    """A polyline (N, 2) to be fitted, N >= 2, in roughly even steps; a ``closed`` one ends smoothly where it begins."""

    points: np.ndarray
    closed: bool = False


def fit_curves(strands: list[Strand], tolerance: float) -> list[np.ndarray]:
    """Cubic Béziers (K, 4, 2) along each strand, at most about ``tolerance`` away from its points.

    Two points become a line. Neighbours within a strand share a tangent; its ends are free. Philip J. Schneider, "An
    Algorithm for Automatically Fitting Digitized Curves" (Graphics Gems, 1990): least squares for the two lengths along
    given tangents, Newton steps for the parameters, division where the error is largest.
    """
    if not strands:
        return []
    points = np.concatenate([strand.points for strand in strands])
    sizes = np.array([len(strand.points) for strand in strands])
    first = np.cumsum(sizes) - sizes
    last = first + sizes - 1
    steps = np.hypot(*np.diff(points, axis=0).T)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    start, end = first.copy(), last.copy()
    owner = np.arange(len(strands))
    closed = np.array([strand.closed for strand in strands])
    head = _unit(points[np.minimum(start + REACH, end)] - points[start])
    tail = _unit(points[np.maximum(end - REACH, start)] - points[end])
    around = points[np.minimum(start + REACH, end)] - points[np.maximum(end - REACH, start)]
    head[closed], tail[closed] = _unit(around[closed]), -_unit(around[closed])

    found: list[tuple[np.ndarray, np.ndarray]] = []
    while len(start):
        curves, error, worst = _fit_pieces(points, arc, start, end, head, tail)
        done = (error <= tolerance) | (end - start < 2 * SHORTEST)
        found.append((start[done], curves[done]))
        start, end, head, tail, owner, worst = (x[~done] for x in (start, end, head, tail, owner, worst))
        cut = np.clip(worst, start + SHORTEST, end - SHORTEST)
        low, high = np.maximum(cut - REACH, first[owner]), np.minimum(cut + REACH, last[owner])
        along = _unit(points[high] - points[low])
        start, end = np.concatenate([start, cut]), np.concatenate([cut, end])
        head, tail = np.concatenate([head, along]), np.concatenate([-along, tail])
        owner = np.concatenate([owner, owner])
    begins = np.concatenate([begin for begin, _ in found])
    order = np.argsort(begins, kind="stable")
    curves = np.concatenate([curves for _, curves in found])[order]
    return np.split(curves, np.searchsorted(begins[order], first[1:]))


def _fit_pieces(points, arc, start, end, head, tail):
    """One curve for each piece, (P, 4, 2), the largest distance (P,) of its points, and which point that is (P,)."""
    size = end - start + 1
    offset = np.cumsum(size) - size
    piece = np.repeat(np.arange(len(start)), size)
    index = np.arange(len(piece)) - offset[piece] + start[piece]
    target = points[index]
    length = np.maximum(arc[end] - arc[start], 1e-9)  # a piece of one repeated point
    u = (arc[index] - arc[start][piece]) / length[piece]
    p0, p3 = points[start], points[end]
    for step in range(NEWTON + 1):
        curves = _least_squares(u, target, piece, offset, p0, p3, head, tail, length)
        at, velocity, bend = _evaluate(curves[piece], u)
        away = at - target
        if step < NEWTON:
            slope = (velocity**2).sum(1) + (away * bend).sum(1)
            move = np.where(np.abs(slope) > 1e-9, (away * velocity).sum(1) / np.where(slope == 0, 1, slope), 0.0)
            u = np.clip(u - np.clip(move, -0.2, 0.2), 0, 1)
    squared = (away**2).sum(1)
    error = np.maximum.reduceat(squared, offset)
    hits = np.flatnonzero(squared == error[piece])
    _, one = np.unique(piece[hits], return_index=True)
    return curves, np.sqrt(error), index[hits[one]]


def _least_squares(u, target, piece, offset, p0, p3, head, tail, length):
    v = 1 - u
    b1, b2 = 3 * u * v * v, 3 * u * u * v
    near, far = v**3 + b1, b2 + u**3
    rest = target - p0[piece] * near[:, None] - p3[piece] * far[:, None]
    x1 = np.add.reduceat((rest * head[piece]).sum(1) * b1, offset)
    x2 = np.add.reduceat((rest * tail[piece]).sum(1) * b2, offset)
    c11, c22 = np.add.reduceat(b1 * b1, offset), np.add.reduceat(b2 * b2, offset)
    c12 = np.add.reduceat(b1 * b2, offset) * (head * tail).sum(1)
    determinant = c11 * c22 - c12**2
    safe = np.where(determinant > 1e-9, determinant, 1)
    one, two = (x1 * c22 - x2 * c12) / safe, (c11 * x2 - c12 * x1) / safe
    wild = (determinant <= 1e-9) | (np.minimum(one, two) < 1e-3 * length) | (np.maximum(one, two) > length)
    third = np.hypot(*(p3 - p0).T) / 3
    one, two = np.where(wild, third, one), np.where(wild, third, two)
    return np.stack([p0, p0 + one[:, None] * head, p3 + two[:, None] * tail, p3], axis=1)


def _evaluate(curves, u):
    """Place, velocity and acceleration (M, 2) of one curve each, (M, 4, 2), at u (M,)."""
    p0, p1, p2, p3 = curves.transpose(1, 0, 2)
    u = u[:, None]
    v = 1 - u
    at = v**3 * p0 + 3 * u * v * v * p1 + 3 * u * u * v * p2 + u**3 * p3
    velocity = 3 * (v * v * (p1 - p0) + 2 * u * v * (p2 - p1) + u * u * (p3 - p2))
    return at, velocity, 6 * (v * (p2 - 2 * p1 + p0) + u * (p3 - 2 * p2 + p1))


def _unit(vectors):
    return vectors / np.maximum(np.hypot(vectors[..., 0], vectors[..., 1]), 1e-12)[..., None]
