"""Projection heads: from feature maps to the unit vectors that a contrastive loss compares.

They share one call: ``ids = netF.sample_ids(features, count)``, then ``netF(features, ids)`` of every list of
features that is compared there. Only ``mapping`` is called on a stack of such vectors; see networks/mapping.py.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .registry import register_F
from .taps import Tap, Tapped


class PatchSampler(nn.Module):
    """The network F of CUT (Park et al., 2020, section 3.2): sample S locations, project, normalise.

    One two-layer perceptron ``mlp_<i>`` per tapped layer; all images of a batch share the S locations.
    ``dim`` None leaves out the perceptrons: raw features are compared.
    """

    def __init__(self, channels: Sequence[int], dim: int | None = 256):
        super().__init__()
        self.dims = [dim or c for c in channels]  # D of each layer
        if dim is None:
            return
        for i, c in enumerate(channels):
            self.add_module(f"mlp_{i}", nn.Sequential(nn.Linear(c, dim), nn.ReLU(), nn.Linear(dim, dim)))

    def forward(self, features: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each; ids: as :func:`at_places` has them -> unit vectors (B, S_l, D) each."""
        out = []
        for i, (feature, places) in enumerate(zip(features, ids, strict=True)):
            x = at_places(feature, places)
            out.append(unit(getattr(self, f"mlp_{i}")(x) if f"mlp_{i}" in self._modules else x))
        return out

    def sample_ids(self, features: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
        """At most ``count`` random locations of each map, row-major, without repetition; 0 takes every one."""
        return random_places(features, count)


class GridSampler(PatchSampler):
    """Compare the cells of a 4 x 4 grid of averages instead of sampled locations; it learns nothing."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__(channels, None)

    def forward(self, features: Sequence[torch.Tensor], ids: object = None) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each -> unit vectors (B, 16, C_l) each, in float32."""
        return [unit(F.adaptive_avg_pool2d(f, 4).flatten(2).transpose(1, 2)) for f in features]


class GlobalPool(PatchSampler):
    """Compare one vector per image, the largest value of each channel; it learns nothing.

    An image has no other patch to be told from, so the negatives must come from the other images of the batch
    (``--nce_includes_all_negatives_from_minibatch``).
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__(channels, None)

    def forward(self, features: Sequence[torch.Tensor], ids: object = None) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each -> unit vectors (B, 1, C_l) each, in float32."""
        return [unit(f.amax((2, 3)).unsqueeze(1)) for f in features]


class StridedConv(nn.Module):
    """Project with convolutions, so that a vector sees the neighbourhood of its location, and centre what comes out.

    Per tapped layer a 3 x 3 convolution of stride two, ReLU and a 3 x 3 convolution to ``dim`` channels; the moving
    average (0.999, in training, over all calls) of their output is subtracted before the normalisation. Locations
    are those of the output, half as high and wide as the features.

    The published class of this name, which no option reached, has as many strides as bring its first input to
    32 x 32, one centre per location instead of per channel, and keeps both outside of its state.
    """

    of_process = True  # centres are of the images that a process was given
    calls: torch.Tensor

    def __init__(self, channels: Sequence[int], dim: int = 256):
        super().__init__()
        self.dims = [dim] * len(channels)
        for i, c in enumerate(channels):
            inner = max(c // 2, 64)  # the published width
            convs = nn.Conv2d(c, inner, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(inner, dim, 3, padding=1)
            self.add_module(f"conv_{i}", nn.Sequential(*convs))
            self.register_buffer(f"centre_{i}", torch.zeros(dim))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, features: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """features: (B, C_l, H_l, W_l) each; ids: (S_l,) each -> unit vectors (B, S_l, D) each, in float32."""
        out = []
        if self.training:
            self.calls.add_(1)
        weight = self.calls.to(torch.float32).reciprocal().clamp(min=1e-3)  # a plain mean for the first 1000 calls
        for i, (feature, rows) in enumerate(zip(features, ids, strict=True)):
            x = getattr(self, f"conv_{i}")(feature).flatten(2).transpose(1, 2)  # (B, H' W', D)
            centre = getattr(self, f"centre_{i}")
            if self.training:
                centre.lerp_(x.detach().mean((0, 1)).to(centre.dtype), weight.to(centre.dtype))
            out.append(unit(x.index_select(1, rows) - centre))
        return out

    def sample_ids(self, features: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
        """At most ``count`` random locations of each projected map, row-major, without repetition; 0 takes all."""
        sizes = [(f.shape[2] + 1) // 2 * ((f.shape[3] + 1) // 2) for f in features]
        return [torch.randperm(n, device=f.device)[: count or None] for n, f in zip(sizes, features, strict=True)]


def random_places(features: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """At most ``count`` places of each map (B, C, H, W), row-major, drawn without repetition; 0 takes every one."""
    return [torch.randperm(f.shape[2] * f.shape[3], device=f.device)[: count or None] for f in features]


def at_places(feature: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The vectors (B, S, C) of a feature map (B, C, H, W) at S places, row-major.

    Args:
        places: indices (S,), the same for all images; indices (B, S) of each image; or weights (B, S, H W) in floats,
            by which a vector is mixed of all places (QS-Attn).
    """
    x = feature.flatten(2)
    if places.is_floating_point():
        return places.to(x.dtype) @ x.transpose(1, 2)
    if places.ndim == 1:
        return x.index_select(2, places).transpose(1, 2)
    return x.gather(2, places[:, None].expand(-1, x.shape[1], -1)).transpose(1, 2)


def unit(x: torch.Tensor) -> torch.Tensor:
    """x (..., D) over its length plus 1e-7, in at least float32.

    The published forward. 1e-7 keeps an all-zero row, which small heads do produce, at zero, and vector_norm
    has a finite gradient there, where the square root of a sum of squares does not.
    """
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + 1e-7)


@torch.no_grad()
def channels_at(generator: Tapped, taps: Sequence[Tap], input_nc: int) -> list[int]:
    """C_l of every tap."""
    return [shape[0] for shape in shapes_at(generator, taps, input_nc)]


@torch.no_grad()
def shapes_at(generator: Tapped, taps: Sequence[Tap], input_nc: int) -> list[torch.Size]:
    """(C_l, H_l, W_l) of every tap, of an image of 64 pixels or the least that the generator takes.

    By a dry run on the meta device: no arithmetic, no random numbers.
    """
    probe = copy.deepcopy(generator).to("meta")
    side = max(64, generator.stride)
    return [f.shape[1:] for f in probe(torch.empty(1, input_nc, side, side, device="meta"), taps, encode_only=True)]


@register_F
def mlp_sample(channels: Sequence[int], dim: int) -> PatchSampler:
    return PatchSampler(channels, dim)


@register_F
def sample(channels: Sequence[int]) -> PatchSampler:
    return PatchSampler(channels, None)


@register_F
def reshape(channels: Sequence[int]) -> GridSampler:
    return GridSampler(channels)


@register_F
def global_pool(channels: Sequence[int]) -> GlobalPool:
    return GlobalPool(channels)


@register_F
def strided_conv(channels: Sequence[int], dim: int) -> StridedConv:
    return StridedConv(channels, dim)
