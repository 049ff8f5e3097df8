"""How far the outlines are from each other."""

import math

import numpy as np
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt

from evaluation.metrics.base_ratio import RatioMetric
from evaluation.metrics.shared.ink import strokes


class ChamferMetric(RatioMetric):
    r"""Symmetric chamfer distance between outlines, in pixels; the mean over the glyphs of a style.

    .. math:: \frac12 \Bigl(\operatorname{mean}_{a \in A} \min_{b \in B} \|a - b\|
              + \operatorname{mean}_{b \in B} \min_{a \in A} \|a - b\|\Bigr)

    A and B are the pixels of ink (darker than half) with paper, or the border of the canvas, on one of four sides.
    Where one image has no ink it is the canvas's diagonal, where both have none it is 0.
    """

    name = "chamfer"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = zip(strokes(real).cpu().numpy(), strokes(fake).cpu().numpy(), strict=True)
        distances = torch.tensor([chamfer(outline(x), outline(y)) for x, y in pairs], dtype=torch.float64)
        return distances, torch.ones_like(distances)


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask (H, W) that have a neighbour outside it, or none."""
    return mask & ~binary_erosion(mask)


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    """Symmetric mean distance between two sets of pixels, (H, W) bool."""
    if not a.any() or not b.any():
        return math.hypot(*a.shape) if a.any() or b.any() else 0.0
    return float(distance_transform_edt(~b)[a].mean() + distance_transform_edt(~a)[b].mean()) / 2
