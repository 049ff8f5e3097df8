"""How large a picture is, and whether it is grey: from the head of its file where that tells, without decoding it."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from util.images import FORMATS, is_plain, read_values
from util.reading import heif, science, tiff
from util.reading.frames import split
from util.reading.item import Item, as_file
from util.reading.pixels import ORIENTATION, open_array

GREY = frozenset({"1", "L", "LA", "La", "I", "F"})  # Pillow's modes, beside those that begin with I;16


@dataclass(frozen=True)
class Head:
    """Of a picture that is upright."""

    width: int
    height: int
    grey: bool


def read_head(path: Path | Item) -> Head:
    """The head of a picture, a page or an item; whatever a decoder of damaged files raises is raised."""
    if isinstance(path, Item):
        data = path.read()
        if is_plain(path.suffix, data):
            return _head_of_opened(io.BytesIO(data), None)
        with as_file(path, data) as there:
            return read_head(there)
    file, page = split(path)
    if path.suffix.lower() == ".npy":
        height, width, *channels = open_array(path).shape
        return Head(width, height, channels in ([], [1]))
    if science.knows(file):
        height, width, depth = read_values(path, 3)[0].shape
        return Head(width, height, depth == 1)
    if heif.kind_of(file) == "heic":
        picture = heif.opened(file)[page or 0]
        width, height = picture.size
        return Head(width, height, _is_grey(picture.mode.partition(";")[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata of a readable picture
        try:
            if tiff.knows(file):
                width, height, mode = tiff.head(file, tiff.pages(file)[page or 0])
                return Head(width, height, _is_grey(mode))
            with file.open("rb") as opened:
                return _head_of_opened(opened, page)
        except (Image.UnidentifiedImageError, ValueError):  # a TIFF that Pillow does not know
            height, width, depth = read_values(path, 3)[0].shape
            return Head(width, height, depth == 1)


def _head_of_opened(opened: BinaryIO, page: int | None) -> Head:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(opened, formats=FORMATS) as image:
            if page:
                image.seek(page)
            return head_of(image)


def head_of(image: Image.Image) -> Head:
    """Of a picture that Pillow has opened."""
    turned = image.getexif().get(ORIENTATION, 1) >= 5
    width, height = image.size[::-1] if turned else image.size
    return Head(width, height, _is_grey(image.mode))


def _is_grey(mode: str) -> bool:
    return mode in GREY or mode.startswith("I;16")
