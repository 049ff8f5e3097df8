"""SimCLR's augmentation of images that a gradient goes through: what a contrastive discriminator sees."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class SimCLRAugment(nn.Module):
    """Crop, mirror, change of colours, grey: the augmentation of Chen et al., "SimCLR" (ICML 2020, appendix A).

    A crop of an area between ``crop`` and 1 and a ratio of sides between 3/4 and 4/3, whose logarithm is uniform, comes
    back at the size of the image, bilinearly. In four of five images brightness, contrast and saturation change by
    factors 1 + U(-0.8 s, 0.8 s) and colours turn about the grey axis by U(-0.2 s, 0.2 s) of a circle, which SimCLR does
    in HSV; one of five becomes grey. Images of one channel keep what is of colours. Values may leave [-1, 1], as in
    DiffAugment: clamped ones would have no gradient.

    Numbers come from torch's global generator; each image has its own.

    Args:
        crop: least area, in (0, 1]; 1 crops nothing.
        jitter: s, 0 for none. SimCLR has 1, for CIFAR-10 0.5.
        mirror: every second image, for data whose class a mirror keeps.
    """

    def __init__(self, crop: float = 0.2, jitter: float = 0.5, mirror: bool = True):
        super().__init__()
        self.crop, self.jitter, self.mirror = crop, jitter, mirror

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in [-1, 1] to the same shape."""
        draws = torch.rand(11, len(x), device=x.device)
        x = self.framed(x, *draws[:5])
        return self.coloured(x, *draws[5:]) if self.jitter > 0 else x

    def framed(self, x: torch.Tensor, *draws: torch.Tensor) -> torch.Tensor:
        area, ratio, u, v, mirrored = draws
        side = (self.crop + (1 - self.crop) * area).sqrt()
        half = math.log(4 / 3) / 2 * (2 * ratio - 1)  # of the logarithm of the ratio
        width, height = ((side * factor.exp()).clamp(max=1) for factor in (half, -half))
        sign = torch.where(mirrored < 0.5, -1.0, 1.0) if self.mirror else 1.0
        zero = torch.zeros_like(width)
        across = torch.stack([width * sign, zero, (1 - width) * (2 * u - 1)], 1)
        down = torch.stack([zero, height, (1 - height) * (2 * v - 1)], 1)
        with torch.autocast("cpu" if x.device.type == "meta" else x.device.type, enabled=False):
            grid = F.affine_grid(torch.stack([across, down], 1), list(x.shape), align_corners=False)
            return F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False)

    def coloured(self, x: torch.Tensor, on: torch.Tensor, *draws: torch.Tensor) -> torch.Tensor:
        *factors, turn, grey = (draw.view(-1, 1, 1, 1) for draw in draws)
        on, change = (on < 0.8).view(-1, 1, 1, 1), 0.8 * self.jitter
        bright, strong, rich = (torch.where(on, 1 + change * (2 * u - 1), 1.0).to(x.dtype) for u in factors)
        x = (x + 1) * bright - 1  # black stays black
        x = x.mean((1, 2, 3), keepdim=True).lerp(x, strong)
        if x.shape[1] != 3:
            return x
        x = x.mean(1, keepdim=True).lerp(x, rich)
        angle = torch.where(on, 2 * math.pi * 0.2 * self.jitter * (2 * turn - 1), 0.0)
        x = turned(x, angle)
        return torch.where(grey < 0.2, x.mean(1, keepdim=True).expand_as(x), x)

    def extra_repr(self) -> str:
        return f"crop={self.crop}, jitter={self.jitter}, mirror={self.mirror}"


def turned(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Colours (B, 3, H, W) turned about the grey axis by an angle (B, 1, 1, 1): Rodrigues' formula."""
    grey = x.mean(1, keepdim=True)
    apart = x - grey
    red, green, blue = apart.unbind(1)
    crossed = torch.stack([blue - green, red - blue, green - red], 1) / math.sqrt(3)  # of (1, 1, 1) / sqrt 3
    return (grey + apart * angle.cos() + crossed * angle.sin()).to(x.dtype)
