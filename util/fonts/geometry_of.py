"""The geometry that pictures were drawn with, found by comparing them with a font that has the same characters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from util.fonts.characters import SYNTHETIC
from util.fonts.check import ink_overlap
from util.fonts.faces import Face, Geometry

LOOKED_AT = 40  # characters
CANVAS = 256  # pixels at which pictures are measured
GRID, DRAWN = 24, 48  # pixels: shapes that are compared, and the em that candidates are drawn with
LIKE, APART = 0.7, 0.03  # ink that a recognised picture shares with its character at least, and more than with others
STRETCH = 0.25  # by how much the logarithms of two shapes' proportions may differ
SMALL = 0.15  # ems: a side below tells no scale
CENTRED = 0.012  # of the canvas: a box that is nearer to the middle is in the middle


@dataclass(frozen=True)
class Found:
    """A geometry, the part of their ink that pictures share with the font in it, and the characters that tell."""

    geometry: Geometry
    shared: float
    count: int


def find_geometry(pictures: Any, face: Face, characters: Mapping[int, int]) -> Found | None:
    """How a font has to be drawn to look like the pictures; None where nothing can be measured.

    Either the boxes of all characters are in the middle of the canvas, as :class:`.faces.Geometry` has them, or their
    origins lie in one place, as zi2zi's font2img writes glyphs.

    Args:
        characters: {number of a picture: the font's character}.
    """
    measured = []
    for number, code in characters.items():
        picture, font = _ink_box(pictures.draw(number, Geometry(CANVAS))), face.ink_box(code)
        if picture is not None and font is not None:
            measured.append((*picture, *font, face.advance(code)))
    if not measured:
        return None
    x0, y0, x1, y1, left, top, right, bottom, advance = np.array(measured).T
    sides = np.concatenate([np.stack([x1 - x0, right - left], 1), np.stack([y1 - y0, bottom - top], 1)])
    sides = sides[sides[:, 1] > SMALL]
    if not len(sides):
        return None
    em = float(np.median(sides[:, 0] / sides[:, 1]))
    base = float(np.median((y0 + y1 - em * (top + bottom)) / 2))
    origin = (x0 + x1 - em * (left + right)) / 2
    off = origin - (CANVAS - em * advance) / 2  # from where it would be if boxes were in the middle
    middle = abs(np.median(off)) < CENTRED * CANVAS and _spread(off) <= _spread(origin) + CENTRED * CANVAS / 2
    scale = em / CANVAS
    shift = (CANVAS / 2 * (1 + scale) - base) / em
    geometry = Geometry(CANVAS, scale, shift, None if middle else float(np.median(origin)) / em)
    shared = [
        ink_overlap(1 - face.draw(code, geometry) / 255, 1 - pictures.draw(number, Geometry(CANVAS)) / 255)
        for number, code in characters.items()
    ]
    return Found(geometry, float(np.mean(shared)), len(measured))


def known_characters(pictures: Any, face: Face) -> dict[int, int]:
    """Pictures whose names say which characters they show, as far as the font has these."""
    codes = face.real(code for code in pictures.characters if code < SYNTHETIC)
    return {code: code for code in _some(sorted(pictures.real(codes)))}


def recognised_characters(pictures: Any, face: Face, candidates: Iterable[int]) -> dict[int, int]:
    """Pictures without names that look like one of these characters of the font and like no other one's shape."""
    numbers = _some(sorted(pictures.real(code for code in pictures.characters if code >= SYNTHETIC)))
    shapes, codes = [], []
    for code in sorted(candidates):
        if (shape := _shape(face.bitmap(code, DRAWN))) is not None:
            shapes.append(shape)
            codes.append(code)
    if not numbers or not codes:
        return {}
    ink, stretch = np.stack([ink for ink, _ in shapes]), np.array([stretch for _, stretch in shapes])
    found = {}
    for number in numbers:
        shape = _shape(1 - pictures.draw(number, Geometry(CANVAS)).astype(np.float32) / 255)
        if shape is None:
            continue
        near = np.flatnonzero(np.abs(stretch - shape[1]) < STRETCH)
        shared = np.minimum(ink[near], shape[0]).sum((1, 2)) / np.maximum(ink[near], shape[0]).sum((1, 2))
        best = near[np.argsort(-shared)][:10]
        score = np.sort(shared)[::-1][:10]
        if not len(best) or score[0] < LIKE:
            continue
        box = face.ink_box(codes[best[0]])
        others = [s for i, s in zip(best, score, strict=True) if not _same(box, face.ink_box(codes[i]))]
        if not others or score[0] - others[0] > APART:  # o and O are one shape of two sizes
            found[number] = codes[best[0]]
    real = face.real(found.values())
    return {number: code for number, code in found.items() if code in real}


def _some(codes: Sequence[int]) -> Sequence[int]:
    return codes[:: max(1, len(codes) // LOOKED_AT)][:LOOKED_AT]


def _spread(values: np.ndarray) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _same(one: Any, other: Any) -> bool:
    return one is not None and other is not None and bool(np.abs(np.subtract(one, other)).max() < 0.01)


def _ink_box(levels: np.ndarray) -> tuple[float, float, float, float] | None:
    """x0, y0, x1, y1 in pixels, between pixels: where ink passes one half."""
    ink = np.pad(1 - levels.astype(np.float32) / 255, 1)
    sides = []
    for profile in (ink.max(0), ink.max(1), ink.max(0)[::-1], ink.max(1)[::-1]):
        inside = np.flatnonzero(profile >= 0.5)
        if not len(inside):
            return None
        first = inside[0]
        sides.append(first - 1.5 + (0.5 - profile[first - 1]) / (profile[first] - profile[first - 1]))
    return sides[0], sides[1], levels.shape[1] - sides[2], levels.shape[0] - sides[3]


def _shape(ink: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Ink (H, W), 0 to 1, cut to its box and brought to GRID x GRID; and how wide that is for its height."""
    rows, columns = (np.flatnonzero((ink >= 0.5).any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    square = np.asarray(Image.fromarray(cut).resize((GRID, GRID), Image.Resampling.BOX))
    return square, float(np.log(cut.shape[1] / cut.shape[0]))
