"""Whether images are of the class that was asked for."""

from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.labels import accuracy, matched_accuracy
from evaluation.metrics.shared.observed import Observed


class AccuracyMetric(SetMetric):
    """Part of the generated images that the extractor takes for the class they were to have.

    ``matched`` is that after the best one-to-one renaming of the labels: 1 beside a low accuracy says clean classes
    under wrong names. The floors are those of real images.
    """

    names = ("accuracy", "matched")
    better = "higher"
    asks = ("answers", "labels")
    least = 1
    alone = True

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        assert fake.answers is not None and fake.labels is not None
        return {
            "accuracy": accuracy(fake.answers, fake.labels),
            "matched": matched_accuracy(fake.answers, fake.labels),
        }
