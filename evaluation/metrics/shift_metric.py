"""L1 at the best of small shifts: what is wrong apart from the place."""

import torch
import torch.nn.functional as F

from evaluation.metrics.base_ratio import RatioMetric
from evaluation.metrics.shared.ink import ink

REACH = 2  # pixels; fonts that are centred differently are up to 17 of 256 pixels apart, a pen jitters by one or two


class ShiftMetric(RatioMetric):
    """As ``ink_l1``, with every fake moved by up to 2 pixels in x and y to where it fits best; paper comes in.

    Which shifts were best is not kept.
    """

    name = "L1 / ink, best shift"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = ink(real), F.pad(ink(fake), (REACH,) * 4)
        H, W = x.shape[1:]
        places = range(2 * REACH + 1)
        errors = [(y[:, i : i + H, j : j + W] - x).abs().sum((1, 2)) for i in places for j in places]
        return torch.stack(errors).amin(0), x.sum((1, 2))
