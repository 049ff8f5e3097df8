"""sbatch, srun, squeue and scancel, as far as a launcher sees them: a job is a process of this machine, at once.

FAKE_SLURM=<folder> PATH=<folder>:... ; the programs are links to this file.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SLURM"])


def sbatch(script):
    text = Path(script).read_text()
    if "--partition=none" in text:
        sys.exit("sbatch: error: invalid partition specified: none")
    with (FOLDER / "submitted").open("a") as told:
        told.write("".join(line + "\n" for line in text.splitlines() if "#SBATCH" in line))
    number = 1 + max([int(path.name.split("_")[0]) for path in FOLDER.glob("*.pid")] or [6])
    count = re.search(r"--array=0-(\d+)", text)
    for task in range(int(count[1]) + 1) if count else [None]:
        name = f"{number}" if task is None else f"{number}_{task}"
        env = {**os.environ, "SLURM_JOB_ID": str(number), "SLURM_CPUS_ON_NODE": "3"}
        env |= {} if task is None else {"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task)}
        with Path(os.devnull).open() as nothing, (FOLDER / f"{name}_out").open("w") as out:
            job = subprocess.Popen(["bash", script], env=env, stdin=nothing, stdout=out, stderr=out)
        (FOLDER / f"{number}_{'x' if task is None else task}.pid").write_text(str(job.pid))
    print("Submitted batch job", number)


def pid_of(name):
    return int((FOLDER / f"{name if '_' in name else name + '_x'}.pid").read_text())


def squeue(*words):
    name = next(word.removeprefix("--jobs=") for word in words if word.startswith("--jobs="))
    try:
        state = Path(f"/proc/{pid_of(name)}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        state = "Z"
    if state != "Z":
        print("RUNNING node1")


def scancel(name):
    """Slurm's reaches every process of the job."""
    told = [pid_of(name)]
    for pid in told:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        told += map(int, children.read_text().split() if children.exists() else [])
    for pid in reversed(told[1:]):
        os.kill(pid, signal.SIGTERM)


def srun(*words):
    command = list(words)
    while command and command[0].startswith("--"):
        del command[: 2 if command[0] in ("--output", "--error") else 1]
    os.execvp(command[0], command)


if __name__ == "__main__":
    {f.__name__: f for f in (sbatch, squeue, scancel, srun)}[Path(sys.argv[0]).name](*sys.argv[1:])
