"""Fréchet distance of two sets of images, class by class."""

import math

from evaluation.metrics.base_set import FEW, SetMetric
from evaluation.metrics.shared.distances import frechet
from evaluation.metrics.shared.observed import Observed
from options.listed import in_words


class IfidMetric(SetMetric):
    """Intra-class FID: the mean over the classes of FID between the generated and the real images of a class.

    It sees classes that are confused, and variety that a class lost, where FID does not. Of few images it is high;
    classes with fewer than 10 images of either set, or with images that are all alike, are left out and named.
    """

    names = ("intra-FID",)
    asks = ("features", "labels")

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        known = [value for value in self.of_classes(real, fake).values() if math.isfinite(value)]
        return {"intra-FID": sum(known) / len(known) if known else math.nan}

    def of_classes(self, real: Observed, fake: Observed) -> dict[int, float]:
        """{label: FID}, of every label that a generated image was to have."""
        assert real.labels is not None and fake.labels is not None
        values = {}
        for label in fake.labels.unique().tolist():
            sets = (fake.features[fake.labels == label], real.features[real.labels == label])
            values[label] = frechet(*sets, singular=True) if min(map(len, sets)) >= FEW else math.nan
        return values

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        assert real.labels is not None and fake.labels is not None
        values, lines = self.of_classes(real, fake), []
        if left := [self.called(label) for label, value in values.items() if math.isnan(value)]:
            lines.append(f"intra-FID: fewer than {FEW} images, or all alike, generated or real, of {in_words(left)}")
        if bare := [self.called(label) for label in real.labels.unique().tolist() if label not in values]:
            lines.append(f"intra-FID: no generated images of {in_words(bare)}, which are left out")
        used = [label for label, value in values.items() if math.isfinite(value)]
        fewest = min(
            (labels.tolist().count(k) for labels in (real.labels, fake.labels) for k in used), default=math.inf
        )
        F = fake.features.shape[1]
        if fewest <= F:
            lines.append(
                f"intra-FID: {fewest:,} images of a class are few for {F:,} features, which makes it higher; read "
                "it beside its floor and compare it with values of as many images alone"
            )
        return lines
