"""The ResNet generator of SNGAN, as InfoMax-GAN uses it.

Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018); ladders and
bilinear doubling are those of InfoMax-GAN's code (Lee et al., WACV 2021). The generator has no spectral norm.
"""

from itertools import pairwise
from math import prod, sqrt

import torch
import torch.nn.functional as F
from torch import nn

from .attention import SelfAttention
from .biggan import UpBlock, ladder
from .conditional_norm import PlainBatchNorm
from .latent import ClassNorm, LatentGenerator, Size, first_map, shorter
from .registry import register_latent_G

# Size -> channels before, between and behind the blocks, in multiples of ngf; published for 32, 48, 64 and 128. Those
# above are BigGAN's, which nobody has published for SNGAN.
WIDTHS = {
    32: (1, 1, 1, 1),
    48: (8, 4, 2, 1),
    64: (16, 8, 4, 2, 1),
    96: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    192: (16, 16, 8, 4, 2, 1),
    **dict.fromkeys((256, 384), (16, 16, 8, 8, 4, 2, 1)),
    **dict.fromkeys((512, 768), (16, 16, 8, 8, 4, 2, 1, 1)),
}


def draw_xavier(network: nn.Module) -> None:
    """Uniform weights with the gain sqrt(2) in the main branches of blocks and 1 elsewhere, and no biases."""
    for name, m in network.named_modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(m.weight, sqrt(2) if name.endswith(("conv1", "conv2")) else 1.0)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


class SNGANGenerator(LatentGenerator):
    """Noise (B, z_dim) of normal values, and classes, to images (B, channels, height, width) in [-1, 1].

    With classes, the norms of the blocks have a gain and a bias per class (Miyato & Koyama, ICLR 2018).

    Args:
        z_dim: published: 128.
        ngf: channels of the last block. Published: 256 at 32 pixels, where all blocks have as many, else 64.
        attention: attend to the map of half the size, 32 x 32 at 128 pixels.

    Raises:
        ValueError: no ladder for this size.
    """

    own_init = True

    def __init__(self, size: Size, channels: int, classes: int, z_dim: int, ngf: int, attention: bool = False):
        super().__init__(size, channels, classes, z_dim)
        bottom, blocks = ladder(shorter(size))
        self.bottom = first_map(size, bottom, blocks)
        widths = [ngf * m for m in WIDTHS[shorter(size)]]
        self.place = min(blocks - 1, 3)  # blocks before attention
        self.first = nn.Linear(z_dim, widths[0] * prod(self.bottom))
        self.blocks = nn.ModuleList(
            UpBlock(c, out, lambda n: ClassNorm(n, classes) if classes else PlainBatchNorm(n), "bilinear")
            for c, out in pairwise(widths)
        )
        self.attention = SelfAttention(widths[self.place]) if attention else nn.Identity()
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        draw_xavier(self)

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """y are labels (B,) or weights of classes (B, classes); without classes it is not looked at."""
        x = self.first(z).unflatten(1, (-1, *self.bottom))
        weights = self.weights(y, z) if self.classes else None
        for i, block in enumerate(self.blocks, start=1):
            x = block(x, weights)
            if i == self.place:
                x = self.attention(x)
        return torch.tanh(self.last(F.relu(self.norm(x), inplace=True)))


@register_latent_G
def sngan(size: Size, channels: int, classes: int, z_dim: int, ngf: int, attention: bool = False) -> SNGANGenerator:
    return SNGANGenerator(size, channels, classes, z_dim, ngf, attention)
