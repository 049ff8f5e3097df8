"""HEIF containers: HEIC, as telephones write it, by the extra ``heic``; AVIF is Pillow's."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from options import UserError
from util.extras import package

HEIC, AVIF = (".heic", ".heif", ".hif"), (".avif",)
# Brands of the box ftyp, in which a file says what it is: of HEVC's pictures, of AV1's, and of either.
OF_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
OF_AV1 = {b"avif", b"avis"}
OF_EITHER = {b"mif1", b"msf1"}


def kind_of(path: Path) -> str:
    """heic or avif by a file's first bytes, whatever it is called; empty for anything else."""
    with path.open("rb") as file:
        head = file.read(128)
    if head[4:8] != b"ftyp":
        return ""
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[i : i + 4] for i in range(16, len(box), 4))}
    if brands & OF_HEVC or (brands & OF_EITHER and not brands & OF_AV1):
        return "heic"
    return "avif" if brands & OF_AV1 else ""


def check_avif(path: Path) -> None:
    """Raises:
    UserError: this Pillow cannot read AVIF.
    """
    if not features.check("avif"):
        raise UserError(f"{path}: this build of Pillow lacks AVIF; install Pillow's own: uv pip install -U pillow")


def opened(path: Path) -> list[Any]:
    """The pictures of a HEIC file, not yet decoded: ``size`` (width, height) upright, ``mode``.

    Thumbnails, depths and other companions of a picture are not among them.

    Raises:
        UserError: the package is not installed.
    """
    return list(package("pi_heif", "heic", path).open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False))


def decoded(picture: Any) -> Image.Image | np.ndarray:
    """A picture of 8 bits as Pillow has it; one of 10 or 12 as uint16 (H, W, C) whose white is 65535.

    It is upright: the container says how it is turned, and libheif does it. EXIF says so again, and does not count.
    """
    width, height = picture.size
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    mode, _, bits = picture.mode.partition(";")
    if not bits:
        image = picture.to_pillow()
        return image.convert("LA") if mode == "La" else image
    if mode.endswith("a"):
        raise ValueError(f"premultiplied transparency of {bits} bits")
    levels = np.asarray(picture)
    scaled = (levels.astype(np.float64) * (65535 / (2 ** int(bits) - 1))).round().astype(np.uint16)
    return scaled if scaled.ndim == 3 else scaled[..., None]
