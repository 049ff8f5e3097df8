"""Images from noise beside real ones: scores by a judge, and the nearest training images."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.judges import BATCH, LabelJudge
from evaluation.metrics.accuracy_metric import AccuracyMetric
from evaluation.metrics.kid_metric import SUBSET, SUBSETS
from evaluation.metrics.shared.distances import frechet, kid, kid_of_subsets, nearest
from evaluation.metrics.shared.observed import Observed
from evaluation.metrics.variety_metric import WORST, VarietyMetric
from options import UserError
from util.images import from_bytes
from util.stopwatch import Countdown

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

READ = {"train": 20_000, "test": 10_000}  # real images at most, a few minutes of a judge on a CPU; all of CIFAR's test
MEMORY = 1 << 30  # bytes they take at most, of either kind
AT_ONCE = 1 << 25  # numbers of training images that are compared at once


@dataclass(frozen=True)
class RealImages:
    """Training and held-out images of the classes that are drawn: bytes (N, C, S, S) and labels (N,)."""

    train: tuple[torch.Tensor, torch.Tensor]
    held: tuple[torch.Tensor, torch.Tensor]
    there: dict[str, int]  # how many there are to draw from, by phase

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For JSON: how many of how many were read."""
        used = {"train": len(self.train[1]), "test": len(self.held[1])}
        return {phase: {"used": n, "there": self.there[phase]} for phase, n in used.items()}

    def remark(self) -> str:
        used = self.as_dict()
        train, held = (f"{used[phase]['used']:,} of {used[phase]['there']:,}" for phase in ("train", "test"))
        return f"read are {train} training images and {held} that were held out"


def real_images(dataset: Any, labels: torch.Tensor | None) -> RealImages | None:
    """The data, of the classes among ``labels``; None, with a line that says why, where they lack."""
    if not dataset.present:
        print("neighbours and scores are left out: there are no data to compare with; see --dataroot")
        return None
    among = None if labels is None else labels.unique().tolist()
    room = MEMORY // (dataset.channels * dataset.opt.crop_size**2)
    halves, there = [], {}
    for phase, most in READ.items():
        try:
            images, of, there[phase] = dataset.levels(phase, max(1, min(most, room)), among)
        except UserError as error:
            print(f"neighbours and scores are left out: {error}")
            return None
        halves.append((images, of))
    return RealImages(halves[0], halves[1], there)


def see(judge: LabelJudge, levels: torch.Tensor, labels: torch.Tensor | None) -> Observed:
    """What a judge sees in bytes (N, C, S, S)."""
    countdown = Countdown(len(levels), "judged image")
    parts = []
    for features, answers in judge.look(from_bytes(part) for part in levels.split(BATCH)):
        parts.append((features, answers))
        countdown.step(len(answers))
    features, answers = (torch.cat(some) for some in zip(*parts, strict=True))
    return Observed(features, answers=answers, labels=labels)


def warnings(judge: LabelJudge, opt: Any) -> list[str]:
    """What makes scores of this judge doubtful."""
    lines = []
    if judge.unknown:
        lines.append(f"the judge does not know {', '.join(judge.unknown)}, whose images count as errors")
    return lines + divided_otherwise(judge.run, opt, "classes.json")


def divided_otherwise(judge: str, opt: Any, file: str) -> list[str]:
    """A line where the data of a judge's run were not divided as the model's, as ``file`` of both runs tells."""
    divisions = []
    for run in (Path(judge), Path(opt.checkpoints_dir, opt.name)):
        try:
            kept = json.loads((run / file).read_text(encoding="utf-8"))
            divisions.append((kept["split_seed"], kept["test_fraction"]))
        except (OSError, ValueError, KeyError, TypeError):
            return []
    if divisions[0] == divisions[1]:
        return []
    one, other = (f"--split_seed {seed} --test_fraction {fraction}" for seed, fraction in divisions)
    return [f"the judge was trained with {one}, the model with {other}: it may know the held-out images"]


def nearest_pixels(x: torch.Tensor, reference: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``nearest`` of images as bytes by their ``pixels``, some of the reference at a time: floats need more room."""
    vectors, step, found = pixels(x), max(1, AT_ONCE // reference[0].numel()), []
    for start in range(0, len(reference), step):
        distances, places = nearest(vectors, pixels(reference[start : start + step]), k)
        found.append((distances, places + start))
    distances, places = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    distances, order = distances.sort(dim=1, stable=True)
    return distances[:, :k], places.gather(1, order)[:, :k]


def equal(x: torch.Tensor, reference: torch.Tensor) -> int:
    """How many images are, level for level, one of the reference; both bytes (N, C, S, S)."""
    one, other = ([hashlib.sha256(image.tobytes()).digest() for image in images.numpy()] for images in (x, reference))
    known = set(other)
    return sum(digest in known for digest in one)


def pixels(levels: torch.Tensor) -> torch.Tensor:
    """Vectors whose distance is the root mean square difference of two images, in parts of the range."""
    vectors = levels.flatten(1).float() / 255
    return vectors / math.sqrt(vectors.shape[1])


@dataclass(frozen=True)
class Asked:
    """What images are to be made for an evaluation, and what they are compared with.

    Attributes:
        conditions: classes (N,) or N captions, a row each; None for a method without.
        labels: (N,) int64, where images have a class each.
        count: N.
        real: evaluation.samples.RealImages; None where there are no data.
    """

    conditions: Any
    labels: torch.Tensor | None
    count: int
    real: Any


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
