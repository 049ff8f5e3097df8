"""LSeSim's head: features in which maps of similarity are compared."""

from collections.abc import Sequence

import torch
from torch import nn


class SimilarityHead(nn.Module):
    """For each layer ``conv_<i>``, two 1 x 1 convolutions to a quarter of the channels, 32 at least.

    Zheng, Cham, Cai, "The Spatially-Correlative Loss for Various Image Translation Tasks" (CVPR 2021, section 3.2).
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        for i, C in enumerate(channels):
            D = max(32, C // 4)
            self.add_module(f"conv_{i}", nn.Sequential(nn.Conv2d(C, D, 1), nn.ReLU(), nn.Conv2d(D, D, 1)))

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """(B, C_l, H_l, W_l) each -> (B, D_l, H_l, W_l) each."""
        return [head(feature) for head, feature in zip(self.children(), features, strict=True)]
