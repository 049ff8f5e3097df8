"""How wide a style's characters are and how they are kerned: told by its font, learnt, or taken from the source."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from util.fonts.characters import SYNTHETIC
from util.fonts.export import SPACE
from util.fonts.faces import Face, Geometry
from util.fonts.kerning import Kerning, bare_letter, kerning_of
from util.fonts.spacing import Spacing, by_bearings, features, fit_spacing, ink_sides
from util.fonts.tables import Lines, lines_of
from util.fonts.tracing import is_full_width

LEARNT_FROM, TESTED_ON = 200, 100  # characters at most: each is drawn


@dataclass(frozen=True)
class Fit:
    """Widths and boxes of characters in ems, see :func:`util.fonts.export.build_font`, and what pairs move by."""

    advances: dict[int, float] = field(default_factory=dict)
    boxes: dict[int, float] = field(default_factory=dict)
    kerning: Kerning = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A style, or several with their parts in a blend, as what it is learnt from tells of widths.

    Attributes:
        ends: styles of the dataset and their parts, which add up to 1.
    """

    ends: Sequence[tuple[Any, float]]

    @property
    def name(self) -> str:
        return " and ".join(style.name for style, _ in self.ends)

    @property
    def mixture(self) -> dict[int, float]:
        """{label: part}"""
        return {label: sum(p for s, p in self.ends if s.label == label) for label in {s.label for s, _ in self.ends}}

    def told(self, codes: Iterable[int]) -> dict[int, float]:
        """{character: its width}; none where one of the styles does not know."""
        codes = list(codes)
        of_ends = [_told(style.glyphs, codes) for style, _ in self.ends]
        return {
            code: sum(part * told[code] for told, (_, part) in zip(of_ends, self.ends, strict=True))
            for code in of_ends[0]
            if all(code in told for told in of_ends)
        }

    def sides(self, code: int, geometry: Geometry) -> tuple[float, float] | None:
        """As :func:`util.fonts.spacing.ink_sides` sees the true glyph."""
        sides = [ink_sides(style.glyphs.draw(code, geometry), geometry) for style, _ in self.ends]
        parts = [(s, part) for s, (_, part) in zip(sides, self.ends, strict=True) if s is not None]
        return (sum(s[0] * p for s, p in parts), sum(s[1] * p for s, p in parts)) if len(parts) == len(sides) else None

    def space(self, sources: Iterable[Any]) -> float | None:
        """Width of the styles' space, else of the source's."""
        own = [(style.glyphs, part) for style, part in self.ends if _has_space(style.glyphs)]
        if len(own) == len(self.ends):
            return sum(part * font.advance(SPACE) for font, part in own)
        return next((font.advance(SPACE) for font in sources if _has_space(font)), None)

    @property
    def untold(self) -> str:
        """Why no width is known of a character that training saw."""
        if all(isinstance(style.glyphs, Face) for style, _ in self.ends):
            return f"training saw none of {self.name} that is not full-width"
        pictures = dict.fromkeys(style.name for style, _ in self.ends if not isinstance(style.glyphs, Face))
        return f"{' and '.join(pictures)} {'is' if len(pictures) == 1 else 'are'} pictures, which tell none"

    @property
    def lines(self) -> Lines:
        """How far apart the styles' lines of text are; nothing where one of them does not say."""
        told = [lines_of(style.glyphs.font) if isinstance(style.glyphs, Face) else None for style, _ in self.ends]
        parts = [(lines, part) for lines, (_, part) in zip(told, self.ends, strict=True) if lines is not None]
        if len(parts) < len(told):
            return Lines()
        return Lines(*(sum(getattr(lines, f) * part for lines, part in parts) for f in ("ascent", "descent", "gap")))

    def kerning(self, codes: Sequence[int]) -> Kerning:
        total: Kerning = {}
        for style, part in self.ends:
            own = kerning_of(style.glyphs, codes) if isinstance(style.glyphs, Face) else {}
            for pair, value in own.items():
                total[pair] = total.get(pair, 0.0) + part * value
        return total


def fit_style(pen: Any, style: Target, glyphs: Mapping[int, np.ndarray], sources: Mapping[int, Any]) -> Fit:
    """What the drawn characters of a style need to stand in lines, with a line about where it is from.

    A style that is a font tells the widths of the characters that training saw; those of others are learnt from them,
    as the network draws both. In a monospaced style all have its width. A folder of pictures tells none: each character
    then gets the side bearings that the source has in the middle, and so where training saw full-width ones alone.
    Glyphs that are drawn from one origin have the source's.

    Args:
        glyphs: the characters, drawn; more are drawn where they are needed to learn or to be judged.
        sources: the source font of each.
    """
    if pen.geometry.left is not None:  # boxes are not in the middle, so ink tells no bearings
        return Fit({code: font.advance(code) for code, font in sources.items()})
    narrow = [code for code in glyphs if not is_full_width(code)]
    advances: dict[int, float] = {code: 1.0 for code in glyphs if is_full_width(code)}
    if (space := style.space(pen.fonts)) is not None:
        advances[SPACE] = space
    if not narrow:
        return Fit(advances)
    told = style.told(pen.dataset.train)
    if len(set(told.values())) == 1 and len(told) > 2:
        width = next(iter(told.values()))
        print(f"widths: {style.name} is monospaced, {width:.3f} em")
        return Fit(advances | dict.fromkeys([*narrow, SPACE], width))
    kerning = style.kerning(narrow)
    drawn = _Drawn(pen, style, dict(glyphs), dict(sources))
    if told:
        widths = _Widths(_learn(drawn, told), told)
        _judge(drawn, widths, style.told(pen.dataset.test))
    else:
        bearings = _bearings_of_source(drawn, narrow)
        widths = _Widths(by_bearings(bearings), {})
        print(
            f"widths: {style.untold}: ink and the side bearings that {pen.fonts[0].name} has in the middle, "
            f"{bearings[0]:.3f} and {bearings[1]:.3f} em"
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

    def __init__(self, pen: Any, style: Target, glyphs: dict[int, np.ndarray], sources: dict[int, Any]):
        self.pen, self.style, self.glyphs, self.sources = pen, style, glyphs, sources

    def draw(self, codes: Iterable[int], most: int) -> list[int]:
        """Those of these characters, evenly chosen and the drawn ones first, that are drawn now."""
        codes = sorted(codes)
        some = [code for code in codes if code in self.glyphs]
        rest = [code for code in codes if code not in self.glyphs]
        room = max(0, most - len(some))
        more = self.pen.sources(rest[:: max(1, -(-len(rest) // room))] if room else [])
        self.sources |= more
        self.glyphs |= self.pen.draw(more, self.style.mixture)
        return some[:: max(1, -(-len(some) // most))] + list(more)

    def features(self, code: int) -> np.ndarray | None:
        ink = ink_sides(self.glyphs[code], self.pen.geometry)
        return None if ink is None else features(ink, self.source_sides(code), self.sources[code].advance(code))

    def source_sides(self, code: int) -> tuple[float, float] | None:
        return ink_sides(self.pen.source(code, self.sources[code]), self.pen.geometry)


def _told(glyphs: Any, codes: Iterable[int]) -> dict[int, float]:
    """{character: its width in the style}; none where the style does not know."""
    known = sorted(code for code in glyphs.real(codes) if code < SYNTHETIC)
    told = {code: glyphs.advance(code) for code in known if not is_full_width(code)}
    return {} if not isinstance(glyphs, Face) and set(told.values()) <= {1.0} else told


def _has_space(glyphs: Any) -> bool:
    return isinstance(glyphs, Face) and SPACE in glyphs.cmap


def _learn(drawn: _Drawn, told: Mapping[int, float]) -> Spacing:
    rows, boxes, geometry = [], [], drawn.pen.geometry
    for code in drawn.draw(told, LEARNT_FROM):
        row, true = drawn.features(code), drawn.style.sides(code, geometry)
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
