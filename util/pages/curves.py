"""Losses over epochs as a page draws them, in as many points as it has room for."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from util.files import read_json_lines


class Curves:
    """The losses of a whole run in at most ``limit`` points.

    When they are full, neighbours are averaged and from then on every point is the mean of twice as many
    records. So memory and page stay small however long the run is; every record is in metrics.jsonl.
    """

    def __init__(self, limit: int = 1500):
        self.limit, self.stride = limit, 1
        self._x: list[float] = []
        self._y: dict[str, list[float | None]] = {}
        self._pending: list[tuple[float, Mapping[str, float | None]]] = []

    def add(self, position: float, losses: Mapping[str, float | None]) -> None:
        """One record; None and numbers that are not finite leave a gap."""
        for name in losses:
            self._y.setdefault(name, [None] * len(self._x))
        self._pending.append((position, losses))
        if len(self._pending) < self.stride:
            return
        x, y = self._mean()
        self._pending.clear()
        self._x.append(x)
        for name, values in self._y.items():
            values.append(y[name])
        if len(self._x) == self.limit:
            self._x = [sum(pair) / 2 for pair in zip(self._x[::2], self._x[1::2], strict=True)]
            self._y = {n: [_mean(pair) for pair in zip(v[::2], v[1::2], strict=True)] for n, v in self._y.items()}
            self.stride *= 2

    def points(self) -> tuple[list[float], dict[str, list[float | None]]]:
        """The positions, and for every loss its value at each."""
        if not self._pending:
            return self._x, self._y
        x, y = self._mean()
        return [*self._x, x], {name: [*values, y[name]] for name, values in self._y.items()}

    def _mean(self) -> tuple[float, dict[str, float | None]]:
        x = sum(position for position, _ in self._pending) / len(self._pending)
        return x, {name: _mean([losses.get(name) for _, losses in self._pending]) for name in self._y}


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [v for v in values if v is not None and math.isfinite(v)]
    return sum(finite) / len(finite) if finite else None


def is_rate(name: str) -> bool:
    """Whether a record of metrics.jsonl has a learning rate under this name, and not a loss."""
    return name == "lr" or name.startswith("lr_")


def rates_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The learning rates of a record of metrics.jsonl; runs of earlier versions kept none."""
    return {name: float(value) for name, value in record.items() if is_rate(name)}


def losses_of(record: dict[str, Any]) -> tuple[int, int, float, dict[str, float | None]]:
    """(step, epoch, time, losses) of a record of metrics.jsonl.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    step, epoch, time = int(record["step"]), int(record["epoch"]), float(record.get("time") or 0)
    told = [name for name in record if name not in ("step", "epoch", "time") and not is_rate(name)]
    return step, epoch, time, {name: None if record[name] is None else float(record[name]) for name in told}


def read_curves(path: Path) -> tuple[Curves, float]:
    """The losses of metrics.jsonl, and when the last was written; lines that are cut off are passed over.

    Records count steps. How many make an epoch is inferred: the most that fit all of them.
    """
    records = []
    for record in read_json_lines(path):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            records.append(losses_of(record))
    curves = Curves()
    per_epoch = max((step / epoch for step, epoch, _, _ in records if epoch > 0), default=1.0)
    for step, epoch, _, losses in records:
        curves.add(epoch + min(max(step / max(per_epoch, 1e-9) - (epoch - 1), 0.0), 1.0), losses)
    return curves, records[-1][2] if records else 0.0
