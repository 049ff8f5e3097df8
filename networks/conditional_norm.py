"""Batch normalisation in generators, called as norm(x, condition); that of labels alone is ClassNorm of latent.py."""

import torch
from torch import nn


class ConditionalBatchNorm(nn.Module):
    """Normalise, then scale by 1 + W_g a and shift by W_b a, of a vector a (B, conditions).

    Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019), appendix B.
    """

    def __init__(self, channels: int, conditions: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-4, momentum=0.1, affine=False)  # as in ContraGAN's code
        self.gain = nn.Linear(conditions, channels, bias=False)
        self.bias = nn.Linear(conditions, channels, bias=False)

    def forward(self, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        x, gain, bias = self.norm(x), 1 + self.gain(a), self.bias(a)
        return torch.addcmul(bias.to(x.dtype)[:, :, None, None], x, gain.to(x.dtype)[:, :, None, None])


class PlainBatchNorm(nn.Module):
    """Batch normalisation with one gain and bias for all; whatever the condition."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        return self.norm(x)
