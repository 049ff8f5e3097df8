"""How images become 299 x 299 for Inception, a way for each tool whose values are published: FID differs by points."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


@dataclass(frozen=True)
class Resize:
    """A tool's way from bytes to what Inception sees.

    Attributes:
        resize: images (N, C, H, W) in [0, 255], bytes or floats, and a size to floats (N, C, size, size) in [0, 255].
        centre: the level that Inception sees as 0; what it sees is (level - centre) / centre.
        words: for a reader of values.
    """

    resize: Callable[[torch.Tensor, int], torch.Tensor]
    centre: float
    words: str

    def __call__(self, levels: torch.Tensor, size: int) -> torch.Tensor:
        return (self.resize(levels, size) - self.centre) / self.centre


def antialiased(levels: torch.Tensor, size: int) -> torch.Tensor:
    """Resize each channel by Pillow's bicubic filter, which widens where an image shrinks, and round nothing.

    What clean-fid does before Inception: Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN
    Evaluation" (CVPR 2022). An image that is small is made large by it and so is blurred, as in published scores.

    Args:
        levels: (N, C, H, W) in [0, 255], bytes or floats.
        size: height and width of the result, in pixels.

    Returns:
        (N, C, size, size) float32 on the CPU, in [0, 255]: what the filter overshoots is cut off.
    """
    N, C = levels.shape[:2]
    resized = np.empty((N, C, size, size), np.float32)
    for n, channels in enumerate(levels.float().cpu().numpy()):
        for c, channel in enumerate(channels):
            picture = Image.fromarray(np.ascontiguousarray(channel))  # of floats: mode F
            resized[n, c] = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.clip(0, 255))


def bilinear(levels: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear between the nearest four pixels, centres of pixels on half numbers: what shrinks much is aliased."""
    return F.interpolate(levels.float(), size=(size, size), mode="bilinear", align_corners=False)


def bilinear_of_tensorflow(levels: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear as TensorFlow 1 has it: pixel i lies at i, so a result is shifted by up to half a pixel."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    if not len(levels):
        return levels.new_zeros(0, levels.shape[1], size, size, dtype=torch.float32)
    return interpolate_bilinear_2d_like_tensorflow1x(levels.float(), (size, size), align_corners=False)


WAYS = {  # of --resize
    "clean": Resize(antialiased, 128, "by bicubic with antialiasing on floats, as clean-fid"),
    "legacy-pytorch": Resize(bilinear, 127.5, "by bilinear without antialiasing, as pytorch-fid"),
    "legacy-tf": Resize(bilinear_of_tensorflow, 128, "by TensorFlow 1's bilinear, as torch-fidelity and the first FID"),
}
