"""Peak signal-to-noise ratio."""

from typing import Any

import torch

from evaluation.metrics.base_metric import Facts
from evaluation.metrics.base_ratio import RatioMetric

MOST = 100.0  # dB of images whose mean square difference is 1e-10 or less; one level of 8 bits in 65,536 is 96 dB


class PsnrMetric(RatioMetric):
    r""":math:`-10 \log_{10} \operatorname{mean} (x - \hat x)^2` in dB, of images in [0, 1]; the mean of the pairs.

    Equal images would have infinitely many and count as 100, which a remark tells. One level of 255 everywhere is 48.
    """

    better = "higher"
    name = "PSNR"

    def __init__(self, opt: Any = None) -> None:
        super().__init__(opt)
        self.equal, self.count = 0, 0

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        super().update(real, fake, facts)
        self.equal += int((real == fake).flatten(1).all(1).sum())
        self.count += len(real)

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        error = ((real.double() - fake.double()) / 2).square().flatten(1).mean(1)
        decibels = -10 * error.clamp(min=10 ** (-MOST / 10)).log10()
        return decibels, torch.ones_like(decibels)

    def remarks(self) -> list[str]:
        if not self.equal:
            return []
        return [f"PSNR: {self.equal} of {self.count} pairs are equal, which counts as {MOST:.0f} dB"]
