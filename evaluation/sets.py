"""Values of generated images as a set, beside those of real images: what a perfect generator would reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from evaluation.metrics.base_set import DEVIATION, SEEN, SetMetric
from evaluation.metrics.shared.observed import Observed
from evaluation.mix import counted, remark
from util.contract import lines_of
from util.seeding import derive
from util.table import Row, Table, plural

GENERATED = "generated"
# values that others publish, of features of Inception
PUBLISHED = ("FID", "KID", "KID-all", "IS", "intra-FID", "precision", "recall", "density", "coverage", "CAS")
GUESSED = "naming the most frequent class"


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


@dataclass(frozen=True)
class Description:
    """Of what sees features of images where no extractor was asked for: a judge, say."""

    tag: str
    name: str
    resize: str = "to its own size"
    comparable: bool = False


class SetScores:
    """Metrics of sets, of images that one extractor has seen.

    Args:
        extractor: what saw them.
        classes: names of the labels, in their order, where there are labels.
        way_out: what a line on classes that are mixed otherwise ends with.
    """

    def __init__(
        self, metrics: Sequence[SetMetric], extractor: Described, classes: Sequence[str] = (), way_out: str = ""
    ):
        self.metrics, self.extractor, self.classes, self.way_out = metrics, extractor, classes, way_out
        for metric in metrics:
            metric.classes = classes

    def beside_training(self, real: Observed, fake: Observed, train: Observed | None) -> Table:
        """``compute`` with training images as floor, or, where there are none, one half of the real ones."""
        if train is not None:
            return self.compute(real, fake, train)
        order = torch.randperm(len(real), generator=torch.Generator().manual_seed(derive("halves")))
        return self.compute(real, fake, real.take(order[::2]), real.take(order[1::2]))

    def compute(
        self,
        real: Observed,
        fake: Observed,
        floor: Observed | None = None,
        floor_real: Observed | None = None,
        floor_of: str | None = None,
    ) -> Table:
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
        held = subsample(real, len(fake))
        floor = None if floor is None else subsample(floor, len(fake))
        generated, others, alone, guessed, details = Found(), Found(), Found(), Found(), dict[str, dict[str, Any]]()
        better, unlike, remarks = dict[str, str](), dict[str, str](), list[str]()
        for metric in self.metrics:
            tag = self.extractor.tag if SEEN & set(metric.asks) else ""
            found = metric.compare(real, fake)
            generated.add(found, tag)
            guessed.add(metric.guess(real), tag)
            details |= {tagged(name, tag): more for name, more in metric.details(real, fake).items()}
            remarks += lines_of(metric, "doubts", metric.doubts(real, fake))
            for name in (name for name in found if not name.endswith(DEVIATION)):
                if direction := metric.directions.get(name, metric.better):
                    better[tagged(name, tag)] = direction
                comparable = details.get(tagged(name, tag), {}).get("comparable", self.extractor.comparable)
                if not comparable and (plain := name.partition(" ")[0]) in PUBLISHED:
                    unlike[tagged(name, tag)] = plain
            if metric.floor and metric.alone:
                alone.add(metric.compare(held, held), tag)
            elif metric.floor and floor is not None:
                others.add(metric.compare(real if floor_real is None else floor_real, floor), tag)
        rows = [Row(label=GENERATED, kind="result", count=len(fake), **vars(generated))]
        if floor is not None:
            rows.append(Row(label=f"real {floor_of}", count=len(floor), **vars(others)))
            if len(floor) < len(fake):
                lower = ", CAS is lower" if keeps_images(self.metrics) else ""
                remarks.append(
                    f"floors: of {len(floor):,} images, fewer than were generated; FID and intra-FID are higher of "
                    f"fewer{lower}"
                )
        rows.append(Row(label="held-out real images alone", count=len(held), **vars(alone)))
        if guessed.values:
            rows.append(Row(label=GUESSED, count=len(real), **vars(guessed)))
        remarks += self.mixes(real, fake, floor if floor_real is None else None)
        facts = {"reference": len(real), "extractor": self.extractor.name, "resize": self.extractor.resize}
        return Table(
            rows=rows,
            better=better,
            of=f"{plural(len(fake), 'image')} against {len(real):,}",
            remarks=list(dict.fromkeys(remarks)),
            facts=facts | {"comparable": self.extractor.comparable},
            unlike=unlike,
            details=details,
        )

    def mixes(self, real: Observed, fake: Observed, floor: Observed | None) -> list[str]:
        """Lines where classes are mixed otherwise among generated images, or among those of the floor."""
        of_real, of_fake = counted(real.labels, self.classes), counted(fake.labels, self.classes)
        lines = remark(of_fake, of_real, (GENERATED, "real"), self.way_out)
        of_floor = {} if floor is None else counted(floor.labels, self.classes)
        return lines + remark(of_floor, of_real, ("the floor's", "real"))


def keeps_images(metrics: Sequence[SetMetric]) -> bool:
    """Whether one of them looks at the images itself."""
    return any("images" in metric.asks for metric in metrics)


class Found:
    """Values and deviations of one set, by their names in a table."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.deviations: dict[str, float] = {}

    def add(self, found: dict[str, float], tag: str) -> None:
        for name, value in found.items():
            of = self.deviations if name.endswith(DEVIATION) else self.values
            of[tagged(name.removesuffix(DEVIATION), tag)] = value


def tagged(name: str, tag: str) -> str:
    """The name of a value with the extractor's tag at its first word: KID x 1000 and -domain are KID-domain x 1000."""
    word, space, rest = name.partition(" ")
    return f"{word}{tag}{space}{rest}"


def subsample(images: Observed, most: int) -> Observed:
    """At most so many of them, the same each time."""
    if len(images) <= most:
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(derive("floor of a set")))
    return images.take(order[:most])
