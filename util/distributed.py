"""The few collectives a GAN needs. Each is the identity in a single process."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import nn

from options import Exit, UserError
from options.shown import shortened, shown
from util.patience import patiently

T = TypeVar("T")
_alone = ContextVar("alone", default=False)
WORD = 10.0  # seconds in which the main process says that it lives
END = timedelta(seconds=20)  # in which the others hear of the end of one; torchrun kills after 30


class PeerLost(UserError):
    """Another process has ended, or does not answer."""

    def __init__(self, error: BaseException):
        words = " ".join(str(error).split("pair.cc:")[-1].split("] ", 1)[-1].split(". ")[0].split())[:100]
        super().__init__(f"another process of this run is lost ({words})", Exit.STOPPED)


def start(device: torch.device, minutes: float = 10) -> None:
    """Join the other processes when torchrun started this one: nccl on CUDA, gloo elsewhere.

    Args:
        minutes: after which a process that waits for the others takes them for lost.
    """
    if "RANK" in os.environ and not dist.is_initialized():
        backend, patience = "nccl" if device.type == "cuda" else "gloo", timedelta(minutes=minutes)
        for _ in patiently(lambda: map(_join, [backend], [patience]), 0, TimeoutError):  # who waits is free for signals
            pass


def _join(backend: str, patience: timedelta) -> None:
    """Meet the others. On one host each restart of torchrun meets by names of its own.

    torchrun may keep its store, and with it the addresses of processes that are no more.
    """
    store, rank, world = next(dist.rendezvous("env://", timeout=patience))
    store.set_timeout(patience)
    if os.environ.get("LOCAL_WORLD_SIZE") == str(world):  # one launcher counts for all
        store = dist.PrefixStore(f"restart_{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=patience)


def stop() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
        _apart.cache_clear()


@contextlib.contextmanager
def _with_others() -> Iterator[None]:
    """Around what needs the other processes."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise PeerLost(error) from error


def is_lost(error: BaseException | None) -> bool:
    """Whether this says that another process is lost; autograd knows it as an error of the library's."""
    if isinstance(error, PeerLost):
        return True
    library = isinstance(error, dist.DistBackendError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
    return world_size() > 1 and library


@contextlib.contextmanager
def together(device: torch.device, first: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """What goes wrong inside in one process goes wrong in all, so that none waits for one that has left.

    One may be inside another: processes that are in different ones by then agree in the same way.

    Args:
        first: what a process does where it goes wrong, before the others hear of it: they may hang.

    Raises:
        what was raised in this process, else in the first of the others, there and here ``is_shared``.
    """
    if world_size() == 1:
        yield
        return
    mine: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if is_shared(error):  # of what went on together inside
            raise
        mine = error
        first()
    if any_process(mine is not None, device, None if mine is None else END):
        told: list[BaseException | None] = [None] * world_size()
        with _with_others():
            dist.all_gather_object(told, mine if mine is None else _to_send(mine))
        found = mine or next(error for error in told if error is not None)
        found.is_shared = True  # type: ignore[attr-defined]
        raise found


def _to_send(error: BaseException) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, UserError):
        return UserError(str(error), error.code)
    return UserError(f"process {rank()} failed ({type(error).__name__}: {error})", Exit.STOPPED)


def is_shared(error: BaseException | None) -> bool:
    """Whether all processes know of this: the main one tells it."""
    return getattr(error, "is_shared", False)


def tells(error: BaseException | None) -> bool:
    """Whether this process says so. One does: the main one or, where that is lost, the first of the others."""
    if rank() == 0:
        if world_size() > 1:
            _say("main")
        return True
    if is_shared(error):
        return False
    return not is_lost(error) or (not _said("main") and _say("told"))


def _say(word: str) -> bool:
    """Whether nobody had said it before; processes talk by torchrun's store, which outlives them."""
    try:
        return dist.distributed_c10d._get_default_store().add(word, 1) == 1
    except RuntimeError:
        return True


def _said(word: str) -> bool:
    try:
        dist.distributed_c10d._get_default_store().wait([word], timedelta(seconds=WORD))
    except RuntimeError:
        return False
    return True


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
    """Tell the user, however often it comes up: on stderr, in the first process alone, whoever computes by himself."""
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(shortened(shown(line)), file=sys.stderr)


def forget_said() -> None:
    """A script begins, in a process that may have run one before."""
    say_once.cache_clear()


def barrier() -> None:
    if world_size() > 1:
        with _with_others():
            dist.barrier()


def any_process(flag: bool, device: torch.device, wait: timedelta | None = None) -> bool:
    """Whether the flag is set in any process; every process gets the same answer at the same step.

    Args:
        wait: how long for the others, where that is less than usual.
    """
    if world_size() == 1:
        return flag
    tensor = torch.tensor(float(flag), device=device)
    with _with_others():
        work = dist.all_reduce(tensor, dist.ReduceOp.MAX, async_op=True)
        work.wait() if wait is None else work.wait(wait)
        return bool(tensor.item())


def everywhere(flags: torch.Tensor) -> list[bool]:
    """Which of the flags (N,) are set in every process; the device is waited for once."""
    if world_size() > 1:
        numbers = flags.float()
        with _with_others():
            dist.all_reduce(numbers, dist.ReduceOp.MIN)
            return [number > 0 for number in numbers.tolist()]
    return flags.tolist()


def told_by_main(value: T) -> T:
    """What the main process has of this, in every one."""
    if world_size() == 1:
        return value
    told = [value]
    with _with_others():
        dist.broadcast_object_list(told, src=0)
    return told[0]


def told_to_main(value: T) -> list[T]:
    """What every process has of this, in the order of their numbers, in the main one; in the others their own alone."""
    if world_size() == 1:
        return [value]
    told: list[T] | None = [value] * world_size() if rank() == 0 else None
    with _with_others():
        dist.gather_object(value, told, dst=0)
    return [value] if told is None else told


def refuse_unlike(value: str, told: Callable[[str, int, str], str]) -> None:
    """Raise a UserError in every process where one has another value than the main one.

    Args:
        told: makes the message of the main one's value, of the number of another process, and of its value.
    """
    if world_size() == 1:
        return
    values: list[str] = [value] * world_size()
    with _with_others():
        dist.all_gather_object(values, value)
    other = next((n for n, found in enumerate(values) if found != values[0]), None)
    if other is not None:
        error = UserError(told(values[0], other, values[other]))
        error.is_shared = True  # type: ignore[attr-defined]
        raise error


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over processes of one number."""
    if world_size() > 1:
        with _with_others():
            dist.all_reduce(value)
    return value / world_size()


@torch.no_grad()
def broadcast_module(module: nn.Module) -> None:
    """Give every process rank 0's parameters and buffers."""
    if world_size() > 1:
        with _with_others():
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
    with _with_others():
        dist.all_reduce(flat)
    flat /= world_size()
    for g, piece in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        g.copy_(piece.view_as(g))


def begin_total(x: torch.Tensor) -> Callable[[], None]:
    """Begin to sum x over processes, in its place; what is returned waits for the end.

    In a group of its own: losses that gather have collectives in the backward pass too, which must not meet these.
    """
    with _with_others():
        work = dist.all_reduce(x, group=_apart(), async_op=True)

    def wait() -> None:
        with _with_others():
            work.wait()

    return wait


@functools.cache
def _apart() -> Any:
    return dist.new_group()


def total(x: torch.Tensor) -> torch.Tensor:
    """The sum over processes, differentiable as ``gather`` is."""
    if world_size() == 1:
        return x
    with _with_others():
        return dist_nn.all_reduce(x)


def gather(x: torch.Tensor) -> torch.Tensor:
    """Rows of x (B, ...) from every process, (world * B, ...), differentiable.

    A loss that every process computes on all rows and whose gradients are then averaged over processes has
    the gradient of the same loss in one process: the backward pass sums over processes what the average divides.
    """
    if world_size() == 1:
        return x
    with _with_others():
        return torch.cat(dist_nn.all_gather(x))
