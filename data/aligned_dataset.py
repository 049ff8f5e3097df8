"""Pairs of images: A and B side by side in one file, or files of the same name in two folders."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from options import UserError, option
from util import distributed
from util.listing import look_into
from util.reading import frames
from util.values import Units

from .image_folder import FolderDataset
from .loading.transforms import scaled

Item = dict[str, Path]  # side -> file; without a partner it has one side
KEEP = "; --unpaired keep trains on them"


class AlignedDataset(FolderDataset):
    """Either ``<dataroot>/<phase>/`` holds files with A on the left and B on the right, or ``<phase>A/`` and
    ``<phase>B/`` hold files of the same names (the extension may differ). A pair is cropped and flipped alike.

    A file without a partner, of the other name or beside files with both sides, is left out of training. With
    ``--unpaired keep`` it is an item with a file of the other side, any, drawn anew in every epoch. Outside training
    it is an item of one side.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(FolderDataset.Options):
        section = "pairs"
        unpaired: Literal["drop", "keep"] = option(
            "drop",
            "files without a partner: not trained on, or trained on with any file of the other side and without "
            "the terms that compare with a target",
        )

    paired = True
    val_sides = ("", "A", "B")

    def __init__(self, opt: Any):
        super().__init__(opt)
        phase = self.split_of(opt.phase, ("", "A", "B"))
        self.whole = self.images(self.folder_of(phase))  # with both sides in each file
        self._halved = frozenset(self.whole)
        pairs, lonely = self._beside(phase) if self.whole else self._partners(phase)
        self.items = [*pairs, *lonely][: opt.max_dataset_size]
        self.files = self.files_of_sides()
        for side in "AB":
            self.watch([path for path in self.files[side] if path not in self._halved], side)
        if opt.is_train and opt.unpaired == "keep":
            self.unpaired = range(len(pairs), len(self.items))
            A, B = (sum(side in item for item in self.items[len(pairs) :]) for side in "AB")
            distributed.say_once(f"pairs {len(self.items) - A - B}; A without partner {A}, B without {B}: trained on")

    # -- which files ---------------------------------------------------------------------------------------------------

    def _partners(self, phase: str) -> tuple[list[Item], list[Item]]:
        """Pairs and files without a partner, of two folders."""
        opt = self.opt
        sides = {side: _by_name(self._listed(phase, side), self.folder_of(phase, side)) for side in "AB"}
        both = sorted(sides["A"].keys() & sides["B"].keys())
        names = sorted(sides["A"].keys() ^ sides["B"].keys())
        pairs = [{side: sides[side][name] for side in "AB"} for name in both]
        lonely = [{side: sides[side][name]} for name in names for side in "AB" if name in sides[side]]
        used = not opt.is_train or opt.unpaired == "keep"
        if not pairs and (opt.is_train or not lonely):
            expected = (
                f"{phase}/ with A and B side by side in each file, or {phase}A/ and {phase}B/ "
                "with files of the same names"
            )
            hint = "; for unpaired images use --dataset_mode unaligned" if lonely else ""
            raise UserError(f"--dataroot {opt.dataroot}: expected {expected}, but {self.found()}{hint}")
        if lonely and not (opt.is_train and used):
            fate = "have one side only" if used else "are left out"
            first = ", ".join(names[:5]) + ", ..." * (len(names) > 5) + KEEP * (not used)
            distributed.say_once(f"{len(lonely)} files of {phase}A and {phase}B without a partner {fate}: {first}")
        return pairs, self._in_turn(lonely) if used else []

    def _beside(self, phase: str) -> tuple[list[Item], list[Item]]:
        """Files with both sides, and the files of folders beside them, none of which has a partner."""
        lonely = [{side: path} for side in "AB" for path in self._listed(phase, side)]
        used = self.opt.unpaired == "keep"
        if lonely and not used:
            beside = f"{len(lonely)} files of {phase}A and {phase}B, beside the pairs of {phase},"
            distributed.say_once(f"{beside} are left out{KEEP * self.opt.is_train}")
        return [dict.fromkeys("AB", path) for path in self.whole], self._in_turn(lonely) if used else []

    def _listed(self, phase: str, side: str) -> list[Path]:
        return look_into(self.folder_of(phase, side)).tell()

    def _in_turn(self, lonely: list[Item]) -> list[Item]:
        """What can be translated before what cannot: test.py judges by its first batch."""
        return sorted(lonely, key=lambda item: self.opt.direction[0] not in item)

    def files_of_sides(self) -> dict[str, list[Path]]:
        return {side: [item[side] for item in self.items if side in item] for side in "AB"}

    def size_of(self, path: Path) -> tuple[int, int]:
        width, height = super().size_of(path)
        return (width // 2 if path in self._halved else width), height

    # -- items ---------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        files, rng, paired = self.items[index], self.random(index), index not in self.unpaired
        if not paired:
            files = self._with_any(files, index, rng)
        pixels = {side: self._side(files[side], side) for side in "AB" if side in files}
        if paired:
            self._check_sizes(files, pixels)
        item: dict[str, Any] = {f"{side}_paths": str(files[side]) for side in pixels}
        for side, image in pixels.items():  # of a pair with equal generators: the same crop and flip
            item[side] = self.prepare_side(image, self.random(index) if paired else rng, side)
        return item

    def _with_any(self, item: Item, index: int, rng: random.Random) -> Item:
        """A file without a partner, and one of all the files of the other side."""
        (side,) = {"A", "B"} - item.keys()
        files = self.files[side]
        return item | {side: files[index % len(files) if self.opt.serial_batches else rng.randrange(len(files))]}

    def _side(self, path: Path, side: str) -> np.ndarray:
        """The pixels of a file that are of this side."""
        pixels = self.pixels(path, self.channels(side), side=side)
        if path not in self._halved:
            return pixels
        width = pixels.shape[1]
        if width % 2:
            self.reject(path, UserError(f"{path}: {width} pixels wide; A and B side by side need an even width"))
        return _half(pixels, side)

    def values_of(self, path: Path, side: str) -> tuple[np.ndarray, Units | None]:
        array, units = super().values_of(path, side)
        return (_half(array, side) if path in self._halved else array), units

    def _check_sizes(self, paths: Item, pixels: dict[str, np.ndarray]) -> None:
        """Files of a pair may be of several sizes where --preprocess brings them to one."""
        found = {scaled(p.shape[0], p.shape[1], self.steps, self.load_size) for p in pixels.values()}
        if len(found) > 1:
            sizes = {side: f"{p.shape[1]}x{p.shape[0]}" for side, p in pixels.items()}
            what = f"{paths['B']}: {sizes['B']} pixels, but {paths['A']} has {sizes['A']}"
            way_out = f"resize{'_and_crop' * self.opt.is_train} brings both to --load_size"
            self.reject(paths["B"], UserError(f"{what}; a pair must be of one size, or --preprocess {way_out}"))


def _half(pixels: np.ndarray, side: str) -> np.ndarray:
    middle = pixels.shape[1] // 2
    return pixels[:, :middle] if side == "A" else pixels[:, middle:]


def _by_name(files: list[Path], folder: Path) -> dict[str, Path]:
    """{path within the folder, without extension: file}."""
    named: dict[str, Path] = {}
    for path in files:
        name = frames.named(path).relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise UserError(f"{path} and {named[name].name} have the same name; an aligned pair needs one of them")
        named[name] = path
    return named
