"""Processes that die: what a process does to files is counted, and ended before, or in the middle of, any of it."""

import contextlib
import os
import sys
import threading
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate"}
CHANGES |= {"shutil.copyfile", "shutil.move", "shutil.rmtree"}
TO = {"os.rename", "os.link"}  # told by the name that comes into being
_active = None


class Killed(BaseException):
    """The process is no more: nothing that handles errors sees it, and no file changes after it."""


class Deaths:
    """Inside, every open for writing, write, fsync, rename, link, unlink, mkdir and copy below a folder is counted.

    Args:
        folder: changes elsewhere are not counted; a name without a folder is one in a folder that is open.
        fatal: the number of the change before which the process dies, from 1; a write dies half-way. 0 is never.
        die: how; what is raised ends the process for the caller alone, ``os._exit`` for good.
        links: whether the file system has hard links.
        before: called before each change with its number, when the disk is what a process that dies there leaves.
    """

    def __init__(self, folder, fatal=0, die=None, links=True, before=None):
        self.folder, self.fatal, self.die, self.links, self.before = str(folder), fatal, die, links, before
        self.done: list[str] = []
        self.dead = self.looking = False

    def change(self, what, half=None):
        if self.looking or threading.current_thread() is not threading.main_thread():
            return  # the claim is renewed by a thread of its own, every ten seconds, in the midst of anything
        if not self.dead:
            self.done.append(what)
            if self.before is not None:
                self.looking = True
                try:
                    self.before(len(self.done))
                finally:
                    self.looking = False
            if len(self.done) != self.fatal:
                return
            if half is not None:
                half()
            self.dead = True
            if self.die is not None:
                self.die()
        raise Killed(what)

    def hear(self, event, args):
        if event == "open":
            path, _, flags = args
            if not (isinstance(flags, int) and flags & WRITES and self.concerns(path)):
                return
        elif event not in CHANGES or not any(map(self.concerns, args)):
            return
        elif event == "os.mkdir" and Path(os.fsdecode(args[0])).is_dir():
            return  # it is there already: nothing will change
        self.change(f"{event} {Path(os.fsdecode(args[event in TO])).name}")

    def concerns(self, path):
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        path = os.fsdecode(path)
        return path.startswith(self.folder) or "/" not in path

    def __enter__(self):
        global _active
        if not _heard:
            _heard.append(sys.addaudithook(lambda event, args: _active.hear(event, args) if _active else None))
        write, sync, link = self.calls = os.write, os.fsync, os.link

        def writing(file, data):
            self.change("write", lambda: write(file, bytes(data[: len(data) // 2])))
            return write(file, data)

        def syncing(file):
            self.change("fsync")
            return sync(file)

        def linking(*args, **kwargs):
            if not self.links:
                raise OSError(1, "no links here")
            return link(*args, **kwargs)

        os.write, os.fsync, os.link = writing, syncing, linking
        _active = self
        return self

    def __exit__(self, kind, *_):
        global _active
        _active = None
        os.write, os.fsync, os.link = self.calls
        return kind is Killed


_heard: list[None] = []  # a hook cannot be taken away again


@contextlib.contextmanager
def silent():
    """Without what the scripts print, so that a sweep's own lines can be read."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
