"""Files that are opened to be read without waiting: a pipe in the place of one would never end."""

import errno
import io
import os
import stat
from pathlib import Path


def open_to_read(path: Path) -> io.BufferedReader:
    """Open a file, wherever a link leads to it.

    Raises:
        OSError: it cannot be opened; or it is a pipe, a device or the like.
    """
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    kind = os.fstat(file).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):  # of the latter Python says so itself
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "no plain file", str(path))
