"""Train with the numbers of bf16 on a CPU that has no bf16 arithmetic:

    python -m benchmarks.emulate_bf16 --config docs/demo.yaml --name demo_bf16 --precision bf16 ...

The words are those of train.py. Where the processor lacks it, torch computes a bf16 convolution about twenty times
slower than a float32 one. Here inputs and weights are rounded to bf16, multiplied and summed in float32, which holds
a product of two bf16 exactly, and the result is rounded to bf16: what processors with bf16 do, but for the order of
the sum. So a training run can show whether the precision harms, at the speed of float32; it says nothing about time.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

import train
from util.cli import run
from util.device import computes_in_bf16


def rounded(operation: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The operation, in float32 on bf16 values where autocast would compute it in bf16."""

    def wrapped(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, *more: Any, **named: Any):
        if not torch.is_autocast_enabled("cpu") or x.dtype == torch.float64:
            return operation(x, weight, bias, *more, **named)
        x, weight = x.bfloat16().float(), weight.bfloat16().float()
        bias = None if bias is None else bias.bfloat16().float()
        with torch.autocast("cpu", enabled=False):
            return operation(x, weight, bias, *more, **named).bfloat16()

    return wrapped


def main(argv: list[str] | None = None) -> int:
    if computes_in_bf16(torch.device("cpu")):
        print("this CPU computes in bf16; use train.py", file=sys.stderr)
        return 2
    kept = F.conv2d, F.conv_transpose2d, F.linear
    try:
        F.conv2d, F.conv_transpose2d, F.linear = (rounded(operation) for operation in kept)  # type: ignore[assignment]
        return train.main(argv)
    finally:
        F.conv2d, F.conv_transpose2d, F.linear = kept  # type: ignore[assignment]


if __name__ == "__main__":
    sys.exit(run(main))
