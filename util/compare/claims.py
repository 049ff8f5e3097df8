"""Whose turn it is where several compare.py, or what one that was killed had started, work in one folder."""

import os
from collections.abc import Generator
from pathlib import Path

from util.claim import Claim, Taken, Watch, holder
from util.compare.launchers.base import Command, note_of
from util.compare.runner import Wait, last_line
from util.process import Process, process
from util.training.run_folder import LOCK, TAKEN

Steps = Generator[Command | Wait, int, tuple[Claim, bool]]


def claimed(state: Path, name: str, log: Path) -> Steps:
    """The claim of one piece of work, and whether it was waited for: somebody else may have done it meanwhile.

    What a compare.py that was killed had started goes on, and writes to its log; that is waited for too. So is a job of
    a cluster that one has left there.

    Args:
        state: the folder of claims.
        log: of the work.
    """
    file, waited = claim_of(state, name), False
    watch = Watch(file)
    while True:
        try:
            claim = Claim(file, watch=watch)
        except Taken as taken:
            waited = True
            yield Wait(f"{name}: another compare.py is at it ({taken}); waiting{taken.until}", watch)
            continue
        note = note_of(file)
        if claim.orphan is None and not note.exists():
            return claim, waited
        try:
            if claim.orphan is not None:
                yield of_orphan(name, claim.orphan)
            else:
                what = f"{name}: a job that an earlier compare.py had submitted is at it"
                yield Command(what, Path(), [], log, claim, again=True)
        except GeneratorExit:
            claim.release()
            raise
        return claim, True


def claim_of(state: Path, name: str) -> Path:
    """The claim of a piece of work."""
    return state / f"{name}.lock"


def other_at(state: Path, name: str) -> str:
    """Who is at a piece of work, in words; empty where nobody is but this process."""
    by = holder(claim_of(state, name))
    return "" if by == str(process(os.getpid())) else by


def is_left(state: Path, name: str) -> bool:
    """Whether an earlier compare.py has left a job of a cluster at this work."""
    return note_of(claim_of(state, name)).exists()


def of_orphan(name: str, orphan: Process) -> Wait:
    what = f"{name}: {orphan}, which an earlier compare.py had started, is at it; waiting"
    return Wait(what, lambda: orphan.has_ended)


def trained(run: Path, command: Command) -> Generator[Command | Wait, int, int]:
    """Run train.py; its exit code. Where another process trains the run, wait for that and run it then."""
    watch = Watch(run / LOCK)
    while True:
        if by := holder(run / LOCK, watch):
            yield Wait(f"{run.name}: {TAKEN} ({by}); waiting", watch)
        code = yield command
        if code != 2 or TAKEN not in last_line(command.log):
            return code
        yield Wait(f"{run.name}: {TAKEN}; waiting", watch)
