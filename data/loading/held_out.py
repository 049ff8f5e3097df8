"""Which files training never sees where two folders are all there is: drawn by name once, and kept with the run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    order = sorted(set(names), key=lambda name: derive(seed, "held out", name))
    return set(order[: min(max(round(len(order) * fraction), 1), len(order) - 1)]) if fraction else set()


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


def of_side(opt: Any, side: str, names: Sequence[str], kept: HeldOut | None) -> HeldOut | None:
    """What is held out of a side whose files are called so; None where a test reads a folder of its own.

    Raises:
        UserError: a run goes on with a folder that lacks what it held out.
    """
    typed = getattr(opt, side)
    folder = str(Path(typed).resolve())
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


def of_phase(phase: str, pictures: Sequence[Path], names: Sequence[str], held: HeldOut | None) -> list[Path]:
    """The pictures that a phase reads: train what is not held out, test and val what is, all every one."""
    if held is None or phase == "all":
        return list(pictures)
    wanted = standard(phase) != "train"
    return [path for path, name in zip(pictures, names, strict=True) if (name in held.files) == wanted]
