"""How the scripts end: one line for a mistake, and an exit code that says which kind it was."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from options import UserError
from util import distributed, storage
from util.storage import STORAGE as STORAGE

STOPPED = 75  # EX_TEMPFAIL: ended by a signal, with a checkpoint saved; start it again to go on


def run(main: Callable[[], Any]) -> int:
    """Run a script's main; 0 done, 2 options or data, 3 not finite, 4 checkpoint, 5 storage, 75 stopped by a signal."""
    try:
        code = main()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as error:
        if "--verbose" in sys.argv:
            traceback.print_exc()
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return error.code
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        if "--verbose" in sys.argv:
            traceback.print_exc()
        what = ". ".join(str(error).split("\n")[0].split(". ")[:2]).rstrip(".")
        advice = "use a smaller --batch_size (see --accumulate) or --crop_size, or --precision bf16"
        print(f"{Path(sys.argv[0]).name}: out of memory ({what or type(error).__name__}): {advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # | head has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        told = storage.in_words(error)
        if told is None:
            raise
        if "--verbose" in sys.argv:
            traceback.print_exc()
        print(f"{Path(sys.argv[0]).name}: {told}", file=sys.stderr)
        if error.filename is None:  # it may be the output itself, which would be flushed again at the end
            with contextlib.suppress(Exception):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return told.code
    finally:
        distributed.stop()


def out_of_memory(error: BaseException) -> bool:
    """Whether a GPU, or this machine, had no memory left."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def warn(text: str) -> None:
    """One line on stderr that does not garble a progress bar; never fails."""
    with contextlib.suppress(Exception):
        tqdm.write(f"warning: {' '.join(text.split())}", file=sys.stderr)


def reason(error: BaseException) -> str:
    """An error in a few words."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]
