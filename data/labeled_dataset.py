"""Pictures with one class each: a folder for each class, digits, CIFAR and the like, or glyphs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from data.fonts.drawn import GlyphOptions, glyphs
from data.items.opening import check_source
from data.items.roots import is_beyond
from data.pictures.archives import LAYOUTS, archive, locate
from data.pictures.arrays import ENDINGS, arrays, files_of
from data.pictures.choice import alike
from data.pictures.folders import folder
from data.pictures.packs import packed
from data.pictures.sharded import sharded
from data.pictures.sources import Missing, Pictures, Source, digits
from options import UserError, option
from options.listed import classes_listed, in_words, quoted
from options.shown import shown
from options.sizes import Sides
from util import distributed
from util.listing import look_into
from util.reading.packs import ENDINGS as PACKS
from util.table import plural
from util.writing import write_atomically

from .base_pictures import PictureDataset

FILE = "classes.json"
SOURCES: Mapping[str, Callable[[Any, int], Source]] = {
    "folder": folder,
    "digits": digits,
    "glyphs": glyphs,
    **{kind: partial(archive, kind) for kind in LAYOUTS},
    **{kind: partial(arrays, kind) for kind in ENDINGS},
    **{kind: partial(packed, kind) for kind in PACKS},
    "shards": sharded,
}


class LabeledDataset(PictureDataset):
    """Items are ``image`` (C, H, W) in [-1, 1], ``label``, the place of its class in ``classes``, and ``image_paths``.

    A run keeps its classes in ``classes.json``, so labels mean the same in a test, whatever it is given to read.

    Attributes:
        classes: names; a label is a place among them.
        labels: (N,) int64, of the items.
        channels: C.
        mirrors: whether a mirrored picture counts as one of the same class, as --flip has it.
        present: False in a test that finds the run's classes but no data; it then has no items.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(PictureDataset.Options, GlyphOptions):
        section = "labelled pictures"
        crop_size: int | Sides = option(  # type: ignore[assignment]  # noqa: RUF009
            32, "side of an item, in pixels, or WIDTHxHEIGHT", least=1, matters=True
        )
        source: str = option(
            "auto",
            "kind of data; auto: --dataroot digits are scikit-learn's, else what lies in --dataroot: CIFAR, MNIST, "
            "STL-10 or SVHN as torchvision keeps them, .npz, HDF5, .zip, .tar, or a folder of pictures for each class; "
            "shards:FOLDER are shards",
            choices=("auto", *SOURCES),
        )
        download: bool = option(
            False, "fetch the data of --source into --dataroot by torchvision where they are missing", per_run=True
        )
        classes_used: tuple[str, ...] = option((), "these classes alone, by name; none is all")
        balance: bool = option(
            False, "training: every class as often in an epoch as any other, whatever the data have", per_run=True
        )
        flip: bool | Literal["auto"] = option(
            "auto",
            "mirror every second picture in training; auto: unless its class would change (digits, glyphs)",
            per_run=True,
        )

        def validate(self) -> None:
            if isinstance(self.crop_size, Sides) and self.source == "glyphs":
                raise UserError(f"--crop_size {self.crop_size} --source glyphs: are drawn in squares; give one number")
            if self.download and self.source not in LAYOUTS:
                raise UserError(f"--download with --source {self.source}: give one of {', '.join(LAYOUTS)}")
            if self.balance and self.serial_batches:
                raise UserError("--balance --serial_batches: items in order come once each; leave one of them out")

    def __init__(self, opt: Any):
        super().__init__(opt)
        try:
            self.source = self._open()
            self.classes = tuple(self.saved.get("classes") or self._chosen(self.source.classes))
            self.pictures = self._limited(self.half(opt.phase))
        except Missing as error:
            pretrained, known = getattr(opt, "pretrained", ()), getattr(opt, "known_classes", 0)
            if opt.is_train or not (self.saved or pretrained):
                raise
            whose = f"classes of {opt.name}" if self.saved else f"{known} classes of --pretrained, by number"
            how = f"with the {whose}" if self.saved or known else "and without classes"
            print(f"{error}; going on without the data, {how}", file=sys.stderr)
            self.present, self.mirrors, self.none_left = False, False, str(error)
            self.classes = tuple(self.saved.get("classes") or map(str, range(known or 1)))
            self.pictures = Pictures(np.zeros(0, np.int64), np.zeros(0, object))
            self.channels = opt.output_nc or self.saved["channels"]
            return
        self._prepare()
        self.mirrors = self.source.mirrors if opt.flip == "auto" else bool(opt.flip)
        self.none_left = (
            f"--phase {opt.phase}: no pictures of {in_words(self.classes)}; see --dataroot {opt.dataroot}, "
            "--test_fraction and --classes_used"
        )
        if opt.is_train and distributed.rank() == 0:
            self._report()

    # -- what there is -------------------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        return self._facts(FILE, "a table of classes", classes=[str])

    def _open(self) -> Source:
        opt, root = self.opt, Path(self.opt.dataroot)
        kind = opt.source
        if is_beyond(opt.dataroot) or kind == "shards":
            check_source(opt, ("auto", "shards"))
            kind = "shards"
        if kind == "auto":
            found = [kind for kind in LAYOUTS if locate(root, kind)]
            if len(found) > 1:
                raise UserError(f"--dataroot {root} holds {' and '.join(found)}; say which with --source {found[0]}")
            shipped = opt.dataroot == "digits" and not root.is_dir()
            kind = found[0] if found else "digits" if shipped else _by_ending(root) or "folder"
        return SOURCES[kind](opt, self.seed)

    def _chosen(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of --classes_used, in the order of the data."""
        wanted = classes_listed("--classes_used", self.opt.classes_used, classes)
        return tuple(name for name in classes if name in wanted) if wanted else classes

    def _of_run(self, pictures: Pictures) -> Pictures:
        used = self._chosen(self.classes)
        place = {name: label for label, name in enumerate(self.classes) if name in used}
        label_of = np.array([place.get(name, -1) for name in self.source.classes], dtype=np.int64)
        labels = label_of[pictures.labels]
        if np.array_equal(labels, pictures.labels):
            return pictures
        strange = [name for name in self.source.classes if name not in self.classes]
        if self.saved and strange and not self.opt.classes_used:
            print(f"{in_words(strange)}: no class of {self.opt.name}; left out", file=sys.stderr)
        kept = pictures.take(np.flatnonzero(labels >= 0))
        return dataclasses.replace(kept, labels=labels[labels >= 0])

    def _report(self) -> None:
        counts = np.bincount(self.pictures.labels, minlength=len(self.classes))
        most, least = int(counts.argmax()), int(counts.argmin())
        span = f"{counts[least]} of {quoted(self.classes[least])} to {counts[most]} of {quoted(self.classes[most])}"
        span = f"{counts[least]} of each" if counts[least] == counts[most] else span
        noun = "class" if len(self.classes) == 1 else "classes"
        pictures = "picture" if len(self) == 1 else "pictures"
        print(f"{self.source.kind}: {len(self.classes)} {noun}, {len(self)} {pictures} to train on: {shown(span)}")
        print(self._held())
        if self.opt.balance:
            print(shown(self._balance(counts)))
        few = [name for name, count in zip(self.classes, counts, strict=True) if count < 2]
        if len(self.classes) == 1:
            print("one class: enough for a model without classes; others need two", file=sys.stderr)
        elif few:
            have = "class has" if len(few) == 1 else "classes have"
            print(
                f"{len(few)} {have} fewer than two pictures ({in_words(few)}): what "
                "compares pictures of a class has nothing to compare there",
                file=sys.stderr,
            )

    def _balance(self, counts: np.ndarray) -> str:
        """What --balance makes of these numbers of pictures."""
        there = np.flatnonzero(counts)
        rare, common = there[counts[there].argmin()], there[counts[there].argmax()]
        if counts[rare] == counts[common]:
            return "--balance: every class has as many pictures, so only their order is another one"
        each = len(self) / len(there)
        return (
            f"--balance: {each:.4g} items of each class in an epoch; a picture of {quoted(self.classes[rare])} comes "
            f"{each / counts[rare]:.3g} times, one of {quoted(self.classes[common])} {each / counts[common]:.3g} times"
        )

    def _held(self) -> str:
        """What training never sees, in words."""
        opt, source = self.opt, self.source
        if opt.phase == "all":
            return "held out: nothing (--phase all)"
        if "every" in source.phases:
            part = f"{self._test_fraction:g} of each class (--test_fraction)"
            return f"held out: {plural(self.held, 'picture')}, {part}"
        told = []
        for phase in ("test", "val"):
            place = source.places.get(phase, phase)
            if phase in source.phases and (phase == "test" or place != source.places.get("test", "test")):
                try:
                    told.append(f"{plural(len(self.half(phase)), 'picture')} of {place}")
                except UserError as error:
                    told.append(str(error))
        return f"held out: {', '.join(told)}"

    def save_files(self, folder: Path) -> None:
        """Write ``classes.json``: names, channels, kind of data, and what divided them."""
        kept = {
            "classes": list(self.classes),
            "channels": self.channels,
            "source": self.source.kind,
            "split_seed": self.seed,
            "test_fraction": self._test_fraction,
        }
        write_atomically(folder / FILE, json.dumps(kept, indent=1, ensure_ascii=False))

    # -- items ---------------------------------------------------------------------------------------------------------

    @property
    def labels(self) -> torch.Tensor:
        return torch.from_numpy(self.pictures.labels)

    def order(self, generator: torch.Generator) -> list[int]:
        return alike(self.pictures.labels, generator) if self.opt.balance else super().order(generator)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "image": self._image(index, self.random(index)),
            "label": int(self.pictures.labels[index]),
            "image_paths": self.pictures.path(index),
        }

    def arrays(self, phase: str, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures of a phase without flips or random crops, in the order of the data.

        Args:
            phase: train, test, val or all; this dataset's own is its items, another one is read whole.
            limit: at most so many, drawn by the seed, of every class in proportion.

        Returns:
            images (N, C, S, S) in [-1, 1], labels (N,) int64. Unreadable pictures are left out with
            --on_bad_image skip.

        Raises:
            UserError: there is no such phase, or there are no data.
        """
        images, pictures, kept, _ = self._read(phase, limit, torch.float32, "arrays")
        return images, torch.from_numpy(pictures.labels[kept])

    def levels(
        self, phase: str, limit: int | None = None, among: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """What ``arrays`` reads, in a quarter of the memory.

        Args:
            among: these classes alone; None is all.

        Returns:
            images (N, C, S, S), bytes, rounded to the nearest level; labels (N,) int64; of how many pictures these
            were drawn.

        Raises:
            UserError: there is no such phase, or there are no data of these classes.
        """
        images, pictures, kept, count = self._read(phase, limit, torch.uint8, "arrays", among)
        return images, torch.from_numpy(pictures.labels[kept]), count


def _by_ending(root: Path) -> str | None:
    """The kind of a file, or of the files of a folder in which there are neither folders nor pictures."""
    if not root.exists() or (root.is_dir() and any(path.is_dir() for path in root.iterdir())):
        return None
    if look_into(root, below=False).pictures:
        return None
    return next((kind for kind, endings in (ENDINGS | PACKS).items() if files_of(root, endings)), None)
