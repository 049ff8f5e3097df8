"""Which process of which host: a number alone is given again, and containers count their own."""

import contextlib
import dataclasses
import os
import socket
import uuid
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Process:
    """One process of one host, as no other is at any time.

    Attributes:
        host: this boot of a machine's kernel; containers on it share the name or not, and always the kernel's locks.
        name: of the host, for people.
        space: in which ``pid`` is counted; a container has its own.
        start: of the process, for its number may be given again.
    """

    host: str
    name: str
    space: str
    pid: int
    start: str

    def __str__(self) -> str:
        name = "".join(c if c.isprintable() else "?" for c in self.name[:64])
        return f"process {self.pid} on {name}"

    @property
    def is_here(self) -> bool:
        return self.host == this_host()

    @property
    def is_seen(self) -> bool:
        """Whether this process would see it: on the same host, and not from another container."""
        return self.is_here and self.space == _space()

    @property
    def runs(self) -> bool:
        """Whether it is known to run."""
        return self.is_seen and _is_running(self.pid, self.start)

    @property
    def has_ended(self) -> bool:
        """Whether it is known to be gone."""
        return self.is_seen and not _is_running(self.pid, self.start)


def this_host() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}-{uuid.getnode():x}"


def process(pid: int) -> Process:
    return Process(this_host(), socket.gethostname()[:64], _space(), pid, _start_of(pid))


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """When a process began, in ticks of the kernel; empty where that is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _is_running(pid: int, start: str) -> bool:
    if os.name == "nt":  # where os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        pass
    return not start or _start_of(pid) == start


def process_in(facts: Any) -> Process | None:
    """What a file says of one, written with ``dataclasses.asdict``; None where that is none."""
    names = [field.name for field in dataclasses.fields(Process)]
    if not isinstance(facts, dict) or not isinstance(facts.get("pid"), int) or facts["pid"] <= 0:
        return None
    if not all(isinstance(facts.get(name), str) for name in names if name != "pid"):
        return None
    return Process(**{name: facts[name] for name in names})
