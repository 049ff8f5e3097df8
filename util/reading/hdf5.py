"""HDF5, decoded in a child (:mod:`util.reading.child`), for its library is made for files that are trusted.

It needs the package of the extra ``hdf5``.
"""

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from util.extras import require
from util.reading.child import in_child

MOST = 1000  # arrays of a file
MOST_TEXTS = 1 << 20
SECONDS = 600  # for an array: a gigabyte takes seconds, unless it is packed


class Hdf5:
    """Arrays of a file by name, as :class:`util.reading.npz.Arrays` has them."""

    def __init__(self, path: Path):
        require("h5py", "hdf5", path)
        self.path = path
        self.shapes = {name: tuple(shape) for name, shape in in_child("util.reading.hdf5:listing", path)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """There is nothing to close: the child opens the file anew."""

    def __iter__(self) -> Any:
        return iter(self.shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def words(self, name: str) -> list[str]:
        return in_child("util.reading.hdf5:texts", self.path, name)

    def __getitem__(self, name: str) -> np.ndarray:
        return in_child("util.reading.hdf5:array", self.path, name, seconds=SECONDS)


def listing(path: Path) -> list[list[Any]]:
    """Name and shape of the arrays, in groups too."""
    import h5py

    found: list[list[Any]] = []

    def see(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append([name, [int(n) for n in item.shape or ()]])
            if len(found) > MOST:
                raise ValueError(f"more than {MOST} arrays")

    with h5py.File(path, "r") as file:
        file.visititems(see)
    return found


def array(path: Path, name: str) -> np.ndarray:
    """One array of numbers.

    Raises:
        ValueError: it is of other things, or lies in another file.
    """
    import h5py

    with h5py.File(path, "r") as file:
        found = file[name]
        if found.dtype.kind not in "buif" or _is_elsewhere(found):
            raise ValueError(f"{name[:40]} is not of plain numbers of this file")
        if math.prod(found.shape) * found.dtype.itemsize > 50 * max(path.stat().st_size, 1 << 20):
            raise ValueError(f"{name[:40]} would unpack to far more than the file is")
        return found[()]


def texts(path: Path, name: str) -> list[str]:
    """One array of texts.

    Raises:
        ValueError: it is of other things, lies in another file, or has too many.
    """
    import h5py

    with h5py.File(path, "r") as file:
        found = file[name]
        if h5py.check_string_dtype(found.dtype) is None or _is_elsewhere(found):
            raise ValueError(f"{name[:40]} is of neither plain numbers nor texts of this file")
        if found.size > MOST_TEXTS:
            raise ValueError(f"{name[:40]} has more than {MOST_TEXTS:,} texts")
        return [str(word) for word in found.asstr()[()].ravel()]


def _is_elsewhere(found: Any) -> bool:
    """Whether values of an array are those of another file, which may be any that the user can read."""
    return bool(found.external) or found.is_virtual
