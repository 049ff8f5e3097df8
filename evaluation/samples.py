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
from evaluation.metrics.shared.distances import nearest
from evaluation.metrics.shared.observed import Observed
from options import UserError
from util.pages.samples import SamplesPage, decimals
from util.pages.sections import ARROWS
from util.sample_scores import VALUES, SampleScores, score_samples
from util.seeding import derive
from util.stopwatch import Countdown

SHOWN = 8, 4  # samples beside their neighbours: the first, and those that come nearest
QUERIES = 1000  # images whose nearest training image is looked for
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


def add_scores(
    album: Any, data: RealImages, judge: LabelJudge, results: dict[str, Any]
) -> tuple[Observed, Observed, Observed]:
    """The scores of ``--label_judge``, on the page, in ``results`` and printed.

    Returns:
        what the judge saw in the samples, in training and in held-out images.
    """
    fake = see(judge, album.levels, album.labels)
    train, held = see(judge, *data.train), see(judge, *data.held)
    generator = torch.Generator().manual_seed(derive(album.model.opt.seed, "scores"))
    classes = album.model.class_names
    scores = score_samples(fake, train, held, classes, generator)
    remarks = [data.remark(), *scores.remarks, *warnings(judge, album.model.opt)]
    results["judge"] = {"run": judge.run, "sha256": judge.digest, "features": judge.features}
    results["scores"] = {**scores.as_dict(), "n": scores.n, "remarks": remarks}
    table_of_scores(album.page, scores, judge, remarks)
    for row, values in scores.values.items():
        print(f"{row}: " + ", ".join(f"{name} {decimals(value)}" for name, value in values.items()))
    for remark in remarks:
        print(remark)
    return fake, train, held


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


def table_of_scores(page: SamplesPage, scores: SampleScores, judge: LabelJudge, remarks: Sequence[str]) -> None:
    names = [f"{name} {ARROWS[better]}" if better else name for name, better in VALUES.items() if name != "+-"]
    labels = {"training": "training images", "held-out": "held-out images"}
    rows: dict[str, Sequence[float | str]] = {}
    for row, values in scores.values.items():
        subsets = f"{values['KID of subsets']:.4g} \u00b1 {values['+-']:.4g}" if math.isfinite(values["+-"]) else "-"
        shown = values | {"KID of subsets": subsets}
        rows[f"{labels.get(row, row)} ({scores.counts[row]:,})"] = [v for n, v in shown.items() if n != "+-"]
    name, held = Path(judge.run).name, scores.counts["held-out"]
    distances = (
        f"KID and FID-domain: {scores.n:,} generated, or as many training images, against {held:,} held-out ones, in "
        f"{judge.features} domain features of the judge {name}; not comparable with published FID"
    )
    page.add_table("Scores", "training images are what is reachable", names, rows, [
        distances,
        "matched: accuracy after the best renaming of classes; variety: distance between two images of a class, in "
        "parts of that of held-out images",
        f"sha256 of the judge's weights: {judge.digest}",
        *remarks,
    ])  # fmt: skip


def add_neighbours(
    album: Any, data: RealImages, judge: LabelJudge | None, seen: Sequence[Observed], results: dict[str, Any]
) -> None:
    """Samples beside the training images that come nearest, and how near held-out images come: is it memory?

    Args:
        seen: what ``add_scores`` returned, where there is a judge; images are compared by it, else by their pixels.
    """
    levels, _ = data.train
    random = torch.Generator().manual_seed(derive(album.model.opt.seed, "neighbours"))
    held = torch.randperm(len(data.held[0]), generator=random)[:QUERIES]
    if judge:
        fake, train, real = (judged.features for judged in seen)
        away, places = nearest(torch.cat([fake[:QUERIES], real[held]]), train, 3)
    else:
        away, places = nearest_pixels(torch.cat([album.levels[:QUERIES], data.held[0][held]]), levels, 3)
    distances, found = (x[: len(x) - len(held)] for x in (away, places))
    of = {"generated": distances[:, 0], "held-out": away[len(distances) :, 0]}
    space = (
        f"features of the judge {Path(judge.run).name}" if judge else "pixels, root mean square, white to black is 1"
    )
    rows = {name: {"median": d.median().item(), "nearest": d.min().item(), "images": len(d)} for name, d in of.items()}
    copies = equal(album.levels, levels)
    results["neighbours"] = {"space": space, **rows, "copies": copies}
    cells = {name: [values["median"], values["nearest"], f"{values['images']:,}"] for name, values in rows.items()}
    ratio = rows["generated"]["median"] / rows["held-out"]["median"] if rows["held-out"]["median"] > 0 else math.nan
    remarks = [
        f"Samples are {decimals(ratio)} times as far from training images as real images that were held out; far below "
        "1, the model repeats what it was shown.",
        *([f"{copies} {'sample equals' if copies == 1 else 'samples equal'} a training image"] if copies else []),
        data.remark(),
    ]
    heading = "Distance to the nearest training image"
    album.page.add_table(heading, f"in {space}", ["median", "nearest of all", "images"], cells, remarks)
    print(f"distance to the nearest training image: {decimals(ratio)} times that of held-out images ({space})")
    first, closest = range(min(SHOWN[0], len(distances))), distances[:, 0].argsort(stable=True)[: SHOWN[1]].tolist()
    shown = []
    for i in dict.fromkeys([*first, *closest]):
        files = {"sample": album.paths[i]}
        for caption, row in zip(("nearest", "second", "third"), found[i].tolist(), strict=False):
            files[caption] = album.save(levels[row], f"images/train/{row:06d}.png")
        name = "" if album.labels is None else f"{album.model.class_names[int(album.labels[i])]}: "
        shown.append((f"{name}{', '.join(f'{d:.3g}' for d in distances[i].tolist())}", files))
    note = f"samples, then the nearest training images and their distances; the last {SHOWN[1]} come nearest of all"
    album.page.add_grid("Nearest training images", note, shown)


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


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, S, S) in [-1, 1] as bytes, rounded to the nearest level, as they are written to files."""
    return ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(levels: torch.Tensor) -> torch.Tensor:
    return levels.float() / 127.5 - 1
