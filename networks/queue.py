"""A memory of vectors, for negatives from earlier batches (He et al., Momentum Contrast, CVPR 2020, section 3.2)."""

import torch
from torch import nn


class VectorQueue(nn.Module):
    """The last ``size`` vectors that were put in, (size, dim) in float32; places not filled yet hold zeros."""

    vectors: torch.Tensor
    head: torch.Tensor

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("head", torch.zeros((), dtype=torch.long))  # the place of the next one

    @torch.no_grad()
    def put(self, rows: torch.Tensor) -> None:
        """Keep rows (N, dim) in place of the oldest; of more than ``size`` the last."""
        size = len(self.vectors)
        if size == 0:
            return
        rows = rows[-size:].to(self.vectors.dtype)
        places = (self.head + torch.arange(len(rows), device=rows.device)) % size
        # A new tensor, for a loss whose gradient is still to come may hold the old one.
        self.vectors = self.vectors.index_copy(0, places, rows)
        self.head = (self.head + len(rows)) % size
