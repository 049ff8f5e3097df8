"""Values of generated images as a set, beside those of real images: what a perfect generator would reach."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from evaluation.metrics.base_set import DEVIATION, SetMetric
from evaluation.metrics.shared.observed import Observed
from util.seeding import derive
from util.table import number

# values that others publish, of features of Inception
PUBLISHED = ("FID", "KID", "IS", "intra-FID", "precision", "recall", "density", "coverage")


class Described(Protocol):
    """What is said of an extractor of features; see evaluation.extractors.Extractor."""

    @property
    def tag(self) -> str: ...  # for the names of values that depend on its features
    @property
    def name(self) -> str: ...
    @property
    def resize(self) -> str: ...
    @property
    def comparable(self) -> bool: ...  # with published values


class SetScores:
    """Metrics of sets, of images that one extractor has seen.

    Args:
        extractor: what saw them.
        classes: names of the labels, in their order, where there are labels.
    """

    def __init__(self, metrics: Sequence[SetMetric], extractor: Described, classes: Sequence[str] = ()):
        self.metrics, self.extractor = metrics, extractor
        for metric in metrics:
            metric.classes = classes

    def compute(
        self,
        real: Observed,
        fake: Observed,
        floor: Observed | None = None,
        floor_real: Observed | None = None,
        floor_of: str | None = None,
    ) -> "SetTable":
        """The values of ``fake`` against ``real``; it never raises.

        Args:
            real: images that training has not seen.
            floor: other real images, whose values are the floors. No more of them count than there are of ``fake``:
                most values depend on the number. Floors of metrics of one set alone are of ``real``, as many of them:
                an extractor may have learnt what training images are.
            floor_real: what these are compared with, in place of ``real``.
            floor_of: what they are, after the word "real".
        """
        floor_of = floor_of or ("training images" if floor_real is None else "images, one half against the other")
        held = some(real, len(fake))
        floor = None if floor is None else some(floor, len(fake))
        values: dict[str, float] = {}
        floors: dict[str, float] = {}
        deviations: dict[str, float] = {}
        better: dict[str, str] = {}
        alone: list[str] = []
        remarks: list[str] = []
        for metric in self.metrics:
            tag = self.extractor.tag if {"features", "logits", "answers"} & set(metric.asks) else ""
            for name, value in metric.compare(real, fake).items():
                called = tagged(name.removesuffix(DEVIATION), tag)
                (deviations if name.endswith(DEVIATION) else values)[called] = value
                direction = metric.directions.get(name, metric.better)
                if direction and not name.endswith(DEVIATION):
                    better[called] = direction
            remarks += metric.doubts(real, fake)
            for name, value in self.reached(metric, held, floor, real if floor_real is None else floor_real).items():
                if math.isfinite(value) and not name.endswith(DEVIATION):
                    floors[tagged(name, tag)] = value
                    alone += [tagged(name, tag)] * metric.alone
        if floor is not None and len(floor) < len(fake):
            remarks.append(
                f"floors: of {len(floor):,} images, fewer than were generated; FID and intra-FID are higher of fewer"
            )
        return SetTable(
            values, floors, deviations, better, list(dict.fromkeys(remarks)), len(fake), len(real),
            0 if floor is None else len(floor), floor_of, self.extractor.name, self.extractor.resize,
            self.extractor.comparable, self.extractor.tag, tuple(alone), len(held),
        )  # fmt: skip

    @staticmethod
    def reached(metric: SetMetric, held: Observed, floor: Observed | None, floor_real: Observed) -> dict[str, float]:
        """The values of real images: of held-out ones alone, or of other ones beside these."""
        if not metric.floor:
            return {}
        if metric.alone:
            return metric.compare(held, held)
        return {} if floor is None else metric.compare(floor_real, floor)


@dataclass(frozen=True)
class SetTable:
    """What came out, by name; a value that is not defined is NaN, a floor or deviation that is not defined is left out.

    Attributes:
        floors: values of real images.
        deviations: of the values, NaN where they are not known.
        better: lower, higher, or one; a name that is not in it is no score.
        remarks: what a reader must know, a line each.
        images, reference, floor_images: how many were generated, real, and other real ones.
        floor_of: what the other real ones are, after the word "real".
        extractor, resize: what saw the images, and how they were resized for it, in words.
        comparable: whether published values are of the same extractor.
        tag: what names of values that depend on it carry, at the end of their first word.
        alone: names whose floors are of held-out real images alone, compared with nothing.
        held_images: how many these are.
    """

    values: Mapping[str, float]
    floors: Mapping[str, float]
    deviations: Mapping[str, float]
    better: Mapping[str, str]
    remarks: Sequence[str]
    images: int
    reference: int
    floor_images: int
    floor_of: str
    extractor: str
    resize: str
    comparable: bool
    tag: str = ""
    alone: Sequence[str] = ()
    held_images: int = 0

    @property
    def facts(self) -> dict[str, str]:
        """What the values are of, {what: text}."""
        floor = {"floor": f"{self.floor_images:,} real {self.floor_of}"} if self.floor_images else {}
        return {
            "generated": several(self.images, "image"),
            "real": several(self.reference, "image"),
            **floor,
            "extractor": self.extractor,
            "resize": self.resize,
            "comparable": "with published values of the same images and numbers" if self.comparable
            else "not with published values, which are of Inception",
        }  # fmt: skip

    def shown(self, name: str) -> str:
        """A value, with its deviation where that is known."""
        deviation = self.deviations.get(name, math.nan)
        return number(self.values[name]) + (f" \u00b1 {number(deviation)}" if math.isfinite(deviation) else "")

    def floor_words(self, name: str) -> str:
        """What the floor of a value is of."""
        if name in self.alone:
            return f"{several(self.held_images, 'held-out real image')} alone"
        return self.facts["floor"]

    def lines(self) -> list[str]:
        """What test.py prints: a line for each value, which says all that it is of, then the remarks."""
        lines = []
        for name in self.values:
            what = "held-out real images alone" if name in self.alone else f"real {self.floor_of}"
            floor = f" (floor {number(self.floors[name])}, of {what})" if name in self.floors else ""
            line = f"{name}: {self.shown(name)}{floor}; {several(self.images, 'image')} against {self.reference:,}"
            line += f"; {self.extractor}, resize {self.resize}"
            plain = name.split(" ")[0].removesuffix(self.tag)
            if not self.comparable and plain in PUBLISHED:
                line += f"; not comparable with published {plain}"
            lines.append(line)
        return [*lines, *self.remarks]

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """What metrics.json holds; null where a value is not defined."""
        entries = {}
        for name, value in self.values.items():
            entries[name] = {
                "value": finite(value),
                "deviation": finite(self.deviations.get(name, math.nan)),
                "floor": finite(self.floors.get(name, math.nan)),
                "floor_of": self.floor_words(name) if name in self.floors else None,
                "images": self.images,
                "reference": self.reference,
                "extractor": self.extractor,
                "resize": self.resize,
                "comparable": self.comparable,
                "better": self.better.get(name),
            }
        return entries


def tagged(name: str, tag: str) -> str:
    """The name of a value with the extractor's tag at its first word: KID x 1000 and -domain are KID-domain x 1000."""
    word, space, rest = name.partition(" ")
    return f"{word}{tag}{space}{rest}"


def some(images: Observed, most: int) -> Observed:
    """At most so many of them, the same each time."""
    if len(images) <= most:
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(derive("floor of a set")))
    return images.take(order[:most])


def several(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
