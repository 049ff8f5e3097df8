"""What datasets made of folders of images share: finding files, reading them, the flags of --preprocess."""

import contextlib
import dataclasses
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np
import torch

from data.items import marks
from data.items.collection import CollectionItem, Items
from data.items.opening import ShardOptions, open_collection
from data.items.roots import is_beyond
from data.loading.augmentation import Augment, AugmentOptions
from data.loading.cache import PixelCache
from data.loading.phases import phase_folder, read_for, standard
from data.loading.transforms import SCALING, factor_of, parse_steps, scale, transform
from data.loading.value_range import AUTO, LOOKED, deep, kept_range, look, other_range, ranges, skip
from options import UserError, option
from util import distributed
from util.heads import read_head
from util.images import read_pixels, read_values, to_tensor
from util.listing import look_into
from util.scale import save_scales
from util.values import Units, check_span, units_of

from .base_dataset import BaseDataset, SkipItem

MEASURED = 200  # files of a side whose size is looked up for the scale of a run


class FolderDataset(BaseDataset):
    """A subclass finds its files with ``images`` and reads them with ``read``."""

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options, AugmentOptions, ShardOptions):
        section = "image folders"
        of_a_family = True
        more_steps: ClassVar[tuple[str, ...]] = ()  # of --preprocess, that the dataset takes itself
        load_size: int = option(
            286, "size that resize and scale_... give an image before it is cropped, in pixels", least=1, per_run=True
        )
        preprocess: str = option(
            "auto",
            "resize, scale_width, scale_shortside, scale_longside, zoom, crop, trim, joined by _and_; or none; "
            "auto is resize_and_crop in training and none in testing",
            per_run=True,
        )
        no_flip: bool = option(False, "do not mirror every second image in training", per_run=True)
        random_scale_max: float = option(3.0, "zoom: a side shrinks by a random factor of at most this", least=1)
        cache_mb: int = option(
            512,
            "training: memory for decoded pictures, of a process and its workers together, in MiB; 0 keeps none",
            least=0,
            per_run=True,
        )
        value_range: tuple[float, ...] | Literal["auto"] | None = option(
            None,
            "values in files that are black and white: lo,hi, or lo,hi,lo,hi for A and B; auto reads training files",
        )
        value_type: Literal["auto", "integer", "float"] = option(
            "auto", "what results in the values of --value_range are; auto is integer if all training files are"
        )
        on_bad_image: Literal["error", "skip"] = option(
            "error", "when an image cannot be read: stop, or go on without it", per_run=True
        )

        def validate(self) -> None:
            if self.value_range not in (None, "auto"):
                check_span(self.value_range)
            if self.is_train and self.value_type != "auto" and self.value_range is None:
                raise UserError(f"--value_type {self.value_type}: results have no units without --value_range")
            steps = parse_steps(self.preprocess, self.is_train, self.more_steps)
            scaled = any(step.startswith(("resize", "scale")) for step in steps)
            if scaled and "crop" in steps and self.load_size < self.crop_size:
                larger = round(self.crop_size * 286 / 256)
                raise UserError(
                    f"--load_size {self.load_size} is smaller than --crop_size {self.crop_size}; "
                    f"give --load_size {larger}, or --preprocess crop"
                )

    val_sides: tuple[str, ...] = ()  # what the folders of a phase are called after it: "A" is valA; () has no phase val
    beyond = False  # whether it reads what lies in shards too

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.steps = parse_steps(opt.preprocess, opt.is_train, opt.more_steps)
        self.augment = Augment(opt)
        self.root = Path(opt.dataroot)
        self.shards = {}  # {flag: what its root names}, of roots that are no folders
        for flag, root in self.roots().items():
            if is_beyond(root):
                self.shards[flag] = self._opened(root, flag)
            elif not Path(root).exists():
                hint = "give the folder of the data with --dataroot" if root == "placeholder" else "no such folder"
                raise UserError(f"--{flag} {root}: {hint}")
        self.cache = PixelCache(opt.cache_mb if opt.is_train else 0)  # a test reads every file once
        if opt.value_range == "auto" and (not opt.is_train or opt.continue_train):
            self.opt = dataclasses.replace(opt, **kept_range(opt))
        self._settled = False
        self._sides: dict[Path, str] = {}  # the side of each file that was listed, A or B, or both
        self._items: list[tuple[Items, str]] = []  # likewise what is read from shards
        self._bad: dict[Path, int] = {}  # the number of each file that was listed; those of items come after them,
        self._is_bad = torch.zeros(0, dtype=torch.bool)  # and whether it was skipped: memory all workers share

    def roots(self) -> dict[str, str]:
        """{flag: the folder, or file, that it names}: where the data lie."""
        return {"dataroot": self.opt.dataroot}

    def _opened(self, root: str, flag: str) -> Any:
        if not self.beyond:
            raise UserError(
                f"--{flag} {root}: --dataset_mode {self.opt.dataset_mode} reads folders; shards are read by unaligned, "
                "labeled and caption"
            )
        return open_collection(self.opt, root, flag)

    def images(self, folder: Path, side: str = "AB") -> list[Path]:
        """The images below a folder, the first ``--max_dataset_size`` by name; none if there is no such folder.

        Args:
            side: A or B, what the files are of; both where A and B are made of the same file.
        """
        listing = look_into(folder)
        if listing.pictures:  # else the caller says what is wrong with it
            listing.tell()
        return self.take(listing.pictures, side)

    def take(self, files: Any, side: str = "AB") -> Any:
        """The first ``--max_dataset_size`` of these files or items, which are of this side."""
        taken = files[: self.opt.max_dataset_size]
        self.watch(taken, side)
        return taken

    def watch(self, files: Sequence[Path] | Items, side: str = "AB") -> None:
        """Count among these files those that ``--on_bad_image skip`` leaves out."""
        if isinstance(files, Items):
            self._items.append((files, side))
        else:
            for path in files:
                self._sides[path] = side
                self._bad.setdefault(path, len(self._bad))
        count = len(self._bad) + sum(len(items.collection) for items, _ in self._items)
        self._is_bad = torch.zeros(count, dtype=torch.bool).share_memory_()

    def _number(self, path: Path | CollectionItem) -> int:
        """The place of a file, or of an item, among all that are watched."""
        if isinstance(path, Path):
            return self._bad[path]
        first = len(self._bad)
        for items, _ in self._items:
            if items.collection is path.collection:
                return first + path.row
            first += len(items.collection)
        raise KeyError(str(path))

    def watched(self, side: str) -> list[Any]:
        """The files and items of a side, as sequences."""
        files = [path for path, of in self._sides.items() if side in of]
        return [files, *(items for items, of in self._items if side in of)]

    def channels(self, side: str) -> int:
        """Channels of side A or B: ``input_nc`` belongs to the side that is translated."""
        return self.opt.input_nc if (side == "A") == (self.opt.direction == "AtoB") else self.opt.output_nc

    # -- values --------------------------------------------------------------------------------------------------------

    def units(self, side: str) -> Units | None:
        """What the values in files of side A or B are; None is what their type holds."""
        opt = self.settle() if self.opt.value_range == "auto" else self.opt
        return units_of({"value_range": opt.value_range, "value_type": opt.value_type}, side)

    def settle(self) -> Any:
        """Reads some pictures: for the ``auto`` of --value_range, and to say where they do not suit their range."""
        opt, seen = self.opt, {}
        auto = opt.value_range == "auto"
        if self._settled:
            return opt
        for side in "AB":
            files = max(self.watched(side), key=len)
            files = deep(files) if opt.value_range is None else files
            read, reject = partial(self.values_of, side=side), self.reject if opt.is_train else skip
            found = look(files, AUTO if auto else LOOKED, read, reject)
            if found is not None:
                seen[side] = found
        lines = [other_range(opt)]
        if opt.value_range is not None and opt.value_type == "auto" and seen:
            whole = all(of.whole for of in seen.values())
            opt = dataclasses.replace(opt, value_type="integer" if whole else "float")
        if auto:
            if len(seen) < 2:
                raise UserError("--value_range auto: no picture of A, or none of B, can be read; give lo,hi")
            span, line = ranges(seen)
            opt, lines = dataclasses.replace(opt, value_range=span), [line]
        self.opt, self._settled = opt, True
        way_out = "; --value_range auto, or lo,hi, says what is black and white" if opt.is_train else ""
        lines += [of.remark(f"pictures of {side}", self.units(side), way_out) for side, of in seen.items()]
        if distributed.rank() == 0:
            for line in filter(None, lines):
                print(line, file=sys.stderr)
        return opt

    def values_of(self, path: Any, side: str) -> tuple[np.ndarray, Units | None]:
        """The values in a file that are of this side, and what they are in by their type."""
        return read_values(path, self.channels(side))

    # -- pixels --------------------------------------------------------------------------------------------------------

    def read(self, path: Path | CollectionItem, channels: int, rng: random.Random, side: str = "A") -> torch.Tensor:
        """One image of this side, scaled, cropped and flipped: float (C, H, W) in [-1, 1]."""
        return self.prepare_side(self.pixels(path, channels, scaled=True, side=side), rng, side)

    def pixels(self, path: Path | CollectionItem, channels: int, scaled: bool = False, side: str = "A") -> np.ndarray:
        """One image as its file has it: (H, W, C), bytes or floats in [-1, 1].

        It is decoded once, and kept. With ``scaled`` it has gone through those steps that draw nothing, and is kept
        so; to ``prepare`` it makes no difference.
        """
        units = self.units(side)
        size = self.load_size if scaled and self.steps & SCALING else 0

        def decode() -> np.ndarray:
            try:
                pixels = read_pixels(path, channels, units)
            except UserError as error:
                self.reject(path, error)
            return scale(pixels, self.steps, size) if size else pixels

        return self.cache.get(f"{path} {units or ''}", channels, size, decode)

    @property
    def load_size(self) -> int:
        """``--load_size``; once the learning rate falls, images are loaded at the size of the crop."""
        opt = self.opt
        return opt.crop_size if opt.is_train and self.epoch > self.n_epochs else opt.load_size

    def prepare_side(self, pixels: np.ndarray, rng: random.Random, side: str) -> torch.Tensor:
        """``prepare`` what is of this side, which --label_sides may name."""
        return self.prepare(pixels, rng, exact=True) if side in self.opt.label_sides else self.prepare(pixels, rng)

    def prepare(self, pixels: np.ndarray, rng: random.Random, exact: bool = False) -> torch.Tensor:
        """Scale, crop and flip; in training alter as the flags of augmentation say, labels exactly."""
        opt = self.opt
        pixels = transform(
            pixels,
            self.steps,
            self.load_size,
            opt.crop_size,
            opt.random_scale_max,
            flip=not opt.no_flip,
            rng=rng if opt.is_train else None,
        )
        return to_tensor(self.augment(pixels, rng, exact))

    def save_files(self, folder: Path) -> None:
        """Keep with the run at which scale it sees the pictures of each side."""
        save_scales(folder, {side: self.factors(files) for side, files in self.files_of_sides().items()})

    def files_of_sides(self) -> Mapping[str, Sequence[Any]]:
        """The files of side A and B, as far as they are known; a subclass that knows more says so."""
        sides = getattr(self, "sides", None)
        return dict(sides) if isinstance(sides, dict) and sides.keys() <= {"A", "B"} else {}

    def factors(self, files: Sequence[Any]) -> Iterator[float]:
        """What ``--preprocess`` multiplies the sides of some of these files by; those that cannot be read count not."""
        for path in files[:: -(-len(files) // MEASURED) or 1]:
            with contextlib.suppress(Exception):  # whoever reads it says what is wrong with it
                width, height = self.size_of(path)
                yield factor_of(height, width, self.steps, self.opt.load_size, self.opt.crop_size)

    def size_of(self, path: Any) -> tuple[int, int]:
        """Width and height of a picture."""
        head = read_head(path)
        return head.width, head.height

    def reject(self, path: Path | CollectionItem, error: UserError) -> NoReturn:
        """Stop with this error, or say it once and do without the item."""
        if self.opt.on_bad_image == "error":
            raise UserError(f"{error}; --on_bad_image skip leaves such files out")
        number = self._number(path)
        if not self._is_bad[number]:
            self._is_bad[number] = True
            count = len(self._bad) + sum(len(items) for items, _ in self._items)
            print(f"skipped: {error} ({int(self._is_bad.sum())} of {count} files so far)", file=sys.stderr)
        raise SkipItem(str(path))

    def folder_of(self, phase: str, side: str = "") -> Path:
        """The folder of this phase and side; see :mod:`data.loading.phases`."""
        return phase_folder(self.root, phase, side)

    def of_phase(self, phase: str, side: str) -> Any:
        """The pictures of a phase and a side: of ``<dataroot>/<phase><side>``, or so called in shards."""
        if (shards := self.shards.get("dataroot")) is not None:
            return self.take(marks.of_phase(shards, phase, side), side)
        return self.images(self.folder_of(phase, side), side)

    def has_val(self) -> bool:
        if (shards := self.shards.get("dataroot")) is not None:
            own = self.split_of("test", self.val_sides) != "val"
            return own and any(marks.of_phase(shards, "val", side) for side in self.val_sides)
        own = bool(self.val_sides) and self.split_of("test", self.val_sides) != "val"  # else the test reads them
        return own and any(look_into(self.folder_of("val", side)).pictures for side in self.val_sides)

    def split_of(self, phase: str, sides: Sequence[str] = ("A", "B")) -> str:
        """The phase whose folders are read: a test without testA and testB reads valA and valB."""
        if (shards := self.shards.get("dataroot")) is not None:
            there = {name for name in ("test", "val") if any(marks.of_phase(shards, name, side) for side in sides)}
            return "val" if standard(phase) == "test" and there == {"val"} else phase
        return read_for(self.root, phase, sides)

    def found(self) -> str:
        """What lies in --dataroot, in a few words, for messages."""
        if (shards := self.shards.get("dataroot")) is not None:
            return marks.found(shards)
        if not self.root.is_dir():
            return "it is a file"
        entries = sorted(p for p in self.root.iterdir() if not p.name.startswith("."))
        inside = {p: look_into(p) for p in entries[:6] if p.is_dir()}
        words = [f"{p.name}/ ({_number(len(inside[p].pictures))})" if p in inside else p.name for p in entries[:6]]
        more = f" and {len(entries) - 6} more" * (len(entries) > 6)
        whole = look_into(self.root)
        useless = [listing for listing in inside.values() if not listing.pictures] if whole.pictures else [whole]
        unread = next(filter(None, (listing.unread(before="; ") for listing in useless)), "")
        return f"found {', '.join(words)}{more}{unread}" if entries else "it is empty"


def _number(images: int) -> str:
    return f"{images or 'no'} image{'s' * (images != 1)}"
