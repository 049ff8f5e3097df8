"""Files as a whole: read whatever became of them, gone on with, hashed."""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from util.reading.json_file import decode_json
from util.reading.plain import open_to_read
from util.writing import write_atomically

T = TypeVar("T")
LONGEST = 1 << 30  # characters of a log


def read_text(path: Path) -> str:
    """What a file says, of a log without end its beginning; empty where it cannot be read, or is a pipe."""
    if not path.is_file():
        return ""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError:
        return ""


def json_or_empty(path: Path) -> dict[str, Any]:
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
    lines: list[str] = []
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(LONGEST).splitlines(keepends=True)
    kept: dict[int, T] = {}
    for number, line in enumerate(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            record = _object(line) or {}
            if line.endswith("\n") and record["step"] <= done_step:
                kept[number] = parse(record)
    if len(kept) < len(lines):
        write_atomically(path, "".join(lines[number] for number in kept))
    return list(kept.values())


def finite_number(value: Any) -> float | None:
    """A finite number, else None; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _object(text: str) -> dict[str, Any] | None:
    try:
        values = decode_json(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: numbers that are not finite are null."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: known(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [known(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(value), indent=indent, allow_nan=False)


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
