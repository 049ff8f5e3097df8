"""Many small images in one file: a column for each item, its images below each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageOps

GAP = 4  # pixels between two images
LARGEST = 128  # pixels a side that an image takes at most


def contact_sheet(items: Sequence[Mapping[str, np.ndarray]], rows: Sequence[str]) -> np.ndarray:
    """A grid of bytes (H, W, 4); gaps, and the place of an image that is missing, are transparent.

    Args:
        items: {row: image}, bytes (H, W) or (H, W, 3), of any sizes; one that is not as large as the largest, or is
            larger than a place, is scaled to fit.
        rows: in display order.
    """
    shapes = [image.shape for item in items for image in item.values()]
    height, width = max(s[0] for s in shapes), max(s[1] for s in shapes)
    scale = min(1.0, LARGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sheet = Image.new("RGBA", (len(items) * (size[0] + GAP) - GAP, len(rows) * (size[1] + GAP) - GAP))
    for column, item in enumerate(items):
        for row, name in enumerate(rows):
            if name not in item:
                continue
            picture = ImageOps.contain(Image.fromarray(item[name]).convert("RGB"), size, Image.Resampling.BOX)
            left = column * (size[0] + GAP) + (size[0] - picture.width) // 2
            top = row * (size[1] + GAP) + (size[1] - picture.height) // 2
            sheet.paste(picture, (left, top))
    return np.asarray(sheet)
