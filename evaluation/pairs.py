"""Metrics of pairs: each result beside what it should be, with floors that took no learning."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evaluation.metrics import METRICS, Metric
from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.floors import FLOORS
from evaluation.sets import GENERATED
from options import UserError
from util.contract import lines_of, values_of
from util.table import Row, Table


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
        self.without_target = 0  # translations that could not be compared

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
            candidates = {GENERATED: fake_} | {n: floor(real_, source_) for n, floor in self.floors.items()}
            metrics = self.metrics.setdefault(style, {name: self.make() for name in candidates})
            self.pairs[style] = self.pairs.get(style, 0) + len(rows)
            for name, images in candidates.items():
                if name != GENERATED and images.shape != real_.shape:
                    continue
                for metric in metrics[name]:
                    beside = source_ if metric.against == "source" else real_
                    if beside is real_ and images.shape != real_.shape:
                        sizes = [" x ".join(map(str, x.shape[:1:-1])) for x in (images, real_)]
                        raise UserError(f"--metrics: {sizes[0]} pixels beside {sizes[1]}; leave --keep_scale out")
                    metric.update(beside, images, mine)

    def compute(self) -> dict[str, Table]:
        """{style: its table}; those of several styles are joined by :func:`util.table.joined`."""
        return {style: self._table(style, candidates) for style, candidates in self.metrics.items()}

    def _table(self, style: str, candidates: Mapping[str, Sequence[Metric]]) -> Table:
        rows, better, remarks = [], dict[str, str](), dict[str, None]()
        for name, metrics in candidates.items():
            computed = [values_of(metric, "compute", metric.compute()) for metric in metrics]
            values = {key: value for found in computed for key, value in found.items()}
            kind: Any = "result" if name == GENERATED else "floor"
            rows.append(Row(label=name, kind=kind, values=values, count=self.pairs[style]))
            if name == GENERATED:
                better |= {next(iter(found), ""): m.better for m, found in zip(metrics, computed, strict=True)}
                remarks |= dict.fromkeys(line for m in metrics for line in lines_of(m, "remarks", m.remarks()))
        if self.without_target:
            remarks[f"translations without a target, not among these pairs: {self.without_target}"] = None
        better.pop("", None)
        of = f"mean of {self.pairs[style]} pairs"
        return Table(rows=rows, better=better, unit="pair", of=of, remarks=list(remarks))
