"""What test.py leaves of a model that makes images from noise: samples, and a page to look at them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from evaluation.judges import load_label_judge
from evaluation.samples import Neighbours, Verdict
from evaluation.testing import Evaluation
from models.noise.classes import chosen_classes
from models.noise.sampler import slerp, truncate
from models.noise.samples import Samples
from options import Exit, UserError
from util.config import save_options
from util.pages.curves import read_curves
from util.pages.files import note_checkpoint
from util.pages.samples import SamplesPage
from util.pages.sections import table_section
from util.table import write_metrics

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


class Album(Samples):
    """Samples of a model from noise: drawn, judged, kept and shown.

    ``save`` does all of it. From Python ``draw_samples()`` and ``judge()`` need no folder, and after
    ``write_into(folder)`` ``keep()`` and ``show(Verdict())`` make a page that judges nothing.
    """

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
