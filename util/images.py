"""Between image files and tensors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def to_uint8(image: torch.Tensor) -> np.ndarray:
    """A float image (C, H, W) in [-1, 1] as bytes (H, W) or (H, W, 3), rounded to the nearest level.

    Two channels, or more than three, show their first as grey.
    """
    image = image.detach().float().cpu().clamp(-1, 1)
    image = image[:1] if image.shape[0] not in (1, 3) else image
    levels = ((image + 1) * 127.5).round().to(torch.uint8).numpy()
    return levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)


def save_image(image: torch.Tensor, path: Path) -> None:
    """Write one image (C, H, W) in [-1, 1] as a PNG; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")      # a page that is being looked at never loads half a file
    Image.fromarray(to_uint8(image)).save(temporary, format="PNG")
    temporary.replace(path)
