"""Waiting that ends: for what comes from storage or from other processes, which may never answer."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

from options import Exit, UserError
from util.signals import ASKING

S = TypeVar("S")
T = TypeVar("T")


def patiently(
    start: Callable[[], Iterator[T]], seconds: float, hung: Callable[[], Exception], ahead: int = 0
) -> Iterator[T]:
    """What ``start()`` gives, one item when it is asked for, made by a thread of its own.

    A call that never returns holds that thread alone: whoever waits is free for signals, and gives up. Without
    ``ahead`` the two never run side by side, so numbers are drawn in the order in which one thread would draw them.

    Args:
        seconds: to wait for an item at most; 0 is for ever.
        hung: what is raised after them.
        ahead: items that are made before they are asked for.
    """
    asked: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # they are to wake who waits
        try:
            source = start()
            while asked.get():
                made.put((next(source), None))
        except BaseException as error:  # StopIteration too
            made.put((None, error))

    threading.Thread(target=copy_context().run, args=(work,), name="reader", daemon=True).start()
    for _ in range(ahead):
        asked.put(True)
    try:
        while True:
            asked.put(True)
            try:
                item, error = made.get(timeout=min(seconds, threading.TIMEOUT_MAX) or None)
            except Empty:
                raise hung() from None
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        asked.put(False)


def read_patiently(sources: Sequence[S], read: Callable[[S], T], seconds: float, ahead: int = 0) -> Iterator[T]:
    """What ``read`` makes of each source, such as a file.

    Raises:
        UserError: one did not answer for so many seconds (exit code 5).
    """
    done = 0

    def hung() -> UserError:
        words = f"{sources[done]}: waited {seconds:g} s (--data_timeout) for it; does the storage answer?"
        return UserError(words, Exit.STORAGE)

    for item in patiently(lambda: map(read, sources), seconds, hung, ahead):
        yield item
        done += 1
