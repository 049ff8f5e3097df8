"""Files of tensors: read without executing anything, and loaded into a network strictly."""

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from options import Exit, UserError
from util.class_rows import check_classes
from util.commit import current
from util.finite import not_finite
from util.reading.json_file import misfit
from util.reading.plain import open_to_read
from util.reading.torch_file import STAND_INS, check_torch_file
from util.writing import write_atomically

STATE, NETWORK = {...: torch.Tensor}, "state dict of one network"


def load_weights(
    network: nn.Module,
    path: Path,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    otherwise: Callable[[], str] = str,
) -> None:
    """Load one weight file strictly, ours or a published one.

    The prefix ``module.`` is dropped, and so are the running statistics that torch 0.3 kept of instance norms.

    Args:
        change: makes of what is in the file what is loaded.
        otherwise: the flags of the run whose file it is that shape a network and differ, for the message.

    Raises:
        UserError: it cannot be read, or does not fit; the first keys that do not are named (exit code 4); or it
            is not finite (3).
    """
    state = {key.removeprefix("module."): value for key, value in read_tensors(path, STATE, NETWORK).items()}
    own, state = network.state_dict(), dict(change(state))
    state = getattr(network, "alive", dict)(state)  # published classes may have weights that nothing is computed with
    state = {key: value for key, value in state.items() if key in own or not _of_old_norm(key, state)}
    state |= {k: own[k] for k in own if k.endswith(".num_batches_tracked") and k not in state}  # torch 0.3 had none
    wrong = [f"{k} is missing" for k in own if k not in state] + [f"{k} is unknown" for k in state if k not in own]
    wrong += [
        f"{k} is {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in state and own[k].shape != state[k].shape
    ]
    if wrong:
        if not (there := otherwise()):
            check_classes(path, network, state)
        raise UserError(
            f"{path} is of another architecture: {'; '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}. Check --netG, --ngf, --normG, "
            f"--no_antialias, --no_dropout and their like{f'; it is of {there}' if there else ''}",
            code=Exit.CHECKPOINT,
        )
    check_finite(state, str(path))
    network.load_state_dict(state)


def check_finite(weights: Mapping[str, Any], name: str) -> None:
    """Refuse weights with which a network computes nothing.

    Args:
        name: of their file, for messages.

    Raises:
        UserError: one at least is not finite; the first are named (exit code 3).
    """
    wrong = not_finite({name: _as_loaded(value) for name, value in weights.items()})
    if wrong:
        more = f" and {len(wrong) - 2} more" if len(wrong) > 2 else ""
        what = f"{', '.join(wrong[:2])}{more} {'are' if len(wrong) > 1 else 'is'} not finite"
        advice = "choose other weights, such as of an earlier step (--epoch)"
        raise UserError(f"{name}: {what}; {advice}", code=Exit.NOT_FINITE)


def _as_loaded(value: Any) -> Any:
    """In the precision of networks, in which a large number of twice as many bits is infinite."""
    return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.float64 else value


def read_tensors(path: Path, shape: Any = None, what: str = "file of tensors") -> Any:
    """A file of tensors and plain values; nothing in it is executed, and nothing is larger than the file.

    Args:
        shape: see :func:`util.reading.json_file.misfit`; None takes anything.
        what: the file should hold, for the message.

    Raises:
        UserError: it cannot be read, or holds something else (exit code 4).
    """
    return _read(path, shape, what)[0]


def read_weights(path: Path, shape: Any = STATE, what: str = NETWORK) -> tuple[Any, str]:
    """The same of a file that a network computes with, by default the state dict of one, and its sha256.

    Raises:
        UserError: as ``read_tensors``; or a tensor is not finite (exit code 3).
    """
    state, digest = _read(path, shape, what, hashed=True)
    check_finite(state, str(path))
    return state, digest


def write_tensors(path: Path, content: Any) -> None:
    """A file of tensors and plain values for :func:`read_tensors`; there is never half of one."""
    write_atomically(path, packed(content))


def packed(content: Any) -> memoryview:
    """The bytes of such a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def _read(path: Path, shape: Any, what: str, hashed: bool = False) -> tuple[Any, str]:
    """What is in a file, and its sha256 if it is to be ``hashed``; both of the same moment of a run that goes on."""
    try:
        with _opened(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if hashed else ""
            file.seek(0)
            try:
                _check_head(file)
                check_torch_file(file)
                file.seek(0)
                with warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
                    warnings.simplefilter("ignore")  # of torch, about files that are refused in one line
                    state = torch.load(file, map_location="cpu", weights_only=True)
            except Exception as error:  # readers of damaged files raise what they please
                why = _why_not(error)
                raise UserError(f"{path}: damaged, or not a file of weights ({why})", code=Exit.CHECKPOINT) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}", code=Exit.CHECKPOINT) from None
    if shape is not None and (wrong := misfit(state, shape)):
        raise UserError(f"{path}: holds no {what} ({wrong})", code=Exit.CHECKPOINT)
    return state, digest


def _opened(path: Path) -> io.BufferedReader:
    """A file of a run, wherever it lies; a commit that is carried out meanwhile moves it once."""
    try:
        return open_to_read(current(path))
    except FileNotFoundError:
        return open_to_read(current(path))


def _check_head(file: io.BufferedReader) -> None:
    """Refuse what is obviously none: an empty file, a web page, a pointer of Git LFS."""
    head = file.read(64)
    file.seek(0)
    if not head:
        raise ValueError("it is empty")
    if head.isascii() and "".join(head.decode().split()).isprintable():
        raise ValueError(f"it is text that begins {head.decode().strip().partition(chr(10))[0][:40]!r}")


def _why_not(error: Exception) -> str:
    """In words; torch's own begin with its history."""
    line = next(iter(str(error).splitlines()), "")
    return type(error).__name__ if not line or line.startswith("Weights only") else line[:160]


def _of_old_norm(key: str, state: Mapping[str, torch.Tensor]) -> bool:
    norm, _, what = key.rpartition(".")
    return what in ("running_mean", "running_var", "num_batches_tracked") and f"{norm}.weight" not in state
