"""Disks that are full, cannot be written or are gone: found out before work, and told in one line."""

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path

from options import Exit, UserError

PROBE = 2**16  # bytes that are written to find out whether anything can be
# What a disk says that is full (or a quota of it), read-only, not ours, broken, not mounted any more, or gone.
NAMES = """ENOSPC EDQUOT EFBIG EROFS EACCES EPERM EIO ESTALE ENOTCONN ENODEV ENXIO ETIMEDOUT EHOSTDOWN EREMOTEIO ENOENT
ENOTDIR ELOOP ENAMETOOLONG"""
OF_A_DISK = {getattr(errno, name) for name in NAMES.split() if hasattr(errno, name)}


def unwritten(path: Path | str, error: OSError, more: str = "") -> UserError:
    """The line for a file or folder that could not be written."""
    why = os.strerror(error.errno) if error.errno is not None else str(error)
    return UserError(f"{path}: cannot be written ({why}){more}", code=Exit.STORAGE)


def in_words(error: OSError) -> UserError | None:
    """The line for an error of a disk that nobody expected where it came; None where it is none."""
    if error.errno is None or error.errno not in OF_A_DISK:
        return None
    where = error.filename2 or error.filename
    if where is None and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ETIMEDOUT):
        return None  # no file of ours
    place = "a file or the output" if where is None else str(where if not isinstance(where, int) else "a file")
    return UserError(f"{place}: {os.strerror(error.errno)}; what was written before is kept", code=Exit.STORAGE)


def check_writable(folder: Path, flag: str) -> None:
    """Find out whether files can be written to a folder, or where it would be made; nothing is left there.

    Args:
        flag: what names another place, for the message.

    Raises:
        UserError: they cannot (exit code 5).
    """
    there = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path())
    probe = there / f".{secrets.token_hex(8)}.probe"
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            left = PROBE
            while left:  # a disk that is nearly full takes a part
                left -= os.write(descriptor, bytes(left))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                probe.unlink()
    except OSError as error:
        raise unwritten(folder, error, f"; choose another {flag}") from None


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raises:
    UserError: fewer bytes are free than ``what`` needs (exit code 5).
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        megabytes = f"{needed / 2**20:.1f} MB, and {free / 2**20:.1f} MB are free"
        raise UserError(f"{folder}: {what} needs {megabytes}; choose another --checkpoints_dir", code=Exit.STORAGE)
