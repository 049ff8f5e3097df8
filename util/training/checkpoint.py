"""Save and restore a whole run, and the small weight files that users copy around.

A checkpoint <label> (latest, an epoch's number, iter_<n>) is a set of files:

    <label>_net_<NAME>.pth      the weights of one network under the published names, nothing else
    <label>_state.pt            everything, for exact resume; random states are absent, see util/seeding.py
    <label>.manifest.json       size and sha256 of the others, written last: a set without it, or that does not
                                match it, was cut off or altered

The set that ``latest`` replaces is kept as ``previous``.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from options import UserError
from util import distributed
from util.files import sha256
from util.weights import load_weights, read_tensors

FALLBACK = "previous"


# -- writing ---------------------------------------------------------------------------------------


def save(run: Path, label: str, model: Any, engine: Any) -> None:
    """Write the checkpoint ``label``. Killed at any moment, it leaves a valid checkpoint behind.

    Every process calls it; the main one writes.

    Raises:
        UserError: the losses are not finite (exit code 3), or the storage is full or not writable (5); earlier
            checkpoints are intact.
    """
    engine.check_finite(model)
    if not engine.is_main:
        return
    if engine.folder is not None:
        engine.folder.check()
    contents: dict[str, Any] = {f"{label}_state.pt": state_of(model, engine)}
    contents |= {f"{label}_net_{name}.pth": _plain(network.state_dict()) for name, network in model.networks.items()}
    contents |= {
        f"{label}_net_{name}_ema.pth": _plain(average.module.state_dict()) for name, average in engine.averages.items()
    }
    progress, files = engine.progress, {}
    try:
        for name, content in contents.items():
            files[name] = _write_temporary(run / name, content)
        if label == "latest" and _problem(run, label) is None:
            _relabel(run, label, FALLBACK)
        for name in files:
            _temporary(run / name).replace(run / name)
        _write_manifest(run, label, files, epoch=progress.epoch, step=progress.step)
    except OSError as error:
        for name in contents:
            _temporary(run / name).unlink(missing_ok=True)
        raise UserError(
            f"{run}: the checkpoint cannot be written ({error.strerror}); "
            f"{shutil.disk_usage(run).free / 2**20:.0f} MB are free. Earlier checkpoints are intact",
            code=5,
        ) from None


def keep(run: Path, label: str, engine: Any) -> None:
    """Keep the latest checkpoint under another name as well; the files are shared where the system can."""
    if not engine.is_main:
        return
    try:
        _relabel(run, "latest", label)
    except OSError as error:
        raise UserError(f"{run}: checkpoint {label} cannot be written ({error.strerror})", code=5) from None


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
    }


# -- reading ---------------------------------------------------------------------------------------


def restore(run: Path, label: str, model: Any, engine: Any) -> str:
    """Continue a run: from ``label`` or, where its files are damaged, from the newest that is not.

    A folder with weight files alone, such as a published one, gives its weights; counting starts at --epoch_count.

    Returns:
        the checkpoint that was used; nothing where the run was stopped before its first.

    Raises:
        UserError: nothing here can be used (exit code 4).
    """
    for candidate in [label, *(c for c in _by_age(run) if c != label and label == "latest")]:
        problem = _problem(run, candidate)
        if problem is not None:
            print(f"checkpoint {candidate} is not used: {problem}", file=sys.stderr)
            continue
        _restore_state(run / f"{candidate}_state.pt", model, engine)
        if candidate != label:
            print(f"continuing from checkpoint {candidate} instead", file=sys.stderr)
        return candidate
    if not (run / f"{label}.manifest.json").exists() and list(run.glob(f"{label}_net_*.pth")):
        load_networks(run, label, model)
        print(
            f"{run}: {label} holds weights alone; the optimizers start afresh at epoch {engine.progress.epoch + 1}",
            file=sys.stderr,
        )
        return label
    if label == "latest" and not _by_age(run) and not list(run.glob("*_net_*.pth")):
        print(f"{run}: stopped before its first checkpoint, so it starts from the beginning", file=sys.stderr)
        return ""
    raise UserError(f"--continue_train: no usable checkpoint {label!r} in {run}; {_listing(run)}", code=4)


def load_networks(
    run: Path,
    label: str,
    model: Any,
    use_ema: bool = False,
    partly: bool = False,
    other_way: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Load the weights of every network of the model, averaged ones where the run has them and ``use_ema``.

    Args:
        partly: a network that the run does not have, such as the heads of a loss that is new, stays as it is, with a
            line that says so; one at least must be there.
        other_way: network -> the one whose weights it takes; its own where it is not among them.

    Returns:
        the checkpoint that was used: ``previous`` where ``latest`` is damaged.

    Raises:
        UserError: files are missing, damaged, or of another architecture (exit code 4).
    """
    label, networks = usable(run, label), model.networks
    if partly:
        there = {name: network for name, network in networks.items() if (run / f"{label}_net_{name}.pth").exists()}
        if there and len(there) < len(networks) and distributed.rank() == 0:
            lacking = ", ".join(name for name in networks if name not in there)
            print(f"{run}: checkpoint {label} lacks networks that start afresh: {lacking}", file=sys.stderr)
        networks = there or networks
    for name, network in networks.items():
        load_weights(network, weights_of(run, label, other_way.get(name, name), use_ema))
    return label


def usable(run: Path, label: str) -> str:
    """``label``, or ``previous`` where ``latest`` is damaged.

    Raises:
        UserError: neither is whole (exit code 4).
    """
    problem = _problem(run, label) if (run / f"{label}.manifest.json").exists() else None
    if problem is None:
        return label
    print(f"checkpoint {label} is not used: {problem}", file=sys.stderr)
    if label != "latest" or _problem(run, FALLBACK) is not None:
        raise UserError(f"{run}: no usable checkpoint {label!r}; {_listing(run)}", code=4)
    print(f"using checkpoint {FALLBACK} instead", file=sys.stderr)
    return FALLBACK


def weights_of(run: Path, label: str, name: str, use_ema: bool = False) -> Path:
    """The file with the weights of one network, averaged ones where the checkpoint has them and ``use_ema``.

    Raises:
        UserError: there is none (exit code 4).
    """
    path, averaged = run / f"{label}_net_{name}.pth", run / f"{label}_net_{name}_ema.pth"
    if use_ema and averaged.exists():
        manifest = _manifest(run, label) if (run / f"{label}.manifest.json").exists() else None
        if not manifest or averaged.name in manifest["files"]:  # else of an earlier time
            path = averaged
    if not path.exists():
        raise UserError(f"no checkpoint {path}; {_listing(run)}", code=4)
    return path


def _restore_state(path: Path, model: Any, engine: Any) -> None:
    state = read_tensors(path)
    try:
        model.load_state_dict(state["model"])
        for name, optimizer in model.optimizers.items():
            told = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            _lay_out(optimizer)
            for group, options in zip(optimizer.param_groups, told, strict=True):
                group.update(options)  # a continued run may be told another learning rate
        for name, average in engine.averages.items():
            if name in state["averages"]:
                average.load_state_dict(state["averages"][name])
        for name, scaler in engine.scalers.items():
            scaler.load_state_dict(state["scalers"][name])
    except (RuntimeError, KeyError, ValueError) as error:
        text = [line.strip() for line in str(error).splitlines()][:3]
        raise UserError(f"{path} does not fit the options of this run: {' '.join(text)}", code=4) from None
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


# -- files -----------------------------------------------------------------------------------------


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as published files hold it: contiguous, on the CPU."""
    return {key: value.detach().to("cpu", memory_format=torch.contiguous_format) for key, value in state.items()}


def write(path: Path, content: Any) -> None:
    """A file of tensors and plain values for :func:`read`; there is never half of one."""
    _write_temporary(path, content)
    _temporary(path).replace(path)


def _write_temporary(path: Path, content: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getbuffer()
    _write(_temporary(path), data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _write(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_manifest(run: Path, label: str, files: Mapping[str, Any], **counters: int) -> None:
    path = run / f"{label}.manifest.json"
    _write(
        _temporary(path), json.dumps({**counters, "torch": str(torch.__version__), "files": files}, indent=1).encode()
    )
    _temporary(path).replace(path)
    with contextlib.suppress(OSError):  # not every system lets a folder be synced
        folder = os.open(run, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _relabel(run: Path, label: str, other: str) -> None:
    """Give the files of a checkpoint a second name; its manifest is written last."""
    manifest = _manifest(run, label)
    files = {}
    for name, entry in manifest["files"].items():
        twin = other + name.removeprefix(label)
        _temporary(run / twin).unlink(missing_ok=True)
        try:
            os.link(run / name, _temporary(run / twin))
        except OSError:
            shutil.copyfile(run / name, _temporary(run / twin))
        _temporary(run / twin).replace(run / twin)
        files[twin] = entry
    _write_manifest(run, other, files, epoch=manifest["epoch"], step=manifest["step"])


def _manifest(run: Path, label: str) -> dict[str, Any]:
    return json.loads((run / f"{label}.manifest.json").read_text())


def _problem(run: Path, label: str) -> str | None:
    """What is wrong with a checkpoint, or None: every file there, of the recorded size and content."""
    try:
        for name, entry in _manifest(run, label)["files"].items():
            if Path(name).name != name:
                return f"the manifest names {name!r}, outside the run"
            path = run / name
            if not path.exists():
                return f"{name} is missing"
            if path.stat().st_size != entry["bytes"]:
                return f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}"
            if sha256(path) != entry["sha256"]:
                return f"{name} was altered since it was written"
    except FileNotFoundError:
        return "it has no manifest, so it was not finished"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is damaged"
    return None


def _by_age(run: Path) -> list[str]:
    """Checkpoints with a readable manifest, the furthest first."""
    steps = {}
    for path in run.glob("*.manifest.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            steps[path.name.removesuffix(".manifest.json")] = int(json.loads(path.read_text())["step"])
    return sorted(steps, key=lambda label: -steps[label])


def _listing(run: Path) -> str:
    found = sorted({p.name.split("_net_")[0] for p in run.glob("*_net_*.pth")})
    return (
        f"it has {', '.join(found)}"
        if found
        else "it has no checkpoints; train first, or check --name and --checkpoints_dir"
    )
