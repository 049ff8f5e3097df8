"""Runs as tasks of Ray, on a cluster that is there or on one of this machine, which is started for them.

Ray packs them onto nodes by the GPUs and cores that each asks for, and carries out again elsewhere what was lost with a
node; the run goes on from its checkpoint there. Tasks end with the compare.py that started them.
"""

import contextlib
import math
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from options import Exit, UserError
from util.compare.launchers.base import Command, Job, Launcher, Settings
from util.compare.launchers.work import ROOT, Work
from util.extras import package

STOPPED = int(Exit.STOPPED)
RETRIES = 20  # of a task, each of which lost its node or its worker


class RayJob(Job):
    def __init__(self, ray: Any, task: Any):
        self.ray, self.task = ray, task

    @property
    def where(self) -> str:
        return "ray"

    def code(self) -> int | None:
        try:
            if not self.ray.is_initialized():  # a client that has lost its cluster meanwhile
                raise ConnectionError("it does not answer any more")
            return int(self.ray.get(self.task)) if self.ray.wait([self.task], timeout=0)[0] else None
        except self.ray.exceptions.TaskCancelledError:
            return STOPPED
        except self.ray.exceptions.RayTaskError as error:  # it could not be started on the node, or its log not written
            raise UserError(f"--launcher ray: {str(error).strip().splitlines()[-1]}") from None
        except self.ray.exceptions.RayError:  # it lost its node too often
            return -9
        except ConnectionError as error:
            said = f"--launcher ray: the cluster is gone ({error}); the same command goes on"
            raise UserError(said, STOPPED) from None

    def stop(self, force: bool = False) -> None:
        if self.ray.is_initialized():
            with contextlib.suppress(ConnectionError, self.ray.exceptions.RayError):
                self.ray.cancel(self.task, force=force)

    def kill(self) -> None:
        self.stop(force=True)


class Ray(Launcher):
    def __init__(self, settings: Settings):
        super().__init__(settings)
        # Its statistics are sent to nobody, and where a cluster is lost no call of it starts another one.
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
        if settings.ray is None:  # nobody else on this machine may give its cluster something to do
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.ray = package("ray", "ray", Path("--launcher ray"))
        each = settings.gpus_per_run
        if each is not None and each > 1 and each % 1:
            raise UserError(f"--gpus_per_run {each:g}: Ray gives shares of one GPU, such as 0.25, or whole ones")
        self.started = False

    def open(self) -> None:
        if self.started:
            return
        address = self.settings.ray
        more: dict[str, Any] = {} if address else {"include_dashboard": False}
        node = {"env_vars": {"PYTHONPATH": str(ROOT)}}
        try:
            self.ray.init(address or "local", runtime_env=node, log_to_driver=False, logging_level="ERROR", **more)
        except Exception as error:  # of many kinds, some of them plain
            said = (str(error).strip() or type(error).__name__).splitlines()[-1 if "Traceback" in str(error) else 0]
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
        most = max(node.get("GPU", 0) for node in nodes)
        gpus = float(most > 0) if self.settings.gpus_per_run is None else self.settings.gpus_per_run
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

    def plan(self, lines: Sequence[str], runs: int) -> Iterator[str]:
        each, address = self.settings.gpus_per_run, self.settings.ray
        gpus = "a GPU each where nodes have some" if each is None else f"{each:g} GPUs each"
        yield f"# tasks of Ray on {address or 'this machine'}, {self.jobs} at once, {gpus}:"
        yield from lines

    def close(self) -> None:
        if self.started:
            self.ray.shutdown()


def _carry_out(work: Callable[[], int]) -> int:
    return work()
