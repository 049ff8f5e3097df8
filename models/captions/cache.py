"""Vectors of captions on disk: what a frozen encoder says of a caption is computed once."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch

from options import Exit, UserError
from util.writing import check_written_to

WAIT = 120  # seconds for other processes that write
MOST = 500  # captions asked for in one query; sqlite before 3.32 takes 999
LARGEST = 65504  # of float16
TYPES = {2: "<f2", 4: "<f4"}  # by bytes of a number


class TextCache:
    """The words of captions as one encoder sees them, in one sqlite file; any number of processes share it.

    A file is opened for each call alone, so that a cache may be copied and carried over a fork.

    Args:
        folder: made with the first caption that is kept.
        digest: of everything the vectors depend on besides the caption; each has a file of its own.
        dim: numbers of a word.
    """

    def __init__(self, folder: str | Path, digest: str, dim: int):
        self.path, self.dim = Path(folder) / f"{digest[:32]}.sqlite", dim

    def missing(self, captions: Iterable[str]) -> list[str]:
        """Those that are not kept yet, each once."""
        captions = list(dict.fromkeys(captions))
        there = {key for (key,) in self._select("key", captions)}
        return [caption for caption in captions if _key(caption) not in there]

    def get(self, captions: Iterable[str]) -> dict[str, torch.Tensor]:
        """Caption -> (T, dim) float32 of its own T words, for those that are kept.

        Raises:
            UserError: the file is damaged.
        """
        by_key = {_key(caption): caption for caption in captions}
        return {
            by_key[key]: self._read(length, size, words)
            for key, length, size, words in self._select("key, length, size, words", by_key.values())
        }

    def put(self, words: Mapping[str, torch.Tensor]) -> None:
        """Keep these (T, dim), rounded to float16 where that can hold them; all of them or none.

        Raises:
            UserError: the file is damaged, or cannot be written.
        """
        rows = []
        for caption, x in words.items():
            if x.ndim != 2 or x.shape[1] != self.dim or not len(x):
                raise ValueError(f"words of a caption are (T, {self.dim}) with T at least 1, not {tuple(x.shape)}")
            x = x.detach().float().cpu()
            size = 2 if x.abs().max() <= LARGEST else 4  # T5 says numbers that overflow float16
            rows.append((_key(caption), len(x), size, x.numpy().astype(TYPES[size]).tobytes()))
        with self._open(writes=True) as file, file:
            file.execute(
                "CREATE TABLE IF NOT EXISTS captions"
                " (key BLOB PRIMARY KEY, length INTEGER NOT NULL, size INTEGER NOT NULL, words BLOB NOT NULL)"
            )
            file.executemany("INSERT OR IGNORE INTO captions VALUES (?, ?, ?, ?)", rows)

    def _select(self, columns: str, captions: Iterable[str]) -> Iterator[tuple]:
        if not self.path.exists():
            return
        keys = list(dict.fromkeys(map(_key, captions)))
        with self._open() as file:
            if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'captions'").fetchone():
                return  # another process has just made the file
            for start in range(0, len(keys), MOST):
                some = keys[start : start + MOST]
                marks = ", ".join("?" * len(some))
                yield from file.execute(f"SELECT {columns} FROM captions WHERE key IN ({marks})", some).fetchall()

    def _read(self, length: int, size: int, words: bytes) -> torch.Tensor:
        if size not in TYPES or len(words) != length * self.dim * size:
            raise self._damaged("a caption's words are incomplete")
        return torch.from_numpy(np.frombuffer(words, TYPES[size]).astype("f4").reshape(length, self.dim))

    @contextmanager
    def _open(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if writes:  # sqlite follows links
                self.path.parent.mkdir(parents=True, exist_ok=True)
                check_written_to(self.path.parent, [self.path.name])
            elif not self.path.is_file():
                raise self._damaged("no plain file")
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as file:
                yield file
        except (OSError, sqlite3.OperationalError) as error:  # no room, no right to write, locked for too long
            raise UserError(
                f"text cache {self.path}: {error}; name another folder with --text_cache", code=Exit.STORAGE
            ) from None
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, reason: str) -> UserError:
        return UserError(
            f"text cache {self.path}: damaged ({reason}); delete it and it is made anew", code=Exit.STORAGE
        )


def _key(caption: str) -> bytes:
    return hashlib.sha256(caption.encode("utf-8", "surrogatepass")).digest()
