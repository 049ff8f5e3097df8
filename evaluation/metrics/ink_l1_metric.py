"""L1 in units of the ink that should be there."""

import torch

from evaluation.metrics.base_ratio import RatioMetric
from evaluation.metrics.shared.ink import ink


class InkL1Metric(RatioMetric):
    r""":math:`\sum |x - \hat x| \,/\, \sum x` of ink x in [0, 1], of every style its total over its total.

    0 is equal and a white page is 1, for thin and for bold fonts alike; glyphs that share no ink reach 2.
    """

    name = "L1 / ink"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = ink(real)
        return (ink(fake) - x).abs().sum((1, 2)), x.sum((1, 2))
