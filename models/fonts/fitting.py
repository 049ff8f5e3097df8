"""How wide a style's characters are and how they are kerned: told by its font, learnt, or taken from the source."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from util.fonts.export import SPACE
from util.fonts.faces import Face
from util.fonts.kerning import Kerning, bare_letter, kerning_of
from util.fonts.spacing import Spacing, by_bearings, features, fit_spacing, ink_sides
from util.fonts.tracing import is_full_width

LEARNT_FROM, TESTED_ON = 200, 100  # characters at most: each is drawn


@dataclass(frozen=True)
class Fit:
    """Widths and boxes of characters in ems, see :func:`util.fonts.export.build_font`, and what pairs move by."""

    advances: dict[int, float] = field(default_factory=dict)
    boxes: dict[int, float] = field(default_factory=dict)
    kerning: Kerning = field(default_factory=dict)


def fit_style(pen: Any, style: Any, glyphs: Mapping[int, np.ndarray], sources: Mapping[int, Any]) -> Fit:
    """What the drawn characters of a style need to stand in lines, with a line about where it is from.

    A style that is a font tells the widths of the characters that training saw; those of others are learnt from them,
    as the network draws both. In a monospaced style all have its width. A folder of pictures tells none: each character
    then gets the side bearings that the source has in the middle.

    Args:
        glyphs: the characters, drawn; more are drawn where they are needed to learn or to be judged.
        sources: the source font of each.
    """
    narrow = [code for code in glyphs if not is_full_width(code)]
    advances: dict[int, float] = {code: 1.0 for code in glyphs if is_full_width(code)}
    if space := _space(style.glyphs, pen.dataset.sources):
        advances[SPACE] = space
    if not narrow:
        return Fit(advances)
    told = _told(style.glyphs, pen.dataset.train)
    if len(set(told.values())) == 1 and len(told) > 2:
        width = next(iter(told.values()))
        print(f"widths: {style.name} is monospaced, {width:.3f} em")
        return Fit(advances | dict.fromkeys([*narrow, SPACE], width))
    kerning = kerning_of(style.glyphs, narrow) if isinstance(style.glyphs, Face) else {}
    drawn = _Drawn(pen, style, dict(glyphs), dict(sources))
    if told:
        widths = _Widths(_learn(drawn, told), told)
        _judge(drawn, widths, _told(style.glyphs, pen.dataset.test))
    else:
        bearings = _bearings_of_source(drawn, narrow)
        widths = _Widths(by_bearings(bearings), {})
        print(
            f"widths: {style.name} is pictures, which tell none: ink and the side bearings that "
            f"{pen.dataset.sources[0].name} has in the middle, {bearings[0]:.3f} and {bearings[1]:.3f} em"
        )
    boxes = {}
    for code in narrow:
        if code in told:
            advances[code] = told[code]
        elif (row := drawn.features(code)) is not None:
            left, advances[code] = widths(code, row)
            boxes[code] = 2 * (left - row[0])  # the box in whose middle the ink stands where the image has it
        else:
            advances[code] = sources[code].advance(code)
    return Fit(advances, boxes, _without_columns(kerning, advances))


def _without_columns(kerning: Kerning, advances: Mapping[int, float]) -> Kerning:
    """Figures of one width stand in columns, whatever the figure beside them is."""
    figures = {code for code in advances if ord("0") <= code <= ord("9")}
    if len({advances[code] for code in figures}) > 1:
        return kerning
    return {pair: value for pair, value in kerning.items() if not figures.issuperset(pair)}


class _Widths:
    """(Left side bearing, advance) of a character that training did not see, in ems.

    What is learnt of all is only used where no closer relation tells: a letter with accents is as wide as without, and
    a figure as wide as the others where these are all alike.
    """

    def __init__(self, spacing: Spacing, told: Mapping[int, float]):
        self.spacing, self.told = spacing, told
        figures = [width for code, width in told.items() if ord("0") <= code <= ord("9")]
        self.figure = figures[0] if len(figures) > 1 and len(set(figures)) == 1 else None

    def __call__(self, code: int, row: np.ndarray) -> tuple[float, float]:
        left, advance = self.spacing(row)
        if ord("0") <= code <= ord("9") and self.figure is not None:
            advance = self.figure
        elif (bare := bare_letter(code)) != code and bare in self.told:
            advance = self.told[bare]
        return left, advance


class _Drawn:
    """What is known of characters as the network draws them; those that were not are drawn."""

    def __init__(self, pen: Any, style: Any, glyphs: dict[int, np.ndarray], sources: dict[int, Any]):
        self.pen, self.style, self.glyphs, self.sources = pen, style, glyphs, sources

    def draw(self, codes: Iterable[int], most: int) -> list[int]:
        """Those of these characters, evenly chosen and the drawn ones first, that are drawn now."""
        codes = sorted(codes)
        some = [code for code in codes if code in self.glyphs]
        rest = [code for code in codes if code not in self.glyphs]
        room = max(0, most - len(some))
        more = self.pen.sources(rest[:: max(1, -(-len(rest) // room))] if room else [])
        self.sources |= more
        self.glyphs |= self.pen.draw(more, {self.style.label: 1.0})
        return some[:: max(1, -(-len(some) // most))] + list(more)

    def features(self, code: int) -> np.ndarray | None:
        ink = ink_sides(self.glyphs[code], self.pen.geometry)
        return None if ink is None else features(ink, self.source_sides(code), self.sources[code].advance(code))

    def source_sides(self, code: int) -> tuple[float, float] | None:
        return ink_sides(self.pen.source(code, self.sources[code]), self.pen.geometry)


def _told(glyphs: Any, codes: Iterable[int]) -> dict[int, float]:
    """{character: its width in the style}; none where the style does not know."""
    told = {code: glyphs.advance(code) for code in sorted(glyphs.real(codes)) if not is_full_width(code)}
    return {} if not isinstance(glyphs, Face) and set(told.values()) <= {1.0} else told


def _space(style: Any, sources: Iterable[Any]) -> float | None:
    """Width of the style's space, else of the source's."""
    return next((f.advance(SPACE) for f in (style, *sources) if isinstance(f, Face) and SPACE in f.cmap), None)


def _learn(drawn: _Drawn, told: Mapping[int, float]) -> Spacing:
    rows, boxes, geometry = [], [], drawn.pen.geometry
    for code in drawn.draw(told, LEARNT_FROM):
        row, true = drawn.features(code), ink_sides(drawn.style.glyphs.draw(code, geometry), geometry)
        if row is not None and true is not None:
            rows.append(row)
            boxes.append((told[code] / 2 + true[0], told[code]))
    return fit_spacing(rows, boxes) if rows else by_bearings((0.05, 0.05))


def _judge(drawn: _Drawn, widths: _Widths, unseen: Mapping[int, float]) -> None:
    """The line about widths: how far they are off on characters that nothing was learnt from."""
    spacing = widths.spacing
    rows = {code: drawn.features(code) for code in drawn.draw(unseen, TESTED_ON)}
    missed = {code: abs(widths(code, row)[1] - unseen[code]) for code, row in rows.items() if row is not None}
    source = [abs(drawn.sources[code].advance(code) - unseen[code]) for code in missed]
    off, whose = list(missed.values()), f"{len(missed)} unseen ones are"
    if not missed:
        off, whose = spacing.missed.tolist(), f"each from the {len(spacing.missed) - 1} others it is"
    if not off:
        return
    text = f"widths: learnt from {len(spacing.missed)} of {len(widths.told)} characters of {drawn.style.name}; {whose} "
    text += f"{np.mean(off):.3f} em off (mean; {max(off):.3f} at most)"
    print(text + (f", the source's own widths {np.mean(source):.3f}" if source else ""))


def _bearings_of_source(drawn: _Drawn, codes: Iterable[int]) -> tuple[float, float]:
    """Medians of the left and the right side bearing."""
    sides = [(drawn.source_sides(code), drawn.sources[code].advance(code)) for code in codes]
    found = [(left[0] + width / 2, width / 2 - left[1]) for left, width in sides if left is not None]
    if not found:
        print("widths: the source has no ink, so 0.05 em are left on each side", file=sys.stderr)
        return 0.05, 0.05
    left, right = np.median(np.array(found), axis=0)
    return float(left), float(right)
