"""Crops of one picture and of one other, trainA and trainB: what a single-image method learns from."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.loading.transforms import resize, transform
from options import UserError, default
from util.images import read_pixels, to_tensor
from util.listing import look_into
from util.seeding import derive

from .image_folder import FolderDataset

CROPS = 100_000  # items of an epoch, the published number
SCALING = ("resize", "scale_width", "scale_shortside", "scale_longside")


class SingleImageDataset(FolderDataset):
    """In training an item is a crop of A with a crop of B; outside training the one item is both pictures, whole.

    The items of a batch are crops of one zoom of each picture, and no two of them overlap as long as the zoomed picture
    has room for them: so the other crops of a batch are negatives of the same scale at other places (the published
    code intends that, but shuffles its items). Batch b is the items from b batch_size on, hence their order is kept;
    the crops are random all the same.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(FolderDataset.Options):
        section = "single image"
        more_steps = ("patch",)
        preprocess: str = default("zoom_and_patch", testing="none")
        serial_batches: bool = default(True)

        def validate(self) -> None:
            if self.is_train and not self.serial_batches:
                raise UserError(
                    "--serial_batches false: the items of a batch belong together in --dataset_mode singleimage, "
                    "where they are random crops in any order; leave the flag out"
                )

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.files = {side: file for side in "AB" if (file := self.only_file(side)) is not None}
        if not self.files:
            raise UserError(
                f"--dataroot {opt.dataroot}: trainA or trainB must hold the picture to be translated, "
                f"but {self.found()}"
            )
        self.pictures = {side: self.picture(side, path) for side, path in self.files.items()}
        self._block: tuple[Any, dict[str, Any]] = (None, {})  # what the batch being read is cut from

    def only_file(self, side: str) -> Path | None:
        """The one image of this side. Outside training it may be absent."""
        listing = look_into(self.folder_of("train", side))
        found = listing.pictures
        if len(found) > 1 or (self.opt.is_train and not found):
            raise UserError(
                f"--dataroot {self.opt.dataroot}: trainA and trainB must hold one image each for --dataset_mode "
                f"singleimage, but {self.found()}" + "; --dataset_mode unaligned takes many" * bool(found)
            )
        if found:
            listing.tell()
        self.watch(found, side)
        return found[0] if found else None

    def picture(self, side: str, path: Path) -> np.ndarray:
        """The whole picture, scaled once for the run if ``--preprocess`` says so."""
        steps = self.steps.intersection(SCALING)
        pixels = read_pixels(path, self.channels(side), self.units(side))
        return transform(pixels, steps, self.opt.load_size, self.opt.crop_size)

    def files_of_sides(self) -> dict[str, list[Path]]:
        return {side: [path] for side, path in self.files.items()}

    def __len__(self) -> int:
        return min(CROPS, self.opt.max_dataset_size or CROPS) if self.opt.is_train else 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = {}
        rng, steps = self.random(index), self.steps.difference(SCALING, ("zoom", "patch"))
        for side, path in self.files.items():
            pixels = self.crop(side, index) if self.opt.is_train else self.pictures[side]
            crop_size, flip = self.opt.crop_size, not self.opt.no_flip
            pixels = transform(pixels, steps, crop_size, crop_size, flip=flip, rng=rng if self.opt.is_train else None)
            item |= {
                side: to_tensor(self.augment(pixels, rng, exact=side in self.opt.label_sides)),
                f"{side}_paths": str(path),
            }
        return item

    def crop(self, side: str, index: int) -> np.ndarray:
        """The crop of this item, or all of the zoomed picture if ``--preprocess`` has no patch."""
        block, number = divmod(index, self.opt.batch_size)
        if self._block[0] != (self.epoch, block):
            self._block = ((self.epoch, block), {})
        cut = self._block[1]
        if side not in cut:
            cut[side] = self.cut(side, random.Random(derive(self.opt.seed, "batch", self.epoch, block, side)))
        pixels, places = cut[side]
        if not places:
            return pixels
        (top, left), size = places[number], self.opt.crop_size
        return pixels[top : top + size, left : left + size]

    def cut(self, side: str, rng: random.Random) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """A batch's zoom of a picture, and the top left corners of its crops."""
        opt, pixels = self.opt, self.pictures[side]
        zoom = [rng.uniform(1 / opt.random_scale_max, 1) if "zoom" in self.steps else 1.0 for _ in range(2)]
        least = opt.crop_size if {"zoom", "patch"} & self.steps else 1
        height, width = (max(round(n * z), least) for n, z in zip(pixels.shape[:2], zoom, strict=True))
        pixels = resize(pixels, height, width, Image.Resampling.BILINEAR)  # as published; the other steps are bicubic
        return pixels, corners(height, width, opt.crop_size, opt.batch_size, rng) if "patch" in self.steps else []


def corners(height: int, width: int, size: int, count: int, rng: random.Random) -> list[tuple[int, int]]:
    """The top left corners of ``count`` cells of a size x size grid laid at random, in random order.

    If there are fewer cells than that, the grid is laid anew: crops may overlap then.
    """
    found: list[tuple[int, int]] = []
    while len(found) < count:
        top, left = rng.randint(0, height % size), rng.randint(0, width % size)
        cells = [(y, x) for y in range(top, height - size + 1, size) for x in range(left, width - size + 1, size)]
        found += rng.sample(cells, len(cells))
    return found[:count]
