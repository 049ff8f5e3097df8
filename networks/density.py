"""Densities of vectors by block neural autoregressive flows, which DECENT learns of patches."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class BlockLinear(nn.Module):
    """A linear layer of D blocks: block i of the output sees the blocks up to i of the input, its own with weights > 0.

    De Cao, Titov, Aziz, "Block Neural Autoregressive Flow" (UAI 2019, section 3.1). Rows have unit length times
    exp(``_diag_weight``).
    """

    mask_d: torch.Tensor
    mask_o: torch.Tensor

    def __init__(self, inputs: int, outputs: int, D: int):
        super().__init__()
        self.D, per_in, per_out = D, inputs // D, outputs // D
        block_in, block_out = (torch.arange(n) // per for n, per in ((inputs, per_in), (outputs, per_out)))
        self.register_buffer("mask_d", (block_out[:, None] == block_in).float())
        self.register_buffer("mask_o", (block_out[:, None] > block_in).float())
        weight = torch.zeros(outputs, inputs)
        for i in range(D):
            rows = weight[i * per_out : (i + 1) * per_out]
            nn.init.xavier_uniform_(rows[:, : (i + 1) * per_in])
        self._weight = nn.Parameter(weight)
        self._diag_weight = nn.Parameter(torch.rand(outputs, 1).clamp(min=1e-6).log())
        self.bias = nn.Parameter((torch.rand(outputs) * 2 - 1) / math.sqrt(outputs))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, inputs) -> (N, outputs), and the logarithms of the diagonal blocks, (D, outputs / D, inputs / D)."""
        weight = self._weight.exp() * self.mask_d + self._weight * self.mask_o
        squares = weight.square().sum(1, keepdim=True)
        y = F.linear(x, self._diag_weight.exp() * weight / squares.sqrt(), self.bias)
        logs = self._diag_weight + self._weight - 0.5 * squares.log()
        blocks = logs.view(self.D, len(weight) // self.D, self.D, weight.shape[1] // self.D)
        return y, blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1)


class BlockFlow(nn.Sequential):
    """Block linear layers with tanh between them: (N, D) to (N, D), and log |dy_i / dx_i|, (N, D).

    Args:
        hidden: numbers of each block of the hidden layers.
        layers: hidden layers beyond the first.
        gated: add the input, weighted by a gate that is learnt.
    """

    def __init__(self, D: int, hidden: int = 10, layers: int = 0, gated: bool = False):
        sizes = [D, *[D * hidden] * (layers + 1), D]
        parts: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            parts += [BlockLinear(inputs, outputs, D), nn.Tanh()]
        super().__init__(*parts[:-1])
        self.D = D
        if gated:
            self.gate = nn.Parameter(torch.randn(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, slope = x, x.new_zeros(len(x), self.D, 1)  # slope: log of the derivatives by the block's own input
        for layer in self:
            if isinstance(layer, BlockLinear):
                y, logs = layer(y)
                slope = torch.logsumexp(logs + slope[:, :, None], 3)
            else:
                slope = slope - 2 * (y - math.log(2) + F.softplus(-2 * y)).view_as(slope)
                y = layer(y)
        slope = slope[..., 0]
        if not hasattr(self, "gate"):
            return y, slope
        part = self.gate.sigmoid()
        return part * y + (1 - part) * x, F.softplus(slope + self.gate) - F.softplus(self.gate)


class Reversed(nn.Module):
    """The numbers in the opposite order, so that the next flow sees them from the other end."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flip(1), torch.zeros_like(x)


class Density(nn.Module):
    """log p(x) of vectors (N, D): a flow to independent standard normal numbers. In nats, in at least float32."""

    def __init__(self, D: int, hidden: int = 10, layers: int = 0, flows: int = 1):
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(flows - 1):
            parts += [BlockFlow(D, hidden, layers, gated=True), Reversed()]
        self.model = nn.Sequential(*parts, BlockFlow(D, hidden, layers))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the flow makes of x, (N, D), and log p(x), (N,)."""
        with torch.autocast(x.device.type, enabled=False):
            y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            total = y.new_zeros(len(y))
            for flow in self.model:
                y, slope = flow(y)
                total = total + slope.sum(1)
            return y, total - 0.5 * (y.square() + math.log(2 * math.pi)).sum(1)


class LayerDensities(nn.Module):
    """A density ``flow_<i>`` for the vectors of each layer."""

    def __init__(self, dims: Sequence[int], hidden: int = 10, layers: int = 0, flows: int = 1):
        super().__init__()
        for i, D in enumerate(dims):
            self.add_module(f"flow_{i}", Density(D, hidden, layers, flows))

    def forward(self, vectors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """(B, S_l, D_l) of each layer -> log densities (B, S_l)."""
        flows = zip(self.children(), vectors, strict=True)
        return [flow(x.flatten(0, 1))[1].view(x.shape[:2]) for flow, x in flows]
