"""Contrast between patches."""

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def patch_nce(
    queries: torch.Tensor,
    keys: torch.Tensor,
    tau: float = 0.07,
    across_batch: bool = False,
    cosine: bool = False,
    reduction: str = "mean",
    more: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""PatchNCE: recognise the patch of the input at the location of each output patch.

    .. math:: \ell = -\frac{1}{BS} \sum_{b,s} \log
              \frac{\exp(q_{bs}\cdot k_{bs}/\tau)}{\sum_{s'} \exp(q_{bs}\cdot k_{bs'}/\tau)}

    Equation 3 of Park et al., "Contrastive Learning for Unpaired Image-to-Image Translation" (ECCV 2020). The
    published code appends a constant logit of -10/tau to each row, e^-143 beside e^0 at tau = 0.07; it is left out.

    Args:
        queries: (B, S, D) unit vectors of output patches.
        keys: (B, S, D) unit vectors of input patches; no gradient flows into them.
        tau: temperature, dimensionless.
        across_batch: take negatives from every image of the batch (SinCUT, DCLGAN), not from the same image only.
        cosine: normalise both sides again, as DCLGAN does; it matters where vectors are shorter than one.
        reduction: ``mean``, or ``none`` for the value of every patch.
        more: (Q, D) further negatives for every patch, from elsewhere; rows of zeros are none.

    Returns:
        the mean over patches, in nats; log S when all vectors are equal. With ``none``, (B * S,).
    """
    keys = keys.detach()
    if cosine:
        queries, keys = F.normalize(queries, dim=-1, eps=1e-8), F.normalize(keys, dim=-1, eps=1e-8)
    if across_batch:
        queries, keys = queries.flatten(0, 1)[None], keys.flatten(0, 1)[None]
    logits = queries @ keys.transpose(1, 2) / tau  # (B, S, S)
    if more is not None and len(more):
        more = F.normalize(more, dim=-1, eps=1e-8) if cosine else more
        others = (queries @ more.T / tau).masked_fill(~more.any(1), -torch.inf)
        logits = torch.cat([logits, others], 2)  # (B, S, S + Q)
    target = torch.arange(logits.shape[1], device=logits.device).repeat(logits.shape[0])
    return F.cross_entropy(logits.flatten(0, 1), target, reduction=reduction)


@in_float32
def nce_against(
    queries: torch.Tensor, keys: torch.Tensor, negatives: torch.Tensor, tau: float = 0.07, reduction: str = "mean"
) -> torch.Tensor:
    r"""PatchNCE against negatives that are made, and no patch of the image.

    .. math:: \ell_i = -\log \frac{e^{q_i \cdot k_i / \tau}}{e^{q_i \cdot k_i / \tau} + \sum_m e^{q_i \cdot n_m / \tau}}

    Equation 4 of Wang et al., "Instance-wise Hard Negative Example Generation for Contrastive Learning in Unpaired
    Image-to-Image Translation" (ICCV 2021).

    Args:
        queries, keys: (B, S, D) unit vectors; no gradient flows into the keys.
        negatives: (B, M, D) unit vectors of each image.
        reduction: ``mean``, or ``none`` for (B, S).

    Returns:
        nats; log(1 + M) where all vectors are equal.
    """
    positive = (queries * keys.detach()).sum(2, keepdim=True)
    logits = torch.cat([positive, queries @ negatives.transpose(1, 2)], 2) / tau
    values = torch.logsumexp(logits, 2) - logits[..., 0]
    return values.mean() if reduction == "mean" else values


def diversity(negatives: torch.Tensor) -> torch.Tensor:
    """Mean distance in a coordinate of each negative of (B, M, D) from the one M / 2 on; an odd last is left out.

    It is largest, 2 / sqrt(D), where pairs differ in every coordinate alike.
    """
    half = negatives.shape[1] // 2
    return (negatives[:, :half] - negatives[:, half : 2 * half]).abs().mean()
