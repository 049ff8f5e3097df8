"""Scripts run one after another or side by side, where a launcher starts them; a signal stops them as it does one."""

import contextlib
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from options import Exit
from options.shown import shown
from util.compare.launchers import found_again
from util.compare.launchers.base import Command, Launcher, Settings
from util.compare.launchers.local import Local
from util.files import read_text
from util.signals import ASKING, heard

POLL = 0.2  # seconds between two looks at the processes
LOOK = 1.0  # seconds between two looks whether what was waited for is over
TELL = {True: 1.0, False: 30.0}  # seconds between two lines of progress, on a terminal and elsewhere
LEAVE = 5.0  # seconds after a signal in which Ctrl-C ends jobs that would be left where they are
PASS_ON = 2.0  # seconds before a signal is passed on: whoever sent it to all processes has ended them by then
STOPPED, KILLED = int(Exit.STOPPED), int(Exit.INTERRUPTED)
# Exit codes of a script that a signal ended: none failed. Windows has no SIGKILL.
ENDED = {STOPPED, KILLED, *(-number for number in ASKING), -getattr(signal, "SIGKILL", 9)}
PASSING = "a signal: what is running saves its checkpoint and ends; Ctrl-C ends it at once"
LEAVING = (
    f"a signal: jobs go on without this, and the same command finds them again; Ctrl-C within {LEAVE:.0f} s has them "
    "save their checkpoints and end"
)


@dataclass(frozen=True)
class Wait:
    """Why a task cannot go on, in words, and whether it can by now; others may run meanwhile."""

    what: str
    over: Callable[[], bool]


Task = Generator[Command | Wait, int, int]  # it is sent the exit code of each command, and returns its own


@dataclass
class Active:
    """A task, and the command it waits for; the job of that once it is started."""

    name: str
    task: Task
    command: Command
    job: Any = None
    start: float = field(default_factory=time.monotonic)  # of the command
    told: int = 0  # signals


class Runner:
    """Runs tasks, ``jobs`` at a time.

    Signals are seen while :meth:`run` goes on: the first is passed on, after two seconds, to every process that runs
    yet, as SIGTERM, which lets training save its checkpoint, and that is waited for; Ctrl-C after it kills them. Jobs
    that outlive this process are left where they are by the first, and ended by Ctrl-C within five seconds after it.

    Attributes:
        signals: how many have come.
        spent: file name of a script -> seconds of each that ended well.
    """

    def __init__(self, jobs: int = 1, launcher: Launcher | None = None):
        self.launcher = launcher or Local(Settings(jobs))
        self.jobs, self.signals = self.launcher.jobs, 0
        self.first = 0.0  # when the first signal came, on the monotonic clock
        self.spent: dict[str, list[float]] = {}
        self.active: list[Active] = []  # those at the end may have no job yet
        self.paused: list[tuple[str, Task, Wait]] = []

    def run(self, tasks: Mapping[str, Task], progress: Callable[[list[str]], str]) -> dict[str, int]:
        """{task: exit code}; 75 where a signal came before it ended.

        Args:
            progress: names of the tasks at work -> lines that say how far everything is.

        Raises:
            UserError: the launcher cannot start anything.
        """
        waiting, codes, told = deque(tasks.items()), dict.fromkeys(tasks, STOPPED), time.monotonic()
        if tasks:
            self.launcher.open()  # before signals are caught: some of its packages would catch them
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
                self._start()
                for one in list(self.active):
                    code = one.job.code()
                    if code is not None:
                        self.active.remove(one)
                        self._ended(one, code, codes)
                now = time.monotonic()
                if self.active and now - told > TELL[sys.stdout.isatty()]:
                    told = now
                    tell(progress([one.name for one in self.active]))
                time.sleep(POLL if self.active or self.paused else 0)
        return codes

    def where(self, name: str) -> str:
        """What carries out a task, or what it waits for yet, in words; empty where it does neither."""
        waiting = (wait for task, _, wait in self.paused if task == name and not wait.over())
        waits = next((wait.what.partition(": ")[2] for wait in waiting), "")
        return next((one.job.where for one in self.active if one.name == name and one.job), waits)

    def _wake(self, codes: dict[str, int]) -> None:
        """Go on with what has waited long enough, where there is room."""
        for one in list(self.paused):
            name, task, wait = one
            if len(self.active) < self.jobs and wait.over():
                self.paused.remove(one)
                self._go_on(name, task, 0, codes)

    def _go_on(self, name: str, task: Task, code: int | None, codes: dict[str, int]) -> None:
        """Have the next command of a task, which its last one left with this code, started with others."""
        try:
            command = next(task) if code is None else task.send(code)
        except StopIteration as end:
            codes[name] = end.value
            return
        say(command.what)
        if isinstance(command, Wait):
            self.paused.append((name, task, command))
        else:
            self.active.append(Active(name, task, command))

    def _start(self) -> None:
        """Start what is not started yet, together."""
        new = [one for one in self.active if one.job is None]
        for one in new:
            if one.command.again and one.command.note is not None:
                one.job = found_again(one.command.note)
        fresh = [one for one in new if one.job is None]
        if self.signals:
            for one in fresh:
                self.active.remove(one)
                one.task.close()
        elif fresh:
            for one, job in zip(fresh, self.launcher.start([one.command for one in fresh]), strict=True):
                one.job, one.start = job, time.monotonic()

    def _ended(self, one: Active, code: int, codes: dict[str, int]) -> None:
        if code == 0 and not one.command.again:
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
        since = time.monotonic() - self.first
        if self.launcher.outlives and (self.signals > 2 or (self.signals == 1 and since >= LEAVE)):
            for one in self.active:
                one.task.close()
            self.active.clear()
        for one in self.active:
            if one.job is None or one.told >= min(self.signals, 2):
                continue
            if self.signals > 1:
                one.told = 2
                one.job.kill()
            elif since >= PASS_ON and not self.launcher.outlives:
                one.told = 1
                one.job.stop()

    @contextlib.contextmanager
    def _leaving_nothing(self) -> Iterator[None]:
        try:
            yield
        finally:
            for one in self.active:  # only where something went wrong here
                if one.job is not None and not self.launcher.outlives:
                    one.job.stop()
                one.task.close()
            for _, task, _ in self.paused:
                task.close()
            end_table()

    @contextlib.contextmanager
    def _catching(self) -> Iterator[None]:
        def note(number: int, frame: Any) -> None:
            if self.signals and number != signal.SIGINT:
                return  # a scheduler says it again
            self.signals += 1
            if self.signals == 1:
                self.first = time.monotonic()
                say(LEAVING if self.launcher.outlives else PASSING)

        earlier = {number: signal.signal(number, note) for number in heard()}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def of(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    memory = ", which a system does that has no memory left" * (code == -signal.SIGKILL)
    return f"killed by {signal.Signals(-code).name}{memory}"


def say(line: str) -> None:
    """A line of its own, at once: below is a process that takes minutes. It takes the place of a table."""
    end_table()
    print(line, flush=True)


def tell(text: str) -> None:
    """How far everything is: on a terminal a table that the next takes the place of, elsewhere its first line."""
    lines = text.splitlines() or [""]
    if not sys.stdout.isatty():
        print(lines[0], flush=True)
        return
    columns, rows = shutil.get_terminal_size()
    room = max(2, rows - 2)
    if len(lines) > room:
        lines[room - 1 :] = [f"and {len(lines) - room + 1} more"]
    fits = [shown(line)[: columns - 1] for line in lines]
    _terminal().write("\r\033[J" + "\n".join(fits) + "\r" + f"\033[{len(fits) - 1}A" * (len(fits) > 1))
    _terminal().flush()


def end_table() -> None:
    """What is printed next begins where the table did."""
    if sys.stdout.isatty():
        _terminal().write("\r\033[J")


def _terminal() -> Any:
    """Behind what keeps escapes away from it; these are our own."""
    return getattr(sys.stdout, "stream", sys.stdout)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    return next((line.strip() for line in reversed(read_text(log).splitlines()) if line.strip()), "")
