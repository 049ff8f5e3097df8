"""Images at the size that a published network was evaluated at, resized as its evaluations do it."""

import numpy as np
import torch
from PIL import Image


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
