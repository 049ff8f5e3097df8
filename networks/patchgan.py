"""Discriminators that judge patches (Isola et al., 2017), with the anti-aliased sampling of CUT."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
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

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The activations (B, C_l, H_l, W_l) of every layer but the last."""
        wanted = [i for i, layer in enumerate(self.model) if isinstance(layer, nn.LeakyReLU)]
        features = lean.run(self.model, x, wanted, wanted[-1])[1]
        return [features[i] for i in wanted]


class MultiscaleDiscriminator(nn.Module):
    """Patch discriminators of the image, of its half, and so on; the logits of each scale, the finest first.

    Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (CVPR 2018), section
    3.2. Each ``scale<i>`` is a :class:`PatchDiscriminator`; images are halved by averages.
    """

    def __init__(self, scales: int, *arguments: Any):
        super().__init__()
        for i in range(scales):
            self.add_module(f"scale{i}", PatchDiscriminator(*arguments))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [D(image) for D, image in self._at_scales(x)]

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What every layer of every scale puts out, but for the logits: what feature matching compares."""
        return [feature for D, image in self._at_scales(x) for feature in D.features(image)]

    def _at_scales(self, x: torch.Tensor) -> Iterator[tuple[Any, torch.Tensor]]:
        for i, D in enumerate(self.children()):
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if i else x
            yield D, x


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
def multiscale(
    input_nc: int, ndf: int, n_layers: int = 3, norm: str = "instance", no_antialias: bool = False, scales: int = 2
) -> MultiscaleDiscriminator:
    return MultiscaleDiscriminator(scales, input_nc, ndf, n_layers, norm, no_antialias)


@register_D
def pixel(input_nc: int, ndf: int, norm: str = "instance") -> PixelDiscriminator:
    return PixelDiscriminator(input_nc, ndf, norm)
