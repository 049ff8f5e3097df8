"""What generators from noise share: how labels reach them, and norms of each class."""

import torch
import torch.nn.functional as F
from torch import nn


class LatentGenerator(nn.Module):
    """What generators from noise have in common: G(z, y) -> images (B, channels, size, size) in [-1, 1].

    y is labels (B,), or weights of a mixture of classes (B, classes); None where there are no classes.
    """

    def __init__(self, size: int, channels: int, classes: int, z_dim: int):
        super().__init__()
        self.size, self.channels, self.classes, self.z_dim = size, channels, classes, z_dim

    def weights(self, y: torch.Tensor | None, z: torch.Tensor) -> torch.Tensor:
        """Labels as one-hot rows (B, classes); without classes (B, 1) of ones, for tables of one row."""
        if self.classes == 0:
            return z.new_ones(len(z), 1)
        if y is None:
            raise ValueError(f"a generator of {self.classes} classes needs labels or weights of them")
        return y if y.is_floating_point() else F.one_hot(y, self.classes).to(z.dtype)


class ClassNorm(nn.Module):
    """Batch norm with a scale and a shift of each class (Miyato and Koyama, 2018); of all alike without classes."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.rows = nn.Parameter(
            torch.cat([torch.ones(max(1, classes), channels), torch.zeros(max(1, classes), channels)], 1)
        )

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W); weights (B, classes)."""
        scale, shift = (weights @ self.rows)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * scale + shift
