"""A network whose weights follow another's slowly (He et al., Momentum Contrast, CVPR 2020, section 3.2)."""

import copy

import torch
from torch import nn


def momentum_copy(network: nn.Module) -> nn.Module:
    """A copy that no optimizer trains; under a name of its own it is saved with the run and continued from there."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, decay: float) -> None:
    """slow <- decay * slow + (1 - decay) * fast, parameter by parameter; buffers, such as statistics, are copied."""
    mine: list[torch.Tensor] = list(slow.parameters())
    theirs: list[torch.Tensor] = list(fast.parameters())
    if mine:
        torch._foreach_mul_(mine, decay)
        torch._foreach_add_(mine, theirs, alpha=1 - decay)
    for own, other in zip(slow.buffers(), fast.buffers(), strict=True):
        own.copy_(other)
