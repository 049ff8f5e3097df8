"""Santa's generator: a ResNet whose way back is told by one number how far towards the other side it is to go."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from . import lean
from .layers import Downsample, InstanceNorm, ReflectionPad, Upsample
from .registry import register_path_G
from .resnet import ResnetBlock


class AdaIN(nn.Module):
    """(1 + gamma) IN(x) + beta, where one linear layer of a style (B, S) gives gamma and beta."""

    def __init__(self, channels: int, style_dim: int):
        super().__init__()
        self.norm, self.fc = InstanceNorm(channels), nn.Linear(style_dim, 2 * channels)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return self.modulate(self.norm(x), style)

    def modulate(self, normed: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        gamma, beta = self.fc(style)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(beta, 1 + gamma, normed)


class AdaINBlock(nn.Module):
    def __init__(self, channels: int, style_dim: int):
        super().__init__()
        self.conv_block = nn.ModuleList()
        for last in (False, True):
            self.conv_block += [
                ReflectionPad(1),
                nn.Conv2d(channels, channels, 3),
                AdaIN(channels, style_dim),
                *([] if last else [nn.ReLU(True)]),
            ]

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        y = x
        for layer in self.conv_block:
            y = layer(y, style) if isinstance(layer, AdaIN) else layer(y)
        return x + y


class AdaINResnetGenerator(nn.Module):
    """Image (B, in, H, W) in [-1, 1] to image (B, out, H, W) in [-1, 1]; H and W are multiples of 4.

    Xie et al., "Unpaired Image-to-Image Translation with Shortest Path Regularization" (CVPR 2023). ``G(x)`` is the
    translation; ``encode`` and ``decode`` are its halves, and d, a number for each image, says where between the two
    sides the second one ends: 0 is the source's, 1 the target's.

    Args:
        blocks: residual blocks; half of them, rounded down, are in front, with plain norms.
        style_dim: numbers that the two sides are embedded in; with 1 the norms see d itself.
    """

    stride, min_size = 4, 8

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int,
        blocks: int,
        style_dim: int = 8,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ):
        super().__init__()
        layers: list[nn.Module] = [ReflectionPad(3), nn.Conv2d(input_nc, ngf, 7), InstanceNorm(ngf), nn.ReLU(True)]
        for c in (ngf, 2 * ngf):
            layers += [
                nn.Conv2d(c, 2 * c, 3, stride=2 if no_antialias else 1, padding=1),
                InstanceNorm(2 * c),
                nn.ReLU(True),
            ]
            layers += [] if no_antialias else [Downsample(2 * c)]
        layers += [ResnetBlock(4 * ngf, "instance", False) for _ in range(blocks // 2)]
        self.encoder = nn.Sequential(*layers)
        layers = [AdaINBlock(4 * ngf, style_dim) for _ in range(blocks - blocks // 2)]
        for c in (4 * ngf, 2 * ngf):
            if no_antialias_up:
                layers += [nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1)]
            else:
                layers += [Upsample(c), nn.Conv2d(c, c // 2, 3, padding=1)]
            layers += [AdaIN(c // 2, style_dim), nn.ReLU(True)]
        layers += [ReflectionPad(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh()]
        self.decoder = nn.ModuleList(layers)
        if style_dim > 1:
            self.domain_embedding = nn.Embedding(2, style_dim)
            nn.init.xavier_normal_(self.domain_embedding.weight, 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encode(x)
        return self.decode(h, h.new_ones(len(h)))[0]

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 4 ngf, H / 4, W / 4)."""
        return lean.run(self.encoder, x)[0]

    def decode(
        self, h: torch.Tensor, d: torch.Tensor, taps: Sequence[int] = (), features_alone: bool = False
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The image, and what the layers ``taps`` of the decoder put out; with ``features_alone`` it ends at the last.

        A ReLU works in place: the layer before it taps what the ReLU left there.

        Args:
            d: (B,), 0 to 1 for each image.

        Raises:
            ValueError: there is no such layer.
        """
        lacking = [tap for tap in taps if not 0 <= tap < len(self.decoder)]
        if lacking:
            raise ValueError(f"no layer {lacking[0]!r}; the decoder has 0 to {len(self.decoder) - 1}")
        style, features = self.style(d.to(h.dtype)), {}
        for index, layer in enumerate(self.decoder):
            h = layer(h, style) if isinstance(layer, AdaIN | AdaINBlock) else layer(h)
            if index in taps:
                features[index] = h
            if features_alone and index == max(taps):
                break
        return h, [features[tap] for tap in taps]

    def path_taps(self) -> tuple[int, ...]:
        """The first residual block of the decoder, the last but one, and the convolutions: 0, 3, 6, 10, 14 of nine."""
        blocks = [i for i, layer in enumerate(self.decoder) if isinstance(layer, AdaINBlock)]
        convs = [i for i, layer in enumerate(self.decoder) if isinstance(layer, nn.modules.conv._ConvNd)]
        return blocks[0], blocks[-2], *convs

    def style(self, d: torch.Tensor) -> torch.Tensor:
        """(B, style_dim) of d (B,): between the two sides' embeddings."""
        if not hasattr(self, "domain_embedding"):
            return d[:, None]
        first, last = self.domain_embedding.weight
        return first + d[:, None] * (last - first)

    def layers_in_order(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor] | None]:
        """Of the whole way to d = 1, as :func:`networks.tiling.tiled` wants them: norms apart from what follows."""
        style = self.style(next(self.parameters()).new_ones(1))
        for layer in (*self.encoder, *self.decoder):
            block = isinstance(layer, ResnetBlock | AdaINBlock)
            inside: Any = layer.conv_block if block else [layer]
            yield from [None] * block
            for part in inside:
                yield from (
                    (part.norm, functools.partial(part.modulate, style=style)) if isinstance(part, AdaIN) else (part,)
                )
            yield from [None] * block


def _of(blocks: int) -> Callable[..., nn.Module]:
    """``adain_resnet_<n>blocks`` of Santa's --netG."""

    def build(
        input_nc: int,
        output_nc: int,
        ngf: int,
        style_dim: int = 8,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ) -> AdaINResnetGenerator:
        return AdaINResnetGenerator(input_nc, output_nc, ngf, blocks, style_dim, no_antialias, no_antialias_up)

    build.__name__ = build.__qualname__ = f"adain_resnet_{blocks}blocks"
    return register_path_G(build)


adain_resnet_9blocks, adain_resnet_6blocks = (_of(blocks) for blocks in (9, 6))
