"""What a metric gives to images that took no learning, to read the others' values against.

Padding flatters: on thin brush fonts a white page reaches an SSIM of 0.7, so a value without its floors says little.
Measured for 200 characters of Big5 level 1, from cwTeX Ming to Kai, FangSong, HeiBold and Yen, at 64 pixels:

                               L1   L1 / ink   SSIM    IoU   best shift   chamfer
    a white page             .136       1.00   .385      0         1.00      90.5
    the source, copied       .143       1.12   .401   .309         1.00      1.14
    the truth, one pixel off .058        .45   .778   .633            0       .53
"""

from collections.abc import Callable

import torch


def white_page(real: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(real)


def copied_source(real: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return source


def one_pixel_off(real: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """The truth, one pixel to the right; white comes in from the left."""
    moved = torch.ones_like(real)
    moved[..., 1:] = real[..., :-1]
    return moved


# name -> floor(real, source): images (B, C, H, W) in [-1, 1], to be compared with ``real`` where shapes agree
FLOORS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "a white page": white_page,
    "the source, copied": copied_source,
    "the truth, one pixel off": one_pixel_off,
}
