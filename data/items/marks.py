"""What the names of folders in shards, and of shards, say of a picture: its phase, its side, its class.

``trainA/0001.jpg`` in any shard, any name in ``trainA-000.tar`` or in ``trainA/000.tar`` are of side A of the training.
What stands in a shard counts before the name of the shard.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from data.items.collection import Collection, Items
from data.items.roots import PARTS
from data.loading.phases import PHASES, WORDS, standard


def of_phase(shards: Collection, phase: str, side: str = "") -> Items:
    """The pictures of a phase, and of A or B, in the order of the shards."""
    wanted = f"{standard(phase)}{side}"
    return Items(shards, np.flatnonzero(_marks(shards, bool(side)).chosen(wanted)))


def phases_in(shards: Collection) -> dict[str, np.ndarray]:
    """Phase -> rows of its pictures; of "every" where none is told."""
    marks = _marks(shards, False)
    found = {phase: np.flatnonzero(marks.chosen(phase)) for phase in PHASES}
    found = {phase: rows for phase, rows in found.items() if len(rows)}
    return found or {"every": np.arange(len(shards))}


def has_sides(shards: Collection) -> bool:
    """Whether folders in shards are called as those of a side."""
    return any(_mark(folder.split("/"), True) for folder in shards.folders)


def whole(shards: Collection) -> Items:
    return Items(shards, np.arange(len(shards)))


class _Marks:
    """For each picture a mark by its folder, else by its shard."""

    def __init__(self, shards: Collection, of_folders: list[str], of_shards: list[str]):
        self.shards, self.of_folders, self.of_shards = shards, of_folders, of_shards

    def chosen(self, mark: str) -> np.ndarray:
        """(N,) bool."""
        inside = np.array([found == mark for found in self.of_folders], bool)
        told = np.array([bool(found) for found in self.of_folders], bool)
        around = np.array([found == mark for found in self.of_shards], bool)
        folder, shard = self.shards.folder, self.shards.shard
        return inside[folder] | (~told[folder] & around[shard])


def _marks(shards: Collection, sides: bool) -> _Marks:
    folders = [_mark(folder.split("/"), sides) for folder in shards.folders]
    names = [_mark(_words(name), sides) for name in shards.groups]
    return _Marks(shards, folders, names)


def _words(name: str) -> list[str]:
    """The folders of a shard, then the words of its name, the last first."""
    *folders, file = name.split("/")
    return [*folders, *reversed(PARTS.split(file.rpartition(".")[0] or file))]


def _mark(words: Iterable[str], sides: bool) -> str:
    """``trainA`` of such a word however it is written, or ``train`` where sides are not asked for; else nothing."""
    for word in words:
        lower = word.lower()
        for phase, names in WORDS.items():
            for name in names:
                if sides and lower in (f"{name}a", f"{name}b"):
                    return f"{phase}{lower[-1].upper()}"
                if not sides and lower == name:
                    return phase
    return ""


def found(shards: Collection) -> str:
    """What there is, in a few words, for messages."""
    counts = Counter(folder.partition("/")[0] for folder in shards.folders)
    words = [f"{name or '.'}/" for name in sorted(counts)[:6]]
    more = f" and {len(counts) - 6} more" * (len(counts) > 6)
    there = f"{len(shards)} pictures of {len(shards.groups)} shards"
    return f"found {there}, in {', '.join(words)}{more}" if words else f"found {there}"


def classes_of(shards: Collection) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of classes, and (N,) which a picture has, -1 for none.

    By what is written of them (.cls, .json) where anything is, else by the folder below that of their phase.
    """
    if len(shards.labels):
        return _sorted(list(shards.labels), shards.label)
    folders = [folder.split("/") if folder else [] for folder in shards.folders]
    below = [_below_phase(parts) for parts in folders]
    while below and all(len(parts) > 1 for parts in below) and len({parts[0] for parts in below}) == 1:
        below = [parts[1:] for parts in below]  # a folder around all
    names = [parts[0] if parts else "" for parts in below]
    if not any(names):
        return ("all",), np.zeros(len(shards.folder), np.int64)
    known = sorted(set(names) - {""})
    place = {name: number for number, name in enumerate(known)} | {"": -1}
    return _sorted(known, np.array([place[name] for name in names], np.int64)[shards.folder])


def _below_phase(parts: list[str]) -> list[str]:
    first = next((n for n, part in enumerate(parts) if standard(part) in PHASES), -1)
    return parts[first + 1 :]


def _sorted(names: list[str], numbers: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The same with names in order; numbers in theirs."""
    digits = all(name.isdecimal() for name in names)
    order = sorted(range(len(names)), key=lambda n: (int(names[n]), names[n]) if digits else names[n])  # type: ignore[arg-type,return-value]
    place = np.empty(len(names) + 1, np.int64)
    place[order], place[-1] = np.arange(len(order)), -1  # -1 stays what it is
    return tuple(names[n] for n in order), place[numbers]
