"""Signals that ask a process to end, and when they are answered.

A script that has nothing to save ends where it is: ``raising``. Training ends between two steps: ``Signals``.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from options import Exit

# A terminal, a scheduler and its warnings (Slurm, submitit, LSF), a limit of seconds; whichever the system has.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")
ASKING = frozenset(getattr(signal, name) for name in NAMES if hasattr(signal, name))
SAME = 5.0  # seconds in which a second Ctrl-C is the first again: of the terminal, and of the program that started this


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end. Like KeyboardInterrupt it is no Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int = 0):
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"signal {self.number} ({signal.Signals(self.number).name})" if self.number else "a signal"


def heard() -> Iterator[int]:
    """The signals that ask for the end here; nohup has settled that SIGHUP does not."""
    hangup = getattr(signal, "SIGHUP", None)
    yield from (n for n in ASKING if n != hangup or signal.getsignal(n) != signal.SIG_IGN)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Inside, the first signal that asks for the end raises Interrupted; what follows it cannot break what it began.

    Ctrl-C is heard again: whoever cleans up may hang.
    """
    came: list[int] = []

    def answer(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1 or number == signal.SIGINT:
            raise Interrupted(number)

    before = {number: signal.signal(number, answer) for number in heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_in_peace() -> None:
    """The process ends, and its code is settled: a signal that comes late, or again, changes nothing."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)


def end_at_once() -> None:
    """While packages are imported there is nothing to clean up: a signal is one line, and no traceback."""

    def answer(number: int, frame: FrameType | None) -> None:
        os.write(2, f"{Path(sys.argv[0]).name}: interrupted by {Interrupted(number)}\n".encode())
        os._exit(Exit.INTERRUPTED)

    for number in heard():
        signal.signal(number, answer)


class Signals:
    """What has come, for a process that ends when it is ready to; at once where it says so.

    Attributes:
        number: of the first signal; 0 before.
    """

    def __init__(self) -> None:
        self.number, self._when = 0, 0.0
        self._at_once = False
        self._deaf = False
        self._before: dict[int, Any] = {}

    def catch(self) -> None:
        """From here on signals are noted; Ctrl-C once more, over five seconds later, ends what is being done.

        Other signals that follow the first change nothing: schedulers repeat them.
        """
        self._before = {number: signal.signal(number, self._note) for number in heard()}

    def release(self) -> None:
        """Whoever answered before does so again."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def leaving(self, at_once: bool = True) -> Iterator[None]:
        """Inside, a signal raises Interrupted where it finds the process, and so does one that came before."""
        self._at_once = at_once
        try:
            if at_once and self.number:
                raise Interrupted(self.number)
            yield
        finally:
            self._at_once = False

    def answer(self) -> None:
        """Raise Interrupted if a signal came."""
        if self.number:
            raise Interrupted(self.number)

    def ignore(self) -> None:
        """From here on none breaks what is being done: it is the end."""
        self._deaf = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.number != 0 and number == signal.SIGINT and now - self._when > SAME
        if not self.number:
            self.number, self._when = number, now
        if not self._deaf and (self._at_once or again):
            self._at_once = False
            raise Interrupted(self.number)
