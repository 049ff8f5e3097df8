"""Launchers by name: ``slurm`` is the class Slurm in slurm.py."""

import importlib
from pathlib import Path

from options import UserError
from options.compare_options import LAUNCHERS
from util.compare.launchers.base import Job, Launcher
from util.files import json_or_empty


def launcher(name: str) -> type[Launcher]:
    """The class of launchers/<name>.py."""
    found: type[Launcher] = getattr(importlib.import_module(f"{__name__}.{name}"), name.capitalize())
    return found


def found_again(note: Path) -> Job:
    """The job that a note beside a claim tells of.

    Raises:
        UserError: it tells of none that could be asked for from here.
    """
    name = json_or_empty(note).get("launcher")
    if name not in LAUNCHERS:
        raise UserError(f"{note}: does not say which job is at the run; delete it if none is")
    return launcher(name).find(note)
