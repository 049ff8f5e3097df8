"""One process at a time works on a folder: on one host by the kernel's lock, between hosts by a lease.

A claim is a file. On one host its lock decides alone: the kernel frees it at once, however the process ends, and no
child keeps it. Between hosts, where locks may not reach, what the file says counts alone: host, process, and that it
is renewed. Who would take one over has seen itself that nobody renews it, for the clocks of two hosts may differ, and
on some disks they are what gives files their times. Where the file system has no locks, that counts on one host too,
except that a process which is gone holds nothing.
"""

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

try:
    import fcntl
except ImportError:  # Windows: the lease alone
    fcntl = None  # type: ignore[assignment]

from options import Exit, UserError
from util.process import Process, process, process_in
from util.reading.json_file import decode_json
from util.writing import open_plain

LEASE = 90.0  # seconds after which a host that does not renew its claim has none
BEAT = 10.0  # seconds between two renewals
LOOK = 0.5  # seconds between two looks at a lease that may be renewed
SEEN = 1 / 3  # of a lease, in which who takes it over has seen no sign of its holder, whatever the time of the file
SETTLE = 1.0  # seconds in which hosts that take a claim at once have all written to it
SIZE = 2048  # bytes of a claim, always written as a whole
TRIES = 6  # at a lock, 50 ms apart: somebody may only be looking whether it is free
OWN: set[tuple[int, int, int]] = set()  # process, device and inode of claims that are held here: see ``holder``
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of a file system


class Taken(Exception):
    """Somebody else holds the claim; the text says who, and ``until`` what ends that of another host."""

    def __init__(self, who: Process | str | None):
        super().__init__(str(who or "another process"))
        elsewhere = isinstance(who, Process) and not who.is_here
        self.until = f", until {LEASE:.0f} s after the last sign of it" if elsewhere else ""


class Lost(UserError):
    """A folder that was this process's is gone, another one, or another process's: nothing may be written there."""


class Watch:
    """Whether a claim is free by now, for who asks again and again.

    That of another host is after a lease without a sign of it; for a third of that at least this itself saw none.
    """

    def __init__(self, file: Path):
        self.file, self.renewed = file, False
        self._version: int | None = None
        self._end = 0.0

    def __call__(self) -> bool:
        return not holder(self.file, self)

    def left(self) -> float:
        """Seconds in which a sign may come yet; 0 where the lease has ended."""
        version, now = self.file.stat().st_mtime_ns, time.monotonic()
        if version != self._version:
            self.renewed = self._version is not None
            self._version = version
            self._end = now + max(SEEN * LEASE, LEASE - _age(self.file))
        return max(0.0, self._end - now)


class Claim:
    """A claim that this process holds, and renews until it is released.

    Args:
        file: the claim's own, in a folder that is there.
        patient: where a process of another host holds it, to wait whether it lets its lease end; who is not waits
            only where it seems to have ended.
        watch: of this claim, by somebody who waits for nothing here.

    Raises:
        Taken: by somebody else.
        OSError: the file cannot be written.
        UserError: the file is none.
    """

    def __init__(self, file: Path, patient: bool = True, watch: Watch | None = None):
        self.file, self.lost = file, False
        self._facts: dict[str, Any] = {**dataclasses.asdict(process(os.getpid())), "token": secrets.token_hex(8)}
        self._descriptor, earlier = _take(file, patient, watch)
        self._key = _key_of(os.fstat(self._descriptor))
        OWN.add(self._key)
        orphan = process_in(earlier.get("child"))
        self.orphan = orphan if orphan is not None and orphan.runs else None  # of an earlier holder, which is gone
        self._facts["child"] = None if self.orphan is None else dataclasses.asdict(self.orphan)
        try:
            self._write()
            self._settle(earlier)
        except Taken:
            self._close()
            raise
        except BaseException:  # a signal too
            with contextlib.suppress(OSError):
                file.unlink()
            self._close()
            raise
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="claim", daemon=True)
        self._renewing.start()

    def note_child(self, pid: int | None) -> None:
        """Say in the claim which process does the work; it may outlive this one."""
        self._facts["child"] = None if pid is None else dataclasses.asdict(process(pid))
        with contextlib.suppress(OSError):
            self._write()

    @property
    def is_mine(self) -> bool:
        """Whether the file is there and still this process's; one that is deleted or hidden is nobody else's."""
        try:
            found = self.file.stat(follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            return not self.lost
        except OSError:
            return False
        mine = os.fstat(self._descriptor)
        return not self.lost and (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def release(self) -> None:
        """Remove the file: nobody holds anything here."""
        if self._over.is_set():
            return
        self._over.set()
        with contextlib.suppress(OSError):
            if self.is_mine:
                self.file.unlink(missing_ok=True)
        self._renewing.join(1.0)
        if not self._renewing.is_alive():  # else it waits for a disk that does not answer, and the kernel will do it
            self._close()

    def _close(self) -> None:
        OWN.discard(self._key)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _write(self) -> None:
        if os.pwrite(self._descriptor, json.dumps(self._facts).encode()[:SIZE].ljust(SIZE), 0) < SIZE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))
        os.fsync(self._descriptor)

    def _settle(self, earlier: dict[str, Any]) -> None:
        """A lease that ended may be taken over from several hosts at once: theirs it is who wrote last."""
        before = process_in(earlier)
        if before is not None and not before.is_seen:
            time.sleep(SETTLE)
            if self._is_over_written():
                raise Taken(process_in(_read(self._descriptor)))

    def _is_over_written(self) -> bool:
        said = _read(self._descriptor).get("token")
        return said is not None and said != self._facts["token"]

    def _renew(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(OSError):  # the disk may come back; if not, the lease ends
                if self._is_over_written():
                    self.lost = True
                    return
                self._write()


def holder(file: Path, watch: Watch | None = None) -> str:
    """Who holds a claim, in words; empty where nobody does. Nothing is written that stays.

    One of this process is not opened: with the descriptor that is closed then its lock would be given up. A claim of
    another host is judged by the time of its file, and where something hangs on it by who watches it.
    """
    try:
        if _key_of(file.stat(follow_symlinks=False)) in OWN:
            return str(process(os.getpid()))
        descriptor = _open(file, os.O_RDONLY)
    except (OSError, UserError):
        return ""
    try:
        found = process_in(_read(descriptor))
        free = _is_free(_lock(descriptor, shared=True), found)
        if free is None:
            free = _age(file) >= LEASE if watch is None else not watch.left()
        return "" if free else str(found or "another process")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _key_of(found: os.stat_result) -> tuple[int, int, int]:
    return os.getpid(), found.st_dev, found.st_ino


# -- the file ------------------------------------------------------------------------------------------------------


def _take(file: Path, patient: bool, watch: Watch | None) -> tuple[int, dict[str, Any]]:
    """The descriptor of a claim that nobody else has, and what it said before.

    Of many hosts one makes the file; the others give it the time to say whose it is.
    """
    end = time.monotonic() + SETTLE
    while True:
        try:
            descriptor, made = _open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL), True
        except FileExistsError:
            try:
                descriptor, made = _open(file, os.O_RDWR), False
            except FileNotFoundError:  # whoever had it removed it just now
                continue
        try:
            earlier = _ask(descriptor, file, patient, watch)
            there = file.stat(follow_symlinks=False)
            is_new = not made and process_in(earlier) is None and _age(file) < SETTLE and time.monotonic() < end
            if there.st_ino == os.fstat(descriptor).st_ino and not is_new:
                return descriptor, earlier
            time.sleep(0.05 * is_new)
        except FileNotFoundError:  # whoever had it removed it just now
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _ask(descriptor: int, file: Path, patient: bool, watch: Watch | None) -> dict[str, Any]:
    """What the claim said, if it is free.

    Raises:
        Taken: it is not.
    """
    locked, facts = _lock(descriptor), _read(descriptor)
    found = process_in(facts)
    if locked is None:
        print(f"{file.parent}: this file system has no locks; a lease of {LEASE:.0f} s counts instead", file=sys.stderr)
    free = _is_free(locked, found)
    if free is None and found is not None:
        free = not watch.left() if watch is not None else _runs_out(file, found, patient)
    if not free:
        raise Taken(found)
    return facts


def _is_free(locked: bool | None, found: Process | None) -> bool | None:
    """Whether nobody holds a claim, by its lock and what it says; None where its lease decides."""
    if found is None:
        return locked is not False
    if found.is_here and locked is not None:
        return locked
    return found.has_ended if found.is_seen else None


def _runs_out(file: Path, found: Process, patient: bool) -> bool:
    """Whether a lease has ended; who is patient waits whether it is renewed."""
    watch, said = Watch(file), False
    while (left := watch.left()) and not watch.renewed:
        age = _age(file)
        if not patient and age < LEASE:
            return False
        if not said:
            ago = f"{file.parent}: {found} was here {age:,.0f} s ago"
            print(f"{ago}; waiting up to {left:.0f} s for a sign of it", file=sys.stderr)
            said = True
        time.sleep(min(LOOK, left))
    return not watch.renewed


def _age(file: Path) -> float:
    """Seconds since a claim was renewed, by the clock of the disk, or this host's where nothing can be written."""
    try:
        now = _time_there(file)
    except OSError:
        now = time.time()
    return max(0.0, now - file.stat().st_mtime)


def _time_there(file: Path) -> float:
    probe = file.with_name(f".{secrets.token_hex(8)}.probe")
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"\n")
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        probe.unlink()


def _open(file: Path, flags: int) -> int:
    """The file, never what a link leads to, nor one that is somewhere else too: it is written over in place.

    Raises:
        UserError: it is none of a claim.
    """
    descriptor = open_plain(file, flags, mode=0o644)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise UserError(f"{file} is a file with other names too, which would say the same; remove it", Exit.STORAGE)
    return descriptor


def _lock(descriptor: int, shared: bool = False) -> bool | None:
    """Whether the kernel gave the lock; None where it has none for this file.

    It is a lock of POSIX, which belongs to the process: unlike that of flock, a child that was forked has no part in
    it. It is given up with the first descriptor of the file that is closed, so a holder opens its claim once.
    """
    if fcntl is None:
        return None
    tries = 1 if shared else TRIES  # who looks hinders nobody who looks too
    for attempt in range(tries):
        try:
            fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return None
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            time.sleep(0.05 if attempt < tries - 1 else 0)
        else:
            return True
    return False


def _read(descriptor: int) -> dict[str, Any]:
    """What a claim says; empty where that is nothing that could be read."""
    with contextlib.suppress(ValueError):
        facts = decode_json(os.pread(descriptor, SIZE, 0))
        if isinstance(facts, dict):
            return facts
    return {}
