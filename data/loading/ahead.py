"""Copy the next batch to the GPU while the networks are busy with this one."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

Batch = dict[str, Any]
T = TypeVar("T")


def move(batch: Batch, place: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    """The batch with every tensor placed."""
    return {key: place(value) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}


def one_ahead(batches: Iterable[Batch], start: Callable[[Batch], T], finish: Callable[[T], Batch]) -> Iterator[Batch]:
    """``finish(start(batch))`` of every batch, where the next one is started before this one is handed out.

    Whatever ``batches`` raises is raised in its turn: after the batches that came before it.
    """
    source, failure, started = iter(batches), None, []
    while failure is None:
        try:
            started.append(start(next(source)))
        except Exception as error:  # StopIteration too
            failure = error
        if len(started) > 1 or (started and failure is not None):
            yield finish(started.pop(0))
    if not isinstance(failure, StopIteration):
        raise failure


class SideStream:
    """Copies beside the stream that computes: ``start`` on a stream of its own, ``finish`` where the batch is used.

    The tensors of a batch are best in pinned memory; from any other the copy waits for itself.
    """

    def __init__(self, place: Callable[[torch.Tensor], torch.Tensor], device: torch.device):
        self.place, self.device, self.stream = place, device, torch.cuda.Stream(device)

    def start(self, batch: Batch) -> tuple[Batch, Any]:
        with torch.cuda.stream(self.stream):
            moved = move(batch, self.place)
        return moved, self.stream.record_event()

    def finish(self, started: tuple[Batch, Any]) -> Batch:
        moved, copied = started
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(copied)
        for value in moved.values():
            if isinstance(value, torch.Tensor):  # its memory was taken for the side stream: not to be reused too early
                value.record_stream(computing)
        return moved
