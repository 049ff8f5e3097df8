"""Files as a whole: read whatever became of them, written in one step, hashed."""

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from util.reading.json_file import decode_json

T = TypeVar("T")
LONGEST = 1 << 30  # characters of a log
FRESH = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
CHUNK = 2**24  # bytes that are copied at once


def read_text(path: Path) -> str:
    """What a file says, of a log without end its beginning; empty where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError:
        return ""


def json_or_empty(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; empty where there is none that can be read."""
    return _object(read_text(path)) or {}


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of one a line; a line that a killed run left unfinished is passed over."""
    for line in read_text(path).splitlines():
        if (found := _object(line)) is not None:
            yield found


def continue_json_lines(path: Path, done_step: int, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """What ``parse`` makes of the records up to a step; the file is replaced if it holds anything else.

    Lines that a killed run left unfinished, or wrote of steps that will be made again, are dropped; so are those that
    ``parse`` refuses with an error of its own lookups and conversions.

    Raises:
        OSError: a file that is there cannot be read, or replaced.
    """
    lines: list[str] = []
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(LONGEST).splitlines(keepends=True)
    kept: dict[int, T] = {}
    for number, line in enumerate(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            record = _object(line) or {}
            if line.endswith("\n") and record["step"] <= done_step:
                kept[number] = parse(record)
    if len(kept) < len(lines):
        write_atomically(path, "".join(lines[number] for number in kept))
    return list(kept.values())


def _object(text: str) -> dict[str, Any] | None:
    try:
        values = decode_json(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: numbers that are not finite are null."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: known(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [known(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(value), indent=indent, allow_nan=False)


class Folder:
    """A folder in which files are written, opened once: what is done there is done there wherever its path leads then.

    A file comes into being under a fresh name, which nobody can have put a link at, and gets its own by a rename,
    which replaces a link and does not follow it. Where the system has no such calls (Windows), fresh names remain.
    """

    def __init__(self, path: Path):
        self.path = path
        there = {os.open, os.link, os.rename, os.unlink, os.stat} <= os.supports_dir_fd
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if there else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def stage(self, name: str, content: bytes | memoryview, sync: bool = True) -> str:
        """A new file for ``name``, on the disk when this returns if it is to ``sync``.

        Returns:
            its own name, for ``rename``.
        """
        staged = _fresh(name)
        with self._making(staged) as file:
            _write(file, content)
            if sync:
                os.fsync(file)
        return staged

    def twin(self, name: str, other: str) -> str:
        """A new file for ``other`` with the content of ``name``: the same file where the system can, else a copy."""
        staged = _fresh(other)
        try:
            os.link(self._at(name), self._at(staged), src_dir_fd=self._fd, dst_dir_fd=self._fd)
            return staged
        except (OSError, NotImplementedError):
            source = os.open(self._at(name), os.O_RDONLY | getattr(os, "O_BINARY", 0), dir_fd=self._fd)
        try:
            with self._making(staged) as file:
                while chunk := os.read(source, CHUNK):
                    _write(file, chunk)
                os.fsync(file)
        finally:
            os.close(source)
        return staged

    def rename(self, name: str, other: str) -> None:
        os.replace(self._at(name), self._at(other), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._fd)

    def has(self, name: str) -> bool:
        try:
            os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def sync(self) -> None:
        """Names are on the disk when this returns, where the system lets a folder be synced."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._fd)

    @contextlib.contextmanager
    def _making(self, staged: str) -> Iterator[int]:
        file = os.open(self._at(staged), FRESH, 0o666, dir_fd=self._fd)
        try:
            yield file
        except OSError:
            self.remove(staged)  # on a full disk the remnant would take the last blocks
            raise
        finally:
            os.close(file)

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)


def _fresh(name: str) -> str:
    return f".{name}.{secrets.token_hex(8)}.tmp"


def _write(file: int, content: bytes | memoryview) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Replace a file in one step: whoever reads it sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Folder(path.parent) as folder:
        staged = folder.stage(path.name, content.encode() if isinstance(content, str) else content, sync=False)
        try:
            folder.rename(staged, path.name)
        except OSError:
            folder.remove(staged)
            raise


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
