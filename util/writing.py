"""The one way to write files: never through a link, and never half of one.

What lies in the folder of a run or of results may have been put there by somebody else, and a link at a name that is
written would lead what is written elsewhere. So a file comes into being under a fresh name, which nobody can have put
a link at, exclusively, in a folder that is opened once; it gets its own name by a rename, which replaces a link and
does not follow it. What is appended to is opened without following a link, and is a plain file. The *root* of a run or
of results lies where its user put it, through links or not; below it folders are opened one in the other, and a link
among them is refused.

Where the system has no such calls (Windows), fresh names and exclusive creation remain, and links are looked for.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Self

from options import Exit, UserError

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
PLAIN = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe that nobody reads is an error, not a wait
FRESH = os.O_CREAT | os.O_EXCL | os.O_RDWR | NOFOLLOW | getattr(os, "O_BINARY", 0)
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
ADDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND
CALLS = {os.open, os.link, os.mkdir, os.rename, os.unlink, os.stat}  # in a folder that is open
JUNCTION = getattr(os.path, "isjunction", lambda path: False)  # from Python 3.12 on
CHUNK = 2**24  # bytes that are copied at once


class Refused(UserError):
    """Something in the way that was not made here: a link, or what is no plain file."""

    def __init__(self, path: Path, is_link: bool):
        what = "is a link, through which nothing is written" if is_link else "is no plain file"
        super().__init__(f"{path} {what}; remove it", code=Exit.STORAGE)


class Folder:
    """A folder in which files are written, opened once: what is done there is done there wherever its path leads then.

    Args:
        root: where no link may be below, if ``path`` is below it; folders from it on are made where they are missing.
            Without it ``path`` is there already.

    Raises:
        Refused: a link is below the root.
    """

    def __init__(self, path: Path, root: Path | None = None):
        self.path, self._fd = path if root is None else root, None
        if root is not None:
            root.mkdir(parents=True, exist_ok=True)
        if os.supports_dir_fd >= CALLS:
            self._fd = os.open(self.path, FOLDER)
        try:
            for name in () if root is None else path.relative_to(root).parts:
                self._enter(name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def stage(self, name: str, content: bytes | memoryview, sync: bool = True) -> str:
        """A new file for ``name``, on the disk when this returns if it is to ``sync``.

        Returns:
            its own name, for ``rename``.
        """
        staged, file = self.create(name)
        with self._making(staged, file):
            _write(file, content)
            if sync:
                os.fsync(file)
        return staged

    def create(self, name: str) -> tuple[str, int]:
        """A new and empty file for ``name``: its own name, and its descriptor."""
        staged = _fresh(name)
        return staged, os.open(self._at(staged), FRESH, 0o666, dir_fd=self._fd)

    def twin(self, name: str, other: str) -> str:
        """A new file for ``other`` with the content of ``name``: the same file where the system can, else a copy."""
        staged = _fresh(other)
        try:
            os.link(self._at(name), self._at(staged), src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except (OSError, NotImplementedError):
            return self.copy(name, other)
        return staged

    def copy(self, name: str, other: str) -> str:
        """A new file for ``other`` that says what ``name`` says, on the disk when this returns; its own name."""
        source = os.open(self._at(name), os.O_RDONLY | PLAIN, dir_fd=self._fd)
        try:
            staged, file = self.create(other)
            with self._making(staged, file):
                while chunk := os.read(source, CHUNK):
                    _write(file, chunk)
                os.fsync(file)
        finally:
            os.close(source)
        return staged

    def open_to_append(self, name: str) -> int:
        """The descriptor of a file, made if it is not there, whose every write is at its end.

        One that has other names too, as in a backup of hard links, is copied first: those keep what they say.

        Raises:
            Refused: it is a link, or no plain file.
        """
        file = open_plain(self.path / name, ADDED, self._fd)
        if os.fstat(file).st_nlink > 1:
            os.close(file)
            self.rename(self.copy(name, name), name)
            file = open_plain(self.path / name, ADDED, self._fd)
        return file

    def rename(self, name: str, other: str, into: "Folder | None" = None) -> None:
        """Give a file or folder another name, in another folder if one is told."""
        there = self if into is None else into
        os.replace(self._at(name), there._at(other), src_dir_fd=self._fd, dst_dir_fd=there._fd)

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

    def _enter(self, name: str) -> None:
        """Go on in a folder of this one, which is made if it is not there.

        Raises:
            Refused: it is a link.
        """
        if not self.has(name):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._at(name), dir_fd=self._fd)
        if self._fd is None:
            refuse_link(self.path / name)
        else:
            try:
                inner = os.open(name, FOLDER | NOFOLLOW, dir_fd=self._fd)
            except OSError as error:
                refuse_link(self.path / name)
                error.filename = str(self.path / name)
                raise
            os.close(self._fd)
            self._fd = inner
        self.path = self.path / name

    @contextlib.contextmanager
    def _making(self, staged: str, file: int) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.remove(staged)  # on a full disk the remnant would take the last blocks
            raise
        finally:
            os.close(file)

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)


def _fresh(name: str) -> str:
    """Shortened, for the longest that a file system takes leaves no room for more."""
    return f".{name[:48]}.{secrets.token_hex(8)}.tmp"


def _write(file: int, content: bytes | memoryview) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def _encoded(text: str) -> bytes:
    """In UTF-8; what has none, as bytes of names in another encoding, as the escapes that JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


def open_plain(path: Path, flags: int, dir_fd: int | None = None, mode: int = 0o666) -> int:
    """The descriptor of a plain file, never of what a link leads to; a pipe is not waited for.

    Args:
        dir_fd: of its folder, if that is open.

    Raises:
        Refused: it is a link, or no plain file.
        OSError: it cannot be opened.
    """
    if not NOFOLLOW:
        refuse_link(path)
    try:
        file = os.open(path if dir_fd is None else path.name, flags | NOFOLLOW | PLAIN, mode, dir_fd=dir_fd)
    except OSError as error:
        refuse_link(path)
        if error.errno == errno.ENXIO:  # a pipe without a reader, a socket
            raise Refused(path, is_link=False) from None
        error.filename = str(path)
        raise
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise Refused(path, is_link=False)


@contextlib.contextmanager
def new_file(path: Path, root: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write and read inside, which gets its name in the end; until then what was there is. Folders are made.

    Args:
        root: of the run or the results that it belongs to, if it lies deeper than that; see :class:`Folder`.
    """
    with _folder_of(path, root) as folder:
        staged, descriptor = folder.create(path.name)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
            folder.rename(staged, path.name)
        except BaseException:  # a signal too
            with contextlib.suppress(OSError):
                folder.remove(staged)
            raise


def write_atomically(path: Path, content: str | bytes | memoryview, root: Path | None = None) -> None:
    """Replace a file in one step: whoever reads it sees the old content or the new. Folders are made.

    Args:
        root: as of :func:`new_file`.
    """
    with _folder_of(path, root) as folder:
        staged = folder.stage(path.name, _encoded(content) if isinstance(content, str) else content, sync=False)
        try:
            folder.rename(staged, path.name)
        except OSError:
            folder.remove(staged)
            raise


@contextlib.contextmanager
def appending(path: Path, root: Path | None = None) -> Iterator[int]:
    """The descriptor of a file whose every write is at its end; folders are made if there is a ``root``.

    Raises:
        Refused: it is a link, or no plain file.
    """
    with _folder_of(path, root, make=False) as folder:
        file = folder.open_to_append(path.name)
        try:
            yield file
        finally:
            os.close(file)


def append(path: Path, text: str, root: Path | None = None) -> None:
    """Add to the end of a file; see :func:`appending`."""
    with appending(path, root) as file:
        _write(file, _encoded(text))


def make_folder(path: Path, root: Path) -> None:
    """Make a folder below a root, if it is not there.

    Raises:
        Refused: it is a link, or below one.
    """
    Folder(path, root).close()


def remove_folder(path: Path, root: Path, ignore_errors: bool = False) -> None:
    """Delete a folder below a root with all that is in it; a link in it goes, and not what it leads to.

    Raises:
        Refused: it is a link, or below one.
    """
    check_way(path, root)
    shutil.rmtree(path, ignore_errors=ignore_errors)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """A folder of these files, which is there as a whole or not at all; one that was there before goes first."""
    staged = path.with_name(_fresh(path.name))
    make_folder(staged, path.parent)
    try:
        for name, content in files.items():
            write_atomically(staged / name, content, staged)
        if path.is_dir():
            remove_folder(path, path.parent)
        with Folder(path.parent) as folder:
            folder.rename(staged.name, path.name)
    except BaseException:  # a signal too
        remove_folder(staged, path.parent, ignore_errors=True)
        raise


def check_written_to(root: Path, names: Iterable[str]) -> None:
    """Find out before anything is written whether links, or what is no plain file, are in the way.

    Args:
        names: of files that are appended to, and of folders, with those above them first.

    Raises:
        Refused: one is.
    """
    for name in names:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = (root / name).lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise Refused(root / name, is_link=stat.S_ISLNK(mode))


def check_way(folder: Path, root: Path) -> None:
    """Find out before anything is written whether a link is on the way from a root to a folder.

    Raises:
        Refused: one is.
    """
    below = folder.relative_to(root).parts
    for depth in range(1, len(below) + 1):
        refuse_link(root.joinpath(*below[:depth]))


def check_folders(folder: Path, root: Path) -> None:
    """The same, and whether anything in the folder, at whatever depth, is in the way of folders that may be made.

    A link to a plain file is not: a file is replaced, whatever was at its name.

    Raises:
        Refused: a link is, or a pipe or the like.
    """
    check_way(folder, root)
    if folder.is_dir():
        _look_below(folder)


def _look_below(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(folder, entry.name)
            if not entry.is_file():
                refuse_link(path)
                if not entry.is_dir():
                    raise Refused(path, is_link=False)
                _look_below(path)


def refuse_link(path: Path) -> None:
    """Raises:
    Refused: it is a link, or what Windows calls a junction.
    """
    if path.is_symlink() or JUNCTION(path):
        raise Refused(path, is_link=True)


@contextlib.contextmanager
def _folder_of(path: Path, root: Path | None, make: bool = True) -> Iterator[Folder]:
    """The folder of a file; errors name the file as it is asked for."""
    if make and root is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Folder(path.parent, root) as folder:
            yield folder
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
