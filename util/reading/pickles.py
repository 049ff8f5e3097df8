"""An interpreter of pickles that runs nothing: plain values, and what a caller gives for the names it expects.

A pickle is a program. This one carries out the instructions that build numbers, texts, bytes, tuples, lists and
dictionaries, and knows none that look up or call what the caller did not give. Its memory is bounded by the length of
the pickle: at most about sixty bytes for a byte. It reads what Python 2 wrote (protocols 0 to 2, where bytes are called
strings) and what Python 3 writes.
"""

import codecs
import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from options import UserError
from util.reading.json_file import bytes_of

MARK, ENCODE = object(), object()  # on the stack: begin of a tuple and the like; the name of _codecs.encode
PROTOCOL = 5  # the newest there is
MOST_BYTES = 64 << 20  # of a list of names
Names = Mapping[tuple[str, str], Any]


class Foreign(Exception):
    """An instruction, a name or a value that the caller's files do not hold."""


class Truncated(Exception):
    """The pickle ends before it is done."""


class Machine:
    """The instructions of one pickle; see Lib/pickletools.py of Python for what each means.

    Args:
        end: where the file ends, in bytes from its beginning.
        steps: the instructions that are known.
        names: (module, name) -> what stands for it; one that is callable may be called with what the pickle gives it.
        stored: what stands for a persistent id.
    """

    def __init__(
        self,
        file: BinaryIO,
        end: int,
        steps: Mapping[bytes, Callable[["Machine"], object]],
        names: Names | None = None,
        stored: Callable[[Any], Any] | None = None,
    ):
        self.file, self.end, self.steps, self.stored = file, end, steps, stored
        self.room = end - file.tell()  # for what is not in the file, but made of what is
        self.names = {("_codecs", "encode"): ENCODE} | dict(names or {})
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value.

        Raises:
            Foreign, Truncated: see there.
            ValueError, IndexError, KeyError, TypeError, OverflowError: it is damaged.
        """
        while (instruction := self.read(1)) != b".":
            step = self.steps.get(instruction)
            if step is None:
                raise Foreign(f"the instruction {instruction!r}")
            step(self)
        if len(self.stack) != 1 or self.stack[0] is MARK:
            raise ValueError(f"a pickle of {len(self.stack)} values")
        return self.stack[0]

    def read(self, count: int) -> bytes:
        if count < 0:
            raise ValueError
        if count > self.end - self.file.tell():
            raise Truncated
        return self.file.read(count)

    def number(self, count: int, signed: bool = False) -> int:
        if count > 9:
            raise Foreign(f"a number of {count} bytes")
        return int.from_bytes(self.read(count), "little", signed=signed)

    def line(self) -> bytes:
        text = self.file.readline(self.end - self.file.tell())
        if not text.endswith(b"\n"):
            raise Truncated
        return text[:-1]

    def small_line(self) -> bytes:
        text = self.line()
        if len(text) > 80:  # a number of thousands of digits takes long to convert
            raise ValueError
        return text

    def integer(self) -> int | bool:
        text = self.small_line()
        return text == b"01" if text in (b"00", b"01") else int(text)

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
        count = next((n for n, value in enumerate(reversed(self.stack)) if value is MARK), None)
        if count is None:
            raise ValueError
        taken = self.take(count)
        self.stack.pop()
        return taken

    def new_dict(self) -> None:
        items = self.to_mark()
        self.push({})
        self.set_items(items)

    def extend(self, items: tuple[Any, ...]) -> None:
        self.last(list).extend(items)

    def last(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError
        return self.stack[-1]

    def keep(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def set_items(self, items: tuple[Any, ...]) -> None:
        known = self.last(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | bytes) and not (type(key) is int and abs(key) < 2**32):
                raise Foreign(f"a key of type {type(key).__name__}")  # whole numbers could be chosen to collide
            known[key] = value

    def name(self, module: str, name: str) -> None:
        if (module, name) not in self.names:
            raise Foreign(f"a reference to {module}.{name}"[:120])
        self.push(self.names[module, name])

    def name_on_stack(self) -> None:
        module, name = self.take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError
        self.name(module, name)

    def reduce(self) -> None:
        called, arguments = self.take(2)
        called = self.encode if called is ENCODE else called
        if not callable(called):
            raise Foreign("a call")
        if type(arguments) is not tuple:
            raise ValueError
        self.push(called(*arguments))

    def build(self) -> None:
        (state,) = self.take(1)
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].state = state
        elif type(self.stack[-1]) is not dict or type(state) is not dict:  # attributes of an OrderedDict
            raise Foreign(f"a state of {type(self.stack[-1]).__name__}")

    def persistent(self) -> None:
        if self.stored is None:
            raise Foreign("a reference to something outside")
        self.push(self.stored(self.take(1)[0]))

    def encode(self, text: Any, codec: Any) -> bytes:
        """``_codecs.encode`` is how protocols 0 to 2 of Python 3 write bytes; it is done here, never looked up."""
        if not isinstance(text, str) or codec != "latin1":
            raise Foreign("a call of _codecs.encode other than with latin1")
        self.room -= len(text)
        if self.room < 0:
            raise Foreign("one text that is encoded again and again")
        return text.encode("latin1")


class Inert:
    """What an object of a class becomes: nothing is called, its arguments and its state are kept."""

    def __init__(self, *args: Any):
        self.args = args
        self.state: Any = ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


Steps = Mapping[bytes, Callable[[Machine], object]]
# Numbers, texts, bytes and tuples.
SIMPLE: Steps = {
    b"\x80": lambda m: m.protocol(),
    b"\x95": lambda m: m.read(8),  # FRAME
    b"(": lambda m: m.push(MARK),
    b"I": lambda m: m.push(m.integer()),
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
    b"c": lambda m: m.name(m.line().decode("utf-8"), m.line().decode("utf-8")),
    b"\x93": lambda m: m.name_on_stack(),
    b"R": lambda m: m.reduce(),
}
# Lists, dictionaries, states of objects and references to what is stored elsewhere besides.
ALL: Steps = {
    **SIMPLE,
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"G": lambda m: m.push(struct.unpack(">d", m.read(8))[0]),
    b"F": lambda m: m.push(float(m.small_line())),
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b"l": lambda m: m.push(list(m.to_mark())),
    b"d": lambda m: m.new_dict(),
    b"a": lambda m: m.extend(m.take(1)),
    b"e": lambda m: m.extend(m.to_mark()),
    b"s": lambda m: m.set_items(m.take(2)),
    b"u": lambda m: m.set_items(m.to_mark()),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.persistent(),
}


def read_names(path: Path) -> list[str]:
    """The texts of a pickled list, of Python 2 or 3.

    Raises:
        UserError: it cannot be read, or holds anything else.
    """
    try:
        data = bytes_of(path, MOST_BYTES)
        found = Machine(io.BytesIO(data), len(data), ALL).run()
        if not isinstance(found, list):
            raise Foreign(f"a {type(found).__name__}")
        names = [name.decode() if isinstance(name, bytes) else name for name in found]
        if odd := next((type(name).__name__ for name in names if not isinstance(name, str)), ""):
            raise Foreign(f"a list with values of type {odd}")
    except Foreign as foreign:
        raise UserError(
            f"{path}: holds {foreign}; a list of names is texts alone, and nothing else is loaded, since a pickle can "
            "run programs"
        ) from None
    except Truncated:
        raise UserError(f"{path}: is cut off; copy it again") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: not a pickled list of names ({error or type(error).__name__})") from None
    return names
