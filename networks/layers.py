"""Layers that several families share, under the parameter names of the published checkpoints."""

from math import comb

import torch
import torch.nn.functional as F
from torch import nn


class InstanceNorm(nn.Module):
    """Instance normalisation without parameters or running statistics (Ulyanov et al., 2016).

    The same numbers as ``nn.InstanceNorm2d``, whose input gradient is wrong on the CPU (torch 2.11 to 2.15)
    for one image when the gradient arrives in channels-last order. Batch normalisation of one image is the
    same function with the right gradient; several images are normalised as the channels of one.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.channels, self.eps = channels, eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, C, H, W = x.shape
        if B == 1:
            return F.batch_norm(x, None, None, training=True, eps=self.eps)
        return F.batch_norm(x.reshape(1, B * C, H, W), None, None, training=True, eps=self.eps).view(B, C, H, W)

    def extra_repr(self) -> str:
        return str(self.channels)


def as_it_comes(x: torch.Tensor) -> torch.autocast:
    """Autocast off: it would widen what comes in bfloat16 to float32 for operations that need no precision."""
    return torch.autocast("cpu" if x.device.type == "meta" else x.device.type, enabled=False)


class ReflectionPad(nn.Module):
    """Mirror ``width`` pixels at every edge, in the precision of the input."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with as_it_comes(x):
            return F.pad(x, (self.width,) * 4, mode="reflect")

    def extra_repr(self) -> str:
        return str(self.width)


def norm_layer(kind: str, channels: int) -> nn.Module:
    """``instance``, ``batch`` or ``none``."""
    return {"instance": InstanceNorm, "batch": nn.BatchNorm2d, "none": nn.Identity}[kind](channels)


def binomial(size: int) -> torch.Tensor:
    """The (size, size) low-pass filter whose rows are Pascal's triangle; it sums to one."""
    row = torch.tensor([float(comb(size - 1, i)) for i in range(size)])
    kernel = row.outer(row)
    return kernel / kernel.sum()


class Downsample(nn.Module):
    """Blur with [1, 2, 1] and halve, (B, C, H, W) to (B, C, ceil(H/2), ceil(W/2)) (Zhang, 2019)."""

    filt: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("filt", binomial(3).repeat(channels, 1, 1, 1))  # published files hold it
        self.pad = ReflectionPad(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pad(x)
        if x.dtype in (torch.bfloat16, torch.float16):  # [1, 2, 1] is [1, 1] twice; depthwise bf16 is slow
            return F.avg_pool2d(F.avg_pool2d(x, 2, stride=1), 2, stride=2)
        return F.conv2d(x, self.filt.to(x.dtype), stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    """Double the size with the filter [1, 3, 3, 1], which is bilinear interpolation between pixel centres."""

    filt: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("filt", 4 * binomial(4).repeat(channels, 1, 1, 1))  # published files hold it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with as_it_comes(x):
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def init_weights(network: nn.Module, kind: str = "xavier", gain: float = 0.02) -> nn.Module:
    """Set the weights of convolutions and linear layers; biases 0, batch-norm scales N(1, gain).

    ``normal``, ``xavier`` (normal), ``kaiming`` (fan in) or ``orthogonal``. Networks that choose their own
    start (``own_init``) keep it.
    """
    if getattr(network, "own_init", False):
        return network
    draw = {
        "normal": lambda w: nn.init.normal_(w, 0.0, gain),
        "xavier": lambda w: nn.init.xavier_normal_(w, gain),
        "kaiming": lambda w: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain),
    }[kind]
    for m in network.modules():
        if isinstance(m, nn.modules.conv._ConvNd | nn.Linear):
            draw(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1.0, gain)
            nn.init.zeros_(m.bias)
    return network
