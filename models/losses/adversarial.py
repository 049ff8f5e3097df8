"""The two players' objectives."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .precision import in_float32

GAN_MODES = ("lsgan", "vanilla", "nonsaturating", "hinge", "hinge_paper", "wgangp")


@in_float32
def gan_loss(logits: torch.Tensor | Sequence[torch.Tensor], real: bool, mode: str, *, for_D: bool) -> torch.Tensor:
    """How far D's logits are from saying ``real``; the mean over every logit.

    ``lsgan`` squared error to 1 or 0 (Mao et al., 2017); ``vanilla`` and ``nonsaturating`` the same cross entropy
    (Goodfellow et al., 2014); ``hinge`` as DCLGAN's code has it, where G too is clipped, so that a fake scored
    above 1 gives it no gradient; ``hinge_paper`` where G maximises D(fake) (Lim and Ye, 2017); ``wgangp`` the
    critic of Gulrajani et al. (2017), whose gradient penalty is a term of its own.

    Args:
        logits: (B, ...) unnormalised scores of D; of several scales one each, whose means are averaged.
        real: the answer this player wants.
        mode: one of GAN_MODES.
        for_D: who is playing; only ``hinge_paper`` treats the players differently.

    Raises:
        ValueError: unknown mode.
    """
    if not isinstance(logits, torch.Tensor):
        return torch.stack([gan_loss(scale, real, mode, for_D=for_D) for scale in logits]).mean()
    sign = 1.0 if real else -1.0
    if mode == "lsgan":
        return (logits - float(real)).square().mean()
    if mode in ("vanilla", "nonsaturating"):
        return F.softplus(-sign * logits).mean()
    if mode == "hinge" or (mode == "hinge_paper" and for_D):
        return F.relu(1 - sign * logits).mean()
    if mode in ("wgangp", "hinge_paper"):
        return -sign * logits.mean()
    raise ValueError(f"unknown gan mode {mode!r}; choose from {GAN_MODES}")


def balance(loss_D: torch.Tensor) -> torch.Tensor:
    """zi2zi-pytorch's weight of the adversarial term: small while D is lost, and while D has won."""
    weight = torch.full_like(loss_D, 0.05)
    for bound, below in ((5.0, 0.60), (0.2, 0.50), (0.08, 0.35), (0.02, 0.20)):
        weight = torch.where(loss_D < bound, below, weight)
    return weight
