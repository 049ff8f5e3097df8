"""Metrics of pictures that were made from captions: what a judge of both makes of them."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from evaluation.metrics.base_metric import Facts, Metric
from options import UserError
from util.contract import broken


@dataclass(frozen=True)
class Seen:
    """Pictures as a judge sees them.

    Attributes:
        features: (N, F).
        answers: (N, A) int64, the value of each attribute in the numbers of the data; -1 is none of theirs.
        embedding: (N, E) unit vectors, near to those of captions that fit.
    """

    features: torch.Tensor
    answers: torch.Tensor
    embedding: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Judged:
    """Pictures, and the captions that they have or were made for, as a judge sees and reads them.

    Attributes:
        seen: N pictures.
        captions: (N, E) unit vectors.
        said: (N, A) int64, what the captions say of each attribute; -1 is nothing.
        shown: (N, A) int64, what the pictures show or, generated, what the real ones of these captions do.
    """

    seen: Seen
    captions: torch.Tensor
    said: torch.Tensor
    shown: torch.Tensor

    def __len__(self) -> int:
        return len(self.seen)

    def with_captions(self, order: torch.Tensor) -> "Judged":
        """The pictures with captions of others, those at these N places."""
        return replace(self, captions=self.captions[order], said=self.said[order], shown=self.shown[order])


class CaptionedMetric(Metric):
    """Whether pictures show what their captions say; a plugin is one file, <name>_metric.py, as of any metric."""

    better = "higher"

    def compare(self, judged: Judged) -> dict[str, float]:
        """{name: value}; NaN where these pictures define none. It never raises."""
        raise broken(self, "compare(judged)", "is not written")

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        name = type(self).__module__.rpartition(".")[2].removesuffix("_metric")
        raise UserError(f"--metrics {name} judges images made from captions: it is computed with --caption_judge")

    def compute(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} judges captions; call compare(judged)")
