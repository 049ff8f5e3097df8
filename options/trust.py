"""What may execute is typed by hand: which options lead to code or to a server, and which files may say so.

A word of the command line may say anything. A file that somebody else may have written (of --config, a recipe, the
options that lie with a run) names no code, unless ``--trust FILE`` names that file; the options of a run not even then,
for they change hands with its weights.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import UserError


def _is_module(value: Any) -> bool:
    return "." in str(value)


# Option -> whether a value of it has code run that is not the toolkit's.
CODE: Mapping[str, Callable[[Any], bool]] = {
    "plugin_dir": lambda value: value is not None,
    "model": _is_module,
    "dataset_mode": _is_module,
    "metrics": _is_module,
    "eval_metrics": _is_module,
    "extractor": lambda value: str(value).startswith("module:"),
    "trust": lambda value: True,
}
# What has losses, images and options of a run sent to a server, and says to which.
SERVERS = ("use_visdom", "display_id", "display_server", "display_port", "use_wandb", "wandb_project")
# What is read from a server where its value is an address.
READ = ("dataroot", "A", "B")
ADDRESSES = ("https://", "http://", "s3://", "gs://")


def names_code(option: str, value: Any) -> bool:
    """Whether this value of an option, or one in this list of values, has code run that is not the toolkit's."""
    return option in CODE and any(map(CODE[option], value if isinstance(value, list | tuple) else [value]))


def check_code(source: str, values: Mapping[str, Any], typed: Collection[str] = (), trustable: bool = True) -> None:
    """Refuse a file that names code.

    Args:
        source: the file.
        values: its options, or some of them.
        typed: options that were typed by hand too, which win over the file.
        trustable: ``--trust`` could allow it.

    Raises:
        UserError: it names code.
    """
    for option, value in values.items():
        if option not in typed and names_code(option, value):
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            way = f"give --{option} to allow it"
            if trustable:
                way += f", or --trust {source} if you have read that file and the code"
            raise UserError(f"{source}: {option} is {text!r}, a module of its own; {way}")


def leads_to_server(option: str, value: Any) -> bool:
    """Whether this value of an option has data asked for from a server."""
    return option in READ and str(value).removeprefix("shards:").startswith(ADDRESSES)


def check_server(run: str, option: str, value: Any, typed: Collection[str]) -> None:
    """Refuse options of a run that name a server with data.

    Raises:
        UserError: they do, and it was not typed by hand too.
    """
    if option not in typed and leads_to_server(option, value):
        address = str(value).partition("?")[0]
        raise UserError(f"{run}: {option} is {address}, a server, which no file of a run may name; give --{option} too")


def is_trusted(path: str | Path, trusted: Iterable[str]) -> bool:
    """Whether ``--trust`` names this file."""
    return any(Path(path).resolve() == Path(other).resolve() for other in trusted)


def check_trusted(trusted: Iterable[str], files: Iterable[str | Path], reading: str) -> None:
    """Raises:
    UserError: ``--trust`` names a file that is none of ``files``; ``reading`` says where it would be given.
    """
    files = list(files)
    for name in trusted:
        if not is_trusted(name, map(str, files)):
            raise UserError(f"--trust {name}: nothing is read from it; name the file of {reading} that may name code")
