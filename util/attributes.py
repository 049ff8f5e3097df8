"""Attributes that captions say of pictures and pictures show."""

import torch

UNSAID = -1  # of an attribute that a caption leaves open, or that a picture is not known to show


def holds(said: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """(N, M) bool: whether caption i is true of picture j, which then shows all that the caption says.

    Args:
        said, shown: (N, A) and (M, A) int64, places among the values of each attribute; -1 is unsaid or not known.
    """
    true = torch.ones(len(said), len(shown), dtype=torch.bool, device=said.device)
    for says, shows in zip(said.T, shown.T, strict=True):
        true &= (says[:, None] == UNSAID) | (says[:, None] == shows)
    return true
