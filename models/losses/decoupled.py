"""Hneg-SRC: contrast without the positive below the line, and the relations between patches."""

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def hdce(
    queries: torch.Tensor, keys: torch.Tensor, tau: float = 0.07, gamma: float | None = 1.0, reduction: str = "mean"
) -> torch.Tensor:
    r"""Decoupled contrast with hard negatives.

    .. math:: \ell_i = -s_{ii}/\tau + \log \sum_{j \ne i} e^{W_{ij} s_{ij}/\tau}, \qquad
              W_{ij} = \exp((k_i \cdot k_j - \max_{l \ne i} k_i \cdot k_l) / \gamma)

    Jung, Kwon, Ye, "Exploring Patch-wise Semantic Relation for Contrastive Learning in Image-to-Image Translation
    Tasks" (CVPR 2022), as its code has it: the weight multiplies the similarity and gamma divides, where the paper
    weighs e^(s/tau) and multiplies by gamma. The **gradient** is that of the line above. The **value**, as in the
    published log, is the cross entropy with the positive below the line, whose floor is 0 where the decoupled one falls
    to log(S - 1) - 2/tau; :func:`decoupled` is the line above.

    Args:
        queries, keys: (B, S, D) unit vectors; no gradient flows into the keys. Everything is per image.
        gamma: none is W = 1. Cosines differ by 2 at most, so at 50 every weight lies in [0.96, 1].
        reduction: ``mean``, or ``none`` for the values of all queries, (B, S).
    """
    logits, itself = _logits(queries, keys, tau, gamma)
    positive = logits.diagonal(dim1=1, dim2=2)
    learns = torch.logsumexp(logits.masked_fill(itself, -torch.inf), 2) - positive
    value = torch.logsumexp(logits, 2) - positive
    values = value.detach() + learns - learns.detach()
    return values.mean() if reduction == "mean" else values


@in_float32
def decoupled(queries: torch.Tensor, keys: torch.Tensor, tau: float = 0.07, gamma: float | None = 1.0) -> torch.Tensor:
    """The function whose gradient :func:`hdce` has, (B, S); log(S - 1) where all vectors are equal."""
    logits, itself = _logits(queries, keys, tau, gamma)
    return torch.logsumexp(logits.masked_fill(itself, -torch.inf), 2) - logits.diagonal(dim1=1, dim2=2)


def hard_weights(keys: torch.Tensor, gamma: float) -> torch.Tensor:
    """W (B, S, S) of keys (B, S, D), in (0, 1] off the diagonal."""
    keys = _unit(keys.detach())
    similarity = keys @ keys.transpose(1, 2)
    itself = torch.eye(similarity.shape[1], dtype=torch.bool, device=keys.device)
    hardest = similarity.masked_fill(itself, -torch.inf).amax(2, keepdim=True)
    return ((similarity - hardest) / gamma).exp()


@in_float32
def semantic_relation(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    r"""SRC: the patches of the output should be related as those of the source are.

    .. math:: \sum_i \mathrm{JSD}(P_i, Q_i), \qquad P_i = \mathrm{softmax}_j(k_i \cdot k_j),\;
              Q_i = \mathrm{softmax}_j(q_i \cdot q_j)

    Equation 5 of the same paper; a **sum** over the places of an image, whose weight is tied to their number (256 as
    published), and the mean over images. Natural logarithms: at most S ln 2. The gradient goes to the queries alone.
    """
    q, k = _unit(queries), _unit(keys.detach())
    log_Q, log_P = F.log_softmax(q @ q.transpose(1, 2), 2), F.log_softmax(k @ k.transpose(1, 2), 2)
    P, Q = log_P.exp(), log_Q.exp()
    log_M = ((P + Q) / 2).log()
    divergence = (P * (log_P - log_M) + Q * (log_Q - log_M)).sum(2) / 2
    return divergence.sum(1).mean()


def _logits(q: torch.Tensor, k: torch.Tensor, tau: float, gamma: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    k = k.detach()
    s = q @ k.transpose(1, 2) / tau
    itself = torch.eye(s.shape[1], dtype=torch.bool, device=s.device)
    if gamma is not None:
        s = s * hard_weights(k, gamma).masked_fill(itself, 1.0)
    return s, itself


def _unit(x: torch.Tensor) -> torch.Tensor:
    """Once more over its length and 1e-7, as published; 2e-7 of the cosines."""
    return x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + 1e-7)
