"""Decoded pictures in memory, so that a file is decoded and scaled once in a run and not once in every epoch."""

import mmap
import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info

from util.seeding import derive

ENTRY = np.dtype([("key", "i8"), ("offset", "i8"), ("shape", "i4", 3), ("type", "i4")])
TYPES = (np.dtype(np.uint8), np.dtype(np.float32))
PER_ENTRY = 4096  # bytes of pictures for which the table has one entry: 32 x 32 x 3 and a little
RESETS, ENTRIES, USED, SIZE = range(4)  # the header's fields


def method_of_workers() -> str:
    """fork, spawn or forkserver; asked so that it stays open where nobody has settled it yet."""
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]


class PixelCache:
    """Arrays by (file, channels, size), in at most so many bytes for a process and all its workers together.

    The memory is one anonymous mapping made before the workers are forked, which needs no room in /dev/shm. It holds
    the pictures one after another and a table of where they lie; each process keeps a dictionary of what it has read
    of that table. When the memory is full the rest is read from the files: every picture is wanted once an epoch, and
    to drop one for another would only drop what is wanted sooner. Pictures scaled to another size replace them all.

    Workers that are started afresh instead of forked share no memory: each has a cache of its own, and its part of
    the budget.
    """

    def __init__(self, megabytes: float):
        self.budget = int(megabytes * 2**20)
        self._map: mmap.mmap | None = None
        if self.budget and method_of_workers() == "fork":
            self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"budget": self.budget}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.budget, self._map = state["budget"], None

    def _open(self) -> None:
        worker = get_worker_info()
        if worker is not None:  # forked workers have a cache already
            self.budget //= worker.num_workers
        table = self.budget // PER_ENTRY * ENTRY.itemsize
        header = 4 * 8
        try:
            self._map = mmap.mmap(-1, header + table + self.budget)
        except (OSError, ValueError, OverflowError) as error:
            print(f"--cache_mb: no memory for a cache of {self.budget >> 20} MiB ({error})", file=sys.stderr)
            self.budget = 0
            return
        memory = np.frombuffer(self._map, np.uint8)
        self._header = memory[:header].view("i8")
        self._table = memory[header : header + table].view(ENTRY)
        self._bytes = memory[header + table :]
        self._lock = multiprocessing.get_context(method_of_workers()).Lock()
        self._known: dict[int, Any] = {}  # what this process has read of the table
        self._resets = 0  # and how often it had been emptied by then

    def get(self, path: str, channels: int, size: int, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of this key; ``make()`` where it is not kept, whose result is kept if there is room.

        Args:
            size: what the array was scaled to, or 0 for the file's own size.
            make: decodes it, as (H, W, C) bytes or float32; whatever it raises is raised.
        """
        if self.budget and self._map is None:
            self._open()
        if not self.budget:
            return make()
        key = derive(path, channels, size)
        found = self._find(key, size)
        if found is None:
            found = make()
            self._keep(key, size, found)
        return found

    def _find(self, key: int, size: int) -> np.ndarray | None:
        with self._lock:
            self._read_table(size)
            entry = self._known.get(key)
        if entry is None:
            return None
        start, shape, kind = entry
        pixels = np.empty(shape, kind)
        pixels.reshape(-1).view(np.uint8)[:] = self._bytes[start : start + pixels.nbytes]
        with self._lock:  # were they replaced while they were copied?
            return pixels if self._header[RESETS] == self._resets else None

    def _keep(self, key: int, size: int, pixels: np.ndarray) -> None:
        if pixels.dtype not in TYPES or pixels.ndim != 3:
            return
        with self._lock:
            self._read_table(size)
            count, start = int(self._header[ENTRIES]), int(self._header[USED])
            if key in self._known or count == len(self._table) or start + pixels.nbytes > len(self._bytes):
                return
            self._bytes[start : start + pixels.nbytes] = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
            self._table[count] = (key, start, pixels.shape, TYPES.index(pixels.dtype))
            self._header[USED], self._header[ENTRIES] = start + pixels.nbytes, count + 1

    def _read_table(self, size: int) -> None:
        """Read what other processes have added; empty the table if it is of another size."""
        header = self._header
        if size and header[SIZE] != size:
            header[:] = (header[RESETS] + 1, 0, 0, size) if header[SIZE] else (*header[:SIZE], size)
        if header[RESETS] != self._resets:
            self._known, self._resets = {}, int(header[RESETS])
        for entry in self._table[len(self._known) : header[ENTRIES]]:
            self._known[int(entry["key"])] = (
                int(entry["offset"]),
                tuple(entry["shape"].tolist()),
                TYPES[entry["type"]],
            )
