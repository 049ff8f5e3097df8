"""Runs as jobs of Slurm, in arrays that submitit submits; at their limit of time they save, and go on in a new turn.

What a node does is in work.py, how a job is seen from here in slurm_job.py.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from options import UserError, nearest
from util.compare.launchers.base import Command, Job, Launcher, Settings
from util.compare.launchers.slurm_job import SlurmJob, answer_of
from util.compare.launchers.work import ROOT, Work
from util.extras import package
from util.writing import make_folder, remove_folder, write_atomically

WORDS = ("partition", "account", "qos", "constraint", "gres", "nodelist", "exclude", "comment", "mem")
NUMBERS = ("time", "cpus_per_task", "gpus_per_node", "signal_delay_s")  # minutes, two numbers, seconds
USUAL: dict[str, Any] = {"time": 600}
TURNS = 10_000  # limits of time that a job may reach; launchers/work.py sees to those in which nothing is saved


class Slurm(Launcher):
    outlives = True

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.submitit = package("submitit", "slurm", Path("--launcher slurm"))
        self.parameters = USUAL | dict(_read(*item) for item in settings.slurm.items())
        if (gpus := settings.gpus_per_run) is not None:
            if gpus % 1:
                raise UserError(f"--gpus_per_run {gpus:g}: Slurm gives whole ones; use 1, or --slurm gres=...")
            twice = {n: v for n, v in settings.slurm.items() if n == "gpus_per_node" or (n == "gres" and "gpu" in v)}
            for name, value in twice.items():
                said = f"--gpus_per_run {gpus:g} and --slurm {name}={value}"
                raise UserError(f"{said} both say how many GPUs a job has; give one of them")
            self.parameters["gpus_per_node"] = int(gpus)
        if (delay := self.parameters.get("signal_delay_s", 90)) >= 60 * self.parameters["time"]:
            raise UserError(
                f"--slurm time={self.parameters['time']}: jobs end before the warning {delay} seconds earlier; "
                "give more time, or a smaller signal_delay_s"
            )
        self.folders: dict[Path, list[Path]] = {}  # of submitit -> the notes of its jobs
        self.parameters |= {"job_name": "compare", "setup": [f"export PYTHONPATH={ROOT}"]}

    def check(self) -> None:
        if shutil.which("sbatch") is None or shutil.which("squeue") is None:
            raise UserError("--launcher slurm: there is no sbatch here; start compare.py on a machine of the cluster")

    def start(self, commands: Sequence[Command]) -> list[Job]:
        notes = [note for command in commands if (note := command.note) is not None]  # each has a claim here
        state = notes[0].parent
        folder = state / f"slurm-{secrets.token_hex(6)}"  # fresh: submitit keeps what a node is to do in it
        make_folder(folder, state.parent)
        self.folders[folder] = notes
        executor = self.submitit.SlurmExecutor(folder.absolute(), max_num_timeout=TURNS)
        executor.update_parameters(**self.parameters)
        for note in notes:
            answer_of(note).unlink(missing_ok=True)
        try:
            with executor.batch():
                works = zip(commands, notes, strict=True)
                jobs = [executor.submit(Work(command, _share, answer_of(note), _number)) for command, note in works]
        except self.submitit.core.utils.UncompletedJobError as error:
            self.folders.pop(folder)
            remove_folder(folder, state.parent, ignore_errors=True)
            said = str(error).strip().splitlines()[-1]
            raise UserError(f"--launcher slurm: sbatch refused it ({said}); see --slurm") from None
        for job, note in zip(jobs, notes, strict=True):
            write_atomically(note, json.dumps({"launcher": "slurm", "id": job.job_id}) + "\n", state.parent)
        return [SlurmJob(job.job_id, note) for job, note in zip(jobs, notes, strict=True)]

    def plan(self, lines: Sequence[str], runs: int) -> Iterator[str]:
        count = min(self.jobs, runs)
        text = self.submitit.slurm.slurm._make_sbatch_string("", "-", map_count=count or None, **self.parameters)
        told = (line for line in text.splitlines() if line.startswith("#SBATCH"))
        yield from (line for line in told if not re.match(r"#SBATCH --(output|error|open-mode|wckey)", line))
        yield from lines

    @classmethod
    def find(cls, note: Path) -> Job:
        return SlurmJob.of(note)

    def close(self) -> None:
        for folder, notes in self.folders.items():
            if not any(note.exists() for note in notes):
                remove_folder(folder, folder.parent.parent, ignore_errors=True)


def _number() -> str:
    import submitit

    return str(submitit.JobEnvironment().job_id)


def _share() -> dict[str, str]:
    """Threads as Slurm gave cores, where nobody asked for others."""
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return {"OMP_NUM_THREADS": given} if given and "OMP_NUM_THREADS" not in os.environ else {}


def _read(name: str, text: str) -> tuple[str, Any]:
    """A parameter of --slurm."""
    if name not in (*WORDS, *NUMBERS):
        known = ", ".join((*WORDS, *NUMBERS))
        raise UserError(
            f"--slurm {name}={text}: no parameter {name!r}{nearest(name, (*WORDS, *NUMBERS))}; known: {known}"
        )
    if name in NUMBERS and not (text.isdecimal() and int(text)):
        raise UserError(f"--slurm {name}={text}: expected a whole number{' of minutes' * (name == 'time')} from 1 on")
    if not text.strip() or not text.isprintable():
        raise UserError(f"--slurm {name}={text}: expected a value, such as partition=gpu")
    return name, int(text) if name in NUMBERS else text
