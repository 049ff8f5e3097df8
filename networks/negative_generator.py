"""NEGCUT's network N, which makes negatives that are hard to tell from an image's own vectors."""

from collections.abc import Sequence

import torch
from torch import nn

from .heads import unit


class NegativeGenerator(nn.Module):
    """For each layer, an image's mean vector and noise to unit vectors.

    Wang et al., "Instance-wise Hard Negative Example Generation for Contrastive Learning in Unpaired Image-to-Image
    Translation" (ICCV 2021). One perceptron ``mlp_<i>`` per layer, of one hidden layer as wide as the vectors.

    Args:
        dims: D_l, numbers of a vector of each layer.
        noise_dim: numbers of the noise.
    """

    def __init__(self, dims: Sequence[int], noise_dim: int = 64):
        super().__init__()
        self.dims, self.noise_dim = list(dims), noise_dim
        for i, D in enumerate(dims):
            self.add_module(f"mlp_{i}", nn.Sequential(nn.Linear(D + noise_dim, D), nn.ReLU(), nn.Linear(D, D)))

    def forward(self, means: Sequence[torch.Tensor], noise: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """means: (B, D_l) each; noise: (B, M, noise_dim) each -> unit vectors (B, M, D_l) each, in float32."""
        out = []
        for i, (mean, z) in enumerate(zip(means, noise, strict=True)):
            repeated = mean[:, None].expand(-1, z.shape[1], -1)
            out.append(unit(getattr(self, f"mlp_{i}")(torch.cat([repeated, z.to(mean.dtype)], 2))))
        return out
