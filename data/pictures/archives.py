"""CIFAR, MNIST, STL-10 and SVHN, read from the files their authors distribute."""

import gzip
import math
import os
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.pictures.sources import Missing, Pictures, Source, Stored, named
from options import Exit, UserError
from util import distributed
from util.reading.child import in_child
from util.reading.json_file import bytes_of
from util.reading.pickles import ALL, Foreign, Inert, Machine, Truncated

MOST_BYTES = 1 << 30  # of a file; STL-10's largest has 138 MB
MOST_NAMES = 1 << 20
# Of numpy, by its old name and its new one: what a pickle of an array names.
NAMED = ((".core.multiarray", "_reconstruct"), ("._core.multiarray", "_reconstruct"), ("", "ndarray"), ("", "dtype"))
DIGITS = tuple("0123456789")
# Xiao et al., "Fashion-MNIST" (2017), table 1; no slash, since a name may become that of a file.
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
FIVE = tuple(f"data_batch_{n}" for n in range(1, 6))
IDX = {
    phase: (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    for phase, prefix in (("train", "train"), ("test", "t10k"))
}
# kind -> folder below --dataroot, as torchvision names it -> phase -> files
LAYOUTS: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "cifar10": {
        "cifar-10-batches-py": {"train": FIVE, "test": ("test_batch",)},
        "cifar-10-batches-bin": {"train": tuple(f"{name}.bin" for name in FIVE), "test": ("test_batch.bin",)},
    },
    "cifar100": {
        "cifar-100-python": {"train": ("train",), "test": ("test",)},
        "cifar-100-binary": {"train": ("train.bin",), "test": ("test.bin",)},
    },
    "mnist": {"MNIST/raw": IDX},
    "fashion_mnist": {"FashionMNIST/raw": IDX},
    "stl10": {"stl10_binary": {"train": ("train_X.bin", "train_y.bin"), "test": ("test_X.bin", "test_y.bin")}},
    "svhn": {".": {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)}},
}


def locate(root: Path, kind: str) -> tuple[Path, Mapping[str, tuple[str, ...]]] | None:
    """The folder with the files of this kind, which may be ``root`` itself, and their names by phase."""
    for folder, files in LAYOUTS[kind].items():
        for place in (root / folder, root):
            if any(_file(place, names[0]) for names in files.values()):
                return place, files
    return None


def _file(place: Path, name: str) -> Path | None:
    return next((path for path in (place / name, place / f"{name}.gz") if path.is_file()), None)


def archive(kind: str, opt: Any, seed: int) -> Source:
    """One of LAYOUTS, fetched first if ``--download`` asks for it and it is not there.

    Raises:
        Missing: it is not there.
        UserError: its files are damaged or incomplete, or it could not be fetched.
    """
    root = Path(opt.dataroot)
    if opt.dataroot == "placeholder":
        raise Missing(f"--source {kind}: give the folder it lies in, or is fetched into, with --dataroot")
    if opt.download and locate(root, kind) is None:
        if distributed.rank() == 0:
            fetch(kind, root)
        distributed.barrier()
    found = locate(root, kind)
    if found is None:
        folder, files = next(iter(LAYOUTS[kind].items()))
        expected = (root / folder / files["train"][0]).as_posix()
        raise Missing(f"--source {kind}: there is no {expected}; --download fetches the data into {root}")
    place, files = found
    read, classes = _readers(kind, place)
    phases = {phase: partial(_read, kind, read, classes, place, phase, names) for phase, names in files.items()}
    channels = 1 if "mnist" in kind else 3
    return Source(kind, classes, phases, channels, mirrors=kind not in ("mnist", "svhn"))


def fetch(kind: str, root: Path) -> None:
    """Download by torchvision, which checks what it gets against known sums."""
    from torchvision import datasets
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        if kind in ("cifar10", "cifar100"):  # their classes would go on to load pickles
            cifar = datasets.CIFAR10 if kind == "cifar10" else datasets.CIFAR100
            download_and_extract_archive(cifar.url, root, filename=cifar.filename, md5=cifar.tgz_md5)
        elif kind == "stl10":
            datasets.STL10(root, download=True)
        elif kind == "svhn":
            for phase in ("train", "test"):
                datasets.SVHN(root, phase, download=True)
        else:
            {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}[kind](root, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"--download: {kind} could not be fetched into {root} ({error})", code=Exit.STORAGE) from None


Reader = Callable[[list[Path]], tuple[np.ndarray, np.ndarray]]  # files to (N, H, W, C) bytes and (N,) labels


def _readers(kind: str, place: Path) -> tuple[Reader, tuple[str, ...]]:
    """What reads the files of this kind, and the names of its classes."""
    if kind in ("cifar10", "cifar100"):
        hundred = kind == "cifar100"
        binary = next((p for p in place.glob("*.bin")), None) is not None
        reader = partial(_read_cifar_binary, hundred) if binary else partial(_read_cifar_batches, hundred)
        return reader, _cifar_names(place, hundred, binary)
    if kind == "stl10":
        return _read_stl10, _lines(place / "class_names.txt")
    if kind == "svhn":
        return _read_svhn, DIGITS
    return _read_idx_pair, DIGITS if kind == "mnist" else CLOTHES


def _read(
    kind: str, reader: Reader, classes: tuple[str, ...], place: Path, phase: str, names: tuple[str, ...]
) -> Pictures:
    files = [_file(place, name) for name in names]
    lacking = [name for name, file in zip(names, files, strict=True) if file is None]
    if lacking:
        raise Missing(f"{place}: {kind} without {', '.join(lacking)}, which --phase {phase} reads; get it anew")
    try:
        array, labels = reader([file for file in files if file])
        if len(array) != len(labels):
            raise ValueError(f"{len(array)} pictures and {len(labels)} labels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"labels from {labels.min()} to {labels.max()} of {len(classes)} classes")
    except Exception as error:  # readers of damaged files raise what they please
        raise UserError(f"{place}: {names[0]} is damaged, or not {kind} ({error}); get it anew") from None
    labels = labels.astype(np.int64)
    return Stored(labels, named(labels, classes, f"{phase}_"), array)


# -- formats -----------------------------------------------------------------------------------------------------------


def _read_cifar_binary(hundred: bool, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a label (CIFAR-100: the coarse one before it) and 3 x 32 x 32 bytes."""
    front = 2 if hundred else 1
    rows = np.concatenate([_bytes(path) for path in files]).reshape(-1, front + 3072)
    return _planes(rows[:, front:]), rows[:, front - 1]


def _read_cifar_batches(hundred: bool, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """The version for Python: pickles of Python 2, of a dictionary with an array and a list."""
    arrays, labels = [], []
    for path in files:
        batch = _unpickled(path)
        _, shape, _, by_column, values = batch[b"data"].state
        arrays.append(np.frombuffer(values, np.uint8).reshape(shape, order="F" if by_column else "C"))
        labels += batch[b"fine_labels" if hundred else b"labels"]
    return _planes(np.concatenate(arrays)), np.array(labels, dtype=np.int64)


def _planes(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _cifar_names(place: Path, hundred: bool, binary: bool) -> tuple[str, ...]:
    if binary:
        return _lines(place / ("fine_label_names.txt" if hundred else "batches.meta.txt"))
    path = place / ("meta" if hundred else "batches.meta")
    try:
        return tuple(name.decode() for name in _unpickled(path)[b"fine_label_names" if hundred else b"label_names"])
    except Exception as error:
        raise UserError(f"{path}: cannot be read as the names of CIFAR's classes ({error}); get it anew") from None


def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = bytes_of(path, MOST_NAMES).decode()
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as names of classes ({error})") from None


def _unpickled(path: Path) -> Any:
    """A batch: numbers, strings, lists, and arrays whose pixels are in their state; nothing is run."""

    def array(*arguments: Any) -> Inert:
        return Inert(*arguments)

    known = {(f"numpy{place}", name): array for place, name in NAMED}
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            found = Machine(file, min(size, MOST_BYTES), ALL, known).run()
        except Truncated:
            raise ValueError("it is cut off") from None
        except Foreign as foreign:
            named = str(foreign).removeprefix("a reference to ")
            what = f"names {named}" if named != str(foreign) else f"holds {named}"
            raise ValueError(f"it {what}, which no batch of CIFAR does") from None
    if not isinstance(found, dict):
        raise ValueError("it is no dictionary")
    return found


def _read_idx_pair(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    array, labels = map(_read_idx, files)
    return array[..., None], labels


def _read_idx(path: Path) -> np.ndarray:
    """Two zeros, the type (8 is a byte), the number of sides, the sides as big-endian words, the values."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        zeros, kind, sides = struct.unpack(">HBB", file.read(4))
        if zeros or kind != 8 or sides not in (1, 3):
            raise ValueError(f"{path.name} does not begin as IDX of bytes does")
        shape = struct.unpack(f">{sides}I", file.read(4 * sides))
        size = math.prod(shape)
        if size > MOST_BYTES:
            raise ValueError(f"{path.name} says it holds {size >> 20} MiB")
        data = file.read(size + 1)  # no more than that, whatever it unpacks to
    return np.frombuffer(data, np.uint8).reshape(shape).copy()  # else it cannot be written to


def _bytes(path: Path) -> np.ndarray:
    return np.frombuffer(bytes_of(path, MOST_BYTES), np.uint8)


def _read_stl10(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Planes of 96 columns from top to bottom; labels from 1."""
    pixels = _bytes(files[0]).reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
    return np.ascontiguousarray(pixels), _bytes(files[1]).astype(np.int64) - 1


def _read_svhn(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """MATLAB's X (32, 32, 3, N) and y (N, 1), in which 10 is the digit 0."""
    data = in_child("util.reading.matlab:variables", files[0], ["X", "y"])
    return np.ascontiguousarray(data["X"].transpose(3, 0, 1, 2)), data["y"].astype(np.int64).reshape(-1) % 10
