"""Every run below a folder, and what its files say: one walk that follows no link, and that no file can stop."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from options import UserError
from options.shown import shown
from util.claim import holder
from util.config import read_config
from util.files import finite_number, read_json_lines, read_text
from util.training.run_folder import LOCK
from util.training.run_record import FILE, read_record, state_of

STATES = ("running", "died", "failed", "stopped", "unknown", "weights", "finished")  # as they ask for attention
MARKS = re.compile(r"run\.json|loss_log\.txt|.+\.manifest\.json|.+_net_.+\.pth|.+_state\.pt")
WEIGHTS = re.compile(r".+_net_.+\.pth")
OF_A_RUN = {"web", "tensorboard", "wandb"}  # folders in which no run is looked for
OPTION = re.compile(r"\s*(\w+): (.*?)\s*(\t\[default: .*\])?")  # a line of train_opt.txt
NAMED = 5  # in one line
LARGEST = 1e15  # steps, seconds or bytes


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """One run. What its files do not tell is None or empty.

    Attributes:
        name: its folder, from the one that was looked through.
        state: one of STATES; ``weights`` are files of weights alone, ``unknown`` is a run without a record.
        record: run.json.
        options: name -> text, as train_opt.txt has them; ``changed`` are those that are not at their default.
        size: bytes of all that is in the folder; a file with several names counts once.
    """

    folder: Path
    name: str
    state: str
    record: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    size: int = 0

    def number(self, name: str) -> float | None:
        """Of the record; none where no run has as much of anything."""
        found = finite_number(self.record.get(name))
        return None if found is None or abs(found) > LARGEST else found

    def text(self, name: str) -> str:
        """Likewise."""
        found = self.record.get(name)
        return found if isinstance(found, str) else ""

    @property
    def model(self) -> str:
        return self.options.get("model", "")

    @property
    def progress(self) -> float | None:
        """From 0 to 1."""
        steps, total = self.number("steps"), self.number("total_steps")
        return min(1.0, max(0.0, steps / total)) if steps is not None and total else None

    @property
    def pace(self) -> float | None:
        """Seconds of training per step: of its last part, or of the whole run."""
        seconds, steps = self.number("seconds"), self.number("steps")
        return self.number("seconds_per_step") or finite_number(seconds / steps if seconds and steps else None)

    @property
    def left(self) -> float | None:
        """Seconds of training that are left, of a run that is at it."""
        steps, total = self.number("steps"), self.number("total_steps")
        if self.state != "running" or steps is None or total is None or self.pace is None:
            return None
        return finite_number(max(0.0, total - steps) * self.pace)

    @cached_property
    def values(self) -> dict[str, dict[str, Any]]:
        """{value: {last, best, test, better}}, those that are known."""
        told = self.record.get("values")
        found = _entries(told) if isinstance(told, dict) else _evaluated(self.folder)
        for test in sorted(self.tests.values(), key=lambda test: str(test.get("made"))):
            values = test.get("values")
            for name, value in values.items() if isinstance(values, dict) else ():
                if finite_number(value) is not None:
                    found.setdefault(name, {})["test"] = finite_number(value)
        return found

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """{folder of results: what the record says of its test}."""
        found = self.record.get("tests")
        return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}

    @property
    def deciding(self) -> str:
        """The name of the value that says which evaluation is the best."""
        best = self.record.get("best")
        name = best.get("metric") if isinstance(best, dict) else None
        return name if isinstance(name, str) else ""

    @property
    def page(self) -> Path | None:
        page = self.folder / "web/index.html"
        return page if page.is_file() else None


def find_runs(root: Path) -> tuple[list[FoundRun], list[str]]:
    """The runs below a folder by their names, and a line for each kind of thing that was passed over.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    walk = _Walk(root)
    runs = [_read(walk.name_of(folder), folder, names, walk.sizes[folder]) for folder, names in walk.runs.items()]
    walk.damaged += [run.name for run in runs if FILE in walk.runs[run.folder] and not run.record]
    walk.strange += [run.name for run in runs if run.state == "unknown" and run.record.get("state") is not None]
    return sorted(runs, key=lambda run: in_order(run.name)), list(walk.remarks())


class _Walk:
    """The folders of runs below a root with the names in each, and what each of them weighs."""

    def __init__(self, root: Path):
        self.root = root
        self.runs: dict[Path, set[str]] = {}
        self.sizes: dict[Path, int] = {}
        self.damaged: list[str] = []
        self.strange: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        self._unread: list[str] = []
        self._linked: list[str] = []
        self._tops: list[Path] = []
        if not root.is_dir():
            raise UserError(f"--checkpoints_dir {root}: {'is no' if root.exists() else 'there is no such'} folder")
        todo: list[tuple[Path, Path | None]] = [(root, None)]
        while todo:
            todo += self._look(*todo.pop())

    def name_of(self, folder: Path) -> str:
        return folder.name or str(folder) if folder == self.root else folder.relative_to(self.root).as_posix()

    def remarks(self) -> Iterator[str]:
        empty = [top for top in self._tops if not any(run.is_relative_to(top) for run in self.runs)]
        for what, names in {
            "cannot be read": self._unread,
            "links that lead elsewhere are not followed; --checkpoints_dir takes such a folder": self._linked,
            "run.json is damaged": self.damaged,
            "run.json says a state that is not known here, perhaps of a later version": self.strange,
            "no run below": [self.name_of(top) for top in empty] if self.runs else [],
        }.items():
            if names:
                more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
                yield shown(f"{self.root}: {what}: {', '.join(sorted(names)[:NAMED])}{more}")

    def _look(self, folder: Path, owner: Path | None) -> list[tuple[Path, Path | None]]:
        """Look at one folder; those in it, each with the run that it belongs to."""
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            if folder == self.root:
                raise UserError(f"--checkpoints_dir {folder}: cannot be read ({error.strerror})") from None
            self._unread.append(f"{self.name_of(folder)} ({error.strerror})")
            return []
        names, inside = {entry.name for entry in entries}, owner is not None
        hidden = inside and (folder.name in OF_A_RUN or folder.name.startswith("."))
        if not hidden and (any(map(MARKS.fullmatch, names)) or (LOCK in names and holder(folder / LOCK))):
            owner = folder
            self.runs[folder], self.sizes[folder] = names, 0
        further = []
        for entry in entries:
            path = folder / entry.name
            if entry.is_symlink():
                self._note_link(path, inside)
            elif entry.is_dir():
                if owner is not None or not entry.name.startswith("."):
                    further.append((path, None if owner is None else owner))
                    self._tops += [path] if folder == self.root and owner is None else []
            elif owner is not None:
                self.sizes[owner] += self._size(entry)
        return further

    def _size(self, entry: os.DirEntry[str]) -> int:
        """Bytes of a file; none of one that was met under another name."""
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:  # gone meanwhile
            return 0
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in self._seen:
                return 0
            self._seen.add((found.st_dev, found.st_ino))
        return found.st_size

    def _note_link(self, path: Path, inside: bool) -> None:
        try:
            leads_out = path.is_dir() and not path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # in circles
            leads_out = False
        if leads_out and not inside:
            self._linked.append(self.name_of(path))


def _read(name: str, folder: Path, names: set[str], size: int) -> FoundRun:
    record = read_record(folder)
    options, changed = _options(folder)
    state = _state(folder, names, record)
    return FoundRun(folder=folder, name=name, state=state, record=record, options=options, changed=changed, size=size)


def _state(folder: Path, names: set[str], record: Mapping[str, Any]) -> str:
    state = state_of(folder, record) if record or LOCK in names else ""
    if state in STATES:
        return state
    marks = [name for name in names if MARKS.fullmatch(name)]
    return "weights" if marks and all(map(WEIGHTS.fullmatch, marks)) else "unknown"


def _options(folder: Path) -> tuple[dict[str, str], frozenset[str]]:
    """{option: text}, and those that are not at their default; where that is not told, all of them."""
    lines = [match for line in read_text(folder / "train_opt.txt").splitlines() if (match := OPTION.fullmatch(line))]
    if lines:
        return {line[1]: _as_flag(line[2]) for line in lines}, frozenset(line[1] for line in lines if line[3])
    try:
        path = folder / "train_opt.yaml"
        found = read_config(path) if path.is_file() else {}
    except (UserError, RecursionError, ValueError):
        found = {}
    return {name: str(value) for name, value in found.items()}, frozenset(found)


def _as_flag(text: str) -> str:
    """A value of train_opt.txt as a flag takes it: a list is written as Python shows it there."""
    is_list = text.startswith("(") and text.endswith(")")
    return re.sub(r"['\"]", "", text[1:-1]).rstrip(",").replace(", ", ",") if is_list else text


def _entries(told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a record says of values, as far as it is sound."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in told.items():
        if isinstance(entry, dict):
            numbers = {key: number for key in ("last", "best") if (number := finite_number(entry.get(key))) is not None}
            better = entry.get("better")
            found[name] = numbers | ({"better": better} if better in ("lower", "higher", "one") else {})
    return found


def _evaluated(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of a run whose record is older than that."""
    last: Mapping[str, Any] = {}
    best: Mapping[str, Any] = {}
    for record in read_json_lines(folder / "evaluations.jsonl"):
        if isinstance(record.get("values"), dict):
            last = record
            best = record if record.get("best") is True else best
    better, values = last.get("better"), best.get("values", {})
    ways = better if isinstance(better, dict) else {}
    told = last.get("values", {}).items()
    return _entries({n: {"last": v, "best": values.get(n), "better": ways.get(n)} for n, v in told})


def in_order(name: str) -> str:
    """What orders run-2 before run-10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), name)
