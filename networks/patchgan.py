"""Discriminators that judge patches (Isola et al., 2017), with the anti-aliased sampling of CUT."""

import torch
from torch import nn

from . import lean
from .layers import Downsample, norm_layer
from .registry import register_D


class PatchDiscriminator(nn.Module):
    """Image (B, in, H, W) to one logit per overlapping patch, (B, 1, h, w); 70 x 70 pixels for three layers."""

    def __init__(self, input_nc: int, ndf: int, n_layers: int = 3, norm: str = "instance", no_antialias: bool = False):
        super().__init__()
        bias, stride = norm == "instance", 2 if no_antialias else 1

        def halve(channels: int) -> list[nn.Module]:
            return [] if no_antialias else [Downsample(channels)]

        layers: list[nn.Module] = [nn.Conv2d(input_nc, ndf, 4, stride, 1), nn.LeakyReLU(0.2, True), *halve(ndf)]
        channels = ndf
        for n in range(1, n_layers + 1):
            wider, last = ndf * min(2**n, 8), n == n_layers
            layers += [
                nn.Conv2d(channels, wider, 4, 1 if last else stride, 1, bias=bias),
                norm_layer(norm, wider),
                nn.LeakyReLU(0.2, True),
                *([] if last else halve(wider)),
            ]
            channels = wider
        self.model = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return lean.run(self.model, x)[0]


class PixelDiscriminator(nn.Module):
    """Image (B, in, H, W) to one logit per pixel, (B, 1, H, W), from that pixel's colour alone."""

    def __init__(self, input_nc: int, ndf: int, norm: str = "instance"):
        super().__init__()
        bias = norm == "instance"
        self.net = nn.Sequential(
            nn.Conv2d(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(norm, 2 * ndf),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@register_D
def basic(input_nc: int, ndf: int, norm: str = "instance", no_antialias: bool = False) -> PatchDiscriminator:
    return PatchDiscriminator(input_nc, ndf, 3, norm, no_antialias)


@register_D
def n_layers(
    input_nc: int, ndf: int, n_layers: int = 3, norm: str = "instance", no_antialias: bool = False
) -> PatchDiscriminator:
    return PatchDiscriminator(input_nc, ndf, n_layers, norm, no_antialias)


@register_D
def pixel(input_nc: int, ndf: int, norm: str = "instance") -> PixelDiscriminator:
    return PixelDiscriminator(input_nc, ndf, norm)
