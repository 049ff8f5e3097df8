"""What a file of ``torch.save`` says, looked at before torch reads it.

``torch.load(weights_only=True)`` executes nothing, yet believes what a file declares: storages larger than what the
file holds, entries that unpack to terabytes, tensors whose strides make a few bytes into any size, texts encoded again
and again. Here a file may hold dense tensors of numbers and plain values, no larger than it is itself.
"""

import math
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from util.reading.pickles import ALL, Foreign, Inert, Machine, Truncated

MOST_PICKLE = 16 << 20  # bytes of values that are no tensors: a hundred thousand tensors have less
MOST_VALUES = 5_000_000
DEPTH = 64
SHARED = 4  # times the bytes of the file that tensors may have together: tied weights are written once
MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization's, of files before 1.6
SIZES = {  # bytes of a number
    **{"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2},
    **{"Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1},
}
NUMBERS = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i"}  # of numpy
TYPES = {  # of torch, where they stand as values
    **{"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1},
    **{"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "uint16": 2, "uint32": 4, "uint64": 8},
}


@dataclass(frozen=True)
class _Type:
    size: int


@dataclass(frozen=True)
class _Storage:
    count: int  # numbers
    size: int  # bytes of one


@dataclass(frozen=True)
class _Tensor:
    size: int  # bytes


def check_torch_file(file: BinaryIO) -> None:
    """Raises:
    ValueError: what it holds is damaged, no plain tensors, or declared to be larger than it is.
    OSError: it cannot be read.
    """
    try:
        if file.read(4) == b"PK\3\4":
            _check_archive(file)
        else:
            _check_old(file, os.fstat(file.fileno()).st_size)
    except Truncated:
        raise ValueError("it is cut off") from None
    except Foreign as foreign:
        raise ValueError(_in_words(str(foreign))) from None
    except (IndexError, KeyError, TypeError, OverflowError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError(f"its contents are damaged ({type(error).__name__})") from None


def _check_archive(file: BinaryIO) -> None:
    """As torch writes it: an archive whose entries lie in it as they are, the pickle among them."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - 22, 0))
    if file.read(4) != b"PK\5\6":  # else torch and zipfile might find different lists of entries
        raise ValueError("it is cut off, or something follows its end")
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("it is a compressed archive, which torch.save never writes")
        if sum(entry.file_size for entry in archive.infolist()) > size or len(entries) < len(archive.infolist()):
            raise ValueError("its entries lie one over the other")
        (name,) = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")] or [""]
        if not name:
            raise ValueError("an archive that torch.save did not write")
        if entries[name].file_size > MOST_PICKLE:
            raise ValueError(f"more than {MOST_PICKLE >> 20} MiB of values that are no tensors")
        pickle = archive.read(name)
    folder = name.removesuffix("data.pkl")

    def stored(kind: str, type_: Any, key: str, location: str, count: int) -> _Storage:
        entry = entries.get(f"{folder}data/{key}")
        if kind != "storage" or entry is None or entry.file_size < _whole(count) * _size_of(type_):
            raise ValueError(f"its tensor {str(key)[:20]} is not whole")
        return _Storage(count, _size_of(type_))

    _check_values(Machine(BytesIO(pickle), len(pickle), ALL, NAMES, lambda told: stored(*told)).run(), size)


def _check_old(file: BinaryIO, size: int) -> None:
    """Before torch 1.6: five pickles, the fourth of the values, then the storages."""
    file.seek(0)
    declared = 0

    def stored(kind: str, type_: Any, key: Any, location: str, count: int, view: Any = None) -> _Storage:
        nonlocal declared
        if kind != "storage" or view is not None:
            raise Foreign("a storage that is part of another")
        if key not in known:
            known.add(key)
            declared += _whole(count) * _size_of(type_)
        if declared > size:
            raise ValueError("its tensors are larger than the file")
        return _Storage(count, _size_of(type_))

    known: set[Any] = set()
    steps = {**ALL, b"\x8a": lambda m: m.push(int.from_bytes(m.read(m.number(1)), "little"))}  # of the magic number
    if Machine(file, size, steps).run() != MAGIC:
        raise ValueError("its first bytes are not torch's")
    for _ in range(2):  # the version, and what the system was
        Machine(file, size, ALL).run()
    end = min(size, file.tell() + MOST_PICKLE)
    _check_values(Machine(file, end, ALL, NAMES, lambda told: stored(*told)).run(), size)


def _whole(count: Any) -> int:
    if type(count) is not int or not 0 <= count < 2**48:
        raise ValueError(f"a size of {str(count)[:20]}")
    return count


def _size_of(type_: Any) -> int:
    if callable(type_):
        type_()  # says why it is not read
    if not isinstance(type_, _Type):
        raise Foreign("a storage of no type")
    return type_.size


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any, size: int | None = None) -> _Tensor:
    """``_rebuild_tensor_v2``: it lies within its storage, and no number of it is there twice."""
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or len(shape) > 25:
        raise ValueError("a tensor without a shape")
    size = size or storage.size
    count = math.prod(map(_whole, shape))
    last = _whole(offset) + sum((side - 1) * _whole(step) for side, step in zip(shape, strides, strict=True))
    if count and (count * size > storage.count * storage.size or (last + 1) * size > storage.count * storage.size):
        raise ValueError(f"a tensor of shape {tuple(shape)} in {storage.count * storage.size} bytes")
    return _Tensor(count * size)


def _typed(storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, type_: Any, *_: Any) -> _Tensor:
    """``_rebuild_tensor_v3``: of a type that has no storage of its own."""
    return _tensor(storage, offset, shape, strides, size=_size_of(type_))


def _parameter(tensor: Any, *_: Any) -> Any:
    if not isinstance(tensor, _Tensor):
        raise ValueError("a parameter that is no tensor")
    return tensor


def _ordered(*items: Any) -> dict[Any, Any]:
    if items:
        raise Foreign("an OrderedDict of a list")
    return {}


def _shape(sides: Any) -> tuple[int, ...]:
    return tuple(map(_whole, sides))


class NumberType(Inert):
    """What stands for numpy's types, of which :func:`number` knows those of one number."""

    def __setstate__(self, state: Any) -> None:  # of torch's reader
        self.state = state


def number(type_: Any, data: Any) -> int | float:
    """``numpy.core.multiarray.scalar``: StudioGAN keeps the best FID as such a number. numpy is not asked."""
    form = NUMBERS.get(str(type_.args[0])) if isinstance(type_, NumberType) and type_.args else None
    if form is None or type(data) is not bytes or len(data) != struct.calcsize(form):
        raise Foreign("a reference to numpy.core.multiarray.scalar")
    return struct.unpack(form, data)[0]


def _refused(what: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise Foreign(what)

    return refuse


NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _shape,
    ("numpy", "dtype"): NumberType,
    ("numpy.core.multiarray", "scalar"): number,
    ("numpy._core.multiarray", "scalar"): number,
    ("torch.storage", "UntypedStorage"): _Type(1),
    **{("torch", f"{name}Storage"): _Type(size) for name, size in SIZES.items()},
    **{("torch", name): _Type(size) for name, size in TYPES.items()},
    **{
        ("torch._utils", f"_rebuild_{name}"): _refused(f"a {what} tensor")
        for name, what in {
            "sparse_tensor": "sparse",
            "meta_tensor_no_storage": "meta",
            "qtensor": "quantized",
            "nested_tensor": "nested",
            "sparse_csr_tensor": "sparse",
        }.items()
    },
    ("torch.serialization", "_get_layout"): _refused("a sparse tensor"),
    **{("torch", f"{name}Storage"): _refused("complex numbers") for name in ("ComplexFloat", "ComplexDouble")},
    **{
        ("torch", f"{name}Storage"): _refused("a quantized tensor")
        for name in ("QInt8", "QUInt8", "QInt32", "QUInt4x2")
    },
}

# The same for torch's own reader, which knows none of numpy's names.
STAND_INS: list[Any] = [
    (NumberType, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),
]


def _check_values(value: Any, size: int) -> None:
    """Not nested beyond reason, not many for a file of few bytes, tensors no larger together than the file."""
    level, count, bytes_ = [value], 0, 0
    for _ in range(DEPTH):
        count += len(level)
        bytes_ += sum(node.size for node in level if isinstance(node, _Tensor))
        if bytes_ > SHARED * size:
            raise ValueError("its tensors are larger than the file")
        level = [node for node in level if isinstance(node, dict | list | tuple)]
        if count + sum(map(len, level)) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return
    raise ValueError(f"nested deeper than {DEPTH} levels")


def _in_words(foreign: str) -> str:
    name = foreign.removeprefix("a reference to ")
    if name != foreign:
        return f"it holds Python objects such as {name}, which are not loaded; save a state_dict()"
    return f"it holds {foreign}; dense tensors and plain values are read"
