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


def views_floor(images: int, tau: float) -> float:
    """How low it gets: both views of an image alike, the images at the cosine -1/(N-1) of a simplex."""
    return math.log1p((2 * images - 2) * math.exp(-(1 + 1 / (images - 1)) / tau)) if images > 1 else 0.0


@in_float32
def told_from(own: torch.Tensor, others: torch.Tensor, tau: float = 0.1) -> torch.Tensor:
    r"""Recognise the images of a kind, each as alike as the next, among those of the other kind.

    .. math:: \ell = -\frac{1}{N(N-1)} \sum_{i} \sum_{p \ne i} \log \frac{\exp(z_i\cdot z_p/\tau)}
              {\sum_{j \ne i} \exp(z_i\cdot z_j/\tau) + \sum_{k} \exp(z_i\cdot v_k/\tau)}

    The contrast of generated images of Jeong and Shin, "Training GANs with Stronger Augmentations via Contrastive
    Discriminator" (ICLR 2021): Khosla et al.'s supervised contrast where the N fakes are one class, the M views of real
    images have none, and the fakes alone are anchors. Given the rows of every process, it is the loss of the whole
    batch.

    Args:
        own: (N, D) unit vectors, N > 1.
        others: (M, D) unit vectors; a gradient flows into them too.
        tau: temperature, dimensionless.

    Returns:
        nats; log(N + M - 1) where all are alike, no less than log(N - 1).
    """
    N = len(own)
    itself = torch.eye(N, dtype=torch.bool, device=own.device)
    alike = own @ own.T / tau  # (N, N)
    everyone = torch.cat([alike.masked_fill(itself, -torch.inf), own @ others.T / tau], 1).logsumexp(1)
    return (everyone - alike.masked_fill(itself, 0.0).sum(1) / (N - 1)).mean()


def told_levels(own: int, others: int) -> dict[str, float]:
    """Where ``told_from`` starts, all vectors being alike, and how low it gets, in nats."""
    return {"chance": math.log(own + others - 1), "floor": math.log(own - 1)}
