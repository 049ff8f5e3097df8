"""What data of single pictures have in common, whatever is known of each: its class, its captions."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch

from data.items.opening import ShardOptions
from data.loading.augmentation import Augment, AugmentOptions
from data.loading.cache import PixelCache
from data.loading.phases import standard
from data.pictures.choice import held_out, in_turn, share
from data.pictures.sources import Files, Missing, Stored, fit, look, window
from options import UserError, default, option
from options.sizes import Sides, sides
from util import distributed
from util.images import to_tensor
from util.reading.json_file import read_json
from util.seeding import derive

from .base_dataset import BaseDataset, SkipItem


class PictureDataset(BaseDataset):
    """Items have an ``image`` (C, S, S) in [-1, 1] of their own. A subclass opens ``source`` and reads its pictures.

    Attributes:
        source: what the data have; its ``phases`` read the pictures of train, test, val, or of "every".
        pictures: those of the items.
        saved: what the run kept that is tested or goes on; empty for a new one.
        seed: that divides data which are not divided already.
        channels: C.
        mirrors: whether training mirrors every second picture.
        present: False in a test of a run whose data are gone; it then has no items.
        held: of data that are not divided already, how many pictures are held out.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options, AugmentOptions, ShardOptions):
        section = "pictures"
        of_a_family = True
        test_fraction: float = option(
            0.2, "part of each class that training never sees, where the data are not divided already", least=0
        )
        split_seed: int = option(
            0, "seed that divides them, whatever --seed is: models and their judges hold out the same", least=0
        )
        random_crop: bool = option(
            False, "training: cut a random piece of a picture of another shape, in place of its middle", per_run=True
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

    source: Any
    pictures: Any
    saved: dict[str, Any]
    channels: int
    mirrors: bool
    held = 0

    def __init__(self, opt: Any):
        super().__init__(opt)
        phases = ("train", "all") if opt.is_train else ("train", "test", "val", "all")
        if standard(opt.phase) not in phases:
            raise UserError(f"--phase {opt.phase}: choose {' or '.join(phases)}")
        self.augment = Augment(opt)
        self.saved = self._saved()
        self.seed = self.saved.get("split_seed", opt.split_seed)
        self.cache = PixelCache(opt.cache_mb if opt.is_train else 0)  # a test reads every picture once
        self._bad: set[str] = set()
        self.present = True

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        """What the run kept that is tested or goes on; empty where it kept nothing."""
        return {}

    def _of_run(self, pictures: Any) -> Any:
        """These pictures with what is known of them as this run has it; those that mean nothing to it are left out."""
        return pictures

    def _facts(self, file: str, noun: str, **kinds: Any) -> dict[str, Any]:
        """What the run wrote into a file of its folder, if this one tests it or goes on with it; else nothing.

        Args:
            noun: what the file should be.
            kinds: the shapes (:func:`util.reading.json_file.misfit`) of what it holds besides the facts that
                all runs keep.

        Raises:
            UserError: the file is none of ours.
        """
        opt = self.opt
        path = Path(opt.checkpoints_dir, opt.name, file)
        if (opt.is_train and not opt.continue_train) or not path.is_file():
            return {}
        facts = {"channels": int, "source": str, "split_seed": int, "test_fraction": float}
        way_out = "delete it to read them from the data"
        saved = read_json(path, kinds | facts, noun, way_out)
        empty = next((key for key in kinds if saved[key] == []), "")
        if empty or saved["channels"] not in (1, 3) or not 0 <= saved["test_fraction"] < 1:
            odd = {key: saved[key] for key in ([empty] if empty else ["channels", "test_fraction"])}
            raise UserError(f"{path}: not {noun} ({odd}); {way_out}")
        return saved

    # -- which pictures ------------------------------------------------------------------------------------------------

    def half(self, phase: str) -> Any:
        """Pictures of train, test, val or all, as this run has them; not those that mean nothing to it."""
        phase, readers = standard(phase), self.source.phases
        if "every" in readers:
            pictures = self._of_run(readers["every"]())
            if phase == "all":
                return pictures
            chosen = held_out(pictures, self.seed, self._test_fraction)
            self.held = int(chosen.sum())
            return pictures.take(np.flatnonzero(chosen if phase != "train" else ~chosen))
        if phase == "all":
            first, *rest = [self._of_run(readers[name]()) for name in readers if name != "val"]
            return first.join(*rest) if rest else first
        if phase not in readers:
            there = ", ".join(readers)
            raise Missing(f"--phase {phase}: --dataroot {self.opt.dataroot} has none; there are {there}")
        return self._of_run(readers[phase]())

    def has_val(self) -> bool:
        return self.present and "val" in self.source.phases

    @property
    def _test_fraction(self) -> float:
        """That of the run; 0 where it trains on everything."""
        seen = self.opt.is_train and self.opt.phase == "all"
        return 0.0 if seen else float(self.saved.get("test_fraction", self.opt.test_fraction))

    def _limited(self, pictures: Any) -> Any:
        """The first --max_dataset_size, taking from every class in turn."""
        most = self.opt.max_dataset_size
        if most is None or most >= len(pictures):
            return pictures
        return pictures.take(in_turn(pictures.labels, most))

    def _prepare(self) -> None:
        """Find the channels of ``pictures``; scale them now where that saves time."""
        opt = self.opt
        self.channels = opt.output_nc or self.saved.get("channels") or self._found_channels()
        if isinstance(self.pictures, Stored):
            self.pictures = self.pictures.prepared(opt.crop_size, self.channels, opt.cache_mb << 20)

    def _found_channels(self) -> int:
        """What the data have; of files, 1 if all are grey and else 3. Says how many are not square."""
        if not isinstance(self.pictures, Files):
            return self.source.channels
        size = self.opt.crop_size
        grey, oblong, seen = look(self.pictures, size)
        if oblong and self.opt.is_train and distributed.rank() == 0:
            piece, square = ("piece", f"of {size}") if isinstance(size, Sides) else ("square", "square")
            cut = (
                f"a random {piece} is cut out" if self.opt.random_crop else "the middle is cut out (see --random_crop)"
            )
            fit = f"they are scaled to cover --crop_size {size}"
            fit = fit if isinstance(size, Sides) else f"their shorter side becomes --crop_size {size}"
            print(
                f"--dataroot {self.opt.dataroot}: {oblong} of {seen} pictures are not {square}; {fit} and {cut}",
                file=sys.stderr,
            )
        return 1 if grey and seen else 3

    # -- pixels --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.pictures)

    def _image(self, index: int, rng: random.Random) -> torch.Tensor:
        """The picture of an item, in training cut, mirrored and altered at random as its flags say."""
        pixels, size = self._pixels(self.pictures, index), self.opt.crop_size
        if not self.opt.is_train:
            return to_tensor(window(pixels, size))
        place = (rng.random(), rng.random()) if self.opt.random_crop else (0.5, 0.5)
        pixels = window(pixels, size, *place)
        if self.mirrors and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return to_tensor(self.augment(pixels, rng))

    def _pixels(self, pictures: Any, row: int) -> np.ndarray:
        """One picture that covers --crop_size, a square with its shorter side."""
        size = self.opt.crop_size
        if isinstance(pictures, Stored):
            return fit(pictures.pixels(row, self.channels), size)
        path = pictures.path(row)

        def decode() -> np.ndarray:
            try:
                return fit(pictures.pixels(row, self.channels), size)
            except UserError as error:
                self._reject(path, error)

        tall, wide = sides(size)
        scaled_to = tall if tall == wide else wide << 32 | tall  # a number for the pair
        return self.cache.get(path, self.channels, scaled_to, decode)

    def _reject(self, path: str, error: UserError) -> NoReturn:
        if self.opt.on_bad_image == "error":
            raise UserError(f"{error}; --on_bad_image skip leaves such files out")
        if path not in self._bad:
            self._bad.add(path)
            print(f"skipped: {error}", file=sys.stderr)
        raise SkipItem(path)

    def _stack(self, pictures: Any, rows: np.ndarray, dtype: torch.dtype) -> tuple[torch.Tensor, np.ndarray]:
        """Images (N, C, H, W) of these rows, neither mirrored nor cut at random, and the rows that could be read.

        Floats are in [-1, 1]; bytes are rounded to the nearest level.
        """
        size = self.opt.crop_size
        images = torch.empty(len(rows), self.channels, *sides(size), dtype=dtype)
        kept: list[int] = []
        for row in rows.tolist():
            try:
                image = to_tensor(window(self._pixels(pictures, row), size))
            except SkipItem:
                continue
            images[len(kept)] = image if dtype.is_floating_point else ((image.clamp(-1, 1) + 1) * 127.5).round()
            kept.append(row)
        return images[: len(kept)], np.array(kept, dtype=np.int64)

    def _read(
        self, phase: str, limit: int | None, dtype: torch.dtype, stream: str, among: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, Any, np.ndarray, int]:
        """Images of a phase as ``_stack`` reads them, all its pictures, the rows of these, and how many these are of.

        Args:
            limit: at most so many, of every class in proportion; ``stream`` names the draw.
            among: these classes alone; None is all.

        Raises:
            UserError: there is no such phase, or there are no data.
        """
        if not self.present:
            raise UserError(self.none_left)
        pictures = self.pictures if phase == self.opt.phase else self.half(phase)
        rows = np.arange(len(pictures)) if among is None else np.flatnonzero(np.isin(pictures.labels, list(among)))
        count = len(rows)
        if limit is not None and limit < count:
            rows = rows[share(pictures.labels[rows], limit, derive(self.seed, stream, phase))]
        images, kept = self._stack(pictures, rows, dtype)
        if not len(kept):
            of = "" if among is None else " of these classes"
            raise UserError(f"--phase {phase}: no pictures{of}; see --test_fraction {self.opt.test_fraction}")
        return images, pictures, kept, count
