"""Two players who compare an image with one of the other kind."""

import math
from typing import Literal

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def relativistic(mine: torch.Tensor, others: torch.Tensor, reduction: Literal["mean", "none"] = "mean") -> torch.Tensor:
    r"""How far an image that is to score high is from scoring above its partner.

    .. math:: \frac{1}{B}\sum_i \log\bigl(1 + e^{D(y_i) - D(x_i)}\bigr)

    D minimises it of real images and fakes, G of fakes and real images. The loss of Jolicoeur-Martineau, "The
    relativistic discriminator" (ICLR 2019), as Huang et al. have it in "The GAN is dead; long live the GAN!" (NeurIPS
    2024). Pairs are the i-th of each kind. Only differences count, so nothing holds the mean of D's logits.

    Args:
        mine, others: (B,) logits of x and y.

    Returns:
        nats; log 2 where both logits of each pair are equal.
    """
    each = F.softplus(others - mine)
    return each if reduction == "none" else each.mean()


def relativistic_levels() -> dict[str, float]:
    """Where it starts, all logits being equal, and how low it gets, in nats."""
    return {"chance": math.log(2), "floor": 0.0}
