"""Metrics that are a sum over a sum."""

from typing import Any, ClassVar

import torch

from evaluation.metrics.base_metric import Facts, Metric
from util.contract import broken, kind


class RatioMetric(Metric):
    """Within each style the sum of one quantity over the sum of another, then the mean of the styles.

    A glyph weighs by its denominator, so an ink-normalised error cannot explode on a nearly empty glyph, and a style
    weighs like any other, however many of its glyphs there are. Styles whose denominator is 0 are left out.
    """

    name: ClassVar[str] = ""

    def __init__(self, opt: Any = None) -> None:
        super().__init__(opt)
        self.sums: dict[int, torch.Tensor] = {}  # style -> (2,) float64: above and below the line

    @classmethod
    def check_class(cls) -> None:
        super().check_class()
        if not isinstance(cls.name, str) or not cls.name:
            raise broken(cls, "name", f"is {cls.name!r}; it is what the value is called")

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each pair (B, C, H, W) adds above and below the line, (B,) each."""
        raise broken(self, "parts(real, fake)", "is not written: what each pair adds above and below the line")

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        parts = self.parts(real, fake)
        listed = list(parts) if isinstance(parts, list | tuple) else [parts]
        if [getattr(part, "shape", None) for part in listed] != [(len(fake),)] * 2:
            due = "two tensors (B,), what each pair adds above and below the line"
            raise broken(self, "parts", f"returned {', '.join(map(kind, listed))}; it must return {due}")
        pairs = torch.stack([part.double().cpu() for part in parts], 1)
        labels = facts["label"].tolist() if facts and "label" in facts else [0] * len(pairs)
        for label, pair in zip(labels, pairs, strict=True):
            self.sums[label] = self.sums.get(label, torch.zeros(2, dtype=torch.float64)) + pair

    def compute(self) -> dict[str, float]:
        ratios = [(above / below).item() for above, below in self.sums.values() if below > 0]
        return {self.name: sum(ratios) / len(ratios) if ratios else float("nan")}
