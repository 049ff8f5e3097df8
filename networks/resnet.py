"""The ResNet generator of Johnson et al. (2016), with the anti-aliased sampling of CUT."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from . import lean
from .layers import Downsample, ReflectionPad, Upsample, norm_layer
from .registry import register_G
from .taps import TappedSequential


class ResnetBlock(nn.Module):
    def __init__(self, channels: int, norm: str, use_dropout: bool):
        super().__init__()
        bias = norm == "instance"
        first = [
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
            nn.ReLU(True),
        ]
        second = [ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(norm, channels)]
        self.conv_block = nn.Sequential(*first, *([nn.Dropout(0.5)] if use_dropout else []), *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + lean.run(self.conv_block, x)[0]


class ResnetGenerator(TappedSequential):
    """Image (B, in, H, W) in [-1, 1] to image (B, out, H, W) in [-1, 1]; H and W are multiples of 4.

    Taps: ``pixels`` (the padded input), ``down1`` and ``down2`` (the strided stages' convolutions, before their
    norm), ``res1`` ... ``res<n>`` (the residual blocks). A ReLU works in place, so the index of a norm layer
    taps what the ReLU behind it left there, as in the published code.
    """

    stride, min_size = 4, 8

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int,
        blocks: int,
        norm: str = "instance",
        use_dropout: bool = False,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ):
        super().__init__()
        bias = norm == "instance"
        layers: list[nn.Module] = [
            ReflectionPad(3),
            nn.Conv2d(input_nc, ngf, 7, bias=bias),
            norm_layer(norm, ngf),
            nn.ReLU(True),
        ]
        self.tap_names = {"pixels": 0}
        for stage, c in enumerate((ngf, 2 * ngf), start=1):
            self.tap_names[f"down{stage}"] = len(layers)
            layers += [
                nn.Conv2d(c, 2 * c, 3, stride=2 if no_antialias else 1, padding=1, bias=bias),
                norm_layer(norm, 2 * c),
                nn.ReLU(True),
            ]
            layers += [] if no_antialias else [Downsample(2 * c)]
        for block in range(1, blocks + 1):
            self.tap_names[f"res{block}"] = len(layers)
            layers += [ResnetBlock(4 * ngf, norm, use_dropout)]
        for c in (4 * ngf, 2 * ngf):
            if no_antialias_up:
                layers += [nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)]
            else:
                layers += [Upsample(c), nn.Conv2d(c, c // 2, 3, padding=1, bias=bias)]
            layers += [norm_layer(norm, c // 2), nn.ReLU(True)]
        layers += [ReflectionPad(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def mirrored_taps(self) -> tuple[int, ...]:
        """Layers on the way down and, after them, on the way up, of equal sizes from the outside in: EnCo's pairs.

        With nine blocks 3, 7, 13 and 18, 24, 28: behind the stem, the first halving and the second block, and so on.
        """
        first, blocks = self.tap_names["res1"], sum(isinstance(layer, ResnetBlock) for layer in self.model)
        inner = (first + 1, first + blocks - 3) if blocks > 4 else (first, first + blocks - 1)
        last = len(self.model) - 4  # the ReLU behind the last norm
        stage = 4 if isinstance(self.model[last - 3], Upsample) else 3
        return 3, self.tap_names["down2"] - 1, *inner, last - stage, last

    def layers_in_order(self) -> Iterator[nn.Module | None]:
        """None where a residual block begins or ends; see :func:`networks.tiling.tiled`."""
        for layer in self.model:
            yield from (None, *layer.conv_block, None) if isinstance(layer, ResnetBlock) else (layer,)


def _of(blocks: int) -> Callable[..., nn.Module]:
    """``resnet_<n>blocks`` of --netG: the generator with so many residual blocks."""

    def build(
        input_nc: int,
        output_nc: int,
        ngf: int,
        norm: str = "instance",
        use_dropout: bool = False,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ) -> ResnetGenerator:
        return ResnetGenerator(input_nc, output_nc, ngf, blocks, norm, use_dropout, no_antialias, no_antialias_up)

    build.__name__ = build.__qualname__ = f"resnet_{blocks}blocks"
    return register_G(build)


resnet_9blocks, resnet_6blocks, resnet_4blocks = (_of(blocks) for blocks in (9, 6, 4))
