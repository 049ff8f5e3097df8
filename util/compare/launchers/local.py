"""Runs on this machine, each as a process; where --gpus names some, each has its own, or a share of one."""

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from options import UserError
from util.compare.cores import shared
from util.compare.launchers.base import Command, Job, Launcher, Settings
from util.compare.launchers.work import begin, kill

GPU = re.compile(r"0|[1-9][0-9]*|(GPU|MIG)-[\w/-]+", re.ASCII)  # as CUDA_VISIBLE_DEVICES takes them
VISIBLE = "CUDA_VISIBLE_DEVICES"


class LocalJob(Job):
    def __init__(self, command: Command, process: "subprocess.Popen[bytes]", gpus: str, used: Counter[str]):
        self.command, self.process, self.gpus, self.used = command, process, gpus, used

    @property
    def where(self) -> str:
        return f"GPU {self.gpus}" if self.gpus else ""

    def code(self) -> int | None:
        code = self.process.poll()
        if code is not None:
            self.used[self.gpus] -= 1
            if self.command.claim is not None:
                self.command.claim.note_child(None)
        return code

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        kill(self.process)


class Local(Launcher):
    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.places = places(settings)
        if self.places:
            self.jobs = settings.jobs or len(self.places)
        if self.places and self.jobs > len(self.places):
            room = (
                f"{len(self.places)} run{'s' * (len(self.places) > 1)} at once, with --gpus_per_run {share(settings):g}"
            )
            raise UserError(
                f"--jobs {self.jobs}: --gpus {','.join(settings.gpus)} has room for {room}; "
                f"use --jobs {len(self.places)}, more --gpus or a smaller --gpus_per_run"
            )
        self.used: Counter[str] = Counter(dict.fromkeys(self.places, 0))

    def check(self) -> None:
        """Raises:
        UserError: GPUs are asked for that are not here.
        """
        visible = os.environ.get(VISIBLE)
        allowed = None if visible is None else [gpu.strip() for gpu in visible.split(",") if gpu.strip()]
        for gpu in self.settings.gpus:
            if allowed is not None and gpu not in allowed:
                raise UserError(f"--gpus {gpu}: {VISIBLE} is '{visible}', which leaves it out; change one of them")
            if allowed is None and gpu.isdecimal() and int(gpu) >= (count := torch.cuda.device_count()):
                has = f"numbers 0 to {count - 1}" if count > 1 else "number 0 alone" if count else "no GPU"
                raise UserError(f"--gpus {gpu}: there is no such GPU, this machine has {has}; leave it out")

    def start(self, commands: Sequence[Command]) -> list[Job]:
        return [self._start(command) for command in commands]

    def _start(self, command: Command) -> Job:
        gpus = min(self.places, key=self.used.__getitem__, default="")
        process = begin(command, shared(self.jobs) | ({VISIBLE: gpus} if gpus else {}))
        self.used[gpus] += 1
        if command.claim is not None:
            command.claim.note_child(process.pid)  # for it may outlive this process
        return LocalJob(command, process, gpus, self.used)

    def plan(self, lines: Sequence[str], runs: int) -> Iterator[str]:
        for number, line in enumerate(lines):
            place = {VISIBLE: self.places[number % len(self.places)]} if self.places else {}
            words = [f"{name}={shlex.quote(value)} " for name, value in (shared(self.jobs) | place).items()]
            yield f"{''.join(words)}{line}"


def share(settings: Settings) -> float:
    return 1.0 if settings.gpus_per_run is None else settings.gpus_per_run


def places(settings: Settings) -> list[str]:
    """What each run sees, once for each that may be there at once: neighbours where it has several."""
    gpus, each = settings.gpus, share(settings)
    if not gpus:
        if settings.gpus_per_run is not None:
            raise UserError(f"--gpus_per_run {each:g}: of which? name them, such as --gpus 0,1")
        return []
    for gpu in gpus:
        if not GPU.fullmatch(gpu):
            raise UserError(f"--gpus {gpu}: expected numbers of GPUs, such as 0,1, or what nvidia-smi -L calls them")
        if gpus.count(gpu) > 1:
            raise UserError(f"--gpus {','.join(gpus)}: {gpu} is named twice; runs share one by --gpus_per_run 0.5")
    if each <= 0 or (each > 1 and each % 1):
        raise UserError(f"--gpus_per_run {each:g}: expected a share of a GPU, such as 0.25, or a number of whole ones")
    if each > len(gpus):
        raise UserError(f"--gpus_per_run {each:g}: --gpus {','.join(gpus)} are fewer; name more, or use a smaller one")
    if each < 1:
        return [gpu for _ in range(int(1 / each + 1e-9)) for gpu in gpus]
    size = int(each)
    return [",".join(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size)]
