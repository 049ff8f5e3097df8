"""The width of a glyph's box and where its ink stands in it, learnt from characters that show both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from util.fonts.faces import Geometry

FEWEST = 8  # characters that a regression is fitted to; of fewer, the median of their side bearings is taken
RIDGES = np.logspace(-4, 2, 13)  # penalties that are tried, times the number of characters
BEYOND = 0.1  # ems that a width may lie outside those it was learnt from


def ink_sides(image: np.ndarray, geometry: Geometry) -> tuple[float, float] | None:
    """Left and right end of the ink (H, H), from the middle of the canvas in ems; None where it is white.

    To a part of a pixel: an upright edge that covers a part of a column makes it as dark as that.
    """
    darkest = 1 - image.min(axis=0) / 255
    inside = np.flatnonzero(darkest >= 0.5)
    if not len(inside):
        return None
    first, last = int(inside[0]), int(inside[-1])
    before = darkest[first - 1] if first else 0.0
    behind = darkest[last + 1] if last + 1 < len(darkest) else 0.0
    left = first - (before if darkest[first] > 0.95 else darkest[first] - 1)
    right = last + 1 + (behind if darkest[last] > 0.95 else darkest[last] - 1)
    middle = geometry.canvas / 2
    return (left - middle) / geometry.em, (right - middle) / geometry.em


@dataclass(frozen=True)
class Spacing:
    """Left side bearing and advance of a glyph, in ems, from how it is drawn and how its source stands in its box.

    Fitted to a style's own characters: ridge regression of what is left when the style's median side bearings are
    added to the ink, or these medians alone where they do as well.

    Attributes:
        bearings: the median left and right side bearing.
        middle, spread: mean and standard deviation of the features (5,).
        weights, shift: (5, 2) and (2,), to the left side bearing and the advance; zero of the medians alone.
        reach: the narrowest and the widest box.
        missed: how far (N,) the advance of each character is off that the fit was made without.
    """

    bearings: tuple[float, float]
    middle: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    shift: np.ndarray
    reach: tuple[float, float]
    missed: np.ndarray

    def __call__(self, features: np.ndarray) -> tuple[float, float]:
        """(left side bearing, advance) of a character, from its row of :func:`features`."""
        more = (features - self.middle) / self.spread @ self.weights + self.shift
        left, advance = _by_medians(features[None], self.bearings)[0] + more
        return float(left), float(np.clip(advance, *self.reach))


def features(drawn: tuple[float, float], source: tuple[float, float] | None, advance: float) -> np.ndarray:
    """What is known of a character (5,): its drawn ink, then advance and side bearings in the source font."""
    left, right = source or (-advance / 2, advance / 2)
    return np.array([*drawn, advance, left + advance / 2, advance / 2 - right])


def fit_spacing(rows: Sequence[np.ndarray], boxes: Sequence[tuple[float, float]]) -> Spacing:
    """Learn from characters whose (left side bearing, advance) is known; at least one of them."""
    X, Y = np.stack(rows), np.array(boxes)
    bearings = _medians(X, Y)
    alone = np.array([_by_medians(X[[i]], _medians(*_without(i, X, Y)))[0] - Y[i] for i in range(len(X))])
    middle, spread = X.mean(axis=0), np.maximum(X.std(axis=0), 1e-6)
    best = np.zeros((X.shape[1], 2)), np.zeros(2), alone
    if len(X) >= FEWEST:
        Z, rest = (X - middle) / spread, Y - _by_medians(X, bearings)
        for ridge in RIDGES * len(X):
            weights, off = _ridge(Z, rest, ridge)
            if (off**2).mean() < (best[2] ** 2).mean():
                best = weights, rest.mean(axis=0), off
    weights, shift, off = best
    reach = max(0.0, Y[:, 1].min() - BEYOND), Y[:, 1].max() + BEYOND
    return Spacing(bearings, middle, spread, weights, shift, reach, np.abs(off[:, 1]))


def by_bearings(bearings: tuple[float, float]) -> Spacing:
    """Ink and the same side bearings for every character."""
    none: Any = np.zeros(5)
    return Spacing(bearings, none, none + 1, np.zeros((5, 2)), np.zeros(2), (0.0, np.inf), np.zeros(0))


def _ridge(Z: np.ndarray, Y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights, and what each row (N, 2) is off when the fit leaves it out (the closed form)."""
    solved = np.linalg.solve(Z.T @ Z + ridge * np.eye(Z.shape[1]), Z.T)
    weights, mean = solved @ (Y - Y.mean(axis=0)), Y.mean(axis=0)
    own = (Z * solved.T).sum(axis=1) + 1 / len(Z)
    return weights, (Z @ weights + mean - Y) / np.maximum(1 - own, 1e-3)[:, None]


def _medians(X: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    left, advance = Y.T
    return float(np.median(left)), float(np.median(advance - left - (X[:, 1] - X[:, 0])))


def _by_medians(X: np.ndarray, bearings: tuple[float, float]) -> np.ndarray:
    """(N, 2): left side bearing and advance."""
    advance = X[:, 1] - X[:, 0] + sum(bearings)
    return np.stack([np.full(len(X), bearings[0]), advance], axis=1)


def _without(row: int, *arrays: np.ndarray) -> list[np.ndarray]:
    return [np.delete(array, row, axis=0) if len(array) > 1 else array for array in arrays]
