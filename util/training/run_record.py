"""``run.json``: how far a run has come, what became of it, what it took, and what its evaluations and tests say."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch

try:
    import fcntl
except ImportError:  # Windows: a test that ends in the very instant of a write may be forgotten
    fcntl = None  # type: ignore[assignment]

from options import Exit, UserError
from util.claim import Lost, holder
from util.cli import in_words, reason, warn
from util.files import as_json, finite_number, json_or_empty
from util.process import process
from util.stopwatch import peak_memory
from util.training.run_folder import LOCK
from util.writing import write_atomically

FILE = "run.json"
WRITE_EVERY = 15.0  # seconds between two writes, besides those at checkpoints and evaluations
PATIENCE = 0.5  # seconds for another process to have replaced the file
WARM_UP = 5  # steps that a pace leaves out: libraries choose their kernels, loading workers start


def read_record(run: Path) -> dict[str, Any]:
    """What ``run.json`` says; empty where there is none that can be read."""
    return json_or_empty(run / FILE)


def state_of(run: Path, record: Mapping[str, Any]) -> str:
    """What became of a run: ``running`` is who is at it, whatever the record says; ``died``, who left without a word.

    Args:
        record: as it was read before; one that says nothing gives an empty text.
    """
    if holder(run / LOCK):
        return "running"
    state = record.get("state")
    if state == "running":
        state = read_record(run).get("state")  # the end may have come between the two looks
    return "died" if state == "running" else state if isinstance(state, str) else ""


def has_own_clock(device: str | None, threads: int | None, workers: int | None) -> bool:
    """Whether the processor seconds of a run's process are those of its steps, whatever else the machine is at.

    They are where one thread of a processor computes, and no workers read what it computes with.
    """
    return device == "cpu" and threads == 1 and workers == 0


class RunRecord:
    """Keeps ``<run>/run.json`` up to date. As a context manager it says in the end how the run ended.

    =================== =================================================================================
    state               running (or killed meanwhile: see ``state_of``), finished, stopped by a signal, failed
    code                with which train.py ended; null while it runs
    begun, ended        when, in UTC; ``ended`` of the last part of the run, ``updated`` when this was written
    process             {host, pid} of train.py
    page, options       files, from the run's folder; ``page`` is null with --no_html
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
    values              of evaluations while training: name -> {last, best, better}; ``best`` at the step of ``best``
    tests               of test.py: folder of results -> {checkpoint, step, page, values, made}; pages from the run's
                        folder
    =================== =================================================================================

    Args:
        run: the folder; None in every process but the main one, where nothing is written.
        model, engine: the run, at the step from which it goes on.
        total_steps: of the whole run.
        evaluations: evaluation.records.Evaluations of the run, those of its earlier parts among them.
        page: of the run, from its folder; None where it has none.
    """

    def __init__(
        self,
        run: Path | None,
        model: Any,
        engine: Any,
        total_steps: int,
        evaluations: Any = None,
        page: str | None = None,
    ):
        self._run, self._engine = run, engine
        earlier = read_record(run) if run is not None and engine.progress.step else {}
        told = {name: max(0.0, finite_number(earlier.get(name)) or 0.0) for name in ("steps", "seconds", "peak_memory")}
        done = engine.progress.step
        part = min(1.0, done / told["steps"]) if told["steps"] else 1.0  # lost steps are made, and counted, again
        self._seconds = part * told["seconds"]
        self._evaluation_seconds = 0.0 if evaluations is None else evaluations.seconds
        self._peak, self._ceiling = int(told["peak_memory"]), 0
        self._state = "running"
        self._code: int | None = None
        self._ended: str | None = None
        self._error: str | None = None
        self._start, self._first = time.monotonic(), done
        self._cpu_start = time.process_time()
        # Seconds, those of the processor, and step: where a pace begins, and at the last line of losses.
        self._warm = self._told = (0.0, 0.0, done)
        self._written, self._is_there = float("-inf"), bool(earlier)
        own = process(os.getpid())
        self._fixed = {
            "parameters": {n: sum(p.numel() for p in net.parameters()) for n, net in model.networks.items()},
            "device": _name_of(engine.device),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "total_steps": total_steps,
            "begun": earlier.get("begun") or _now(),
            "process": {"host": own.name, "pid": own.pid},
            "page": page,
            "options": "train_opt.yaml",
        }
        self._tests = earlier.get("tests") or {}
        self.best: dict[str, Any] | None = None if evaluations is None else evaluations.summary
        self.values: dict[str, Any] = {} if evaluations is None else evaluations.values

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
            "code": self._code,
            "ended": self._ended,
            "updated": _now(),
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
            "values": self.values,
        }
        try:
            with _alone(self._run):  # a folder that was removed is not made anew
                if self._is_there:
                    self._tests = read_record(self._run).get("tests") or {}  # made meanwhile
                write_atomically(self._run / FILE, as_json(values | {"tests": self._tests}, indent=1) + "\n")
            self._is_there = True
        except OSError as error:
            warn(f"cannot write {self._run / FILE} ({reason(error)}); training goes on without it")
            self._run = None

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Lost):
            return
        self._code = self._code_of(error)
        if isinstance(error, UserError):  # a disk that is full is no failure of the run, which goes on once it is not
            self._state, self._error = "stopped" if error.code == Exit.STORAGE else "failed", str(error)
        elif isinstance(error, Exception):
            self._state, self._error = "failed", reason(error)
        elif self._code != Exit.DONE:
            self._state = "stopped"
        self._ended = _now()
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

    def _code_of(self, error: BaseException | None) -> int:
        """With which the script will end."""
        if isinstance(error, Exception):
            told = in_words(error)
            return Exit.BUG if told is None else told.code
        if error is not None:
            return Exit.INTERRUPTED
        return Exit.DONE if self._state == "finished" else Exit.STOPPED

    def _measure(self) -> None:
        peak = peak_memory(self._engine.device)
        if peak > self._ceiling:
            self._peak = max(self._peak, peak)


def _name_of(device: torch.device) -> str:
    return f"{device}: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


# -- tests -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def noting_test(run: Path, folder: Path) -> Iterator[None]:
    """What test.py writes to a folder of results inside is noted in the record of the run, where it has one."""
    before = _version(folder)
    yield
    if _version(folder) == before or not (run / FILE).is_file():
        return
    metrics, checkpoint = json_or_empty(folder / "metrics.json"), json_or_empty(folder / "checkpoint.json")
    page = folder / "index.html"
    found = {
        "checkpoint": checkpoint.get("checkpoint"),
        "step": checkpoint.get("step"),
        "page": os.path.relpath(page.resolve(), run.resolve()) if page.is_file() else None,
        "values": {n: entry["value"] for n, entry in metrics.items() if isinstance(entry, dict) and "value" in entry},
        "made": _now(),
    }
    try:
        with _alone(run):
            record = read_record(run)
            if not record:  # damaged, or somebody else's: what it says stays as it is
                warn(f"cannot note the test in {run / FILE} (it cannot be read); the results are whole without it")
                return
            earlier = record.get("tests")
            record["tests"] = {**(earlier if isinstance(earlier, dict) else {}), folder.name: found}
            write_atomically(run / FILE, as_json(record, indent=1) + "\n")
    except OSError as error:
        warn(f"cannot note the test in {run / FILE} ({reason(error)}); the results are whole without it")


def _version(folder: Path) -> list[tuple[int, int]]:
    """What tells of the values and the page of a test whether they are the same."""
    files = [folder / name for name in ("metrics.json", "index.html")]
    return [(found.st_ino, found.st_mtime_ns) for path in files if path.is_file() for found in [path.stat()]]


@contextlib.contextmanager
def _alone(run: Path) -> Iterator[None]:
    """One process at a time reads the record and replaces it, wherever the file system has locks for folders.

    Nobody waits for long: a process that hangs must not keep a run from going on.
    """
    if fcntl is None:
        run.stat()
        yield
        return
    end, descriptor = time.monotonic() + PATIENCE, os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < end:
                    time.sleep(0.01)
                    continue
            except OSError:  # a file system without them
                pass
            break
        yield
    finally:
        os.close(descriptor)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
