"""PatchNCE whose negatives are weighted by an optimal transport between queries and keys."""

from typing import Literal

import torch

from .precision import in_float32

ROUNDS = 50  # of Sinkhorn, as published
LEAST = 1e-8  # of a negative's weight, as published
LINEAR = 0.05  # cosines over an eps from here on span e^40, which floats of 32 bits hold


@in_float32
def monce(
    queries: torch.Tensor,
    keys: torch.Tensor,
    tau: float = 0.07,
    eps: float = 1.0,
    cost: Literal["hard", "easy"] = "hard",
    weight: float = 1.0,
    rounds: int = ROUNDS,
    exact_mask: bool = True,
    constant_weights: bool = False,
    reduction: str = "mean",
) -> torch.Tensor:
    r"""MoNCE: negatives push with weights of the same total for every query and every key.

    .. math:: \ell_i = -\log \frac{e^{s_{ii}/\tau}}{e^{s_{ii}/\tau} + \sum_{j \ne i} w_{ij} e^{s_{ij}/\tau}},
              \qquad w_{ij} = Q (S - 1) P_{ij}

    Zhan et al., "Modulated Contrast for Versatile Image Synthesis" (CVPR 2022). P is the entropic transport between the
    S queries and the S keys of one image, off the diagonal: Sinkhorn's rounds begin with the columns at one and end
    with them, so that rows and columns sum to 1.

    Args:
        queries, keys: (B, S, D) unit vectors; no gradient flows into the keys.
        eps: of the transport; large values make all weights equal, which is PatchNCE.
        cost: ``hard`` gives weight to similar negatives, ``easy`` to dissimilar ones.
        weight: Q, of all negatives together.
        exact_mask: no mass on the diagonal; the published code leaves e^(-10/eps) there.
        constant_weights: no gradient through the weights; the published code differentiates all rounds.
        reduction: ``mean``, or ``none`` for the values of all queries, (B, S).

    Returns:
        nats; log S where all vectors are equal and Q is 1.
    """
    keys = keys.detach()
    s = queries @ keys.transpose(1, 2)  # (B, S, S)
    S = s.shape[1]
    itself = torch.eye(S, dtype=torch.bool, device=s.device)
    log_w = log_weights(s.detach() if constant_weights else s, itself, eps, cost, rounds, exact_mask)
    log_w = (weight * (S - 1) * log_w.exp() + LEAST).log().masked_fill(itself, 0.0)
    values = torch.logsumexp(s / tau + log_w, 2) - s.diagonal(dim1=1, dim2=2) / tau
    return values.mean() if reduction == "mean" else values


def log_weights(s: torch.Tensor, itself: torch.Tensor, eps: float, cost: str, rounds: int, exact: bool) -> torch.Tensor:
    """log P of cosines (B, S, S): Sinkhorn's rounds, in logarithms where e^(s/eps) has no float."""
    log_K = (s if cost == "hard" else 1 - s) / eps
    log_K = log_K.masked_fill(itself, -torch.inf if exact and s.shape[1] > 1 else -10 / eps)
    if eps < LINEAR:
        log_v = torch.zeros_like(s[:, 0])
        for _ in range(rounds):
            log_u = -torch.logsumexp(log_K + log_v[:, None], 2)
            log_v = -torch.logsumexp(log_K + log_u[:, :, None], 1)
        return log_u[:, :, None] + log_K + log_v[:, None]
    K = (log_K - log_K.amax(2, keepdim=True).detach()).exp()  # a factor of a row is one that u takes back
    v = torch.ones_like(s[:, 0, :, None])  # (B, S, 1)
    for _ in range(rounds):
        u = (K @ v).reciprocal()
        v = (K.transpose(1, 2) @ u).reciprocal()
    return u.log() + log_K - log_K.amax(2, keepdim=True).detach() + v.transpose(1, 2).log()
