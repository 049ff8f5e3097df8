"""A network that is looked through and never trained."""

from typing import Any, Self

import torch
from torch import nn


class Frozen(nn.Module):
    """It goes to devices and types as children do, and is in no state dict: its weights are in a file of their own."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.held = [network.eval().requires_grad_(False)]  # a list is no child

    @property
    def network(self) -> nn.Module:
        return self.held[0]

    def _apply(self, change: Any, recurse: bool = True) -> Self:
        self.network._apply(change, recurse)
        return super()._apply(change, recurse)

    def forward(self, images: torch.Tensor) -> Any:
        return self.network(images)
