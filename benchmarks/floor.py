"""The time that a step's convolutions take by themselves, below which no rewriting of the rest can bring the step."""

import collections
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")
GROUPS = {"aten::convolution": 8, "aten::convolution_backward": 9}  # which argument says into how many it is split


class Recorder(TorchDispatchMode):
    """Inside, counts the convolutions, forward and backward, by shape, strides, type and settings.

    A depthwise convolution is left out: it blurs, and what blurs without one should not have the lower floor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: collections.Counter[tuple[Any, ...]] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0]
        if name in CONVOLUTIONS and args[GROUPS[name]] == 1:
            self.calls[(func, *map(_freeze, args))] += 1
        return func(*args, **(kwargs or {}))


def conv_floor(step: Callable[[], Any], device: torch.device, repeats: int = 5) -> float:
    """Seconds: the median of each distinct convolution of one step, alone, times how often the step does it."""
    with Recorder() as recorder:
        step()
    return sum(count * seconds(call, device, repeats) for call, count in recorder.calls.items())


@torch.no_grad()
def seconds(call: tuple[Any, ...], device: torch.device, repeats: int) -> float:
    func, *frozen = call
    args = [_thaw(arg, device) for arg in frozen]
    times = []
    for _ in range(repeats + 1):
        _wait(device)
        start = time.perf_counter()
        func(*args)
        _wait(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _freeze(arg: Any) -> Any:
    if isinstance(arg, torch.Tensor):
        return ("tensor", tuple(arg.shape), arg.stride(), arg.dtype)
    return tuple(arg) if isinstance(arg, list) else arg


def _thaw(arg: Any, device: torch.device) -> Any:
    if isinstance(arg, tuple) and arg and arg[0] == "tensor":
        _, shape, stride, dtype = arg
        length = 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))  # a mean's gradient has step 0
        return torch.randn(length, dtype=dtype, device=device).as_strided(shape, stride)
    return list(arg) if isinstance(arg, tuple) else arg
