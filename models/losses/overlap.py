"""How much of their ink two glyphs share."""

import torch

from .precision import in_float32


@in_float32
def dice_loss(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    r"""One minus the soft Dice coefficient of the ink, the mean over images.

    .. math:: 1 - \frac{2 \sum_p a_p b_p + 1}{\sum_p a_p + \sum_p b_p + 1}, \qquad a = \frac{1 - x}{2}

    After Milletari et al., "V-Net" (3DV 2016, section 3), with sums in place of their squares. A mean distance asks
    for the median where it is unsure, which for a thin stroke is paper; this asks for the stroke. The 1, a pixel of
    ink, keeps a blank glyph from dividing by nothing.

    Args:
        images, targets: (B, C, H, W) in [-1, 1], ink -1.
    """
    a, b = ((1 - x.flatten(1)) / 2 for x in (images, targets))
    return (1 - (2 * (a * b).sum(1) + 1) / (a.sum(1) + b.sum(1) + 1)).mean()
