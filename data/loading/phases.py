"""Which folder holds the pictures of a phase, whatever capitals it is written in."""

import os
from collections.abc import Sequence
from pathlib import Path

from options import UserError
from util import distributed

WORDS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}
PHASES = tuple(WORDS)


def standard(phase: str) -> str:
    """train, test or val where that is meant, as by Valid; any other phase as it is."""
    return next((meant for meant, words in WORDS.items() if phase.lower() in words), phase)


def phase_folder(root: Path, phase: str, side: str = "") -> Path:
    """The folder below ``root`` of this phase and side; where there is none, that of exactly this name.

    Capitals do not matter, and the ``WORDS`` of a phase are one. Of several that could be meant the one of exactly
    this name is taken, which is said.

    Raises:
        UserError: several could be meant, and none has exactly this name.
    """
    wanted = root / f"{phase}{side}"
    words = WORDS.get(standard(phase), (phase,))
    found = _named_like(root, [f"{word}{side}" for word in words])
    others = [path.name for path in found if path.name != wanted.name]
    if len(others) < len(found):
        if others:
            names = " and ".join(others)
            distributed.say_once(f"{root}: {wanted.name} is read; left out is {names}, which could mean the same")
        return wanted
    if len(found) > 1:
        raise UserError(f"{root}: {' and '.join(others)} could each be {wanted.name}; rename all but one")
    return found[0] if found else wanted


def _named_like(root: Path, names: Sequence[str]) -> list[Path]:
    """Folders below ``root`` that have one of these names but for capitals."""
    lower = {name.lower() for name in names}
    try:
        with os.scandir(root) as entries:
            return [root / name for name in sorted(e.name for e in entries if e.name.lower() in lower and e.is_dir())]
    except OSError:  # there is no such folder: whoever looks into it says so
        return []


def read_for(root: Path, phase: str, sides: Sequence[str] = ("A", "B")) -> str:
    """The phase whose folders are read for this one: a test without testA and testB reads valA and valB."""

    def is_there(name: str) -> bool:
        return any(phase_folder(root, name, side).is_dir() for side in sides)

    return "val" if standard(phase) == "test" and not is_there(phase) and is_there("val") else phase


def phases_in(root: Path) -> dict[str, Path]:
    """The folders below ``root`` that are called as a phase, by its standard name."""
    found = {phase: phase_folder(root, phase) for phase in PHASES}
    return {phase: folder for phase, folder in found.items() if folder.is_dir()}
