"""Pictures in shards, as a sequence of items: the index is found or made, and pictures are read by their places."""

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.items.collection import Collection
from data.items.columns import read_columns, strings, write_columns
from data.items.index import MOST_FILE, SEPARATOR, Builder, key_of
from data.items.stores import Store
from options import UserError
from util import distributed
from util.writing import Refused, make_folder, open_plain, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NUMBERS = {"shard": "<i4", "folder": "<i4", "label": "<i4", "offset": "<i8", "size": "<i4"}


class Shards(Collection):
    """All pictures of a set of shards.

    Attributes:
        names: of the pictures within their folders.
        captions: of each picture, joined by SEPARATOR.
        notes: what is not read.
        broken: [shard, why, pictures before] of shards that are cut short or damaged.
    """

    def __init__(self, store: Store, cache: Path, flag: str):
        self.store, self.flag = store, flag
        self.root, self.groups = store.names.root, store.names.names
        self._path = Path()
        names, base = store.names.names, store.names.base
        key = key_of(names, base if store.folder is None else str(store.folder.resolve()))
        beside = [] if store.folder is None else [store.folder / f".{key_of(names)}.index"]  # where it may be moved
        self._places = [*beside, cache / f"{key}.index"]
        if not self._find():
            with _alone(cache / f"{key}.lock"):
                if not self._find() and not self._fetch():  # another process has made it meanwhile
                    self._make()

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("store", "flag", "root", "groups", "_path", "_places")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load(self._path)

    # -- the index -----------------------------------------------------------------------------------------------------

    def _find(self) -> bool:
        for path in self._places:
            with contextlib.suppress(OSError, ValueError):
                self._load(path)
                return True
        return False

    def _fetch(self) -> bool:
        """Take the index that lies beside shards on a server, if it is of shards of these sizes."""
        store, path = self.store, self._places[-1]
        data = store.published(f".{key_of(store.names.names)}.index")
        if data is None:
            return False
        try:
            write_atomically(path, data)
            facts, columns = read_columns(path)
            if [state[0] for state in facts["states"]] != [state[0] for state in store.states]:
                raise ValueError("of other shards")
            write_columns(path, facts | {"states": store.states}, columns)
            self._load(path)
        except (OSError, Refused, ValueError, TypeError, LookupError):
            return False
        distributed.say_once(f"{store.names.root}: {len(self.shard)} pictures, by the index that lies beside them")
        return True

    def _load(self, path: Path) -> None:
        facts, columns = read_columns(path)
        if facts.get("states") != self.store.states:
            raise ValueError("of other shards")
        for name, kind in NUMBERS.items():
            if name not in columns or columns[name].dtype != np.dtype(kind):
                raise ValueError(f"no column {name}")
        self.shard, self.folder, self.label, self.offset, self.size = (columns[name] for name in NUMBERS)
        self.names, self.captions = strings(columns, "name"), strings(columns, "caption")
        self.folders, self.labels = strings(columns, "folders"), strings(columns, "labels")
        self.notes, self.broken = list(facts.get("notes", ())), list(facts.get("broken", ()))
        self._check()
        self._path = path

    def _check(self) -> None:
        """Raises:
        ValueError: a number leads out of a shard, or of a column.
        """
        count = len(self.shard)
        lengths = {len(column) for column in (self.folder, self.label, self.offset, self.size)}
        if lengths != {count} or len(self.names) != count or len(self.captions) != count:
            raise ValueError("columns of different lengths")
        ends = np.array([state[0] for state in self.store.states], np.int64)
        within = (
            (self.shard, 0, len(ends)),
            (self.folder, 0, len(self.folders)),
            (self.label, -1, len(self.labels)),
            (self.size, 0, MOST_FILE + 1),
        )
        if count and not all(low <= column.min() and column.max() < high for column, low, high in within):
            raise ValueError("a number leads out")
        if count and (self.offset.min() < 0 or (self.offset > ends[self.shard] - self.size).any()):
            raise ValueError("a place leads out of a shard")

    def _make(self) -> None:
        began, store, builder = time.perf_counter(), self.store, Builder()
        for number, name in enumerate(store.names.names):
            builder.add(number, name, partial(store.read, number), store.states[number][0])
        facts = {"states": store.states, "notes": builder.notes(), "broken": builder.broken}
        path = self._write(facts, builder.columns())
        self._load(path)
        seconds = time.perf_counter() - began
        distributed.say_once(
            f"{store.names.root}: {len(self.shard)} pictures in {len(store.names.names)} shards; the index was made in "
            f"{seconds:.1f} s and is kept in {path}"
        )

    def _write(self, facts: dict[str, Any], columns: dict[str, Any]) -> Path:
        problem: OSError | Refused | None = None
        for path in self._places:
            try:
                write_columns(path, facts, columns)
                return path
            except (OSError, Refused) as error:
                problem = error
        raise UserError(
            f"--{self.flag} {self.store.names.root}: no place for its index ({problem}); give a --shard_cache_dir that "
            "can be written"
        )

    # -- pictures ------------------------------------------------------------------------------------------------------

    def read(self, row: int) -> bytes:
        shard, size = int(self.shard[row]), int(self.size[row])
        data = self.store.read(shard, int(self.offset[row]), size)
        if len(data) != size:
            raise UserError(f"{self.place(row)}: cannot be read (it is cut short)")
        return data

    def file_name(self, row: int) -> str:
        return self.names[row]

    def inside(self, row: int) -> str:
        """The name of a picture within its shard."""
        folder = self.folders[int(self.folder[row])]
        return f"{folder}/{self.names[row]}" if folder else self.names[row]

    def name(self, row: int) -> str:
        return f"{self.groups[self.shard[row]]}/{self.inside(row)}"

    def place(self, row: int) -> str:
        return f"{self.store.place(int(self.shard[row]))}/{self.inside(row)}"

    def captions_of(self, row: int) -> list[str]:
        text = self.captions[row]
        return text.split(SEPARATOR) if text else []

    def captioned(self) -> np.ndarray:
        return np.diff(self.captions.ends, prepend=0) > 0


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process of this machine after the other, where the lock can be had; two that make the same do no harm."""
    file = -1
    with contextlib.suppress(OSError, Refused):
        make_folder(path.parent, path.parent)
        file = open_plain(path, os.O_RDWR | os.O_CREAT)
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if file >= 0:
            os.close(file)
