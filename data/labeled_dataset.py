"""Pictures with one class each: a folder for each class, digits, CIFAR and the like, or glyphs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch

from options import UserError, default, nearest, option
from util import distributed
from util.html import write_atomically
from util.images import to_tensor
from util.seeding import derive

from .base_dataset import BaseDataset, SkipItem
from .cache import PixelCache
from .labeled_archives import LAYOUTS, archive, locate
from .labeled_choice import held_out, in_turn, share
from .labeled_glyphs import GlyphOptions, glyphs
from .labeled_sources import Files, Missing, Pictures, Source, Stored, digits, fit, folder, look, window

FILE = "classes.json"
SOURCES: Mapping[str, Callable[[Any, int], Source]] = {
    "folder": folder,
    "digits": digits,
    "glyphs": glyphs,
    **{kind: partial(archive, kind) for kind in LAYOUTS},
}


class LabeledDataset(BaseDataset):
    """Items are ``image`` (C, S, S) in [-1, 1], ``label``, the place of its class in ``classes``, and ``image_paths``.

    A run keeps its classes in ``classes.json``, so labels mean the same in a test, whatever it is given to read.

    Attributes:
        classes: names; a label is a place among them.
        labels: (N,) int64, of the items.
        channels: C.
        mirrors: whether a mirrored picture counts as one of the same class, as --flip has it.
        present: False in a test that finds the run's classes but no data; it then has no items.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options, GlyphOptions):
        section = "labelled pictures"
        source: str = option(
            "auto",
            "kind of data; auto: --dataroot digits are scikit-learn's, else what lies in --dataroot: CIFAR, MNIST, "
            "STL-10 or SVHN as torchvision keeps them, or a folder of pictures for each class",
            choices=("auto", *SOURCES),
        )
        download: bool = option(
            False, "fetch the data of --source into --dataroot by torchvision where they are missing", per_run=True
        )
        classes_used: tuple[str, ...] = option((), "these classes alone, by name; none is all")
        test_fraction: float = option(
            0.2, "part of each class that training never sees, where the data are not divided already", least=0
        )
        split_seed: int = option(
            0, "seed that divides them, whatever --seed is: models and their judges hold out the same", least=0
        )
        random_crop: bool = option(
            False, "training: cut a random square of a picture that is not square, in place of its middle", per_run=True
        )
        flip: bool | Literal["auto"] = option(
            "auto",
            "mirror every second picture in training; auto: unless its class would change (digits, glyphs)",
            per_run=True,
        )
        cache_mb: int = option(
            512, "training: memory for decoded pictures, in MiB; 0 keeps none", least=0, per_run=True
        )
        on_bad_image: Literal["error", "skip"] = option(
            "error", "when an image cannot be read: stop, or go on without it", per_run=True
        )
        crop_size: int = default(32)
        num_threads: int = default(0)  # small pictures lie in memory: a worker only costs their way from it
        output_nc: Literal[0, 1, 3] = option(0, "channels of a picture; 0 is what the data have", least=0)

        def validate(self) -> None:
            if self.test_fraction >= 1:
                raise UserError(f"--test_fraction {self.test_fraction}: must be below 1")
            if self.download and self.source not in LAYOUTS:
                raise UserError(f"--download with --source {self.source}: give one of {', '.join(LAYOUTS)}")

    def __init__(self, opt: Any):
        super().__init__(opt)
        phases = ("train", "all") if opt.is_train else ("train", "test", "val", "all")
        if opt.phase not in phases:
            raise UserError(f"--phase {opt.phase}: choose {' or '.join(phases)}")
        self.saved = self._saved()
        self.seed = self.saved.get("split_seed", opt.split_seed)  # that divides the data
        self.cache = PixelCache(opt.cache_mb if opt.is_train else 0)  # a test reads every picture once
        self._bad: set[str] = set()
        self.present = True
        try:
            self.source = self._open()
            self.classes = tuple(self.saved.get("classes") or self._chosen(self.source.classes))
            self.pictures = self._limited(self.half(opt.phase))
        except Missing as error:
            if opt.is_train or not self.saved:
                raise
            print(f"{error}; going on without the data, with the classes of {opt.name}", file=sys.stderr)
            self.present, self.mirrors, self.none_left = False, False, str(error)
            self.classes = tuple(self.saved["classes"])
            self.pictures = Pictures(np.zeros(0, np.int64), np.zeros(0, object))
            self.channels = opt.output_nc or self.saved["channels"]
            return
        self.channels = opt.output_nc or self.saved.get("channels") or self._found_channels()
        if isinstance(self.pictures, Stored):
            self.pictures = self.pictures.prepared(opt.crop_size, self.channels, opt.cache_mb << 20)
        self.mirrors = self.source.mirrors if opt.flip == "auto" else bool(opt.flip)
        self.none_left = (
            f"--phase {opt.phase}: no pictures of {', '.join(self.classes[:8])}; see --dataroot {opt.dataroot}, "
            "--test_fraction and --classes_used"
        )
        if opt.is_train and distributed.rank() == 0:
            self._report()

    # -- what there is -------------------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        """What the run kept that is tested or goes on; empty where it kept nothing."""
        opt = self.opt
        path = Path(opt.checkpoints_dir, opt.name, FILE)
        if (opt.is_train and not opt.continue_train) or not path.is_file():
            return {}
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            wanted = {"classes": list, "channels": int, "source": str, "split_seed": int, "test_fraction": float}
            wrong = [key for key, kind in wanted.items() if not isinstance(saved[key], kind)]
            if wrong or not saved["classes"]:
                raise ValueError(f"{wrong or 'classes'}")
            return saved
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a table of classes ({error}); delete it to read them from the data") from None

    def _open(self) -> Source:
        opt, root = self.opt, Path(self.opt.dataroot)
        kind = opt.source
        if kind == "auto":
            found = [kind for kind in LAYOUTS if locate(root, kind)]
            if len(found) > 1:
                raise UserError(f"--dataroot {root} holds {' and '.join(found)}; say which with --source {found[0]}")
            shipped = opt.dataroot == "digits" and not root.is_dir()
            kind = found[0] if found else "digits" if shipped else "folder"
        return SOURCES[kind](opt, self.seed)

    def _chosen(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of --classes_used, in the order of the data."""
        wanted = self.opt.classes_used
        for name in wanted:
            if name not in classes:
                some = ", ".join(classes[:20]) + ", ..." * (len(classes) > 20)
                raise UserError(f"--classes_used {name}: no such class{nearest(name, classes)}; there are {some}")
        return tuple(name for name in classes if name in wanted) if wanted else classes

    def half(self, phase: str) -> Pictures:
        """Pictures of train, test, val or all, with the labels of this run; those of other classes are left out."""
        readers = self.source.phases
        if "every" in readers:
            pictures = self._of_run(readers["every"]())
            if phase == "all":
                return pictures
            chosen = held_out(pictures, self.seed, self._test_fraction)
            return pictures.take(np.flatnonzero(chosen if phase != "train" else ~chosen))
        if phase == "all":
            first, *rest = [self._of_run(readers[name]()) for name in readers if name != "val"]
            return first.join(*rest) if rest else first
        if phase not in readers:
            there = ", ".join(readers)
            raise Missing(f"--phase {phase}: --dataroot {self.opt.dataroot} has none; there are {there}")
        return self._of_run(readers[phase]())

    @property
    def _test_fraction(self) -> float:
        """That of the run; 0 where it trains on everything."""
        seen = self.opt.is_train and self.opt.phase == "all"
        return 0.0 if seen else float(self.saved.get("test_fraction", self.opt.test_fraction))

    def _of_run(self, pictures: Pictures) -> Pictures:
        used = self._chosen(self.classes)
        place = {name: label for label, name in enumerate(self.classes) if name in used}
        label_of = np.array([place.get(name, -1) for name in self.source.classes], dtype=np.int64)
        labels = label_of[pictures.labels]
        if np.array_equal(labels, pictures.labels):
            return pictures
        strange = [name for name in self.source.classes if name not in self.classes]
        if self.saved and strange and not self.opt.classes_used:
            print(f"{', '.join(strange[:8])}: no class of {self.opt.name}; left out", file=sys.stderr)
        kept = pictures.take(np.flatnonzero(labels >= 0))
        return dataclasses.replace(kept, labels=labels[labels >= 0])

    def _limited(self, pictures: Pictures) -> Pictures:
        """The first --max_dataset_size, taking from every class in turn."""
        most = self.opt.max_dataset_size
        if most is None or most >= len(pictures):
            return pictures
        return pictures.take(in_turn(pictures.labels, most))

    def _found_channels(self) -> int:
        """What the data have; of files, 1 if all are grey and else 3. Says how many are not square."""
        if not isinstance(self.pictures, Files):
            return self.source.channels
        grey, oblong, seen = look(self.pictures)
        if oblong and self.opt.is_train and distributed.rank() == 0:
            cut = "a random square is cut out" if self.opt.random_crop else "the middle is cut out (see --random_crop)"
            print(
                f"--dataroot {self.opt.dataroot}: {oblong} of {seen} pictures are not square; their shorter side "
                f"becomes --crop_size {self.opt.crop_size} and {cut}",
                file=sys.stderr,
            )
        return 1 if grey and seen else 3

    def _report(self) -> None:
        counts = np.bincount(self.pictures.labels, minlength=len(self.classes))
        most, least = int(counts.argmax()), int(counts.argmin())
        span = f"{counts[least]} of {self.classes[least]} to {counts[most]} of {self.classes[most]}"
        span = f"{counts[least]} of each" if counts[least] == counts[most] else span
        noun = "class" if len(self.classes) == 1 else "classes"
        pictures = "picture" if len(self) == 1 else "pictures"
        print(f"{self.source.kind}: {len(self.classes)} {noun}, {len(self)} {pictures} to train on: {span}")
        few = [name for name, count in zip(self.classes, counts, strict=True) if count < 2]
        if len(self.classes) == 1:
            print("one class: enough for a model without classes; others need two", file=sys.stderr)
        elif few:
            have = "class has" if len(few) == 1 else "classes have"
            print(
                f"{len(few)} {have} fewer than two pictures ({', '.join(few[:8])}{' ...' * (len(few) > 8)}): what "
                "compares pictures of a class has nothing to compare there",
                file=sys.stderr,
            )

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

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pixels, size = self._pixels(self.pictures, index), self.opt.crop_size
        if self.opt.is_train and (self.mirrors or self.opt.random_crop):
            rng = self.random(index)
            place = (rng.random(), rng.random()) if self.opt.random_crop else (0.5, 0.5)
            pixels = window(pixels, size, *place)
            pixels = pixels[:, ::-1] if self.mirrors and rng.random() < 0.5 else pixels
        else:
            pixels = window(pixels, size)
        return {
            "image": to_tensor(pixels),
            "label": int(self.pictures.labels[index]),
            "image_paths": self.pictures.path(index),
        }

    def _pixels(self, pictures: Pictures, row: int) -> np.ndarray:
        """One picture whose shorter side is --crop_size."""
        size = self.opt.crop_size
        if isinstance(pictures, Stored):
            return fit(pictures.pixels(row, self.channels), size)
        path = pictures.path(row)

        def decode() -> np.ndarray:
            try:
                return fit(pictures.pixels(row, self.channels), size)
            except UserError as error:
                self._reject(path, error)

        return self.cache.get(path, self.channels, size, decode)

    def _reject(self, path: str, error: UserError) -> NoReturn:
        if self.opt.on_bad_image == "error":
            raise UserError(f"{error}; --on_bad_image skip leaves such files out")
        if path not in self._bad:
            self._bad.add(path)
            print(f"skipped: {error}", file=sys.stderr)
        raise SkipItem(path)

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
        images, labels, _ = self._read(phase, limit, None, torch.float32)
        return images, labels

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
        return self._read(phase, limit, among, torch.uint8)

    def _read(
        self, phase: str, limit: int | None, among: Sequence[int] | None, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        if not self.present:
            raise UserError(self.none_left)
        pictures = self.pictures if phase == self.opt.phase else self.half(phase)
        rows = np.arange(len(pictures)) if among is None else np.flatnonzero(np.isin(pictures.labels, list(among)))
        count, size = len(rows), self.opt.crop_size
        if limit is not None and limit < count:
            rows = rows[share(pictures.labels[rows], limit, derive(self.seed, "arrays", phase))]
        images = torch.empty(len(rows), self.channels, size, size, dtype=dtype)
        kept: list[int] = []
        for row in rows.tolist():
            try:
                image = to_tensor(window(self._pixels(pictures, row), size))
            except SkipItem:
                continue
            images[len(kept)] = image if dtype.is_floating_point else ((image.clamp(-1, 1) + 1) * 127.5).round()
            kept.append(int(pictures.labels[row]))
        if not kept:
            of = "" if among is None else " of these classes"
            raise UserError(f"--phase {phase}: no pictures{of}; see --test_fraction {self.opt.test_fraction}")
        return images[: len(kept)], torch.tensor(kept), count
