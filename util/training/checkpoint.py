"""Save and restore a whole run, and the small weight files that users copy around.

A checkpoint <label> (latest, best, an epoch's number, iter_<n>) is a set of files:

    <label>_net_<NAME>.pth      the weights of one network under the published names, nothing else
    <label>_state.pt            everything, for exact resume; random states are absent, see util/seeding.py
    <label>_process_<n>.pt      of several processes, what the n-th keeps to itself, see util/training/own_state.py
    <label>.manifest.json       size and sha256 of the others: a set that does not match it was altered

The set that ``latest`` replaces is kept as ``previous``. All that a save writes appears at once, see util/commit.py.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import filter as those_like
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from options import Exit, UserError
from util import distributed
from util.class_rows import axes_of, classes_of_run, moved, told
from util.commit import Commit, current, names
from util.reading.weights import load_weights, packed, read_tensors
from util.training.fit import check_sides, otherwise
from util.training.gate import check_loaded
from util.training.manifest import (
    FALLBACK,
    SUFFIX,
    by_age,
    is_empty,
    is_published,
    listing,
    problem,
    read_manifest,
    steady,
    usable,
    weights_of,
)
from util.training.own_state import name_of, with_own

NOTHING: Mapping[Any, Any] = MappingProxyType({})
STATE = {
    **dict.fromkeys(("model", "optimizers", "averages", "scalers"), dict),
    **{"sums": {...: torch.Tensor}, "losses?": {...: torch.Tensor}, "loss_owners?": {...: str}, "progress": dict},
    "world?": int,
}


# -- writing ---------------------------------------------------------------------------------------


def save(
    run: Path, label: str, model: Any, engine: Any, also: Sequence[str] = (), texts: Mapping[str, str] = NOTHING
) -> None:
    """Write the checkpoint ``label``, all of it or nothing at whatever moment the process is killed.

    Every process calls it; the main one writes. A label that holds this very step already is left alone.

    Args:
        also: further labels of the same state; the files are shared where the system can.
        texts: files that are to say so, by name: they are replaced in the same instant.

    Raises:
        UserError: something is not finite (exit code 3), or the storage is full or not writable (5); earlier
            checkpoints are intact.
    """
    engine.check_finite(model)
    if engine.folder is not None:
        engine.folder.check()
    elif engine.is_main:  # of a program of one's own, which has claimed none
        run.mkdir(parents=True, exist_ok=True)
    engine.own.collect(model, engine)
    progress = engine.progress.state_dict()
    labels = [one for one in (label, *also) if engine.saved.get(one) != progress]
    if engine.is_main and (labels or texts):
        with _committing(run) as commit:
            if "latest" in labels and problem(run, "latest") is None:
                _stage_again(commit, "latest", FALLBACK, read_manifest(run, "latest"))
            if labels:
                _stage(commit, labels, model, engine)
            for name, text in texts.items():
                commit.write(name, text.encode())
    engine.saved |= dict.fromkeys(labels, progress)


def write_together(run: Path, texts: Mapping[str, str]) -> None:
    """Replace files of a run, by name, in one instant; code 5 where the storage does not let it."""
    with _committing(run) as commit:
        for name, text in texts.items():
            commit.write(name, text.encode())


def remove(run: Path, label: str) -> None:
    """Delete a checkpoint, its manifest last: half of one is none."""
    with _committing(run) as commit:
        for name in sorted(those_like(names(run), f"{label}_net_*.pth")):
            commit.remove(name)
        for name in sorted(those_like(names(run), name_of(label, "*"))):
            commit.remove(name)
        commit.remove(f"{label}_state.pt")
        commit.remove(f"{label}{SUFFIX}")


@contextlib.contextmanager
def _committing(run: Path) -> Iterator[Commit]:
    try:
        with Commit(run) as commit:
            yield commit
    except OSError as error:
        free = f"; {shutil.disk_usage(run).free / 2**20:.0f} MB are free" if run.is_dir() else ""
        raise UserError(
            f"{run}: the checkpoint cannot be written ({error.strerror}){free}. Earlier checkpoints are intact",
            code=Exit.STORAGE,
        ) from None


def _stage(commit: Commit, labels: Sequence[str], model: Any, engine: Any) -> None:
    label, *others = labels
    contents: dict[str, Any] = {f"{label}_state.pt": state_of(model, engine)}
    contents |= engine.own.files(label, engine)
    contents |= {f"{label}_net_{name}.pth": _plain(network.state_dict()) for name, network in model.networks.items()}
    contents |= {
        f"{label}_net_{name}_ema.pth": _plain(average.module.state_dict()) for name, average in engine.averages.items()
    }
    progress = engine.progress
    manifest = {"epoch": progress.epoch, "step": progress.step, "torch": str(torch.__version__)}
    manifest["files"] = {name: commit.write(name, packed(content)) for name, content in contents.items()}
    commit.write(f"{label}{SUFFIX}", json.dumps(manifest, indent=1).encode())
    _leave_processes(commit, label, manifest)
    for other in others:
        _stage_again(commit, label, other, manifest)


def _stage_again(commit: Commit, label: str, other: str, manifest: Mapping[str, Any]) -> None:
    """The files of a checkpoint under another label as well."""
    files = {}
    for name, facts in manifest["files"].items():
        files[other + name.removeprefix(label)] = facts
        commit.twin(name, other + name.removeprefix(label), facts)
    _leave_processes(commit, other, {"files": files})
    commit.write(f"{other}{SUFFIX}", json.dumps({**manifest, "files": files}, indent=1).encode())


def _leave_processes(commit: Commit, label: str, manifest: Mapping[str, Any]) -> None:
    """Remove what an earlier checkpoint of this label had of processes of which this one has nothing."""
    for name in those_like(names(commit.path), name_of(label, "*")):
        if name not in manifest["files"]:
            commit.remove(name)


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as published files hold it: contiguous, on the CPU."""
    return {key: value.detach().to("cpu", memory_format=torch.contiguous_format) for key, value in state.items()}


def state_of(model: Any, engine: Any) -> dict[str, Any]:
    """Everything that changes while a run goes on."""
    return {
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
        "averages": {name: average.state_dict() for name, average in engine.averages.items()},
        "scalers": {name: scaler.state_dict() for name, scaler in engine.scalers.items()},
        "sums": engine.sums,
        "losses": model.losses,  # what rests at the moment is logged with its last value
        "loss_owners": model.loss_owners,
        "progress": engine.progress.state_dict(),
        **({"world": engine.world} if engine.world > 1 else {}),
    }


# -- reading ---------------------------------------------------------------------------------------


def restore(run: Path, label: str, model: Any, engine: Any) -> str:
    """Continue a run: from ``label`` or, where ``latest`` is damaged, from the newest that is not.

    A folder with weight files alone, such as a published one, gives its weights; counting starts at --epoch_count.

    Returns:
        the checkpoint that was used; nothing where the run was stopped before its first.

    Raises:
        UserError: nothing here can be used (exit code 4), or what is there is not finite (3).
    """
    if is_published(run, label):
        load_networks(run, label, model)
        print(
            f"{run}: {label} holds weights alone; the optimizers start afresh at epoch {engine.progress.epoch + 1}",
            file=sys.stderr,
        )
        return label
    if label == "latest" and is_empty(run):
        print(f"{run}: stopped before its first checkpoint, so it starts from the beginning", file=sys.stderr)
        return ""
    for candidate in [label, *(c for c in by_age(run) if c != label and label == "latest")]:
        wrong = problem(run, candidate)
        if wrong is not None:
            if those_like(names(run), f"{candidate}[_.]*"):  # else there is nothing that could have been used
                print(f"checkpoint {candidate} is not used: {wrong}", file=sys.stderr)
            continue
        check_sides(run, model.opt)
        _restore_state(run, candidate, model, engine)
        if candidate != label:
            print(f"continuing from checkpoint {candidate} instead", file=sys.stderr)
        engine.saved[candidate] = engine.progress.state_dict()
        return candidate
    lone = next((name.split("_net_")[0] for name in those_like(names(run), "*_net_*.pth")), "")
    way_out = f"--epoch {lone} goes on from those weights" if lone and is_published(run, lone) else ""
    raise UserError(
        f"--continue_train: no usable checkpoint {label!r} in {run}; {listing(run)}. "
        f"{way_out or '--overwrite starts it anew'}",
        code=Exit.CHECKPOINT,
    )


def load_networks(
    run: Path,
    label: str,
    model: Any,
    use_ema: bool = False,
    partly: bool = False,
    other_way: Mapping[str, str] = NOTHING,
) -> str:
    """Load the weights of every network of the model, averaged ones where the run has them and ``use_ema``.

    Args:
        partly: a network that the run does not have, such as the heads of a loss that is new, stays as it is, with a
            line that says so; one at least must be there. Weights of classes go by the classes' names.
        other_way: network -> the one whose weights it takes; its own where it is not among them.

    Returns:
        the checkpoint that was used: ``previous`` where ``latest`` is damaged.

    Raises:
        UserError: files are missing, damaged, or of another architecture (exit code 4), or not finite (3).
    """

    def load() -> str:
        check_sides(run, model.opt)
        used, networks = usable(run, label), model.networks
        if partly:
            there = {name: net for name, net in networks.items() if current(run / f"{used}_net_{name}.pth").exists()}
            if there and len(there) < len(networks) and distributed.rank() == 0:
                lacking = ", ".join(name for name in networks if name not in there)
                print(f"{run}: checkpoint {used} lacks networks that start afresh: {lacking}", file=sys.stderr)
            networks = there or networks
        now = list(getattr(model, "class_names", ()))
        before = (classes_of_run(run) if partly else None) or now
        for name, network in networks.items():
            change = dict if before == now else partial(moved, network, before=before, now=now)
            load_weights(
                network,
                weights_of(run, used, other_way.get(name, name), use_ema),
                change,
                partial(otherwise, run, model.opt),
            )
        if before != now and any(map(axes_of, networks.values())):
            distributed.say_once(f"{run}: classes {told(before, now)}")
        return used

    return steady(run, label, load)


def _restore_state(run: Path, label: str, model: Any, engine: Any) -> None:
    path = run / f"{label}_state.pt"
    state = with_own(run, label, read_tensors(path, STATE, "state of a run"))
    try:
        check_loaded(path, state)
        model.load_state_dict(state["model"])
        for name, optimizer in model.optimizers.items():
            told = [{k: v for k, v in g.items() if k not in ("params", "lr")} for g in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            _lay_out(optimizer)
            for group, options in zip(optimizer.param_groups, told, strict=True):
                group.update(options)  # a continued run may be told another rate, of which each step makes its own
        for name, average in engine.averages.items():
            if name in state["averages"]:
                average.load_state_dict(state["averages"][name])
        for name, scaler in engine.scalers.items():
            scaler.load_state_dict(state["scalers"][name])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        text = [line.strip() for line in str(error).splitlines()][:3]
        raise UserError(
            f"{path} does not fit the options of this run: {' '.join(text)}", code=Exit.CHECKPOINT
        ) from None
    engine.sums = {k: v.to(engine.device) for k, v in state["sums"].items()}
    # Checkpoints of version 0.1 have no losses.
    model.losses = {k: v.to(engine.device) for k, v in state.get("losses", {}).items()}
    model.loss_owners = dict(state.get("loss_owners", {}))
    engine.progress.load_state_dict(state["progress"])


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give the moments the memory order of their parameters, which the run that saved them may not have had.

    On the CPU a fused optimizer reads both from end to end, and would take the moment of another weight.
    """
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
