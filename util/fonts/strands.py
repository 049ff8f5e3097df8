"""The edge of a glyph cut at its corners, with the extrema of what lies between them."""

import numpy as np
from scipy.ndimage import maximum_filter1d

from util.fonts.bezier import Strand

# Lengths are in pixels of the image, or in steps between the points of an edge.
STEP = 0.25
LINE = 0.12  # between a straight line and an edge from corner to corner
NEAR, FAR = 3, 9  # steps: how far from a corner its straight sides are looked at; nearer, pixels have rounded it
STRAIGHT = 0.06  # by how much a side of a corner may bend
TURN = np.deg2rad(40)  # at a corner; below, a curve follows as well
REACH = 0.75  # from the edge to the corner that its sides meet in: half a pixel's diagonal, and noise
SWING = 0.25  # by how much an extremum stands out; below it is noise
THINNED = 2  # of so many points of an edge one is fitted: it varies over pixels


def strands_of(loop: np.ndarray, as_it_is: bool = False) -> list[Strand]:
    """A closed line (N, 2), a point every STEP, cut at its corners, which take the place of points that pixels rounded.

    What lies between two corners is a line of two points where it is straight. The surface rings near a corner, so
    corners at straight sides are where the whole sides meet. A corner that would come to lie beyond the points that
    follow it, or precede it, stays where the edge has it: the outline would fold there.

    Args:
        as_it_is: corners stay on the edge, and nothing near them is left out.
    """
    where, into, out = _corners(loop)
    if not len(where):
        return [_closed(loop)]
    count, near = len(where), 1 if as_it_is else NEAR
    corners, between = _meet(into, out), []
    straight = np.zeros(count, bool)
    for here in range(count):
        after = (here + 1) % count
        gap = (where[after] - where[here]) % len(loop) or len(loop)
        between.append(loop[(where[here] + np.arange(near, gap - near + 1)) % len(loop)])
        inner = between[here][NEAR:-NEAR]
        if len(inner) > NEAR:
            middle, along, bend = _line(inner[:, None])
            straight[here] = bend[0] <= LINE
            if straight[here]:
                if along[0] @ (inner[-1] - inner[0]) < 0:
                    along = -along
                out[0][here], out[1][here] = middle[0], along[0]
                into[0][after], into[1][after] = middle[0], -along[0]
    whole = _meet(into, out)
    close = np.hypot(*(whole - loop[where]).T) < REACH
    corners = np.where(close[:, None], whole, corners)
    if as_it_is:
        corners = loop[where]
    corners = np.where(_folds(corners, loop, where, between)[:, None], loop[where], corners)
    return [
        Strand(np.stack([corners[i], corners[(i + 1) % count]]))
        if straight[i]
        else _open(np.concatenate([corners[[i]], _thinned(between[i]), corners[[(i + 1) % count]]]))
        for i in range(count)
    ]


def _folds(corners: np.ndarray, loop: np.ndarray, where: np.ndarray, between: list[np.ndarray]) -> np.ndarray:
    """Which corners (K,) the edge would have to turn back from, or to, to go on."""
    after = np.array(
        [points[0] if len(points) else corner for points, corner in zip(between, np.roll(corners, -1, 0), strict=True)]
    )
    before = np.array(
        [
            points[-1] if len(points) else corner
            for points, corner in zip(between[-1:] + between[:-1], np.roll(corners, 1, 0), strict=True)
        ]
    )
    ahead = loop[(where + FAR) % len(loop)] - loop[where]
    behind = loop[(where - FAR) % len(loop)] - loop[where]
    return (((after - corners) * ahead).sum(1) <= 0) | (((before - corners) * behind).sum(1) <= 0)


def _thinned(points: np.ndarray) -> np.ndarray:
    return points[len(points) % THINNED // 2 :: THINNED] if len(points) > 4 * THINNED else points


def _open(points: np.ndarray) -> Strand:
    inside = [(index, axis) for index, axis in _turns(points) if 2 <= index < len(points) - 2]
    return Strand(points, turns=tuple(_apart(inside)))


def _closed(loop: np.ndarray) -> Strand:
    """It begins at its top."""
    points = _thinned(loop)
    start = _middle(points[:, 1], int(np.argmin(points[:, 1])))
    points = np.roll(points, -start, axis=0)
    points = np.concatenate([points, points[:1]])
    last = len(points) - 1
    inside = [(index, axis) for index, axis in _turns(points) if 2 <= index < last - 1]
    return Strand(points, closed=True, turns=((0, 1), *_apart(inside), (last, 1)))


def _apart(turns: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without those next to another: a corner that was none."""
    turns = sorted(turns)
    return [t for i, t in enumerate(turns) if i == 0 or t[0] - turns[i - 1][0] > 2]


def _turns(points: np.ndarray) -> list[tuple[int, int]]:
    """(index, axis) of the extrema that stand out by SWING from those before and after."""
    found = []
    for axis in (0, 1):
        values = points[:, axis]
        steps = np.sign(np.diff(values))
        moving = np.flatnonzero(steps)
        if not len(moving):
            continue
        change = moving[1:][steps[moving[1:]] != steps[moving[:-1]]]
        chain = [0, *change.tolist(), len(values) - 1]
        found += [(_middle(values, index), axis) for index in _prominent(values, chain)]
    return found


def _prominent(values: np.ndarray, chain: list[int]) -> list[int]:
    """Of indices of alternating extrema those between which the values swing by SWING or more."""
    kept = [chain[0]]
    rising: bool | None = None
    for index in chain[1:]:
        value = values[index]
        last = values[kept[-1]]
        if rising is None:
            if abs(value - values[kept[0]]) >= SWING:
                rising = bool(value > values[kept[0]])
                kept.append(index)
        elif (value > last) == rising:
            if value != last:
                kept[-1] = index
        elif abs(value - last) >= SWING:
            kept.append(index)
            rising = not rising
    return kept[1:-1]


def _middle(values: np.ndarray, index: int) -> int:
    """The middle of the plateau that an extremum lies on."""
    level = np.abs(values - values[index]) <= 0.02
    low = high = index
    while low > 0 and level[low - 1]:
        low -= 1
    while high < len(values) - 1 and level[high + 1]:
        high += 1
    return (low + high) // 2


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
    best = maximum_filter1d(score, 2 * NEAR + 1, mode="wrap")
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
    index = np.arange(len(loop)) + sign * np.arange(NEAR, FAR + 1)[:, None]
    points = loop[index % len(loop)]
    middle, along, bend = _line(points)
    along *= np.where((along * (points[-1] - points[0])).sum(1) < 0, -1, 1)[:, None]
    return middle, along, bend


def _line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines through N sets of points (D, N, 2): middles (N, 2), directions (N, 2), and how far (N,) points stray."""
    middle = points.mean(axis=0)
    away = points - middle
    x, y = away[..., 0], away[..., 1]
    angle = np.arctan2(2 * (x * y).mean(0), (x**2 - y**2).mean(0)) / 2  # of the longer principal axis
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return middle, along, np.abs(_cross(away, along)).max(axis=0)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
