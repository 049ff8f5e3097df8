"""Decoders that cannot be bounded run in a child, with a limit of time and of memory, that may be killed or crash.

Each process has a child of its own, started when a file first needs it, which serves one call after the other and ends
with its parent. Answers are numbers, texts and arrays of numbers, never pickles: a child that a file has taken over can
say something wrong and no more. Where a system has no limits of memory (Windows) that of time remains.

    in_child("util.reading.matlab:variables", path, ["X", "y"])
"""

import contextlib
import importlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from options import UserError
from util.reading.json_file import MOST_BYTES, decode_json

SECONDS = 60  # for a call; a large volume of a scanner takes a tenth
START = 300  # seconds to start
PIPE = 1 << 20  # bytes that are on their way
MEMORY = 4 << 30  # bytes of the child, or three times the file where that is more
ROOT = Path(__file__).parents[2]
ALONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TIFFFILE_NUM_THREADS")  # threads take memory


def in_child(function: str, path: Path, *arguments: Any, seconds: float = SECONDS) -> Any:
    """``module:function`` of this path and further plain values; tuples are returned as lists.

    Raises:
        UserError, Image.DecompressionBombError: as the function does.
        ValueError: it raised anything else, took too long or too much memory, or crashed.
    """
    with _lock:
        global _child
        if _child is None or _child.process.poll() is not None:
            _child = _Child()
        try:
            _child.prepare(function)
            kind, value = _child.ask([function, str(path.absolute()), *arguments], seconds)
        except _Ended as ended:
            _child = None
            raise ValueError(str(ended)) from None
    if kind == "value":
        return value
    if kind == "DecompressionBombError":
        raise Image.DecompressionBombError(value)
    raise UserError(value) if kind == "UserError" else ValueError(value)


def in_children(
    function: str, calls: Iterable[list[Any]], count: int, seconds: float = SECONDS
) -> Generator[Any, None, None]:
    """Answers of ``module:function`` to each call, in their order, from so many children of their own at once.

    The function is given an empty path, as it is about no file, and the values of the call. When this generator is
    closed the children are gone.

    Raises:
        ValueError: a call raised anything, took too long or too much memory, or crashed.
    """
    children, pending = [_Child() for _ in range(count)], deque[Future[Any]]()
    idle: SimpleQueue[_Child] = SimpleQueue()
    for child in children:
        idle.put(child)

    def answer(call: list[Any]) -> Any:
        child = idle.get()
        try:
            child.prepare(function)
            kind, value = child.ask([function, "", *call], seconds)
        except _Ended as ended:
            raise ValueError(str(ended)) from None
        finally:
            idle.put(child)
        if kind != "value":
            raise ValueError(value)
        return value

    threads = ThreadPoolExecutor(count)
    try:
        for call in calls:
            pending.append(threads.submit(answer, call))
            if len(pending) > 2 * count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for child in children:
            child.process.kill()
        threads.shutdown(cancel_futures=True)
        for child in children:
            child.process.wait()
            child.forget()


class _Ended(Exception):
    """The child is gone; why, in words."""


class _Child:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "util.reading.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(ALONE, "1")},
            start_new_session=True,  # Ctrl-C is its parent's to deal with
            pipesize=PIPE if sys.platform == "linux" else -1,
        )
        self.modules: set[str] = set()

    def prepare(self, function: str) -> None:
        """Start, and import what is called: on a busy machine that takes longer than a call may."""
        module = function.partition(":")[0]
        if module not in self.modules:
            self.ask(["util.reading.child:prepared", str(ROOT), module], START)
            self.modules.add(module)

    def ask(self, question: Any, seconds: float) -> tuple[str, Any]:
        process, late = self.process, threading.Event()
        assert process.stdin is not None and process.stdout is not None

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            _send(process.stdin, [Image.MAX_IMAGE_PIXELS, seconds, *question])  # type: ignore[arg-type]
            return _receive(process.stdout, _room(Path(question[1])))  # type: ignore[arg-type]
        except (OSError, EOFError, ValueError, TypeError) as error:
            process.kill()
            code = process.wait()
            if late.is_set():
                raise _Ended(f"not decoded within {seconds:g} s") from None
            if isinstance(error, ValueError | TypeError):
                raise _Ended("its decoder was taken over") from None
            raise _Ended(f"its decoder ended with {f'signal {-code}' if code < 0 else f'code {code}'}") from None
        finally:
            timer.cancel()

    def forget(self) -> None:
        """It is gone or, in a fork, the parent's."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


_child: _Child | None = None
_lock = threading.Lock()


def _forked() -> None:
    global _child, _lock
    if _child is not None:
        _child.forget()
    _child, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


# -- what is sent ------------------------------------------------------------------------------------------------------


def _send(pipe: BinaryIO, value: Any) -> None:
    """JSON in which an array is {"array": [type, shape]}, then the bytes of the arrays."""
    arrays: list[np.ndarray] = []

    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray):
            arrays.append(np.ascontiguousarray(item))
            return {"array": [item.dtype.str, *item.shape]}
        return item.item()

    text = json.dumps(value, default=plain).encode()
    parts: list[Any] = [struct.pack("<Q", len(text)), text, *(array.reshape(-1).view(np.uint8) for array in arrays)]
    for part in parts:
        left = memoryview(part)
        while left:
            left = left[pipe.write(left) :]


def _receive(pipe: BinaryIO, most: int = MEMORY) -> Any:
    (length,) = struct.unpack("<Q", _exactly(pipe, 8))
    if length > MOST_BYTES:
        raise ValueError("an answer that is too long")
    return _with_arrays(pipe, decode_json(bytes(_exactly(pipe, length)), halves=True), most)


def _with_arrays(pipe: BinaryIO, value: Any, most: int) -> Any:
    """Arrays of at most so many bytes in their places."""
    if isinstance(value, list):
        return [_with_arrays(pipe, item, most) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {"array"}:
        return {key: _with_arrays(pipe, item, most) for key, item in value.items()}
    kind, *shape = value["array"]
    found = np.dtype(kind)
    size = found.itemsize
    for side in shape:
        size *= int(side)
    if found.kind not in "buif" or not 0 <= size <= most:
        raise ValueError("an array that is too large, or none of numbers")
    return np.frombuffer(_exactly(pipe, size), found).reshape(shape)


def _exactly(pipe: BinaryIO, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        read = pipe.readinto(view)  # type: ignore[attr-defined]
        if not read:
            raise EOFError
        view = view[read:]
    return data


# -- the child ---------------------------------------------------------------------------------------------------------


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent is gone."""
    while True:
        try:
            Image.MAX_IMAGE_PIXELS, seconds, function, path, *arguments = _receive(questions)
        except EOFError:
            return
        try:
            limit(Path(path), seconds)
            module, _, name = function.partition(":")
            answer = ["value", getattr(importlib.import_module(module), name)(Path(path), *arguments)]
        except MemoryError:
            answer = ["MemoryError", f"decoding it takes more than {MEMORY >> 30} GiB of memory"]
        except Exception as error:  # decoders of damaged files raise what they please
            answer = [type(error).__name__, (str(error) or type(error).__name__)[:1000]]
        _send(answers, answer)


def prepared(path: Path, module: str) -> None:
    importlib.import_module(module)


def _room(path: Path) -> int:
    """Bytes of memory for what is in a file."""
    try:
        return max(MEMORY, 3 * path.stat().st_size)
    except OSError:
        return MEMORY


def limit(path: Path, seconds: float = SECONDS) -> None:
    """What the next call may take, where the system can be told; a call whose parent is gone ends by itself."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        room = _room(path)
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(usage.ru_utime + usage.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + int(2 * seconds), resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a decoder prints is no answer
    serve(os.fdopen(0, "rb", buffering=0), pipe)  # type: ignore[arg-type]
