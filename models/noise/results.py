"""What test.py leaves of a model that makes images from noise: samples, and a page to look at them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.judges import JUDGED_AT_ONCE, load_label_judge
from evaluation.samples import (
    Asked,
    Neighbours,
    RealImages,
    Verdict,
    find_neighbours,
    judge_doubts,
    score_samples,
    see,
)
from evaluation.testing import EVENLY, Evaluation
from models.noise.classes import asked_of, chosen_classes, follows_data
from models.noise.sampler import slerp, truncate
from options import Exit, UserError
from util.config import save_options
from util.files import sha256
from util.images import save_levels, to_bytes
from util.pages.curves import read_curves
from util.pages.files import ResultFiles, note_checkpoint
from util.pages.results import folder_names
from util.pages.samples import SamplesPage
from util.pages.sections import table_section
from util.seeding import derive
from util.stopwatch import Countdown
from util.table import write_metrics
from util.writing import make_folder, new_file

SHOWN = 20  # classes of the grid at most
NEIGHBOURS = 8, 4  # samples beside their neighbours: the first, and those that come nearest
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
    Album(model, dataset, chosen).save(folder, evaluation, judge)


class Album:
    """Samples of a model from noise: drawn, judged, kept and shown.

    ``save`` does all of it. From Python ``draw_samples()`` and ``judge()`` need no folder, and after
    ``write_into(folder)`` ``keep()`` and ``show(Verdict())`` make a page that judges nothing.

    Attributes:
        levels: the samples, bytes (N, C, S, S); any number of the first have their mix of classes.
        labels: theirs, (N,) int64; None of a model without classes.
        z: their noise (N, Z).
        paths: their files, relative to the folder.
        files: the list of what is written into the folder.
    """

    levels: torch.Tensor
    labels: torch.Tensor | None
    z: torch.Tensor
    paths: list[str]
    files: ResultFiles
    data: Any = None

    def __init__(self, model: Any, dataset: Any, chosen: list[int]):
        self.model, self.dataset, self.chosen = model, dataset, chosen
        self.names = [dataset.classes[number] for number in chosen] or ["samples"]
        self.generator = torch.Generator().manual_seed(derive(model.opt.seed, "samples"))
        self.classes = torch.tensor(chosen) if model.conditional else None

    def save(self, folder: Path, evaluation: Evaluation | None, judge: Any) -> None:
        """All of it into a folder, in place of an earlier test's.

        Raises:
            UserError: images are not finite (exit code 3), or files cannot be written (5).
        """
        opt = self.model.opt
        if evaluation is not None and self.real() is None:
            raise UserError(
                f"--metrics {','.join(opt.metrics)}: there are no real images to compare with, as the line above says; "
                "see --dataroot, or leave the flag out"
            )
        try:
            self.write_into(folder)
            save_options(self.kept_options(), folder, opt.phase)
            note_checkpoint(self.files, Path(opt.checkpoints_dir, opt.name), folder.name.partition("_")[2])
            self.draw_samples()
            self.keep()
            verdict = self.judge(evaluation, judge)
            for line in verdict.lines():
                print(line)
            self.show(verdict)
            write_metrics(folder / "metrics.json", list(verdict.tables.values()), self.facts() | verdict.facts)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror or error})", code=Exit.STORAGE) from None
        print(f"{len(self.levels)} images: {folder / 'index.html'}")

    @cached_property
    def asked(self) -> Asked:
        """What samples are to be of, and the real images beside them."""
        return asked_of(self.model, self.dataset)

    def real(self) -> Any:
        """What samples are compared with; None where there are no data."""
        return self.asked.real

    def write_into(self, folder: Path) -> None:
        """What is kept and shown goes there, in place of what an earlier test left."""
        make_folder(folder, folder.parent)
        self.files = ResultFiles(folder)
        self.files.clear()

    def kept_options(self) -> Any:
        """Those that are saved with the samples."""
        return self.model.opt

    # -- draw ------------------------------------------------------------------------------------

    def noise(self, count: int) -> torch.Tensor:
        return self.model.noise(count, self.generator).float().cpu()

    def draw(self, z: torch.Tensor, y: Any) -> torch.Tensor:
        """Bytes (N, C, S, S) for noise and classes.

        Raises:
            UserError: the images are not finite.
        """
        images = self.model.draw(z, y)
        if not bool(images.isfinite().all()):
            raise UserError(
                f"--name {self.model.opt.name} --epoch {self.model.opt.epoch}: the generator's images are not finite; "
                "choose an earlier checkpoint with --epoch",
                code=Exit.NOT_FINITE,
            )
        return to_bytes(images)

    def draw_samples(self) -> None:
        """``levels``, ``labels`` and ``z``."""
        self.z, self.labels = self.noise(self.asked.count), self.asked.labels
        self.levels = self.draw_all(lambda rows: None if self.labels is None else self.labels[rows])

    def draw_all(self, conditions: Any) -> torch.Tensor:
        """The samples of all noise, with ``conditions(rows)`` of each batch."""
        countdown, parts = Countdown(len(self.z), "image"), []
        for start in range(0, len(self.z), JUDGED_AT_ONCE):
            rows = slice(start, start + JUDGED_AT_ONCE)
            parts.append(self.draw(self.z[rows], conditions(rows)))
            countdown.step(len(parts[-1]))
        return torch.cat(parts)

    # -- keep ------------------------------------------------------------------------------------

    def save_image(self, levels: torch.Tensor, path: str) -> str:
        """Write one image (C, S, S) to a path below the folder, and return the path."""
        pixels = levels.numpy()
        pixels = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0]
        save_levels(pixels, self.files.note(path), self.files.folder)
        return path

    def file_names(self) -> list[str]:
        """Of the samples, below the folder: each class has a folder of its own."""
        named = folder_names(self.names, self.files.folder / "samples")
        folders = {k: f"samples/{named[name]}" for k, name in zip(self.chosen, self.names, strict=False)} or {
            -1: "samples"
        }
        counts, files = dict.fromkeys(folders, 0), []
        for label in [-1] * len(self.z) if self.labels is None else self.labels.tolist():
            files.append(f"{folders[label]}/{counts[label]:04d}.png")
            counts[label] += 1
        return files

    def keep(self) -> None:
        """``samples/`` and ``samples.npz``."""
        self.paths = self.file_names()
        for levels, path in zip(self.levels, self.paths, strict=True):
            self.save_image(levels, path)
        images = self.levels.permute(0, 2, 3, 1).numpy()
        with new_file(self.files.note("samples.npz")) as file:
            np.savez(file, images=images, z=self.z.numpy(), **self.kept_arrays())

    def kept_arrays(self) -> dict[str, Any]:
        if self.labels is None:
            return {"labels": np.full(len(self.z), -1)}
        if getattr(self.model.opt, "pretrained", ()) and not self.dataset.present:  # nobody tells names of the classes
            return {"labels": self.labels.numpy()}
        return {"labels": self.labels.numpy(), "classes": np.array(self.model.class_names)}

    def facts(self) -> dict[str, Any]:
        """Of the samples, for metrics.json."""
        files = [{"file": file, "sha256": sha256(Path(file))} for file in getattr(self.model.opt, "pretrained", ())]
        facts = {"samples": len(self.levels), "classes": self.names if self.model.conditional else []}
        if self.model.conditional:
            facts["sample_classes"] = "data" if follows_data(self.model.opt) and self.real() is not None else "even"
        return facts | ({"pretrained": files} if files else {})

    # -- judge -----------------------------------------------------------------------------------

    def judge(self, evaluation: Evaluation | None, judge: Any) -> Verdict:
        """What metrics and judges make of the samples beside real images; it writes and shows nothing.

        Without data there is nothing to compare with, and a line says so.
        """
        self.data = self.real()
        verdict = Verdict()
        if self.data is None:
            return verdict
        images = self.compared()
        verdict.facts["real images"] = images.as_dict()
        if evaluation is not None:
            table = evaluation.of_samples(self.levels, self.labels, images)
            verdict.add("Metrics of sets", replace(table, remarks=[*table.remarks, images.remark()]))
        seen = self.judged(judge, verdict, evaluation) if judge is not None else ()
        name = Path(judge.run).name if judge is not None else ""
        verdict.neighbours = find_neighbours(self.levels, images, self.model.opt.seed, seen, name)
        verdict.facts["neighbours"] = verdict.neighbours.as_dict()
        return verdict

    def compared(self) -> RealImages:
        return self.data

    def judged(self, judge: Any, verdict: Verdict, evaluation: Evaluation | None) -> Sequence[Any]:
        """The scores of ``--label_judge``; what the judge saw in samples, training and held-out images."""
        fake = see(judge, self.levels, self.labels)
        train, held = see(judge, *self.data.train), see(judge, *self.data.held)
        reader = f"classifier {Path(judge.run).name}, sha256 {judge.digest[:12]}, {judge.features} features"
        known = known_names(judge, verdict, evaluation)
        way_out = EVENLY if getattr(self.model.opt, "sample_classes", None) == "even" else ""
        table = score_samples(fake, train, held, self.model.class_names, reader, known, way_out)
        remarks = [
            *table.remarks,
            "matched: accuracy after the best renaming of classes; variety: distance between two images of a class, in "
            "parts of that of held-out images",
            f"sha256 of the judge's weights: {judge.digest}",
            *judge_doubts(judge, self.model.opt),
        ]
        verdict.facts["judge"] = {"run": judge.run, "sha256": judge.digest, "features": judge.features}
        verdict.add("Scores", replace(table, remarks=remarks), "training images are what is reachable")
        return fake, train, held

    # -- show ------------------------------------------------------------------------------------

    def show(self, verdict: Verdict) -> None:
        """``index.html``: the tables, grids, the nearest training images, the curves of the run."""
        page = self.new_page()
        self.show_first(page)
        for heading, table in verdict.tables.items():
            page.add_section(table_section(table, heading, verdict.notes[heading]))
        self.show_ways(page)
        if verdict.neighbours is not None:
            self.show_neighbours(page, verdict.neighbours)
        curves, ended = read_curves(Path(self.model.opt.checkpoints_dir, self.model.opt.name, "metrics.jsonl"))
        if ended:
            page.add_curves(curves, ended)
        self.files.note("index.html")
        page.save()

    def new_page(self) -> SamplesPage:
        """A page that says what it is of."""
        opt = self.model.opt
        page = SamplesPage(self.files.folder, f"{opt.name}: images from noise", self.levels.shape[2])
        page.add_facts({"images": f"{len(self.levels):,}", "classes": len(self.chosen) or "none", **self.page_facts()})
        return page

    def page_facts(self) -> dict[str, Any]:
        opt = self.model.opt
        files = ", ".join(Path(file).name for file in getattr(opt, "pretrained", ()))
        facts = {"checkpoint": files or opt.epoch, "seed": opt.seed}
        return facts | ({"truncation": opt.truncation} if opt.truncation else {})

    def show_first(self, page: Any) -> None:
        """What stands above the tables."""

    def show_ways(self, page: Any) -> None:
        """The grid, and ways between noises and classes."""
        self.show_grid(page)
        self.show_noise_ways(page)
        self.show_class_ways(page)

    def show_grid(self, page: SamplesPage) -> None:
        """The fixed noise of training: a column each, a row for each class; without classes one after another."""
        limit = self.model.opt.truncation
        fixed = self.model.fixed_z.float().cpu()
        fixed, cut = (truncate(fixed, limit), f", truncated at {limit:g}") if limit > 0 else (fixed, "")
        if self.classes is None:
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
        self.show_rows(page, "grid", "Samples", note, rows, "noise {}")

    def shown(self) -> list[int]:
        """Places in ``names`` that the grid has room for: the first of --classes, else spread evenly over all."""
        count = min(SHOWN, len(self.names))
        if self.model.opt.classes:
            return list(range(count))
        return torch.linspace(0, len(self.names) - 1, count).round().long().tolist()

    def show_noise_ways(self, page: SamplesPage) -> None:
        """From noise to noise within a class."""
        part, count = torch.linspace(0, 1, STEPS), ROWS if self.classes is None else min(ROWS, len(self.chosen))
        self.ends, rows = self.noise(2 * count), []
        for k in range(count):
            y = None if self.classes is None else torch.full((STEPS,), self.chosen[k])
            name = f"way {k + 1}" if self.classes is None else self.names[k]
            rows.append((name, self.draw(slerp(self.ends[2 * k], self.ends[2 * k + 1], part), y)))
        fixed = ", its class fixed" * bool(self.chosen)
        note = f"each row from one noise vector to another along a great circle{fixed}"
        self.show_rows(page, "noise", "From noise to noise", note, rows, "step {}")

    def show_class_ways(self, page: SamplesPage) -> None:
        """From class to class with the noise that the ways from noise to noise began with."""
        if len(self.chosen) < 2:
            return
        part, rows = torch.linspace(0, 1, STEPS), []
        pairs = list(zip(self.chosen, [*self.chosen[1:], self.chosen[0]], strict=True))
        for k, (one, other) in enumerate(pairs[: min(ROWS, len(self.chosen)) if len(self.chosen) > 2 else 1]):
            y = torch.zeros(STEPS, self.model.netG.classes)
            y[:, one], y[:, other] = 1 - part, part
            name = f"{self.names[k]} \u2192 {self.names[(k + 1) % len(self.names)]}"
            rows.append((name, self.draw(self.ends[2 * k].expand(STEPS, -1), y)))
        note = "each row mixes two classes, its noise fixed"
        self.show_rows(page, "class", "From class to class", note, rows, "step {}")

    def show_rows(self, page: Any, folder: str, heading: str, note: str, rows: Sequence[Any], caption: str) -> None:
        shown = []
        for number, (name, levels) in enumerate(rows):
            files = (
                self.save_image(image, f"images/{folder}/{number:03d}_{i:02d}.png") for i, image in enumerate(levels)
            )
            shown.append((name, {caption.format(i + 1): file for i, file in enumerate(files)}))
        page.add_grid(heading, note, shown)

    def show_neighbours(self, page: Any, found: Neighbours) -> None:
        """How near training images come, and samples beside the nearest of them."""
        table, images = found.table(), self.compared()
        table = replace(table, remarks=[*table.remarks, images.remark()])
        page.add_section(table_section(table, "Distance to the nearest training image", f"in {found.space}"))
        (first, closest), nearest = NEIGHBOURS, found.distances[:, 0]
        order = [*range(min(first, len(nearest))), *nearest.argsort(stable=True)[:closest].tolist()]
        shown = []
        for i in dict.fromkeys(order):
            files = {"sample": self.paths[i]}
            for caption, row in zip(("nearest", "second", "third"), found.places[i].tolist(), strict=False):
                files[caption] = self.save_image(images.train[0][row], f"images/train/{row:06d}.png")
            name = "" if self.labels is None else f"{self.model.class_names[int(self.labels[i])]}: "
            shown.append((f"{name}{', '.join(f'{d:.3g}' for d in found.distances[i].tolist())}", files))
        note = f"samples, then the nearest training images and their distances; the last {closest} come nearest of all"
        page.add_grid("Nearest training images", note, shown)


def known_names(judge: Any, verdict: Verdict, evaluation: Evaluation | None) -> set[str]:
    """Names of values that need not be computed again: --metrics has them, of the judge itself under the tag too."""
    names = set(verdict.names)
    extractor = None if evaluation is None else evaluation.extractor
    if extractor is not None and extractor.digest == judge.digest:
        names |= {name.replace(extractor.tag, "", 1) for name in names}
    return names
