"""Options and small folders of images for the tests of data/."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data import DATASETS
from options import TestOptions, TrainOptions
from options.parsing import parse


def dataset(mode: str, *argv: Any, train: bool = True) -> Any:
    """The dataset that this command line makes; its options are ``dataset.opt``."""
    words = ["--dataset_mode", mode, "--num_threads", "0", *map(str, argv)]
    opt = parse(TrainOptions if train else TestOptions, {"dataset_mode": DATASETS}, words)
    return DATASETS.find(mode)(opt)


def images(folder: Path, *names: str, size: tuple[int, int] = (40, 30), seed: int = 0) -> None:
    """Write noise of (width, height) under each name."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)


def grey(tensor: Any) -> Any:
    """A float image as whole levels, to be compared exactly."""
    return ((tensor + 1) * 127.5).round().int()
