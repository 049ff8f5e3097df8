"""What generators from noise share: how labels reach them, and norms of each class."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

Size = int | tuple[int, int]  # of a square, or height and width


def shorter(size: Size) -> int:
    """The shorter side, by which ladders of blocks are chosen."""
    return size if isinstance(size, int) else min(size)


def first_map(size: Size, bottom: int, doublings: int) -> tuple[int, int]:
    """Height and width of the map that is doubled so often, whose shorter side is ``bottom``.

    Raises:
        ValueError: the longer side of the image is none that is doubled so often.
    """
    if isinstance(size, int):
        return bottom, bottom
    longer, step = max(size), 2**doublings
    if longer % step:
        near = longer - longer % step
        raise ValueError(
            f"with {min(size)} pixels on the shorter side the longer one is a map's, doubled {doublings} times: "
            f"not {longer}, but {near} or {near + step}"
        )
    return size[0] // step, size[1] // step


class LatentGenerator(nn.Module):
    """What generators from noise have in common: G(z, y) -> images (B, channels, height, width) in [-1, 1].

    y is labels (B,), or weights of a mixture of classes (B, classes); None where there are no classes.

    Attributes:
        class_axes: of any module: {a parameter that has a row for each class: (axis, place of the first class on it)}.
    """

    class_axes: Mapping[str, tuple[int, int]] = {}

    def __init__(self, size: Size, channels: int, classes: int, z_dim: int):
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
        self.class_axes = {"rows": (0, 0)} if classes else {}
        self.rows = nn.Parameter(
            torch.cat([torch.ones(max(1, classes), channels), torch.zeros(max(1, classes), channels)], 1)
        )

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W); weights (B, classes)."""
        scale, shift = (weights @ self.rows)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * scale + shift
