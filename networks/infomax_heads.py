"""The heads of InfoMax-GAN: local and global features of an image in one space, where inner products compare them."""

import torch
import torch.nn.functional as F
from torch import nn

from .sngan import draw_xavier


class Critic(nn.Module):
    """A residual layer on vectors, (..., channels) to (..., out); Lee et al. (WACV 2021).

    Args:
        out: R, the dimension of the space; published: 1024.
    """

    own_init = True

    def __init__(self, channels: int, out: int = 1024):
        super().__init__()
        self.hidden, self.out = nn.Linear(channels, channels), nn.Linear(channels, out)
        self.shortcut = nn.Linear(channels, out)
        draw_xavier(self)

    def through(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(F.relu(self.hidden(x), inplace=True)) + self.shortcut(x)


class LocalHead(Critic):
    """Of every place of the local features (B, C, h, w): (B, A, R), A = h w. Published as 1 x 1 convolutions."""

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.through(local.flatten(2).transpose(1, 2))


class GlobalHead(Critic):
    """Of the pooled features (B, F): (B, R)."""

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.through(pooled)
