"""An example to copy: an item is an image and its outlines, computed when it is read.

To make a kind of data of your own, copy this file to ``data/<name>_dataset.py`` (or into a folder of your own, given
with ``--plugin_dir``), rename the class to ``<Name>Dataset``, and pass ``--dataset_mode <name>``. Nothing needs to be
registered, and the class need not derive from FolderDataset: BaseDataset is enough for data that are no image files.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from options import UserError, default, option

from .image_folder import FolderDataset


class TemplateDataset(FolderDataset):
    """A is an image below ``<dataroot>/<phase>``, or below ``--dataroot``; B its outlines, dark on white."""

    # Every field becomes a flag, which --help shows with this text and default.
    @dataclass(frozen=True, kw_only=True)
    class Options(FolderDataset.Options):
        section = "template dataset"
        outline_gain: float = option(4.0, "how dark an outline is, per unit of contrast", above=0)
        output_nc: int = default(1)  # an inherited flag, with another default

    # Outside training B is what A should become, so test.py may compare them.
    paired = True

    # How the folder of --phase val is called behind its name, that evaluations while training may read it: val itself.
    val_sides = ("",)

    # Find the data, and say what is wrong with them before training starts.
    def __init__(self, opt: Any):
        super().__init__(opt)
        self.files = self.images(self.folder_of(opt.phase)) or self.images(self.root)
        if not self.files:
            raise UserError(f"--dataroot {opt.dataroot}: expected images below it, but {self.found()}")

    # Items of an epoch; the loader shuffles and batches them.
    def __len__(self) -> int:
        return len(self.files)

    # One item. Both sides get the random numbers of this index, hence the same crop and flip. Nothing may be drawn
    # from any other generator: that is what makes a resumed run equal to an uninterrupted one.
    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.files[index]
        picture = self.pixels(path, self.channels("A"))
        drawing = outlines(self.pixels(path, 1), self.opt.outline_gain).repeat(self.channels("B"), axis=2)
        return {
            "A": self.prepare_side(picture, self.random(index), "A"),
            "B": self.prepare_side(drawing, self.random(index), "B"),
            "A_paths": str(path),
            "B_paths": str(path),
        }


def outlines(grey: np.ndarray, gain: float) -> np.ndarray:
    """The length of the gradient of a grey image (H, W, 1), as floats in [-1, 1] where 1 is none."""
    values = np.pad(grey[..., 0].astype(np.float32), 1, mode="edge") / (255 if grey.dtype == np.uint8 else 2)
    across = (values[1:-1, 2:] - values[1:-1, :-2]) / 2
    down = (values[2:, 1:-1] - values[:-2, 1:-1]) / 2
    return (1 - 2 * gain * np.hypot(across, down)).clip(-1, 1)[..., None]
