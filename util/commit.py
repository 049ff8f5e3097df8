"""Files of a folder that change together: all of them or none, whatever becomes of the process.

A commit stages every file under a fresh name. Then a record, ``.redo.json``, says which of them gets which name: from
the moment that it is there, the change is made. The renames follow, each of which can be repeated, and the record
goes. A process that ends between leaves the record: who owns the folder next finishes it, and who only reads finds
the new content where it still lies.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Self

from util.files import json_or_empty, sha256
from util.writing import Folder

RECORD = ".redo.json"
STAGED = ".*.tmp"


class Commit:
    """As a context manager: what is staged inside is committed at its end, and forgotten where that ends in an error.

    The folder is the caller's alone to write in. What an earlier commit left to do is done first.

    Raises:
        OSError: the storage is full or not writable. Before the record is there nothing has changed; after it the
            change is made, and is finished by whoever owns the folder next.
    """

    def __init__(self, path: Path):
        self.path = path
        self.files: dict[str, dict[str, Any]] = {}  # name -> what is staged for it, of which size and hash
        self.removed: list[str] = []

    def __enter__(self) -> Self:
        self.folder = Folder(self.path)  # never made here: one that was removed in mid-run stays so
        if self.folder.has(RECORD):
            _finish(self.folder)
        return self

    def write(self, name: str, content: bytes | memoryview) -> dict[str, Any]:
        """Stage a file; its size and hash."""
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self.files[name] = {"from": self.folder.stage(name, content), **facts}
        return facts

    def twin(self, name: str, other: str, facts: dict[str, Any]) -> None:
        """Stage ``other`` with the content of ``name``, which is staged here or else there; of this size and hash."""
        source = self.files[name]["from"] if name in self.files else name
        self.files[other] = {"from": self.folder.twin(source, other)} | {k: facts[k] for k in ("bytes", "sha256")}

    def remove(self, name: str) -> None:
        self.removed.append(name)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self.folder as folder:
            try:
                if error is None:
                    self._commit()
            except OSError:
                if not folder.has(RECORD):
                    self._forget()
                raise
            if isinstance(error, Exception):
                self._forget()

    def _commit(self) -> None:
        folder = self.folder
        if len(self.files) == 1 and not self.removed:  # a rename is whole by itself
            ((name, entry),) = self.files.items()
            folder.rename(entry["from"], name)
            folder.sync()
        elif self.files or self.removed:
            record = {"files": dict(self.files), "remove": self.removed}
            staged = folder.stage(RECORD, json.dumps(record, indent=1).encode())
            self.files[RECORD] = {"from": staged}  # to be forgotten with the others
            folder.sync()
            folder.rename(staged, RECORD)
            folder.sync()
            _carry_out(folder, record)

    def _forget(self) -> None:
        for entry in self.files.values():
            self.folder.remove(entry["from"])


def finish(path: Path) -> None:
    """Do what a process that is no more left to do, and remove what it had staged without a record."""
    with Folder(path) as folder:
        if folder.has(RECORD):
            _finish(folder)
        for file in path.glob(STAGED):
            if file.is_symlink() or file.is_file():
                folder.remove(file.name)


def current(path: Path) -> Path:
    """Where the content of a file is: under its name or, in a commit that is still to be carried out, staged."""
    entry = _record(path.parent)["files"].get(path.name)
    staged = path.with_name(entry["from"]) if entry else path
    return staged if staged.exists() else path


def names(path: Path) -> set[str]:
    """Names of the files in a folder, of those that are staged for them by a commit as well."""
    return {file.name for file in path.iterdir()} | set(_record(path)["files"]) if path.is_dir() else set()


def _carry_out(folder: Folder, record: dict[str, Any]) -> None:
    for name, entry in record["files"].items():
        if folder.has(entry["from"]):
            folder.rename(entry["from"], name)
    for name in record["remove"]:
        folder.remove(name)
    for entry in record["files"].values():
        if folder.has(entry["from"]):  # a rename leaves both names of one file
            folder.remove(entry["from"])
    folder.sync()
    folder.remove(RECORD)


def _finish(folder: Folder) -> None:
    record = _record(folder.path)
    wrong = [name for name, entry in record["files"].items() if not _is_there(folder.path, name, entry)]
    if record["files"] or record["remove"]:
        if not wrong:
            return _carry_out(folder, record)
        print(f"{folder.path / RECORD} is not carried out: {wrong[0]} is not what it says", file=sys.stderr)
    else:
        print(f"{folder.path / RECORD} is not carried out: it is damaged", file=sys.stderr)
    folder.remove(RECORD)


def _is_there(path: Path, name: str, entry: dict[str, Any]) -> bool:
    staged = path / entry["from"]
    file = staged if staged.exists() else path / name
    return file.is_file() and file.stat().st_size == entry["bytes"] and sha256(file) == entry["sha256"]


def _record(path: Path) -> dict[str, Any]:
    """The record of a folder; an empty one where there is none, or one that names what no commit names."""
    found = json_or_empty(path / RECORD) if (path / RECORD).is_file() else {}
    files, remove = found.get("files"), found.get("remove")
    if not isinstance(files, dict) or not isinstance(remove, list):
        return {"files": {}, "remove": []}
    sound = all(map(_plain, (*files, *remove))) and all(
        isinstance(entry, dict) and _staged(entry.get("from")) and {"bytes", "sha256"} <= entry.keys()
        for entry in files.values()
    )
    return {"files": files, "remove": remove} if sound else {"files": {}, "remove": []}


def _plain(name: Any) -> bool:
    return _is_name(name) and not name.startswith(".")


def _staged(name: Any) -> bool:
    return _is_name(name) and name.startswith(".") and name.endswith(".tmp")


def _is_name(name: Any) -> bool:
    """Whether it is one of a file in the folder itself."""
    known = isinstance(name, str) and name.isprintable() and 0 < len(name.encode()) < 256
    return known and Path(name).name == name and "\\" not in name
