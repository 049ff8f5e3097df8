"""Losses of pairs by pytorch-metric-learning, without the questions that would wait for a device."""

from typing import Any, Literal

import torch
from pytorch_metric_learning.losses import ContrastiveLoss, NTXentLoss, SupConLoss
from pytorch_metric_learning.reducers import MeanReducer


def pair_loss(kind: str, tau: float, margin: float) -> Any:
    """``supcon``, ``ntxent`` or ``margin``, as :func:`models.losses.contrast.contrast_pairs` says."""
    if kind == "supcon":
        return SupCon(temperature=tau, reducer=MeanOfPositive())
    if kind == "ntxent":
        return NTXentLoss(temperature=tau)
    return ContrastiveLoss(pos_margin=0, neg_margin=margin, reducer=MeanOfPositive())


class Known:
    """A mask of which some element is known to be true: what is asked of it is answered without its values."""

    def __init__(self, mask: torch.Tensor):
        self.mask = mask

    def bool(self) -> "Known":
        return self

    def any(self) -> Literal[True]:
        return True

    def sum(self, dim: int) -> torch.Tensor:
        return self.mask.sum(dim=dim)

    def __add__(self, other: "Known") -> torch.Tensor:
        return self.mask + other.mask

    def __mul__(self, other: torch.Tensor) -> torch.Tensor:
        return self.mask * other


class SupCon(SupConLoss):
    """The library's, without its questions whether there are pairs, and whether one is of both kinds: neither is so."""

    def _compute_loss(self, mat: torch.Tensor, pos_mask: torch.Tensor, neg_mask: torch.Tensor) -> Any:
        return super()._compute_loss(mat, Known(pos_mask), Known(neg_mask))

    @staticmethod
    def _assert_either_pos_or_neg(pos_mask: torch.Tensor, neg_mask: torch.Tensor) -> None:
        pass


class MeanOfPositive(MeanReducer):
    """The library's AvgNonZeroReducer without its selection, whose length would be asked for."""

    def element_reduction(self, losses: torch.Tensor, *_: Any) -> torch.Tensor:
        counts = losses > 0
        return torch.where(counts, losses, 0.0).sum() / counts.sum().clamp(min=1)
