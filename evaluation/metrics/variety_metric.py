"""How different the images of a class are."""

import math

from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.labels import variety_within
from evaluation.metrics.shared.observed import Observed

WORST = "variety of the worst class"


class VarietyMetric(SetMetric):
    """Mean distance of two generated images of a class, as a part of that of two real ones.

    The mean of the classes, and the least of them: 0 is a class that collapsed. Distances are Euclidean, of features.
    """

    names = ("variety", WORST)
    better = "one"
    asks = ("features", "labels")
    alike = True

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        ratios = self.ratios(real, fake)
        mean = sum(ratios.values()) / len(ratios) if ratios else math.nan
        return {"variety": mean, WORST: min(ratios.values(), default=math.nan)}

    def ratios(self, real: Observed, fake: Observed) -> dict[int, float]:
        """{label: its variety}, of labels that have two images of either set, and real ones that differ."""
        assert real.labels is not None and fake.labels is not None
        return variety_within(fake.features, fake.labels, real.features, real.labels)

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        ratios, lines = self.ratios(real, fake), []
        if ratios:
            lines.append(f"least varied class: {self.called(min(ratios, key=ratios.__getitem__))}")
        assert fake.labels is not None
        if left := [self.called(label) for label in fake.labels.unique().tolist() if label not in ratios]:
            lines.append(f"variety: fewer than two different images are known of {', '.join(left)}")
        return lines
