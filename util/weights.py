"""Files of tensors: read without executing anything, and loaded into a network strictly."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from options import Exit, UserError


def load_weights(network: nn.Module, path: Path) -> None:
    """Load one weight file strictly, ours or a published one.

    The prefix ``module.`` is dropped, and so are the running statistics that torch 0.3 kept of instance norms.

    Raises:
        UserError: it cannot be read, or does not fit; the first keys that do not are named (exit code 4).
    """
    state = read_tensors(path)
    if not isinstance(state, Mapping) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"{path}: holds no state dict of one network", code=Exit.CHECKPOINT)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    own = network.state_dict()
    state = {key: value for key, value in state.items() if key in own or not _of_old_norm(key, state)}
    state |= {k: own[k] for k in own if k.endswith(".num_batches_tracked") and k not in state}  # torch 0.3 had none
    wrong = [f"{k} is missing" for k in own if k not in state] + [f"{k} is unknown" for k in state if k not in own]
    wrong += [
        f"{k} is {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in state and own[k].shape != state[k].shape
    ]
    if wrong:
        raise UserError(
            f"{path} is of another architecture: {'; '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}. Check --netG, --ngf, --normG, "
            "--no_antialias, --no_dropout and their like",
            code=Exit.CHECKPOINT,
        )
    network.load_state_dict(state)


def read_tensors(path: Path) -> Any:
    """A file of tensors and plain values; nothing in it is executed.

    Raises:
        UserError: it cannot be read, or holds more than that (exit code 4).
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}", code=Exit.CHECKPOINT) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about files that are refused in one line
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers of damaged files raise what they please
        raise UserError(
            f"{path}: damaged, or not a file of weights ({_why_not(head, error)})", code=Exit.CHECKPOINT
        ) from None


def _why_not(head: bytes, error: Exception) -> str:
    """In words: why a file that begins with ``head`` is not read; torch's own words begin with its history."""
    if not head:
        return "it is empty"
    if head.isascii() and "".join(head.decode().split()).isprintable():  # a web page, a pointer of Git LFS
        return f"it is text that begins {head.decode().strip().partition(chr(10))[0][:40]!r}"
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds Python objects such as {found[1]}, which are not loaded; save a state_dict()"
    if isinstance(error, OSError) or "central directory" in str(error):
        return "it is cut off"
    line = next(iter(str(error).splitlines()), "")
    return type(error).__name__ if not line or line.startswith("Weights only") else line[:120]


def _of_old_norm(key: str, state: Mapping[str, torch.Tensor]) -> bool:
    norm, _, what = key.rpartition(".")
    return what in ("running_mean", "running_var", "num_batches_tracked") and f"{norm}.weight" not in state
