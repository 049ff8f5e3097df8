"""What is not finite is neither saved over what is, nor evaluated, nor continued."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from options import Exit, UserError
from util import distributed
from util.finite import are_finite, not_finite, tensors_of

WAYS_OUT = "Try a lower --lr, another --gan_mode, or --precision fp32"


def check_finite(model: Any, engine: Any) -> None:
    """Look at the losses so far and at all that a checkpoint would hold, in one transfer from the device.

    Raises:
        UserError: something is not finite in some process; in every process, with exit code 3.
    """
    parts = parts_of(
        {
            "model": model.state_dict(),
            "averages": {name: average.state_dict() for name, average in engine.averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
        }
    )
    finite = [engine.finite, *(are_finite(tensors_of(part), engine.device) for part in parts.values())]
    of_losses, *of_parts = distributed.everywhere(torch.stack(finite))
    wrong = [name for name, sound in zip(parts, of_parts, strict=True) if not sound]
    if of_losses and not wrong:
        return
    step = engine.progress.step
    if of_losses:
        what = f"{_listed(wrong)} not finite after step {step}"
    else:
        values = model.get_current_losses()
        bad = ", ".join(f"{k} = {v}" for k, v in values.items() if v - v != 0) or "in an earlier step"
        what = f"a loss is not finite at step {step} ({bad})" + (f", and {_listed(wrong)} not finite" if wrong else "")
    raise UserError(f"{what}; {engine.last_checkpoint()}. {WAYS_OUT}", code=Exit.NOT_FINITE)


def check_loaded(path: Path, state: Mapping[str, Any]) -> None:
    """Look at a state that is to be continued.

    Raises:
        UserError: something in it is not finite (exit code 3).
    """
    wrong = not_finite(parts_of(state))
    if wrong:
        raise UserError(
            f"{path}: {_listed(wrong)} not finite; choose an earlier checkpoint with --epoch", code=Exit.NOT_FINITE
        )


def parts_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint's state holds, by what a user calls it, networks first."""
    parts: dict[str, Any] = {}
    for key, value in state["model"].items():
        parts.setdefault(key.partition(".")[0], []).append(value)
    parts |= {f"the average of net{name}": average for name, average in state["averages"].items()}
    return parts | {f"the optimizer {name}": moments["state"] for name, moments in state["optimizers"].items()}


def _listed(names: list[str]) -> str:
    networks = [name for name in names if name.startswith("net")] or names
    return f"{', '.join(networks)} {'is' if len(networks) == 1 else 'are'}"
