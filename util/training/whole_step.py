"""The last whole step of a run, to go back to from one that has changed nothing yet."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch


class WholeStep:
    """What a step changes before it changes the networks, and by what it shows whether it has changed these.

    Of the tensors of the model, buffers and pools among them, it keeps references and the number of times that each
    was written to: nothing is copied, and nothing is asked of the device.
    """

    def __init__(self, model: Any, engine: Any):
        self._progress = dataclasses.asdict(engine.progress)
        self._losses, self._owners, self._sums = dict(model.losses), dict(model.loss_owners), dict(engine.sums)
        self._tensors = [(tensor, tensor._version) for tensor in _tensors(model.state_dict())]

    def is_left(self, model: Any) -> bool:
        """Whether a tensor of the model was written to, or replaced, since."""
        now = list(_tensors(model.state_dict()))
        return len(now) != len(self._tensors) or any(
            one.untyped_storage()._cdata != other.untyped_storage()._cdata or other._version != version
            for (one, version), other in zip(self._tensors, now, strict=True)
        )

    def restore(self, model: Any, engine: Any) -> None:
        """Take back what was counted and logged since."""
        engine.progress.load_state_dict(self._progress)
        model.losses, model.loss_owners, engine.sums = dict(self._losses), dict(self._owners), dict(self._sums)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
