"""The head of SimDCL: one vector for all the patch vectors of an image (Han et al., 2021, equation 6)."""

import torch
from torch import nn

from .heads import unit
from .registry import register_F


class Mapping(nn.Module):
    """Stack (L, H, W) or (B, L, H, W) of one matrix per tapped layer, to unit vectors (B, 64) in float32.

    In SimDCL H counts patches and W their values. The published one takes a single stack of 256 x 256. Unlike other
    heads it is called on the stack alone: ``mapping(stack)``.
    """

    def __init__(self, n_layers: int):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(n_layers, 64, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
        )

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        return unit(self.model(stack[None] if stack.ndim == 3 else stack))


@register_F
def mapping(n_layers: int) -> Mapping:
    return Mapping(n_layers)
