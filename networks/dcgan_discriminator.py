"""The trunk that goes with the small generators: three strided convolutions."""

from math import prod

import torch
from torch import nn

from .attention import ReferenceAttention
from .latent import Size, first_map, shorter
from .layers import norm_layer
from .registry import register_latent_D


class DCTrunk(nn.Module):
    """x (B, C, H, W) to (local (B, 4 ndf, H/8, W/8), pooled (B, F)): ndf, 2 ndf and 4 ndf channels, LeakyReLU of 0.2.

    ``pooled`` is the last map as one vector, as in the tutorial, so where something is counts. The first layer has no
    norm. With ``reference`` half-size maps attend to those of a second image, trunk(x, reference).
    """

    def __init__(self, size: Size, channels: int, ndf: int, norm: str = "none", reference: bool = False):
        super().__init__()
        if shorter(size) % 8:
            raise ValueError(f"{shorter(size)} pixels are not a multiple of 8")
        last_map = first_map(size, shorter(size) // 8, 3)
        if last_map == (1, 1) and norm == "instance":
            raise ValueError(
                "its last map is 1 x 1, of which instance norm leaves nothing; 16 pixels do, or another norm"
            )
        self.start = nn.Sequential(nn.Conv2d(channels, ndf, 4, 2, 1), nn.LeakyReLU(0.2))
        self.attention = ReferenceAttention(ndf) if reference else None
        layers: list[nn.Module] = []
        for c in (ndf, 2 * ndf):
            layers += [nn.Conv2d(c, 2 * c, 4, 2, 1), norm_layer(norm, 2 * c), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.local_channels, self.features = 4 * ndf, 4 * ndf * prod(last_map)

    def forward(self, x: torch.Tensor, reference: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.start(x)
        if self.attention is not None:
            if reference is None:
                raise ValueError("this trunk compares each image with a reference, and none was given")
            x = self.attention(x, self.start(reference))
        local = self.layers(x)
        return local, local.flatten(1)


@register_latent_D
def dcgan(size: Size, channels: int, ndf: int, norm: str = "none", reference: bool = False) -> DCTrunk:
    return DCTrunk(size, channels, ndf, norm, reference)
