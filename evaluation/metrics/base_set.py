"""Metrics that compare two sets of images, not image with image: what an extractor sees in either."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from evaluation.metrics.base_metric import Facts, Metric
from evaluation.metrics.shared.observed import Observed
from util.contract import broken, names_in, values_of

DEVIATION = " +-"  # ends the name of a value that is the standard deviation of another
FEW = 10  # images of a set below which a distance of distributions says nothing but how few they are
EQUAL = 1e-5  # of the largest number: one and the same image differs by rounding from batch to batch
NO_CLASSES = "the generated images have no classes, for the model makes them without"
LACKS = {
    "features": "there are no features",
    "logits": "this extractor has no classes of its own",
    "labels": "these data have no labels",
    "answers": "this extractor does not tell the classes of these data apart",
    "images": "there are no images",
}
SEEN = frozenset(("features", "logits", "answers"))  # what an extractor tells of images


class SetMetric(Metric):
    """A distance between generated and real images as sets, or a number of the generated ones alone.

    Images are observed once for all metrics (:class:`evaluation.sets.SetScores`), which then ask :meth:`compare`. A
    plugin is one file, <name>_metric.py, like that of any other metric; it writes :meth:`measure`.
    """

    names: ClassVar[tuple[str, ...]] = ()  # of its values; one that ends in " +-" is the deviation of the one before
    directions: ClassVar[Mapping[str, str]] = {}  # of names that improve elsewhere than ``better`` says
    asks: ClassVar[tuple[str, ...]] = ("features",)  # of Observed, without which it defines no value
    least: ClassVar[int] = 2  # images of either set below which it defines no value
    floor: ClassVar[bool] = True  # whether real against real is what a perfect generator would reach
    alone: ClassVar[bool] = False  # whether it is of the generated images alone, and the floor of the real ones alone
    alike: ClassVar[bool] = False  # whether it defines a value where all images are alike
    classes: Sequence[str] = ()  # names of the labels, where they are known

    def compare(self, real: Observed, fake: Observed) -> dict[str, float]:
        """{name: value}; NaN where these sets define none. It never raises.

        Args:
            real: images that training has not seen.
            fake: generated ones, or for the floor other real ones.
        """
        if self.flaws(real, fake):
            return dict.fromkeys(self.names, math.nan)
        return values_of(self, "measure", self.measure(real, fake))

    def guess(self, real: Observed) -> dict[str, float]:
        """{name: value} of who knows nothing but how real images are mixed, where that can be told."""
        return {}

    def details(self, real: Observed, fake: Observed) -> dict[str, dict[str, Any]]:
        """{name: what else metrics.json is to say of the value, for JSON}."""
        return {}

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        """``compare`` of sets that have no flaws."""
        raise broken(self, "measure(real, fake)", "is not written: {name: value}")

    def doubts(self, real: Observed, fake: Observed) -> list[str]:
        """Why a value is not defined, or not to be trusted, a line each: "FID: 140 images for 2048 features, ..."."""
        return self.flaws(real, fake) or self.caveats(real, fake)

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        """Why a value that is defined is not to be trusted, and what else a reader must know of it."""
        return []

    def flaws(self, real: Observed, fake: Observed) -> list[str]:
        """Why no value is defined: of each set at most one line, none for sets that have what is asked for."""
        if "labels" in self.asks and fake.labels is None and real.labels is not None:
            return [f"{self.title}: {NO_CLASSES}"]
        sets = {"generated": fake} if self.alone else {"generated": fake, "real": real}
        lines = [line for kind, images in sets.items() if (line := self.flaw(kind, images))]
        return [f"{self.title}: {line}" for line in dict.fromkeys(lines)]

    def flaw(self, kind: str, images: Observed) -> str | None:
        given = {name: getattr(images, name) for name in self.asks}
        numbers = [x for x in given.values() if x is not None and x.is_floating_point()]
        if lacking := [name for name, x in given.items() if x is None]:
            return LACKS[lacking[0]]
        if (n := len(images)) < self.least:
            return f"{n} {kind} {'image is' if n == 1 else 'images are'} too few, {self.least} needed"
        if bad := max([int((~x.isfinite()).any(1).sum()) for x in numbers], default=0):
            return f"what the extractor sees in {bad} of {n} {kind} images is no finite number"
        if not self.alike and any(map(alike, numbers)):
            return f"all {kind} images are alike"
        return None

    @classmethod
    def check_class(cls) -> None:
        super().check_class()
        if not names_in(cls, "names"):
            raise broken(cls, "names", "is empty; it lists the names of the values that measure() returns")

    @property
    def title(self) -> str:
        """What it is called where it is the subject of a sentence."""
        return ", ".join(name.partition(" x ")[0] for name in self.names if not name.endswith(DEVIATION))

    def called(self, label: int) -> str:
        return self.classes[label] if 0 <= label < len(self.classes) else f"class {label}"

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        raise NotImplementedError(f"{type(self).__name__} compares sets; observe images and call compare(real, fake)")

    def compute(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} compares sets; observe images and call compare(real, fake)")


def alike(rows: torch.Tensor) -> bool:
    """Whether all rows (N, F) are equal but for rounding."""
    return bool((rows - rows[:1]).abs().max() <= EQUAL * rows.abs().max()) if rows.numel() else True
