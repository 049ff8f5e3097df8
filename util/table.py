"""Values of metrics, style by style, beside those of images that took no learning."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ARROWS = {"lower": "\u2193", "higher": "\u2191", "one": "\u2192 1"}  # where the values improve

RESULT = "result"  # the candidate that is judged; the others are floors
Values = dict[str, float]  # name of a value -> value


@dataclass(frozen=True)
class ScoreTable:
    """What came out: ``values[candidate][style][name]``; a value that is not defined is NaN."""

    pairs: Mapping[str, int] = field(default_factory=dict)  # style -> pairs
    values: Mapping[str, Mapping[str, Values]] = field(default_factory=lambda: {RESULT: {}})
    better: Mapping[str, str] = field(default_factory=dict)  # name -> see Metric.better; of a metric's first value
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # remark -> the styles it is made of

    @property
    def styles(self) -> list[str]:
        return list(self.pairs)

    @property
    def names(self) -> list[str]:
        """Of the values, in the order of the metrics."""
        return list(dict.fromkeys(name for values in self.values[RESULT].values() for name in values))

    @property
    def floors(self) -> list[str]:
        """Those that have a value."""
        return [c for c in self.values if c != RESULT and any(map(math.isfinite, self.mean(c).values()))]

    def mean(self, candidate: str = RESULT) -> Values:
        """The mean of the styles, whatever the number of their pairs; of those where a value is defined."""
        means = {}
        for name in self.names:
            known = [v for found in self.values[candidate].values() if math.isfinite(v := found.get(name, math.nan))]
            means[name] = sum(known) / len(known) if known else math.nan
        return means

    def remarks(self, style: str | None = None) -> list[str]:
        """What a reader must know, of one style or of all; named where it is not of all."""
        if style is not None:
            return [line for line, styles in self.notes.items() if style in styles]
        return [
            line if len(styles) == len(self.styles) else f"{', '.join(styles)}: {line}"
            for line, styles in self.notes.items()
        ]

    def rows(self, style: str | None = None) -> list[tuple[str, str, Values]]:
        """(kind, label, {name: value}): of one style, or of all with their mean; floors come last.

        A kind is ``style``, ``mean`` or ``floor``.
        """
        if style is not None:
            floors = [("floor", floor, self.values[floor].get(style, {})) for floor in self.floors]
            return [("style", "generated", self.values[RESULT].get(style, {})), *floors]
        styles = [("style", name, self.values[RESULT][name]) for name in self.styles]
        return [*styles, ("mean", "mean", self.mean()), *(("floor", f, self.mean(f)) for f in self.floors)]

    def lines(self) -> list[str]:
        """What test.py prints: a line for each value, or with several styles a table."""
        if not self.names:
            return []
        pairs = sum(self.pairs.values())
        if len(self.styles) > 1:
            head = f"{len(self.styles)} styles, {pairs} pairs; a mean is of the styles, each counts once"
            return [head, *self._table(), *self.remarks()]
        lines = []
        for name, value in self.mean().items():
            floors = [(c, v) for c in self.floors if math.isfinite(v := self.mean(c)[name])]
            known = "".join(f"; {floor}: {v:.4f}" for floor, v in floors)
            lines.append(f"{name}: {value:.4f}, mean of {pairs} pairs{known}")
        return [*lines, *self.remarks()]

    def _table(self) -> list[str]:
        table = [["style", *self.names]]
        table += [[label, *(number(found.get(n, math.nan)) for n in self.names)] for _, label, found in self.rows()]
        widths = [max(map(columns, cells)) for cells in zip(*table, strict=True)]
        lines = []
        for first, *others in table:
            cells = [" " * (w - columns(cell)) + cell for cell, w in zip(others, widths[1:], strict=True)]
            lines.append("  ".join([first + " " * (widths[0] - columns(first)), *cells]))
        return lines

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """What metrics.json holds; null where a value is not defined."""
        means = {floor: self.mean(floor) for floor in self.floors}
        entries = {}
        for name, value in self.mean().items():
            entry: dict[str, Any] = {"value": _finite(value), "pairs": sum(self.pairs.values())}
            entry |= {f"of {floor}": v for floor, found in means.items() if math.isfinite(v := found[name])}
            if len(self.styles) > 1:
                entry["styles"] = {s: _finite(self.values[RESULT][s].get(name, math.nan)) for s in self.styles}
            entries[name] = entry
        return entries


def number(value: float) -> str:
    """Four decimals, or a dash where there is no value."""
    return f"{value:.4f}" if math.isfinite(value) else "-"


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: a Han character takes two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def decimals(value: float) -> str:
    """Four figures, or a dash where there is no value."""
    return f"{value:.4g}" if math.isfinite(value) else "-"
