"""The few collectives a GAN needs. Each is the identity in a single process."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import nn

_alone = ContextVar("alone", default=False)


def start(device: torch.device, minutes: float = 10) -> None:
    """Join the other processes when torchrun started this one: nccl on CUDA, gloo elsewhere.

    Args:
        minutes: after which a process that waits for the others takes them for lost.
    """
    if "RANK" in os.environ and not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=minutes))


def stop() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside, this process is the only one: what only one does needs no others to take part."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() and not _alone.get() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() and not _alone.get() else 0


@functools.cache
def say_once(line: str) -> None:
    """Tell the user, however often it comes up: on stderr, in the first process alone."""
    if rank() == 0:
        print(line, file=sys.stderr)


def forget_said() -> None:
    """A script begins, in a process that may have run one before."""
    say_once.cache_clear()


def barrier() -> None:
    if world_size() > 1:
        dist.barrier()


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process; every process gets the same answer at the same step."""
    if world_size() == 1:
        return flag
    tensor = torch.tensor(float(flag), device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return bool(tensor.item())


def everywhere(flags: torch.Tensor) -> list[bool]:
    """Which of the flags (N,) are set in every process; the device is waited for once."""
    if world_size() > 1:
        numbers = flags.float()
        dist.all_reduce(numbers, dist.ReduceOp.MIN)
        return [number > 0 for number in numbers.tolist()]
    return flags.tolist()


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over processes of one number."""
    if world_size() > 1:
        dist.all_reduce(value)
    return value / world_size()


@torch.no_grad()
def broadcast_module(module: nn.Module) -> None:
    """Give every process rank 0's parameters and buffers."""
    if world_size() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.data, src=0)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes, in one flat all-reduce.

    A parameter without a gradient counts as zero, so that every process reduces the same layout.
    """
    if world_size() == 1:
        return
    parameters = [p for p in parameters if p.requires_grad]
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    flat /= world_size()
    for g, piece in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        g.copy_(piece.view_as(g))


def gather(x: torch.Tensor) -> torch.Tensor:
    """Rows of x (B, ...) from every process, (world * B, ...), differentiable.

    A loss that every process computes on all rows and whose gradients are then averaged over processes has
    the gradient of the same loss in one process: the backward pass sums over processes what the average divides.
    """
    return torch.cat(dist_nn.all_gather(x)) if world_size() > 1 else x
