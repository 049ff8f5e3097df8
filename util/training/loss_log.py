"""``loss_log.txt``: the published lines of losses, which the scripts around CUT and CycleGAN plot."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from util.files import LONGEST
from util.writing import write_atomically

FILE = "loss_log.txt"
LINE = re.compile(r"\(epoch: (\d{1,18}), iters: (\d{1,18}), ")
Levels = Mapping[str, Mapping[str, float]]  # loss -> {what the value is: value}


def header() -> str:
    """Of each part of a run."""
    return f"================ Training Loss ({time.strftime('%c')}) ================"


def line_of(
    epoch: int, iters: int, losses: Mapping[str, float], seconds: float, data_seconds: float, levels: Levels
) -> str:
    """The published line.

    Args:
        epoch: from 1.
        iters: images of this epoch that are done.
        seconds, data_seconds: computing and loading time per image.
        levels: values to read a loss by, which are shown beside it.
    """
    line = f"(epoch: {epoch}, iters: {iters}, time: {seconds:.3f}, data: {data_seconds:.3f}) "
    for name, value in losses.items():
        beside = ", ".join(f"{level} {at:.3f}" for level, at in levels.get(name, {}).items())
        line += f"{name}: {float(value):.3f} " + (f"({beside}) " if beside else "")
    return line


def cut_back(path: Path, epoch: int, iters: int) -> None:
    """Drop the lines at the end that a killed part of the run wrote after this point, for they are written again.

    The last line of an earlier point ends the search: what is before it, such as the log of a run that others
    trained and this one goes on from, stays. So do headers, each of which says when a part began.

    Raises:
        OSError: the file is there, and cannot be read or replaced.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read(LONGEST).splitlines(keepends=True)
    kept = lines[:-1] if lines and not lines[-1].endswith("\n") else list(lines)
    for at in reversed(range(len(kept))):
        if match := LINE.match(kept[at]):
            if (int(match[1]), int(match[2])) <= (epoch, iters):
                break
            del kept[at]
    if kept != lines:
        write_atomically(path, "".join(kept))
