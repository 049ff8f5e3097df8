"""Contrastive learning on labelled vectors: what is the same character, what is the same style."""

from typing import Any, Literal

import torch
from pytorch_metric_learning.losses import ContrastiveLoss, NTXentLoss, SupConLoss
from pytorch_metric_learning.reducers import MeanReducer

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
    the device for, and so wait for, is known here; see the classes below.

    Args:
        vectors: (N, D), any length; compared by direction.
        pairs: of :func:`pairs_of`, every one that counts.
        keys: (M, D) that receive no gradient; ``vectors`` themselves where none are given.
        tau: temperature of ``supcon`` and ``ntxent``.
        margin: of ``margin``, between 0 and 2.
    """
    keys = vectors if keys is None else keys.detach()
    loss = {
        "supcon": lambda: _SupCon(temperature=tau, reducer=_MeanOfPositive()),
        "ntxent": lambda: NTXentLoss(temperature=tau),
        "margin": lambda: ContrastiveLoss(pos_margin=0, neg_margin=margin, reducer=_MeanOfPositive()),
    }[kind]()
    nothing = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)  # labels, which pairs replace
    of_keys = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
    return loss(vectors, nothing, pairs, keys, of_keys)


class _Known:
    """A mask of which some element is known to be true: what is asked of it is answered without its values."""

    def __init__(self, mask: torch.Tensor):
        self.mask = mask

    def bool(self) -> "_Known":
        return self

    def any(self) -> Literal[True]:
        return True

    def sum(self, dim: int) -> torch.Tensor:
        return self.mask.sum(dim=dim)

    def __add__(self, other: "_Known") -> torch.Tensor:
        return self.mask + other.mask

    def __mul__(self, other: torch.Tensor) -> torch.Tensor:
        return self.mask * other


class _SupCon(SupConLoss):
    """The library's, without its questions whether there are pairs, and whether one is of both kinds: neither is so."""

    def _compute_loss(self, mat: torch.Tensor, pos_mask: torch.Tensor, neg_mask: torch.Tensor) -> Any:
        return super()._compute_loss(mat, _Known(pos_mask), _Known(neg_mask))

    @staticmethod
    def _assert_either_pos_or_neg(pos_mask: torch.Tensor, neg_mask: torch.Tensor) -> None:
        pass


class _MeanOfPositive(MeanReducer):
    """The library's AvgNonZeroReducer without its selection, whose length would be asked for."""

    def element_reduction(self, losses: torch.Tensor, *_: Any) -> torch.Tensor:
        counts = losses > 0
        return torch.where(counts, losses, 0.0).sum() / counts.sum().clamp(min=1)
