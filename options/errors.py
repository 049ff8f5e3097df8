"""What a user did wrong, told in one line, and the codes with which scripts end."""

import difflib
import enum
from collections.abc import Iterable
from pathlib import Path

from .shown import shortened, shown

LONGEST = 200  # letters of a name that is compared with others


class Exit(enum.IntEnum):
    """How a script ended: the same codes in every script."""

    DONE = 0
    BUG = 1  # with its traceback; Python's own. compare.py: a run failed, and is named with its line
    DATA = 2  # options or data; a picture or a data-loading worker that is gone too
    NOT_FINITE = 3
    CHECKPOINT = 4  # missing, damaged, or of another architecture
    STORAGE = 5  # full, not writable, or one that does not answer
    MEMORY = 6  # there is none left
    STOPPED = 75  # EX_TEMPFAIL: by a signal or a lost process, with a checkpoint to go on from
    INTERRUPTED = 130  # before anything was trained, or what trains nothing


class UserError(Exception):
    """A mistake in a flag, a file or a folder: one line that names it and the way out.

    The scripts print the message without a traceback and exit with ``code``.
    """

    def __init__(self, message: str, code: int = Exit.DATA):
        super().__init__(shortened(shown(" ".join(message.split()))))
        self.code = code


class UnknownName(UserError, AttributeError):
    """An attribute that is called otherwise here; to hasattr and getattr it is one that is missing."""


def check_there(run: Path) -> None:
    """Raises:
    UserError: there is no such run.
    """
    if not run.is_dir():
        way_out = "check --name and --checkpoints_dir"
        raise UserError(f"no checkpoint: there is no run in {run}; {way_out}", code=Exit.CHECKPOINT)


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """ "; did you mean X?" when something known is spelt like ``name``, else nothing."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1) if len(name) <= LONGEST else []
    return same_but_for_case(name, known, prefix) or (f"; did you mean {prefix}{near[0]}?" if near else "")


def same_but_for_case(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The same, of something known that differs in capitals and dashes alone."""
    near = [word for word in known if word.lower() == name.lower().replace("-", "_")]
    return f"; did you mean {prefix}{near[0]}?" if near else ""
