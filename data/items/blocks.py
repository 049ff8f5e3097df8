"""Blocks of remote files on a disk here: at most so many bytes of them, the least recently used go first.

A block is a file of its own, which comes into being whole and ends in its sum. Any number of processes use one folder:
what one wrote others read, and one that is gone is asked for again. A process that dies leaves no half of a block.
"""

import contextlib
import hashlib
import os
import time
import zlib
from pathlib import Path
from typing import Any

from util import distributed
from util.reading.plain import open_to_read
from util.writing import Refused, write_atomically

BLOCK = 1 << 20
SUM = 4  # bytes behind a block
ENDING = ".block"
SWEEPS = 64  # times that the folder is looked through while its bound is written once
KEPT = 0.9  # of the bound, once it was reached
REMNANT = 3600.0  # seconds after which what a killed process was writing is deleted


class Blocks:
    """
    Args:
        folder: of the blocks, whichever data they are of.
        most: bytes; 0 keeps none.
    """

    def __init__(self, folder: Path, most: int):
        self.folder, self.most = folder, most
        self._written = most  # the first block that is kept has the folder looked through
        self._whole: set[str] = set()  # names of blocks whose sum was right

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_whole": set()}

    def get(self, name: str, start: int, end: int) -> bytes | None:
        """Some bytes of a block; None where it is not here."""
        if not self.most:
            return None
        path = self._path(name)
        try:
            with open_to_read(path) as file:
                if name not in self._whole:
                    data = file.read(BLOCK + SUM + 1)
                    if zlib.crc32(data[:-SUM]).to_bytes(SUM, "little") != data[-SUM:]:
                        return None
                    self._whole.add(name)
                    part = data[:-SUM][start:end]
                else:
                    part = os.pread(file.fileno(), end - start, start)
            with contextlib.suppress(OSError):
                os.utime(path)
            return part
        except OSError:
            return None

    def put(self, name: str, data: bytes) -> None:
        if not self.most:
            return
        try:
            write_atomically(self._path(name), data + zlib.crc32(data).to_bytes(SUM, "little"))
        except (OSError, Refused) as error:
            why = getattr(error, "strerror", None) or error
            distributed.say_once(f"{self.folder}: cannot be written ({why}); what is fetched is not kept")
            return
        self._written += len(data)
        if self._written * SWEEPS >= self.most:
            self._written = 0
            self.sweep()

    def sweep(self) -> None:
        """Delete what was used least recently, until there is room."""
        blocks, total = [], 0
        for place in self._places():
            with contextlib.suppress(OSError):
                for entry in os.scandir(place):
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if entry.name.endswith(ENDING):
                            blocks.append((status.st_mtime_ns, status.st_size, entry.path))
                            total += status.st_size
                        elif entry.name.endswith(".tmp") and time.time() - status.st_mtime > REMNANT:
                            Path(entry.path).unlink()
        if total <= self.most:
            return
        for _, size, path in sorted(blocks):
            if total <= self.most * KEPT:
                break
            with contextlib.suppress(OSError):  # another process was faster
                Path(path).unlink()
            total -= size

    def _places(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [entry.path for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)]
        return []

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}{ENDING}"


def name_of(*parts: Any) -> str:
    """The name of a block, by all that makes it another one."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
