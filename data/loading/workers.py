"""Data-loading workers: how they start, answer signals, and end."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from data.loading.cache import method_of_workers
from options import Exit, UserError
from util.signals import ASKING

SETTLED = 1.0  # seconds after an error until it is known whether a worker was killed
BREAKS = (RuntimeError, OSError, EOFError)  # in who reads, where a worker is killed: it is noticed, or has not sent all


def killed(process: int, code: int) -> UserError:
    """What is said of a worker that ended with this code; a negative one is a signal."""
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    lacking = {"SIGKILL": "memory", "SIGBUS": "shared memory (/dev/shm)"}.get(name)
    advice = "" if lacking is None else f"; was there no {lacking} left? Use fewer --num_threads"
    return UserError(f"a data-loading worker (process {process}) was killed ({name}){advice}")


def gone(workers: Sequence[Any]) -> Any:
    """One of the workers that was killed, or None; it may take a moment until its code is known."""
    until = time.monotonic() + SETTLED
    while True:
        found = next((worker for worker in workers if worker.exitcode), None)
        if found is not None or not workers or time.monotonic() > until:
            return found
        time.sleep(0.01)


@contextlib.contextmanager
def later() -> Iterator[None]:
    """Inside, a signal waits. Processes that are started inherit that, and are not ended before they are ready.

    Signals reach a whole process group; the main process answers them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    if method_of_workers() != "fork":
        from multiprocessing import resource_tracker  # ready before, since its start ends the waiting (Python 3.11)

        resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(worker: int) -> None:
    """Denormal numbers are slow on a CPU; a worker computes with one thread, and ends when its loader says so."""
    for number in ASKING - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    for name in ("SIGBUS", "SIGSEGV", "SIGFPE"):  # torch's handlers print; the main process says it in its one line
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(60))  # should nobody end it, it ends by itself
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)  # see later()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():  # it was killed while this began: torch would watch who adopted it
        os._exit(Exit.BUG)
