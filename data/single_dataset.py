"""Images of one side only, to be translated."""

from typing import Any

from options import UserError
from util.reading.frames import pages_of

from .image_folder import FolderDataset


class SingleDataset(FolderDataset):
    """Every image of ``<dataroot>/<phase>A`` if there is one, else every image below ``--dataroot``, else that file.

    With ``--direction BtoA`` the images are of side B, for the loader swaps the sides and they must come out as
    the input.
    """

    def __init__(self, opt: Any):
        super().__init__(opt)
        if opt.is_train:
            raise UserError("--dataset_mode single has one side only; train on unaligned or aligned data")
        self.side = "A" if opt.direction == "AtoB" else "B"
        folder = self.folder_of(self.split_of(opt.phase), self.side)
        self.files = pages_of(self.root) if self.root.is_file() else self.images(folder) or self.images(self.root)
        self.watch(self.files, self.side)
        if not self.files:
            raise UserError(f"--dataroot {opt.dataroot}: expected images below it, but {self.found()}")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.files[index]
        image = self.read(path, self.opt.input_nc, self.random(index), self.side)
        return {self.side: image, f"{self.side}_paths": str(path)}
