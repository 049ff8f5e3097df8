"""Gradients sent to the other processes in parts, while the rest is still differentiated: --bucket_mb."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

from util import distributed


class Bucket:
    """Parameters whose gradients are sent together.

    Attributes:
        missing: how many of them have none yet of the backward pass under way.
        wait: ends the sum that is under way, None before it is begun.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]):
        self.parameters = list(parameters)
        self.missing = 0
        self.wait: Callable[[], None] | None = None
        self.flat = torch.empty(0)

    @torch.no_grad()
    def send(self) -> None:
        """Begin to sum. One without a gradient counts as zero, so that every process sends the same layout."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self.flat = torch.cat([g.reshape(-1) for g in grads])
        self.wait = distributed.begin_total(self.flat)

    @torch.no_grad()
    def finish(self) -> None:
        """Wait for the sum, and put its mean in place of the gradients."""
        assert self.wait is not None
        self.wait()
        self.flat /= distributed.world_size()
        for p, mean in zip(self.parameters, self.flat.split([p.numel() for p in self.parameters]), strict=True):
            if p.grad is None:
                p.grad = torch.empty_like(p)
            p.grad.copy_(mean.view_as(p))
        self.wait, self.flat = None, torch.empty(0)


class Buckets:
    """Those of one optimizer, the last layers first, for their gradients are known first.

    Every process sends them in this order, whatever the order in which its gradients come: one that has no use for a
    network in this step sends zeros for it in the end. What earlier backward passes left in ``grad``, as with
    --accumulate, is sent with what the last one adds.

    Args:
        megabytes: of a bucket, at least of one parameter.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], megabytes: float):
        self.buckets: list[Bucket] = []
        self.open = False
        self.next = 0
        for part in parted([p for p in reversed(parameters) if p.requires_grad], megabytes * 2**20):
            bucket = Bucket(part)
            self.buckets.append(bucket)
            for p in part:
                p.register_post_accumulate_grad_hook(partial(self._came, bucket))

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Inside is the one backward pass that makes the gradients whole; afterwards they are means over processes."""
        self.next = 0
        for bucket in self.buckets:
            bucket.missing = len(bucket.parameters)
        self.open = True
        try:
            yield
        finally:
            self.open = False
        for bucket in self.buckets[self.next :]:
            bucket.send()
        for bucket in self.buckets:
            bucket.finish()

    def _came(self, bucket: Bucket, parameter: nn.Parameter) -> None:
        """A gradient was added to a parameter: what is whole, and has nothing before it that is not, is sent."""
        if not self.open:
            return
        bucket.missing -= 1
        if bucket.missing < 0:
            raise RuntimeError("a gradient came twice in one backward pass, as under reentrant checkpointing")
        while self.next < len(self.buckets) and self.buckets[self.next].missing == 0:
            self.buckets[self.next].send()
            self.next += 1


def parted(parameters: Sequence[nn.Parameter], most: float) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one kind that have so many bytes together; one that has more is a part of its own."""
    part: list[nn.Parameter] = []
    for p in parameters:
        held = sum(q.numel() * q.element_size() for q in part)
        if part and (p.dtype != part[0].dtype or held + p.numel() * p.element_size() > most):
            yield part
            part = []
        part.append(p)
    if part:
        yield part
