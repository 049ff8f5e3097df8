"""Scripts in processes of their own that need not import torch: they are forked from one that has.

:func:`install` makes ``subprocess`` of this process start ``python script.py ...`` and ``python -m
torch.distributed.run ...`` so. What such a process is given is what it would have: its words, folder, environment,
streams, session and group, signals as an interpreter has them, and a pid of its own; its exit status comes back. Its
parent alone is another, a process that waits for it. What needs a new interpreter is started as ever: ``-c``, other
words before the script, and an environment in which something differs that is read when Python or torch starts.

``DIPTYCH_TESTS_FORK=0`` starts everything as ever, as ``make test-all`` does.
"""

import atexit
import contextlib
import importlib
import io
import json
import os
import random
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCRIPTS = {str(ROOT / f"{name}.py") for name in ("train", "test", "translate", "evaluate", "compare")}
MODULES = {"torch.distributed.run"}
READ_AT_START = ("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS_", "TORCH_LOGS", "MALLOC_", "CUDA_")
IMPORTED = ("torch.distributed.run", "torchvision.transforms.v2", "train", "test", "translate", "evaluate", "compare")
STATUS = struct.Struct("=i")
ORDINARY: Any = subprocess.Popen
# What subprocess hands on, in its order.
BEFORE = ("close_fds", "pass_fds", "cwd", "env", "startupinfo", "creationflags", "shell")
STREAMS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
AFTER = ("restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group")


class ForkedPopen(ORDINARY):
    """subprocess.Popen; what can be forked is, see the module."""

    _status: socket.socket | None = None

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *more: Any) -> None:
        given = dict(zip((*BEFORE, *STREAMS, *AFTER), more, strict=True))
        plain = not (executable or preexec_fn or given["pass_fds"] or given["shell"] or given["process_group"] != -1)
        request = asked(args, given["cwd"], given["env"]) if plain and given["umask"] == -1 else None
        if request is None:
            super()._execute_child(args, executable, preexec_fn, *more)
            return
        request["session"] = given["start_new_session"]
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self._status, theirs = socket.socketpair()
        with theirs:
            parent().ask(request, [own if fd == -1 else fd for own, fd in enumerate(streams)], theirs)
        self.pid = STATUS.unpack(self._status.recv(STATUS.size, socket.MSG_WAITALL))[0]
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in STREAMS))

    def _internal_poll(self, _deadstate: Any = None, **deleted: Any) -> int | None:
        if self._status is None:
            return super()._internal_poll(_deadstate, **deleted)
        if self.returncode is None:
            self._try_wait(os.WNOHANG)
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._status is None:
            return super()._try_wait(wait_flags)
        waits = 0 if wait_flags == os.WNOHANG else socket.MSG_WAITALL
        try:
            said = self._status.recv(STATUS.size, waits or socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0, 0
        self._status.close()
        status = STATUS.unpack(said)[0] if said else signal.SIGKILL
        self._handle_exitstatus(status)
        return self.pid, status


def asked(args: Any, cwd: Any, env: Mapping[str, str] | None) -> dict[str, Any] | None:
    """What is to be forked; None of what is not."""
    words = [os.fspath(word) for word in args] if isinstance(args, Sequence) and not isinstance(args, str) else []
    if len(words) < 2 or words[0] != sys.executable or not all(isinstance(word, str) for word in words):
        return None
    folder, environment = Path(cwd or Path.cwd()).resolve(), dict(os.environ if env is None else env)
    unbuffered = environment.get("PYTHONUNBUFFERED") or words[1] == "-u"
    if words[1] == "-u" and len(words) > 2:  # as torchrun starts scripts
        del words[1]
    if read_at_start(environment) | {"PYTHONUNBUFFERED": ""} != AS_IT_IS:
        return None
    module = words[2] if words[1] == "-m" and len(words) > 2 else None
    if module not in MODULES and str((folder / words[1]).resolve()) not in SCRIPTS:
        return None
    return {"words": words[1:], "folder": str(folder), "environment": environment, "unbuffered": bool(unbuffered)}


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What is read once, when Python or its libraries start."""
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


class Parent:
    """The process that has imported everything, from which others are forked; those may ask it, too."""

    def __init__(self, asking: socket.socket | None = None) -> None:
        if asking is not None:
            self.ours = asking
            return
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = ORDINARY(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, **AS_IT_IS},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.end)

    def ask(self, request: Mapping[str, Any], streams: Sequence[int], status: socket.socket) -> None:
        with tempfile.TemporaryFile() as file:  # an environment may be longer than a message
            file.write(json.dumps(request, ensure_ascii=True).encode())
            file.flush()
            socket.send_fds(self.ours, [b"!"], [file.fileno(), *streams, status.fileno(), self.ours.fileno()])

    def end(self) -> None:
        self.ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()


def parent() -> Parent:
    if not _parents:
        _parents.append(Parent())
    return _parents[0]


_parents: list[Parent] = []
AS_IT_IS: dict[str, str] = {}  # what of that is as it was when the tests began


def install() -> None:
    AS_IT_IS.update(read_at_start(os.environ) | {"PYTHONUNBUFFERED": ""})
    if os.environ.get("DIPTYCH_TESTS_FORK") != "0" and sys.platform == "linux":
        subprocess.Popen = ForkedPopen  # type: ignore[misc]


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork whatever is asked for; what it is comes back in each new process, and None where nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for the scripts are nobody's to wait for
    while True:
        message, fds, _, _ = socket.recv_fds(channel, 1, 6)
        if not message:
            return None
        if os.fork() == 0:
            break
        for fd in fds:
            os.close(fd)
    channel.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with os.fdopen(fds[0], encoding="utf-8") as file:
        file.seek(0)
        request: dict[str, Any] = json.load(file)
    pid = os.fork()
    if pid:
        for fd in (*fds[1:4], fds[5]):
            os.close(fd)
        os.write(fds[4], STATUS.pack(pid))
        ended = os.waitpid(pid, 0)[1]
        with contextlib.suppress(OSError):  # nobody waits for it any more
            os.write(fds[4], STATUS.pack(ended))
        os._exit(0)
    os.close(fds[4])
    for own, fd in enumerate(fds[1:4]):
        os.dup2(fd, own)
        os.close(fd)
    if request["session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["unbuffered"]:
        sys.stdout = io.TextIOWrapper(open(1, "wb", 0, closefd=False), write_through=True)  # noqa: SIM115
    random.seed()
    tempfile.tempdir = None
    _parents.append(Parent(socket.socket(fileno=fds[5])))
    install()
    return request


def become(words: list[str]) -> None:
    """What ``python`` followed by these words does; exceptions are the interpreter's to deal with."""
    sys.modules.pop("util.early", None)
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
    main = types.ModuleType("__main__")
    main.__file__ = words[0]
    sys.modules["__main__"] = main
    exec(compile(Path(words[0]).read_bytes(), words[0], "exec"), main.__dict__)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    if (found := serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        become(found["words"])
