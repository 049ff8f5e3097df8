"""Pictures that are no files: what every collection of them gives by number, and columns that are made as asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from util.reading.item import Item


class Collection(ABC):
    """N pictures by number.

    Attributes:
        root: as it was typed.
        groups: names of what holds them: shards, or parts of a table.
        folders: names of folders in these; "" is none.
        labels: names of classes that are told.
        shard, folder, label: (N,) places in those three; -1 is no class.
    """

    root: str
    groups: Sequence[str]
    folders: Any
    labels: Any
    shard: np.ndarray
    folder: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    @abstractmethod
    def read(self, row: int) -> bytes:
        """Raises:
        UserError: the picture cannot be had.
        """

    @abstractmethod
    def file_name(self, row: int) -> str:
        """The last part of its name."""

    @abstractmethod
    def name(self, row: int) -> str:
        """What no other picture of the collection is called."""

    @abstractmethod
    def place(self, row: int) -> str:
        """What it is called in messages and results."""

    @abstractmethod
    def captions_of(self, row: int) -> list[str]:
        """Cleaned, none of them empty."""

    @abstractmethod
    def captioned(self) -> np.ndarray:
        """(N,) bool: which have any."""


class CollectionItem(Item):
    """One picture of a collection."""

    __slots__ = ("collection", "row")

    def __init__(self, collection: Collection, row: int):
        self.collection, self.row = collection, row

    @property
    def name(self) -> str:
        return self.collection.file_name(self.row)

    def read(self) -> bytes:
        return self.collection.read(self.row)

    def __str__(self) -> str:
        return self.collection.place(self.row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CollectionItem) and (self.collection, self.row) == (other.collection, other.row)

    def __hash__(self) -> int:
        return hash((id(self.collection), self.row))


class Rows(Sequence[Any]):
    """A column of which each value is made when it is asked for. Rows are taken as of an array.

    Attributes:
        rows: (N,) numbers of pictures.
    """

    def __init__(self, collection: Collection, rows: np.ndarray):
        self.collection, self.rows = collection, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """The value of a row, by a number; a column of some, by a slice or an array."""
        chosen = self.rows[index]
        return type(self)(self.collection, chosen) if isinstance(chosen, np.ndarray) else self.one(int(chosen))

    def join(self, other: "Rows") -> "Rows":
        return type(self)(self.collection, np.concatenate([self.rows, other.rows]))

    def one(self, row: int) -> Any:
        raise NotImplementedError


class Items(Rows):
    """The pictures themselves."""

    def one(self, row: int) -> CollectionItem:
        return CollectionItem(self.collection, row)


class Names(Rows):
    """Their names within the collection."""

    def one(self, row: int) -> str:
        return self.collection.name(row)
