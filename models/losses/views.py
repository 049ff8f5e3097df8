"""Contrast between two views of each image of a batch."""

import math

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def between_views(one: torch.Tensor, other: torch.Tensor, tau: float = 0.1) -> torch.Tensor:
    r"""NT-Xent: recognise the other view of an image among the views of all the others.

    .. math:: \ell = -\frac{1}{2N} \sum_{i} \log
              \frac{\exp(z_i\cdot z_{p(i)}/\tau)}{\sum_{j \ne i} \exp(z_i\cdot z_j/\tau)}

    Equation 1 of Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (ICML 2020),
    averaged over all 2N views as there; p(i) is the other view of i's image. Given the rows of every process, it is the
    loss of the whole batch.

    Args:
        one, other: (N, D) unit vectors of two views, a row an image.
        tau: temperature, dimensionless.

    Returns:
        nats; log(2N - 1) where all views are alike.
    """
    views = torch.cat([one, other])
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / tau).masked_fill(itself, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(views), device=views.device).roll(len(one)))


def views_levels(images: int) -> dict[str, float]:
    """Where the term starts, all views being alike, in nats."""
    return {"chance": math.log(2 * images - 1)}
