"""Images from noise beside real ones: scores by a judge, and the nearest training images."""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.extractors.trained import DOMAIN
from evaluation.judges import JUDGED_AT_ONCE, LabelJudge
from evaluation.metrics.accuracy_metric import AccuracyMetric
from evaluation.metrics.fid_metric import FidMetric
from evaluation.metrics.kid_metric import KidMetric
from evaluation.metrics.shared.distances import nearest_rows
from evaluation.metrics.shared.observed import Observed
from evaluation.metrics.variety_metric import VarietyMetric
from evaluation.sets import GENERATED, Description, SetScores
from options import UserError
from options.listed import in_words
from options.sizes import sides
from util.files import json_or_empty
from util.images import from_bytes
from util.seeding import derive
from util.stopwatch import Countdown
from util.table import Row, Table, figures, plural

AS_MANY = "as many as were generated"
QUERIES = 1000  # images whose nearest training image is looked for
READ = {"train": 20_000, "test": 10_000}  # real images at most, a few minutes of a judge on a CPU; all of CIFAR's test
MEMORY = 1 << 30  # bytes they take at most, of either kind
COMPARED_AT_ONCE = 1 << 25  # numbers of training images that are compared at once


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
    room = MEMORY // (dataset.channels * math.prod(sides(dataset.opt.crop_size)))
    halves, there = [], {}
    for phase, most in READ.items():
        read = "val" if phase == "test" and dataset.opt.phase == "val" else phase
        try:
            images, of, there[phase] = dataset.levels(read, max(1, min(most, room)), among)
        except UserError as error:
            print(f"neighbours and scores are left out: {error}")
            return None
        halves.append((images, of))
    return RealImages(halves[0], halves[1], there)


def see(judge: LabelJudge, levels: torch.Tensor, labels: torch.Tensor | None) -> Observed:
    """What a judge sees in bytes (N, C, S, S)."""
    countdown = Countdown(len(levels), "judged image")
    parts = []
    for features, answers in judge.look(from_bytes(part) for part in levels.split(JUDGED_AT_ONCE)):
        parts.append((features, answers))
        countdown.step(len(answers))
    features, answers = (torch.cat(some) for some in zip(*parts, strict=True))
    return Observed(features, answers=answers, labels=labels)


def judge_doubts(judge: LabelJudge, opt: Any) -> list[str]:
    """What makes scores of this judge doubtful."""
    lines = []
    if judge.unknown:
        lines.append(f"the judge does not know {in_words(judge.unknown)}, whose images count as errors")
    return lines + divided_otherwise(judge.run, opt, "classes.json")


def divided_otherwise(judge: str, opt: Any, file: str) -> list[str]:
    """A line where the data of a judge's run were not divided as the model's, as ``file`` of both runs tells."""
    kept = [json_or_empty(run / file) for run in (Path(judge), Path(opt.checkpoints_dir, opt.name))]
    divisions = [(division.get("split_seed"), division.get("test_fraction")) for division in kept]
    if divisions[0] == divisions[1] or any(None in division for division in divisions):
        return []
    one, other = (f"--split_seed {seed} --test_fraction {fraction}" for seed, fraction in divisions)
    return [f"the judge was trained with {one}, the model with {other}: it may know the held-out images"]


def score_samples(
    fake: Observed,
    train: Observed,
    held: Observed,
    classes: Sequence[str],
    judge: str,
    known: Collection[str] = (),
    way_out: str = "",
) -> Table:
    """Generated images and, as what is reachable, training images, beside the held-out ones, as a judge sees them.

    Values of the judge's answers and of its features, each as its metric defines it: accuracy and variety, the judge's
    own, under their names; KID and FID as of any extractor of the domain.

    Args:
        fake, train, held: with features and answers of the judge, and with labels where there are any.
        classes: names of the labels.
        judge: which one it is, in words.
        known: names of values that another extractor gave already; they are left to it.
        way_out: what a line on classes that are mixed otherwise ends with.
    """
    several = train.take(floor_rows(len(train), len(fake)))
    scores = SetScores([KidMetric(), FidMetric()], Description(tag=DOMAIN, name=judge), classes, way_out)
    distances = scores.compute(
        held, fake, several, floor_of=f"training images, {AS_MANY}" if len(several) < len(train) else None
    )
    table = distances if fake.labels is None else labels_of(fake, train, held, classes, distances).beside(distances)
    left = [name for name in table.names if name in known]
    remarks = list(table.remarks)
    if left:
        remarks.append(f"{', '.join(left)}: as --extractor sees them, above")
    return replace(table.only(name for name in table.names if name not in left), remarks=remarks)


def labels_of(fake: Observed, train: Observed, held: Observed, classes: Sequence[str], like: Table) -> Table:
    """Accuracy and variety of generated, of all training and of all held-out images; the rest as of ``like``."""
    accuracy, variety = AccuracyMetric(), VarietyMetric()
    variety.classes = classes
    rows = [
        Row(
            label=label,
            kind="result" if label == GENERATED else "floor",
            values=accuracy.compare(held, images) | variety.compare(held, images),
            count=len(images),
        )
        for label, images in ((GENERATED, fake), ("real training images", train), ("held-out real images", held))
    ]
    better = dict.fromkeys(accuracy.names, accuracy.better) | dict.fromkeys(variety.names, variety.better)
    remarks = [*accuracy.doubts(held, fake), *variety.doubts(held, fake)]
    return replace(like, rows=rows, better=better, unlike={}, remarks=remarks)


def floor_rows(count: int, most: int) -> torch.Tensor:
    """Which of the training images the floors are of: as many as were generated, the same for every extractor."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive("floor")))[:most]


@dataclass(frozen=True)
class Neighbours:
    """How far generated images are from their nearest training images, and how far held-out ones are: is it memory?

    Attributes:
        space: what distances are of, in words.
        distances, places: of the three nearest training images of each of the first samples, (Q, 3).
        held: (H,), of the nearest one of each held-out image.
        copies: samples that are, level for level, a training image.
    """

    space: str
    distances: torch.Tensor
    places: torch.Tensor
    held: torch.Tensor
    copies: int

    @property
    def ratio(self) -> float:
        """Median distance of the samples over that of the held-out images."""
        held = self.held.median().item()
        return self.distances[:, 0].median().item() / held if held > 0 else math.nan

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        of = {"generated": self.distances[:, 0], "held-out": self.held}
        return {n: {"median": d.median().item(), "nearest": d.min().item(), "images": len(d)} for n, d in of.items()}

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {"space": self.space, **self.rows, "copies": self.copies}

    def table(self) -> Table:
        rows: list[Row] = []
        for name, found in self.rows.items():
            values, kind = (
                {"median": found["median"], "nearest of all": found["nearest"]},
                "floor" if rows else "result",
            )
            rows.append(Row(label=name, values=values, count=found["images"], kind=kind))  # type: ignore[arg-type]
        remarks = [
            f"Samples are {figures(self.ratio)} times as far from training images as real images that were held out; "
            "far below 1, the model repeats what it was shown."
        ]
        if self.copies:
            equals = "equals" if self.copies == 1 else "equal"
            remarks.append(f"{plural(self.copies, 'sample')} {equals} a training image")
        return Table(rows=rows, remarks=remarks)

    def line(self) -> str:
        ratio = f"{figures(self.ratio)} times that of held-out images"
        return f"distance to the nearest training image: {ratio} ({self.space})"


def find_neighbours(
    levels: torch.Tensor, data: RealImages, seed: int, seen: Sequence[Any] = (), judge: str = ""
) -> Neighbours:
    """The training images that come nearest to samples, and to held-out images.

    Args:
        levels: samples, bytes (N, C, S, S).
        seen: what a judge of that name saw in samples, training and held-out images, whose features are compared;
            without it pixels are.
    """
    random = torch.Generator().manual_seed(derive(seed, "neighbours"))
    held = torch.randperm(len(data.held[0]), generator=random)[:QUERIES]
    if seen:
        fake, train, real = (observed.features for observed in seen)
        away, places = nearest_rows(torch.cat([fake[:QUERIES], real[held]]), train, 3)
    else:
        away, places = nearest_pixels(torch.cat([levels[:QUERIES], data.held[0][held]]), data.train[0], 3)
    space = f"features of the judge {judge}" if seen else "pixels, root mean square, white to black is 1"
    samples = len(away) - len(held)
    return Neighbours(space, away[:samples], places[:samples], away[samples:, 0], equal(levels, data.train[0]))


def nearest_pixels(x: torch.Tensor, reference: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``nearest_rows`` of bytes of images by their ``pixels``, a part of the reference at a time: floats need room."""
    vectors, step, found = pixels(x), max(1, COMPARED_AT_ONCE // reference[0].numel()), []
    for start in range(0, len(reference), step):
        distances, places = nearest_rows(vectors, pixels(reference[start : start + step]), k)
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


@dataclass
class Verdict:
    """What judging samples found.

    Attributes:
        tables: heading -> values, in the order of the page.
        notes: heading -> what stands beside it.
        facts: what metrics.json holds besides the values.
        neighbours: None where there are no training images.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    neighbours: Neighbours | None = None

    def add(self, heading: str, table: Table, note: str = "") -> None:
        self.tables[heading], self.notes[heading] = table, note

    @property
    def names(self) -> list[str]:
        return [name for table in self.tables.values() for name in table.names]

    def lines(self) -> list[str]:
        lines = [line for table in self.tables.values() for line in table.lines()]
        return lines if self.neighbours is None else [*lines, self.neighbours.line()]
