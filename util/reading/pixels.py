"""From Pillow's pictures and NumPy's files to pixels (H, W, C); what a child needs of it, so without PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the tag of EXIF and of TIFF


def pixels_of(image: Image.Image, channels: int, deep: bool) -> np.ndarray:
    """A picture with its own channels, for a caller who wants so many.

    Args:
        deep: integers of 32 bits stay what they are; else they are cut off at 16.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        array = np.asarray(image)[..., None]
        return array if image.mode == "F" or deep else array.clip(0, 65535).astype(np.uint16)
    if image.has_transparency_data:
        if channels == 2 and image.mode == "LA":
            return np.array(image)
        image = image.convert("RGBA")
        if channels not in (1, 3):
            return np.array(image)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "CMYK" and channels == 4:
        return np.array(image)
    pixels = np.array(image.convert("L" if channels == 1 or image.mode in ("1", "L") else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Apply an orientation as EXIF and TIFF number them, 1 to 8."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def check_size(height: int, width: int, values: int) -> None:
    """Pillow's limit on pixels, and four values for each, where Pillow does not look."""
    if Image.MAX_IMAGE_PIXELS is not None and max(height * width, values // 4) > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def open_array(path: Path) -> Any:
    """A .npy that lies on the disk until it is used; never a pickle, never more than the file holds.

    Raises:
        ValueError: it is none.
    """
    try:
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise ValueError("not an array of NumPy")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # of a header that is damaged
        raise ValueError(f"not an array of NumPy ({type(error).__name__})") from None
