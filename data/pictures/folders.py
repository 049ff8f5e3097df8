"""Pictures in folders: one for each class, in those of phases where there are any; or with a file of their classes."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.loading.phases import PHASES, phases_in, standard
from data.pictures.label_files import WANTED, classes_beside, told
from data.pictures.sources import Files, Missing, Pictures, Source
from options import UserError
from options.listed import in_words
from options.shown import shortened, shown
from util.listing import Listing, list_images, look_into


def folder(opt: Any, seed: int) -> Source:
    """``<root>/<phase>/<class>/...`` or ``<root>/<class>/...``; pictures without such folders are one class.

    Raises:
        Missing: no such folder.
        UserError: no pictures where they are expected, or data of another --dataset_mode.
    """
    root = Path(opt.dataroot)
    if not root.is_dir():
        hint = "give a folder with a folder of pictures for each class, or digits"
        hint = hint if opt.dataroot == "placeholder" else "is a file" if root.exists() else "no such folder"
        raise Missing(f"--dataroot {opt.dataroot}: {hint}")
    inside = {path.name for path in _folders(root)}
    if {"traina", "trainb"} & {name.lower() for name in inside}:
        raise UserError(f"--dataroot {root}: trainA and trainB hold no classes; they are for --dataset_mode unaligned")
    where = _divided(root, inside) or {"train": root}
    first = where.get("train") or next(iter(where.values()))
    classes = _classes(first)
    where = {phase: place if place == first else _inner(place, classes) for phase, place in where.items()}
    tables = {} if first.name in classes else {phase: _told(root, place, classes) for phase, place in where.items()}
    together = "train" not in where and first.name in classes  # a test of pictures without folders
    if together and (table := classes_beside(root, first, (), list_images(first))):
        classes, tables = tuple(sorted(set(table.values()))), dict.fromkeys(where, table)
    readers: dict[str, Callable[[], Pictures]] = {
        phase: partial(_read_folder, root, place, classes, tables.get(phase))
        for phase, place in where.items()
        if tables.get(phase) != {}
    }
    places = {phase: f"{where[phase].relative_to(root).as_posix()}/" for phase in readers}
    return divided_or_whole("folder", classes, readers, places)


def divided_or_whole(
    kind: str, classes: tuple[str, ...], readers: dict[str, Callable[[], Pictures]], places: dict[str, str]
) -> Source:
    """Data whose pictures are held out by their phase, where they have one besides train; else to be divided."""
    if "test" not in readers and "val" in readers:
        readers["test"], places["test"] = readers["val"], places["val"]
    if "test" not in readers:
        readers, places = {"every": next(iter(readers.values()))}, {}
    return Source(kind, classes, readers, channels=0, mirrors=True, places=places)


def _inner(place: Path, classes: tuple[str, ...]) -> Path:
    """Where the folders of classes are: Tiny-ImageNet's val/ has a folder images/ around them once they are made."""
    inner = place / "images"
    around = not any((place / name).is_dir() for name in classes) and any((inner / name).is_dir() for name in classes)
    return inner if around else place


def _told(root: Path, place: Path, classes: tuple[str, ...]) -> Mapping[str, str] | None:
    """Name of a picture -> its class, where pictures have no folders of classes; None where they have.

    Nothing, with a line, where nobody knows their classes: they are no test.
    """
    if any((place / name).is_dir() for name in classes) or not (pictures := list_images(place)):
        return None
    table = classes_beside(root, place, classes, pictures)
    if not table:
        _say(
            f"{place}: {len(pictures)} pictures are left out, of no known class: there is no folder of {classes[0]} or "
            f"another class of the training, and none of {WANTED}"
        )
    return table


def _divided(root: Path, inside: set[str]) -> dict[str, Path]:
    """The folders of phases; none where folders of such names are classes."""
    if not any(standard(name) in PHASES for name in inside):
        return {}
    if {standard(name) for name in inside} <= set(PHASES) or any(
        _folders(root / name) for name in inside if standard(name) in PHASES
    ):
        given = phases_in(root)
        ignored = sorted(inside - {path.name for path in given.values()})
        if ignored:
            names = ", ".join(path.name for path in given.values())
            _say(f"{root}: read are {names}; left out is {', '.join(ignored)}")
        return given
    return {}


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(place: Path) -> tuple[str, ...]:
    """Names of the folders below that hold pictures; of the folder itself where it holds them without such folders."""
    inside = _folders(place)
    filled = [path.name for path in inside if list_images(path)]
    empty = [path.name for path in inside if path.name not in filled]
    if not filled:
        listing = look_into(place)
        if listing.pictures:
            return (place.name or "all",)
        found = f"folders without pictures ({in_words(empty, 4)})" if empty else "no pictures"
        unread = listing.unread(before="; ")
        raise UserError(f"{place}: expected a folder of pictures for each class, found {found}{unread}")
    if empty:
        _say(f"{place}: no pictures of {in_words(empty)}; left out as classes")
    return tuple(filled)


def _read_folder(root: Path, place: Path, classes: tuple[str, ...], table: Mapping[str, str] | None = None) -> Pictures:
    if table:
        return _read_told(root, place, classes, table)
    inside = [path.name for path in _folders(place)]
    flat = len(classes) == 1 and classes[0] not in inside
    of_class = [look_into(folder) for folder in ([place] if flat else [place / name for name in classes])]
    paths = [path for listing in of_class for path in listing.pictures]
    others = [path for listing in of_class for path in listing.others]
    if not flat:
        beside = look_into(place, below=False)
        others += beside.others
        loose = len(beside.pictures)
        unknown = [name for name in inside if name not in classes and list_images(place / name)]
        if loose:
            _say(f"{place}: {loose} pictures beside the folders of classes are left out")
        if unknown:
            _say(f"{place}: {in_words(unknown)} {'is' if len(unknown) == 1 else 'are'} no class of the training")
    Listing(place, paths, sorted(others)).tell()
    labels = np.repeat(np.arange(len(classes)), [len(listing.pictures) for listing in of_class]).astype(np.int64)
    return _files(root, paths, labels)


def _read_told(root: Path, place: Path, classes: tuple[str, ...], table: Mapping[str, str]) -> Pictures:
    """Pictures that lie together, of the classes that a file tells."""
    listing, number = look_into(place), {name: label for label, name in enumerate(classes)}
    of = [told(table, path) for path in listing.pictures]
    known = [row for row, name in enumerate(of) if name in number]
    if untold := sum(name is None for name in of):
        _say(f"{place}: {untold} of {len(of)} pictures are left out, whose class no file tells")
    if strange := sorted({name for name in of if name is not None and name not in number}):
        are = "is" if len(strange) == 1 else "are"
        _say(f"{place}: {in_words(strange)} {are} no class of the training")
    labels = np.array([number[of[row]] for row in known], dtype=np.int64)  # type: ignore[index]
    return _files(root, [listing.pictures[row] for row in known], labels)


def _files(root: Path, paths: list[Path], labels: np.ndarray) -> Files:
    names = np.array([path.relative_to(root).as_posix() for path in paths], dtype=object)
    column = np.empty(len(paths), dtype=object)
    column[:] = paths
    return Files(labels, names, column)


def _say(line: str) -> None:
    print(shortened(shown(line)), file=sys.stderr)
