"""What test.py leaves of a model that makes images from noise: samples, and a page to look at them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.judges import BATCH, LabelJudge, load_label_judge
from evaluation.metrics.shared.distances import nearest
from evaluation.metrics.shared.observed import Observed
from evaluation.samples import (
    VALUES,
    RealImages,
    SampleScores,
    equal,
    nearest_pixels,
    real_images,
    score_samples,
    see,
    warnings,
)
from evaluation.testing import Evaluation
from models.noise.sampler import truncate
from options import UserError
from options import nearest as spelt_like
from util.config import save_options
from util.files import write_atomically
from util.images import save_levels, to_bytes
from util.pages.curves import read_curves
from util.pages.files import ResultFiles, note_checkpoint
from util.pages.results import folder_names
from util.pages.samples import SamplesPage
from util.pages.sections import set_section
from util.seeding import derive
from util.stopwatch import Countdown
from util.table import ARROWS, decimals

NEIGHBOURS = 8, 4  # samples beside their neighbours: the first, and those that come nearest
QUERIES = 1000  # images whose nearest training image is looked for

SHOWN = 20  # classes of the grid at most
COLUMNS = 10  # noise vectors of the grid, as in training
STEPS = 9  # images on the way from one noise, or class, to the next
ROWS = 10  # ways that are shown


def save_samples(model: Any, dataset: Any, engine: Any, folder: Path) -> None:
    """``--num_samples``: images, ``samples.npz``, ``metrics.json`` and ``index.html`` in place of earlier ones.

    Without data, neighbours and scores are left out, with a line that says so.

    Raises:
        UserError: --classes or --label_judge do not suit the data, images are not finite (exit code 3), or files
            cannot be written (5).
    """
    opt = model.opt
    chosen = chosen_classes(model, dataset)
    evaluation = Evaluation(opt, dataset, engine.device, translates=False) if opt.metrics else None
    judge = load_label_judge(opt.label_judge, dataset.classes, engine.device) if opt.label_judge else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        album = Album(model, dataset, chosen, ResultFiles(folder))
        album.files.clear()
        save_options(opt, folder, opt.phase)
        note_checkpoint(album.files, Path(opt.checkpoints_dir, opt.name), folder.name.removeprefix(f"{opt.phase}_"))
        album.save_samples()
        results: dict[str, Any] = {"samples": len(album.levels), "classes": album.names if model.conditional else []}
        data = real_images(dataset, album.labels)
        if data is not None:
            results["real images"] = data.as_dict()
        if evaluation is not None:
            add_sets(evaluation, album, data, results)
        seen = add_scores(album, data, judge, results) if data is not None and judge is not None else ()
        album.add_grid()
        album.add_ways()
        if data is not None:
            add_neighbours(album, data, judge, seen, results)
        curves, ended = read_curves(Path(opt.checkpoints_dir, opt.name, "metrics.jsonl"))
        if ended:
            album.page.add_curves(curves, ended)
        album.files.note("index.html")
        album.page.save()
        write_atomically(folder / "metrics.json", json.dumps(results, indent=1, allow_nan=False))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})", code=5) from None
    print(f"{len(album.levels)} images: {folder / 'index.html'}")


def chosen_classes(model: Any, dataset: Any) -> list[int]:
    """Numbers of --classes, of all without it; none for a model that knows no classes.

    Raises:
        UserError: a name is no class's, or the model knows none.
    """
    asked, names = model.opt.classes, list(dataset.classes)
    if asked and not model.conditional:
        raise UserError(f"--classes {','.join(asked)}: --model {model.opt.model} makes images without classes")
    for name in asked:
        if name not in names:
            some = ", ".join(names[:20]) + ", ..." * (len(names) > 20)
            raise UserError(f"--classes {name}: no such class{spelt_like(name, names)}; there are {some}")
    if not model.conditional:
        return []
    return sorted({names.index(name) for name in asked}) or list(range(len(names)))


class Album:
    """Draws and keeps images of a model.

    Attributes:
        levels: the samples, bytes (N, C, S, S); any number of the first are spread evenly over the classes.
        labels: theirs, (N,) int64; None of a model without classes.
        paths: their files, relative to the folder.
    """

    levels: torch.Tensor
    labels: torch.Tensor | None
    paths: list[str]
    page: SamplesPage

    def __init__(self, model: Any, dataset: Any, chosen: list[int], files: ResultFiles):
        self.model, self.chosen, self.files = model, chosen, files
        self.names = [dataset.classes[number] for number in chosen] or ["samples"]
        self.generator = torch.Generator().manual_seed(derive(model.opt.seed, "samples"))
        self.several = torch.tensor(chosen) if model.conditional else None

    def draw(self, z: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        """Bytes (N, C, S, S) for noise and classes.

        Raises:
            UserError: the images are not finite.
        """
        images = self.model.draw(z, y)
        if not bool(images.isfinite().all()):
            raise UserError(
                f"--name {self.model.opt.name} --epoch {self.model.opt.epoch}: the generator's images are not finite; "
                "choose an earlier checkpoint with --epoch",
                code=3,
            )
        return to_bytes(images)

    def save(self, levels: torch.Tensor, path: str) -> str:
        """Write one image (C, S, S) to a path below the folder, and return the path."""
        pixels = levels.numpy()
        save_levels(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0], self.files.note(path))
        return path

    def save_samples(self) -> None:
        """``samples/`` and ``samples.npz``, and an empty page for what follows."""
        opt, folder = self.model.opt, self.files.folder
        z = self.model.noise(opt.num_samples, self.generator).float().cpu()
        place = torch.arange(len(z))
        self.labels = balanced(self.several, len(z))
        each = len(self.names)
        named = folder_names(self.names, folder / "samples")
        prefixes = [f"samples/{named[name]}" for name in self.names] if self.model.conditional else ["samples"]
        self.paths, parts = [], []
        countdown = Countdown(len(z), "image")
        for rows in place.split(BATCH):
            parts.append(self.draw(z[rows], None if self.labels is None else self.labels[rows]))
            for i, levels in zip(rows.tolist(), parts[-1], strict=True):
                self.paths.append(self.save(levels, f"{prefixes[i % each]}/{i // each:04d}.png"))
            countdown.step(len(rows))
        self.levels = torch.cat(parts)
        labels = torch.full((len(z),), -1) if self.labels is None else self.labels
        images = self.levels.permute(0, 2, 3, 1).numpy()
        np.savez(self.files.note("samples.npz"), images=images, labels=labels.numpy(), z=z.numpy())
        self.page = SamplesPage(folder, f"{opt.name}: images from noise", self.levels.shape[2])
        facts = {
            "images": f"{len(z):,}",
            "classes": len(self.chosen) or "none",
            "checkpoint": opt.epoch,
            "seed": opt.seed,
        }
        self.page.add_facts(facts | ({"truncation": opt.truncation} if opt.truncation else {}))

    def add_grid(self) -> None:
        """The fixed noise of training: a column each, a row for each class; without classes one after another."""
        limit = self.model.opt.truncation
        fixed = self.model.fixed_z.float().cpu()
        fixed, cut = (truncate(fixed, limit), f", truncated at {limit:g}") if limit > 0 else (fixed, "")
        if self.several is None:
            fixed = fixed[: COLUMNS**2]
            levels = self.draw(fixed, None)
            starts = range(0, len(fixed), COLUMNS)
            rows = [(f"{i + 1} to {min(i + COLUMNS, len(fixed))}", levels[i : i + COLUMNS]) for i in starts]
            note = f"the fixed noise of training{cut}"
        else:
            z, places = fixed[:COLUMNS], self.shown()
            rows = [(self.names[k], self.draw(z, torch.full((len(z),), self.chosen[k]))) for k in places]
            some = f" ({len(places)} of {len(self.chosen):,})" if len(places) < len(self.chosen) else ""
            note = f"a row for each class{some}, a column for each noise vector{cut}"
        self._add_rows("grid", "Samples", note, rows, "noise {}")

    def shown(self) -> list[int]:
        """Places in ``names`` that the grid has room for: the first of --classes, else spread evenly over all."""
        count = min(SHOWN, len(self.names))
        if self.model.opt.classes:
            return list(range(count))
        return torch.linspace(0, len(self.names) - 1, count).round().long().tolist()

    def add_ways(self) -> None:
        """From noise to noise within a class, and from class to class with the same noise."""
        part = torch.linspace(0, 1, STEPS)
        several = ROWS if self.several is None else min(ROWS, len(self.chosen))
        ends = self.model.noise(2 * several, self.generator).float().cpu()
        rows = []
        for k in range(several):
            y = None if self.several is None else torch.full((STEPS,), self.chosen[k])
            name = f"way {k + 1}" if self.several is None else self.names[k]
            rows.append((name, self.draw(slerp(ends[2 * k], ends[2 * k + 1], part), y)))
        note = "each row from one noise vector to another along a great circle" + ", its class fixed" * bool(
            self.chosen
        )
        self._add_rows("noise", "From noise to noise", note, rows, "step {}")
        if len(self.chosen) < 2:
            return
        pairs = list(zip(self.chosen, [*self.chosen[1:], self.chosen[0]], strict=True))[: ROWS if several > 2 else 1]
        rows = []
        for k, (one, other) in enumerate(pairs):
            y = torch.zeros(STEPS, self.model.netG.classes)
            y[:, one], y[:, other] = 1 - part, part
            name = f"{self.names[k]} \u2192 {self.names[(k + 1) % len(self.names)]}"
            rows.append((name, self.draw(ends[2 * k].expand(STEPS, -1), y)))
        self._add_rows("class", "From class to class", "each row mixes two classes, its noise fixed", rows, "step {}")

    def _add_rows(self, folder: str, heading: str, note: str, rows: Sequence[Any], caption: str) -> None:
        shown = []
        for number, (name, levels) in enumerate(rows):
            files = (self.save(image, f"images/{folder}/{number:03d}_{i:02d}.png") for i, image in enumerate(levels))
            shown.append((name, {caption.format(i + 1): file for i, file in enumerate(files)}))
        self.page.add_grid(heading, note, shown)


def balanced(several: torch.Tensor | None, count: int) -> torch.Tensor | None:
    """Classes (count,) of samples: any number of the first are spread evenly over these; None of none."""
    return None if several is None else several[torch.arange(count) % len(several)]


def slerp(a: torch.Tensor, b: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    r"""The way from a (Z,) to b (Z,) along the great circle, (S, Z) for parts (S,) of it; its ends are exact.

    .. math:: \frac{\sin((1 - t) \theta)\, a + \sin(t \theta)\, b}{\sin \theta}

    Shoemake, "Animating Rotation with Quaternion Curves" (SIGGRAPH 1985). A straight line would lead through vectors
    shorter than any that N(0, I) gives. Where a and b point the same way, or opposite ways, it is straight.
    """
    theta = torch.acos(torch.cosine_similarity(a, b, 0).clamp(-1, 1))
    t = part[:, None]
    if torch.sin(theta) < 1e-4:
        return (1 - t) * a + t * b
    return (torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b) / torch.sin(theta)


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
    first, closest = NEIGHBOURS
    order = [*range(min(first, len(distances))), *distances[:, 0].argsort(stable=True)[:closest].tolist()]
    shown = []
    for i in dict.fromkeys(order):
        files = {"sample": album.paths[i]}
        for caption, row in zip(("nearest", "second", "third"), found[i].tolist(), strict=False):
            files[caption] = album.save(levels[row], f"images/train/{row:06d}.png")
        name = "" if album.labels is None else f"{album.model.class_names[int(album.labels[i])]}: "
        shown.append((f"{name}{', '.join(f'{d:.3g}' for d in distances[i].tolist())}", files))
    note = f"samples, then the nearest training images and their distances; the last {closest} come nearest of all"
    album.page.add_grid("Nearest training images", note, shown)


def add_sets(evaluation: Evaluation, album: Any, data: RealImages | None, results: dict[str, Any]) -> None:
    """Values of the images of an album beside real ones, on its page, in ``results`` and printed."""
    if data is None:
        return
    table = evaluation.of_samples(album.levels, album.labels, data)
    album.page.add_section(set_section(table))
    results |= table.as_dict()
    for line in table.lines():
        print(line)
