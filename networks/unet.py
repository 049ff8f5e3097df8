"""The U-Net generator of pix2pix (Isola et al., 2017, section 3.2.1), whose encoder can be tapped."""

from collections.abc import Sequence

import torch
from torch import nn

from .layers import norm_layer
from .registry import register_G
from .taps import Tap, Tapped


class SkipBlock(nn.Module):
    """One level of the U: halve, the levels inside, double, and put the input beside the result.

    ``ends`` (input_nc, output_nc) makes it the outermost level, which has neither norms nor a skip connection.
    The innermost level has no norm behind its convolution: of one image it may be a single pixel.
    """

    def __init__(
        self,
        outer: int,
        inner: int,
        inside: "SkipBlock | None",
        norm: str,
        use_dropout: bool = False,
        ends: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.outermost, bias = ends is not None, norm == "instance"
        input_nc, output_nc = ends or (outer, outer)
        # Unlike the published ones, activations are not in place where they would overwrite what can be a tap.
        down: list[nn.Module] = [] if ends else [nn.LeakyReLU(0.2)]
        down += [nn.Conv2d(input_nc, inner, 4, 2, 1, bias=bias)]
        down += [norm_layer(norm, inner)] if inside and not ends else []
        up: list[nn.Module] = [nn.ReLU(inplace=inside is not None)]
        up += [nn.ConvTranspose2d(2 * inner if inside else inner, output_nc, 4, 2, 1, bias=bias or self.outermost)]
        up += [nn.Tanh()] if ends else [norm_layer(norm, outer)]
        up += [nn.Dropout(0.5)] if use_dropout else []
        self.model = nn.Sequential(*down, *([inside] if inside else []), *up)

    def forward(self, x: torch.Tensor, features: list[torch.Tensor], last: int) -> torch.Tensor:
        """Append the output of every strided convolution to ``features``; give up once it is longer than ``last``."""
        y = x
        for layer in self.model:
            y = layer(y, features, last) if isinstance(layer, SkipBlock) else layer(y)
            if isinstance(layer, nn.Conv2d):
                features.append(y)
            if len(features) > last:
                return y
        # The published skip carries LeakyReLU(x); a ReLU follows, to which that is the same as x.
        return y if self.outermost else torch.cat([x, y], 1)


class UnetGenerator(Tapped):
    """Image (B, in, H, W) in [-1, 1] to image (B, out, H, W) in [-1, 1]; H and W are multiples of 2**downs.

    Dropout, where used, is in the levels of 8 ngf channels alone; convolutions have biases with instance norm alone.

    Taps: ``pixels`` (the input) and ``down1`` ... ``down<n>``, the strided convolutions' outputs before their norm,
    (B, C_k, H/2**k, W/2**k); as integers 0, and k for down<k>. The published U-Net has none.
    """

    def __init__(
        self, input_nc: int, output_nc: int, ngf: int, downs: int, norm: str = "instance", use_dropout: bool = False
    ):
        super().__init__()
        block = SkipBlock(8 * ngf, 8 * ngf, None, norm)
        for _ in range(downs - 5):
            block = SkipBlock(8 * ngf, 8 * ngf, block, norm, use_dropout)
        for c in (4 * ngf, 2 * ngf, ngf):
            block = SkipBlock(c, 2 * c, block, norm)
        self.model = SkipBlock(output_nc, ngf, block, norm, ends=(input_nc, output_nc))
        self.tap_names = {"pixels": 0} | {f"down{k}": k for k in range(1, downs + 1)}
        self.stride = 2**downs

    def forward(self, x: torch.Tensor, taps: Sequence[Tap] | None = None, encode_only: bool = False):
        wanted = [self.tap_index(tap) for tap in taps or ()]
        features = [x]
        image = self.model(x, features, max(wanted) if encode_only else self.tap_count)
        listed = [features[index] for index in wanted]
        return image if taps is None else listed if encode_only else (image, listed)


@register_G
def unet_128(
    input_nc: int, output_nc: int, ngf: int, norm: str = "instance", use_dropout: bool = False
) -> UnetGenerator:
    return UnetGenerator(input_nc, output_nc, ngf, 7, norm, use_dropout)


@register_G
def unet_256(
    input_nc: int, output_nc: int, ngf: int, norm: str = "instance", use_dropout: bool = False
) -> UnetGenerator:
    return UnetGenerator(input_nc, output_nc, ngf, 8, norm, use_dropout)
