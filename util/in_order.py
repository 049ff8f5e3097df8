"""Work that several processes share: each does its part, and the main one gets all of it in one order."""

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from util import distributed

T = TypeVar("T")
S = TypeVar("S")


def in_order(
    mine: Iterator[tuple[int, T]], device: torch.device, before: Callable[[], None] = lambda: None
) -> Iterator[T]:
    """What every process makes, in the order of its numbers, in the main process; in the others nothing comes.

    Every process goes through it to the end, and what goes wrong in one while it makes its part goes wrong in all. The
    main one waits for whoever is behind: it holds no more than the others are ahead.

    Args:
        mine: of this process, numbers that rise; each number is of one process.
        before: is called before each part, and may raise; of a signal, say.
    """
    if distributed.world_size() == 1:
        yield from (made for _, made in mine)
        return
    waiting: list[tuple[int, int, T]] = []
    furthest: list[float] = [-1.0] * distributed.world_size()
    while True:
        with distributed.together(device):
            before()
            found = next(mine, None)
        if not distributed.any_process(found is not None, device):
            break
        told = distributed.told_to_main(found)
        if distributed.rank() > 0:
            continue
        for process, one in enumerate(told):
            furthest[process] = math.inf if one is None else one[0]
            if one is not None:
                heapq.heappush(waiting, (one[0], process, one[1]))
        while waiting and waiting[0][0] <= min(furthest):
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def shared_out(
    make: Callable[[S], T], items: Sequence[S], device: torch.device, before: Callable[[], None] = lambda: None
) -> list[T]:
    """``make`` of every item, in every process, each of which does its part."""
    world = distributed.world_size()
    mine = ((n, make(items[n])) for n in range(distributed.rank(), len(items), world))
    made = list(in_order(mine, device, before))
    return made if world == 1 else distributed.told_by_main(made)


def on_cpu(value: Any) -> Any:
    """Tensors of another process are taken from the CPU, wherever its own device is."""
    if isinstance(value, torch.Tensor):
        return value.cpu() if distributed.world_size() > 1 else value
    return {key: on_cpu(item) for key, item in value.items()} if isinstance(value, dict) else value


def brought(images: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Images of any process where this one computes."""
    return {name: image.to(device) for name, image in images.items()}
