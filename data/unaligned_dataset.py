"""Two folders of unrelated images, <dataroot>/<phase>A and <dataroot>/<phase>B."""

import random
from pathlib import Path
from typing import Any

from options import UserError
from util.listing import look_into

from .image_folder import FolderDataset


class UnalignedDataset(FolderDataset):
    """In training every item is an A with a random B, and an epoch has as many items as the larger side.

    Outside training nothing is repeated: item i has the i-th A and the i-th B as far as they exist, and one side is
    enough.
    """

    def __init__(self, opt: Any):
        super().__init__(opt)
        phase = self.split_of(opt.phase)
        self.sides: dict[str, list[Path]] = {side: self.images(self.folder_of(phase, side), side) for side in "AB"}
        empty = [f"{phase}{side}" for side, files in self.sides.items() if not files]
        if len(empty) > (0 if opt.is_train else 1):
            need = f"{phase}A and {phase}B" if opt.is_train else f"{phase}A or {phase}B"
            if look_into(self.folder_of(phase)).pictures:
                hint = "; images with both sides in one file are read by --dataset_mode aligned"
            elif not opt.is_train:
                hint = "; images in no such folder are read by --dataset_mode single"
            else:
                hint = ""
            raise UserError(
                f"--dataroot {opt.dataroot}: no images in {' and '.join(empty)}; {need} must hold images, "
                f"but {self.found()}{hint}"
            )

    def __len__(self) -> int:
        return max(len(files) for files in self.sides.values())

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = self.random(index)
        if self.opt.is_train:
            chosen = self.pair(index, rng)
        else:
            chosen = {side: files[index] for side, files in self.sides.items() if index < len(files)}
        item: dict[str, Any] = {}
        for side, path in chosen.items():
            item |= {side: self.read(path, self.channels(side), rng, side), f"{side}_paths": str(path)}
        return item

    def pair(self, index: int, rng: random.Random) -> dict[str, Path]:
        """The A of this index, round and round, and a random B."""
        files_A, files_B = self.sides["A"], self.sides["B"]
        other = index % len(files_B) if self.opt.serial_batches else rng.randrange(len(files_B))
        return {"A": files_A[index % len(files_A)], "B": files_B[other]}
