"""Packages of zi2zi (``train.obj``): pickles of (label, bytes of an image), one after another.

They are read by :mod:`util.reading.pickles`, with the few instructions that build such a pair: a package made to do
harm is refused at its first foreign one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from options import UserError
from util.reading.pickles import SIMPLE, Foreign, Machine, Truncated


def records(path: Path) -> Iterator[tuple[int, int, int]]:
    """Label, first byte and end of every record.

    Raises:
        UserError: the file is missing, ends within a record, or holds anything but pairs of a number and bytes.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise UserError(f"{path}: empty file")
            number = 0
            while (start := file.tell()) < size:
                label, _ = _checked(path, number, file, size)
                yield label, start, file.tell()
                number += 1
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def record(path: Path, start: int, end: int) -> bytes:
    """The image of the record at these bytes."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return _checked(path, None, file, end)[1]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _checked(path: Path, number: int | None, file: BinaryIO, end: int) -> tuple[int, bytes]:
    where = f"record {number}" if number is not None else f"the record at byte {file.tell()}"
    try:
        value = Machine(file, end, SIMPLE).run()
    except Truncated:
        raise UserError(f"{path}: ends within {where}; it was cut off, copy or build it again") from None
    except Foreign as foreign:
        raise UserError(
            f"{path}: {where} holds {foreign}; a package of zi2zi holds (label, bytes) only, and nothing else "
            "is loaded, since a pickle can run programs"
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        raise UserError(f"{path}: {where} is damaged, or the file is no package of zi2zi") from None
    label, image = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
    if type(label) is not int or type(image) is not bytes:
        kinds = [type(v).__name__ for v in value] if isinstance(value, tuple) else type(value).__name__
        raise UserError(f"{path}: {where} is {kinds}; a package of zi2zi holds (label, bytes)")
    if not 0 <= label < 2**31:
        raise UserError(f"{path}: {where} has label {label}; labels are 0, 1, 2, ...")
    return label, image
