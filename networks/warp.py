"""Augmentation on the device: one smooth deformation for all the images that belong together."""

import math

import torch
import torch.nn.functional as F

from .layers import as_it_comes


def random_warp(
    images: torch.Tensor,
    scale: float = 0.0,
    rotate: float = 0.0,
    shear: float = 0.0,
    shift: float = 0.0,
    elastic: float = 0.0,
    cells: int = 4,
) -> torch.Tensor:
    """Deform each image by an affine map and an elastic field of its own; what its channels show stays aligned.

    Numbers come from torch's global generator, which a step seeds. Sampling is bilinear, outside is the image's edge.

    Args:
        images: (B, C, H, W); pictures that must be deformed alike are channels of one image.
        scale: each axis by a factor of exp(u), |u| <= scale.
        rotate: by at most so many degrees.
        shear: by at most so much of the height, along the width.
        shift: by at most so much of the width.
        elastic: standard deviation of the elastic displacement, in pixels.
        cells: its grid; the displacement is drawn at cells x cells places and interpolated between them.
    """
    B, _, H, W = images.shape
    theta = affine_maps(torch.rand(B, 6, device=images.device), scale, rotate, shear, shift)[:, :2]
    with as_it_comes(images):  # in bfloat16 a coordinate would be a fifth of a pixel off
        grid = F.affine_grid(theta, [B, 1, H, W], align_corners=False)  # (B, H, W, 2)
        if elastic > 0:
            field = torch.randn(B, 2, cells, cells, device=images.device) * (2 * elastic / W)
            grid = grid + F.interpolate(field, (H, W), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        warped = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return warped.to(images.dtype)


def splice(images: torch.Tensor) -> torch.Tensor:
    """Cut each image in two, down or across, and put a piece of another in place of the second half.

    All channels are cut alike, so what they show stays aligned. Of glyphs it makes characters that nobody wrote, out
    of parts that do occur. One cut, between a quarter and three quarters of the size, for the whole batch (B, C, H, W).
    """
    size = images.shape[2]
    where = torch.arange(size, device=images.device)
    first = where < size * (0.25 + 0.5 * torch.rand((), device=images.device))  # (H,)
    across = torch.rand((), device=images.device) < 0.5
    mask = torch.where(across, first[:, None], first[None, :])  # (H, H)
    return torch.where(mask, images, images.roll(1, 0))


def affine_maps(
    draws: torch.Tensor, scale: float = 0.0, rotate: float = 0.0, shear: float = 0.0, shift: float = 0.0
) -> torch.Tensor:
    """Maps (B, 3, 3) from places of the result to places of the image, both in [-1, 1], from draws (B, 6) in [0, 1].

    The strengths are those of :func:`random_warp`; draws of one half give the identity.
    """
    draws = draws * 2 - 1
    angle = draws[:, 0] * math.radians(rotate)
    sx, sy = torch.exp(draws[:, 1] * scale), torch.exp(draws[:, 2] * scale)
    lean = draws[:, 3] * shear
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [sx * cos, sx * (lean * cos - sin), draws[:, 4] * 2 * shift]
    rows += [sy * sin, sy * (lean * sin + cos), draws[:, 5] * 2 * shift]
    return torch.stack([*rows, zero, zero, zero + 1], 1).view(-1, 3, 3)


def warp(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Images (B, C, H, W) in [-1, 1] through one map (3, 3); bicubic, and outside is the edge."""
    with as_it_comes(images):
        grid = F.affine_grid(matrix[None, :2].expand(len(images), -1, -1), list(images.shape), align_corners=False)
        return F.grid_sample(images.float(), grid, "bicubic", "border", align_corners=False).clamp(-1, 1)
