"""Pairs of images: A and B side by side in one file, or files of the same name in two folders."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from options import UserError
from util import frames
from util.listing import look_into
from util.values import Units

from .image_folder import FolderDataset


class AlignedDataset(FolderDataset):
    """Either ``<dataroot>/<phase>/`` holds files with A on the left and B on the right, or ``<phase>A/`` and
    ``<phase>B/`` hold files of the same names (the extension may differ). A pair is cropped and flipped alike.

    A file without a partner is left out of training; outside training it is an item of one side.
    """

    paired = True

    def __init__(self, opt: Any):
        super().__init__(opt)
        phase = self.split_of(opt.phase, ("", "A", "B"))
        self.side_by_side = self.images(self.folder_of(phase))
        self.pairs: list[dict[str, Path]] = [] if self.side_by_side else self._partners(phase)

    def _partners(self, phase: str) -> list[dict[str, Path]]:
        opt = self.opt
        sides: dict[str, dict[str, Path]] = {}
        for side in "AB":
            folder = self.folder_of(phase, side)
            sides[side] = _by_name(look_into(folder).tell(), folder)
        both = sides["A"].keys() & sides["B"].keys()
        lonely = sorted(sides["A"].keys() ^ sides["B"].keys())
        names = sorted(both)
        if not opt.is_train:  # pairs first, then what can be translated: test.py judges by its first batch
            names += sorted(lonely, key=lambda name: (name not in sides[opt.direction[0]], name))
        if not names:
            expected = (
                f"{phase}/ with A and B side by side in each file, or {phase}A/ and {phase}B/ "
                "with files of the same names"
            )
            hint = "; for unpaired images use --dataset_mode unaligned" if lonely else ""
            raise UserError(f"--dataroot {opt.dataroot}: expected {expected}, but {self.found()}{hint}")
        if lonely:
            fate = "are left out" if opt.is_train else "have one side only"
            first = ", ".join(lonely[:5]) + ", ..." * (len(lonely) > 5)
            print(f"{len(lonely)} files of {phase}A and {phase}B without a partner {fate}: {first}", file=sys.stderr)
        names = names[: opt.max_dataset_size]
        pairs = [{side: files[name] for side, files in sides.items() if name in files} for name in names]
        for side in "AB":
            self.watch([pair[side] for pair in pairs if side in pair], side)
        return pairs

    def files_of_sides(self) -> dict[str, list[Path]]:
        if self.side_by_side:
            return dict.fromkeys("AB", self.side_by_side)
        return {side: [pair[side] for pair in self.pairs if side in pair] for side in "AB"}

    def size_of(self, path: Path) -> tuple[int, int]:
        width, height = super().size_of(path)
        return (width // 2 if self.side_by_side else width), height

    def __len__(self) -> int:
        return len(self.side_by_side or self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pixels, paths = self._halves(self.side_by_side[index]) if self.side_by_side else self._two(self.pairs[index])
        item: dict[str, Any] = {}
        for side, image in pixels.items():  # equal generators: the same crop and flip
            item |= {side: self.prepare(image, self.random(index)), f"{side}_paths": str(paths[side])}
        return item

    def _halves(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, Path]]:
        left, right = (self.pixels(path, self.channels(side), side=side) for side in "AB")
        width = left.shape[1]
        if width % 2:
            self.reject(path, UserError(f"{path}: {width} pixels wide; A and B side by side need an even width"))
        return {"A": left[:, : width // 2], "B": right[:, width // 2 :]}, {"A": path, "B": path}

    def values_of(self, path: Path, side: str) -> tuple[np.ndarray, Units | None]:
        array, units = super().values_of(path, side)
        middle = array.shape[1] // 2
        whole = {"A": array[:, :middle], "B": array[:, middle:]}
        return whole[side] if self.side_by_side else array, units

    def _two(self, paths: dict[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Path]]:
        pixels = {side: self.pixels(path, self.channels(side), side=side) for side, path in paths.items()}
        sizes = {side: f"{p.shape[1]}x{p.shape[0]}" for side, p in pixels.items()}
        if len(set(sizes.values())) > 1:
            what = f"{paths['B']}: {sizes['B']} pixels, but {paths['A']} has {sizes['A']}"
            self.reject(paths["B"], UserError(f"{what}; an aligned pair must be of one size"))
        return pixels, paths


def _by_name(files: list[Path], folder: Path) -> dict[str, Path]:
    """{path within the folder, without extension: file}."""
    named: dict[str, Path] = {}
    for path in files:
        name = frames.named(path).relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise UserError(f"{path} and {named[name].name} have the same name; an aligned pair needs one of them")
        named[name] = path
    return named
