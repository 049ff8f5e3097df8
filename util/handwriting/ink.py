"""What was written in the cells of a page, as canvases."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from util.fonts.faces import Geometry
from util.fonts.pictures import place

from .layout import Layout
from .scan import Page

SPECK = 0.1  # square millimetres: a smaller stroke is dust; the dot of a fine pen has 0.15
EDGE = 0.08  # millimetres around a stroke in which paper still darkens towards it
OUTSIDE = 0.03  # part of a character's ink that may lie beyond its cell


@dataclass(frozen=True)
class Written:
    """The characters of a page.

    Attributes:
        canvases: {code point: (H, H) bytes, white 255, ink 0}, the first writing of each.
        again: further writings, (code point, canvas), in the order of their cells.
        empty: characters in none of whose cells anybody wrote.
        cut_off: characters some of whose ink lies outside their cells.
        unreadable: how many cells have a label that cannot be read; they are left out.
    """

    canvases: dict[int, np.ndarray]
    again: list[tuple[int, np.ndarray]]
    empty: list[int]
    cut_off: list[int]
    unreadable: int


def read_page(page: Page, geometry: Geometry) -> Written:
    """Cut the cells of a page and leave only ink on them, with soft edges.

    The canvas has the geometry that is asked for whatever the template's was: the em box and the baseline that were
    printed are brought to where the geometry has them.
    """
    ink, labels, area = _ink(page)
    written: list[tuple[int, np.ndarray]] = []
    empty, cut_off = [], []
    for index, code in enumerate(page.codes):
        if not code:
            continue
        window, start, side = _window(page, index, geometry)
        mine = labels[window]
        inside = np.bincount(mine.ravel(), minlength=len(area))
        inside[0] = 0
        own = inside > 0.5 * area  # a neighbour's stroke that reaches over, or the label, is not this cell's
        own &= area >= SPECK * page.scale**2
        amount = inside[own].sum()
        if not amount:
            empty.append(code)
            continue
        if area[own].sum() - amount > OUTSIDE * amount:
            cut_off.append(code)
        edge = max(1, round(EDGE * page.scale))
        near = ndimage.binary_dilation(own[mine], np.ones((3, 3)), edge) & ((mine == 0) | own[mine])
        levels = np.where(near, 255 * (1 - ink[window]), 255).astype(np.float32)
        written.append((code, place(levels, start, side, geometry.canvas)))
    canvases = dict(reversed(written))  # the first of several
    again = [(code, canvas) for code, canvas in written if canvases[code] is not canvas]
    empty = [code for code in dict.fromkeys(empty) if code not in canvases]
    canvases = {code: canvases[code] for code in dict.fromkeys(code for code, _ in written)}
    return Written(canvases, again, empty, cut_off, page.codes.count(None))


def _ink(page: Page) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How dark every point is between paper 0 and ink 1, the number of its stroke, and the strokes' areas in pixels.

    A stroke is what is darker than the guides came out, and somewhere really dark. Ink 1 is the darkness of the pen.
    """
    light, layout = ndimage.gaussian_filter(page.light, 0.04 * page.scale), page.header.layout
    used = [index for index, code in enumerate(page.codes) if code]
    guides = np.concatenate([_on_guides(light, layout, index, page.scale) for index in used] or [np.ones(1)])
    lightest = float(np.percentile(guides[guides > 0.5], 10)) if (guides > 0.5).any() else 1.0
    white = float(np.clip(lightest - 0.05, 0.55, 0.85))
    dark = np.concatenate([light[_square(page, index)].ravel() for index in used] or [np.ones(1)])
    dark = dark[dark < white]
    black = min(float(np.percentile(dark, 25)), white - 0.15) if dark.size else white - 0.15
    labels, count = ndimage.label(light < white, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[labels[light < (white + black) / 2]] = True  # what is nowhere really dark is a shadow or a rest of a guide
    labels[~strong[labels]] = 0
    ink = np.clip((1 - light) / (1 - black), 0, 1)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    return ink, labels, area


def _on_guides(light: np.ndarray, layout: Layout, index: int, scale: float) -> np.ndarray:
    """How light the page is on the sides of an em box."""
    x0, y0, x1, y1 = layout.em_box(index)
    along = np.linspace(0.05, 0.95, 15)
    x, y = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
    inset = 0.1  # middle of a line drawn inwards from the box
    points = [
        *((v, s) for v in x for s in (y0 + inset, y1 - inset)),
        *((s, v) for v in y for s in (x0 + inset, x1 - inset)),
    ]
    return ndimage.map_coordinates(light, np.array(points).T[::-1] * scale - 0.5, order=1)


def _square(page: Page, index: int) -> tuple[slice, slice]:
    (x, y), cell = page.header.layout.canvas(index), page.header.layout.cell
    left, top, right, bottom = (round(v * page.scale) for v in (x, y, x + cell, y + cell))
    return slice(top, bottom), slice(left, right)


def _window(page: Page, index: int, geometry: Geometry) -> tuple[tuple[slice, slice], tuple[float, float], float]:
    """The pixels of a cell, where in them the canvas begins (x, y), and the canvas's side there."""
    layout, scale = page.header.layout, page.scale
    rows, columns = _square(page, index)
    size = min(rows.stop - rows.start, columns.stop - columns.start)
    window = slice(rows.start, rows.start + size), slice(columns.start, columns.start + size)
    x, y = layout.canvas(index)
    side = layout.em / geometry.scale
    x += (layout.cell - side) / 2
    y += (layout.cell - side) / 2 + (geometry.shift - layout.shift) * layout.em
    return window, (x * scale - window[1].start, y * scale - window[0].start), side * scale
