"""NumPy's archives of arrays, ``.npz``: each is looked at before it is read, and none is larger than the archive says.

with open_npz(path) as arrays:
    arrays.shape("images"), arrays["labels"]
"""

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MOST_ARRAYS = 1000
EXPANDS = 50  # times the bytes of the file that its arrays may have together: statistics and pictures have 1 to 10
SMALL = 256 << 20  # bytes of arrays that are no matter, however small the file
KINDS, TEXTS = "bufi", "US"  # of numbers and of texts, as NumPy calls them
LONGEST = 4096  # bytes of a text
DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class Arrays:
    """An archive that is open: names of arrays of numbers, their shapes, and the arrays when they are asked for."""

    archive: zipfile.ZipFile
    entries: dict[str, zipfile.ZipInfo]

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def first(self, *names: str) -> str | None:
        """The first of these names that it has."""
        return next((name for name in names if name in self), None)

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises:
        ValueError: the array is damaged, or of other things than numbers.
        """
        with self.archive.open(self.entries[name]) as file:
            return self._header(name, file)[0]

    def __getitem__(self, name: str) -> np.ndarray:
        """Raises:
        ValueError: the array is damaged, or of other things than numbers.
        """
        try:
            with self.archive.open(self.entries[name]) as file:
                shape, fortran, dtype = self._header(name, file)
                found = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
            return found.reshape(shape, order="F" if fortran else "C")
        except DAMAGE as error:
            raise ValueError(f"its array {name[:40]} is damaged ({type(error).__name__})") from None

    def words(self, name: str) -> list[str]:
        """An array of texts, in a row.

        Raises:
            ValueError: the array is damaged, or of other things.
        """
        try:
            with self.archive.open(self.entries[name]) as file:
                shape, _, dtype = self._header(name, file, TEXTS)
                found = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
            return [word if isinstance(word, str) else word.decode() for word in found.tolist()]
        except (*DAMAGE, ValueError) as error:
            raise ValueError(f"its array {name[:40]} is damaged, or no texts ({type(error).__name__})") from None

    def _header(self, name: str, file, kinds: str = KINDS) -> tuple[tuple[int, ...], bool, np.dtype]:  # type: ignore[no-untyped-def, type-arg]
        """Shape, order and type, where they take as many bytes as there are."""
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (
            Exception
        ) as error:  # of a header that is damaged: ValueError, SyntaxError, RecursionError, zlib.error ...
            raise ValueError(f"its array {name[:40]} is damaged ({type(error).__name__})") from None
        if dtype.kind not in kinds or dtype.itemsize > (8 if kinds == KINDS else LONGEST):
            raise ValueError(f"its array {name[:40]} is of {str(dtype)[:20]}, not of plain numbers")
        if any(n < 0 for n in shape) or file.tell() + math.prod(shape) * dtype.itemsize != self.entries[name].file_size:
            raise ValueError(f"its array {name[:40]} is not as large as it says")
        return shape, fortran, dtype


@contextmanager
def open_npz(path: Path) -> Iterator[Arrays]:
    """Raises:
    ValueError: it is no archive of arrays, or would unpack to far more than it is.
    OSError: it cannot be read.
    """
    size = path.stat().st_size
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, UnicodeError) as error:
        raise ValueError(f"no archive of NumPy's arrays ({type(error).__name__})") from None
    with archive:
        listed = archive.infolist()
        entries = {e.filename.removesuffix(".npy"): e for e in listed if e.filename.endswith(".npy")}
        if not entries or len(listed) > MOST_ARRAYS or len(entries) < len(listed):
            raise ValueError("no archive of NumPy's arrays alone")
        whole = sum(entry.file_size for entry in listed)
        if whole > max(SMALL, EXPANDS * size):
            raise ValueError(f"it would unpack to {whole >> 20:,} MiB, {whole // max(size, 1):,} times its size")
        yield Arrays(archive, entries)
