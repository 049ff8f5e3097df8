"""Checkpoints of epochs that nobody needs any more: which they are, and how they go."""

import contextlib
import errno
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from options import Exit, UserError
from util.claim import Claim, Taken, holder
from util.commit import Commit
from util.storage import unwritten
from util.training.manifest import SUFFIX, by_age, has_manifest, problem, read_manifest
from util.training.run_folder import LOCK, TAKEN
from util.writing import Folder, refuse_link

EPOCH = re.compile(r"\d{1,9}")
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
BETWEEN = re.compile(r"iter_\d{1,18}")  # of --save_by_iter


@dataclass(frozen=True)
class Pruning:
    """What may go of one run.

    Attributes:
        labels: of checkpoints, the earliest first.
        files: their names; nothing else is touched.
        freed: bytes; files that other checkpoints, or a backup, have under other names are not among them.
        kept: checkpoints that may not go although they are of such epochs, and why not.
    """

    run: Path
    labels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    freed: int = 0
    kept: tuple[str, ...] = ()


def may_go(run: Path, keep_every: int, among: Collection[str] | None = None) -> Pruning:
    """Checkpoints of epochs that ``keep_every`` does not divide, and those between epochs; 0 divides none.

    Only what a manifest names goes, and only where ``latest`` is whole, from which the run goes on and is tested.

    Args:
        among: labels that may go; None are all.

    Raises:
        UserError: nothing may go here: ``latest`` is not whole (exit code 4), or a file is a link (5).
    """
    labels = [name for name in reversed(by_age(run)) if _goes(name, keep_every) and (among is None or name in among)]
    if not labels:
        return Pruning(run)
    wrong = problem(run, "latest", touched=True) if has_manifest(run, "latest") else "there is none"
    if wrong is not None:
        raise UserError(f"{run}: nothing is pruned, for checkpoint latest is not whole: {wrong}", Exit.CHECKPOINT)
    kept, going, files = [], [], []
    for label in labels:
        names = [f"{label}{SUFFIX}", *read_manifest(run, label)["files"]]
        for name in names:
            if Path(name).name == name:
                refuse_link(run / name)
        if foreign := next((name for name in names if not _belongs(name, label)), None):
            kept.append(f"{label} (its manifest names {foreign})")
        elif wrong := problem(run, label, touched=True):
            kept.append(f"{label} ({wrong})")
        else:
            going.append(label)
            files += names
    return Pruning(run, tuple(going), tuple(files), _freed(run, files), tuple(kept))


def prune(planned: Pruning, keep_every: int) -> Pruning:
    """Delete what was planned and may still go, all of it or nothing; what went.

    A disk that is full does not even take the record of that. There checkpoints go one after another, each with its
    manifest last, so that half of one is none.

    Raises:
        UserError: somebody is at the run (exit code 2), the disk does not let it (5), or as ``may_go``.
    """
    run = planned.run
    try:
        with _claimed(run):
            found = may_go(run, keep_every, planned.labels)
            try:
                with Commit(run) as commit:
                    for name in found.files:
                        commit.remove(name)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                with Folder(run) as folder:
                    for name in reversed(found.files):
                        folder.remove(name)
            return found
    except Taken as taken:
        raise UserError(f"{run}: nothing is pruned, {TAKEN} ({taken})") from None
    except OSError as error:
        raise unwritten(run, error) from None


@contextlib.contextmanager
def _claimed(run: Path) -> Iterator[None]:
    """Nobody else is at the run inside. On a disk that is full nobody can begin to be, so none need be there."""
    try:
        claim = Claim(run / LOCK, patient=False)
    except OSError as error:
        if error.errno not in FULL:
            raise
        if by := holder(run / LOCK):
            raise Taken(by) from None
        yield
        return
    with claim:
        yield


def _goes(label: str, keep_every: int) -> bool:
    if EPOCH.fullmatch(label):
        return not keep_every or int(label) % keep_every != 0
    return bool(BETWEEN.fullmatch(label))


def _belongs(name: str, label: str) -> bool:
    """Whether a file is one of this checkpoint by its name: a manifest is a file like others, and may name any."""
    weights = name.startswith(f"{label}_net_") and name.endswith(".pth") and Path(name).name == name
    of_process = re.fullmatch(rf"{re.escape(label)}_process_[0-9]+\.pt", name) is not None
    return weights or of_process or name in (f"{label}_state.pt", f"{label}{SUFFIX}")


def _freed(run: Path, names: list[str]) -> int:
    """Bytes of files all of whose names go."""
    files: dict[tuple[int, int], list[int]] = {}
    for name in names:
        with contextlib.suppress(OSError):
            found = (run / name).stat(follow_symlinks=False)
            files.setdefault((found.st_dev, found.st_ino), [found.st_size, found.st_nlink]).append(1)
    return sum(size for size, links, *here in files.values() if len(here) >= links)
