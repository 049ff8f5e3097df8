"""How the scripts end: one line for a mistake, and an exit code that says which kind it was."""

import atexit
import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from options import Exit, UserError
from options.shown import visible
from util import distributed, signals, storage


def run(main: Callable[[], Any]) -> int:
    """Run a script's main, and end it with a code of ``Exit``; what is not foreseen keeps its traceback (1)."""
    atexit.register(signals.end_in_peace)
    with _harmless(), signals.raising():
        return _run(main, Path(sys.argv[0]).name)


def _run(main: Callable[[], Any], script: str) -> int:
    try:
        code = main()
        _flush()
        return code if isinstance(code, int) else Exit.DONE
    except BrokenPipeError:  # | head has read enough
        _flush()
        return Exit.DONE
    except KeyboardInterrupt as error:
        if distributed.tells(error):
            by = f" by {error}" if isinstance(error, signals.Interrupted) else ""
            print(f"{script}: interrupted{by}", file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:
        told = in_words(error)
        if told is None:
            raise
        if "--verbose" in sys.argv:
            traceback.print_exc()
        if distributed.tells(error):
            print(f"{script}: {told}", file=sys.stderr)
        return told.code
    finally:
        distributed.stop()


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    sys.stdout, sys.stderr = _Shown(sys.stdout), _Shown(sys.stderr)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = (getattr(stream, "stream", stream) for stream in (sys.stdout, sys.stderr))


class _Shown:
    """A stream of text whose escapes and directions a terminal does not obey; it may move within its line."""

    def __init__(self, stream: Any):
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        self.stream.write("\r".join(map(visible, text.split("\r"))))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def _flush() -> None:
    """Print what is left to print, if somebody is there to read it."""
    try:
        sys.stdout.flush()
    except OSError:  # a pipe that was closed, a terminal that is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_words(error: BaseException) -> UserError | None:
    """One line for what can be foreseen; None for a bug."""
    if isinstance(error, UserError):
        return error
    if out_of_memory(error):
        what = ". ".join(str(error).split("\n")[0].split(". ")[:2]).rstrip(".")
        judging = Path(sys.argv[0]).name == "evaluate.py"
        advice = "use --gpu_ids -1, or fewer or smaller pictures" if judging else LESS_TO_TRAIN
        return UserError(f"out of memory ({what or type(error).__name__}): {advice}", Exit.MEMORY)
    if isinstance(error, OSError):
        return storage.in_words(error)
    return distributed.PeerLost(error) if distributed.is_lost(error) else None


LESS_TO_TRAIN = "use a smaller --batch_size (see --accumulate) or --crop_size, or --precision bf16"
NO_MEMORY = ("allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "bad_alloc")  # torch, cuDNN, C++


def out_of_memory(error: BaseException) -> bool:
    """Whether a GPU, or this machine, had no memory left."""
    if isinstance(error, RuntimeError):
        return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def warn(text: str) -> None:
    """One line on stderr that does not garble a progress bar; never fails."""
    with contextlib.suppress(Exception):
        tqdm.write(f"warning: {' '.join(text.split())}", file=sys.stderr)


def reason(error: BaseException) -> str:
    """An error in a few words."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]
