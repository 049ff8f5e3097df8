"""The generator of R3GAN: residual blocks without norms, whose middle convolution is of many groups.

Huang, Gokaslan, Kuleshov, Tompkin. The GAN is dead; long live the GAN! A Modern GAN Baseline. NeurIPS 2024.
Modules bear the names of the published weights.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from torch import nn

from .latent import LatentGenerator, Size, first_map, shorter
from .layers import as_it_comes, binomial
from .registry import register_latent_G

SLOPE = 0.2  # of the leaky ReLU
GAIN = sqrt(2 / (1 + SLOPE**2))  # what keeps the variance through it
OF_A_GROUP = 16  # channels; published for CIFAR-10 and FFHQ, for ImageNet 32


def scaled(weight: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
    """Draw weights of variance gain^2 / fan in."""
    return nn.init.normal_(weight, 0.0, gain / sqrt(weight[0].numel()))


class Convolution(nn.Module):
    """Without a bias, of one size; weights of variance gain^2 / fan in at the start."""

    def __init__(self, channels: int, out: int, kernel: int = 1, groups: int = 1, gain: float = 1.0):
        super().__init__()
        self.Layer = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)
        scaled(self.Layer.weight, gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.Layer(x)


class BiasedActivation(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.Bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x + self.Bias.to(x.dtype).view(-1, 1, 1), SLOPE)


class Block(nn.Module):
    """x + f(x); f widens with 1 x 1, convolves in groups with 3 x 3, and narrows with 1 x 1.

    Its last convolution begins at 0, and the gain of the others falls with the number of blocks in the network, so that
    the sum neither grows nor needs a norm (fix-up).

    Args:
        blocks: of the whole network.
    """

    def __init__(self, channels: int, groups: int, expansion: int, blocks: int):
        super().__init__()
        wide, gain = channels * expansion, GAIN * blocks**-0.25
        self.LinearLayer1 = Convolution(channels, wide, gain=gain)
        self.LinearLayer2 = Convolution(wide, wide, 3, groups, gain)
        self.LinearLayer3 = Convolution(wide, channels, gain=0.0)
        self.NonLinearity1, self.NonLinearity2 = BiasedActivation(wide), BiasedActivation(wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.LinearLayer2(self.NonLinearity1(self.LinearLayer1(x)))
        return x + self.LinearLayer3(self.NonLinearity2(y))


class Resampler(nn.Module):
    """Double or halve the size with the filter [1, 3, 3, 1]; beyond the edges there are zeros, unlike in Upsample."""

    Kernel: torch.Tensor

    def __init__(self, up: bool):
        super().__init__()
        self.up = up
        self.register_buffer("Kernel", binomial(4))  # published files hold it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        filters = self.Kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        with as_it_comes(x):
            if self.up:
                return F.conv_transpose2d(x, 4 * filters, stride=2, padding=1, groups=x.shape[1])
            return F.conv2d(x, filters, stride=2, padding=1, groups=x.shape[1])


class Resample(nn.Module):
    """Between two stages: another size and, where the widths differ, another width."""

    def __init__(self, channels: int, out: int, up: bool):
        super().__init__()
        self.Resampler = Resampler(up)
        self.LinearLayer = Convolution(channels, out) if channels != out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.LinearLayer is None:
            return self.Resampler(x)
        return self.Resampler(self.LinearLayer(x)) if self.Resampler.up else self.LinearLayer(self.Resampler(x))


class GenerativeBasis(nn.Module):
    """Vectors (B, z) to maps (B, channels, h, w): a learnt map for each channel, times a number of the vector's."""

    def __init__(self, z_dim: int, channels: int, size: tuple[int, int]):
        super().__init__()
        self.Basis = nn.Parameter(torch.randn(channels, *size))
        self.LinearLayer = nn.Linear(z_dim, channels, bias=False)
        scaled(self.LinearLayer.weight)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.Basis * self.LinearLayer(z)[:, :, None, None]


class Stage(nn.Module):
    """What is done at one size, in this order."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.Layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.Layers(x)


def blocks_of(widths: Sequence[int], groups: Sequence[int], blocks: Sequence[int], expansion: int) -> list[list[Block]]:
    """The blocks of each stage."""
    facts = zip(widths, groups, blocks, strict=True)
    return [[Block(width, g, expansion, sum(blocks)) for _ in range(count)] for width, g, count in facts]


class R3GANGenerator(LatentGenerator):
    """Noise (B, z_dim) of normal values, and classes, to images (B, channels, height, width).

    Nothing bounds the images, as published: they are learnt to lie in [-1, 1].

    Args:
        widths, groups, blocks: of each stage, from the smallest map on: channels, groups of the 3 x 3 convolutions,
            number of blocks.
        embedding: numbers of a class beside the noise.

    Raises:
        ValueError: the size is none that so many stages make.
    """

    own_init = True

    def __init__(
        self,
        size: Size,
        channels: int,
        classes: int,
        z_dim: int,
        widths: Sequence[int],
        groups: Sequence[int],
        blocks: Sequence[int],
        expansion: int = 2,
        embedding: int = 64,
    ):
        super().__init__(size, channels, classes, z_dim)
        doublings = len(widths) - 1
        bottom = first_map(size if isinstance(size, tuple) else (size, size), shorter(size) >> doublings, doublings)
        if classes:
            self.EmbeddingLayer = nn.Linear(classes, embedding, bias=False)
            scaled(self.EmbeddingLayer.weight)
            self.class_axes = {"EmbeddingLayer.weight": (1, 0)}
        first: nn.Module = GenerativeBasis(z_dim + (embedding if classes else 0), widths[0], bottom)
        begin = [first, *(Resample(c, out, up=True) for c, out in pairwise(widths))]
        parts = zip(begin, blocks_of(widths, groups, blocks, expansion), strict=True)
        self.MainLayers = nn.Sequential(*(Stage(layer, *residual) for layer, residual in parts))
        self.AggregationLayer = Convolution(widths[-1], channels)

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """y are labels (B,) or weights of classes (B, classes); without classes it is not looked at."""
        if self.classes:
            z = torch.cat([z, self.EmbeddingLayer(self.weights(y, z))], 1)
        return self.AggregationLayer(self.MainLayers(z))


def stages(size: Size, width: int, expansion: int = 2) -> tuple[list[int], list[int], list[int]]:
    """Widths, groups and blocks of each stage from the smallest map, of 4 to 7 pixels, on.

    Two blocks a stage, as wide up to 32 pixels, half as wide for each doubling beyond.

    Raises:
        ValueError: halving does not lead to a map of 4 to 7 pixels.
    """
    bottom, doublings = shorter(size), 0
    while bottom > 7 and bottom % 2 == 0:
        bottom, doublings = bottom // 2, doublings + 1
    if not 4 <= bottom <= 7:
        raise ValueError(f"{shorter(size)} pixels are no map of 4 to 7 that is doubled; 32, 48 and 64 are")
    widths = [max(1, min(width, width * 32 // (bottom << i))) for i in range(doublings + 1)]
    return widths, [groups_of(w * expansion) for w in widths], [2] * len(widths)


def groups_of(channels: int) -> int:
    """Of OF_A_GROUP channels each, or of somewhat more where they are no multiple of it."""
    return next(g for g in range(max(1, channels // OF_A_GROUP), 0, -1) if channels % g == 0)


@register_latent_G
def r3gan(size: Size, channels: int, classes: int, z_dim: int, ngf: int) -> R3GANGenerator:
    """
    Args:
        z_dim: also the numbers of a class beside it. Published for CIFAR-10: 64.
        ngf: channels of a stage. Published for CIFAR-10: 768.

    Raises:
        ValueError: no stages make this size.
    """
    return R3GANGenerator(size, channels, classes, z_dim, *stages(size, ngf), embedding=z_dim)
