"""At which scale a picture is translated: its own, or that of the pictures that a generator was trained on.

A scale is a factor: pixels that a network sees, in parts of the pixels of the file. A run keeps, for each side of its
data, the median of what ``--preprocess`` made of its training pictures.
"""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F

from options import UserError
from options.fields import check_scale
from util.files import json_or_empty
from util.writing import write_atomically

FILE = "scale.json"
NEAR = (0.67, 1.5)  # training scales within which auto leaves pictures as they are


def save_scales(run: Path, factors: dict[str, Iterable[float]]) -> None:
    """Keep with a run the median factor of each side, A and B."""
    medians = {side: statistics.median(found) for side, values in factors.items() if (found := list(values))}
    write_atomically(run / FILE, json.dumps(medians) + "\n")


def trained_scale(run: Path, side: str) -> float | None:
    """The factor that pictures of this side were trained at; None where it is not known, as of published weights."""
    found = json_or_empty(run / FILE).get(side)
    return float(found) if isinstance(found, int | float) and found > 0 else None


def chosen_factor(scale: str, trained: float | None) -> float:
    """What both sides of a picture are multiplied by before it is translated.

    Args:
        scale: as the flag.
        trained: from :func:`trained_scale`.

    Raises:
        UserError: it is no scale, or ``train`` where the training scale is not known.
    """
    check_scale(scale)
    if scale == "train" and trained is None:
        raise UserError("--scale train: what is loaded does not say at which scale it was trained; give a factor")
    if scale == "native" or (scale == "auto" and (trained is None or NEAR[0] <= trained <= NEAR[1])):
        return 1.0
    return float(trained or 1.0) if scale in ("auto", "train") else float(scale)


def words_of(scale: str, trained: float | None, factor: float, keep_scale: bool = False) -> str:
    """One line about what is done."""
    known = "the training scale is not known" if trained is None else f"trained at {trained:.3g}"
    if factor == 1.0:
        return f"--scale {scale}: pictures are translated at their own size; {known}"
    then = "left so" if keep_scale else "brought back to their own size"
    return f"--scale {scale}: pictures are translated at {factor:.3g} of their size and {then}; {known}"


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Height and width at this factor, aspect kept to a pixel."""
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


def resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, C, H, W) in [-1, 1] at this height and width, bicubic with antialiasing."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images.float(), size, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
