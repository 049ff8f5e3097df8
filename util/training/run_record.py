"""``run.json``: how far a run has come, how it ended, and what it took."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch

from options import Exit, UserError
from util.claim import Lost
from util.cli import reason, warn
from util.files import as_json, json_or_empty
from util.stopwatch import peak_memory
from util.writing import write_atomically

FILE = "run.json"
WRITE_EVERY = 15.0  # seconds between two writes
WARM_UP = 5  # steps that a pace leaves out: libraries choose their kernels, loading workers start


def read_record(run: Path) -> dict[str, Any]:
    """What ``run.json`` says; empty where there is none that can be read."""
    return json_or_empty(run / FILE)


def has_own_clock(device: str | None, threads: int | None, workers: int | None) -> bool:
    """Whether the processor seconds of a run's process are those of its steps, whatever else the machine is at.

    They are where one thread of a processor computes, and no workers read what it computes with.
    """
    return device == "cpu" and threads == 1 and workers == 0


class RunRecord:
    """Keeps ``<run>/run.json`` up to date. As a context manager it says in the end how the run ended.

    =================== =================================================================================
    state               running (or killed meanwhile), finished, stopped by a signal, failed
    steps, total_steps  optimizer steps that are done, and of the whole run
    images              seen, by all processes
    seconds             of training, over all parts of the run, without evaluations and without what was lost with a
                        part that was killed
    evaluation_seconds  of evaluations
    seconds_per_step    the mean over the steps of this part of the run, from its first line of losses after five steps
                        to its last; over all of its steps where it has no two
    cpu_per_step        likewise, in processor seconds of this process
    peak_memory         bytes, without what evaluations took; of the device on CUDA, else of the process
    parameters          {network: how many numbers it learns}
    error               why it failed, in a line
    best                {metric, value, step} of the best evaluation
    =================== =================================================================================

    Args:
        run: the folder; None in every process but the main one, where nothing is written.
        model, engine: the run, at the step from which it goes on.
        total_steps: of the whole run.
        evaluations: evaluation.records.Evaluations of the run, those of its earlier parts among them.
    """

    def __init__(self, run: Path | None, model: Any, engine: Any, total_steps: int, evaluations: Any = None):
        self._run, self._engine = run, engine
        earlier = read_record(run) if run is not None and engine.progress.step else {}
        before, done = int(earlier.get("steps") or 0), engine.progress.step
        part = min(1.0, done / before) if before else 1.0  # steps that were lost are made, and counted, again
        self._seconds = part * float(earlier.get("seconds") or 0.0)
        self._evaluation_seconds = 0.0 if evaluations is None else evaluations.seconds
        self._peak, self._ceiling = int(earlier.get("peak_memory") or 0), 0
        self._state = "running"
        self._error: str | None = None
        self._start, self._first = time.monotonic(), done
        self._cpu_start = time.process_time()
        # Seconds, those of the processor, and step: where a pace begins, and at the last line of losses.
        self._warm = self._told = (0.0, 0.0, done)
        self._written = float("-inf")
        self._fixed = {
            "parameters": {n: sum(p.numel() for p in net.parameters()) for n, net in model.networks.items()},
            "device": _name_of(engine.device),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "total_steps": total_steps,
        }
        self.best: dict[str, Any] | None = None if evaluations is None else evaluations.summary

    def tell(self) -> None:
        """A line of losses was printed, for which the device was waited for: take the time."""
        self._told = (self.training_seconds(), time.process_time() - self._cpu_start, self._engine.progress.step)
        if self._warm[2] == self._first and self._told[2] >= self._first + WARM_UP:
            self._warm = self._told
        self._measure()
        if time.monotonic() - self._written >= WRITE_EVERY:
            self.write()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """What happens inside is no training: neither its time nor its memory."""
        self._measure()
        start, cpu_start = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self._start += spent
            self._cpu_start += time.process_time() - cpu_start
            self._evaluation_seconds += spent
            if self._engine.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self._engine.device)
            else:
                self._ceiling = peak_memory(self._engine.device)  # of a process it never falls again

    def finish(self) -> None:
        """The run reached its end; to be called before it is left."""
        self._state = "finished"

    def write(self) -> None:
        """Replace the file; where that fails, training goes on without it."""
        if self._run is None:
            return
        self._written = time.monotonic()
        progress, training = self._engine.progress, self.training_seconds()
        wall, cpu = self._per_step()
        values = {
            "state": self._state,
            "steps": progress.step,
            "images": progress.images,
            "seconds": round(training, 3),
            "evaluation_seconds": round(self._evaluation_seconds, 3),
            "seconds_per_step": wall,
            "cpu_per_step": cpu,
            "peak_memory": self._peak,
            **self._fixed,
            "error": self._error,
            "best": self.best,
        }
        try:
            self._run.stat()  # a folder that was removed is not made anew
            write_atomically(self._run / FILE, as_json(values, indent=1) + "\n")
        except OSError as error:
            warn(f"cannot write {self._run / FILE} ({reason(error)}); training goes on without it")
            self._run = None

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Lost):
            return
        if isinstance(error, UserError):  # a disk that is full is no failure of the run, which goes on once it is not
            self._state, self._error = "stopped" if error.code == Exit.STORAGE else "failed", str(error)
        elif isinstance(error, Exception):
            self._state, self._error = "failed", reason(error)
        elif self._state != "finished" or error is not None:
            self._state = "stopped"
        self._measure()
        self.write()

    def training_seconds(self) -> float:
        """Over all parts of the run, without evaluations."""
        return self._seconds + time.monotonic() - self._start

    def _per_step(self) -> tuple[float | None, float | None]:
        """Seconds by the clock, and of the processor."""
        (wall, cpu, step), (wall_end, cpu_end, end) = self._warm, self._told
        if step == self._first or end == step:  # no line of losses after the warm-up, or no two
            wall, cpu, step = self._seconds, 0.0, self._first
            wall_end, cpu_end = self.training_seconds(), time.process_time() - self._cpu_start
            end = self._engine.progress.step
        return ((wall_end - wall) / (end - step), (cpu_end - cpu) / (end - step)) if end > step else (None, None)

    def _measure(self) -> None:
        peak = peak_memory(self._engine.device)
        if peak > self._ceiling:
            self._peak = max(self._peak, peak)


def _name_of(device: torch.device) -> str:
    return f"{device}: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)
