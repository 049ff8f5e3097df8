"""Pictures and labels that are arrays of one file: NumPy's .npz, or HDF5 as StudioGAN and BigGAN-PyTorch write it."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.loading.phases import PHASES, standard
from data.pictures.folders import divided_or_whole
from data.pictures.sources import Missing, Pictures, Source, Stored, named
from options import UserError
from util import distributed
from util.reading.hdf5 import Hdf5
from util.reading.labelled import IMAGES, LABELS, NAMES, channels_last, check_alike, labels_of, layout
from util.reading.npz import open_npz

ENDINGS = {"npz": (".npz",), "hdf5": (".h5", ".hdf5", ".hdf")}
OPEN: Mapping[str, Callable[[Path], Any]] = {"npz": open_npz, "hdf5": Hdf5}
WANTED = "images and labels, x and y, arr_0 and arr_1, or such with a phase: x_train, y_train, x_test, y_test"


def files_of(root: Path, endings: Iterable[str]) -> dict[str, Path]:
    """Phase -> its file below ``root``, by the last word of its name (``CIFAR10_32_train.hdf5``); "" -> the only file.

    Raises:
        UserError: several files could be meant.
    """
    if root.is_file():
        return {"": root} if root.name.lower().endswith(tuple(endings)) else {}
    there = [p for p in sorted(root.iterdir()) if p.is_file() and p.name.lower().endswith(tuple(endings))]
    found: dict[str, Path] = {}
    for path in there:
        words = re.split(r"[^a-z0-9]+", path.name.lower().partition(".")[0])
        phase = next((standard(word) for word in reversed(words) if standard(word) in PHASES), "")
        if phase in found or (phase == "" and len(there) > 1):
            raise UserError(f"--dataroot {root}: {path.name} and others could be meant; give one file")
        found[phase] = path
    return found


def arrays(kind: str, opt: Any, seed: int) -> Source:
    """Files of arrays of usual names, by phase.

    Raises:
        Missing: there is no such file.
        UserError: it is damaged, or has no such arrays.
    """
    root = Path(opt.dataroot)
    files = files_of(root, ENDINGS[kind]) if root.exists() else {}
    if not files:
        raise Missing(f"--dataroot {root}: no file of {' '.join(ENDINGS[kind])}")
    parts: dict[str, tuple[Path, str, str]] = {}
    labels: dict[str, np.ndarray] = {}
    words: tuple[str, ...] = ()
    channels = 0
    for of_file, path in files.items():
        with _reading(path), OPEN[kind](path) as there:
            for phase, (images, of) in _pairs(path, there).items():
                key = standard(phase or of_file) or "every"
                parts[key], labels[key] = (path, images, of), labels_of(there, of)
                channels = layout(there.shape(images), images)[1]
            if name := next((n for n in there if n.lower() in NAMES), None):
                words = tuple(there.words(name))
    if "train" in parts and "every" in parts:
        parts.pop("every")
    first = labels["train" if "train" in parts else next(iter(parts))]
    with _reading(parts["train" if "train" in parts else next(iter(parts))][0]):
        classes = _classes(first, words)
    readers = {
        phase: partial(_read, kind, *parts[phase], phase, labels[phase], classes)
        for phase in ("train", "test", "val", "every")
        if phase in parts
    }
    source = divided_or_whole(kind, tuple(classes), readers, {k: parts[k][1] for k in readers})  # type: ignore[arg-type]
    return Source(kind, source.classes, source.phases, channels, channels == 3, source.places)


class _reading:
    """What readers of damaged files raise, as a line that names the file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            raise UserError(f"{self.path}: cannot be read as pictures with labels ({error})") from None


def _pairs(path: Path, there: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Phase, or "" -> the names of its images and labels."""
    roles: dict[str, dict[str, str]] = {}
    for name in there:
        words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
        phase = next((standard(word) for word in words if standard(word) in PHASES), "")
        plain = "_".join(word for word in words if standard(word) not in PHASES)
        role = "images" if plain in IMAGES else "labels" if plain in LABELS else ""
        roles.setdefault(phase, {}).setdefault(role, name)
    found = {phase: (of["images"], of["labels"]) for phase, of in roles.items() if {"images", "labels"} <= of.keys()}
    if not found:
        raise UserError(f"{path}: holds {', '.join(there)[:120]}; wanted are {WANTED}")
    if "train" in found:
        found.pop("", None)
    return found


def _classes(labels: np.ndarray, words: tuple[str, ...]) -> dict[str, Any]:
    """Name of a class -> how the labels call it; numbers below 0 are of no class.

    Raises:
        ValueError: there are no others.
    """
    found = [value for value in np.unique(labels).tolist() if isinstance(value, str) or value >= 0]
    if not found:
        raise ValueError("all labels are below 0, which is no class; number the classes from 0")
    if words and labels.dtype.kind == "i" and found[-1] < len(words):
        return dict(zip(words, range(len(words)), strict=True))
    return {str(value): value for value in found}


def _read(
    kind: str, path: Path, images: str, of: str, phase: str, labels: np.ndarray, classes: Mapping[str, Any]
) -> Pictures:
    with _reading(path), OPEN[kind](path) as there:
        check_alike(there.shape(images)[0], images, len(labels), of)
        array = _levels(channels_last(there[images], images), images, path)
    place = {value: label for label, value in enumerate(classes.values())}
    numbers = np.array([place.get(value, -1) for value in labels.tolist()], dtype=np.int64)
    names = named(np.maximum(numbers, 0), tuple(classes), "" if phase == "every" else f"{phase}_")
    found = Stored(numbers, names, array)
    if unknown := int((numbers < 0).sum()):
        distributed.say_once(
            f"{path}: {unknown} of {len(numbers)} pictures of {of} are of no class of the training; left out"
        )
        return found.take(np.flatnonzero(numbers >= 0))
    return found


def _levels(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Values as bytes: integers from 0 to 255, floats in [0, 1], in [-1, 1] or up to 255, 16 bits."""
    if array.dtype == np.uint8 or not array.size:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    floats = array.dtype.kind == "f"
    if array.dtype == bool or (floats and 0 <= low <= high <= 1):
        scale, shift = 255.0, 0.0
    elif floats and -1 <= low <= high <= 1:
        scale, shift = 127.5, 1.0
    elif 0 <= low <= high <= 255:
        scale, shift = 1.0, 0.0
    elif array.dtype == np.uint16:
        scale, shift = 255 / 65535, 0.0
    else:
        raise ValueError(
            f"{name} has values of {array.dtype} from {low:g} to {high:g}; wanted are 0 to 255, 0 to 1, or -1 to 1"
        )
    black, white = 0 / scale - shift, 255 / scale - shift
    distributed.say_once(f"{path}: {name} is {array.dtype}; {black:g} is taken for black, {white:g} for white")
    found = np.empty(array.shape, dtype=np.uint8)
    for row, picture in enumerate(array):
        found[row] = ((picture.astype(np.float32) + shift) * scale).round().clip(0, 255)
    return found
