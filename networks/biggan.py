"""The generator of BigGAN, as ContraGAN and ReACGAN use it.

Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019); widths and
constants are those of ContraGAN's code (Kang & Park, NeurIPS 2020).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import nn

from .attention import SelfAttention
from .conditional_norm import ConditionalBatchNorm
from .latent import LatentGenerator, Size, first_map, shorter
from .layers import as_it_comes
from .registry import register_latent_G
from .spectral import spectral_norm

# Blocks that double the size -> channels before, between and behind them, in multiples of ngf.
WIDTHS = {
    3: (4, 4, 4, 4),
    4: (16, 8, 4, 2, 1),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
}
SIZES = {bottom << blocks: (bottom, blocks) for blocks in WIDTHS for bottom in (4, 6)}


@dataclass(frozen=True)
class Form:
    """What one published code of BigGAN's generator has otherwise than another.

    Attributes:
        widths: blocks -> channels, as WIDTHS.
        eps: of its batch norms.
        attended: image's side -> that of the map it attends to, 0 for none.
    """

    widths: Mapping[int, tuple[int, ...]]
    eps: float
    attended: Callable[[int], int]


def attended(size: int) -> int:
    """The side of the map that is attended to: half the image's, in large images as in those of 128 or 192."""
    return {256: 64, 384: 96, 512: 64, 768: 96}.get(size, size // 2)


CONTRAGAN = Form(WIDTHS, 1e-4, attended)
# Brock's own PyTorch code. Its ladder at 64 pixels is wider, and images below 128 pixels attend to nothing.
BROCK = Form(WIDTHS | {4: (16, 16, 8, 4, 2)}, 1e-5, lambda size: attended(size) if size >= 128 else 0)


def ladder(size: int) -> tuple[int, int]:
    """The side of the smallest map, 4 or 6, and the number of times it is doubled: published for powers of two.

    Raises:
        ValueError: there is no such ladder for this size.
    """
    if size not in SIZES:
        raise ValueError(f"no ladder of blocks makes images of {size} pixels; choose from {sorted(SIZES)}")
    return SIZES[size]


def double(x: torch.Tensor, mode: str) -> torch.Tensor:
    """(B, C, H, W) to (B, C, 2H, 2W), ``nearest`` or ``bilinear`` between pixel centres."""
    with as_it_comes(x):
        return F.interpolate(x, scale_factor=2, mode=mode)


class UpBlock(nn.Module):
    """A residual block that doubles the size: norm, ReLU, double, convolve; norm, ReLU, convolve.

    Args:
        norm: builds a norm of so many channels, which is called as norm(x, condition).
    """

    def __init__(self, channels: int, out: int, norm: Callable[[int], nn.Module], mode: str):
        super().__init__()
        self.mode = mode
        self.norm1, self.norm2 = norm(channels), norm(out)
        self.conv1, self.conv2 = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        y = F.relu(self.norm1(x, condition), inplace=True)
        y = F.relu(self.norm2(self.conv1(double(y, self.mode)), condition), inplace=True)
        # Published the other way round. It is the same for a 1 x 1 kernel, and a quarter of the work.
        return self.conv2(y) + double(self.shortcut(x), self.mode)


def draw_orthogonal(network: nn.Module) -> None:
    """Orthogonal weights of convolutions, linear layers and embeddings, and no biases (Brock et al.)."""
    for m in network.modules():
        if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(m.weight)
        if isinstance(m, nn.Conv2d | nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)


class BigGANGenerator(LatentGenerator):
    """Noise (B, z_dim) of normal values, and classes, to images (B, channels, height, width) in [-1, 1].

    One chunk of the noise makes the first map. Each block has one more, which conditions its norms together with the
    embedding of the class, that all blocks share. Without classes, chunks alone do.

    Args:
        z_dim: a multiple of the number of chunks, which are 4 at 32 pixels, 5 at 64, 6 at 128, 7 at 256 and 8 at 512.
        ngf: channels of the last block; a quarter of them at 32 and 48 pixels. Published: 96, at 64 pixels 80.
        attention: attend to a map, that of half the size up to 192 pixels, where the ``form`` has it.
        sn_G: spectral norm on every layer but the embedding.
        form: whose code it is.

    Raises:
        ValueError: no ladder for this size; noise that cannot be cut into equal chunks.
    """

    own_init = True

    def __init__(
        self,
        size: Size,
        channels: int,
        classes: int,
        z_dim: int,
        ngf: int,
        shared_dim: int = 128,
        attention: bool = True,
        sn_G: bool = True,
        form: Form = CONTRAGAN,
    ):
        super().__init__(size, channels, classes, z_dim)
        bottom, blocks = ladder(shorter(size))
        self.bottom = first_map(size, bottom, blocks)
        self.chunk, rest = divmod(z_dim, blocks + 1)
        if rest or not self.chunk:
            near = [n * (blocks + 1) for n in (self.chunk, self.chunk + 1) if n]
            raise ValueError(
                f"noise of {z_dim} values cannot be cut into the {blocks + 1} equal chunks of a BigGAN at "
                f"{shorter(size)} pixels; use {' or '.join(map(str, near))}"
            )
        widths = [ngf * m for m in form.widths[blocks]]
        side = form.attended(shorter(size)) if attention else 0
        self.place = (side // bottom).bit_length() - 1  # blocks before attention; -1 where there is none
        conditions = self.chunk + (shared_dim if classes else 0)
        self.shared = nn.Embedding(classes, shared_dim) if classes else None
        self.class_axes = {"shared.weight": (0, 0)} if classes else {}
        self.first = nn.Linear(self.chunk, widths[0] * prod(self.bottom))
        self.blocks = nn.ModuleList(
            UpBlock(c, out, lambda n: ConditionalBatchNorm(n, conditions, form.eps), "nearest")
            for c, out in pairwise(widths)
        )
        self.attention = SelfAttention(widths[self.place]) if side else nn.Identity()
        self.norm = nn.BatchNorm2d(widths[-1], eps=form.eps)
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        draw_orthogonal(self)
        for part in self.children():
            if sn_G and part is not self.shared:
                spectral_norm(part)

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """y are labels (B,) or weights of classes (B, classes); without classes it is not looked at."""
        first, *chunks = z.split(self.chunk, dim=1)
        if self.shared is not None:
            shared = self.weights(y, z) @ self.shared.weight
            chunks = [torch.cat([shared, chunk.to(shared.dtype)], dim=1) for chunk in chunks]
        x = self.first(first).unflatten(1, (-1, *self.bottom))
        for i, (block, condition) in enumerate(zip(self.blocks, chunks, strict=True), start=1):
            x = block(x, condition)
            if i == self.place:
                x = self.attention(x)
        return torch.tanh(self.last(F.relu(self.norm(x), inplace=True)))


@register_latent_G
def biggan(
    size: Size,
    channels: int,
    classes: int,
    z_dim: int,
    ngf: int,
    shared_dim: int = 128,
    attention: bool = True,
    sn_G: bool = True,
) -> BigGANGenerator:
    return BigGANGenerator(size, channels, classes, z_dim, ngf, shared_dim, attention, sn_G)


@register_latent_G
def biggan_brock(
    size: Size,
    channels: int,
    classes: int,
    z_dim: int,
    ngf: int,
    shared_dim: int = 128,
    attention: bool = True,
    sn_G: bool = True,
) -> BigGANGenerator:
    """As Brock's own PyTorch code has it, for its weights."""
    return BigGANGenerator(size, channels, classes, z_dim, ngf, shared_dim, attention, sn_G, BROCK)
