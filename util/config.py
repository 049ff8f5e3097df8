"""Options in YAML files: --config, and the options that are kept with a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from options import UserError
from options.parsing import Saved, as_dict, table
from util.training.run_folder import has_begun

# What a run was told once and no later one may be told by its file.
ONCE = {"config", "trust", "continue_train", "overwrite", "epoch", "epoch_count", "suffix", "pretrained_name"}


class _Loader(yaml.SafeLoader):
    """Plain values only, and a key that is written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"the key on line {key.start_mark.line + 1} is no name")
            if key.value in seen:
                raise yaml.YAMLError(f"option {key.value!r} is given twice, on line {key.start_mark.line + 1} again")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, flag: str = "") -> dict[str, Any]:
    """{name: value} of a YAML file, whose values may be lists or mappings.

    Args:
        flag: what asked for the file, for messages.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{flag} {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise UserError(f"{path}: expected lines of the form 'option: value'")
    return values


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
        return Saved(str(path), read_config(path))
    return Saved(str(path), {}) if run.get("continue_train") == "auto" else None


def save_options(opt: Any, folder: Path, phase: str) -> None:
    """<phase>_opt.yaml, which --config reads back, and <phase>_opt.txt, as published, to look at."""
    values = {key: value for key, value in as_dict(opt).items() if key not in ONCE}
    text = yaml.safe_dump(values, sort_keys=True, allow_unicode=True)
    for file, content in ((f"{phase}_opt.yaml", text), (f"{phase}_opt.txt", table(opt) + "\n")):
        temporary = folder / f".{file}.tmp"
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(folder / file)
