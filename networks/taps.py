"""Generators that can be listened to: the contract of every network that PatchNCE compares patches of."""

from collections.abc import Sequence

import torch
from torch import nn

Tap = int | str


class TappedSequential(nn.Module):
    """A generator that is one flat ``nn.Sequential`` called ``model``.

    ======================================  ====================================================
    ``G(x)``                                image (B, out, H, W)
    ``G(x, taps)``                          the image, and the features of the same pass
    ``G(x, taps, encode_only=True)``        the features alone; the pass stops at the last tap
    ======================================  ====================================================

    A tap is a name from ``tap_names`` or, as in the published code, the index of a layer of ``model``; its
    feature is what that layer puts out, (B, C_l, H_l, W_l).
    """

    model: nn.Sequential
    tap_names: dict[str, int]
    stride = 1                  # height and width of the input must be multiples of this

    def forward(self, x: torch.Tensor, taps: Sequence[Tap] | None = None, encode_only: bool = False):
        if taps is None:
            return self.model(x)
        wanted = [self.tap_index(tap) for tap in taps]
        features: dict[int, torch.Tensor] = {}
        for index, layer in enumerate(self.model):
            if encode_only and index > max(wanted):
                break
            x = layer(x)
            if index in wanted:
                features[index] = x
        listed = [features[index] for index in wanted]
        return listed if encode_only else (x, listed)

    def tap_index(self, tap: Tap) -> int:
        """The layer a tap means.

        Raises:
            ValueError: there is no such layer.
        """
        if str(tap) in self.tap_names:
            return self.tap_names[str(tap)]
        if str(tap).isdecimal() and int(tap) < len(self.model):
            return int(tap)
        raise ValueError(f"no layer {tap!r}; choose from {', '.join(self.tap_names)}, or 0 to {len(self.model) - 1}")

    @property
    def per_image(self) -> bool:
        """Whether an image's features depend on that image alone and on no draw, so that they can be used again."""
        return not any(isinstance(m, nn.modules.batchnorm._BatchNorm) or (isinstance(m, nn.Dropout) and m.p > 0)
                       for m in self.modules())
