"""Runs that somebody names for a comparison: which of them are one variant under several seeds."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from options import UserError, nearest
from util.compare.budget import NOT_COMPARED
from util.compare.run import ComparedRun, read_run
from util.config import read_config

SEED = re.compile(r"[-_.]?s(?:eed)?[-_.]?\d+$")  # at the end of a name: cut-s0, cut_seed1
LONGEST = 100  # letters of the name of a comparison's folder


def chosen_runs(names: Sequence[str], checkpoints: Path, results: Path) -> tuple[list[ComparedRun], str]:
    """The runs of these names or folders, and a name for their comparison, such as a_vs_b.

    Runs that differ in their seed alone are one variant. A run that is named by its folder has its results in a
    folder ``results`` beside that of its checkpoints, where there is one.

    Raises:
        UserError: a name is no run, or is given twice; two runs have the same options and the same seed.
    """
    found: list[tuple[Path, Path, dict[str, Any]]] = []  # folder, results, options
    for name in names:
        folder = Path(name) if _is_run(Path(name)) else checkpoints / name
        if not _is_run(folder):
            raise UserError(_no_run(name, folder, checkpoints))
        if folder.resolve() in [other.resolve() for other, *_ in found]:
            raise UserError(f"{name}: given twice")
        beside = folder.resolve().parent.parent / "results"
        of_run = beside if folder == Path(name) and beside.is_dir() else results
        found.append((folder.resolve(), of_run, read_config(folder / "train_opt.yaml")))

    groups: dict[str, list[int]] = {}
    for number, (*_, options) in enumerate(found):
        same = {key: value for key, value in options.items() if key not in NOT_COMPARED | {"seed"}}
        groups.setdefault(repr(sorted(same.items())), []).append(number)
    for numbers in groups.values():
        seeds: dict[int, Path] = {}
        for number in numbers:
            folder, _, options = found[number]
            seed = _seed(options, number)
            if seed in seeds:
                raise UserError(
                    f"{seeds[seed]} and {folder} have the same options and --seed {seed}: one run twice is no spread; "
                    "name one of them, or train one with another --seed"
                )
            seeds[seed] = folder
    variants: dict[int, str] = {}
    for numbers in groups.values():
        first = found[numbers[0]][0].name
        short = SEED.sub("", first) if len(numbers) > 1 else first
        variant = short if short and short not in variants.values() else first
        while variant in variants.values():  # runs of one name, of two folders
            variant += "'"
        variants |= dict.fromkeys(numbers, variant)
    runs = [
        read_run(folder.parent, folder.name, of_run, variants[number], _seed(options, number), None)
        for number, (folder, of_run, options) in enumerate(found)
    ]
    return runs, "_vs_".join(dict.fromkeys(variants.values())).replace("'", "")[:LONGEST]


def _is_run(folder: Path) -> bool:
    return (folder / "train_opt.yaml").is_file()


def _seed(options: dict[str, Any], number: int) -> int:
    seed = options.get("seed", number)
    return seed if isinstance(seed, int) else number


def _no_run(name: str, folder: Path, checkpoints: Path) -> str:
    if folder.is_dir():
        return f"{folder} is no run: it has no train_opt.yaml; test.py can look at published weights, not compare.py"
    known = [path.parent.name for path in checkpoints.glob("*/train_opt.yaml")]
    return f"{name}: no such run in {checkpoints}{nearest(name, known)}; see --checkpoints_dir, or give its folder"
