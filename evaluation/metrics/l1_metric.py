"""Mean absolute difference between an image and what it should be."""

from typing import Any

import torch

from evaluation.metrics.base_metric import Facts, Metric


class L1Metric(Metric):
    r""":math:`\operatorname{mean} |x - \hat x|` in units of the white-to-black range: 0 is equal, 1 is inverted."""

    def __init__(self, opt: Any = None) -> None:
        super().__init__(opt)
        self.total, self.count = 0.0, 0

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        self.total += (real.double() - fake.double()).abs().sum().item() / 2
        self.count += real.numel()

    def compute(self) -> dict[str, float]:
        return {"L1": self.total / self.count if self.count else float("nan")}
