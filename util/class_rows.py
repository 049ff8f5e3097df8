"""Weights with rows for each class, when a run begins with those of a run of other classes.

A module that has such weights says so by ``class_axes``: {name of a parameter: (axis, place of the first class on it)}.
Mostly a class has one row; where it has several they lie side by side.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from options import Exit, UserError
from options.listed import in_words
from util.files import json_or_empty

State = Mapping[str, torch.Tensor]


def axes_of(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Key of the state dict -> the axis on which classes are, and the place of the first; under a spectral norm too."""
    found: dict[str, tuple[int, int]] = {}
    keys = network.state_dict().keys()
    for prefix, module in network.named_modules():
        for name, (axis, start) in getattr(module, "class_axes", {}).items():
            *owner, last = f"{prefix}.{name}".strip(".").split(".")
            normed = ".".join([*owner, "parametrizations", last])
            found |= {".".join([*owner, last]): (axis, start), f"{normed}.original": (axis, start)}
            found[f"{normed}.0.{'_u' if axis == 0 else '_v'}"] = (0, start)  # a vector, of as many places
    return {key: place for key, place in found.items() if key in keys}


def classes_of_run(run: Path) -> list[str] | None:
    """Names of the classes of a run, in the order of their rows; None where it does not tell them."""
    names = json_or_empty(run / "classes.json").get("classes")
    known = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return names if known else None


def moved(network: nn.Module, state: State, before: Sequence[str], now: Sequence[str]) -> dict[str, torch.Tensor]:
    """A state dict of a network of the classes ``before`` for one of those ``now``: rows go by names.

    Rows of a class that is new are the mean of all that there were. What does not fit is left as it is.
    """
    own, result, place = network.state_dict(), dict(state), {name: row for row, name in enumerate(before)}
    for key, (axis, start) in axes_of(network).items():
        value, each = state.get(key), (own[key].shape[axis] - start) // len(now)
        if value is None or value.ndim <= axis or value.shape[axis] != start + len(before) * each:
            continue
        ahead, rows = value.narrow(axis, 0, start), value.narrow(axis, start, len(before) * each)
        rows = rows.unflatten(axis, (len(before), each))
        mean = rows.mean(axis, keepdim=True)
        new = torch.cat([rows.narrow(axis, place[name], 1) if name in place else mean for name in now], axis)
        result[key] = torch.cat([ahead, new.flatten(axis, axis + 1)], axis)
        if key.endswith(("._u", "._v")):
            result[key] = F.normalize(result[key], dim=0)
    return result | {key: own[key] for key in result if key.endswith("_extra_state") and key in own}  # names of classes


def told(before: Sequence[str], now: Sequence[str]) -> str:
    """Which classes are kept, which are new, which are dropped."""
    groups = {
        "kept": [name for name in now if name in before],
        "new, from the mean of the others": [name for name in now if name not in before],
        "dropped": [name for name in before if name not in now],
    }
    return "; ".join(f"{word}: {in_words(names) or 'none'}" for word, names in groups.items())


def check_classes(path: Path, network: nn.Module, state: State) -> None:
    """Raises:
    UserError: weights are of another number of classes than the network, and differ in nothing else (exit code 4).
    """
    own, axes = network.state_dict(), axes_of(network)
    if state.keys() != own.keys():
        return
    other = [key for key in own if own[key].shape != state[key].shape]
    counts = {
        (state[k].shape[axes[k][0]] - axes[k][1], own[k].shape[axes[k][0]] - axes[k][1]) for k in other if k in axes
    }
    if other and all(key in axes for key in other) and len(counts) == 1:
        ((theirs, ours),) = counts
        raise UserError(
            f"{path}: of {theirs} classes, and these data have {ours}; which ones they are its folder would tell in "
            "classes.json. Use the data it was trained on, or start from a run that has the file",
            code=Exit.CHECKPOINT,
        )
