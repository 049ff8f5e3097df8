"""The files of a test: what was written is noted, so that the next test of the checkpoint removes that and no more."""

import hashlib
import json
from pathlib import Path

from util.commit import current
from util.files import read_text
from util.inputs import LIST as INPUTS
from util.reading.json_file import MOST_BYTES, bytes_of, decode_json
from util.writing import append, check_written_to, remove_folder, write_atomically

LIST = ".files"  # a path a line, as JSON, relative to the folder


class ResultFiles:
    """A folder of results that knows which of its files tests wrote."""

    def __init__(self, folder: Path):
        self.folder = folder

    def clear(self) -> None:
        """Delete what earlier tests wrote, and folders that are empty then.

        Raises:
            UserError: nothing may be noted, for the list is a link, or no plain file; nothing was deleted.
        """
        folder, noted = self.folder, self.folder / LIST
        check_written_to(folder, [LIST, INPUTS])
        (folder / "metrics.json").unlink(missing_ok=True)
        if not noted.is_file():
            if (folder / "index.html").is_file():  # by a version that kept no list
                remove_folder(folder / "images", folder, ignore_errors=True)
            return
        emptied = set()
        for name in noted_files(folder):
            path = folder / name
            if _lies_in(path, folder):
                path.unlink(missing_ok=True)
                emptied |= {parent for parent in path.parents if folder in parent.parents}
        for parent in sorted(emptied, key=lambda path: -len(path.parts)):
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        noted.unlink()

    def note(self, path: str) -> Path:
        """Where to write this file, a path relative to the folder."""
        append(self.folder / LIST, json.dumps(path) + "\n")
        return self.folder / path


def noted_files(folder: Path) -> list[str]:
    """What tests wrote here, each path once; a line that a killed one left unfinished is passed over."""
    return list(dict.fromkeys(filter(None, map(_path, read_text(folder / LIST).splitlines()))))


def note_checkpoint(files: ResultFiles, run: Path, label: str) -> None:
    """checkpoint.json: which state of a run the results are of; null for what a run without manifest does not tell."""
    try:
        data = bytes_of(current(run / f"{label}.manifest.json"), MOST_BYTES)
        manifest = decode_json(data)
        known = {"step": manifest["step"], "epoch": manifest["epoch"]}
        known["sha256"] = hashlib.sha256(data).hexdigest()
    except (ValueError, KeyError, TypeError):
        known = dict.fromkeys(("step", "epoch", "sha256"))
    write_atomically(files.note("checkpoint.json"), json.dumps({"checkpoint": label, **known}, indent=1))


def _path(line: str) -> str:
    try:
        return str(decode_json(line, halves=True))
    except ValueError:  # the last line of a test that was killed
        return ""


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether this is a file below the folder, or a link there; not what a link leads to."""
    inside = path.parent.resolve().is_relative_to(folder.resolve())
    return inside and ".." not in path.parts and (path.is_file() or path.is_symlink())
