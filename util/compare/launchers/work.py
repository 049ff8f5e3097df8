"""A command being carried out: as a process of this machine, or as what travels to a node of a cluster."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from options import Exit
from util.compare.launchers.base import Command
from util.signals import ASKING
from util.writing import appending, write_atomically

ROOT = Path(__file__).resolve().parents[3]  # a node imports this file from here too
POLL = 0.2  # seconds between two looks at the process
FRUITLESS = 3  # limits of time in a row that came before anything was saved
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def begin(command: Command, environment: Mapping[str, str], **more: Any) -> "subprocess.Popen[bytes]":
    """Start the script of a command on this machine, its output at the end of its log."""
    with appending(command.log, command.log.parents[1]) as log:
        os.write(log, f"$ python {command.script.name} {' '.join(command.words)}\n".encode(errors="replace"))
        return subprocess.Popen(
            [sys.executable, str(command.script), *command.words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,  # a terminal's Ctrl-C comes to compare.py alone, and is passed on once
            **more,
        )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process that :func:`begin` started, and the workers that load its data."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Work:
    """A command as it travels to a node, which has this file system; called there, it returns the exit code.

    Args:
        environment: says, on the node, what is added to it.
        answer: a file that then says the exit code.
        job: says, on the node, whose code that is.
    """

    def __init__(
        self,
        command: Command,
        environment: Callable[[], dict[str, str]],
        answer: Path | None = None,
        job: Callable[[], str] = str,
    ):
        script, log = command.script.absolute(), command.log.absolute()
        self.command, self.folder = replace(command, script=script, log=log, claim=None), Path.cwd()
        self.environment, self.job = environment, job
        self.answer = answer and answer.absolute()
        self.fruitless = 0
        self.process: Any = None

    def __call__(self) -> int:
        self.process = begin(self.command, self.environment(), cwd=self.folder, preexec_fn=_ends_with_parent())
        while True:
            try:
                while (code := self.process.poll()) is None:  # no wait(), which nothing interrupts
                    time.sleep(POLL)
            except KeyboardInterrupt:  # how Ray cancels
                self.process.terminate()
            else:
                return self._answered(code)

    def _answered(self, code: int) -> int:
        if self.answer is not None:
            write_atomically(self.answer, json.dumps({"job": self.job(), "code": code}) + "\n")
        return code

    def checkpoint(self) -> Any:
        """What submitit calls at the limit of time, and submits again: the same work, from its checkpoint on.

        It is called by a signal, perhaps while the process is looked at, so that is waited for by its number.
        """
        import submitit

        code = int(Exit.INTERRUPTED)
        if self.process is not None:
            self.process.terminate()
        with contextlib.suppress(ChildProcessError, AttributeError):  # ended, or not begun
            code = os.waitstatus_to_exitcode(os.waitpid(self.process.pid, 0)[1])
        self.fruitless = 0 if code == Exit.STOPPED else self.fruitless + 1
        asked = code in (Exit.STOPPED, Exit.INTERRUPTED) or -code in ASKING  # Slurm warns the process itself too
        if not asked or self.fruitless >= FRUITLESS:
            self._answered(code)
            return None
        if code == Exit.STOPPED and "--overwrite" in self.command.words:  # the earlier run is gone by now
            words = [*(word for word in self.command.words if word != "--overwrite"), "--continue_train", "auto"]
            self.command = replace(self.command, words=words)
        self.process = None
        return submitit.helpers.DelayedSubmission(self)


def _ends_with_parent() -> Callable[[], None] | None:
    """What has a process end, with its checkpoint, when the one that started it is killed: on a node nobody else
    would look after it. Linux alone can."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(DIES_WITH_PARENT, signal.SIGTERM)
