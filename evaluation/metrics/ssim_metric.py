"""Structural similarity."""

import torch

from evaluation.metrics.base_ratio import RatioMetric
from options import UserError

WINDOW = 11  # pixels: skimage cuts a Gaussian of 1.5 pixels off at 3.5 of them on either side


class SsimMetric(RatioMetric):
    """SSIM of Wang et al. (2004): Gaussian windows of 11 pixels (1.5 standard deviation), K 0.01 and 0.03, range 1.

    Windows that reach over the canvas's border are left out, as there, and channels are averaged. Libraries that pad
    count the white margin as equal: on glyphs of 64 pixels a white page then has 0.56 instead of 0.38.
    """

    better = "higher"
    name = "SSIM"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        from skimage.metrics import structural_similarity

        if min(real.shape[2:]) < WINDOW:
            H, W = real.shape[2:]
            raise UserError(f"--metrics ssim: images of {W} x {H} pixels are smaller than its window of {WINDOW}")
        pairs = zip(*(((1 + images.double()) / 2).cpu().numpy() for images in (real, fake)), strict=True)
        values = [
            structural_similarity(
                x, y, data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            for x, y in pairs
        ]
        total = torch.tensor(values, dtype=torch.float64)
        return total, torch.ones_like(total)
