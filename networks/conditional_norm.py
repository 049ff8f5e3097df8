"""Batch normalisation in generators, called as norm(x, condition); that of labels alone is ClassNorm of latent.py."""

import torch
import torch.nn.functional as F
from torch import nn


class ConditionalBatchNorm(nn.Module):
    """Normalise, then scale by 1 + W_g a and shift by W_b a, of a vector a (B, conditions).

    Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019), appendix B.
    """

    def __init__(self, channels: int, conditions: int, eps: float = 1e-4):  # as in ContraGAN's code
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, momentum=0.1, affine=False)
        self.gain = nn.Linear(conditions, channels, bias=False)
        self.bias = nn.Linear(conditions, channels, bias=False)

    def forward(self, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        x, gain, bias = self.norm(x), 1 + self.gain(a), self.bias(a)
        return torch.addcmul(bias.to(x.dtype)[:, :, None, None], x, gain.to(x.dtype)[:, :, None, None])


class LocalBatchNorm(nn.Module):
    """Normalise, then scale and shift each place by what a map of conditions (B, conditions, h, w) says of it.

    The map may be a few times smaller; each of its places then counts for a square. Gains and biases are made before it
    is enlarged, which is the same for 1 x 1 convolutions, at a fraction of the work. Zhang et al., "Cross-Modal
    Contrastive Learning for Text-to-Image Generation" (CVPR 2021).
    """

    def __init__(self, channels: int, conditions: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain_and_bias = nn.Conv2d(conditions, 2 * channels, 1)

    def forward(self, x: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
        x, both = self.norm(x), self.gain_and_bias(local)
        if both.shape[2:] != x.shape[2:]:
            both = F.interpolate(both, x.shape[2:], mode="nearest")
        gain, bias = both.to(x.dtype).chunk(2, 1)
        return torch.addcmul(x + bias, x, gain)


class PlainBatchNorm(nn.Module):
    """Batch normalisation with one gain and bias for all; whatever the condition."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        return self.norm(x)
