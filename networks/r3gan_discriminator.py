"""The discriminator of R3GAN, its generator's mirror image: a trunk, and the head that scores."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import nn

from .attention import ReferenceAttention
from .latent import Size, first_map, shorter
from .r3gan import Convolution, Resample, Stage, blocks_of, scaled, stages
from .registry import register_latent_D


class DiscriminativeBasis(nn.Module):
    """Maps (B, channels, h, w) to vectors (B, channels): the product of each channel's map and a learnt one."""

    def __init__(self, channels: int, size: tuple[int, int]):
        super().__init__()
        self.Basis = nn.Conv2d(channels, channels, size, groups=channels, bias=False)
        scaled(self.Basis.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.Basis(x).flatten(1)


class R3GANTrunk(nn.Module):
    """Images (B, channels, H, W) to local features (B, C, h, w) of the smallest map and pooled ones (B, C).

    Args:
        widths, groups, blocks: of each stage, from the image on: channels, groups of the 3 x 3 convolutions, number of
            blocks.
        reference: half-size maps attend to those of a second image, trunk(x, reference).

    Raises:
        ValueError: the size is none that so many stages take.
    """

    own_init = True

    def __init__(
        self,
        size: Size,
        channels: int,
        widths: Sequence[int],
        groups: Sequence[int],
        blocks: Sequence[int],
        expansion: int = 2,
        reference: bool = False,
    ):
        super().__init__()
        halvings = len(widths) - 1
        last = first_map(size if isinstance(size, tuple) else (size, size), shorter(size) >> halvings, halvings)
        self.ExtractionLayer = Convolution(channels, widths[0])
        residual = blocks_of(widths, groups, blocks, expansion)
        smaller = [Resample(c, out, up=False) for c, out in pairwise(widths)]
        layers = [Stage(*some, layer) for some, layer in zip(residual[:-1], smaller, strict=True)]
        self.MainLayers = nn.Sequential(*layers, Stage(*residual[-1]))
        self.attention = ReferenceAttention(widths[1]) if reference else None
        self.basis = DiscriminativeBasis(widths[-1], last)
        self.local_channels = self.features = widths[-1]

    def forward(self, x: torch.Tensor, reference: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        if self.attention is None:
            local = self.MainLayers(self.ExtractionLayer(x))
        elif reference is None:
            raise ValueError("this trunk compares each image with a reference, and none was given")
        else:
            own, other = (self.MainLayers[0](self.ExtractionLayer(images)) for images in (x, reference))
            local = self.MainLayers[1:](self.attention(own, other))
        return local, self.basis(local)

    def draw(self, heads: nn.Module) -> None:
        """The weights of heads that have no start of their own, as the trunk's."""
        own = {m for head in heads.modules() if getattr(head, "own_init", False) for m in head.modules()}
        for layer in heads.modules():
            if isinstance(layer, nn.Linear | nn.Embedding) and layer not in own:
                scaled(layer.weight)
                if isinstance(layer, nn.Linear) and layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class R3GANHead(nn.Module):
    """Real or fake (B,), up to a constant: a linear layer without a bias; with classes <e(y), W h>.

    Args:
        dim: numbers of a class, published as wide as the last stage.
    """

    own_init = True

    def __init__(self, features: int, classes: int = 0, dim: int = 0):
        super().__init__()
        self.linear = nn.Linear(features, dim if classes else 1, bias=False)
        scaled(self.linear.weight)
        self.embedding = nn.Linear(classes, dim, bias=False) if classes else None
        if self.embedding is not None:
            scaled(self.embedding.weight, 1 / sqrt(dim))
            self.class_axes = {"embedding.weight": (1, 0)}

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        """y are labels (B,) or weights of classes (B, classes)."""
        x = self.linear(pooled)
        if self.embedding is None:
            return x.squeeze(1)
        assert y is not None
        of_class = self.embedding.weight.T[y] if not y.is_floating_point() else self.embedding(y)
        return (x * of_class).sum(1)


@register_latent_D
def r3gan(size: Size, channels: int, ndf: int, reference: bool = False) -> R3GANTrunk:
    """
    Args:
        ndf: channels of a stage. Published for CIFAR-10: 768.

    Raises:
        ValueError: no stages take this size.
    """
    widths, groups, blocks = stages(size, ndf)
    return R3GANTrunk(size, channels, widths[::-1], groups[::-1], blocks, reference=reference)
