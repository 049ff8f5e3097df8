"""Contrastive learning on labelled vectors: what is the same character, what is the same style."""

import torch
from pytorch_metric_learning.losses import ContrastiveLoss, NTXentLoss, SupConLoss

from .precision import in_float32


def related(anchors: torch.Tensor, keys: torch.Tensor, differ: tuple[torch.Tensor, torch.Tensor] | None = None):
    """Which keys an anchor is to be near to, and which far from.

    Args:
        anchors, keys: labels (N,) and (M,). Where they are one tensor, a vector is no key of its own.
        differ: labels (N,) and (M,) of a second kind; a positive must have another one of these, and keys that
            share both kinds are left out. With characters here and styles as labels, the same character in another
            style stays: the hard negative.

    Returns:
        masks (N, M) of positives and of negatives.
    """
    same = anchors[:, None] == keys
    positive, negative = same, ~same
    if differ is not None:
        positive = positive & (differ[0][:, None] != differ[1])
    if anchors is keys:
        positive = positive & ~torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    return positive, negative


@in_float32
def contrast(
    vectors: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    kind: str,
    keys: torch.Tensor | None = None,
    tau: float = 0.1,
    margin: float = 0.5,
) -> torch.Tensor:
    """Draw each vector to its positives and away from its negatives; computed by pytorch-metric-learning.

    ``supcon`` is L_out of Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020, equation 2); ``ntxent``
    weighs each positive against the negatives alone (Chen et al., "A Simple Framework for Contrastive Learning",
    ICML 2020, equation 1); ``margin`` is Hadsell et al. (CVPR 2006) on distances of unit vectors: positives at
    distance 0, negatives at least ``margin`` away.

    The pairs are given one by one. Left to itself, the library compares labels, takes away the diagonal where keys
    and vectors have the same tensor of labels, and calls a batch without positives a loss of zero.

    Args:
        vectors: (N, D), any length; compared by direction.
        positive, negative: masks (N, M), of every pair that counts.
        keys: (M, D) that receive no gradient; ``vectors`` themselves where none are given.
        tau: temperature of ``supcon`` and ``ntxent``.
        margin: of ``margin``, between 0 and 2.

    Raises:
        ValueError: a vector has no positive, or there is no negative at all: nothing could be learnt.
    """
    if not positive.any(1).all():
        lonely = int((~positive.any(1)).sum())
        raise ValueError(f"{lonely} of {len(positive)} vectors have no positive in the batch")
    if not negative.any():
        raise ValueError("no vector has a negative in the batch")
    keys = vectors if keys is None else keys.detach()
    pairs = (*torch.where(positive), *torch.where(negative))  # anchor and positive, anchor and negative
    loss = {
        "supcon": lambda: SupConLoss(temperature=tau),
        "ntxent": lambda: NTXentLoss(temperature=tau),
        "margin": lambda: ContrastiveLoss(pos_margin=0, neg_margin=margin),
    }[kind]()
    nothing = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)  # labels, which pairs replace
    of_keys = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
    return loss(vectors, nothing, pairs, keys, of_keys)
