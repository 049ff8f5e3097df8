"""What a launcher is: it starts commands somewhere, and says their exit codes; whoever asks knows nothing else of it.

The claim on a run is taken before its command is started, and given back after its code is known: claims.py of
util/compare. A launcher whose jobs outlive this process leaves a note beside the claim, by which the next compare.py
finds them again.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from options import UserError
from util.claim import Claim


@dataclass(frozen=True)
class Command:
    """One script to run: what it does in words, its file and words, and where its output goes.

    Attributes:
        claim: on the piece of work, held while it runs.
        again: it is found again and not started: an earlier compare.py did, as the note beside the claim says.
    """

    what: str
    script: Path
    words: list[str]
    log: Path
    claim: Claim | None = None
    again: bool = False

    @property
    def note(self) -> Path | None:
        return None if self.claim is None else note_of(self.claim.file)


def note_of(claim: Path) -> Path:
    """The file beside a claim that says which job of a cluster is at the work."""
    return claim.with_suffix(".job.json")


class Job(ABC):
    """A command that was started."""

    @property
    @abstractmethod
    def where(self) -> str:
        """What carries it out, in words; empty where there is nothing to tell."""

    @abstractmethod
    def code(self) -> int | None:
        """Its exit code, of a signal minus its number; None while it runs, or waits for its turn."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to save its checkpoint and to end."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, with what it had started."""


@dataclass(frozen=True)
class Settings:
    """What the command line says of where runs go; no recipe does.

    Attributes:
        jobs: runs at once; None is what the launcher has room for, else one.
        slurm: {parameter: value} of a job.
        ray: the address of a cluster.
    """

    jobs: int | None = None
    gpus: tuple[str, ...] = ()
    gpus_per_run: float | None = None
    slurm: Mapping[str, str] = field(default_factory=dict)
    ray: str | None = None


class Launcher(ABC):
    """Starts commands, at most ``jobs`` at once, which its user sees to.

    Raises:
        UserError: settings do not fit, or a package is missing.
    """

    outlives = False  # whether jobs go on without this process: the first signal leaves them where they are

    def __init__(self, settings: Settings):
        self.settings, self.jobs = settings, settings.jobs or 1

    def check(self) -> None:  # noqa: B027
        """See that this machine is one to start from; nothing is written yet.

        Raises:
            UserError: it is none.
        """

    def open(self) -> None:  # noqa: B027
        """Get ready; called before the first start, and perhaps again."""

    @abstractmethod
    def start(self, commands: Sequence[Command]) -> list[Job]:
        """Start commands; those of one call may be submitted together."""

    @abstractmethod
    def plan(self, lines: Sequence[str], runs: int) -> Iterator[str]:
        """What --dry_run prints for commands of so many runs, which it has as lines of a shell."""

    @classmethod
    def find(cls, note: Path) -> Job:
        """The job of such a note, which is this launcher's."""
        raise UserError(f"{note}: {cls.__name__.lower()} leaves no such notes; delete the file if nothing is at it")

    def close(self) -> None:  # noqa: B027
        """Nothing is started any more."""
