"""The outlines of all characters of a font, from their images, on all cores."""

import contextlib
import itertools
import os
import sys
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from options import Exit, UserError
from util.fonts.characters import character_name
from util.fonts.contours import Contour, glyph_of
from util.fonts.faces import OVERSAMPLING, Geometry
from util.fonts.outlines import Place, trace_batch, trace_contours
from util.reading.child import in_children
from util.stopwatch import Countdown

IDEOGRAPHIC_SPACE = 0x3000
FEW = 150  # glyphs that are traced before other processes have begun
BATCH = 16  # glyphs that a process is given at once
SECONDS = 300  # for a batch, which takes half of one


def trace(
    image: np.ndarray,
    geometry: Geometry,
    advance: float = 1.0,
    units_per_em: int = 1000,
    simplify: float | None = None,
) -> Any:
    """The outline of one glyph, for a ``glyf`` table; None where there is no ink. See :func:`.trace_contours`.

    Args:
        geometry: what the glyph was drawn with; ``canvas`` is the image's side.
        advance: width of the box that was centred on the canvas, in ems.
        simplify: see :func:`place_of`.
    """
    contours = trace_contours(image, place_of(geometry, advance, units_per_em, simplify))
    return glyph_of(contours) if contours else None


def trace_all(
    glyphs: Mapping[int, np.ndarray],
    geometry: Geometry,
    advances: Mapping[int, float],
    units_per_em: int,
    without: Iterable[int] = (),
    simplify: float | None = None,
    processes: int | None = None,
) -> tuple[dict[int, Any], list[int]]:
    """{character: outline}, sorted, and the characters whose image is white; with progress, and a line about those.

    Args:
        simplify: how far outlines may lie from the edges, see :func:`place_of`.
        processes: that trace, each on one core; none is all cores for many glyphs. The outlines are the same with any.
    """
    codes = sorted(set(glyphs) - set(without))
    countdown, outlines, blank = Countdown(len(codes), "glyph"), {}, []
    count = processes or _processes(len(codes))
    batches = _batches(glyphs, codes, geometry, advances, units_per_em, simplify)
    with contextlib.closing(_traced(batches, count)) as traced:
        for code, contours in zip(codes, traced, strict=True):
            if contours:
                outlines[code] = glyph_of(contours)
            elif code != IDEOGRAPHIC_SPACE:
                blank.append(code)
            countdown.step()
    if blank:
        first = " ".join(map(character_name, blank[:8])) + " ..." * (len(blank) > 8)
        print(f"{len(blank)} of {len(codes)} images are white; these characters are left out: {first}", file=sys.stderr)
    return outlines, blank


def trace_each(images: Sequence[tuple[np.ndarray, Place]]) -> Generator[Any, None, None]:
    """The outlines of images of any sizes, in their order; None where there is no ink."""
    batches = ([image[None], [list(astuple(place))]] for image, place in images)
    with contextlib.closing(_traced(batches, _processes(len(images)))) as traced:
        for contours in traced:
            yield glyph_of(contours) if contours else None


def _processes(images: int) -> int:
    if images <= FEW:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(
    glyphs: Mapping[int, np.ndarray],
    codes: list[int],
    geometry: Geometry,
    advances: Mapping[int, float],
    em: int,
    simplify: float | None,
) -> Generator[list[Any], None, None]:
    """BATCH images each, and their places."""
    for start in range(0, len(codes), BATCH):
        images, places = [], []
        for code in codes[start : start + BATCH]:
            image = glyphs[code]
            if image.shape != (geometry.canvas,) * 2 or image.dtype != np.uint8:
                raise UserError(
                    f"{character_name(code)}: an image of {image.dtype} {image.shape}; the geometry's canvas asks for "
                    f"uint8 {(geometry.canvas,) * 2}"
                )
            # a full-width character is drawn in a box of one em, whatever the font's width of it is
            box = 1.0 if is_full_width(code) else advances.get(code, 1.0)
            images.append(image)
            places.append(list(astuple(place_of(geometry, box, em, simplify))))
        yield [np.stack(images), places]


def _traced(batches: Iterator[list[Any]], count: int) -> Generator[list[Contour], None, None]:
    try:
        for sizes, points, on in _answers(batches, count):
            ends = np.cumsum([0, *itertools.chain(*sizes)])
            contours = (Contour(points[a:b], on[a:b]) for a, b in itertools.pairwise(ends))
            yield from ([next(contours) for _ in of_glyph] for of_glyph in sizes)
    except ValueError as error:
        raise UserError(f"glyphs cannot be traced: {error}", code=Exit.BUG) from None


def _answers(batches: Iterator[list[Any]], count: int) -> Generator[Any, None, None]:
    if count == 1:
        yield from (trace_batch(Path(), *batch) for batch in batches)
    else:
        with contextlib.closing(in_children("util.fonts.outlines:trace_batch", batches, count, SECONDS)) as answers:
            yield from answers


def place_of(geometry: Geometry, advance: float, units_per_em: int, simplify: float | None = None) -> Place:
    """Of an image drawn so. Drawing lays a glyph's origin on whole pixels of a larger canvas.

    Args:
        simplify: thousandths of an em that an outline may lie from the image's edge; None is a part of a pixel.
    """
    left, base = (round(at * OVERSAMPLING) / OVERSAMPLING for at in geometry.origin(advance))
    place = Place(units_per_em / geometry.em, left, base)
    return place if simplify is None else replace(place, tolerance=simplify / 1000 * geometry.em)


def is_full_width(code: int) -> bool:
    return unicodedata.east_asian_width(chr(code)) in "WF"
