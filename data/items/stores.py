"""Where shards lie: on a disk here, and in remote.py on a server."""

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from pathlib import Path
from typing import Any

from data.items.roots import ShardNames
from options import UserError

MOST_OPEN = 64  # files of a process


class Store(ABC):
    """Reads shards by number. A process that gets one from another opens its own files and connections.

    Attributes:
        names: of the shards.
        states: for each shard numbers and texts that are others once it is another; the first is its size in bytes.
    """

    names: ShardNames
    states: list[list[Any]]

    @abstractmethod
    def read(self, shard: int, offset: int, size: int) -> bytes:
        """Bytes of a shard, fewer where it ends.

        Raises:
            UserError: they cannot be had.
        """

    def place(self, shard: int) -> str:
        """What a shard is called in messages and results."""
        return f"{self.names.base.rstrip('/')}/{self.names.names[shard]}"

    def published(self, name: str) -> bytes | None:
        """An index of this name that lies beside shards on a server; None where there is none."""
        return None

    @property
    def folder(self) -> Path | None:
        """A folder in which the index may lie beside the shards; None where there is none."""
        return None


class LocalStore(Store):
    """Shards on a disk, read with pread: whoever reads in between, places are their own."""

    def __init__(self, names: ShardNames, flag: str):
        self.names, self.flag = names, flag
        self._open: OrderedDict[int, int] = OrderedDict()
        self.states = []
        for number in range(len(names.names)):
            try:
                status = Path(self.place(number)).stat()
            except OSError as error:
                raise UserError(f"--{flag} {names.root}: {self.place(number)}: {error.strerror}") from None
            self.states.append([status.st_size, status.st_mtime_ns])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}

    @property
    def folder(self) -> Path:
        return Path(self.names.base)

    def read(self, shard: int, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._file(shard), size, offset)
        except OSError as error:
            raise UserError(f"{self.place(shard)}: cannot be read ({error.strerror})") from None

    def _file(self, shard: int) -> int:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        file = os.open(self.place(shard), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        status = os.fstat(file)
        if [status.st_size, status.st_mtime_ns] != self.states[shard]:
            os.close(file)
            raise UserError(f"{self.place(shard)}: changed after its index was read; start again, which makes it anew")
        self._open[shard] = file
        if len(self._open) > MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return file
