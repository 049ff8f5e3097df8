"""Whether a translation keeps the structure of its source."""

import torch
import torch.nn.functional as F

from evaluation.metrics.base_ratio import RatioMetric
from options import UserError

PATCH, STRIDE = 8, 4  # pixels
LARGEST = 128  # pixels: 961 patches; larger images are reduced to it
FLAT = 1e-4  # deviation of all similarities of an image without structure: rounding, or far less than a level of 8 bits
NOISE = 2 / 255  # of the range, standard deviation: a patch with less contrast is about flat


class SelfSimilarityMetric(RatioMetric):
    r"""How much the similarities of an image's patches with each other change from source to translation, 0 to 2.

    .. math:: 1 - \operatorname{corr}_{i<j}(S^{source}_{ij}, S^{translation}_{ij}), \qquad
              S_{ij} = \hat p_i \cdot \hat p_j

    The patches p are grey, mean-free and of unit length, 8 pixels wide and 4 apart; flat ones are about 0. 0 is a
    copied source, around 1 an image that has nothing to do with it. The idea is that of Zheng, Cham, Cai, "The
    Spatially-Correlative Loss for Various Image Translation Tasks" (CVPR 2021), who compare maps of similarity of
    features of VGG; here it is on pixels, and no network is asked.

    What it does not see: the inversion of all grey levels, brightness, contrast (but in what is nearly flat), and
    colour of equal grey. What it sees: edges that move, vanish or appear, new texture, and part of an image inverted.
    A good translation that gives its subject stripes is not at 0 either; compare methods, not tasks.
    """

    name = "self-similarity"
    against = "source"

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        H, W = (min(sides) for sides in zip(real.shape[2:], fake.shape[2:], strict=True))
        scale = min(1.0, LARGEST / max(H, W))
        size = round(scale * H), round(scale * W)
        if min(size) < PATCH + STRIDE:
            raise UserError(
                f"--metrics self_similarity: images of {size[1]} x {size[0]} pixels; {PATCH + STRIDE} are the least"
            )
        values = [change(*(similarities(image, size) for image in pair)) for pair in zip(real, fake, strict=True)]
        changes = torch.tensor(values, dtype=torch.float64)
        return changes, torch.ones_like(changes)


def similarities(image: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """(T, T) of an image (C, H, W) in [-1, 1], reduced to ``size``: similarity of every patch with every other."""
    grey = (image.float().mean(0) / 2)[None, None]  # the range is 1
    if grey.shape[2:] != size:
        grey = F.interpolate(grey, size, mode="bilinear", antialias=True)
    patches = F.unfold(grey, PATCH, stride=STRIDE)[0].T  # (T, 64)
    patches = patches - patches.mean(1, keepdim=True)
    lengths = patches.square().sum(1, keepdim=True)
    patches = patches / (lengths + (PATCH * NOISE) ** 2).sqrt()
    return patches @ patches.T


def change(x: torch.Tensor, y: torch.Tensor) -> float:
    """1 - correlation of the entries off the diagonal; of two flat images it is 0, of one 1."""
    T = len(x)
    x, y = (s[~torch.eye(T, dtype=torch.bool, device=s.device)].double() for s in (x, y))
    x, y = x - x.mean(), y - y.mean()
    flat = [bool(s.norm() < FLAT * T) for s in (x, y)]
    if any(flat):
        return 0.0 if all(flat) else 1.0
    return 1 - ((x * y).sum() / (x.norm() * y.norm())).clamp(-1, 1).item()
