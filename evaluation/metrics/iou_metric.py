"""Ink that is where it should be."""

import torch

from evaluation.metrics.base_ratio import RatioMetric
from evaluation.metrics.shared.ink import strokes


class IouMetric(RatioMetric):
    """Pixels that are ink in both over pixels that are ink in either: 1 is equal, a white page 0.

    Ink is darker than half. Of every style the total of its intersections over the total of its unions; the mean over
    glyphs differs from that by 0.002 (cwTeX fonts, 64 pixels).
    """

    better = "higher"
    name = "IoU"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = strokes(real), strokes(fake)
        return (x & y).sum((1, 2)), (x | y).sum((1, 2))
