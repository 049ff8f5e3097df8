"""Two players who compare each image with all of the other kind, in place of an adversarial loss."""

import math

import torch
import torch.nn.functional as F

from .precision import in_float32

DUAL_G = ("swap", "minimax", "ns")


@in_float32
def dual_D(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    r"""Recognise each real image among all generated ones, and each generated image among all real ones.

    .. math:: \frac{1}{B}\sum_i \log\Bigl(1 + \sum_j e^{f_j - r_i}\Bigr)
              + \frac{1}{B}\sum_j \log\Bigl(1 + \sum_i e^{f_j - r_i}\Bigr)

    The dual contrastive loss of Yu et al., "Dual Contrastive Loss and Attention for GANs" (ICCV 2021), as D minimises
    it: two cross entropies of B + 1 answers. One image of each kind makes it twice the relativistic loss
    softplus(f - r). Only differences count, so nothing holds the mean of D's logits. Given the rows of every process,
    it is the loss of the whole batch.

    Args:
        real, fake: (B,) logits of D; the two kinds may differ in number.

    Returns:
        the sum of both means, in nats; 2 log(B + 1) where all logits are equal.
    """
    reals = F.softplus(fake.logsumexp(0) - real).mean()
    fakes = F.softplus(fake + (-real).logsumexp(0)).mean()
    return reals + fakes


@in_float32
def dual_G(real: torch.Tensor, fake: torch.Tensor, kind: str = "swap") -> torch.Tensor:
    """G's side of ``dual_D``. No code was published and the paper's formula is a minimax, so there is a choice.

    ``swap`` is the same loss with the kinds exchanged: its gradient stays when D wins. ``minimax`` is D's with its sign
    turned, the formula to the letter: its gradient vanishes where fakes score far below reals. ``ns`` is
    softplus(-f), which looks at no real.

    Args:
        real: (B,) logits of D, for comparison: no gradient flows into them.
        fake: (B,) logits of D.
        kind: one of DUAL_G.

    Returns:
        nats; where all logits are equal, 2 log(B + 1) for ``swap``, the same below zero for ``minimax``.

    Raises:
        ValueError: unknown kind.
    """
    if kind == "swap":
        return dual_D(fake, real.detach())
    if kind == "minimax":
        return -dual_D(real.detach(), fake)
    if kind == "ns":
        return F.softplus(-fake).mean()
    raise ValueError(f"unknown kind {kind!r} of generator loss; choose from {DUAL_G}")


def dual_levels(batch: int) -> dict[str, float]:
    """Where ``dual_D`` and ``swap`` start, all logits being equal, and how low they get, in nats."""
    return {"chance": 2 * math.log(batch + 1), "floor": 0.0}
