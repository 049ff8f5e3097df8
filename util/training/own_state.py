"""What each process of a run keeps to itself; a checkpoint holds it for every one of them.

Weights, moments, and what is made of the images of all, such as a queue of vectors, are the same in every process.
Image pools, statistics of batch norm, and what was logged, are of the images that a process was given.

    <label>_process_<n>.pt      of process n, from 1 on, what differs from the main one's, which is in <label>_state.pt
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from util import distributed
from util.finite import tensors_of
from util.reading.weights import read_tensors
from util.training.manifest import read_manifest

TOLD = ("sums", "losses", "loss_owners")
SHAPE = {"state": dict, "sums": {...: torch.Tensor}, "losses": {...: torch.Tensor}, "loss_owners": {...: str}}


class OwnStates:
    """What the main process knows of the others: nothing, or all of it at one step.

    A module whose state is of the images of its process says so by ``of_process``; of batch norm it is known. Where
    others cannot be asked any more, these are what a checkpoint would lack.
    """

    def __init__(self) -> None:
        self._others: list[dict[str, Any]] = []  # of processes from 1 on
        self._at: dict[str, Any] | None = None  # the progress that they are of
        self._differ = False  # whether networks or averages ever did

    def collect(self, model: Any, engine: Any) -> None:
        """Tell the main process, once for each step; every process calls it, and one that is alone does nothing."""
        progress = engine.progress.state_dict()
        if distributed.world_size() == 1 or self._at == progress:
            return
        self._others, self._at = distributed.told_to_main(differences(model, engine))[1:], progress
        self._differ |= any(other["state"] for other in self._others)

    def files(self, label: str, engine: Any) -> dict[str, Any]:
        """Those of a checkpoint, in the main process."""
        known = self._others if self._at == engine.progress.state_dict() else []
        return {name_of(label, process): other for process, other in enumerate(known, start=1)}

    def lack(self, model: Any, engine: Any) -> bool:
        """Whether a checkpoint of now would miss something of the others."""
        if engine.world == 1 or self._at == engine.progress.state_dict():
            return False
        return self._differ or bool(engine.sums) or any(map(is_of_process, model.modules()))


def name_of(label: str, process: int | str) -> str:
    return f"{label}_process_{process}.pt"


def is_of_process(module: torch.nn.Module) -> bool:
    if isinstance(module, _BatchNorm):
        return module.training and module.track_running_stats and getattr(module, "of_process", True)
    return bool(getattr(module, "of_process", False))


def own_state(model: Any, engine: Any) -> dict[str, Any]:
    """All of networks and averages that may differ between processes at the end of a step: what is no weight."""
    parts = {"model": model} | {f"averages.{name}": average for name, average in engine.averages.items()}
    found: dict[str, Any] = {}
    for home, module in parts.items():
        weights = {name for name, _ in module.named_parameters(remove_duplicate=False)}
        found |= {f"{home}.{key}": value for key, value in module.state_dict().items() if key not in weights}
    return found


def differences(model: Any, engine: Any) -> dict[str, Any]:
    """What is not as in the main process, and what was logged, on the CPU."""
    own = own_state(model, engine)
    digests = {key: digest(value) for key, value in own.items()}
    of_main = distributed.told_by_main(digests)
    state = {key: copied_to_cpu(value) for key, value in own.items() if digests[key] != of_main.get(key)}
    logged = {"sums": engine.sums, "losses": model.losses, "loss_owners": model.loss_owners}
    return {"state": state, **copied_to_cpu(logged)}


def digest(value: Any) -> str:
    """Of every bit of its tensors, and of their kinds and shapes."""
    found = hashlib.sha256()
    for tensor in tensors_of(value):
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def copied_to_cpu(value: Any) -> Any:
    """A copy that nothing shares, so that neither a step nor the storage of a larger tensor comes with it."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copied_to_cpu(item) for key, item in value.items()}
    return [copied_to_cpu(item) for item in value] if isinstance(value, list | tuple) else value


def with_own(run: Path, label: str, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a run as this process left it, where a checkpoint of as many processes has it."""
    world, before = distributed.world_size(), state.get("world", 1)
    if world != before and state["progress"].get("step", 0):
        now = f"there {'is' if world == 1 else 'are'} {world} now"
        distributed.say_once(
            f"{run}: checkpoint {label} is of {before} process{'es' * (before > 1)}, and {now}: data come in another "
            "order, and what a process keeps to itself, such as an image pool, is the main one's"
        )
    name = name_of(label, distributed.rank())
    if world != before or distributed.rank() == 0 or name not in read_manifest(run, label)["files"]:
        return state
    own = read_tensors(run / name, SHAPE, "state of a process")
    homes = {"model": dict(state["model"])} | {f"averages.{n}": dict(part) for n, part in state["averages"].items()}
    for home, part in homes.items():
        mine = (key for key in own["state"] if key.startswith(f"{home}."))
        part |= {key.removeprefix(f"{home}."): own["state"][key] for key in mine}
    averages = {name: homes[f"averages.{name}"] for name in state["averages"]}
    return state | {"model": homes["model"], "averages": averages} | {told: own[told] for told in TOLD}
