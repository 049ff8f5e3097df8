"""The trunk of BigGAN's discriminator, and the residual blocks of all such trunks."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .attention import ReferenceAttention, SelfAttention
from .biggan import BROCK, attended, draw_orthogonal, ladder
from .latent import Size, first_map, shorter
from .registry import register_latent_D

# Blocks that halve the size, and one more that does not -> channels behind each, in multiples of ndf.
WIDTHS = {
    2: (2, 2, 2, 2),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
    7: (1, 1, 2, 4, 8, 8, 16, 16),
}


class FirstBlock(nn.Module):
    """A residual block for images: it halves their size, and begins without an activation."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.out = out
        self.conv1, self.conv2 = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(F.relu(self.conv1(x), inplace=True))
        return F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))


class DownBlock(nn.Module):
    """A residual block: ReLU, convolve, ReLU, convolve, and halve the size where it is ``down``.

    The shortcut takes the ReLU of the input too, as in the codes of ContraGAN and SNGAN, where it overwrites the input;
    ``raw`` it takes the input as it was, as in their papers.
    """

    def __init__(self, channels: int, out: int, hidden: int, down: bool, raw: bool = False):
        super().__init__()
        self.out, self.down, self.raw = out, down, raw
        self.conv1, self.conv2 = nn.Conv2d(channels, hidden, 3, padding=1), nn.Conv2d(hidden, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1) if down or out != channels else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(x)
        x = x if self.raw else y
        y = self.conv2(F.relu(self.conv1(y), inplace=True))
        if not self.down:
            return y + self.shortcut(x)
        # Published the other way round. It is the same for a 1 x 1 kernel, and a quarter of the work.
        return F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))


class Trunk(nn.Module):
    """Images (B, channels, H, W) to local features (B, local_channels, h, w) and pooled ones (B, features).

    Both are behind a ReLU; the pooled ones are sums over the map, not means, so their norm grows with it.

    Args:
        place: the number of blocks before attention.
        attention: attend to the own map there.
        reference: attend to a reference image's map instead; it goes through the same blocks up to there.
        last_is_global: local features are those before the last block, not those that are pooled.
        draw: draws the weights of a module, as is done to the trunk, for heads put upon it.
    """

    own_init = True

    def __init__(
        self,
        blocks: Sequence[FirstBlock | DownBlock],
        place: int,
        attention: bool,
        reference: bool,
        last_is_global: bool,
        draw: Callable[[nn.Module], None],
    ):
        super().__init__()
        self.draw = draw
        end = len(blocks) - last_is_global
        self.local_channels, self.features = blocks[end - 1].out, blocks[-1].out
        self.stem, self.body = nn.Sequential(*blocks[:place]), nn.Sequential(*blocks[place:end])
        self.last = blocks[-1] if last_is_global else nn.Identity()
        self.attention: nn.Module = nn.Identity()
        if attention or reference:
            self.attention = (ReferenceAttention if reference else SelfAttention)(blocks[place - 1].out)
        draw(self)

    def forward(self, x: torch.Tensor, reference: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Raises:
            ValueError: reference attention without reference images (B, channels, S, S), or such images without it.
        """
        if isinstance(self.attention, ReferenceAttention) != (reference is not None):
            wanted = "takes a reference image with every image" if reference is None else "takes no reference images"
            raise ValueError(f"this discriminator {wanted}; it is built with reference={reference is None}")
        if reference is None:
            x = self.attention(self.stem(x))
        else:
            own, other = self.stem(torch.cat([x, reference])).split([len(x), len(reference)])
            x = self.attention(own, other)
        local = F.relu(self.body(x))
        return local, F.relu(self.last(local)).sum((2, 3))


def _parts(size: Size, channels: int, ndf: int, narrow: int, raw: bool) -> list[FirstBlock | DownBlock]:
    """The blocks of a ladder; ``narrow``: multiples of ndf where two halvings are all; ``raw``: see DownBlock."""
    bottom, blocks = ladder(shorter(size))
    first_map(size, bottom, blocks)
    halvings = {3: 2}.get(blocks, blocks)
    widths = [ndf * m for m in (WIDTHS | {2: (narrow,) * 4})[halvings]]
    parts: list[FirstBlock | DownBlock] = [FirstBlock(channels, widths[0])]
    for i, (c, out) in enumerate(pairwise(widths), start=1):
        parts.append(DownBlock(c, out, hidden=out, down=i < halvings, raw=raw))
    return parts


@register_latent_D
def biggan(size: Size, channels: int, ndf: int, attention: bool = True, reference: bool = False) -> Trunk:
    """Brock et al. (2019), with the widths of ContraGAN's code, and attention where G has it.

    Args:
        ndf: channels of the first block; half of them at 32 and 48 pixels. Published: 96, at 64 pixels 80.

    Raises:
        ValueError: no ladder for this size.
    """
    parts = _parts(size, channels, ndf, narrow=2, raw=False)
    place = (shorter(size) // attended(shorter(size))).bit_length() - 1
    return Trunk(parts, place, attention, reference, last_is_global=False, draw=draw_orthogonal)


@register_latent_D
def biggan_brock(size: Size, channels: int, ndf: int, attention: bool = True, reference: bool = False) -> Trunk:
    """As Brock's own PyTorch code has it, for its weights: shortcuts take what comes in, not its ReLU.

    Raises:
        ValueError: no ladder for this size.
    """
    parts = _parts(size, channels, ndf, narrow=4, raw=True)
    side = BROCK.attended(shorter(size))
    place = (shorter(size) // side).bit_length() - 1 if side else 1
    return Trunk(parts, place, attention and side > 0, reference, last_is_global=False, draw=draw_orthogonal)
