"""Packages of zi2zi (``train.obj``): pickles of (label, bytes of an image), one after another.

A pickle is a program. This reader carries out the few instructions that build such a pair, and knows none that look
up or call anything: a package made to do harm is refused at its first foreign instruction. It reads what Python 2
wrote (TensorFlow's zi2zi: protocols 0 to 2, where bytes are called strings) and what Python 3 writes.
"""

import codecs
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from options import UserError

MARK, ENCODE = object(), object()  # on the stack: begin of a tuple; the name of _codecs.encode
PROTOCOL = 5  # the newest there is


class _Foreign(Exception):
    """What a package of zi2zi does not hold."""


class _Truncated(Exception):
    pass


def records(path: Path) -> Iterator[tuple[int, int, int]]:
    """Label, first byte and end of every record.

    Raises:
        UserError: the file is missing, ends within a record, or holds anything but pairs of a number and bytes.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise UserError(f"{path}: empty file")
            number = 0
            while (start := file.tell()) < size:
                label, _ = _checked(path, number, file, size)
                yield label, start, file.tell()
                number += 1
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def record(path: Path, start: int, end: int) -> bytes:
    """The image of the record at these bytes."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return _checked(path, None, file, end)[1]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _checked(path: Path, number: int | None, file: BinaryIO, end: int) -> tuple[int, bytes]:
    where = f"record {number}" if number is not None else f"the record at byte {file.tell()}"
    try:
        value = _Machine(file, end).run()
    except _Truncated:
        raise UserError(f"{path}: ends within {where}; it was cut off, copy or build it again") from None
    except _Foreign as foreign:
        raise UserError(
            f"{path}: {where} holds {foreign}; a package of zi2zi holds (label, bytes) only, and nothing else "
            "is loaded, since a pickle can run programs"
        ) from None
    except (ValueError, IndexError, KeyError, OverflowError):
        raise UserError(f"{path}: {where} is damaged, or the file is no package of zi2zi") from None
    label, image = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
    if type(label) is not int or type(image) is not bytes:
        kinds = [type(v).__name__ for v in value] if isinstance(value, tuple) else type(value).__name__
        raise UserError(f"{path}: {where} is {kinds}; a package of zi2zi holds (label, bytes)")
    if not 0 <= label < 2**31:
        raise UserError(f"{path}: {where} has label {label}; labels are 0, 1, 2, ...")
    return label, image


class _Machine:
    """The instructions of one pickle; see Lib/pickletools.py of Python for what each means."""

    def __init__(self, file: BinaryIO, end: int):
        self.file, self.end = file, end
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while (instruction := self.read(1)) != b".":
            step = STEPS.get(instruction)
            if step is None:
                raise _Foreign(f"the instruction {instruction!r}")
            step(self)
        (value,) = self.stack
        return value

    def read(self, count: int) -> bytes:
        if count < 0:
            raise ValueError
        if count > self.end - self.file.tell():
            raise _Truncated
        return self.file.read(count)

    def number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.read(count), "little", signed=signed)

    def line(self) -> bytes:
        text = self.file.readline(self.end - self.file.tell())
        if not text.endswith(b"\n"):
            raise _Truncated
        return text[:-1]

    def small_line(self) -> bytes:
        text = self.line()
        if len(text) > 80:  # a number of thousands of digits takes long to convert
            raise ValueError
        return text

    def protocol(self) -> None:
        if self.number(1) > PROTOCOL:
            raise ValueError

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def quoted(self) -> bytes:
        text = self.line()
        if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
            raise ValueError
        return codecs.escape_decode(text[1:-1])[0]  # type: ignore[attr-defined]

    def take(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise ValueError
        taken = tuple(self.stack[len(self.stack) - count :])
        if MARK in taken:
            raise ValueError
        del self.stack[len(self.stack) - count :]
        return taken

    def to_mark(self) -> tuple[Any, ...]:
        count = self.stack[::-1].index(MARK)
        taken = self.take(count)
        self.stack.pop()
        return taken

    def keep(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def name(self, module: str, name: str) -> None:
        """``_codecs.encode`` is how protocols 0 to 2 of Python 3 write bytes; it is noted, never looked up."""
        if (module, name) != ("_codecs", "encode"):
            raise _Foreign(f"a reference to {module}.{name}"[:120])
        self.push(ENCODE)

    def name_on_stack(self) -> None:
        module, name = self.take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError
        self.name(module, name)

    def reduce(self) -> None:
        called, arguments = self.take(2)
        if called is not ENCODE:
            raise _Foreign("a call")
        text, codec = arguments
        if not isinstance(text, str) or codec != "latin1":
            raise _Foreign("a call of _codecs.encode other than with latin1")
        self.push(text.encode("latin1"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


STEPS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.protocol(),
    b"\x95": lambda m: m.read(8),  # FRAME
    b"(": lambda m: m.push(MARK),
    b"I": lambda m: m.push(int(m.small_line())),
    b"L": lambda m: m.push(int(m.small_line().rstrip(b"L"))),
    b"J": lambda m: m.push(m.number(4, signed=True)),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"\x8a": lambda m: m.push(m.number(m.number(1), signed=True)),  # LONG1
    b"S": lambda m: m.push(m.quoted()),  # the strings of Python 2 are bytes
    b"T": lambda m: m.push(m.read(m.number(4, signed=True))),
    b"U": lambda m: m.push(m.read(m.number(1))),
    b"B": lambda m: m.push(m.read(m.number(4))),
    b"C": lambda m: m.push(m.read(m.number(1))),
    b"\x8e": lambda m: m.push(m.read(m.number(8))),  # BINBYTES8
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"X": lambda m: m.push(_text(m.read(m.number(4)))),
    b"\x8c": lambda m: m.push(_text(m.read(m.number(1)))),
    b"\x8d": lambda m: m.push(_text(m.read(m.number(8)))),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push(m.take(1)),
    b"\x86": lambda m: m.push(m.take(2)),
    b"\x87": lambda m: m.push(m.take(3)),
    b"t": lambda m: m.push(m.to_mark()),
    b"p": lambda m: m.keep(int(m.small_line())),
    b"q": lambda m: m.keep(m.number(1)),
    b"r": lambda m: m.keep(m.number(4)),
    b"\x94": lambda m: m.keep(len(m.memo)),  # MEMOIZE
    b"g": lambda m: m.push(m.memo[int(m.small_line())]),
    b"h": lambda m: m.push(m.memo[m.number(1)]),
    b"j": lambda m: m.push(m.memo[m.number(4)]),
    b"c": lambda m: m.name(m.line().decode("ascii"), m.line().decode("ascii")),
    b"\x93": lambda m: m.name_on_stack(),
    b"R": lambda m: m.reduce(),
}
