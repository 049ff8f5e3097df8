"""Smooth curves through dense polylines: quadratic splines by least squares, for all pieces of many glyphs at once."""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

HELD = 1e4  # weight of what a curve is held to: 1 is a sample
STILL = 1e-3  # weight of even spacing, for an interval without samples
SHORTEST = 1.5  # samples: an interval is halved while its halves are longer
SETTLE = 5  # fits after the last knot has been left out
RELAX = 2.5  # times what a point is off along a curve, by which it moves then: fits settle in fewer rounds
STRAYS = 1.3  # tolerances that a curve may be away then: nearer on the whole
HARMFUL = 2  # tolerances that a curve moves by without a knot, roughly: from there on it is not tried


@dataclass(frozen=True)
class Strand:
    """A polyline (N, 2) to be fitted, N >= 2, in roughly even steps; a ``closed`` one ends smoothly where it begins.

    Attributes:
        turns: (index of a point, axis) where the curve shall run along the other axis: extrema. A closed strand begins
            and ends at one.
    """

    points: np.ndarray
    closed: bool = False
    turns: tuple[tuple[int, int], ...] = ()


def fit_curves(strands: list[Strand], tolerances: np.ndarray) -> list[np.ndarray]:
    """Quadratic Béziers (K, 3, 2) along each strand, at most about its tolerance away from its points.

    Two points become a line. Within a strand neighbours share a tangent. They are a quadratic spline whose ends are the
    strand's, by least squares for all strands together: an interval whose points are too far away is halved, and all is
    fitted again. Then knots that are not needed are left out, those first at which the curve bends on nearly as before.
    At last the curves settle: each point is measured where they come nearest to it.
    """
    curves: list[np.ndarray] = [_straight(strand) for strand in strands]
    bent = [(number, strand) for number, strand in enumerate(strands) if len(strand.points) > 2]
    open_ = [_Piece(number, strand, float(tolerances[number])) for number, strand in bent]
    while open_:
        pieces, open_ = open_, []
        for piece, fitted in zip(pieces, _fit(pieces), strict=True):
            if piece.goes_on(fitted):
                open_.append(piece)
            else:
                curves[piece.number] = piece.curves
    return curves


def _straight(strand: Strand) -> np.ndarray:
    first, end = strand.points[[0, -1]]
    return np.array([[first, (first + end) / 2, end]])


@dataclass(frozen=True)
class _Fitted:
    """The curves of a piece between its knots, how far each is from its points, and where each point is nearest."""

    quads: np.ndarray
    far: np.ndarray
    at: np.ndarray


class _Piece:
    """A strand that is being fitted: where its samples lie along it, and the knots between its curves.

    Attributes:
        curves: the best so far, none until there are knots enough.
        there: of the knots that were enough those that ``curves`` have, or the next ones try to do with.
        left_out: those that the next curves try to do without.
        needed: those that stay: ends, extrema, and those that could not be left out.
        settling: how often the curves have been fitted since no knot could be left out.
    """

    def __init__(self, number: int, strand: Strand, tolerance: float):
        self.number, self.strand, self.tolerance = number, strand, tolerance
        steps = np.hypot(*np.diff(strand.points, axis=0).T)
        self.at = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-9))])
        self.at *= (len(steps)) / self.at[-1]  # in samples
        self.turns = {float(self.at[index]): axis for index, axis in strand.turns}
        self.knots = self.ends = np.unique([0.0, self.at[-1], *self.turns])
        self.curves, self.settling = np.zeros((0, 3, 2)), 0
        self.left_out = np.zeros(0, bool)

    def goes_on(self, fitted: _Fitted) -> bool:
        """Whether there is more to be fitted, after these knots gave these curves."""
        over = fitted.far > self.tolerance
        if self.settling:
            return self._settles(fitted)
        if len(self.curves):
            return self._leave_out(fitted.quads) if not over.any() else self._takes_back(over) or self._leave_out()
        halve = over & (np.diff(self.knots) > 2 * SHORTEST)
        if halve.any():
            middle = (self.knots[:-1] + self.knots[1:]) / 2
            self.knots = np.insert(self.knots, np.flatnonzero(halve) + 1, middle[halve])
            return True
        self.enough, self.there = self.knots, np.ones(len(self.knots), bool)
        self.needed = over.any() | np.isin(self.knots, self.ends)
        return self._leave_out(fitted.quads)

    def _takes_back(self, over: np.ndarray) -> bool:
        """Knots left out in or beside an interval that is too far away, all where that is none; if others stay out."""
        beside = over | np.append(over[1:], False) | np.insert(over[:-1], 0, False)
        missed = self.left_out & beside[np.minimum(np.cumsum(self.there), len(over)) - 1]
        missed = missed if missed.any() else self.left_out
        self.needed, self.there, self.left_out = self.needed | missed, self.there | missed, self.left_out & ~missed
        self.knots = self.enough[self.there]
        return bool(self.left_out.any())

    def _leave_out(self, quads: np.ndarray | None = None) -> bool:
        """Try to do without knots that may be, no two of which are neighbours; where there are none, settle.

        Args:
            quads: the curves, if there are better ones.
        """
        self.curves = self.curves if quads is None else quads
        length = np.diff(self.knots)
        bend = 2 * (self.curves[:, 0] - 2 * self.curves[:, 1] + self.curves[:, 2]) / length[:, None] ** 2
        harm = np.hypot(*np.diff(bend, axis=0).T) * (length[:-1] * length[1:] / (length[:-1] + length[1:])) ** 2
        free = ~self.needed[self.there][1:-1] & (harm < HARMFUL * self.tolerance)
        for here in np.argsort(harm) if free.any() else ():
            if free[here]:
                free[max(here - 1, 0) : here + 2] = False
                free[here] = True
        self.left_out = np.zeros(len(self.enough), bool)
        self.left_out[np.flatnonzero(self.there)[1:-1][free]] = True
        self.there = self.there & ~self.left_out
        self.knots, self.settling = self.enough[self.there], not free.any()
        return True

    def _settles(self, fitted: _Fitted) -> bool:
        self.at, self.settling = fitted.at, self.settling + 1
        if fitted.far.max() <= STRAYS * self.tolerance:
            self.curves = fitted.quads
        return self.settling <= SETTLE


def _fit(pieces: list[_Piece]) -> list[_Fitted]:
    starts = np.cumsum([0] + [len(piece.knots) + 1 for piece in pieces])  # of each piece's control points
    at = np.concatenate([piece.at for piece in pieces])
    target = np.concatenate([piece.strand.points for piece in pieces])
    size = np.array([len(piece.at) for piece in pieces])
    owner = np.repeat(np.arange(len(pieces)), size)
    where = np.concatenate([np.clip(np.searchsorted(p.knots, p.at, "right") - 1, 0, len(p.knots) - 2) for p in pieces])
    before, low, high, after = (
        np.concatenate([_neighbour(piece.knots, step) for piece in pieces]) for step in (-1, 0, 1, 2)
    )  # knots around each interval; at an end twice the same
    first = np.cumsum([0] + [len(piece.knots) - 1 for piece in pieces])
    interval = where + first[owner]
    control = where + starts[owner]
    left = (high - low) / (high - before)  # how much of its first joint is the control point before
    right = (high - low) / (after - low)
    u = (at - low[interval]) / (high - low)[interval]
    begin, finish = (1 - u) ** 2 * left[interval], u * u * right[interval]
    weights = np.stack([begin, 1 - begin - finish, finish], axis=1)
    points = _solve(pieces, starts, control, weights, target)

    number = np.arange(first[-1]) + 2 * np.arange(len(pieces)).repeat(
        np.diff(first)
    )  # a piece has two more than curves
    joint, middle, next_ = points[number], points[number + 1], points[number + 2]
    beginning = left[:, None] * joint + (1 - left)[:, None] * middle
    ending = right[:, None] * next_ + (1 - right)[:, None] * middle
    quads = np.stack([beginning, middle, ending], axis=1)

    mine, v = quads[interval], u[:, None]
    place = (1 - v) ** 2 * mine[:, 0] + 2 * v * (1 - v) * mine[:, 1] + v * v * mine[:, 2]
    along = 2 * ((1 - v) * (mine[:, 1] - mine[:, 0]) + v * (mine[:, 2] - mine[:, 1]))
    away = target - place
    error = np.abs(away[:, 0] * along[:, 1] - away[:, 1] * along[:, 0]) / np.maximum(np.hypot(*along.T), 1e-9)
    worst = np.zeros(len(low))
    np.maximum.at(worst, interval, error)

    onwards = (away * along).sum(1) / np.maximum((along**2).sum(1), 1e-9) * (high - low)[interval]
    ends = np.cumsum([0, *size])
    onwards[ends[:-1]] = onwards[ends[1:] - 1] = 0
    nearest = np.clip(at + np.clip(RELAX * onwards, -1, 1), 0, at[ends[1:] - 1][owner])
    return [
        _Fitted(quads[a:b], worst[a:b], nearest[c:d])
        for (a, b), (c, d) in zip(itertools.pairwise(first), itertools.pairwise(ends), strict=True)
    ]


def _neighbour(knots: np.ndarray, step: int) -> np.ndarray:
    """For each interval the knot ``step`` after its first."""
    if step < 0:
        return np.concatenate([knots[:1], knots[:-2]])
    return knots[:-1] if step == 0 else knots[1:] if step == 1 else np.concatenate([knots[2:], knots[-1:]])


def _solve(
    pieces: list[_Piece], starts: np.ndarray, control: np.ndarray, weights: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Control points (C, 2) of all pieces: the two ends of each are held, the others fit the samples best."""
    count, ends = starts[-1], np.concatenate([starts[:-1], starts[1:] - 1])
    matrix = np.zeros((3, count))  # the diagonal and the two above it, as they lie in the last rows of a banded matrix
    for i in range(3):
        for j in range(i, 3):
            matrix[j - i] += np.bincount(control + i, weights[:, i] * weights[:, j], count)
    right = np.stack(
        [sum(np.bincount(control + i, weights[:, i] * target[:, axis], count) for i in range(3)) for axis in (0, 1)]
    )
    inner = np.setdiff1d(np.arange(count), starts[1:] - 1)  # each with the one after it
    matrix[0, inner] += STILL
    matrix[0, inner + 1] += STILL
    matrix[1, inner] -= STILL
    matrix[0, ends] += HELD * 100
    first = np.array([piece.strand.points[0] for piece in pieces] + [piece.strand.points[-1] for piece in pieces])
    right[:, ends] += HELD * 100 * first.T
    solved = np.empty((count, 2))
    for axis in (0, 1):
        held = [
            starts[i] + np.searchsorted(piece.knots, place)
            for i, piece in enumerate(pieces)
            for place, of in piece.turns.items()
            if of == axis
        ]
        mine, along = matrix.copy(), np.array(held, int)
        np.add.at(mine[0], along, HELD)
        np.add.at(mine[0], along + 1, HELD)
        np.add.at(mine[1], along, -HELD)
        banded = np.zeros((3, count))
        banded[2], banded[1, 1:], banded[0, 2:] = mine[0], mine[1, :-1], mine[2, :-2]
        solved[:, axis] = solveh_banded(banded, right[axis], check_finite=False)
    return solved
