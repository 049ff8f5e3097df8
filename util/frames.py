"""Files of several pages: every page of a TIFF, frame of an animation or slice of a volume is an image of its own.

A page has a path below its file, which no file can have: ``scan.tif/scan_0003.tif`` is the third page of ``scan.tif``.
"""

import re
import struct
from pathlib import Path

from PIL import Image

from util import heif, science

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PAGED = frozenset({".tif", ".tiff", ".gif", ".webp", *heif.HEIC, *heif.AVIF})
PAGE = re.compile(r"_(\d{4,})$")
REDUCED, MASK = 1, 4  # of TIFF's NewSubfileType: a smaller copy of another page, and what is transparent of it


def split(path: Path) -> tuple[Path, int | None]:
    """The file, and which of its pages counting from 0; None where the path names the file as a whole."""
    number = PAGE.search(path.stem)
    if number is not None and path.parent.is_file():
        return path.parent, int(number[1]) - 1
    return path, None


def named(path: Path) -> Path:
    """The path that a page would have as a file of its own, beside the file that it lies in."""
    file, page = split(path)
    return path if page is None else file.parent / path.name


def pages_of(path: Path) -> list[Path]:
    """The paths of a file's pages; the file alone where it is one picture, or none that can be read."""
    try:
        count = count_pages(path) if path.suffix.lower() in PAGED or science.knows(path) else 1
    except Exception:  # decoders of damaged files raise what they please; who reads it is told
        count = 1
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return [path] if count == 1 else [path / f"{plain.stem}_{k:04d}{plain.suffix}" for k in range(1, count + 1)]


def count_pages(path: Path) -> int:
    """How many images a file is; whatever its decoder raises is raised."""
    if science.knows(path):
        return science.count(path)
    if heif.kind_of(path) == "heic":
        return len(heif.opened(path))
    with path.open("rb") as file:
        if file.read(4) in TIFF_HEADS:
            return len(tiff_pages(path))
    with Image.open(path, formats=("GIF", "WEBP", "AVIF")) as image:
        return getattr(image, "n_frames", 1)


def tiff_pages(path: Path) -> list[int]:
    """The places of a TIFF's images among its directories, without thumbnails and masks."""
    if _has_one_directory(path):
        return [0]
    import tifffile

    with tifffile.TiffFile(path) as file:
        kinds = [int(page.subfiletype) for page in file.pages]  # type: ignore[union-attr]
    return [i for i, kind in enumerate(kinds) if not kind & (REDUCED | MASK)] or [0]


def _has_one_directory(path: Path) -> bool:
    """Whether nothing follows the first directory of a classic TIFF: most files, told without parsing them."""
    with path.open("rb") as file:
        head = file.read(8)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
        if order is None or len(head) < 8:
            return False
        start = struct.unpack(f"{order}I", head[4:])[0]
        file.seek(start)
        entries = struct.unpack(f"{order}H", file.read(2))[0]
        file.seek(start + 2 + 12 * entries)
        return file.read(4) == b"\0\0\0\0"
