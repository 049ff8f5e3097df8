"""Options in YAML files: --config, and the options that are kept with a run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from options import UserError
from options.fields import Usual
from options.parsing import Saved, as_dict, table
from options.shown import visible
from util.reading.yaml_file import read_yaml
from util.training.run_folder import has_begun
from util.writing import write_atomically

# What a run was told once and no later one may be told by its file.
ONCE = {"config", "trust", "continue_train", "overwrite", "epoch", "epoch_count", "suffix"}
ONCE |= {"pretrained_name", "pretrained", "known_classes"}
# Options that came later, by what runs did that began without them: these go on so, and are tested so.
BEFORE = {"sample_classes": "even", "eval_phase": "test"}


def read_config(path: Path) -> dict[str, Any]:
    """{option: value} of a YAML file.

    Raises:
        UserError: it cannot be read, or is not a flat list of ``option: value`` lines.
    """
    values = read_yaml(path, "--config")
    nested = next((k for k, v in values.items() if isinstance(v, dict)), None)
    if nested is not None:
        raise UserError(f"{path}: {nested!r} holds options of its own; write them on the top level")
    return values


def kept_options(folder: Path) -> dict[str, Any]:
    """{option: value} as a run's folder keeps them; empty where it keeps none, as beside published weights.

    Raises:
        UserError: the file cannot be read.
    """
    path = folder / "train_opt.yaml"
    return read_config(path) if path.is_file() else {}


def saved_options(run: Mapping[str, Any]) -> Saved | None:
    """The options of a training run, if it kept them; ``run`` has its checkpoints_dir and name.

    ``--continue_train auto`` asks whether there is a run at all: one without options has none to add.
    """
    path = Path(run["checkpoints_dir"], run["name"], "train_opt.yaml")
    if run.get("continue_train") == "auto" and not has_begun(path.parent):
        return None
    if path.is_file():
        return Saved(str(path), BEFORE | read_config(path))
    return Saved(str(path), {}) if run.get("continue_train") == "auto" else None


def save_options(opt: Any, folder: Path, phase: str) -> None:
    """<phase>_opt.yaml, which --config reads back, and <phase>_opt.txt, as published, to look at."""
    untold = {f.name for f in dataclasses.fields(opt) if isinstance(getattr(opt, f.name), Usual)}
    values = {key: value for key, value in as_dict(opt).items() if key not in ONCE | untold}
    text = yaml.safe_dump(values, sort_keys=True, allow_unicode=True)
    for file, content in ((f"{phase}_opt.yaml", text), (f"{phase}_opt.txt", visible(table(opt)) + "\n")):
        write_atomically(folder / file, content)
