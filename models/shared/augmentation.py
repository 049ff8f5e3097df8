"""What a discriminator of few images sees of them: altered ones, always, or as often as it over-fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from networks.ada import AdaptiveProbability
from networks.diff_augment import DiffAugment
from options import BaseOptions, UserError, option

Gather = Callable[[torch.Tensor], torch.Tensor]
Annealed = Callable[[float, float], float]


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions(BaseOptions):
    section = "stabilisers of the discriminator"
    of_a_family = True
    augment_D: str = option("", "DiffAugment of all that D sees: words of color,translation,cutout; empty is none")
    augment_p: float = option(
        1.0, "probability of each operation of --augment_D for each image, without --ada_target", least=0, most=1
    )
    augment_p_from: float | None = option(
        None, "that it begins with, to anneal to --augment_p (--anneal_images); none is --augment_p", least=0, most=1
    )
    ada_target: float = option(
        0.0, "let D's over-fitting decide how often --augment_D is applied (ADA); 0.6 is usual, 0 is always", least=0
    )
    ada_kimg: float = option(500.0, "ADA: thousand images in which that frequency can go from 0 to 1", above=0)


class Augmentation(nn.Module):
    """Its state is in buffers, so that a continued run goes on with it; without ADA it has none.

    Args:
        opt: AugmentationOptions, with the ``gan_mode``.
        annealed: the value now of what goes from one to the other; without it --augment_p is constant.
    """

    def __init__(self, opt: Any, annealed: Annealed = lambda start, end: end):
        super().__init__()
        try:
            self.policy = DiffAugment(opt.augment_D) if opt.augment_D else None
        except ValueError as error:
            raise UserError(f"--augment_D {opt.augment_D}: {error}") from None
        target = opt.ada_target
        if target >= 1:
            raise UserError(f"--ada_target {target}: the mean of a sign, which 1 never exceeds; 0.6 is usual")
        if target > 0 and self.policy is None:
            raise UserError(f"--ada_target {target}: says how often --augment_D is applied, and there is none")
        if target > 0 and opt.gan_mode == "wgangp":
            raise UserError(
                f"--ada_target {target} --gan_mode wgangp: asks for the sign of D's answers, of which wgangp fixes "
                "differences alone; leave it out, then --augment_D is always applied"
            )
        start = opt.augment_p if opt.augment_p_from is None else opt.augment_p_from
        if (start, opt.augment_p) != (1.0, 1.0) and (target > 0 or self.policy is None):
            told = f"--augment_p {opt.augment_p}" + f" --augment_p_from {start}" * (opt.augment_p_from is not None)
            why = f"--ada_target {target} decides it" if target > 0 else "there is none"
            raise UserError(f"{told}: how often --augment_D is applied, and {why}; leave it out")
        self.p, self.annealed = (start, opt.augment_p), annealed
        self.ada = AdaptiveProbability(target, opt.ada_kimg) if target > 0 else None
        self.even = 0.5 if opt.gan_mode == "lsgan" else 0.0  # the answer of a D that cannot tell

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """Images as D is to see them; a gradient goes through."""
        if self.policy is None:
            return images
        return self.policy(images, self.annealed(*self.p) if self.ada is None else self.ada.p)

    def observe(self, real_logits: torch.Tensor | Sequence[torch.Tensor], gather: Gather) -> None:
        """Take down D's answers (B, ...) about real images, of several scales a tensor each; those of every process."""
        if self.ada is None:
            return
        scales = [real_logits] if isinstance(real_logits, torch.Tensor) else real_logits
        signs = [(logits.detach().float() - self.even).sign().flatten(1).mean(1) for logits in scales]
        self.ada.count(gather(torch.stack(signs).mean(0)))
