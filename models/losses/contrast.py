"""Contrastive learning on labelled vectors: what is the same character, what is the same style."""

import torch

from .precision import in_float32

Pairs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


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


def pairs_of(positive: torch.Tensor, negative: torch.Tensor) -> Pairs:
    """Masks (N, M) as indices (P,), (P,), (Q,), (Q,): anchors and their positives, anchors and their negatives.

    How many there are is asked of the masks: best of masks on the CPU, since a GPU would be waited for.

    Raises:
        ValueError: a vector has no positive, or there is no negative at all: nothing could be learnt.
    """
    if not positive.any(1).all():
        lonely = int((~positive.any(1)).sum())
        raise ValueError(f"{lonely} of {len(positive)} vectors have no positive in the batch")
    if not negative.any():
        raise ValueError("no vector has a negative in the batch")
    anchors, near = torch.where(positive)
    others, far = torch.where(negative)
    return anchors, near, others, far


def contrast(
    vectors: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    kind: str,
    keys: torch.Tensor | None = None,
    tau: float = 0.1,
    margin: float = 0.5,
) -> torch.Tensor:
    """:func:`contrast_pairs` of all that masks (N, M) of positives and negatives hold.

    Raises:
        ValueError: as :func:`pairs_of`.
    """
    return contrast_pairs(vectors, pairs_of(positive, negative), kind, keys, tau, margin)


@in_float32
def contrast_pairs(
    vectors: torch.Tensor,
    pairs: Pairs,
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
    and vectors have the same tensor of labels, and calls a batch without positives a loss of zero. What it would ask
    the device for, and so wait for, is known here; see :mod:`.pair_losses`.

    Args:
        vectors: (N, D), any length; compared by direction.
        pairs: of :func:`pairs_of`, every one that counts.
        keys: (M, D) that receive no gradient; ``vectors`` themselves where none are given.
        tau: temperature of ``supcon`` and ``ntxent``.
        margin: of ``margin``, between 0 and 2.
    """
    keys = vectors if keys is None else keys.detach()
    from .pair_losses import pair_loss  # the library takes as long to import as half of torch

    loss = pair_loss(kind, tau, margin)
    nothing = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)  # labels, which pairs replace
    of_keys = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
    return loss(vectors, nothing, pairs, keys, of_keys)
