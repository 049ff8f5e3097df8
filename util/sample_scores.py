"""Scores of generated images, of real ones and of the classes of both, from what a judge sees in them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from evaluation.metrics.accuracy_metric import AccuracyMetric
from evaluation.metrics.kid_metric import SUBSET, SUBSETS
from evaluation.metrics.shared.distances import frechet, kid, kid_of_subsets
from evaluation.metrics.shared.observed import Observed
from evaluation.metrics.variety_metric import WORST, VarietyMetric

# name of a value -> where values improve; see util.pages.sections.ARROWS
VALUES = {
    "accuracy": "higher",
    "matched": "higher",
    "variety": "one",
    "worst class": "one",
    "KID x 1000": "lower",
    "KID of subsets": "",
    "+-": "",
    "FID-domain": "lower",
}


@dataclass(frozen=True)
class SampleScores:
    """``values[row][name]``, NaN where a value is not defined; the rows are generated, training and held-out images.

    Attributes:
        counts: images of each row.
        n: images of the first two rows that the distances to the held-out ones are of.
        remarks: what a reader must know, a line each.
    """

    values: dict[str, dict[str, float]]
    counts: dict[str, int]
    n: int
    remarks: list[str]

    def as_dict(self) -> dict[str, dict[str, float | int | None]]:
        """For JSON: None where a value is not defined."""
        rows = {}
        for row, values in self.values.items():
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows[row] = {"images": self.counts[row], **finite}
        return rows


def score_samples(
    fake: Observed, train: Observed, held: Observed, classes: Sequence[str], generator: torch.Generator
) -> SampleScores:
    """Compare generated images and, as what is reachable, training images with the held-out ones.

    - accuracy: of the judge's answers with the labels that were asked for; matched: after the best renaming of
      labels, so that 1 beside a low accuracy says clean classes with wrong names.
    - variety: mean distance between two images of a class over that of held-out images; the mean of the classes, and
      the least of them (worst class).
    - KID (1000 times; of every pair, and mean and deviation over 50 subsets) and FID-domain: distances to the held-out
      images, of as many generated as training images, for they depend on the number or spread with it.

    Args:
        fake, train, held: with features and answers of a judge, and with labels where there are any; ``fake`` is
            balanced in its order: any number of its first rows are of all classes.
        classes: names of the labels.
        generator: draws the training images that are compared, and KID's subsets.
    """
    n = min(len(fake), len(train))
    some = train.take(torch.randperm(len(train), generator=generator)[:n])
    rows = {"generated": fake, "training": train, "held-out": held}
    remarks: list[str] = []
    values = {}
    for name, judged in rows.items():
        values[name] = dict.fromkeys(VALUES, math.nan)
        if judged.labels is not None:
            values[name] |= labels_of(judged, held, classes, remarks if name == "generated" else [])
    for name, judged in (("generated", fake.take(torch.arange(n))), ("training", some)):
        x, y = judged.features, held.features
        mean, deviation = kid_of_subsets(x, y, min(SUBSET, len(x) // 2, len(y) // 2), SUBSETS, generator)
        values[name] |= {
            "KID x 1000": 1000 * kid(x, y),
            "KID of subsets": 1000 * mean,
            "+-": 1000 * deviation,
            "FID-domain": frechet(x, y),
        }
    F = fake.features.shape[1]
    if min(n, len(held)) <= F:
        remarks.append(f"FID-domain: {min(n, len(held))} images are too few for {F} features; --num_samples sets them")
    if bool((fake.features == fake.features[:1]).all()):
        remarks.append("the judge sees one and the same image in all that were generated, so there are no distances")
    remarks += imbalance(held)
    return SampleScores(values, {name: len(judged) for name, judged in rows.items()}, n, remarks)


def labels_of(judged: Observed, held: Observed, classes: Sequence[str], remarks: list[str]) -> dict[str, float]:
    """The values of images with labels."""
    variety = VarietyMetric()
    variety.classes = classes
    remarks += variety.doubts(held, judged)
    found = variety.compare(held, judged)
    return AccuracyMetric().compare(held, judged) | {"variety": found["variety"], "worst class": found[WORST]}


def imbalance(held: Observed) -> list[str]:
    """A remark where classes are not about equally frequent in the data, as they are among generated images."""
    if held.labels is None or not len(held):
        return []
    counts = held.labels.unique(return_counts=True)[1].tolist()
    if max(counts) <= 1.5 * min(counts):
        return []
    return [
        f"held-out images are {min(counts)} to {max(counts)} of a class, generated ones balanced: KID and FID feel it"
    ]
