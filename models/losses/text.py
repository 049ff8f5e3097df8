"""Contrasts of images with captions, of places with words, and of generated with real images."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from .precision import in_float32

SIMILARITIES_AT_ONCE = 1 << 21  # similarities of places and words up to which all are computed at once; 8 MiB
WORKING_SET = 1 << 20  # and how many at once where there are more; 4 MiB


@in_float32
def matching_loss(scores: torch.Tensor, true: torch.Tensor | None = None, symmetric: bool = True) -> torch.Tensor:
    r"""InfoNCE of pairs: find the column of each row and, ``symmetric``, the row of each column.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
              - \frac{1}{N} \sum_i \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}

    Zhang et al., "Cross-Modal Contrastive Learning for Text-to-Image Generation" (CVPR 2021), have the first sum; the
    authors' code adds the second one.

    Args:
        scores: (N, N), of row i with column j, in nats.
        true: (N, N) bool, pairs that match although they are not on the diagonal, such as images with equal captions;
            they are left out of the sums over j.

    Returns:
        in nats; 2 log N, or log N, where all scores are equal and none is left out.
    """
    if true is not None:
        own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(true & ~own, -math.inf)
    target = torch.arange(len(scores), device=scores.device)
    rows = F.cross_entropy(scores, target)
    return rows + F.cross_entropy(scores.T, target) if symmetric else rows


@in_float32
def cosine_scores(x: torch.Tensor, y: torch.Tensor, tau: float = 0.1) -> torch.Tensor:
    """cos(x_i, y_j) / tau, (N, M), for x (N, F) and y (M, F)."""
    return F.normalize(x, dim=1) @ F.normalize(y, dim=1).T / tau


@in_float32
def word_scores(
    regions: torch.Tensor,
    words: torch.Tensor,
    mask: torch.Tensor,
    tau: float = 0.02,
    rho1: float = 5.0,
    rho2: float = 5.0,
    length_norm: bool = False,
    at_once: int = SIMILARITIES_AT_ONCE,
    places: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""How well the words of each caption are found among the places of each image.

    .. math:: S = \frac{1}{\tau \rho_2} \log \sum_h e^{\rho_2 \cos(w_h, c_h)}, \quad
              c_h = \sum_j \alpha_{hj} r_j, \quad \alpha_{hj} = \operatorname{softmax}_j(\rho_1 \cos(w_h, r_j))

    with unit vectors r_j, after Zhang et al., "Cross-Modal Contrastive Learning for Text-to-Image Generation" (CVPR
    2021), and the authors' constants. No context c_h is built: its product with a word is a mean of those of places,
    and its length follows from the places' products with each other. Where there are more than ``at_once`` similarities
    images are taken some at a time, and again in the backward pass.

    Args:
        regions: (N, R, D), places of images.
        words: (M, T, D) of captions.
        mask: (M, T) bool, True for a word; the rest means nothing.
        places: (K,) where the mask is true, counted through its rows; None asks it for them, and waits for a GPU.
        length_norm: subtract what a caption gains by its mere length T, log(T) / (tau rho2).

    Returns:
        (N, M), in nats.
    """
    M, T, _ = words.shape
    places = mask.flatten().nonzero()[:, 0] if places is None else places
    true_words = F.normalize(words.flatten(0, 1)[places], dim=1)  # (K, D)
    each = len(true_words) * regions.shape[1]
    if each * len(regions) <= at_once:
        cosines = _found(regions, true_words, rho1)  # (N, K)
    else:
        cosines = _InParts.apply(regions, true_words, rho1, max(1, min(at_once, WORKING_SET) // each))
    every = cosines.new_full((len(regions), M * T), -math.inf)
    every[:, places] = rho2 * cosines
    scores = every.view(-1, M, T).logsumexp(2)
    if length_norm:
        scores = scores - mask.sum(1).to(scores.dtype).log()
    return scores / (tau * rho2)


def _found(regions: torch.Tensor, words: torch.Tensor, rho1: float) -> torch.Tensor:
    """cos(w, c) of unit words (K, D) with their contexts in the regions (N, R, D) of images: (N, K)."""
    regions = F.normalize(regions, dim=2)
    similar = words @ regions.transpose(1, 2)  # (N, K, R)
    alpha = (rho1 * similar).softmax(2)
    length2 = ((alpha @ (regions @ regions.transpose(1, 2))) * alpha).sum(2)
    return (alpha * similar).sum(2) / length2.clamp(min=1e-12).sqrt()  # places may cancel out


class _InParts(torch.autograd.Function):
    """``_found`` of ``step`` images at a time, computed again for the gradient, which is written where it belongs."""

    @staticmethod
    def forward(ctx: Any, regions: torch.Tensor, words: torch.Tensor, rho1: float, step: int) -> torch.Tensor:
        ctx.save_for_backward(regions, words)
        ctx.rho1, ctx.step = rho1, step
        return torch.cat([_found(part, words, rho1) for part in regions.split(step)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        regions, words = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        totals = [torch.zeros_like(x) if asked else None for x, asked in zip((regions, words), wanted, strict=True)]
        for start in range(0, len(regions), ctx.step):
            rows = slice(start, start + ctx.step)
            mine, theirs = (x.detach().requires_grad_(a) for x, a in zip((regions[rows], words), wanted, strict=True))
            with torch.enable_grad():
                found = _found(mine, theirs, ctx.rho1)
            grads = iter(torch.autograd.grad(found, [x for x in (mine, theirs) if x.requires_grad], grad[rows]))
            for total, part in zip(totals, (rows, slice(None)), strict=True):
                if total is not None:
                    total[part] += next(grads)
        return *totals, None, None


def matching_levels(count: int, symmetric: bool = True) -> Mapping[str, float]:
    """Chance and floor of :func:`matching_loss` for so many pairs that are all different."""
    return {"chance": (1 + symmetric) * math.log(count), "floor": 0.0}
