"""Batches on the device, in an order that is a function of (seed, epoch)."""

import contextlib
import os
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from data.base_dataset import BaseDataset, SkipItem
from data.loading.ahead import SideStream, move, one_ahead
from data.loading.workers import BREAKS, gone, killed, later, start_worker
from options import Exit, UserError
from util import contract
from util.patience import patiently
from util.seeding import derive

ENDING = 2.0  # seconds that workers have to end by themselves
SHOWN = 4  # items in a message


class Loader:
    """Batches of one epoch after another; order and augmentation are functions of (seed, epoch, index).

    Training drops a last partial batch. Outside training every item comes once, in order, and a batch holds
    neighbours of the same keys and shapes, so images of any size can be batched.

    Of paired data with items that are no pairs, a batch of training has ``pairs``, int64, the rows that are pairs, and
    ``pair_weight``: how many, divided by the mean of that number over the batches of the same step, those of other
    processes and those that are accumulated. Weighted so, the mean over batches is the mean over all pairs of the step.

    Where ``place`` leads to a GPU, the next batch is copied there while this one is computed with.

    Items are read by workers, or with --num_threads 0 by a thread, so that a signal finds whoever waits for them. A
    wait longer than --data_timeout ends, and so does one for a worker that was killed.

    Args:
        place: puts a tensor where the networks want it, such as ``engine.place``; on a GPU it is called in another
            stream than the one that computes.
        rank, world: this process and their number; each reads its share of every step's items.

    Raises:
        UserError: no items, or fewer than one step takes.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        opt: Any,
        place: Callable[[torch.Tensor], torch.Tensor] = lambda x: x,
        rank: int = 0,
        world: int = 1,
    ):
        self.dataset, self.opt, self.place, self.rank, self.world = dataset, opt, place, rank, world
        self.written = getattr(dataset, "dataset", dataset)  # the plugin, of which ``dataset`` may be a part
        if contract.length_of(dataset) == 0:
            raise UserError(dataset.none_left)
        self._items = len(self._order(1)) if opt.is_train else len(dataset)  # of an epoch
        if opt.is_train and len(self) == 0:
            raise UserError(
                f"--batch_size {opt.batch_size}: the dataset has only {len(dataset)} items for "
                f"{world} process(es); use a smaller batch or more data"
            )
        self._device = device = place(torch.empty(0)).device
        self._side = SideStream(place, device) if device.type == "cuda" else None
        self._keys: list[Any] = []
        self._pairs_of_steps: list[int] = []
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(opt.num_threads, len(dataset), cores)  # more than there are cores only get in each other's way
        self._loader = DataLoader(
            _Keyed(dataset, self.written),
            opt.batch_size if opt.is_train else None,
            sampler=_Keys(self._keys),
            num_workers=workers,
            pin_memory=self._side is not None,
            persistent_workers=workers > 0,
            worker_init_fn=start_worker,
            generator=torch.Generator(),
            collate_fn=_Collate(self.written) if opt.is_train else None,
            prefetch_factor=4 if workers > 0 else None,
        )

    def close(self) -> None:
        """End the workers, those that hang too. Left alive, they would keep the process from ending."""
        iterator = getattr(self._loader, "_iterator", None)
        if iterator is not None:
            ending = threading.Thread(target=iterator._shutdown_workers, daemon=True)
            ending.start()
            ending.join(ENDING)
            for worker in self._workers:
                with contextlib.suppress(RuntimeError):  # torch may have a handler that says which was killed
                    worker.kill()  # they only read: nothing of theirs is lost
            with contextlib.suppress(RuntimeError):
                ending.join(ENDING)

    @property
    def _workers(self) -> list[Any]:
        return list(getattr(getattr(self._loader, "_iterator", None), "_workers", ()))

    def __len__(self) -> int:
        """Batches of an epoch, for each process."""
        items = self.opt.batch_size * self.world
        return self._items // items if self.opt.is_train else -(-self._items // self.opt.batch_size)

    def _order(self, number: int) -> list[int]:
        """Every item of a training epoch, in its order."""
        if self.opt.serial_batches:
            return list(range(len(self.dataset)))
        order = self.dataset.order(torch.Generator().manual_seed(derive(self.opt.seed, "order", number)))
        return contract.indices_of(self.written, "order", order)

    def epoch(self, number: int = 1, start: int = 0, items: int | None = None) -> Iterator[dict[str, Any]]:
        """Batches of this epoch (1-based) from item ``start`` on, of the first ``items`` items if that is given."""
        order = self._order(number) if self.opt.is_train else list(range(len(self.dataset)))[:items]
        if self.opt.is_train:
            size = self.opt.batch_size
            items = size * self.world
            order = order[start:]
            self._pairs_of_steps = self._pairs_of(order)
            order = [
                i
                for b in range(len(order) // items)
                for i in order[b * items + self.rank * size : b * items + (self.rank + 1) * size]
            ]
        self._keys[:] = [(number, i) for i in order]
        if self._side is not None:
            yield from one_ahead(self._batches(), self._side.start, self._side.finish)
        else:
            yield from (move(batch, self.place) for batch in self._batches())

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Batches in the memory of this process; --direction BtoA swaps the two sides here and nowhere else."""
        other = {"A": "B", "B": "A", "A_paths": "B_paths", "B_paths": "A_paths"}
        for number, batch in enumerate(self._wait() if self.opt.is_train else self._neighbours()):
            if isinstance(batch, UserError):
                raise batch
            if "pairs" in batch:
                batch["pair_weight"] = self._pair_weight(number, len(batch["pairs"]))
            yield batch if self.opt.direction == "AtoB" else {other.get(k, k): v for k, v in batch.items()}

    def _pairs_of(self, order: list[int]) -> list[int]:
        """How many pairs each step of this order has; nothing where the data are all pairs, or none."""
        if not (unpaired := self.dataset.unpaired):
            return []
        items = self.opt.batch_size * self.world * self.opt.accumulate
        return [sum(i not in unpaired for i in order[at : at + items]) for at in range(0, len(order), items)]

    def _pair_weight(self, number: int, pairs: int) -> float:
        """That of a batch of so many pairs. One in place of an unreadable item may be a pair that was not counted."""
        batches = self.world * self.opt.accumulate
        return pairs * batches / max(self._pairs_of_steps[number // self.opt.accumulate], pairs, 1)

    def _wait(self) -> Iterator[Any]:
        """What is read, by a thread of its own or by workers that one starts.

        Raises:
            UserError: a worker was killed, or nothing came for --data_timeout seconds (exit code 5).
        """
        given = 0  # items

        def start() -> Iterator[Any]:
            if self._device.type == "cuda":
                torch.cuda.set_device(self._device)  # of this thread: what is pinned is pinned for it
            try:
                yield from self._read()
            except BREAKS as error:
                worker = gone(self._workers)
                if worker is None:
                    raise
                raise killed(worker.pid, worker.exitcode) from error

        def hung() -> UserError:
            size = self.opt.batch_size if self.opt.is_train else 1
            epoch, items = self._keys[0][0], [str(index) for _, index in self._keys[given : given + size]]
            names = ", ".join(items[:SHOWN]) + ", ..." * (len(items) > SHOWN)
            which = f"item{'s' * (len(items) > 1)} {names}" + f" of epoch {epoch}" * self.opt.is_train
            return UserError(
                f"--dataroot {self.opt.dataroot}: waited {self.opt.data_timeout:g} s (--data_timeout) for {which}; "
                "does the storage answer?",
                code=Exit.STORAGE,
            )

        for read in patiently(start, self.opt.data_timeout, hung):
            yield read
            given += self.opt.batch_size if self.opt.is_train else 1

    def _read(self) -> Iterator[Any]:
        """What the workers make of the keys, in their order; starts the workers where there are none yet.

        Raises:
            UserError: the dataset cannot be sent to workers that do not inherit it (see util.contract.not_sent).
        """
        try:
            with later(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Got pickle error")  # which tells to fork; see below
                return iter(self._loader)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            if self._loader.num_workers and (mistake := contract.not_sent(self.written)):
                raise mistake from error
            raise

    def _neighbours(self) -> Iterator[dict[str, Any]]:
        group: list[dict[str, Any]] = []
        for item in self._wait():
            if isinstance(item, UserError):
                raise item
            if item is None:
                continue
            if group and (len(group) == self.opt.batch_size or _shape(item) != _shape(group[0])):
                yield _together(self.written, group)
                group = []
            group.append(item)
        if group:
            yield _together(self.written, group)


class _Keys:
    """A sampler over a list that the loader refills for each epoch, so that workers live as long as it does."""

    def __init__(self, keys: list[Any]):
        self.keys = keys

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.keys))

    def __len__(self) -> int:
        return len(self.keys)


class _Keyed(Dataset):
    """Reads (epoch, index), so that the epoch reaches workers that were started in an earlier one."""

    def __init__(self, dataset: BaseDataset, written: BaseDataset):
        self.dataset, self.written, self.looked = dataset, written, False

    def __getitem__(self, key: tuple[int, int]) -> Any:
        try:
            return self.read(*key)
        except UserError as error:  # a worker would wrap it in a traceback
            return error

    def read(self, epoch: int, index: int) -> Any:
        self.dataset.epoch = epoch
        if not self.dataset.opt.is_train:
            try:
                return self.checked(self.dataset[index])
            except SkipItem:
                return None
        for step in range(len(self.dataset)):  # an unreadable item is replaced by the next one
            place = (index + step) % len(self.dataset)
            try:
                item = self.checked(self.dataset[place])
            except SkipItem:
                continue
            return {**item, "paired": place not in self.dataset.unpaired} if self.dataset.unpaired else item
        raise UserError("no item of the dataset can be read")

    def checked(self, item: Any) -> Any:
        """The item; the first that this process reads is looked at closely."""
        contract.check_item(self.written, item, closely=not self.looked)
        self.looked = True
        return item


def _shape(item: dict[str, Any]) -> dict[str, Any]:
    return {k: getattr(v, "shape", None) for k, v in item.items()}


def _together(dataset: BaseDataset, items: list[Any]) -> Any:
    """Items as a batch.

    Raises:
        UserError: what the dataset makes are no items that can be one.
    """
    try:
        return default_collate(items)
    except (KeyError, TypeError):
        if mistake := contract.not_a_batch(dataset, items):
            raise mistake from None
        raise


class _Collate:
    """Batches of training; a mistake is handed on as a value, which a worker would wrap in a traceback."""

    def __init__(self, dataset: BaseDataset):
        self.dataset = dataset

    def __call__(self, items: list[Any]) -> Any:
        failed = next((item for item in items if isinstance(item, UserError)), None)
        if failed is not None:
            return failed
        try:
            batch = _collate(self.dataset, items)
        except UserError as error:
            return error
        if isinstance(batch, UserError):
            return batch
        if self.dataset.unpaired:
            batch["pairs"] = batch.pop("paired").nonzero()[:, 0]
        add = self.dataset.add_to_batch
        return batch if add is None else {**batch, **add(batch)}


def _collate(dataset: BaseDataset, items: list[Any]) -> Any:
    try:
        return _together(dataset, items)
    except RuntimeError:
        if mistake := contract.not_a_batch(dataset, [{k: v for k, v in i.items() if not _is_image(v)} for i in items]):
            return mistake
        sizes = sorted(
            {tuple(v.shape[1:]) for item in items for v in item.values() if isinstance(v, torch.Tensor) and v.ndim == 3}
        )
        return UserError(
            "a batch holds images of several sizes ("
            + ", ".join(f"{w}x{h}" for h, w in sizes[:4])
            + "); crop them with --preprocess resize_and_crop, or use --batch_size 1"
        )


def _is_image(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 3
