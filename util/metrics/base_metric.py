"""What a metric has to say for itself."""

import torch


class Metric:
    """A number that compares generated images with real ones.

    A plugin is one file, <name>_metric.py, with one subclass <Name>Metric.
    """

    def update(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        """Take in images (B, C, H, W) in [-1, 1]; for a metric of pairs, ``real[i]`` is what ``fake[i]`` should be."""
        raise NotImplementedError(f"{type(self).__name__} must write update(real, fake)")

    def compute(self) -> dict[str, float]:
        """{name: value} over everything taken in."""
        raise NotImplementedError(f"{type(self).__name__} must write compute()")
