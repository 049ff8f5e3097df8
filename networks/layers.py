"""Layers that several families share, under the parameter names of the published checkpoints."""

from math import comb
from typing import Any

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
        if B > 1 and x.is_contiguous(memory_format=torch.channels_last):  # a view as one image would be a copy
            return torch.cat([self.of_one(image) for image in x.split(1)])
        return self.of_one(x.reshape(1, B * C, H, W)).view(B, C, H, W) if B > 1 else self.of_one(x)

    def of_one(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, training=True, eps=self.eps)

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
    """The (size, size) low-pass filter whose rows are Pascal's triangle; it sums to one.

    Computed without tensors: arithmetic on the meta device imports torch._dynamo, which takes longer than torch itself.
    """
    row = [comb(size - 1, i) for i in range(size)]
    return torch.tensor([[a * b / 4 ** (size - 1) for b in row] for a in row])


class Downsample(nn.Module):
    """Blur with [1, 2, 1] and halve, (B, C, H, W) to (B, C, ceil(H/2), ceil(W/2)) (Zhang, 2019)."""

    filt: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("filt", binomial(3).repeat(channels, 1, 1, 1))  # published files hold it
        self.pad = ReflectionPad(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = x.dtype in (torch.bfloat16, torch.float16)  # depthwise convolutions are slow in these
        direct = x.device.type == "cpu" and not torch.compiler.is_compiling()
        if direct and (low or x.is_contiguous(memory_format=torch.channels_last)):
            return Halve.apply(x)
        if low:
            return F.avg_pool2d(F.avg_pool2d(self.pad(x), 2, stride=1), 2, stride=2)  # [1, 2, 1] is [1, 1] twice
        return F.conv2d(self.pad(x), self.filt.to(x.dtype), stride=2, groups=x.shape[1])


class Halve(torch.autograd.Function):
    """The same filter as sums of every second row and column; ``Spread`` is its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.size = x.shape[2:]
        return halve(halve(x, 2), 3).mul_(1 / 16)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return Spread.apply(gradient, *ctx.size)


class Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, H: int, W: int) -> torch.Tensor:
        return spread(spread(x * (1 / 16), 3, W), 2, H)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # type: ignore[override]
        return Halve.apply(gradient), None, None


def halve(x: torch.Tensor, dim: int) -> torch.Tensor:
    """x[2j-1] + 2 x[2j] + x[2j+1] along one axis, mirrored at its ends."""
    even, odd = _every_second(x, dim)
    n, m = even.shape[dim], odd.shape[dim]
    y = 2 * even
    y.narrow(dim, 0, m).add_(odd)
    y.narrow(dim, 1, n - 1).add_(odd.narrow(dim, 0, n - 1))
    y.narrow(dim, 0, 1).add_(odd.narrow(dim, 0, 1))
    if m < n:
        y.narrow(dim, n - 1, 1).add_(odd.narrow(dim, m - 1, 1))
    return y


def spread(y: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """The adjoint of ``halve`` for an axis of this size."""
    inside = y.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if inside else torch.contiguous_format
    shape = [*y.shape[:dim], size, *y.shape[dim + 1 :]]
    x = torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=layout)
    even, odd = _every_second(x, dim)
    n, m = even.shape[dim], odd.shape[dim]
    torch.mul(y, 2, out=even)
    odd.copy_(y.narrow(dim, 0, m))
    odd.narrow(dim, 0, n - 1).add_(y.narrow(dim, 1, n - 1))
    odd.narrow(dim, 0, 1).add_(y.narrow(dim, 0, 1))
    if m < n:
        odd.narrow(dim, m - 1, 1).add_(y.narrow(dim, n - 1, 1))
    return x


def _every_second(x: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Views of the even and of the odd places of an axis."""
    return (x[:, :, 0::2], x[:, :, 1::2]) if dim == 2 else (x[..., 0::2], x[..., 1::2])


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

    ``normal``, ``xavier`` (normal), ``kaiming`` (fan in) or ``orthogonal``. Modules that choose their own
    start (``own_init``) keep it.
    """
    draw = {
        "normal": lambda w: nn.init.normal_(w, 0.0, gain),
        "xavier": lambda w: nn.init.xavier_normal_(w, gain),
        "kaiming": lambda w: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain),
    }[kind]
    own = {id(m) for part in network.modules() if getattr(part, "own_init", False) for m in part.modules()}
    for m in network.modules():
        if id(m) in own:
            continue
        if isinstance(m, nn.modules.conv._ConvNd | nn.Linear):
            draw(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d) and m.affine:
            nn.init.normal_(m.weight, 1.0, gain)
            nn.init.zeros_(m.bias)
    return network
