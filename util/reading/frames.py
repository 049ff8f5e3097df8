"""Files of several pages: every page of a TIFF, frame of an animation or slice of a volume is an image of its own.

A page has a path below its file, which no file can have: ``scan.tif/scan_0003.tif`` is the third page of ``scan.tif``.
"""

import re
from pathlib import Path

from PIL import Image

from util.reading import heif, science, tiff

PAGED = frozenset({".tif", ".tiff", ".gif", ".webp", *heif.HEIC, *heif.AVIF})
PAGE = re.compile(r"_(\d{4,})$")


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
    if tiff.knows(path):
        return len(tiff.pages(path))
    with Image.open(path, formats=("GIF", "WEBP", "AVIF")) as image:
        return getattr(image, "n_frames", 1)
