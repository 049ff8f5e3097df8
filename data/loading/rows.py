"""What a test reads: the rows of a dataset, and its training images to compare with."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from data import DATASETS
from data.base_dataset import BaseDataset, SkipItem
from data.loading.loader import Loader
from data.loading.phases import standard
from options import UserError
from util.contract import indices_of, length_of
from util.seeding import derive

NUMBER = "row"  # of an item, while it is read


class FirstRows(BaseDataset):
    """The first ``count`` items of a dataset, as it counts them; ``all`` is every item."""

    def __init__(self, dataset: BaseDataset, count: int | str):
        super().__init__(dataset.opt)
        self.dataset, self.none_left = dataset, dataset.none_left
        items = dataset.first_rows(length_of(dataset) if count == "all" else int(count))
        self.items = indices_of(dataset, "first_rows", items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.dataset[self.items[index]]


class Chosen(BaseDataset):
    """Some items of a dataset, by their numbers."""

    def __init__(self, dataset: BaseDataset, items: Sequence[int]):
        super().__init__(dataset.opt)
        self.dataset, self.items = dataset, list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.dataset[self.items[index]]


class Part(BaseDataset):
    """Of the rows of a test every ``world``-th, from ``rank`` on, each with its number."""

    def __init__(self, rows: FirstRows, rank: int, world: int):
        super().__init__(rows.opt)
        self.dataset, self.none_left, self.items = rows.dataset, rows.none_left, rows.items
        self.numbers = range(rank, len(rows), world)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        number = self.numbers[index]
        return {**self.dataset[self.items[number]], NUMBER: number}


class TestSet:
    """Rows of the dataset of test options, in batches on the device.

    Args:
        place: see Loader.

    Raises:
        UserError: there are no such data.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(self, opt: Any, place: Callable[[torch.Tensor], torch.Tensor]):
        self.opt, self.place = opt, place
        self.dataset: BaseDataset = DATASETS.make(opt.dataset_mode, opt.plugin_dir, opt)
        self._loaders: dict[tuple[int, int], Loader] = {}  # of a process among so many

    @property
    def rows(self) -> FirstRows:
        """Those of ``--num_test``."""
        return FirstRows(self.dataset, self.opt.num_test)

    def batches(self) -> Iterator[dict[str, Any]]:
        return self._loader(0, 0, self.rows).epoch()

    def part(self, rank: int, world: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of the batches of one process every ``world``-th, with its number, by which all can be put in order.

        Which rows are a batch of several depends on those before, so they are all read.
        """
        if self.opt.batch_size > 1:
            yield from ((n, batch) for n, batch in enumerate(self.batches()) if n % world == rank)
            return
        rows = Part(self.rows, rank, world)
        if len(rows) == 0 and len(self.rows) > 0:  # fewer rows than processes
            return
        for batch in self._loader(rank, world, rows).epoch():
            number = int(batch.pop(NUMBER)[0])
            yield number, batch

    def _loader(self, rank: int, world: int, rows: BaseDataset) -> Loader:
        if (rank, world) not in self._loaders:
            self._loaders[rank, world] = Loader(rows, self.opt, self.place)
        return self._loaders[rank, world]

    def spread(self, count: int) -> list[dict[str, Any]]:
        """Batches of one row each, on the device, of the side that is translated alone: ``count`` rows, if there are so
        many that can be read, as far apart as they can be, and always the same.
        """
        side, there = self.opt.direction[0], length_of(self.dataset)
        found: list[int] = []
        for index in _far_apart(there, count):
            with contextlib.suppress(SkipItem, UserError):  # of those that can be read
                if len(found) < count and side in self.dataset[index]:
                    found.append(index)
        if not found:
            return []
        loader = Loader(Chosen(self.dataset, sorted(found)), self.opt, self.place)
        return [{key: value for key, value in batch.items() if key not in ("B", "B_paths")} for batch in loader.epoch()]

    def close(self) -> None:
        for loader in self._loaders.values():
            loader.close()

    def training_items(self, side: str, count: int) -> Iterator[dict[str, Any]]:
        """At most ``count`` items of the training half that have this side; none where there is no such half.

        As tests read them, so that nothing is random about them but which they are. Sides are those of the data,
        whatever --direction says.
        """
        if standard(self.opt.phase) == "train":
            return
        try:
            train = type(self.dataset)(dataclasses.replace(self.opt, phase="train"))
        except UserError:
            return
        given = 0
        for index in sorted(range(len(train)), key=lambda index: derive("training items", index)):
            if given == count:
                return
            with contextlib.suppress(SkipItem):
                item = train[index]
                if side in item:
                    given += 1
                    yield dict(item)


def _far_apart(there: int, count: int) -> Iterator[int]:
    """Numbers below ``there``: first as many as wanted, evenly spread, then the others in order."""
    first = dict.fromkeys(index * there // count for index in range(min(count, there)) if there)
    yield from first
    yield from (index for index in range(there) if index not in first)
