"""Generators that can be listened to: the contract of every network that PatchNCE compares patches of."""

from collections.abc import Sequence

import torch
from torch import nn

from . import lean

Tap = int | str


class Tapped(nn.Module):
    """A generator whose features can be had along with, or instead of, its image.

    ======================================  ====================================================
    ``G(x)``                                image (B, out, H, W)
    ``G(x, taps)``                          the image, and the features of the same pass
    ``G(x, taps, encode_only=True)``        the features alone; the pass stops at the last tap
    ======================================  ====================================================

    A tap is a name from ``tap_names`` or an integer below ``tap_count``; its feature is what that layer puts out,
    (B, C_l, H_l, W_l). What the integers count is the family's: the published ones mean what they meant.
    """

    tap_names: dict[str, int]
    stride = 1  # height and width of the input must be multiples of this
    min_size = 1  # and at least this

    @property
    def tap_count(self) -> int:
        return max(self.tap_names.values()) + 1

    def tap_index(self, tap: Tap) -> int:
        """The layer a tap means.

        Raises:
            ValueError: there is no such layer.
        """
        if str(tap) in self.tap_names:
            return self.tap_names[str(tap)]
        if str(tap).isdecimal() and int(tap) < self.tap_count:
            return int(tap)
        raise ValueError(f"no layer {tap!r}; choose from {', '.join(self.tap_names)}, or 0 to {self.tap_count - 1}")

    @property
    def per_image(self) -> bool:
        """Whether an image's features depend on that image alone and on no draw, so that they can be used again."""
        return not any(
            isinstance(m, nn.modules.batchnorm._BatchNorm) or (isinstance(m, nn.Dropout) and m.p > 0)
            for m in self.modules()
        )


class TappedSequential(Tapped):
    """A generator that is one flat ``nn.Sequential`` called ``model``; an integer tap is the index of a layer of it."""

    model: nn.Sequential

    @property
    def tap_count(self) -> int:
        return len(self.model)

    def forward(self, x: torch.Tensor, taps: Sequence[Tap] | None = None, encode_only: bool = False):
        if taps is None:
            return lean.run(self.model, x)[0]
        wanted = [self.tap_index(tap) for tap in taps]
        x, features = lean.run(self.model, x, wanted, max(wanted) if encode_only else None)
        listed = [features[index] for index in wanted]
        return listed if encode_only else (x, listed)
