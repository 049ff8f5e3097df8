"""A root that is no folder, opened: once for each process, whichever kind of data asks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.items.collection import Collection
from data.items.remote import RemoteStore
from data.items.roots import SHARDS, TABLE, is_beyond, is_remote, local_shards
from data.items.servers import server_of
from data.items.shards import Shards
from data.items.stores import LocalStore, Store
from data.items.table import open_table
from options import BaseOptions, UserError, option
from util import distributed


@dataclass(frozen=True, kw_only=True)
class ShardOptions(BaseOptions):
    section = "data in shards"
    of_a_family = True
    shard_cache_dir: str | None = option(
        None,
        "where parts of shards on a server are kept, and indices of those on disks that cannot be written to "
        "(~/.cache/diptych)",
        per_run=True,
    )
    allow_download: bool = option(False, "hf: fetch data, or a model, that is not on this machine", per_run=True)
    shard_cache_gb: float = option(
        20.0, "GiB of shards on a server that are kept there, of all runs together; 0 keeps none", least=0, per_run=True
    )


def open_collection(opt: Any, root: str, flag: str = "dataroot") -> Collection | None:
    """The pictures that a root names; None where it is a folder or a file.

    What of shards is not read is said, and so are those that are cut short, with --on_bad_image skip.

    Raises:
        UserError: there are none, or a shard is cut short and nothing is to be skipped.
    """
    if not is_beyond(root):
        return None
    cache = cache_folder(opt)
    if root.startswith(TABLE):
        return open_table(root, flag, cache / "hf", opt.allow_download)
    shards = Shards(_store(opt, root, flag, cache), cache, flag)
    for note in shards.notes:
        distributed.say_once(f"{shards.root}: {note}")
    for name, why, before in shards.broken:
        line = f"{shards.store.names.base}/{name}: {why}, after {before} pictures"
        if opt.on_bad_image == "error":
            raise UserError(f"{line}; get it anew, or --on_bad_image skip goes on with those")
        distributed.say_once(f"skipped: {line}, which are read")
    return shards


def check_source(opt: Any, known: Sequence[str]) -> None:
    """Raises:
    UserError: --source and --dataroot do not go together.
    """
    if not is_beyond(opt.dataroot):
        raise UserError(f"--source {opt.source} --dataroot {opt.dataroot}: give --dataroot shards:FOLDER or hf:FOLDER")
    if opt.source not in known:
        raise UserError(f"--source {opt.source} --dataroot {opt.dataroot}: are shards; leave --source out")


def cache_folder(opt: Any) -> Path:
    if opt.shard_cache_dir:
        return Path(opt.shard_cache_dir).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "diptych")


def _store(opt: Any, root: str, flag: str, cache: Path) -> Store:
    if is_remote(root):
        server = server_of(root.removeprefix(SHARDS), flag)
        return RemoteStore(server, cache / "blocks", int(opt.shard_cache_gb * 2**30))
    return LocalStore(local_shards(root, flag), flag)
