"""Files of a .zip or a .tar, one at a time and in any order; nothing is unpacked to a disk.

An index is made once: names, and where their bytes are. Names lead nowhere: those that would are left out. A .tar that
is compressed as a whole is kept in memory.
"""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from util.reading.tar import Broken, members

ENDINGS = {"zip": (".zip",), "tar": (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")}
MOST_NAMES = 20_000_000
MOST_FILE = 256 << 20  # bytes of a file, and so of a header
MOST_UNPACKED = 2 << 30  # bytes of a .tar that is compressed as a whole
LOCAL = 30  # bytes of a zip's header before the name of a file
UNPACK: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "tgz": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": bz2.BZ2File,
    "tbz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "txz": lzma.LZMAFile,
}


@dataclass(frozen=True)
class Entry:
    """A file: its name, where it begins, its bytes there and unpacked; ``packed`` by zip."""

    name: str
    offset: int
    size: int
    length: int
    packed: bool = False


@dataclass(frozen=True)
class Pack:
    """An archive of files.

    Attributes:
        entries: in the order of their names.
        left: names that are left out: they lead out of the archive, or are encrypted, links or too large.
        data: the archive where it is in memory; else it is read from its path.
    """

    path: Path
    kind: str
    entries: list[Entry] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    data: bytes | None = None

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file.

        Raises:
            ValueError: they are damaged, or not as many as was said.
            OSError: the archive cannot be read.
        """
        with io.BytesIO(self.data) if self.data is not None else self.path.open("rb") as file:
            start = entry.offset
            if self.kind == "zip":  # whose own header has another length than that of the index
                file.seek(start)
                head = file.read(LOCAL)
                if len(head) < LOCAL or head[:4] != b"PK\x03\x04":
                    raise ValueError("the archive is damaged there")
                start += LOCAL + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            file.seek(start)
            data = file.read(entry.size)
        if entry.packed:
            try:
                data = zlib.decompressobj(-15).decompress(data, entry.length + 1)
            except zlib.error:
                raise ValueError("it is damaged in the archive") from None
        if len(data) != entry.length:
            raise ValueError("it is cut off in the archive")
        return data


def open_pack(path: Path, kind: str) -> Pack:
    """The index of an archive.

    Raises:
        ValueError: it is damaged, or larger than can be dealt with.
        OSError: it cannot be read.
    """
    data = None
    ending = path.name.lower().rpartition(".")[2]
    if kind == "tar" and ending in UNPACK:
        data = _unpacked(path, UNPACK[ending])
    entries, left = [], []
    for name, entry in _of_zip(path) if kind == "zip" else _of_tar(path, data):
        parts = PurePosixPath(name.replace("\\", "/")).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts if part != "..")
        if (
            entry is None
            or entry.length > MOST_FILE
            or ".." in parts
            or name.startswith(("/", "\\"))
            or ":" in name[:3]
        ):
            left.append(name)
        elif parts and not hidden:
            entries.append(Entry("/".join(parts), entry.offset, entry.size, entry.length, entry.packed))
        if len(entries) + len(left) > MOST_NAMES:
            raise ValueError(f"more than {MOST_NAMES:,} files")
    entries.sort(key=lambda entry: entry.name)
    return Pack(path, kind, entries, left, data)


def _unpacked(path: Path, unpack: Callable[[BinaryIO], Any]) -> bytes:
    try:
        with path.open("rb") as packed, unpack(packed) as file:
            data = file.read(MOST_UNPACKED + 1)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"it is damaged ({type(error).__name__})") from None
    if len(data) > MOST_UNPACKED:
        raise ValueError(
            f"it unpacks to more than {MOST_UNPACKED >> 30} GiB; unpack it to a .tar, which is read in place"
        )
    return data


def _of_zip(path: Path) -> Iterator[tuple[str, Entry | None]]:
    try:
        with zipfile.ZipFile(path) as file:
            infos = file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OverflowError, UnicodeError, ValueError) as error:
        raise ValueError(f"it is damaged, or no .zip ({type(error).__name__})") from None
    for info in infos:
        if not info.filename or info.is_dir():
            continue
        known = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
        packed = info.compress_type == zipfile.ZIP_DEFLATED
        entry = Entry(info.filename, info.header_offset, info.compress_size, info.file_size, packed)
        yield info.filename, entry if known and info.compress_size <= MOST_FILE else None


def _of_tar(path: Path, data: bytes | None) -> Iterator[tuple[str, Entry | None]]:
    with io.BytesIO(data) if data is not None else path.open("rb") as opened:

        def read(offset: int, size: int) -> bytes:
            opened.seek(offset)
            return opened.read(size)

        size = opened.seek(0, io.SEEK_END)
        try:
            for member in members(read, size):
                entry = Entry(member.name, member.offset, member.size, member.size)
                yield member.name, entry if member.plain else None
        except Broken as error:
            if not error.unmarked:
                raise
