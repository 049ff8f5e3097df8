"""JSON from anywhere: any bytes are numbers, texts, lists and dictionaries, or one line of what is wrong.

Python's own decoder takes more than JSON has (NaN, 1e400 as infinity), less than its caller can stand (a thousand
lists in one another, numbers of thousands of digits, halves of characters, a key twice), and any type for any other.
"""

import json
import math
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from options import UserError
from util.reading.plain import open_to_read

MOST_BYTES = 16 << 20  # of what a run keeps; tables of captions may have more
MOST_NODES = 20_000_000  # lists and dictionaries, of 56 bytes or more each
DEPTH = 64
LARGEST = 2**64  # of whole numbers: what an array holds, and what a float can follow


def read_json(path: Path, shape: Any = None, what: str = "JSON", way_out: str = "", code: int = 2) -> Any:
    """What a file says, of the given shape.

    Args:
        shape: see :func:`misfit`; None takes anything.
        what: the file should be, for the message; ``way_out``: what to do about it.

    Raises:
        UserError: it cannot be read, or says something else.
    """
    try:
        value = decode_json(bytes_of(path, MOST_BYTES))
        if shape is not None and (wrong := misfit(value, shape)):
            raise ValueError(wrong)
        return value
    except ValueError as error:
        raise UserError(f"{path}: not {what} ({error}){way_out and '; '}{way_out}", code=code) from None


def bytes_of(path: Path, most: int, pipes: bool = False) -> bytes:
    """A whole file of a size that was expected.

    Args:
        pipes: it was named by hand, and may be what another program writes.

    Raises:
        ValueError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") if pipes else open_to_read(path) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    if len(data) > most:
        raise ValueError(f"more than {most >> 20} MiB" if most >> 20 else f"more than {most >> 10} KiB")
    return data


def decode_json(data: bytes | str, halves: bool = False) -> Any:
    r"""The value that a text is.

    Args:
        halves: texts may hold half of a character, such as ``\ud800``, for a caller that can deal with them.

    Raises:
        ValueError: there is none, or one that would do harm further on.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    if text.count("[") + text.count("{") > MOST_NODES:
        raise ValueError(f"more than {MOST_NODES:,} lists and dictionaries")
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_int=_whole, parse_float=_float, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {DEPTH} levels") from None
    _check_depth(value)
    if not halves and "\\u" in text and _has_halves(value):
        raise ValueError("a text holds half of a character")
    return value


def misfit(value: Any, shape: Any, where: str = "") -> str:
    """In words: why a value is not of a shape; empty where it is.

    A shape is a type, several (``int | None``), ``[shape]`` for a list, or a dictionary of key -> shape, in which a key
    that ends in ``?`` may be missing, ``...`` stands for all keys that are not named, and keys that nothing stands for
    are left alone. A bool is no number here, and a whole number is a float.
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            return _unlike(value, "a dictionary of names", where)
        if lacking := next((key for key in shape if key is not ... and key[-1] != "?" and key not in value), None):
            return f"{where}{': ' * bool(where)}lacks {lacking!r}"
        known = {key.rstrip("?"): kind for key, kind in shape.items() if key is not ...}
        pairs = [(key, item, known.get(key, shape.get(...))) for key, item in value.items()]
        found = (misfit(item, kind, _inside(where, key)) for key, item, kind in pairs if kind is not None)
        return next(filter(None, found), "")
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _unlike(value, "a list", where)
        return next(filter(None, (misfit(v, shape[0], _inside(where, n)) for n, v in enumerate(value))), "")
    kinds = shape.__args__ if isinstance(shape, types.UnionType) else (shape,)
    fits = isinstance(value, kinds) or (isinstance(value, int) and float in kinds)
    if fits and (not isinstance(value, bool) or bool in kinds):
        return ""
    return _unlike(value, " or ".join(map(_word, kinds)), where)


WORDS: dict[type, str] = {
    **{int: "a whole number", float: "a number", str: "a text", bool: "true or false"},
    **{list: "a list", dict: "a dictionary", types.NoneType: "null"},
}


def _inside(where: str, key: str | int) -> str:
    return f"{where}: {key}" if where else str(key)


def _unlike(value: Any, wanted: str, where: str) -> str:
    return f"{where}{': ' * bool(where)}{_word(type(value))}, not {wanted}"


def _word(kind: type) -> str:
    return WORDS.get(kind, f"a {kind.__name__}")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{key[:40]!r} is given twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > 21 or not -LARGEST < int(digits) < LARGEST:
        raise ValueError(f"a whole number of {len(digits.lstrip('-'))} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is beyond what a number holds")
    return value


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH + 1):
        inner = (node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list))
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return
    raise ValueError(f"nested deeper than {DEPTH} levels")


def is_half(letter: str) -> bool:
    """Of a character, and no byte of a file's name that is not UTF-8, which Python writes as such (PEP 383)."""
    return "\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff"


def _has_halves(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isascii() and any(map(is_half, value))
    if isinstance(value, dict):
        return any(_has_halves(key) or _has_halves(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_halves, value))
