"""Pictures and their classes among arrays of a file: what people call them, how they lie, and what a class is."""

from typing import Any

import numpy as np

IMAGES = ("images", "image", "imgs", "img", "x", "data", "arr_0")
LABELS = ("labels", "label", "y", "targets", "target", "arr_1")
NAMES = ("classes", "class_names", "label_names")
LARGEST = 1 << 53  # of a class's number, to which floats are whole
LAYOUTS = "(N, H, W), (N, H, W, C) or (N, C, H, W)"


def layout(shape: tuple[int, ...], name: str) -> tuple[str, int]:
    """Where the channels of (N, ...) are, and how many.

    Raises:
        ValueError: they are no pictures of 1 or 3 channels.
    """
    if len(shape) == 3:
        return "none", 1
    if len(shape) == 4 and shape[3] in (1, 3):
        return "last", shape[3]
    if len(shape) == 4 and shape[1] in (1, 3):
        return "first", shape[1]
    sides = " x ".join(map(str, shape))
    raise ValueError(f"{name} is of {sides}; wanted are pictures {LAYOUTS} of 1 or 3 channels")


def channels_last(array: np.ndarray, name: str) -> np.ndarray:
    """The same pictures as (N, H, W, C).

    Raises:
        ValueError: they are no pictures of 1 or 3 channels.
    """
    where, _ = layout(array.shape, name)
    array = array[..., None] if where == "none" else array.transpose(0, 2, 3, 1) if where == "first" else array
    return np.ascontiguousarray(array)


def labels_of(there: Any, name: str) -> np.ndarray:
    """(N,) numbers or texts; of one-hot rows their places.

    Args:
        there: arrays by name, as of util.reading.npz or util.reading.hdf5.

    Raises:
        ValueError: they are no classes of pictures.
    """
    try:
        found = np.asarray(there[name])
    except ValueError:  # not of numbers
        found = np.array(there.words(name))
    if found.ndim == 2 and found.shape[1] > 1:
        if not (((found == 0) | (found == 1)).all() and (found.sum(1) == 1).all()):
            raise ValueError(f"{name} is of {' x '.join(map(str, found.shape))}; wanted is a class for each picture")
        return found.argmax(1)
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if found.ndim != 1:
        raise ValueError(f"{name} has {found.ndim} sides; wanted is a class for each picture")
    if found.dtype.kind == "f" and not (found == found.round()).all():
        raise ValueError(f"{name} has numbers that are not whole")
    if found.dtype.kind in "fu" and found.size and not -LARGEST < float(found.min()) <= float(found.max()) < LARGEST:
        raise ValueError(f"{name} has numbers of classes from {found.min():g} to {found.max():g}")
    if found.dtype.kind == "f":
        return found.astype(np.int64)
    return found.astype(np.int64) if found.dtype.kind in "bui" else found


def check_alike(images: int, name: str, labels: int, of: str) -> None:
    """Raises:
    ValueError: there is not a label for each picture.
    """
    if images != labels:
        raise ValueError(f"{images} pictures in {name} and {labels} labels in {of}")
