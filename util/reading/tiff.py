"""TIFF. What its directories chain together can loop, and its tags can point anywhere any number of times.

A file that is simple, as most are, is read where it is wanted; any other in a child
(:func:`util.reading.child.in_child`).
"""

import logging
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from util.reading.child import in_child
from util.reading.pixels import ORIENTATION, check_size, pixels_of, upright

HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BITS_PER_SAMPLE, PHOTOMETRIC = 0x0102, 0x0106
REDUCED, MASK = 1, 4  # of TIFF's NewSubfileType: a smaller copy of another page, and what is transparent of it
BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # of a value, by its type
MOST_TAGS = 200
MOST_PAGES = 100_000


def knows(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in HEADS


def head(path: Path, place: int) -> tuple[int, int, str]:
    """Width and height of the image at a place, upright, and Pillow's mode of it."""
    if is_simple(path):
        return find_head(path, place)
    width, height, mode = in_child("util.reading.tiff:find_head", path, place)
    return width, height, mode


def pages(path: Path) -> list[int]:
    """The places of a TIFF's images among its directories, without thumbnails and masks."""
    return [0] if is_simple(path) else in_child("util.reading.tiff:find_pages", path)


def decode(path: Path, place: int, channels: int, deep: bool) -> np.ndarray:
    """The image at a place with its own channels, upright; ``channels`` and ``deep`` as :func:`.pixels_of` has them."""
    if is_simple(path) and channels in (1, 3) and _is_plain(path, place):
        return _by_pillow(path, place, channels, deep)
    return in_child("util.reading.tiff:decode_any", path, place, channels, deep)


def is_simple(path: Path) -> bool:
    """Whether a classic TIFF has one directory, whose tags together point at no more than the file has."""
    with path.open("rb") as file:
        head = file.read(8)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
        if order is None or len(head) < 8:
            return False
        file.seek(struct.unpack(f"{order}I", head[4:])[0])
        try:
            entries = struct.unpack(f"{order}H", file.read(2))[0]
            tags = struct.unpack(f"{order}{'HHI4x' * entries}I", file.read(12 * entries + 4))
        except struct.error:
            return False
        size = sum(BYTES.get(kind, 1 << 30) * count for kind, count in zip(tags[1::3], tags[2::3], strict=False))
        return tags[-1] == 0 and entries <= MOST_TAGS and size <= os.fstat(file.fileno()).st_size


def _is_plain(path: Path, place: int) -> bool:
    """Whether Pillow loses nothing of this TIFF: up to four samples of 1 or 8 bits, or one of 16."""
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            image.seek(place)
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            bits = tags.get(BITS_PER_SAMPLE, (1,))
            black_is_zero = tags.get(PHOTOMETRIC) == 1  # of 16 bits Pillow takes either for that
            return (len(bits) <= 4 and set(bits) <= {1, 8}) or (image.mode.startswith("I;16") and black_is_zero)
    except (Image.UnidentifiedImageError, SyntaxError):  # the latter of a page that is not the first
        return False


def _by_pillow(path: Path, place: int, channels: int, deep: bool) -> np.ndarray:
    with Image.open(path, formats=("TIFF",)) as image:
        image.seek(place)
        turn = image.getexif().get(ORIENTATION, 1)
        return upright(pixels_of(image, channels, deep), turn)


# -- in a child --------------------------------------------------------------------------------------------------------


def find_pages(path: Path) -> list[int]:
    import tifffile

    _be_quiet()
    with tifffile.TiffFile(path) as file:
        if len(file.pages) > MOST_PAGES:
            raise ValueError(f"more than {MOST_PAGES:,} pages")
        kinds = [int(page.subfiletype) for page in file.pages]  # type: ignore[union-attr]
    return [i for i, kind in enumerate(kinds) if not kind & (REDUCED | MASK)] or [0]


def find_head(path: Path, place: int) -> tuple[int, int, str]:
    with Image.open(path, formats=("TIFF",)) as image:
        image.seek(place)
        width, height = image.size
        return (height, width, image.mode) if image.getexif().get(ORIENTATION, 1) >= 5 else (width, height, image.mode)


def decode_any(path: Path, place: int, channels: int, deep: bool) -> np.ndarray:
    if channels in (1, 3) and _is_plain(path, place):
        return _by_pillow(path, place, channels, deep)
    import tifffile

    _be_quiet()
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[place]
        tags, sizes = page.tags, dict(zip(page.axes, page.shape, strict=True))
        check_size(sizes["Y"], sizes["X"], page.size)
        array = page.asarray()
        axes, turn = page.axes, tags.valueof(ORIENTATION, 1)
        white_is_zero = tags.valueof("PhotometricInterpretation") == 0
    for axis in set(axes) - {"Y", "X"}:  # a lone plane is no channel
        if sizes[axis] == 1:
            array, axes = array.squeeze(axes.index(axis)), axes.replace(axis, "")
    if len(axes) > 3:
        raise ValueError(f"a TIFF with axes {axes} of sizes {array.shape}")
    rest = [i for i, axis in enumerate(axes) if axis not in "YX"]
    array = array.transpose(axes.index("Y"), axes.index("X"), *rest)
    array = array if array.ndim == 3 else array[..., None]
    return upright(_inverted(array) if white_is_zero else array, int(turn))


def _inverted(array: np.ndarray) -> np.ndarray:
    """Values whose smallest is white: of integers within their type, of floats within [0, 1]."""
    return 1 - array if array.dtype.kind == "f" else ~array


def _be_quiet() -> None:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is raised or of no consequence
