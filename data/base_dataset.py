"""What every kind of data has in common."""

import random
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset

from options import BaseOptions, option
from util import contract
from util.seeding import derive


class SkipItem(Exception):
    """Raised by a dataset for an item that cannot be read, when --on_bad_image is skip."""


class BaseDataset(Dataset):
    """Items are dictionaries.

    Images are float tensors (C, H, W) in [-1, 1] under ``A`` and ``B``; the files they came from are strings
    under ``A_paths`` and ``B_paths``. A side that does not exist for an item is absent from its dictionary,
    which only happens outside training.

    A plugin is one file, data/<name>_dataset.py, with one subclass. It writes

        Options              its flags, a frozen dataclass                                   (optional)
        __init__(opt)        find the data, and say clearly what is wrong with them
        __len__()            items per epoch
        __getitem__(index)   one item; whatever is random about it comes from ``self.random(index)``
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        section = "data"
        of_a_family = True
        shapes: ClassVar[tuple[str, ...]] = ("crop_size",)
        crop_size: int = option(256, "height and width of an item, in pixels", least=1, matters=True)
        max_dataset_size: int | None = option(None, "use only so many items, the first by name", least=1, per_run=True)
        serial_batches: bool = option(False, "take items in order instead of shuffled", per_run=True)

    hooks = (
        "__init__",
        "__len__",
        "__getitem__",
        "order",
        "first_rows",
        "settle",
        "save_files",
    )  # what the toolkit calls
    none_left = "the dataset has no items"  # what is said of an empty one
    # What a method wants of its batches of training besides their items: a function of a batch that returns further
    # entries. It is called where the batch is put together, on the CPU and in a worker, so it must be one that can be
    # sent there. A method sets it in see_data().
    add_to_batch: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    paired = False  # whether B of an item is what A should become
    unpaired: Container[int] = ()  # in training: the items of paired data that are no pairs; batches tell their rows
    floors: tuple[str, ...] = (
        "the source, copied",
    )  # of evaluation.metrics.shared.floors: what values are read against

    def __init__(self, opt: Any):
        self.opt = opt
        self.epoch = 1  # 1-based number of the epoch being read; the loader sets it
        # Epochs at the initial learning rate: --n_epochs, or what fits --max_steps, which depends on len(self).
        self.n_epochs: int = getattr(opt, "n_epochs", 0)

    def check_made(self) -> None:
        """Raises:
        UserError: a plugin's constructor forgot that of its base.
        """
        if not hasattr(self, "opt"):
            raise contract.broken(self, "__init__", "does not call super().__init__(opt)")

    @property
    def paired_in_tests(self) -> bool:
        """Whether B of an item is what A should become outside training, where it may be known though unused."""
        return self.paired

    @property
    def where(self) -> str:
        """Where the data lie, in messages."""
        return str(self.opt.dataroot)

    def has_val(self) -> bool:
        """Whether --phase val has pictures of its own, which are not those of the test."""
        return False

    def __len__(self) -> int:
        raise contract.broken(self, "__len__()", "is not written: how many items there are")

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        raise contract.broken(self, "__getitem__(index)", "is not written: one item, a dictionary")

    def order(self, generator: torch.Generator) -> list[int]:
        """The items of one epoch of training in their order; as many whatever the generator.

        The loader cuts batches from it, one process after another, so a dataset decides here what meets in a batch.
        """
        return torch.randperm(len(self), generator=generator).tolist()

    def first_rows(self, count: int) -> list[int]:
        """The items of a test of so many rows; data of several styles give so many of each."""
        return list(range(min(count, len(self))))

    def random(self, index: int) -> random.Random:
        """The random numbers item ``index`` may draw this epoch, the same in every worker and after a resume."""
        return random.Random(derive(self.opt.seed, "item", self.epoch, index))

    def settle(self) -> Any:
        """The options with what the data say in place of ``auto``; a run in training keeps these.

        What of the data does not suit the options is said here, once.
        """
        return self.opt

    def save_files(self, folder: Path) -> None:
        """Keep with the run what a test must know of the training data; ``folder`` is <checkpoints_dir>/<name>."""
