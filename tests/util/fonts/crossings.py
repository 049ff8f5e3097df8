"""Where the outline of a glyph crosses, touches or folds: each piece against each, slowly and plainly."""

import itertools
from fractions import Fraction

CUTS = 16


def flat(glyph):
    """Straight pieces ((x, y), (x, y)) of each contour, in exact fractions."""
    start, points, flags = 0, [*glyph.coordinates], [flag & 1 for flag in glyph.flags]
    for end in glyph.endPtsOfContours:
        ring, on = points[start : end + 1], flags[start : end + 1]
        start, whole = end + 1, []
        for i, here in enumerate(ring):
            whole.append((tuple(map(Fraction, here)), on[i]))
            after = (i + 1) % len(ring)
            if not on[i] and not on[after]:
                whole.append((tuple(Fraction(a + b, 2) for a, b in zip(here, ring[after], strict=True)), 1))
        first = next(i for i, (_, is_on) in enumerate(whole) if is_on)
        whole = [*whole[first:], *whole[:first], whole[first]]
        line, i = [whole[0][0]], 0
        while i + 1 < len(whole):
            if whole[i + 1][1]:
                line.append(whole[i + 1][0])
                i += 1
            else:
                a, b, c = (whole[i + k][0] for k in range(3))
                for k in range(1, CUTS + 1):
                    t = Fraction(k, CUTS)
                    axes = zip(a, b, c, strict=True)
                    line.append(tuple((1 - t) ** 2 * p + 2 * t * (1 - t) * q + t * t * r for p, q, r in axes))
                i += 2
        yield [(a, b) for a, b in itertools.pairwise(line) if a != b]


def side(a, b, c):
    value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (value > 0) - (value < 0)


def count(glyph):
    """Pairs of pieces that meet where they should not."""
    pieces = sorted(piece for contour in flat(glyph) for piece in contour)
    pieces.sort(key=lambda piece: min(piece[0][0], piece[1][0]))
    found, open_ = 0, []
    for a, b in pieces:
        left = min(a[0], b[0])
        open_ = [(c, d) for c, d in open_ if max(c[0], d[0]) >= left]
        for c, d in open_:
            if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
                continue
            if b == c or a == d:
                ahead = (b[0] - a[0]) * (d[0] - c[0]) + (b[1] - a[1]) * (d[1] - c[1])
                found += side(a, b, d if b == c else c) == 0 and ahead < 0
            else:
                found += side(a, b, c) * side(a, b, d) <= 0 and side(c, d, a) * side(c, d, b) <= 0
        open_.append((a, b))
    return found
