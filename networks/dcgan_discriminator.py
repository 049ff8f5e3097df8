"""The trunk that goes with the small generators: three strided convolutions."""

import torch
from torch import nn

from .layers import norm_layer
from .registry import register_latent_D


class DCTrunk(nn.Module):
    """x (B, C, S, S) to (local (B, 4 ndf, S/8, S/8), pooled (B, F)): ndf, 2 ndf and 4 ndf channels, LeakyReLU of 0.2.

    ``pooled`` is the last map as one vector, as in the tutorial, so where something is counts. The first layer has no
    norm.
    """

    def __init__(self, size: int, channels: int, ndf: int, norm: str = "none"):
        super().__init__()
        if size % 8:
            raise ValueError(f"{size} pixels are not a multiple of 8")
        layers: list[nn.Module] = [nn.Conv2d(channels, ndf, 4, 2, 1), nn.LeakyReLU(0.2)]
        for c in (ndf, 2 * ndf):
            layers += [nn.Conv2d(c, 2 * c, 4, 2, 1), norm_layer(norm, 2 * c), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.local_channels, self.features = 4 * ndf, 4 * ndf * (size // 8) ** 2

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        local = self.layers(x)
        return local, local.flatten(1)


@register_latent_D
def dcgan(size: int, channels: int, ndf: int, norm: str = "none") -> DCTrunk:
    return DCTrunk(size, channels, ndf, norm)
