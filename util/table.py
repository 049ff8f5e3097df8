"""One table of values: of what was generated, beside what it is read against; how it is printed and what is kept."""

import json
import math
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from util.writing import write_atomically

VERSION = 2  # of metrics.json; files of 1 carry none, see ``floors_of`` and ``util.compare.run``
ARROWS = {"lower": "\u2193", "higher": "\u2191", "one": "\u2192 1"}  # where the values improve
ABSENT = "not defined"  # where a word says it, not a dash
REAL = "real against real"  # the floors of metrics of sets, where runs are compared

Values = Mapping[str, float]  # name of a value -> value, NaN where it is not defined


@dataclass(frozen=True, kw_only=True)
class Row:
    """Values of one kind of images.

    Attributes:
        kind: ``result``, what was generated; ``mean`` of several results; ``floor``, what they are read against.
        deviations: of those values where it is known.
        count: images, or pairs, that the values are of; 0 is not told.
    """

    label: str
    values: Values
    kind: Literal["result", "mean", "floor"] = "floor"
    deviations: Values = field(default_factory=dict)
    count: int = 0

    def defines(self, name: str) -> bool:
        return math.isfinite(self.values.get(name, math.nan))

    def shown(self, name: str) -> str:
        """A value, with its deviation where that is known."""
        deviation = self.deviations.get(name, math.nan)
        return number(self.values.get(name, math.nan)) + (
            f" \u00b1 {number(deviation)}" if math.isfinite(deviation) else ""
        )


@dataclass(frozen=True, kw_only=True)
class Table:
    """Values with all that they are read by.

    Attributes:
        rows: what was generated, one row or one of each style and their mean, then what it is read against.
        better: name -> ``lower``, ``higher`` or ``one``; a name that is not in it is no score.
        unit: what is counted, ``image`` or ``pair``.
        of: what the values are of, in words: "200 images against 400".
        remarks: what a reader must know, a line each.
        facts: of every value, for metrics.json: ``reference`` real images, ``extractor``, ``resize``, ``comparable``.
        unlike: name -> the published value that it must not be set beside.
        details: name -> what else is true of this value, in place of ``facts`` where both tell it.
    """

    rows: Sequence[Row] = ()
    better: Mapping[str, str] = field(default_factory=dict)
    unit: str = "image"
    of: str = ""
    remarks: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    unlike: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __getitem__(self, label: str) -> Row:
        return next(row for row in self.rows if row.label == label)

    @property
    def results(self) -> list[Row]:
        return [row for row in self.rows if row.kind == "result"]

    @property
    def names(self) -> list[str]:
        """Of the values that were generated, in the order of the metrics."""
        return list(dict.fromkeys(name for row in self.results for name in row.values))

    @property
    def floors(self) -> list[Row]:
        """Those that define a value."""
        return [row for row in self.rows if row.kind == "floor" and any(map(row.defines, self.names))]

    @property
    def whole(self) -> Row:
        """The row that counts: the mean of the results, or the only one."""
        return next((row for row in self.rows if row.kind == "mean"), self.results[0] if self.results else EMPTY)

    @property
    def values(self) -> Values:
        return {name: self.whole.values.get(name, math.nan) for name in self.names}

    def only(self, names: Iterable[str]) -> "Table":
        """The same table of these values alone."""
        kept = [name for name in names if name in self.names]
        rows = [replace(row, values={n: row.values[n] for n in kept if n in row.values}) for row in self.rows]
        return replace(self, rows=rows, better={n: way for n, way in self.better.items() if n in kept})

    def beside(self, other: "Table") -> "Table":
        """One table of the values of both, of the same images: rows of one label are one row."""
        rows = []
        for label in dict.fromkeys(row.label for row in (*self.rows, *other.rows)):
            first, *more = [row for row in (*self.rows, *other.rows) if row.label == label]
            values = {name: value for row in (first, *more) for name, value in row.values.items()}
            deviations = {name: value for row in (first, *more) for name, value in row.deviations.items()}
            rows.append(replace(first, values=values, deviations=deviations))
        remarks = list(dict.fromkeys([*self.remarks, *other.remarks]))
        better, unlike = {**self.better, **other.better}, {**self.unlike, **other.unlike}
        details = {**self.details, **other.details}
        return replace(self, rows=rows, better=better, unlike=unlike, remarks=remarks, details=details)

    def named(self, suffix: str) -> "Table":
        """The same table, its names with something behind them."""

        def longer(values: Mapping[str, Any]) -> dict[str, Any]:
            return {f"{name}{suffix}": value for name, value in values.items()}

        rows = [replace(row, values=longer(row.values), deviations=longer(row.deviations)) for row in self.rows]
        better, unlike, details = map(longer, (self.better, self.unlike, self.details))
        return replace(self, rows=rows, better=better, unlike=unlike, details=details)

    # -- as text, as JSON ------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """What a terminal shows: a line for each value, with several results a grid; then the remarks."""
        if not self.names:
            return []
        return [*(self._grid() if len(self.results) > 1 else map(self._line, self.names)), *self.remarks]

    def about(self, name: str = "") -> str:
        """What saw the images, for this value, in words; empty where nothing but the metric did."""
        facts = {**self.facts, **self.details.get(name, {})}
        return f"{facts['extractor']}, resize {facts['resize']}" if facts.get("extractor") else ""

    def _line(self, name: str) -> str:
        known = [f"{row.label}: {row.shown(name)}" for row in self.floors if row.defines(name)]
        parts = [f"{name}: {self.whole.shown(name)}, {self.of}".rstrip(", "), *known, self.about(name)]
        if name in self.unlike:
            parts.append(f"not comparable with published {self.unlike[name]}")
        return "; ".join(filter(None, parts))

    def _grid(self) -> list[str]:
        shown = [row for row in self.rows if row.kind != "floor" or row in self.floors]
        cells = [["style", *self.names], *([row.label, *map(row.shown, self.names)] for row in shown)]
        return [f"{len(self.results)} styles, {self.of}", *aligned(cells)]

    def entries(self) -> dict[str, dict[str, Any]]:
        """{name: what metrics.json says of it}; null where a value is not defined."""
        entries = {}
        for name in self.names:
            entry: dict[str, Any] = {"value": finite(self.values[name])}
            if name in self.better:
                entry["better"] = self.better[name]
            if (deviation := finite(self.whole.deviations.get(name, math.nan))) is not None:
                entry["deviation"] = deviation
            entry[f"{self.unit}s"] = self.whole.count
            entry["floors"] = {row.label: self._entry_of(row, name) for row in self.floors if row.defines(name)}
            if len(self.results) > 1:
                entry["styles"] = {row.label: finite(row.values.get(name, math.nan)) for row in self.results}
            entries[name] = entry | {**self.facts, **self.details.get(name, {})}
        return entries

    def _entry_of(self, floor: Row, name: str) -> dict[str, Any]:
        deviation = finite(floor.deviations.get(name, math.nan))
        known = {} if deviation is None else {"deviation": deviation}
        return {"value": floor.values[name], **known, f"{self.unit}s": floor.count}


EMPTY = Row(label="", values={}, kind="result")


def joined(tables: Mapping[str, Table]) -> Table:
    """One table of the styles' tables: a row for each style, then their mean, whatever the number of their pairs.

    A mean is of the styles where a value is defined; a remark that is not of all styles names those it is of.
    """
    if len(tables) <= 1:
        return next(iter(tables.values()), Table())
    results = [replace(table.whole, label=style, kind="result") for style, table in tables.items()]
    floors: dict[str, list[Row]] = {}
    remarks: dict[str, list[str]] = {}
    for style, table in tables.items():
        for row in table.rows:
            if row.kind == "floor":
                floors.setdefault(row.label, []).append(row)
        for line in table.remarks:
            remarks.setdefault(line, []).append(style)
    first = next(iter(tables.values()))
    count = sum(row.count for row in results)
    means = [mean_row(label, "floor", rows) for label, rows in floors.items()]
    rows = [*results, mean_row("mean", "mean", results), *means]
    lines = [line if len(of) == len(tables) else f"{', '.join(of)}: {line}" for line, of in remarks.items()]
    better = {name: way for table in tables.values() for name, way in table.better.items()}
    of = f"{plural(count, first.unit)}; a mean is of the styles, each counts once"
    return replace(first, rows=rows, better=better, remarks=lines, of=of)


def mean_row(label: str, kind: Literal["mean", "floor"], rows: Sequence[Row]) -> Row:
    values = {}
    for name in dict.fromkeys(name for row in rows for name in row.values):
        known = [row.values[name] for row in rows if row.defines(name)]
        values[name] = sum(known) / len(known) if known else math.nan
    return Row(label=label, kind=kind, values=values, count=sum(row.count for row in rows))


def write_metrics(path: Path, tables: Sequence[Table], facts: Mapping[str, Any] | None = None) -> None:
    """metrics.json: the version of its schema, what is true of the whole test, remarks, an entry for each value.

    A value that is called like one of the others, as an attribute of somebody's captions may be, is called "value ...".
    """
    remarks = list(dict.fromkeys(line for table in tables for line in table.remarks))
    content: dict[str, Any] = {"version": VERSION, **(facts or {}), **({"remarks": remarks} if remarks else {})}
    taken = set(content) | {"remarks"}
    for table in tables:
        content |= {f"value {n}" if n in taken else n: entry for n, entry in table.entries().items()}
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False))


def floors_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """{floor: its value} of an entry of metrics.json, of version 1 too: ``of <floor>``, or ``floor`` and ``floor_of``.

    Values are as they stand in the file: whatever somebody may have written there.
    """
    told, of = entry.get("floors"), entry.get("floor_of")
    known = told.items() if isinstance(told, dict) else ()
    floors = {_compared(entry, label, floor): floor.get("value") for label, floor in known if isinstance(floor, dict)}
    real = f"{REAL}: {of}" if isinstance(of, str) and of else REAL
    old = {key[3:]: value for key, value in entry.items() if key.startswith("of ")}
    return floors | old | ({real: entry["floor"]} if "floor" in entry else {})


def _compared(entry: Mapping[str, Any], label: str, floor: Mapping[str, Any]) -> str:
    """What a comparison calls a floor: one of real images that an extractor saw with its number, as version 1 did."""
    if not entry.get("extractor") or not label.startswith(("real ", "held-out real images")):
        return label
    count = floor.get("images")
    return f"{REAL}: {f'{count:,} ' if isinstance(count, int) else ''}{label}"


def number(value: float) -> str:
    """Four decimals, or a dash where there is no value."""
    return f"{value:.4f}" if math.isfinite(value) else "-"


def figures(value: float | None, absent: str = "-") -> str:
    """Four figures, or what stands where there is no value."""
    return absent if value is None or not math.isfinite(value) else f"{value:.4g}"


def extent(values: Iterable[float]) -> str:
    """ "800", or "800 to 1,200" where they differ; empty where there are none."""
    known = list(values)
    ends = [f"{end:,.0f}" for end in (min(known), max(known))] if known else []
    return " to ".join(dict.fromkeys(ends))


def arrowed(name: str, better: Mapping[str, str]) -> str:
    """The name of a value, with where it improves if that is known."""
    return f"{name} {ARROWS[better[name]]}" if better.get(name) in ARROWS else name


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Rows of cells as lines for a terminal; those columns stand at the left of their room, numbers at the right."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        room = [" " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + r if i in left else r + cell for i, (cell, r) in enumerate(zip(row, room, strict=True))]
        lines.append("  ".join(padded).rstrip())
    return lines


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: a Han character takes two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def plural(count: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
