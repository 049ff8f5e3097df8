"""Terms that keep a discriminator smooth."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F

from .precision import in_float32


def total(logits: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of all logits, of one scale or of several."""
    return logits.sum() if isinstance(logits, torch.Tensor) else torch.stack([x.sum() for x in logits]).sum()


@in_float32
def gradient_penalty(real: torch.Tensor, fake: torch.Tensor, D: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    r"""WGAN-GP: D's gradient has length one on the lines between real and generated images.

    .. math:: \mathbb{E}\,(\lVert\nabla_{\hat x} D(\hat x)\rVert_2 - 1)^2,\quad
              \hat x = \alpha x + (1-\alpha)\tilde x,\ \alpha\sim U[0,1]\ \text{per image}

    Equation 3 of Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017), without its weight.

    Args:
        real, fake: (B, C, H, W) in [-1, 1]; no gradient flows into them. A fake of another size is scaled to that of
            the real image, since a line needs both ends in one space.
        D: scores images; the logits of one image are summed.
    """
    if fake.shape[2:] != real.shape[2:]:
        fake = F.interpolate(fake.detach(), real.shape[2:], mode="bilinear", antialias=True)
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    mixed = (alpha * real.detach() + (1 - alpha) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(total(D(mixed)), mixed, create_graph=True)
    return (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()


@in_float32
def r1_penalty(real: torch.Tensor, D: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    r"""R1: D is flat at real images.

    .. math:: \mathbb{E}\,\lVert\nabla_x D(x)\rVert_2^2

    Equation 9 of Mescheder et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018), without its
    weight of one half.

    Args:
        real: (B, C, H, W) in [-1, 1]; no gradient flows into them.
        D: scores images; the logits of one image are summed.
    """
    real = real.detach().requires_grad_()
    return zero_centred(real, D(real))


def zero_centred(
    images: torch.Tensor, logits: torch.Tensor | Sequence[torch.Tensor], reduction: Literal["mean", "none"] = "mean"
) -> torch.Tensor:
    r"""The same of a pass that was made: of real images R1, of generated ones R2.

    Args:
        images: (B, C, H, W), a leaf that requires a gradient.
        logits: D's of these images, which may have been altered on the way; those of one image are summed.
    """
    (gradient,) = torch.autograd.grad(total(logits), images, create_graph=True)
    each = gradient.square().flatten(1).sum(1)
    return each if reduction == "none" else each.mean()


@in_float32
def total_variation(images: torch.Tensor) -> torch.Tensor:
    r"""Half the squared differences of neighbours, summed over an image and divided by its width; the mean over images.

    .. math:: \frac{1}{2 W} \sum_{h,w} (x_{h+1,w} - x_{h,w})^2 + (x_{h,w+1} - x_{h,w})^2

    As Tian's zi2zi has it, which sums over the batch too.

    Args:
        images: (B, C, H, W).
    """
    down, across = images.diff(dim=2), images.diff(dim=3)
    return (down.square().sum() + across.square().sum()) / (2 * images.shape[3] * len(images))
