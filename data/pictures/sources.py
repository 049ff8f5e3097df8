"""Where labelled pictures come from: one function for each ``--source``, and what all of them give."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from data.items.collection import Rows
from data.loading.transforms import resize
from options import UserError
from options.sizes import Sides, sides
from util.heads import Head, read_head
from util.images import LUMA, read_pixels

LOOKED_AT = 1000  # files whose headers are read before training: a second or less


class Missing(UserError):
    """The data are not there; a test that only generates does without them."""


@dataclass(frozen=True)
class Pictures:
    """Some pictures with a label each. Fields that are arrays, or columns of shards, have a row for each picture.

    Attributes:
        labels: (N,) int64, places in the classes of the source.
        names: (N,) strings, each once; they decide what is held out for a test.
    """

    labels: np.ndarray
    names: Any

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def groups(self) -> Any:
        """(N,) strings; pictures of one group are never divided between training and test."""
        return self.names

    def path(self, row: int) -> str:
        """What the picture is called in results."""
        return str(self.names[row])

    def pixels(self, row: int, channels: int) -> np.ndarray:
        """One picture as (H, W, channels), bytes or floats in [-1, 1]."""
        raise NotImplementedError

    def take(self, rows: np.ndarray) -> "Pictures":
        return dataclasses.replace(self, **{name: column[rows] for name, column in self._columns().items()})

    def join(self, other: "Pictures") -> "Pictures":
        theirs = other._columns()
        joined: dict[str, Any] = {
            name: column.join(theirs[name]) if isinstance(column, Rows) else np.concatenate([column, theirs[name]])
            for name, column in self._columns().items()
        }
        return dataclasses.replace(self, **joined)

    def _columns(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray | Rows)}


@dataclass(frozen=True)
class Stored(Pictures):
    """Pictures in memory: ``array`` is (N, H, W, C) bytes."""

    array: np.ndarray

    def pixels(self, row: int, channels: int) -> np.ndarray:
        return with_channels(self.array[row], channels)

    def prepared(self, size: int | Sides, channels: int, most: int) -> "Stored":
        """The same at this size, scaled once for the whole run, if that takes at most so many bytes."""
        count, *shape = self.array.shape
        tall, wide = sides(size)
        if shape == [tall, wide, channels] or count * tall * wide * channels > most:
            return self
        scaled = [fit(self.pixels(row, channels), size) for row in range(count)]
        return dataclasses.replace(self, array=np.stack(scaled)) if scaled else self


@dataclass(frozen=True)
class Files(Pictures):
    """Pictures in files: ``paths`` are their Paths, or items of shards."""

    paths: Any

    def path(self, row: int) -> str:
        return str(self.paths[row])

    def pixels(self, row: int, channels: int) -> np.ndarray:
        return read_pixels(self.paths[row], channels)

    def head(self, row: int) -> Head:
        """Of the picture; whatever a decoder of damaged files raises is raised."""
        return read_head(self.paths[row])


@dataclass(frozen=True)
class Source:
    """What a kind of data has.

    Attributes:
        kind: one of --source.
        classes: names, in the order of the labels.
        phases: reads the pictures of train, test, val; or of "every", to be divided.
        channels: of the data; 0 is for the files to tell.
        mirrors: whether a mirrored picture is of the same class.
        places: where the pictures of a phase are, in a word, where that is not its name.
    """

    kind: str
    classes: tuple[str, ...]
    phases: Mapping[str, Callable[[], Pictures]]
    channels: int
    mirrors: bool
    places: Mapping[str, str] = field(default_factory=dict)


def named(labels: np.ndarray, classes: tuple[str, ...], before: str = "") -> np.ndarray:
    """Names such as cat_00012 for pictures that have none."""
    names = [f"{before}{classes[label]}_{row:05d}" for row, label in enumerate(labels)]
    return np.array(names, dtype=object)


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Bytes (H, W, C) with 1 channel (luma) or 3.

    Raises:
        UserError: another number, which the data do not have.
    """
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if (found, channels) == (1, 3):
        return pixels.repeat(3, axis=2)
    if (found, channels) == (3, 1):
        return (pixels @ LUMA[:, None]).round().astype(np.uint8)
    raise UserError(f"--output_nc {channels}: the data have {found}; give 1 or 3, or 0 for what they have")


def fit(pixels: np.ndarray, size: int | Sides) -> np.ndarray:
    """Scale to cover ``size``, bicubically with antialiasing; the aspect ratio is kept."""
    (height, width), (tall, wide) = pixels.shape[:2], sides(size)
    scale = max(tall / height, wide / width)
    return resize(pixels, max(tall, round(height * scale)), max(wide, round(width * scale)))


def window(pixels: np.ndarray, size: int | Sides, down: float = 0.5, right: float = 0.5) -> np.ndarray:
    """A piece of a picture of this size, at a part of the way from the top and from the left."""
    tall, wide = sides(size)
    top, left = int(down * (pixels.shape[0] - tall + 1)), int(right * (pixels.shape[1] - wide + 1))
    return pixels[top : top + tall, left : left + wide]


# -- the kinds of data that are small ----------------------------------------------------------------------------------


def digits(opt: Any, seed: int) -> Source:
    """scikit-learn's 1797 handwritten digits, 8 x 8 pixels of 17 levels: bright strokes on black."""
    classes = tuple("0123456789")
    return Source("digits", classes, {"every": partial(_read_digits, classes)}, channels=1, mirrors=False)


def _read_digits(classes: tuple[str, ...]) -> Pictures:
    from sklearn.datasets import load_digits

    data = load_digits()
    array = (data.images * (255 / 16)).round().astype(np.uint8)[..., None]
    labels = data.target.astype(np.int64)
    return Stored(labels, named(labels, classes), array)


def look(pictures: Files, size: int | Sides = 1) -> tuple[bool, int, int]:
    """Whether all are grey, how many are not of the shape of ``size``, and of how many; at most LOOKED_AT are seen."""
    tall, wide = sides(size)
    grey, oblong = True, 0
    rows = range(0, len(pictures), max(1, -(-len(pictures) // LOOKED_AT)))
    for row in rows:
        try:
            head = pictures.head(row)
            grey &= head.grey
            oblong += head.width * tall != head.height * wide
        except Exception:  # whoever reads it says what is wrong with it
            continue
    return grey, oblong, len(rows)
