"""Projection heads: from feature maps to the unit vectors that a contrastive loss compares."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .registry import register_F
from .taps import Tap, TappedSequential


class PatchSampler(nn.Module):
    """The network F of CUT (Park et al., 2020, section 3.2): sample S locations, project, normalise.

    One two-layer perceptron ``mlp_<i>`` per tapped layer; all images of a batch share the S locations.
    ``dim`` None leaves out the perceptrons: raw features are compared.
    """

    def __init__(self, channels: Sequence[int], dim: int | None = 256):
        super().__init__()
        for i, c in enumerate(channels if dim is not None else ()):
            self.add_module(f"mlp_{i}", nn.Sequential(nn.Linear(c, dim), nn.ReLU(), nn.Linear(dim, dim)))

    def forward(self, features: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each; ids: (S_l,) each -> unit vectors (B, S_l, D) each, in float32."""
        out = []
        for i, (feature, rows) in enumerate(zip(features, ids, strict=True)):
            x = feature.flatten(2).index_select(2, rows).transpose(1, 2)       # (B, S, C)
            out.append(unit(getattr(self, f"mlp_{i}")(x) if f"mlp_{i}" in self._modules else x))
        return out

    def sample_ids(self, features: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
        """At most ``count`` random locations of each map, row-major, without repetition; 0 takes every one."""
        return [torch.randperm(f.shape[2] * f.shape[3], device=f.device)[: count or None] for f in features]


class GridSampler(PatchSampler):
    """Compare the cells of a 4 x 4 grid of averages instead of sampled locations; it learns nothing."""

    def __init__(self) -> None:
        super().__init__((), None)

    def forward(self, features: Sequence[torch.Tensor], ids: Sequence[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each -> unit vectors (B, 16, C_l) each, in float32."""
        return [unit(F.adaptive_avg_pool2d(f, 4).flatten(2).transpose(1, 2)) for f in features]


def unit(x: torch.Tensor) -> torch.Tensor:
    """x (..., D) over its length plus 1e-7, in at least float32.

    The published forward. 1e-7 keeps an all-zero row, which small heads do produce, at zero, and vector_norm
    has a finite gradient there, where the square root of a sum of squares does not.
    """
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + 1e-7)


@torch.no_grad()
def channels_at(generator: TappedSequential, taps: Sequence[Tap], input_nc: int) -> list[int]:
    """C_l of every tap, by a dry run on the meta device: no arithmetic, no random numbers."""
    probe = copy.deepcopy(generator).to("meta")
    return [f.shape[1] for f in probe(torch.empty(1, input_nc, 64, 64, device="meta"), taps, encode_only=True)]


@register_F
def mlp_sample(channels: Sequence[int], dim: int) -> PatchSampler:
    return PatchSampler(channels, dim)


@register_F
def sample(channels: Sequence[int]) -> PatchSampler:
    return PatchSampler(channels, None)


@register_F
def reshape() -> GridSampler:
    return GridSampler()
