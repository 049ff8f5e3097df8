"""Earlier fakes for a discriminator."""

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class ImagePool(nn.Module):
    """A buffer of earlier fakes for D (Shrivastava et al., 2017, section 2.3). Part of the model's state."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.images: list[torch.Tensor] = []

    @property
    def of_process(self) -> bool:
        """Whether a process has its own, see util.training.own_state."""
        return self.size > 0

    def query(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W): each is new, or with probability 1/2 a stored one that it then replaces.

        Where there are several, one of another size is replaced all the same, and the new one given back."""
        if self.size == 0:
            return images
        out = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image)
            elif random.random() > 0.5:
                i = random.randrange(self.size)
                old, self.images[i] = self.images[i], image
                if len(images) == 1 or old.shape == image.shape:  # those of a batch are of one size
                    image = old.to(image.device)
            out.append(image[None])
        return torch.cat(out)

    def get_extra_state(self) -> dict[str, Any]:
        return {"images": self.images}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self.images = list(state["images"])
