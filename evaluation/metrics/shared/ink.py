"""Ink: how dark an image is."""

import torch


def ink(images: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) in [-1, 1] to (B, H, W) in [0, 1], float64: 0 is paper, 1 is black; the mean of the channels."""
    return ((1 - images.double()) / 2).mean(1)


def strokes(images: torch.Tensor) -> torch.Tensor:
    """(B, H, W) bool: where there is more ink than paper."""
    return ink(images) > 0.5
