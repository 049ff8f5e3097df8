"""Runs as tasks of Ray, on a cluster that is there or on one of this machine, which is started for them.

Ray packs them onto nodes by the GPUs and cores that each asks for, and carries out again elsewhere what was lost with a
node; the run goes on from its checkpoint there. Tasks end with the compare.py that started them.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from options import Exit, UserError
from util.compare.launchers.base import Command, Job, Launcher, Settings
from util.compare.launchers.work import ROOT, Work
from util.extras import package

RETRIES = 20  # of a task, each of which lost its node or its worker


class RayJob(Job):
    def __init__(self, ray: Any, task: Any):
        self.ray, self.task = ray, task

    @property
    def where(self) -> str:
        return "ray"

    def code(self) -> int | None:
        if not self.ray.wait([self.task], timeout=0)[0]:
            return None
        try:
            return int(self.ray.get(self.task))
        except self.ray.exceptions.TaskCancelledError:
            return int(Exit.STOPPED)
        except self.ray.exceptions.RayTaskError as error:  # it could not be started on the node, or its log not written
            raise UserError(f"--launcher ray: {str(error).strip().splitlines()[-1]}") from None
        except self.ray.exceptions.RayError:  # the cluster is gone, or lost a node too often
            return -9

    def stop(self) -> None:
        self.ray.cancel(self.task)

    def kill(self) -> None:
        self.ray.cancel(self.task, force=True)


class Ray(Launcher):
    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.ray = package("ray", "ray", Path("--launcher ray"))
        each = settings.gpus_per_run
        if each is not None and each > 1 and each % 1:
            raise UserError(f"--gpus_per_run {each:g}: Ray gives shares of one GPU, such as 0.25, or whole ones")
        self.started = False

    def open(self) -> None:
        if self.started:
            return
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # its statistics are sent to nobody
        address = self.settings.ray
        more: dict[str, Any] = {} if address else {"include_dashboard": False}
        node = {"env_vars": {"PYTHONPATH": str(ROOT)}}
        try:
            self.ray.init(address or "local", runtime_env=node, log_to_driver=False, logging_level="ERROR", **more)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            said = str(error).strip().splitlines()[0]
            raise UserError(f"--ray {address or 'of this machine'}: no cluster answers there ({said})") from None
        self.started = True
        self.threads, self.needs = self._share()

    def _share(self) -> tuple[int, dict[str, float]]:
        """Threads of a run, and what it asks for: as many as are at once fit onto the nodes side by side.

        Raises:
            UserError: no node has such GPUs.
        """
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        if not nodes:
            raise UserError("--launcher ray: the cluster has no node with cores")
        gpus = self.settings.gpus_per_run
        most = max(node.get("GPU", 0) for node in nodes)
        if gpus is None:
            gpus = 1.0 if most else 0.0
        if gpus > most:
            raise UserError(f"--gpus_per_run {gpus:g}: no node of the cluster has more than {most:g} GPUs; use fewer")
        cores = min(node["CPU"] for node in nodes) / math.ceil(self.jobs / len(nodes))
        told = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(told) if self.jobs == 1 and told.isdecimal() and int(told) else max(1, int(cores))
        return threads, {"num_gpus": gpus, "num_cpus": max(1, int(cores)) if cores >= 1 else round(cores, 3)}

    def start(self, commands: Sequence[Command]) -> list[Job]:
        remote = self.ray.remote(max_retries=RETRIES, scheduling_strategy="SPREAD", **self.needs)(_carry_out)
        share: Callable[[], dict[str, str]] = partial(dict, OMP_NUM_THREADS=str(self.threads))
        return [RayJob(self.ray, remote.remote(Work(command, share))) for command in commands]

    def plan(self, lines: Sequence[str]) -> Iterator[str]:
        each, address = self.settings.gpus_per_run, self.settings.ray
        gpus = "a GPU each where nodes have some" if each is None else f"{each:g} GPUs each"
        yield f"# tasks of Ray on {address or 'this machine'}, {self.jobs} at once, {gpus}:"
        yield from lines

    def close(self) -> None:
        if self.started:
            self.ray.shutdown()


def _carry_out(work: Callable[[], int]) -> int:
    return work()
