"""Columns of numbers and texts in one file, mapped into memory: what is not asked for is not read.

A file is a line of JSON, which says where each column begins, and the columns. It may have been written by anybody, so
whatever does not fit is no such file.
"""

import json
import mmap
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from util.reading.json_file import decode_json, misfit
from util.reading.plain import open_to_read
from util.writing import new_file

MARK = b"diptych columns 1 "
MOST_HEAD = 64 << 20  # bytes of the line of JSON
TYPES: dict[str, np.dtype] = {"i8": np.dtype("<i8"), "i4": np.dtype("<i4"), "u1": np.dtype("u1")}
SHAPE = {"facts": {}, "columns": [list]}
ENTRY = {"name": str, "kind": str, "span": [int]}


class Strings:
    """Texts one after another, of which each is made when it is asked for.

    Args:
        data: their bytes.
        ends: (N,) where each ends; it begins where the one before it ends.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray):
        self.data, self.ends = data, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        start = int(self.ends[row - 1]) if row else 0
        return self.data[start : int(self.ends[row])].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


class Growing:
    """Texts that are being collected, each kept once if they are numbered by ``number``."""

    def __init__(self) -> None:
        self.data, self.ends = bytearray(), array("q")
        self._numbers: dict[str, int] = {}

    def add(self, text: str) -> None:
        self.data += text.encode("utf-8", "surrogateescape")
        self.ends.append(len(self.data))

    def number(self, text: str) -> int:
        """The place of a text, which is added where it is new."""
        if text not in self._numbers:
            self._numbers[text] = len(self.ends)
            self.add(text)
        return self._numbers[text]

    def columns(self, name: str) -> dict[str, Any]:
        return {f"{name}_data": self.data, f"{name}_ends": self.ends}


def write_columns(path: Path, facts: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Replace a file in one step; ``columns`` are arrays of the standard library, or of numpy, or bytes.

    Raises:
        OSError: it cannot be written.
    """
    kinds = {"q": "i8", "i": "i4"}
    table, offset, parts = [], 0, []
    for name, column in columns.items():
        kind = kinds[column.typecode] if isinstance(column, array) else "u1"
        if isinstance(column, np.ndarray):
            kind, column = column.dtype.str[1:], column.tobytes()
        data = memoryview(column).cast("B")
        table.append([name, kind, offset, len(data)])
        parts.append(data)
        offset += -(-len(data) // 8) * 8
    head = MARK + json.dumps({"facts": dict(facts), "columns": table}).encode()
    with new_file(path) as file:
        file.write(head + b" " * (7 - len(head) % 8) + b"\n")
        for data in parts:
            file.write(data)
            file.write(bytes(-len(data) % 8))
        file.flush()
        os.fsync(file.fileno())


def read_columns(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and columns.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged, or none of ours.
    """
    with open_to_read(path) as file:
        head = file.readline(MOST_HEAD)
        size = os.fstat(file.fileno()).st_size
        if not head.startswith(MARK) or not head.endswith(b"\n"):
            raise ValueError("no columns")
        told = decode_json(head[len(MARK) :].decode())
        if misfit(told, SHAPE):
            raise ValueError("no columns")
        memory = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)[len(head) :]
    columns = dict(_column(entry, memory) for entry in told["columns"])
    if size != len(head) + len(memory):
        raise ValueError("no columns")
    return told["facts"], columns


def _column(entry: list[Any], memory: np.ndarray) -> tuple[str, np.ndarray]:
    if len(entry) != 4 or misfit({"name": entry[0], "kind": entry[1], "span": entry[2:]}, ENTRY):
        raise ValueError("no columns")
    name, kind, start, length = entry
    if kind not in TYPES or not 0 <= start <= start + length <= len(memory) or start % 8:
        raise ValueError(f"no column {name}")
    if length % TYPES[kind].itemsize:
        raise ValueError(f"no column {name}")
    return name, memory[start : start + length].view(TYPES[kind])


def strings(columns: Mapping[str, np.ndarray], name: str) -> Strings:
    """A column of texts.

    Raises:
        ValueError: it is none.
    """
    data, ends = columns.get(f"{name}_data"), columns.get(f"{name}_ends")
    if data is None or ends is None or data.dtype != np.uint8 or ends.dtype != TYPES["i8"]:
        raise ValueError(f"no column {name}")
    if len(ends) and (ends[0] < 0 or ends[-1] != len(data) or (np.diff(ends) < 0).any()):
        raise ValueError(f"the column {name} is damaged")
    return Strings(data, ends)
