"""Metrics that compare two sets of images, not image with image: what an extractor sees in either."""

from typing import Any, ClassVar

import torch

from .base_metric import Facts, Metric
from .observed import Observed


class SetMetric(Metric):
    """A distance between generated and real images as sets, or a number of the generated ones alone.

    Images are observed once for all metrics (:class:`util.set_scores.SetScores`), which then ask :meth:`compare`. A
    plugin is one file, <name>_metric.py, like that of any other metric.
    """

    asks: ClassVar[tuple[str, ...]] = ("features",)  # of Observed, without which it defines no value
    least: ClassVar[int] = 2  # images of either set below which it defines no value
    floor: ClassVar[bool] = True  # whether real against real is what a perfect generator would reach

    def compare(self, real: Observed, fake: Observed) -> dict[str, float]:
        """{name: value}; NaN where these sets define none. It never raises.

        Args:
            real: images that training has not seen.
            fake: generated ones, or for the floor other real ones.
        """
        raise NotImplementedError(f"{type(self).__name__} must write compare(real, fake)")

    def doubts(self, real: Observed, fake: Observed) -> list[str]:
        """Why a value is not defined, or not to be trusted, a line each: "FID: 140 images for 2048 features, ..."."""
        return []

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        raise NotImplementedError(f"{type(self).__name__} compares sets; observe images and call compare(real, fake)")

    def compute(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} compares sets; observe images and call compare(real, fake)")
