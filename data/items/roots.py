"""What --dataroot, --A and --B name besides a folder, and which shards that is."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from options import UserError
from options.trust import ADDRESSES

SHARDS, TABLE = "shards:", "hf:"
MOST_SHARDS = 1_000_000
PARTS = re.compile(r"[^0-9A-Za-z]+")  # between the words of a shard's name
RANGE = re.compile(r"(\d+)\.\.(\d+)")
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
QUOTE = "write it in quotes, or a shell takes the braces for itself"


class NoShards(UserError):
    """None of what is named is there."""


@dataclass(frozen=True)
class ShardNames:
    """Shards of one root.

    Attributes:
        root: as it was typed.
        base: the folder that they share.
        names: within it, sorted.
        query: what follows each name in an address, ``?`` and a key; never shown.
    """

    root: str
    base: str
    names: tuple[str, ...]
    query: str = ""


def is_beyond(root: str) -> bool:
    """Whether this names something else than a folder or a file."""
    return root.startswith((SHARDS, TABLE, *ADDRESSES))


def is_remote(root: str) -> bool:
    return root.removeprefix(SHARDS).startswith(ADDRESSES)


def local_shards(root: str, flag: str) -> ShardNames:
    """The shards of ``shards:FOLDER``, ``shards:FOLDER/{000..999}.tar``, ``shards:FOLDER/*.tar`` or one shard.

    Raises:
        UserError: there are none, or some that are named are not there.
    """
    pattern = str(Path(root.removeprefix(SHARDS)).expanduser())
    path = Path(pattern)
    if path.is_dir():
        names, base = [name for name in _below(path) if name.lower().endswith(".tar")], pattern
        if not names:
            packed = [name for name in _below(path) if name.lower().endswith(PACKED)]
            raise UserError(f"--{flag} {root}: {_unpack(packed[0]) if packed else 'no .tar in this folder'}")
    else:
        base = base_of(pattern)
        names = [os.path.relpath(name, base) for name in _matching(pattern, root, flag)]
        missing = [name for name in names if not Path(base, name).is_file()]
        if missing and missing == names:
            raise NoShards(f"--{flag} {root}: no such shard{'s' * (len(names) > 1)}; {QUOTE}")
        if missing:
            some = ", ".join(missing[:4]) + ", ..." * (len(missing) > 4)
            raise UserError(f"--{flag} {root}: {len(missing)} of {len(names)} shards are not there: {some}")
    for name in names:
        if name.lower().endswith(PACKED):
            raise UserError(f"--{flag} {root}: {_unpack(name)}")
    return ShardNames(root, base, tuple(sorted(set(names))))


def _unpack(name: str) -> str:
    return f"{name} is compressed as a whole, so nothing in it has a place; unpack it to a .tar"


def base_of(pattern: str) -> str:
    """The folder before the first part of a pattern that stands for several."""
    parts = pattern.split("/")
    first = next((n for n, part in enumerate(parts) if set(part) & set("{*?[")), len(parts) - 1)
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")


def _matching(pattern: str, root: str, flag: str) -> list[str]:
    names = list(expanded(pattern, root, flag))
    if not any(set(name) & set("*?[") for name in names):
        return names
    found = []
    for name in names:
        base = base_of(name)
        found += [str(path) for path in Path(base).glob(os.path.relpath(name, base)) if path.is_file()]
    if not found:
        raise NoShards(f"--{flag} {root}: no file is called so; {QUOTE}")
    return found


def expanded(pattern: str, root: str, flag: str) -> Iterator[str]:
    """Every name that braces stand for: ``{000..999}`` with its zeros, and ``{train,val}``.

    Raises:
        UserError: braces that mean nothing, or too many names.
    """
    before, mark, rest = pattern.partition("{")
    if not mark:
        yield pattern
        return
    inside, mark, after = rest.partition("}")
    span, wrong = RANGE.fullmatch(inside), f"--{flag} {root}: {{{inside[:40]}}}"
    if not mark or "{" in inside or (span is None and "," not in inside):
        raise UserError(f"{wrong}: expected {{000..999}} or {{train,val}}")
    choices = inside.split(",")
    if span is not None:
        low, high = int(span[1][:18]), int(span[2][:18])
        width = len(span[1]) if span[1].startswith("0") else 0
        if not low <= high < low + MOST_SHARDS:
            raise UserError(f"{wrong}: counts up, over at most {MOST_SHARDS:,} shards")
        choices = [f"{number:0{width}}" for number in range(low, high + 1)]
    tails = list(expanded(after, root, flag))
    if len(tails) * len(choices) > MOST_SHARDS:
        raise UserError(f"{wrong}: more than {MOST_SHARDS:,} shards")
    yield from (f"{before}{choice}{tail}" for choice in choices for tail in tails)


def _below(folder: Path) -> list[str]:
    """Names of files in a folder and below, but hidden ones."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.relpath(Path(place, name), folder) for name in files if not name.startswith(".")]
    return sorted(found)


def identity(root: str) -> str:
    """The same text for the same root, wherever the current folder is."""
    if is_remote(root):
        return root.removeprefix(SHARDS)
    if root.startswith(SHARDS):
        return SHARDS + str(Path(root.removeprefix(SHARDS)).expanduser().resolve())
    if root.startswith(TABLE):
        path = Path(root.removeprefix(TABLE)).expanduser()
        return TABLE + str(path.resolve()) if path.exists() else root
    return str(Path(root).resolve())
