"""Files as a whole: read whatever became of them, written in one step, hashed."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read_text(path: Path) -> str:
    """What a file says; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; empty where there is none that can be read."""
    return _object(read_text(path)) or {}


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of one a line; a line that a killed run left unfinished is passed over."""
    for line in read_text(path).splitlines():
        if (found := _object(line)) is not None:
            yield found


def continue_json_lines(path: Path, done_step: int, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """What ``parse`` makes of the records up to a step; the file is replaced if it holds anything else.

    Lines that a killed run left unfinished, or wrote of steps that will be made again, are dropped; so are those that
    ``parse`` refuses with an error of its own lookups and conversions.

    Raises:
        OSError: a file that is there cannot be read, or replaced.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if path.is_file() else []
    kept: dict[int, T] = {}
    for number, line in enumerate(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            record = _object(line) or {}
            if line.endswith("\n") and record["step"] <= done_step:
                kept[number] = parse(record)
    if len(kept) < len(lines):
        write_atomically(path, "".join(lines[number] for number in kept))
    return list(kept.values())


def _object(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step: whoever reads it sees the old text or the new."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except BaseException:  # a signal too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk the remnant would take the last blocks
        raise


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
