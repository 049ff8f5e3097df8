"""What a metric has to say for itself."""

from collections.abc import Mapping
from typing import Any, Literal

import torch

from util import contract

Facts = Mapping[str, torch.Tensor]


class Metric:
    """A number that compares generated images with real ones.

    A plugin is one file, <name>_metric.py, with one subclass <Name>Metric. One that asks a judge says so with
    ``judge`` and takes the judge as a keyword of its constructor; see :mod:`evaluation.metrics.base_judged`.

    Args:
        opt: the options of the run.
    """

    hooks = ("__init__", "update", "compute", "remarks")  # what the toolkit calls
    better: Literal["lower", "higher", "one"] = "lower"  # in which direction the values improve; one: towards 1
    judge: Literal["character", "style"] | None = None  # what it has a judge tell apart
    against: Literal["target", "source"] = "target"  # what ``real`` is: what a fake should be, or what it was made of

    def __init__(self, opt: Any = None) -> None:
        self.opt = opt

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        """Take in images; for a metric of pairs, ``real[i]`` is what ``fake[i]`` should be.

        Args:
            real, fake: (B, C, H, W) in [-1, 1], white 1 and ink -1.
            facts: what the data know of them, (B,) int64 on the CPU: ``character``, a code point, and ``label``, the
                number of a style; without it all images are of one style.
        """
        raise contract.broken(self, "update(real, fake, facts)", "is not written: take in a batch of images")

    def compute(self) -> dict[str, float]:
        """{name: value} over everything taken in; NaN where that defines none. It never raises."""
        raise contract.broken(self, "compute()", "is not written: {name: value}")

    def remarks(self) -> list[str]:
        """What a reader of the values must know, a line each."""
        return []

    @classmethod
    def check_class(cls) -> None:
        """Raises:
        UserError: what a plugin says of itself is none of what it may say.
        """
        contract.one_of(cls, "better", ("lower", "higher", "one"))
        contract.one_of(cls, "judge", (None, "character", "style"))
        contract.one_of(cls, "against", ("target", "source"))
