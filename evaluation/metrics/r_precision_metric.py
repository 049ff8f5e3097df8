"""Whether a picture's own caption is the nearest of many."""

import math
from dataclasses import replace
from typing import Any

import torch

from evaluation.metrics.base_captioned import CaptionedMetric, Judged
from evaluation.metrics.shared.captions import POOL, Precision, r_precision
from util.seeding import derive

DEVIATION = "+-"


class RPrecisionMetric(CaptionedMetric):
    """R-precision, and the standard deviation of ten folds: see :func:`evaluation.metrics.shared.captions.r_precision`.

    Args:
        generator: draws the pools and folds; without one they are the same for every call.
        pool: captions in a pool at most.
    """

    def __init__(self, opt: Any = None, generator: torch.Generator | None = None, pool: int = POOL) -> None:
        super().__init__(opt)
        self.generator, self.pool = generator, pool

    def measure(self, judged: Judged) -> Precision:
        """With the captions of every pool; NaN where the judge's vectors are no finite numbers."""
        generator = self.generator or torch.Generator().manual_seed(derive("R-precision"))
        seen = judged.seen
        found = r_precision(seen.embedding, judged.captions, judged.said, judged.shown, generator, self.pool)
        if all(bool(vectors.isfinite().all()) for vectors in (seen.embedding, judged.captions)):
            return found
        return replace(found, mean=math.nan, deviation=math.nan)

    def compare(self, judged: Judged) -> dict[str, float]:
        return self.named(self.measure(judged))

    @staticmethod
    def named(found: Precision) -> dict[str, float]:
        return {found.name: found.mean, DEVIATION: found.deviation}
