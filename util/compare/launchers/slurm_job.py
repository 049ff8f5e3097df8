"""A job of Slurm, as it is seen from here: Slurm says whether it is there yet, and its node, in a file, its exit code.

It outlives the compare.py that submitted it, and is found again by its note.
"""

import re
import shutil
import subprocess
import time
from pathlib import Path

from options import Exit, UserError
from util.compare.launchers.base import Job
from util.files import json_or_empty

ID = re.compile(r"\d+(_\d+)?")
LOOK = 5.0  # seconds between two questions to Slurm
LATE = 60.0  # seconds after the end of a job in which its answer may reach this machine's view of the disk


def answer_of(note: Path) -> Path:
    """Where the node says the exit code."""
    return note.with_suffix("").with_suffix(".code.json")


class SlurmJob(Job):
    def __init__(self, number: str, note: Path):
        self.number, self.note, self.answer = number, note, answer_of(note)
        self.state, self.node, self.asked, self.gone = "PENDING", "", 0.0, 0.0

    @property
    def where(self) -> str:
        return f"job {self.number}, {self.state.lower()}{f' on {self.node}' * bool(self.node)}"

    def code(self) -> int | None:
        """A run that was stopped has ended only once its job has: Slurm may have it begin again by itself."""
        if time.monotonic() - self.asked >= LOOK:
            self.asked = time.monotonic()
            self._ask()
        said = json_or_empty(self.answer)
        code = said.get("code") if said.get("job") == self.number else None
        if not isinstance(code, int) and self.gone and time.monotonic() - self.gone >= LATE:
            code = -9
        if not isinstance(code, int) or (code == Exit.STOPPED and not self.gone):
            return None
        self.answer.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        return code

    def _ask(self) -> None:
        words = ["squeue", "--noheader", "--array", "--format=%T %N", f"--jobs={self.number}"]
        asked = subprocess.run(words, capture_output=True, text=True)
        if asked.returncode and "Invalid job id" not in asked.stderr:
            return  # Slurm does not answer just now
        self.state, _, self.node = asked.stdout.strip().partition(" ")
        self.gone = 0.0 if self.state else self.gone or time.monotonic()

    def stop(self) -> None:
        """Slurm's SIGTERM, half a minute before it kills."""
        subprocess.run(["scancel", self.number], capture_output=True)

    kill = stop

    @classmethod
    def of(cls, note: Path) -> "SlurmJob":
        """The job of a note that an earlier compare.py left; nothing in it but a number reaches Slurm."""
        number = str(json_or_empty(note).get("id"))
        if not ID.fullmatch(number):
            raise UserError(f"{note}: {number!r} is no job of Slurm; delete the file if none is at the run")
        if shutil.which("squeue") is None:
            raise UserError(
                f"{note}: job {number} of Slurm may be at this run, and there is no squeue here to ask; go on from a "
                "machine of the cluster, or delete the file if it is over"
            )
        return cls(number, note)
