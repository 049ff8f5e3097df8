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
    draw = torch.rand(B, 6, device=images.device) * 2 - 1
    angle = draw[:, 0] * math.radians(rotate)
    sx, sy = torch.exp(draw[:, 1] * scale), torch.exp(draw[:, 2] * scale)
    lean = draw[:, 3] * shear
    cos, sin = angle.cos(), angle.sin()
    rows = [sx * cos, sx * (lean * cos - sin), draw[:, 4] * 2 * shift, sy * sin, sy * (lean * sin + cos)]
    theta = torch.stack([*rows, draw[:, 5] * 2 * shift], 1).view(B, 2, 3)
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


def shifted(images: torch.Tensor, right: int, down: int, fill: float = 1.0) -> torch.Tensor:
    """Images (B, C, H, W) moved by whole pixels; what comes in is ``fill``."""
    H, W = images.shape[2:]
    moved = F.pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)), value=fill)
    top, left = max(-down, 0), max(-right, 0)
    return moved[:, :, top : top + H, left : left + W]


def nearest_shifts(count: int) -> list[tuple[int, int]]:
    """So many shifts (right, down) in whole pixels, the shortest first: (0, 0), then its neighbours."""
    reach = range(-int(count**0.5) - 1, int(count**0.5) + 2)
    return sorted(((x, y) for x in reach for y in reach), key=lambda s: (s[0] ** 2 + s[1] ** 2, s))[:count]
