"""Inputs that a page of results shows where they lie, in place of a copy: which may be, and where they are noted.

A page shows an input by its address relative to the page. Each is a line of ``inputs.jsonl`` beside the page: what its
copy would be called, its address, and its hash. Results may come from anybody, so whoever reads that list takes a file
for the input only if the hash says so.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from util.files import read_text, sha256
from util.reading.json_file import decode_json, misfit
from util.reading.pixels import ORIENTATION
from util.writing import append

LIST = "inputs.jsonl"
BROWSERS = ("JPEG", "MPO", "PNG", "WEBP", "GIF")  # what every browser shows, as Pillow calls it; MPO: JPEGs of phones
PLAIN = ("1", "L", "P", "RGB")  # modes of 8 bits and less, without transparency
SRGB = b"sRGB", "sRGB".encode("utf-16-be")  # in the name of a colour profile, of version 2 and 4
GAMMA = 1 / 2.2  # of sRGB, as a PNG says it
SHAPE = {"image": str, "file": str, "sha256": str}


@dataclass(frozen=True)
class Input:
    """A picture that was an input, and the hash that it had then."""

    file: Path
    sha256: str

    def is_there(self) -> bool:
        """Whether the file is there, and still the same."""
        try:
            return sha256(self.file) == self.sha256
        except OSError:
            return False


def address(source: str, page: Path, levels: np.ndarray) -> str | None:
    """The address, relative to the folder of a page, at which it can show a source; None where it needs a copy.

    Both lie below the current folder and are reached through no link, so the address holds wherever that folder is
    moved, and a browser shows the very levels.

    Args:
        levels: bytes (H, W) or (H, W, 3) that the page is to show.
    """
    here = os.path.realpath(Path.cwd())
    for path in (source, page):
        real = os.path.realpath(path)
        if real != os.path.abspath(path) or not Path(real).is_relative_to(here):  # noqa: PTH100  (resolve() follows links)
            return None
    if not Path(source).is_file() or not shown_alike(Path(source), levels):
        return None
    return os.path.relpath(os.path.realpath(source), os.path.realpath(page))


def shown_alike(path: Path, levels: np.ndarray) -> bool:
    """Whether a browser shows these levels for a file."""
    try:
        with Image.open(path, formats=[kind for kind in BROWSERS if kind != "MPO"]) as image:
            if not _is_plain(image, path):
                return False
            shown = np.asarray(ImageOps.exif_transpose(image).convert("L" if levels.ndim == 2 else "RGB"))
            return _is_grey(image) >= (levels.ndim == 2) and np.array_equal(shown, levels)
    except Exception:  # decoders of damaged files raise what they please; then there is a copy of what was read
        return False


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L")


def _is_plain(image: Image.Image, path: Path) -> bool:
    """Of 8 bits, opaque, still, upright or turned as every browser turns it, in the colours of the web."""
    if image.format not in BROWSERS or image.mode not in PLAIN or image.has_transparency_data:
        return False
    if image.format not in ("JPEG", "MPO"):
        with path.open("rb") as file:
            deep = image.format == "PNG" and file.read(25)[24] == 16  # of colours Pillow keeps 8
        if deep or getattr(image, "is_animated", False) or image.getexif().get(ORIENTATION, 1) != 1:
            return False
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if profile and not any(name in profile for name in SRGB):
        return False
    return gamma is None or "srgb" in image.info or abs(gamma - GAMMA) < 1e-3


def note_input(folder: Path, image: str, file: str, source: Path) -> None:
    """Add an input to the list of a folder of results.

    Args:
        image: what its copy would be called, relative to the folder.
        file: its address, relative to the folder.
    """
    line = {"image": image, "file": file, "sha256": sha256(source)}
    append(folder / LIST, json.dumps(line) + "\n")


def noted_inputs(folder: Path) -> dict[str, Input]:
    """{what its copy would be called: an input}, relative to a folder of results; nothing where there is no list."""
    return dict(_lines(folder))


def inputs_in(path: Path) -> dict[str, Input]:
    """{name: an input} of those whose copies would lie in a folder of images, or below, relative to it."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  (links stay: results are where they are looked at)
    root = next((root for root in (path, *path.parents[:3]) if (root / LIST).is_file()), None)
    if root is None:
        return {}
    found = ((root / name, one) for name, one in noted_inputs(root).items())
    return {name.relative_to(path).as_posix(): one for name, one in found if name.is_relative_to(path)}


def _lines(folder: Path) -> Iterator[tuple[str, Input]]:
    for text in read_text(folder / LIST).splitlines():
        try:
            line = decode_json(text, halves=True)
        except ValueError:  # the last line of a test that was killed
            continue
        if misfit(line, SHAPE) or "\0" in line["image"] + line["file"]:
            continue
        parts = Path(line["image"]).parts  # below the folder of a style, if there are several
        if ".." not in parts and len(parts) in (3, 4) and parts[-3] == "images":
            yield line["image"], Input(folder / line["file"], line["sha256"])
