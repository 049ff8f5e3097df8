"""Where the files of a .tar lie, by its headers alone: any bytes are members, or one line of what is wrong.

Python's own reader makes an object of thirty fields of each member and keeps them all; of a million files that takes a
minute and a gigabyte, and it follows a size below 0 back to where it was. What is needed is a name and a place.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

BLOCK = 512
AHEAD, SMALL = 1 << 15, 1 << 13  # bytes that are read at once where the last member had fewer than SMALL
MOST_HEADER = 1 << 20  # bytes of a long name, or of pax's records
MOST_MEMBERS = 20_000_000
FILES, FOLDER = (b"0", b"\0", b"7"), b"5"
WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes: whatever size they claim
LONG_NAME, LONG_LINK, OF_NEXT, OF_ALL, SPARSE = b"L", b"K", b"x", b"g", b"S"
NO_NAME = ""

Read = Callable[[int, int], bytes]  # (offset, size) -> bytes; fewer where the archive ends


class Member(NamedTuple):
    """A file: its name, where its bytes begin, how many; not ``plain`` if it is a link, sparse or a device."""

    name: str
    offset: int
    size: int
    plain: bool


class Broken(ValueError):
    """Nothing is known of what follows here.

    Attributes:
        offset: where the last member that can be read ends.
        unmarked: all is there but the mark of the end.
    """

    def __init__(self, why: str, offset: int, unmarked: bool = False):
        super().__init__(why)
        self.offset, self.unmarked = offset, unmarked


def members(read: Read, size: int) -> Iterator[Member]:
    """Every file, link and device of an archive of so many bytes, in its order; folders are none.

    Raises:
        Broken: the archive ends too early, or a header is none. What came before is whole.
    """
    place, count = 0, 0
    headers = _Headers(read, size)
    name, length, sparse = NO_NAME, -1, False  # what a header said of the next one
    while True:
        block = headers.at(place)
        if len(block) < BLOCK:
            raise Broken("it is cut short" if place else "it is empty", place, unmarked=not block and place > 0)
        if not any(block):
            return
        _check(block, place)
        kind, claimed = block[156:157], _number(block[124:136], place)
        own = claimed if length < 0 else length
        start = place + BLOCK
        if kind in (LONG_NAME, LONG_LINK, OF_NEXT, OF_ALL):
            data = _extension(read, start, claimed, size, place)
            if kind == LONG_NAME:
                name = _text(data.partition(b"\0")[0])
            elif kind == OF_NEXT:
                name, length, sparse = _records(data, name, place)
            place = start + _rounded(claimed)
            continue
        told = name or _name(block)
        more = 482 if kind == SPARSE else -1  # where a header says that a map of holes goes on behind it
        while more >= 0 and block[more : more + 1] not in (b"\0", b""):
            block, start, more = headers.at(start), start + BLOCK, 504
        taken = 0 if kind in WITHOUT_DATA else own
        if start + taken > size:
            raise Broken(f"it is cut short in {told[:200]}", place)
        if kind != FOLDER and not (kind == b"\0" and told.endswith("/")):
            count += 1
            if count > MOST_MEMBERS:
                raise Broken(f"more than {MOST_MEMBERS:,} files", place)
            yield Member(told, start, taken, kind in FILES and not sparse)
        place = start + _rounded(taken)
        headers.expect(taken)
        name, length, sparse = NO_NAME, -1, False


class _Headers:
    """Blocks of an archive; where members are small, several of them are read at once."""

    def __init__(self, read: Read, size: int):
        self.read, self.size = read, size
        self.window, self.start, self.ahead = b"", 0, BLOCK

    def expect(self, length: int) -> None:
        self.ahead = AHEAD if length < SMALL else BLOCK

    def at(self, place: int) -> bytes:
        inside = place - self.start
        if not 0 <= inside <= len(self.window) - BLOCK:
            self.window, self.start, inside = self.read(place, max(0, min(self.ahead, self.size - place))), place, 0
        return self.window[inside : inside + BLOCK]


def _check(block: bytes, place: int) -> None:
    """Raises:
    Broken: the sum of a header is not what it says.
    """
    try:
        told = int(block[148:156].rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        told = -1
    if told != sum(block) - sum(block[148:156]) + 8 * 32:
        raise Broken(f"it is damaged at byte {place}" if place else "it is no .tar", place)


def _number(field: bytes, place: int) -> int:
    """Octal digits, or as GNU has large ones: a byte of 128, and the number."""
    if field[0] == 255:
        raise Broken("a header of it leads back", place)
    if field[0] == 128:
        value = int.from_bytes(field[1:], "big")
    else:
        try:
            value = int(field.partition(b"\0")[0].strip() or b"0", 8)
        except ValueError:
            value = -1
    if not 0 <= value < 1 << 62:
        raise Broken(f"it is damaged at byte {place}", place)
    return value


def _name(block: bytes) -> str:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:  # of others something else may stand there
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return _text(name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _extension(read: Read, start: int, length: int, size: int, place: int) -> bytes:
    if length > MOST_HEADER:
        raise Broken(f"a header of it is too long at byte {place}", place)
    data = read(start, length)
    if len(data) < length or start + length > size:
        raise Broken("it is cut short", place)
    return data


def _records(data: bytes, name: str, place: int) -> tuple[str, int, bool]:
    """What pax says of the next member: ``27 path=a/long/name.png``, a line each, with its length.

    Returns:
        name, size (-1: its header says it), whether it is sparse.
    """
    length, sparse, start = -1, False, 0
    while start < len(data) and data[start]:
        digits, _, _ = data[start : start + 20].partition(b" ")
        try:
            end = start + int(digits)
            key, mark, value = data[start + len(digits) + 1 : end - 1].partition(b"=")
            if end <= start + len(digits) or end > len(data) or not mark:
                raise ValueError
            if key == b"path":
                name = _text(value)
            elif key == b"size":
                length = int(value[:20])
                if length < 0:
                    raise Broken("a header of it leads back", place)
                if length >= 1 << 62:
                    raise ValueError
            elif key.startswith(b"GNU.sparse."):
                sparse = True
        except Broken:
            raise
        except ValueError:
            raise Broken(f"it is damaged at byte {place}", place) from None
        start = end
    return name, length, sparse
