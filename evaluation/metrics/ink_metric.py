"""How much ink there is, as part of what there should be."""

import torch

from evaluation.metrics.base_ratio import RatioMetric
from evaluation.metrics.shared.ink import ink


class InkMetric(RatioMetric):
    """Ink of the fakes over ink of the real: 1 is right, below it strokes are pale, thin or broken, above it bold."""

    better = "one"
    name = "ink"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return ink(fake).sum((1, 2)), ink(real).sum((1, 2))
