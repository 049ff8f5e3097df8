"""Run layers so that the backward pass finds one kept tensor per convolution instead of three.

A convolution keeps its input for its gradient, and here that input is mostly what a norm, an activation and a padding
make of the convolution before. These cost next to nothing, so they are computed again, from what the norm keeps
anyway, when the gradient comes. The numbers are the same to the bit, since the same layers see the same input.
"""

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from .layers import Downsample, InstanceNorm, ReflectionPad, Upsample

CHEAP = InstanceNorm, nn.ReLU, nn.LeakyReLU, ReflectionPad, Downsample, Upsample


class Stage:
    """What cheap layers made of ``before``, another stage or a tensor that is kept, and how to make it again."""

    def __init__(self, before: "Stage | torch.Tensor", layer: nn.Module, out: torch.Tensor):
        self.before, self.layers, self.out = before, [layer], out
        self.due = 0  # how often the backward pass will ask for it
        self.again: torch.Tensor | None = None

    def unpack(self) -> torch.Tensor:
        with torch.no_grad():
            value = self.value()
        self.due -= 1
        if self.due <= 0:
            self.again = None
        return value

    def value(self) -> torch.Tensor:
        if self.again is not None:
            return self.again
        x = self.before.value() if isinstance(self.before, Stage) else self.before
        for layer in self.layers:
            x = layer(x)
        self.again = x if self.due > 0 else None
        return x


class Chain:
    """The stages from the last kept tensor to where the pass is now."""

    def __init__(self, root: torch.Tensor):
        self.root, self.stages = root.detach(), list[Stage]()

    def pack(self, saved: torch.Tensor) -> Any:
        for stage in self.stages:  # their tensors are alive, so no other can lie at the same place
            if saved.data_ptr() == stage.out.data_ptr() and saved.shape == stage.out.shape:
                stage.due += 1
                return stage
        return saved

    def extend(self, layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        if y.data_ptr() == x.data_ptr():  # in place
            if self.stages:
                self.stages[-1].layers.append(layer)
            else:
                self.root = y.detach()
        else:
            self.stages.append(Stage(self.stages[-1] if self.stages else self.root, layer, y.detach()))

    def through(self, layer: nn.Module, x: torch.Tensor) -> "tuple[torch.Tensor, Chain]":
        """The layer's output, and the chain that goes on from there."""
        if self.stages:
            with saved_tensors_hooks(self.pack, unpack):
                y = layer(x)
        else:
            y = layer(x)
        if isinstance(layer, CHEAP):
            self.extend(layer, x, y)
            return y, self
        self.close()
        return y, Chain(y)

    def close(self) -> None:
        """Keep no tensor that the backward pass can have made again."""
        for stage in self.stages:
            del stage.out


def unpack(saved: Any) -> torch.Tensor:
    return saved.unpack() if isinstance(saved, Stage) else saved


def run(layers: Iterable[nn.Module], x: torch.Tensor, wanted: Collection[int] = (), last: int | None = None):
    """x through the layers, as far as number ``last`` if that is given; and {index: output} of the wanted ones.

    Low precision takes half the memory as it is, and there the cheap layers are a larger part of the time: they are
    not computed again. Nor are they in compiled code, whose compiler decides what to keep.
    """
    features: dict[int, torch.Tensor] = {}
    plain = (
        torch.compiler.is_compiling()
        or not torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu" if x.device.type == "meta" else x.device.type)
        or x.dtype in (torch.bfloat16, torch.float16)
    )
    chain = None if plain else Chain(x)
    for index, layer in enumerate(layers):
        x, chain = (layer(x), None) if chain is None else chain.through(layer, x)
        if index in wanted:
            features[index] = x
        if index == last:
            break
    if chain is not None:
        chain.close()
    return x, features
