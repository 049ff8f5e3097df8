"""The networks the way the published code runs them: NCHW, float32, one module for every operation.

Written from the description of CUT and DCLGAN for comparison alone. Parameters have the names of ours, so the
``state_dict`` of one loads into the other. Each class says what ours does differently.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from networks import init_weights
from networks.layers import binomial


class BlurDown(nn.Module):
    """Reflection padding as a module of its own, then a depthwise convolution in every precision."""

    filt: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("filt", binomial(3).repeat(channels, 1, 1, 1))
        self.pad = nn.ReflectionPad2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(self.pad(x), self.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Replication padding, a depthwise transposed convolution, and the border cut off; ours interpolates."""

    filt: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("filt", 4 * binomial(4).repeat(channels, 1, 1, 1))
        self.pad = nn.ReplicationPad2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = F.conv_transpose2d(self.pad(x), self.filt, stride=2, padding=2, groups=x.shape[1])
        return wide[:, :, 1:-1, 1:-1]


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class Generator(nn.Module):
    """ResNet generator. ``encode`` is always a pass of its own, and stops at the last layer that is wanted."""

    def __init__(self, input_nc: int, output_nc: int, ngf: int, blocks: int):
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(input_nc, ngf, 7), *after(ngf)]
        for c in (ngf, 2 * ngf):
            layers += [nn.Conv2d(c, 2 * c, 3, padding=1), *after(2 * c), BlurDown(2 * c)]
        layers += [Block(4 * ngf) for _ in range(blocks)]
        for c in (4 * ngf, 2 * ngf):
            layers += [BlurUp(c), nn.Conv2d(c, c // 2, 3, padding=1), *after(c // 2)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)

    def encode(self, x: torch.Tensor, indices: Sequence[int]) -> list[torch.Tensor]:
        features = []
        for index, layer in enumerate(self.model):
            x = layer(x)
            if index in indices:
                features.append(x)
            if index == indices[-1]:
                break
        return features


def after(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.ReLU(True)


class Discriminator(nn.Module):
    def __init__(self, input_nc: int, ndf: int, n_layers: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(input_nc, ndf, 4, 1, 1), nn.LeakyReLU(0.2, True), BlurDown(ndf)]
        c = ndf
        for n in range(1, n_layers + 1):
            wider = ndf * min(2**n, 8)
            layers += [nn.Conv2d(c, wider, 4, 1, 1), nn.InstanceNorm2d(wider), nn.LeakyReLU(0.2, True)]
            layers += [] if n == n_layers else [BlurDown(wider)]
            c = wider
        self.model = nn.Sequential(*layers, nn.Conv2d(c, 1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class PatchHead(nn.Module):
    """Reorders the whole feature map to (B, HW, C) before it picks rows; ours picks first.

    The length of a vector is the root of a sum of squares, whose gradient at zero is NaN.
    """

    def __init__(self, channels: Sequence[int], dim: int):
        super().__init__()
        for i, c in enumerate(channels):
            self.add_module(f"mlp_{i}", nn.Sequential(nn.Linear(c, dim), nn.ReLU(), nn.Linear(dim, dim)))

    def forward(
        self, features: Sequence[torch.Tensor], count: int, ids: Sequence[torch.Tensor] | None = None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Rows (B * S_l, D) of each layer, and the locations that were drawn, or given."""
        vectors, drawn = [], []
        for i, feature in enumerate(features):
            rows = feature.permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C)
            which = draw(rows.shape[1], count, rows.device) if ids is None else ids[i]
            x = getattr(self, f"mlp_{i}")(rows[:, which, :].flatten(0, 1))
            vectors.append(unit(x))
            drawn.append(which)
        return vectors, drawn


def draw(locations: int, count: int, device: torch.device) -> torch.Tensor:
    """The first ``count`` of a permutation of all locations, drawn anew each time."""
    return torch.randperm(locations, device=device)[:count]


def unit(x: torch.Tensor) -> torch.Tensor:
    return x.div(x.pow(2).sum(1, keepdim=True).pow(0.5) + 1e-7)


class MappingHead(nn.Module):
    """SimDCL's head, of one stack (L, S, D)."""

    def __init__(self, layers: int):
        super().__init__()
        convolution, pool = nn.Conv2d(layers, 64, 3, stride=2), nn.AdaptiveAvgPool2d(1)
        self.model = nn.Sequential(
            convolution, nn.ReLU(), pool, nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)
        )

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        return unit(self.model(stack.unsqueeze(0)))


def initialised(network: nn.Module) -> nn.Module:
    """With weights drawn as by default: xavier normal, gain 0.02."""
    return init_weights(network)
