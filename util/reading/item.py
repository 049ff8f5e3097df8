"""A picture that is no file of its own: bytes in a shard, in a table, or on a server.

It has what data ask of a path: a name, an ending, and how it is called in messages and results (``str``).
"""

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from options import UserError
from util.writing import write_atomically


class Item(ABC):
    """Two items are equal if they are the same place of the same data."""

    @property
    @abstractmethod
    def name(self) -> str:
        """That of the file that it was."""

    @abstractmethod
    def read(self) -> bytes:
        """All bytes of it.

        Raises:
            UserError: they cannot be had.
        """

    @abstractmethod
    def __str__(self) -> str: ...

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix


@contextlib.contextmanager
def as_file(item: Item, data: bytes) -> Iterator[Path]:
    """A file with these bytes, for decoders that want one, gone in the end. What they say of it is said of the item."""
    ending = "".join(PurePosixPath(item.name).suffixes[-2:]).lower()
    ending = ending if ending == ".nii.gz" else item.suffix.lower()
    with tempfile.TemporaryDirectory(prefix="diptych-") as folder:
        path = Path(folder, f"item{ending}")
        write_atomically(path, data)
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(item)), code=error.code) from None
