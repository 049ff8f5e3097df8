"""Which files training never sees where two folders are all there is: drawn by name once, and kept with the run."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.items.collection import Items
from data.items.roots import identity
from data.loading.phases import standard
from options import UserError
from util import distributed
from util.config import read_config
from util.reading.frames import split
from util.reading.json_file import read_json
from util.seeding import derive
from util.writing import write_atomically

FILE = "held_out.json"
SIDES = ("A", "B")
SHAPE = {"folder": str, "files": [str]}


def drawn(names: Iterable[str], seed: int, fraction: float) -> set[str]:
    """A share of these names, a function of them and the seed: at least one, never all; of fraction 0 none."""
    names = names if isinstance(names, Sequence) else list(names)
    places = places_of(names, seed)
    last = last_drawn(places, fraction)
    return {name for name, place in zip(names, places, strict=True) if place <= last}


def places_of(names: Iterable[str], seed: int) -> np.ndarray:
    """(N,) int64: in what order names are drawn; of a million in little memory."""
    return np.fromiter((derive(seed, "held out", name) for name in names), np.int64)


def last_drawn(places: np.ndarray, fraction: float) -> int:
    """The place of the last name that a share holds, below all places where it holds none."""
    order = np.unique(places)  # a name counts once
    count = min(max(round(len(order) * fraction), 1), len(order) - 1) if fraction else 0
    return int(order[count - 1]) if count > 0 else -1


@dataclass(frozen=True)
class HeldOut:
    """What a run never sees of one side.

    Attributes:
        folder: of the training, absolute.
        files: names within it, whether they are there or not.
    """

    folder: str
    files: frozenset[str]


def kept_by(opt: Any) -> dict[str, HeldOut]:
    """What the run held out that is tested or goes on; empty for a new one, and for one of --dataroot.

    Raises:
        UserError: its file is missing or none of ours, or the run goes on with data that are named in the other way.
    """
    if opt.is_train and not opt.continue_train:
        return {}
    run = Path(opt.checkpoints_dir, opt.name)
    path, options = run / FILE, run / "train_opt.yaml"
    if not options.is_file():
        return {}
    told: Mapping[str, Any] = read_config(options)
    if opt.is_train and (told.get("A") is None) != (opt.A is None):
        one, other = (_words(known.get("A"), known.get("B"), known.get("dataroot")) for known in (vars(opt), told))
        raise UserError(f"{one}: the run {opt.name} is trained on {other}; leave the flag out")
    if told.get("A") is None or opt.A is None:
        return {}
    for flag in ("test_fraction", "split_seed"):
        if (value := getattr(opt, flag)) != told.get(flag, value):
            raise UserError(f"--{flag} {value}: the run {opt.name} keeps what it held out; leave the flag out")
    saved = read_json(path, dict.fromkeys(SIDES, SHAPE), "the pictures that training never saw")
    return {side: HeldOut(saved[side]["folder"], frozenset(saved[side]["files"])) for side in SIDES}


def save(run: Path, kept: Mapping[str, HeldOut]) -> None:
    sides = {side: {"folder": of.folder, "files": sorted(of.files)} for side, of in kept.items()}
    write_atomically(run / FILE, json.dumps(sides, indent=1) + "\n")


def _words(A: str | None, B: str | None, dataroot: str | None) -> str:
    return f"--dataroot {dataroot}" if A is None else f"--A {A} --B {B}"


def names_of(pictures: Sequence[Path], folder: Path) -> list[str]:
    """The file of each picture, by its path within the folder; pages of one file share it."""
    return [split(path)[0].relative_to(folder).as_posix() for path in pictures]


def of_side(opt: Any, side: str, names: Collection[str], kept: HeldOut | None) -> HeldOut | None:
    """What is held out of a side whose files are called so; None where a test reads a folder of its own.

    Raises:
        UserError: a run goes on with a folder that lacks what it held out.
    """
    typed = getattr(opt, side)
    folder = identity(typed)
    if kept is None:
        fresh = frozenset(drawn(names, opt.split_seed, opt.test_fraction))
        return HeldOut(folder, fresh) if opt.is_train else None
    gone = sorted(kept.files.difference(names))
    moved = f"--{side} {typed}: the run {opt.name} is trained on {kept.folder}"
    if folder == kept.folder:
        if gone:
            distributed.say_once(f"{len(gone)} of {len(kept.files)} files held out of {side} are gone: {gone[0]}, ...")
    elif gone and opt.is_train:
        lacks = f"{len(gone)} of its {len(kept.files)} held-out files are not in this one"
        raise UserError(f"{moved}, and {lacks}; leave the flag out, or start a run with --pretrained_name {opt.name}")
    elif not opt.is_train and (gone or not kept.files):
        return None
    else:
        distributed.say_once(f"{moved}; its {len(kept.files)} held-out files are in this one, and stay held out")
    return HeldOut(folder, kept.files)


def of_phase(phase: str, pictures: Any, names: Iterable[str], held: HeldOut | None) -> Any:
    """The pictures that a phase reads: train what is not held out, test and val what is, all every one."""
    if held is None or phase == "all":
        return pictures
    wanted = standard(phase) != "train"
    if isinstance(pictures, Items):
        return pictures[np.fromiter(((name in held.files) == wanted for name in names), bool, len(pictures))]
    return [path for path, name in zip(pictures, names, strict=True) if (name in held.files) == wanted]
