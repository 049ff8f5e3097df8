"""A scan or photograph of a page, found and laid flat."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.transform import ProjectiveTransform, warp

from options import UserError

from .layout import HEADER_MODULE, HEIGHT, LABEL_MODULE, MARK, MARKS, WIDTH, Header, header_modules, read_label

SEARCHED = 2000  # pixels of the longer side, at most, in which marks are looked for: a module of a mark has 5 to 9
FINEST = 16.0  # pixels in a millimetre of a page laid flat, about 400 dpi
COARSEST = 4.0  # below this a square of a label has less than three pixels


@dataclass(frozen=True)
class Page:
    """A page as it was printed.

    Attributes:
        header: what its code says.
        light: float32, the page without perspective and shading: paper 1, perfect black 0.
        scale: pixels in a millimetre.
        codes: the character of each cell; 0 for a cell that was not printed, None for a label that cannot be read.
    """

    header: Header
    light: np.ndarray
    scale: float
    codes: list[int | None]


def register(levels: np.ndarray, name: str) -> Page:
    """Find a page by its four marks, and undo rotation, perspective and shading.

    Args:
        levels: float32 (H, W), 0 to 255: the red channel, in which the guides are nearly as light as paper.
        name: what messages call it.

    Raises:
        UserError: the page cannot be found or is too coarse.
    """
    factor = math.ceil(max(levels.shape) / SEARCHED)
    small = _reduced(levels, factor)
    light = _flat(small, max(small.shape) / HEIGHT)
    marks = _find_marks(light)
    found = next(_readings(light, marks), None)
    if found is None:
        what = (
            f"found {len(marks)} of the 4 marks in its corners" if len(marks) < 4 else "cannot read the code at its top"
        )
        raise UserError(
            f"{name}: is no page of a template that can be read: {what}; show the whole page, flat, sharp and in even "
            "light, not mirrored"
        )
    header, corners = found
    corners = (corners + 0.5) * factor - 0.5
    sides = np.linalg.norm(corners - np.roll(corners, -1, 0), axis=1) / np.linalg.norm(
        MARKS - np.roll(MARKS, -1, 0), axis=1
    )
    if sides.min() < COARSEST:
        raise UserError(
            f"{name}: the page has {sides.min() * 25.4:.0f} dpi; at least {COARSEST * 25.4:.0f} are needed, "
            "and 300 advised"
        )
    scale = min(FINEST, float(sides.mean()))
    flat = _flat(_laid_flat(levels, corners, scale), scale)
    layout = header.layout
    codes = [
        read_label(_bits(flat, layout.label_modules(i) * scale - 0.5, LABEL_MODULE * scale))
        for i in range(layout.columns * layout.rows)
    ]
    return Page(header, flat, scale, codes)


def _reduced(levels: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of so many pixels; what is left over at the right and below is cut."""
    height, width = (side // factor * factor for side in levels.shape)
    return np.asarray(Image.fromarray(levels[:height, :width]).reduce(factor))


def _flat(levels: np.ndarray, scale: float) -> np.ndarray:
    """Levels relative to the paper around them, at most 1.

    Paper is the light part of each 2 mm; where ink takes all of that, of what lies within 13 mm.
    """
    block = max(2, round(2 * scale))
    height, width = levels.shape
    padded = np.pad(levels, ((0, -height % block), (0, -width % block)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // block, block, -1, block).swapaxes(1, 2)
    paper = np.percentile(blocks.reshape(*blocks.shape[:2], -1), 80, axis=2).astype(np.float32)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(paper, size=13, mode="nearest"), 1.5, mode="nearest")
    smooth = Image.fromarray(paper).resize(padded.shape[::-1], Image.Resampling.BILINEAR)
    return np.minimum(levels / np.maximum(np.asarray(smooth)[:height, :width], 1), 1)


def _find_marks(light: np.ndarray) -> np.ndarray:
    """(N, 3): x, y and size of what looks like a mark, a black square within a black ring; the largest first."""
    labels, count = ndimage.label(light < 0.6, np.ones((3, 3)))
    if not count:
        return np.zeros((0, 3))
    rows, columns = np.nonzero(labels)
    number = labels[rows, columns] - 1
    area = np.bincount(number)
    centre = np.stack([np.bincount(number, axis) / area for axis in (rows, columns)], -1)
    boxes = ndimage.find_objects(labels)
    size = np.array([(box[0].stop - box[0].start, box[1].stop - box[1].start) for box in boxes])
    upright = (size.max(1) < 1.8 * size.min(1)) & (area > 8)
    extent = size.mean(1)
    rings = np.flatnonzero(upright & (area < 0.75 * size.prod(1)) & (extent > 8))
    inner = np.flatnonzero(upright & (area > 0.4 * size.prod(1)))
    marks = []
    for ring in rings:
        near = inner[np.abs(centre[inner] - centre[ring]).max(1) < 0.1 * extent[ring]]
        near = near[(near != ring) & (np.abs(extent[ring] / extent[near] - 7 / 3) < 0.7)]
        near = near[np.abs(area[ring] / area[near] - 24 / 9) < 1.2]
        if len(near):
            middle = _darkest_point(light, np.isin(labels, (ring + 1, near[0] + 1)), boxes[ring])
            marks.append((*middle, extent[ring]))
    return np.array(sorted(marks, key=lambda mark: -mark[2])).reshape(-1, 3)


def _darkest_point(light: np.ndarray, mask: np.ndarray, box: tuple[slice, slice]) -> tuple[float, float]:
    """x and y of the centre of mass of a mark's ink, by grey levels: whole pixels would be wrong by 0.1 mm."""
    rows, columns = (slice(max(0, side.start - 2), side.stop + 2) for side in box)
    weight = (1 - light[rows, columns]) * ndimage.binary_dilation(mask[rows, columns], np.ones((3, 3)), 2)
    y, x = ndimage.center_of_mass(weight.astype(np.float64))
    return x + columns.start, y + rows.start


def _readings(light: np.ndarray, marks: np.ndarray) -> Iterator[tuple[Header, np.ndarray]]:
    """(header, corners (4, 2) from the page's upper left one clockwise) of marks between which a header can be read.

    A page may lie in any of four ways; only one has the code at the top.
    """
    quads = [marks[list(four)] for four in itertools.combinations(range(min(len(marks), 12)), 4)]
    quads = [quad for quad in quads if quad[:, 2].max() < 2 * quad[:, 2].min()]
    for quad in sorted(quads, key=lambda quad: -np.prod(np.ptp(quad[:, :2], axis=0))):
        points = quad[:, :2]
        away = points - points.mean(0)
        clockwise = points[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]
        for turn in range(4):
            corners = np.roll(clockwise, turn, axis=0)
            matrix = _homography(MARKS, corners)
            module = HEADER_MODULE / MARK / 7 * quad[:, 2].min()
            header = Header.read(_bits(light, _apply(matrix, header_modules()), module))
            if header is not None:
                yield header, corners


def _bits(light: np.ndarray, centres: np.ndarray, module: float) -> list[bool]:
    """Whether the squares around these points (N, 2) are dark, by the mean of their middle parts."""
    offsets = np.linspace(-0.25, 0.25, 5) * module
    y, x = (axis.ravel() for axis in np.meshgrid(offsets, offsets))
    points = centres[:, None] + np.stack([x, y], -1)  # (N, 25, 2)
    values = ndimage.map_coordinates(light, points.reshape(-1, 2).T[::-1], order=1, cval=1.0)
    return (values.reshape(len(centres), -1).mean(1) < 0.5).tolist()


def _homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3): the projective map that takes four points to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    try:
        return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1).reshape(3, 3)
    except np.linalg.LinAlgError:  # three of the points on a line
        return np.eye(3)


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]


def _laid_flat(levels: np.ndarray, corners: np.ndarray, scale: float) -> np.ndarray:
    """The page seen from above at this many pixels in a millimetre; white where the scan does not reach."""
    finer = int(np.linalg.norm(corners[1] - corners[0]) / np.linalg.norm(MARKS[1] - MARKS[0]) / scale)
    if finer > 1:  # average first: what is drawn to a coarser grid by interpolation alone would flicker
        levels = _reduced(levels, finer)
        corners = (corners + 0.5) / finer - 0.5
    matrix = _homography(MARKS * scale - 0.5, corners)
    shape = round(HEIGHT * scale), round(WIDTH * scale)
    return warp(levels, ProjectiveTransform(matrix), output_shape=shape, order=1, cval=255, preserve_range=True).astype(
        np.float32
    )
