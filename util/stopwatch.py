"""Seconds per image, without waiting for the device."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm


class Stopwatch:
    """Time between two reports, and how much of it went by waiting for data."""

    def __init__(self) -> None:
        self.start, self.waited = time.monotonic(), 0.0

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

    def __init__(self, total: int):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.told = self.start
        self.bar = tqdm(total=total, unit="row", disable=None)

    def step(self) -> None:
        self.done += 1
        self.bar.update()
        now = time.monotonic()
        if self.done == self.total:
            self.bar.close()
        elif self.bar.disable and now - self.told > 30:
            self.told = now
            left = (now - self.start) / self.done * (self.total - self.done)
            print(f"{self.done} of {self.total} rows, {left:.0f} s left")
