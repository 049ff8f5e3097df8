"""Whether tensors hold numbers: the device is asked once, whatever they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

INFINITY = float("inf")


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of a state: of mappings and sequences in one another."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from tensors_of(item)


def are_finite(tensors: Iterable[torch.Tensor], device: torch.device) -> torch.Tensor:
    """() bool on the device: whether all of them are; nothing waits for the device.

    Their largest magnitudes say it, which are NaN or infinite where an element is: a fused reduction, without copies.
    """
    alike: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = {}
    for tensor in tensors:
        if tensor.numel() and (tensor.is_floating_point() or tensor.is_complex()):
            tensor = tensor.detach().float() if tensor.element_size() == 1 else tensor.detach()  # float8 has no norm
            alike.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    finite = torch.ones((), dtype=torch.bool, device=device)
    for group in alike.values():
        finite &= torch.isfinite(torch.stack(torch._foreach_norm(group, INFINITY))).all().to(device, non_blocking=True)
    return finite


def not_finite(parts: Mapping[str, Any]) -> list[str]:
    """Names of the parts that hold a number that is not finite; they lie on the CPU."""
    cpu = torch.device("cpu")
    return [name for name, part in parts.items() if not are_finite(tensors_of(part), cpu)]
