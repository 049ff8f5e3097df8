"""Values of metrics, style by style, beside those of images that took no learning."""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from evaluation.metrics import METRICS, Metric
from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.floors import FLOORS

RESULT = "result"  # the candidate that is judged; the others are floors
Values = dict[str, float]  # name of a value -> value


def make_metrics(opt: Any, judges: Mapping[str, Any]) -> Callable[[], list[Metric]]:
    """A function that makes metrics of pairs anew: those of ``--metrics``, and those whose judge is there.

    Args:
        judges: ``character`` and ``style`` -> a judge, see :mod:`evaluation.metrics.base_judged`.

    Raises:
        UserError: there is no metric of that name, or it lacks its judge.
    """
    asking = {"character": "recognition", "style": "style"}
    names = dict.fromkeys([*opt.metrics, *(asking[kind] for kind in judges)])
    found = [METRICS.find(name, opt.plugin_dir) for name in names]
    classes = [cls for cls in found if not issubclass(cls, SetMetric)]
    made = lambda: [cls(opt, judge=judges.get(cls.judge)) if cls.judge else cls(opt) for cls in classes]  # noqa: E731
    made()  # what is wrong shows before anything is computed
    return made


class Scores:
    """Metrics of the results and of the floors, with instances of their own for each style.

    Args:
        make: makes every metric anew.
        floors: names in :data:`evaluation.metrics.shared.floors.FLOORS`.
    """

    def __init__(self, make: Callable[[], list[Metric]], floors: Sequence[str] = ()):
        self.make, self.floors = make, {name: FLOORS[name] for name in floors}
        self.metrics: dict[str, dict[str, list[Metric]]] = {}  # style -> candidate -> metrics
        self.pairs: dict[str, int] = {}

    def update(
        self,
        styles: Sequence[str],
        real: torch.Tensor | None,
        fake: torch.Tensor,
        source: torch.Tensor,
        facts: Mapping[str, torch.Tensor],
    ) -> None:
        """One batch: the style of each image, and what metrics are told.

        Without ``real``, what the images should be, metrics take them against their source alone. A floor whose images
        have another shape than the real ones is left out.
        """
        for style in dict.fromkeys(styles):
            rows = [i for i, s in enumerate(styles) if s == style]
            mine = {name: values[rows] for name, values in facts.items()}
            source_, fake_ = source[rows], fake[rows]
            real_ = fake_ if real is None else real[rows]
            candidates = {RESULT: fake_} | {n: floor(real_, source_) for n, floor in self.floors.items()}
            metrics = self.metrics.setdefault(style, {name: self.make() for name in candidates})
            self.pairs[style] = self.pairs.get(style, 0) + len(rows)
            for name, images in candidates.items():
                if name != RESULT and images.shape != real_.shape:
                    continue
                for metric in metrics[name]:
                    metric.update(source_ if metric.against == "source" else real_, images, mine)

    def compute(self) -> "ScoreTable":
        values: dict[str, dict[str, Values]] = {name: {} for name in (RESULT, *self.floors)}
        better: dict[str, str] = {}
        remarks: dict[str, list[str]] = {}
        for style, candidates in self.metrics.items():
            for name, metrics in candidates.items():
                found = values[name].setdefault(style, {})
                for metric in metrics:
                    computed = metric.compute()
                    found.update(computed)
                    if name == RESULT:
                        better[next(iter(computed), "")] = metric.better
                        for line in metric.remarks():
                            remarks.setdefault(line, []).append(style)
        return ScoreTable(self.pairs, values, better, remarks)


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
