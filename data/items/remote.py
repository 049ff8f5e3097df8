"""Shards on a server, read block by block through a bounded cache on a disk here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from data.items.blocks import BLOCK, Blocks, name_of
from data.items.servers import AT_ONCE, PIECE, Server, WithoutParts
from data.items.stores import Store
from options import UserError
from util import distributed

AHEAD = 8  # blocks that are fetched at once where one was read after the other
assert PIECE == BLOCK  # of a whole file each piece is a block
MOST_INDEX = 4 << 30  # bytes


class RemoteStore(Store):
    """
    Attributes:
        blocks: what lies here.
    """

    def __init__(self, server: Server, folder: Path, most: int):
        self.server, self.flag = server, server.flag
        self.names = server.names()
        self.blocks = Blocks(folder, most)
        self._recent: tuple[int, int, bytes] = (-1, 0, b"")  # shard, first block, what was fetched last
        self._whole = False  # whether the server gives whole files alone
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self.states = list(pool.map(self._state, range(len(self.names.names))))

    def _state(self, shard: int) -> list[Any]:
        return self.server.state(self._url(shard))

    def _url(self, shard: int) -> str:
        return self.place(shard) + self.names.query

    def read(self, shard: int, offset: int, size: int) -> bytes:
        end = min(offset + size, self.states[shard][0])
        if end <= offset:
            return b""
        parts = []
        for block in range(offset // BLOCK, (end - 1) // BLOCK + 1):
            start = block * BLOCK
            parts.append(self._part(shard, block, max(offset - start, 0), min(end - start, BLOCK), (end - 1) // BLOCK))
        return b"".join(parts)

    def published(self, name: str) -> bytes | None:
        """The index that somebody has put beside the shards; None where there is none."""
        url = f"{self.names.base.rstrip('/')}/{name}{self.names.query}"
        try:
            state = self.server.ask_state(url)
            if not 0 < state[0] <= MOST_INDEX:
                return None
            return b"".join(
                self.server.read(url, start, min(AHEAD * BLOCK, state[0] - start), state)
                for start in range(0, state[0], AHEAD * BLOCK)
            )
        except Exception:  # it is a convenience, and shards have all that it says
            return None

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _part(self, shard: int, block: int, start: int, end: int, last: int) -> bytes:
        """Bytes of one block; what is fetched goes up to the ``last`` block that is wanted too, or further."""
        of, first, data = self._recent
        within = (block - first) * BLOCK
        if of == shard and 0 <= within < len(data):
            return data[within + start : within + end]
        found = self.blocks.get(self._name(shard, block), start, end)
        if found is not None and len(found) == end - start:
            return found
        follows = of == shard and block == first + -(-len(data) // BLOCK)
        count = max(AHEAD if follows else 1, min(last - block + 1, AHEAD))
        self._recent = (shard, block, self._fetched(shard, block, count))
        return self._recent[2][start:end]

    def _name(self, shard: int, block: int) -> str:
        return name_of(self.place(shard), self.states[shard], block, BLOCK)

    def _fetched(self, shard: int, block: int, count: int) -> bytes:
        size = self.states[shard][0]
        start = block * BLOCK
        end = min(start + count * BLOCK, size)
        if not self._whole:
            try:
                data = self.server.read(self._url(shard), start, end - start, self.states[shard])
                for n, piece in enumerate(_pieces(data)):
                    self.blocks.put(self._name(shard, block + n), piece)
                return data
            except WithoutParts:
                self._whole = True
                distributed.say_once(f"{self.names.root}: the server gives no parts of files; whole shards are fetched")
        return self._from_whole(shard, start, end)

    def _from_whole(self, shard: int, start: int, end: int) -> bytes:
        size = self.states[shard][0]
        if size > self.blocks.most:
            raise UserError(
                f"{self.place(shard)}: the server gives no parts of files, and this one has {size / 2**30:.3g} GiB; "
                f"give a --shard_cache_gb above it (now {self.blocks.most / 2**30:.3g})"
            )
        wanted: dict[int, bytes] = {}

        def take(place: int, piece: bytes) -> None:
            self.blocks.put(self._name(shard, place // BLOCK), piece)
            if start <= place < end:
                wanted[place] = piece

        self.server.read_whole(self._url(shard), self.states[shard], take)
        return b"".join(piece for _, piece in sorted(wanted.items()))


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
