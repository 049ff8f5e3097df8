"""Which checkpoints a run has, and whether they are whole.

``<label>.manifest.json`` holds size and sha256 of the files of a checkpoint. It is committed with them, so a checkpoint
that does not match it was altered; one without was put there by hand, or by nobody.
"""

import contextlib
import sys
from collections.abc import Callable
from fnmatch import filter as those_like
from pathlib import Path
from typing import Any, TypeVar

from options import Exit, UserError
from util.commit import current, names
from util.files import sha256
from util.reading.json_file import read_json
from util.reading.plain import open_to_read

T = TypeVar("T")
FALLBACK = "previous"
SUFFIX = ".manifest.json"
SHAPE = {"epoch": int, "step": int, "files": {...: {"bytes": int, "sha256": str}}}
TRIES = 20


def read_manifest(run: Path, label: str) -> dict[str, Any]:
    """Of a checkpoint that is there.

    Raises:
        UserError: what is there is none (exit code 4).
    """
    return read_json(current(run / f"{label}{SUFFIX}"), SHAPE, "a manifest of a checkpoint", code=Exit.CHECKPOINT)


def has_manifest(run: Path, label: str) -> bool:
    return current(run / f"{label}{SUFFIX}").exists()


def steady(run: Path, label: str, read: Callable[[], T]) -> T:
    """What ``read`` makes of a checkpoint's files; once more where a run that goes on has replaced them meanwhile.

    Raises:
        UserError: it is replaced faster than it can be read (exit code 4); or as ``read``.
    """
    for _ in range(TRIES):
        before = _text(run, label)
        try:
            found = read()
        except (UserError, OSError):
            if _text(run, label) == before:
                raise
        else:
            if _text(run, label) == before:
                return found
    raise UserError(
        f"{run}: checkpoint {label} is replaced while it is read; give --epoch one that stays", code=Exit.CHECKPOINT
    )


def _text(run: Path, label: str) -> bytes:
    with contextlib.suppress(OSError), open_to_read(current(run / f"{label}{SUFFIX}")) as file:
        return file.read()
    return b""


def problem(run: Path, label: str, touched: bool = False) -> str | None:
    """What is wrong with a checkpoint, or None: every file there, of the recorded size and content.

    Args:
        touched: read those files alone that are newer than the manifest.
    """
    return steady(run, label, lambda: _problem(run, label, touched))


def _problem(run: Path, label: str, touched: bool) -> str | None:
    if not has_manifest(run, label):
        return "it has no manifest"
    try:
        written = current(run / f"{label}{SUFFIX}").stat().st_mtime_ns
        files = read_manifest(run, label)["files"]
    except (OSError, UserError):
        return "its manifest is damaged"
    for name, entry in files.items():
        if Path(name).name != name:
            return f"the manifest names {name!r}, outside the run"
        path = current(run / name)
        try:
            if not path.exists():
                return f"{name} is missing"
            if path.stat().st_size != entry["bytes"]:
                return f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}"
            if touched and path.stat().st_mtime_ns <= written:
                continue
            if sha256(path) != entry["sha256"]:
                return f"{name} was altered since it was written"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
    return None


def usable(run: Path, label: str) -> str:
    """``label``, or ``previous`` where ``latest`` is damaged.

    Raises:
        UserError: neither is whole (exit code 4).
    """
    wrong = problem(run, label) if has_manifest(run, label) else None
    if wrong is None:
        return label
    print(f"checkpoint {label} is not used: {wrong}", file=sys.stderr)
    if label != "latest" or problem(run, FALLBACK) is not None:
        raise UserError(f"{run}: no usable checkpoint {label!r}; {listing(run)}", code=Exit.CHECKPOINT)
    print(f"using checkpoint {FALLBACK} instead", file=sys.stderr)
    return FALLBACK


def weights_of(run: Path, label: str, name: str, use_ema: bool = False) -> Path:
    """The file with the weights of one network, averaged ones where the checkpoint has them and ``use_ema``.

    Raises:
        UserError: there is none (exit code 4).
    """
    path, averaged = run / f"{label}_net_{name}.pth", run / f"{label}_net_{name}_ema.pth"
    if use_ema and current(averaged).exists():
        manifest = read_manifest(run, label) if has_manifest(run, label) else None
        if not manifest or averaged.name in manifest["files"]:  # else of an earlier time
            path = averaged
    if not current(path).exists():
        raise UserError(f"no checkpoint {path}; {listing(run)}", code=Exit.CHECKPOINT)
    return path


def by_age(run: Path) -> list[str]:
    """Checkpoints with a readable manifest, the furthest first."""
    steps = {}
    for name in sorted(those_like(names(run), f"*{SUFFIX}")):
        label = name.removesuffix(SUFFIX)
        with contextlib.suppress(OSError, UserError):
            steps[label] = read_manifest(run, label)["step"]
    return sorted(steps, key=lambda label: -steps[label])


def is_published(run: Path, label: str) -> bool:
    """Whether this is a folder of weight files alone: none of its checkpoints has what a run keeps beside them."""
    there = names(run)
    kept = those_like(there, f"*{SUFFIX}") or those_like(there, "*_state.pt")
    return not kept and bool(those_like(there, f"{label}_net_*.pth"))


def is_empty(run: Path) -> bool:
    """Whether nothing of a checkpoint was ever committed here."""
    there = names(run)
    return not any(those_like(there, pattern) for pattern in (f"*{SUFFIX}", "*_state.pt", "*_net_*.pth"))


def listing(run: Path) -> str:
    found = sorted({name.split("_net_")[0] for name in those_like(names(run), "*_net_*.pth")})
    return (
        f"it has {', '.join(found)}"
        if found
        else "it has no checkpoints; train first, or check --name and --checkpoints_dir"
    )
