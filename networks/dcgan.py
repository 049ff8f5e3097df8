"""Small networks for runs of minutes on a CPU, after DCGAN (Radford et al., ICLR 2016)."""

from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import nn

from .attention import SelfAttention
from .latent import ClassNorm, LatentGenerator, Size, first_map, shorter
from .registry import register_latent_G


def ladder(size: int) -> tuple[int, int]:
    """(height and width at the bottom, doublings): 32 is 4 doubled three times, 48 is 6 doubled three times.

    Raises:
        ValueError: the size is no number from 4 to 7 doubled at least three times.
    """
    bottom, doublings = size, 0
    while bottom % 2 == 0 and bottom >= 8:
        bottom, doublings = bottom // 2, doublings + 1
    if not (4 <= bottom <= 7 and doublings >= 3):
        raise ValueError(f"{size} pixels are not 4, 5, 6 or 7 doubled at least three times: 32, 48, 64, 96, 128 are")
    return bottom, doublings


class SmallGenerator(LatentGenerator):
    """ngf channels at 4 x 4, halved at each of three doublings: 0.2 million parameters at 32 pixels and ngf 128.

    The label enters beside the noise and in every norm. ``attention`` puts self-attention at half the size.
    """

    own_init = True

    def __init__(self, size: Size, channels: int, classes: int, z_dim: int, ngf: int, attention: bool = False):
        super().__init__(size, channels, classes, z_dim)
        bottom, doublings = ladder(shorter(size))
        self.bottom = first_map(size, bottom, doublings)
        widths = [max(8, ngf >> step) for step in range(doublings + 1)]
        self.linear = nn.Linear(z_dim + classes, widths[0] * prod(self.bottom))
        self.class_axes = {"linear.weight": (1, z_dim)} if classes else {}
        self.norms = nn.ModuleList(ClassNorm(width, classes) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.attention = SelfAttention(widths[-2]) if attention else None
        self.image = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        weights = self.weights(y, z)
        entering = torch.cat([z, weights], 1) if self.classes else z
        x = self.linear(entering).view(len(z), -1, *self.bottom)
        x = F.relu(self.norms[0](x, weights))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            if self.attention is not None and conv is self.convs[-1]:
                x = self.attention(x)
            x = F.relu(norm(conv(F.interpolate(x, scale_factor=2.0)), weights))
        return self.image(x).tanh()


class DCGenerator(LatentGenerator):
    """Linear to a quarter of the size, two transposed convolutions, one convolution.

    The label enters once, as a vector of ten numbers beside the noise. Batch norm, LeakyReLU of 0.2. ``attention`` puts
    self-attention at half the size.
    """

    def __init__(
        self,
        size: Size,
        channels: int,
        classes: int,
        z_dim: int,
        ngf: int,
        attention: bool = False,
        label_dim: int = 10,
    ):
        super().__init__(size, channels, classes, z_dim)
        if shorter(size) % 4:
            raise ValueError(f"{shorter(size)} pixels are not a multiple of 4")
        self.bottom, c, last = first_map(size, shorter(size) // 4, 2), ngf, max(1, ngf // 2)
        start = c * prod(self.bottom)
        self.label = nn.Linear(classes, label_dim, bias=False) if classes else None  # a table, for mixtures too
        self.class_axes = {"label.weight": (1, 0)} if classes else {}
        inputs = z_dim + (label_dim if classes else 0)
        self.start = nn.Sequential(nn.Linear(inputs, start), nn.BatchNorm1d(start), relu())
        self.layers = nn.Sequential(
            *(nn.ConvTranspose2d(c, c, 4, 2, 1), nn.BatchNorm2d(c), relu()),
            *((SelfAttention(c),) if attention else ()),
            *(nn.ConvTranspose2d(c, last, 4, 2, 1), nn.BatchNorm2d(last), relu()),
            *(nn.Conv2d(last, channels, 3, padding=1), nn.Tanh()),
        )

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        entering = z if self.label is None else torch.cat([self.label(self.weights(y, z)), z], 1)
        return self.layers(self.start(entering).view(len(z), -1, *self.bottom))


def relu() -> nn.Module:
    return nn.LeakyReLU(0.2)


@register_latent_G
def small(size: Size, channels: int, classes: int, z_dim: int, ngf: int, attention: bool = False) -> SmallGenerator:
    return SmallGenerator(size, channels, classes, z_dim, ngf, attention)


@register_latent_G
def dcgan(size: Size, channels: int, classes: int, z_dim: int, ngf: int, attention: bool = False) -> DCGenerator:
    return DCGenerator(size, channels, classes, z_dim, ngf, attention)
