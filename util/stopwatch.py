"""Seconds per image, without waiting for the device."""

import collections
import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from tqdm import tqdm

WINDOW = 300.0  # seconds of the past from which the speed is measured


class Stopwatch:
    """Time between two reports, and how much of it went by waiting for data."""

    def __init__(self) -> None:
        self.start, self.waited = time.monotonic(), 0.0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not counted."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.start += time.monotonic() - start

    def watch(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches, with the wait for each counted."""
        asked = time.monotonic()
        for batch in batches:
            self.waited += time.monotonic() - asked
            yield batch
            asked = time.monotonic()

    def per_image(self, images: int) -> tuple[float, float]:
        """Seconds of computing and of waiting per image since the last call."""
        now = time.monotonic()
        total, waited = now - self.start, self.waited
        self.start, self.waited = now, 0.0
        return (total - waited) / max(images, 1), waited / max(images, 1)


class Countdown:
    """Progress of a count that is known: a bar on a terminal, a line with the time left every 30 s elsewhere."""

    def __init__(self, total: int, unit: str = "row"):
        self.total, self.unit, self.done, self.start = total, unit, 0, time.monotonic()
        self.told = self.start
        self.bar = tqdm(total=total, unit=unit, disable=None)

    def step(self, count: int = 1) -> None:
        self.done += count
        self.bar.update(count)
        if self.done == self.total:
            self.bar.close()
        else:
            self._tell(self.done)

    def part(self, fraction: float) -> None:
        """So much of the next one is done."""
        self._tell(self.done + fraction)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def _tell(self, done: float) -> None:
        now = time.monotonic()
        if self.bar.disable and now - self.told > 30 and done > 0:
            self.told = now
            left = (now - self.start) / done * (self.total - done)
            print(f"{done:.3g} of {self.total} {self.unit}s, {left:.0f} s left")


def peak_memory(device: torch.device) -> int:
    """The most bytes this process has held: on a CUDA device there, else in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Speed:
    """Images per second over the last few minutes."""

    def __init__(self, items: int):
        self._samples = collections.deque([(time.monotonic(), items)], maxlen=int(WINDOW))
        self.per_second = 0.0

    def add(self, items: int) -> None:
        now, (start, before) = time.monotonic(), self._samples[0]
        if now > start:
            self.per_second = (items - before) / (now - start)
        if now - self._samples[-1][0] >= 1:
            self._samples.append((now, items))


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 05 min", "2 d 7 h"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
