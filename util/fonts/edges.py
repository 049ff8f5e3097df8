"""Where the edge of a glyph in grey levels is, to a part of a pixel."""

from functools import lru_cache

import numpy as np
from scipy.interpolate import make_interp_spline
from skimage.measure import find_contours

FINE = 4  # samples per pixel that the edge is looked for in
SHARPENINGS = 8  # of the surface: a disc of 40 pixels comes out round to 0.06 px; to 0.10 without
PAD = 3  # white around the image: ink at the border closes, and the spline is at rest


def edges(image: np.ndarray) -> list[np.ndarray]:
    """Closed polylines (N, 2) of x and y in pixels, where a pixel (0, 0) spans 0 to 1; ink lies to one side of all."""
    ink = np.pad(1 - image.astype(np.float32) / 255, PAD)
    finer = _finer(len(ink))
    surface, covered = finer @ ink @ finer.T, np.empty((len(ink) * FINE,) * 2, np.float32)
    for _ in range(SHARPENINGS):  # what lies above one half shall cover as much of each pixel as its grey says
        np.multiply(surface, 4, out=covered)
        covered -= 1.5
        np.clip(covered, 0, 1, out=covered)
        rows = np.add.reduce([covered[:, i::FINE] for i in range(FINE)])
        mean = np.add.reduce([rows[i::FINE] for i in range(FINE)]) / FINE**2
        surface += finer @ ((ink - mean) / 2) @ finer.T  # whole, narrow gaps swing and close
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
    x, y = loop.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def evenly(loop: np.ndarray, step: float) -> np.ndarray:
    """The same closed line with a point every ``step``."""
    closed = np.concatenate([loop, loop[:1]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    count = max(8, round(arc[-1] / step))
    at = np.arange(count) * arc[-1] / count
    return np.stack([np.interp(at, arc, values) for values in closed.T], axis=1)
