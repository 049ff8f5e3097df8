"""Scripts run one after another or side by side, with a line of progress; a signal stops them as it does one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from options import Exit
from util.claim import Claim
from util.files import read_text
from util.signals import ASKING, heard
from util.writing import appending

POLL = 0.2  # seconds between two looks at the processes
LOOK = 1.0  # seconds between two looks whether what was waited for is over
TELL = {True: 1.0, False: 30.0}  # seconds between two lines of progress, on a terminal and elsewhere
PASS_ON = 2.0  # seconds before a signal is passed on: whoever sent it to all processes has ended them by then
STOPPED, KILLED = int(Exit.STOPPED), int(Exit.INTERRUPTED)
# Exit codes of a script that a signal ended: none failed. Windows has no SIGKILL.
ENDED = {STOPPED, KILLED, *(-number for number in ASKING), -getattr(signal, "SIGKILL", 9)}


@dataclass(frozen=True)
class Command:
    """One script to run: what it does in words, its file and words, and where its output goes."""

    what: str
    script: Path
    words: list[str]
    log: Path
    claim: Claim | None = None  # which says the process while it runs, for it may outlive this one


@dataclass(frozen=True)
class Wait:
    """Why a task cannot go on, in words, and whether it can by now; others may run meanwhile."""

    what: str
    over: Callable[[], bool]


Task = Generator[Command | Wait, int, int]  # it is sent the exit code of each command, and returns its own


@dataclass
class Active:
    """A task, and the process of the command it waits for."""

    name: str
    task: Task
    command: Command
    process: "subprocess.Popen[bytes]"
    start: float  # of the command, on the monotonic clock
    told: bool = False  # that it should stop


class Runner:
    """Runs tasks, ``jobs`` at a time.

    Signals are seen while :meth:`run` goes on: the first is passed on, after two seconds, to every process that runs
    yet, as SIGTERM, which lets training save its checkpoint, and that is waited for; Ctrl-C after it kills them.

    Attributes:
        signals: how many have come.
        spent: file name of a script -> seconds of each that ended well.
    """

    def __init__(self, jobs: int = 1):
        self.jobs, self.signals = jobs, 0
        self.first = 0.0  # when the first signal came, on the monotonic clock
        self.spent: dict[str, list[float]] = {}
        self.active: list[Active] = []
        self.paused: list[tuple[str, Task, Wait]] = []

    def run(self, tasks: Mapping[str, Task], progress: Callable[[list[str]], str]) -> dict[str, int]:
        """{task: exit code}; 75 where a signal came before it ended.

        Args:
            progress: names of the tasks at work -> a line that says how far everything is.
        """
        waiting, codes, told = deque(tasks.items()), dict.fromkeys(tasks, STOPPED), time.monotonic()
        with self._catching(), self._leaving_nothing():
            looked = 0.0
            while waiting or self.active or self.paused:
                while waiting and len(self.active) < self.jobs and not self.signals:
                    self._go_on(*waiting.popleft(), None, codes)
                if self.signals:
                    waiting.clear()
                    self._stop()
                if time.monotonic() - looked >= LOOK:
                    self._wake(codes)
                    looked = time.monotonic()
                for one in list(self.active):
                    code = one.process.poll()
                    if code is not None:
                        self.active.remove(one)
                        self._ended(one, code, codes)
                now = time.monotonic()
                if self.active and now - told > TELL[sys.stdout.isatty()]:
                    told = now
                    self._tell(progress([one.name for one in self.active]))
                time.sleep(POLL if self.active or self.paused else 0)
        return codes

    def _wake(self, codes: dict[str, int]) -> None:
        """Go on with what has waited long enough, where there is room."""
        for one in list(self.paused):
            name, task, wait = one
            if len(self.active) < self.jobs and wait.over():
                self.paused.remove(one)
                self._go_on(name, task, 0, codes)

    def _go_on(self, name: str, task: Task, code: int | None, codes: dict[str, int]) -> None:
        """Start the next command of a task, which its last one left with this code."""
        try:
            command = next(task) if code is None else task.send(code)
        except StopIteration as end:
            codes[name] = end.value
            return
        say(command.what)
        if isinstance(command, Wait):
            self.paused.append((name, task, command))
            return
        with appending(command.log, command.log.parents[1]) as log:
            os.write(log, f"$ python {command.script.name} {' '.join(command.words)}\n".encode(errors="replace"))
            process = subprocess.Popen(
                [sys.executable, str(command.script), *command.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(self.jobs),
                start_new_session=True,  # a terminal's Ctrl-C comes here alone, and is passed on once
            )
        self.active.append(Active(name, task, command, process, time.monotonic()))
        if command.claim is not None:
            command.claim.note_child(process.pid)

    def _ended(self, one: Active, code: int, codes: dict[str, int]) -> None:
        if one.command.claim is not None:
            one.command.claim.note_child(None)
        if code == 0:
            self.spent.setdefault(one.command.script.name, []).append(time.monotonic() - one.start)
        if self.signals:
            if code == 0:  # it may note what is done, and starts nothing more
                try:
                    one.task.send(code)
                except StopIteration as end:
                    codes[one.name] = end.value
            one.task.close()
        else:
            if code in ENDED:
                how = of(code) if code == -9 else f"stopped: {last_line(one.command.log)}"
                say(f"{one.command.what}: {how}")
            elif code:
                say(f"{one.command.what}: {of(code)}: {last_line(one.command.log)}; all of it: {one.command.log}")
            self._go_on(one.name, one.task, code, codes)

    def _stop(self) -> None:
        for _, task, _ in self.paused:
            task.close()
        self.paused.clear()
        for one in self.active:
            if self.signals > 1:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(one.process.pid, signal.SIGKILL)  # workers that load data too
            elif not one.told and time.monotonic() - self.first >= PASS_ON:
                one.told = True
                one.process.terminate()

    @contextlib.contextmanager
    def _leaving_nothing(self) -> Iterator[None]:
        try:
            yield
        finally:
            for one in self.active:  # only where something went wrong here
                one.process.terminate()

    @contextlib.contextmanager
    def _catching(self) -> Iterator[None]:
        def note(number: int, frame: Any) -> None:
            if self.signals and number != signal.SIGINT:
                return  # a scheduler says it again
            self.signals += 1
            if self.signals == 1:
                self.first = time.monotonic()
                say("a signal: what is running saves its checkpoint and ends; Ctrl-C ends it at once")

        earlier = {number: signal.signal(number, note) for number in heard()}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _tell(self, line: str) -> None:
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="", flush=True)
        else:
            say(line)


def of(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    memory = ", which a system does that has no memory left" * (code == -signal.SIGKILL)
    return f"killed by {signal.Signals(-code).name}{memory}"


def say(line: str) -> None:
    """A line of its own, at once: below is a process that takes minutes."""
    print(f"\r\033[K{line}" if sys.stdout.isatty() else line, flush=True)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(jobs: int) -> int:
    """Of a child: alone it takes the threads it likes, beside others its share of the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if jobs == 1 and told.isdecimal() and int(told) else max(1, cores() // jobs)


def environment(jobs: int) -> dict[str, str]:
    """Of a child."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **shared(jobs)}


def shared(jobs: int) -> dict[str, str]:
    """What the environment of a child beside others says of its share."""
    return {"OMP_NUM_THREADS": str(threads(jobs))} if jobs > 1 else {}


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    return next((line.strip() for line in reversed(read_text(log).splitlines()) if line.strip()), "")
