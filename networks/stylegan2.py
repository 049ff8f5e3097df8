"""The blocks of StyleGAN2 and the generators that CUT makes of them.

Karras et al. Analyzing and Improving the Image Quality of StyleGAN. CVPR 2020. Written from the paper's equations.
- Equalised learning rate: weights are drawn from N(0, 1) and multiplied by 1 / sqrt(fan in) in every pass, so that
  all of them learn at one speed (Karras et al., Progressive Growing of GANs, 2018, section 4.1).
- Resampling is filtered with [1, 3, 3, 1], which sees zeros beyond the border.
- Activations are sqrt(2) LeakyReLU(x + b), which keeps the variance.
"""

from collections.abc import Sequence
from math import log2, sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from . import lean
from .layers import binomial
from .registry import register_G
from .taps import Tap, Tapped


class Blur(nn.Module):
    """[1, 3, 3, 1] in both directions: (B, C, H, W) to (B, C, H + 2 pad - 3, W + 2 pad - 3) over ``stride``."""

    kernel: torch.Tensor

    def __init__(self, pad: int, gain: float = 1.0, stride: int = 1):
        super().__init__()
        self.pad, self.gain, self.stride = pad, gain, stride
        self.register_buffer("kernel", gain * binomial(4))  # published files hold it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        C = x.shape[1]
        if x.dtype in (torch.bfloat16, torch.float16):  # [1, 3, 3, 1] is [1, 1] thrice; depthwise bf16 is slow
            x = F.avg_pool2d(F.avg_pool2d(F.pad(x, (self.pad,) * 4), 2, stride=1), 2, stride=1)
            return self.gain * F.avg_pool2d(x, 2, stride=self.stride)
        kernel = self.kernel.to(x.dtype).expand(C, 1, 4, 4)
        return F.conv2d(x, kernel, stride=self.stride, padding=self.pad, groups=C)


class EqualConv(nn.Module):
    """A convolution with equalised learning rate and no bias."""

    def __init__(self, channels: int, out: int, size: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, size, size))
        self.scale, self.stride, self.padding = 1 / sqrt(channels * size**2), stride, padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.scale * self.weight, stride=self.stride, padding=self.padding)


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate."""

    def __init__(self, channels: int, out: int, activate: bool = False):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(out, channels)), nn.Parameter(torch.zeros(out))
        self.scale, self.activate = 1 / sqrt(channels), activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.linear(x, self.scale * self.weight, self.bias)
        return sqrt(2) * F.leaky_relu(x, 0.2) if self.activate else x


class BiasedLeakyReLU(nn.Module):
    """sqrt(2) LeakyReLU(x + b), with the slope 0.2."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Scaled first, which is the same, so that what autograd keeps is the output that the next layer keeps anyway.
        return F.leaky_relu((x + self.bias.to(x.dtype)) * sqrt(2), 0.2, inplace=True)


def conv_layer(channels: int, out: int, size: int, down: bool = False, activate: bool = True) -> nn.Sequential:
    """Blur if it halves the image, convolve, activate; even sizes are halved exactly."""
    layers: list[nn.Module]
    if not down:
        layers = [EqualConv(channels, out, size, padding=size // 2)]
    elif size == 1:  # every second blurred pixel is enough for a 1 x 1 kernel
        layers = [Blur(pad=1, stride=2), EqualConv(channels, out, 1)]
    else:  # centred: output j is the mean of the filter at 2j + 1/2
        layers = [Blur(pad=(size + 1) // 2), EqualConv(channels, out, size, stride=2)]
    return nn.Sequential(*layers, *([BiasedLeakyReLU(out)] if activate else []))


class ResBlock(nn.Module):
    """(f(x) + skip(x)) / sqrt(2): the sum of two independent signals of variance one has variance one."""

    def __init__(self, channels: int, out: int, down: bool = False):
        super().__init__()
        self.conv1, self.conv2 = conv_layer(channels, channels, 3), conv_layer(channels, out, 3, down)
        self.skip = conv_layer(channels, out, 1, down, activate=False) if down else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / sqrt(2)


class DemodulatedUp(nn.Module):
    r"""Double the size by a transposed 3 x 3 convolution and the filter, with demodulated weights.

    .. math:: w''_{ijk} = w'_{ijk} \Big/ \sqrt{\textstyle\sum_{i,k} {w'_{ijk}}^2 + \epsilon}

    Equation 3, where w' = w: the published generators of CUT have no style. The sum is over input channels i and
    positions k, in the weight's own precision, which is float32 under autocast.
    """

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, 3, 3))
        self.scale = 1 / sqrt(channels * 9)
        self.blur = Blur(pad=1, gain=4.0)  # 4, for three of four pixels are zeros before the filter
        # Published files have a fifth axis in front, of the styles of a batch; channels_last knows four.
        self.register_state_dict_post_hook(_add_axis)
        self.register_load_state_dict_pre_hook(_drop_axis)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.scale * self.weight
        w = w * (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        return self.blur(F.conv_transpose2d(x, w.transpose(0, 1), stride=2))  # (B, out, 2H + 1, 2W + 1) to 2H, 2W


def _add_axis(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    state[prefix + "weight"] = state[prefix + "weight"][None]


def _drop_axis(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    weight = state.get(prefix + "weight")
    if weight is not None and weight.ndim == 5:
        state[prefix + "weight"] = weight[0]


class Noise(nn.Module):
    """Add one image of normal noise to all channels, with a learned strength that starts at zero.

    It is drawn in every pass, at inference too. Without ``inject`` the strength is unused, but in published files.
    """

    def __init__(self, inject: bool):
        super().__init__()
        self.weight, self.inject = nn.Parameter(torch.zeros(1)), inject

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.inject:
            return x
        return x + (self.weight * torch.randn_like(x[:, :1])).to(x.dtype)


class StyledUp(nn.Module):
    """Double the size, add noise, activate."""

    def __init__(self, channels: int, out: int, noise: bool):
        super().__init__()
        self.conv, self.noise, self.activate = DemodulatedUp(channels, out), Noise(noise), BiasedLeakyReLU(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activate(self.noise(self.conv(x)))


def start_size(size: int) -> int:
    """The power of two nearest to ``size``."""
    return 2 ** round(log2(size))


def width(size: int, multiplier: float, cap: int) -> int:
    """Channels where the image is size x size: a constant number of values, but ``cap`` channels up to 32 x 32."""
    channels = max(round(2**14 * multiplier / size), 1)
    return min(channels, cap) if size <= 32 else channels


class Convs(nn.Module):
    """Half a generator, under its published name."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.convs = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convs(x)


class StyleGAN2Generator(Tapped):
    """Image (B, in, H, W) in [-1, 1] to image (B, out, H, W); H and W are multiples of 2**num_downsampling.

    There is no tanh: as published, the last layer ends in a leaky ReLU. ``size`` decides widths alone.
    Taps, all in the encoder: ``pixels`` (the input), ``from_rgb``, ``down1`` ..., ``res1`` ...; integers are the
    indices of the encoder's layers, in the same order.
    """

    own_init = True  # equalised learning rate means N(0, 1)

    def __init__(
        self, input_nc: int, output_nc: int, ngf: int, size: int, num_downsampling: int, blocks: int, noise: bool
    ):
        super().__init__()
        sizes = [start_size(size) / 2**i for i in range(num_downsampling + 1)]
        channels = [width(s, ngf / 32, cap=512) for s in sizes]
        stages = [(channels[i], channels[i + 1]) for i in range(num_downsampling)]
        inside = channels[-1]
        self.encoder = Convs(
            nn.Identity(),
            conv_layer(input_nc, channels[0], 1),
            *(ResBlock(c, deeper, down=True) for c, deeper in stages),
            *(ResBlock(inside, inside) for _ in range(blocks // 2)),
        )
        self.decoder = Convs(
            *(ResBlock(inside, inside) for _ in range(blocks // 2)),
            *(StyledUp(deeper, c, noise) for c, deeper in reversed(stages)),
            conv_layer(channels[0], output_nc, 1),
        )
        names = [
            "pixels",
            "from_rgb",
            *(f"down{i + 1}" for i in range(num_downsampling)),
            *(f"res{i + 1}" for i in range(blocks // 2)),
        ]
        self.tap_names = {name: i for i, name in enumerate(names)}
        self.stride = 2**num_downsampling

    def forward(self, x: torch.Tensor, taps: Sequence[Tap] | None = None, encode_only: bool = False):
        wanted = [self.tap_index(tap) for tap in taps or ()]
        x, features = lean.run(self.encoder.convs, x, wanted, max(wanted) if encode_only else None)
        listed = [features[index] for index in wanted]
        if encode_only:
            return listed
        image = self.decoder(x)
        return image if taps is None else (image, listed)


@register_G
def stylegan2(
    input_nc: int, output_nc: int, ngf: int, size: int = 256, num_downsampling: int = 1
) -> StyleGAN2Generator:
    return StyleGAN2Generator(input_nc, output_nc, ngf, size, num_downsampling, blocks=6, noise=True)


@register_G
def smallstylegan2(
    input_nc: int, output_nc: int, ngf: int, size: int = 256, num_downsampling: int = 1
) -> StyleGAN2Generator:
    return StyleGAN2Generator(input_nc, output_nc, ngf, size, num_downsampling, blocks=2, noise=False)
