"""The discriminator of StyleGAN2 (Karras et al., 2020, figure 7c), without its minibatch statistics, as in CUT."""

import torch
from torch import nn

from .registry import register_D
from .stylegan2 import EqualLinear, ResBlock, conv_layer, start_size, width


class StyleGAN2Discriminator(nn.Module):
    """Image (B, in, S, S) to one logit, (B, 1), where S is the power of two nearest to ``size``."""

    own_init = True

    def __init__(self, input_nc: int, ndf: int, size: int):
        super().__init__()
        self.size = side = start_size(size)
        channels = width(side, ndf / 64, cap=384)
        layers: list[nn.Module] = [conv_layer(input_nc, channels, 1)]
        while side > 4:
            side //= 2
            deeper = width(side, ndf / 64, cap=384)
            layers += [ResBlock(channels, deeper, down=True)]
            channels = deeper
        self.convs = nn.Sequential(*layers)
        self.final_conv = conv_layer(channels, channels, 3)
        inputs = channels * side**2
        self.final_linear = nn.Sequential(EqualLinear(inputs, channels, activate=True), EqualLinear(channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2:] != (self.size, self.size):
            given, wanted = tuple(x.shape[2:]), (self.size, self.size)
            raise ValueError(f"a discriminator made for images of {wanted} pixels was given {given}")
        return self.final_linear(self.final_conv(self.convs(x)).flatten(1))


@register_D
def stylegan2(input_nc: int, ndf: int, size: int = 256) -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(input_nc, ndf, size)


@register_D
def tilestylegan2(input_nc: int, ndf: int, size: int = 256) -> StyleGAN2Discriminator:
    """The published code gives this name to the same network."""
    return StyleGAN2Discriminator(input_nc, ndf, size)
