"""From a glyph in grey levels to its outline. Without PyTorch: other processes begin sooner."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from util.fonts.bezier import Strand, fit_curves
from util.fonts.contours import Contour, contour_of, crossings
from util.fonts.edges import area, edges, evenly
from util.fonts.strands import LINE, STEP, strands_of

# Lengths are in pixels of the image.
SPECK = 1.0  # square pixels: islands and holes below are noise
TOLERANCE = 0.23  # between a fitted curve and the edge, where nothing else is asked for
FLAT = 0.4  # tolerances between a line and the curve that it takes the place of
SLACK = 1.4  # tolerances by which a curve's end may move along it for a point to be implied
LONG = 4  # from where on a line is laid on an axis that it misses by less than LINE: below two degrees
ATTEMPTS = 6  # at contours that do not cross: each keeps nearer to the edge, which does not cross itself


@dataclass(frozen=True)
class Place:
    """Where an image lies in a font: units of a pixel, and the pixel (x, y) at the origin.

    Attributes:
        tolerance: how far the outline may lie from the image's edge, in pixels.
    """

    scale: float
    left: float
    base: float
    tolerance: float = TOLERANCE


def trace_contours(image: np.ndarray, place: Place) -> list[Contour]:
    """The outline of a glyph: outer contours clockwise and holes counter-clockwise, none where there is no ink.

    Grey is the part of a pixel that ink covers: the edge is where a surface with these means crosses one half, found to
    a part of a pixel. A network's output is best passed as it is: made black and white, glyphs of 128 pixels come out
    with an IoU of .87 to .92 instead of .97 to .99 with what they show (measured with cwTeX Kai and HeiBold, at 512).

    Extrema of curves are points on them, and no contour crosses or touches itself or another one.

    Args:
        image: (H, H) bytes, white 255 and ink 0, as :meth:`.fonts.Face.draw` and :func:`.images.to_uint8` make them.
    """
    return _trace([image], [place])[0]


def _trace(images: Sequence[np.ndarray], places: Sequence[Place]) -> list[list[Contour]]:
    """The outlines of glyphs, whose curves are fitted together: that takes two thirds of the time of one by one."""
    loops = [[evenly(loop, STEP) for loop in edges(image) if abs(area(loop)) >= SPECK] for image in images]
    whose = [place for of_image, place in zip(loops, places, strict=True) for _ in of_image]
    fitted = iter(_fitted(list(itertools.chain(*loops)), 0, whose))
    return [
        _parted(of_image, [next(fitted) for _ in of_image], place)
        for of_image, place in zip(loops, places, strict=True)
    ]


def _parted(loops: list[np.ndarray], contours: list[Contour | None], place: Place) -> list[Contour]:
    """Contours of one glyph, of which those that cross are fitted again."""
    for attempt in range(1, ATTEMPTS):
        whole = [(number, contour) for number, contour in enumerate(contours) if contour is not None]
        hit = crossings([contour for _, contour in whole]) if whole else set()
        again = [number for i, (number, _) in enumerate(whole) if i in hit]
        nearer = _fitted([loops[i] for i in again], attempt, [place] * len(again)) if again else []
        for number, contour in zip(again, nearer, strict=True):
            contours[number] = contour
        if not again:
            break
    return [contour for contour in contours if contour is not None]


def _fitted(loops: list[np.ndarray], attempt: int, places: Sequence[Place]) -> list[Contour | None]:
    """Contours of the closed lines, nearer to them at each attempt."""
    near = 0.5**attempt
    strands = [strands_of(loop, as_it_is=attempt > 0) for loop in loops]
    tolerances = np.array([place.tolerance * near for place in places])
    fitted = iter(
        fit_curves(list(itertools.chain(*strands)), np.repeat(tolerances, np.array([len(s) for s in strands], int)))
    )
    contours = []
    for of_loop, place, tolerance in zip(strands, places, tolerances, strict=True):
        curves, straight, corner = _joined(of_loop, [next(fitted) for _ in of_loop], FLAT * tolerance)
        _align(curves, straight, LINE * near)
        in_units = (curves - (place.left, place.base)) * (place.scale, -place.scale)
        contours.append(contour_of(in_units, straight, corner, SLACK * tolerance * place.scale))
    return contours


def _joined(strands: list[Strand], fitted: list[np.ndarray], flat: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves (K, 3, 2) around a closed line, which are straight, and which begin at a corner; flat ones are joined."""
    curves, straight, corner = [], [], []
    for strand, of_strand in zip(strands, fitted, strict=True):
        lines = np.full(1, True) if len(strand.points) == 2 else np.zeros(len(of_strand), bool)
        if len(strand.points) > 2:
            of_strand, lines = _lines(of_strand, flat)
        curves.append(of_strand)
        straight.append(lines)
        corner.append(np.arange(len(of_strand)) == (-1 if strand.closed else 0))
    return np.concatenate(curves), np.concatenate(straight), np.concatenate(corner)


def _lines(curves: np.ndarray, flat: float) -> tuple[np.ndarray, np.ndarray]:
    """The same, runs of curves that are flat together, long ones and whole strands as lines; and which are lines."""
    begin, chord = curves[:, 0], curves[:, 2] - curves[:, 0]
    length = np.maximum(np.hypot(*chord.T), 1e-9)
    bend = np.abs(_cross(curves[:, 1] - begin, chord)) / length / 2
    level = (bend <= flat).tolist()
    if not any(level):
        return curves, np.zeros(len(curves), bool)
    kept, lines, here = [], [], 0
    while here < len(curves):
        end = here
        while level[here] and end + 1 < len(curves) and level[end + 1] and _is_flat(curves[here : end + 2], flat):
            end += 1
        first, last = curves[here, 0], curves[end, 2]
        line = level[here] and (end > here or length[here] > LONG or len(curves) == 1)
        kept.append(np.stack([first, (first + last) / 2, last]) if line else curves[here])
        lines.append(line)
        here = end + 1
    return np.array(kept), np.array(lines)


def _is_flat(curves: np.ndarray, flat: float) -> bool:
    chord = curves[-1, 2] - curves[0, 0]
    away = np.abs(_cross(curves[:, :2].reshape(-1, 2) - curves[0, 0], chord)) / max(float(np.hypot(*chord)), 1e-9)
    return bool(away.max() <= flat)


def _align(curves: np.ndarray, straight: np.ndarray, most: float) -> None:
    """Lay long lines that are level or upright but for noise on the axis, in place; their neighbours follow."""
    for here in np.flatnonzero(straight) if len(curves) > 2 else ():
        before, after = here - 1, (here + 1) % len(curves)
        off = np.abs(curves[here, 2] - curves[here, 0])
        axis = int(np.argmin(off))
        if off[axis] > most or off[1 - axis] < LONG:
            continue
        to = curves[here, [0, 2], axis].mean()
        curves[before, 1:, axis] += to - curves[here, 0, axis]
        curves[after, :2, axis] += to - curves[here, 2, axis]
        curves[here, :, axis] = to


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


# -- in another process ------------------------------------------------------------------------------------------------


def trace_batch(
    _: Path, images: np.ndarray, places: list[list[float]]
) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
    """The sizes of each glyph's contours, and the points of all, and which are on the curve."""
    with threadpool_limits(1):  # so everywhere: sums of several threads may differ in their last bits
        traced = _trace(list(images), [Place(*place) for place in places])
    contours = [contour for of_glyph in traced for contour in of_glyph]
    points = np.concatenate([np.zeros((0, 2), int), *(contour.points for contour in contours)])
    on = np.concatenate([np.zeros(0, bool), *(contour.on for contour in contours)])
    return [[len(contour.points) for contour in of_glyph] for of_glyph in traced], points, on
