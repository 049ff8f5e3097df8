"""Samples of a model from noise: drawn, kept as files, and judged beside real images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.judges import JUDGED_AT_ONCE
from evaluation.samples import Asked, RealImages, Verdict, find_neighbours, judge_doubts, score_samples, see
from evaluation.testing import EVENLY, Evaluation
from models.noise.classes import asked_of, follows_data
from options import Exit, UserError
from util.files import sha256
from util.images import save_levels, to_bytes
from util.pages.files import ResultFiles
from util.pages.results import folder_names
from util.seeding import derive
from util.stopwatch import Countdown
from util.writing import make_folder, new_file


class Samples:
    """What an album of samples is made of; see :class:`models.noise.results.Album`.

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


def known_names(judge: Any, verdict: Verdict, evaluation: Evaluation | None) -> set[str]:
    """Names of values that need not be computed again: --metrics has them, of the judge itself under the tag too."""
    names = set(verdict.names)
    extractor = None if evaluation is None else evaluation.extractor
    if extractor is not None and extractor.digest == judge.digest:
        names |= {name.replace(extractor.tag, "", 1) for name in names}
    return names
