"""Runs as rows: which are shown, in what order, in which columns; for the terminal, the page and other tools."""

import fnmatch
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from options import TrainOptions, UserError, nearest
from options.fields import flags_of
from options.shown import shown
from util.stopwatch import duration
from util.table import aligned, arrowed, figures
from util.training.found_runs import STATES, FoundRun, in_order

MOST = 3  # values that are shown where none is asked for
KINDS = ("last", "best", "test")
# Of one run alone, or with columns of their own, or places, or of an invocation: nothing that tells runs apart.
SILENT = {"model", "name", "checkpoints_dir", "results_dir"}
SILENT |= {name for name, flag in flags_of(TrainOptions).items() if flag.metadata.get("per_run")}
Key = tuple[float, str]


@dataclass(frozen=True)
class Column:
    """What a column says of a run, and what orders it; None has no place and stays last.

    Attributes:
        better: ``lower``, ``higher`` or ``one`` of a value: it is sorted from the best on.
    """

    name: str
    text: Callable[[FoundRun], str]
    key: Callable[[FoundRun], Key | None]
    better: str = ""
    left: bool = False


class RunsTable:
    """The runs that are left by ``filters``, in the order of ``sort``.

    Args:
        metrics: values to show; none are those that decided which evaluation was the best.

    Raises:
        UserError: a filter, a value or an order names nothing.
    """

    def __init__(self, found: Sequence[FoundRun], filters: Sequence[str], metrics: Sequence[str]):
        self.found = found
        tests = [_filter(words, found) for words in _whole(filters, found)]
        self.runs = [run for run in found if all(test(run) for test in tests)]
        self.values, self.further = _values(found, self.runs, metrics)
        self._names = sorted({value for run in found for value in run.values})
        self.varying = _varying(self.runs)
        self.columns = [*COLUMNS, *self._value_columns(), *LAST]

    def sort(self, name: str, reverse: bool) -> None:
        column = self._column(name)
        known = [(key, run) for run in self.runs if (key := column.key(run)) is not None]
        rest = [run for run in self.runs if column.key(run) is None]
        known.sort(key=lambda pair: _best_first(pair[0], column.better), reverse=reverse)
        self.runs = [run for _, run in known] + rest

    def lines(self, width: int | None = None) -> list[str]:
        """For a terminal of so many columns; options that differ stand at the end, and are cut there.

        Of a name that would take more than half of it the middle is left out: what became of the run is to be seen.
        """
        shown_here = [c for c in self.columns if c in COLUMNS[:2] or any(c.text(run) for run in self.runs)]
        head = [*(arrowed(column.name, {column.name: column.better}) for column in shown_here)]
        rows = [[column.text(run) for column in shown_here] for run in self.runs]
        for row in rows if width else ():
            ends = max(8, (width or 0) // 4)
            row[0] = row[0] if len(row[0]) <= 2 * ends else f"{row[0][:ends]}\u2026{row[0][1 - ends :]}"
        if self.varying:
            head.append("options that differ")
            rows = [[*row, self.options_of(run)] for row, run in zip(rows, self.runs, strict=True)]
        left = {i for i, column in enumerate(shown_here) if column.left} | {len(shown_here)}
        return [line[:width] if width else line for line in aligned([head, *rows], left)]

    def options_of(self, run: FoundRun) -> str:
        return " ".join(f"{name}={shown(run.options[name])}" for name in self.varying if name in run.changed)

    def entries(self) -> list[dict[str, Any]]:
        """For other tools: what is known of each run, null where nothing is."""
        return [self._entry(run) for run in self.runs]

    def _entry(self, run: FoundRun) -> dict[str, Any]:
        told = ("code", "error", "begun", "ended", "updated", "process", "best", "steps", "total_steps")
        return {
            "name": run.name,
            "folder": str(run.folder),
            "model": run.model or None,
            "state": run.state,
            **{name: run.record.get(name) for name in told},
            "progress": run.progress,
            "seconds_per_step": run.pace,
            "seconds_left": run.left,
            "values": run.values,
            "tests": {name: {**test, "page": _joined(run, test.get("page"))} for name, test in run.tests.items()},
            "options": {name: run.options[name] for name in self.varying if name in run.options},
            "bytes": run.size,
            "page": None if run.page is None else str(run.page),
        }

    def _value_columns(self) -> list[Column]:
        better = {name: v["better"] for run in self.found for name, v in run.values.items() if v.get("better")}
        return [
            _value_column(name, kind, better.get(name, ""))
            for name in self.values
            for kind in KINDS
            if any(kind in run.values.get(name, {}) for run in self.runs)
        ]

    def _column(self, name: str) -> Column:
        """What --sort names: a column, a value of any run, an option."""
        known = {column.name.lower(): column for column in self.columns} | {"name": COLUMNS[0], "progress": COLUMNS[3]}
        known |= {"updated": UPDATED}
        for value in self._names:
            better = next((v["better"] for run in self.found if (v := run.values.get(value, {})).get("better")), "")
            kinds = [kind for kind in KINDS if any(kind in run.values.get(value, {}) for run in self.found)]
            for kind in reversed(kinds):
                known |= {label.lower(): _value_column(value, kind, better) for label in (f"{value} {kind}", value)}
        options = {option for run in self.found for option in run.options}
        column = known.get(name.lower()) or (_option_column(name) if name in options else None)
        if column is None:
            near = nearest(name, [*(column.name for column in known.values()), *self._names, *options])
            raise UserError(
                f"--sort {name}: no column, value or option of these runs{near}; "
                f"columns are {', '.join(column.name for column in self.columns)}"
            )
        return column


# -- columns -----------------------------------------------------------------------------------------------------------


def size_text(size: float) -> str:
    """ "900 kB", "120 MB", "1.2 GB"."""
    if size < 1e6:
        return f"{size / 1e3:,.0f} kB"
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"


def progress_text(run: FoundRun) -> str:
    steps, total = run.number("steps"), run.number("total_steps")
    if steps is None:
        return ""
    return f"{steps:,.0f}" if not total else f"{steps:,.0f} of {total:,.0f}"


def pace_text(run: FoundRun) -> str:
    return "" if run.pace is None else f"{run.pace:.3g}" if run.pace < 100 else f"{run.pace:,.0f}"


def state_text(run: FoundRun) -> str:
    """A state, and the code of a run that failed."""
    code = run.number("code")
    return f"{run.state} ({code:.0f})" if run.state == "failed" and code else run.state


def option_key(text: str) -> Key:
    """What orders numbers as such, and before other texts."""
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    return (number if number == number else math.inf), text


def _number(value: float | None) -> Key | None:
    return None if value is None else (value, "")


def _value_column(name: str, kind: str, better: str) -> Column:
    def value(run: FoundRun) -> float | None:
        return run.values.get(name, {}).get(kind)

    label = f"{name} {kind}"
    return Column(label, lambda run: figures(value(run), ""), lambda run: _number(value(run)), better)


def _option_column(name: str) -> Column:
    return Column(
        name,
        lambda run: shown(run.options.get(name, "")),
        lambda run: option_key(run.options[name]) if name in run.options else None,
    )


COLUMNS = (
    Column("run", lambda run: shown(run.name), lambda run: (0.0, in_order(run.name)), left=True),
    Column("model", lambda run: shown(run.model), lambda run: (0.0, run.model), left=True),
    Column("state", state_text, lambda run: (float(STATES.index(run.state)), ""), left=True),
    Column("steps", progress_text, lambda run: _number(run.progress)),
    Column("left", lambda run: "" if run.left is None else duration(run.left), lambda run: _number(run.left)),
    Column("s/step", pace_text, lambda run: _number(run.pace)),
)
LAST = (Column("disk", lambda run: size_text(run.size), lambda run: (float(run.size), "")),)
UPDATED = Column("updated", lambda run: run.text("updated"), lambda run: (0.0, run.text("updated")))


def _best_first(key: Key, better: str) -> Key:
    number, text = key
    return ({"higher": -number, "one": abs(number - 1)}.get(better, number), text)


# -- which -------------------------------------------------------------------------------------------------------------


def _whole(words: Sequence[str], found: Sequence[FoundRun]) -> list[list[str]]:
    """What --filter says of one thing each, for commas divide its words: ``state=died,failed``, either of them, and
    ``nce_layers=0,4,8``, a list. A word that is no such value is a name."""
    told: list[list[str]] = []
    for word in words:
        option, sign, first = told[-1][0].partition("=") if told else ("", "", "")
        values = [value.lower() for value in _known(option, found)] if sign and "=" not in word else []
        longer = ",".join([first, *(told[-1][1:] if told else ()), word]).lower()
        if word.lower() in values or any(_like(value, longer) or _like(value, f"{longer},*") for value in values):
            told[-1].append(word)
        else:
            told.append([word])
    return told


def _known(option: str, found: Sequence[FoundRun]) -> Iterable[str]:
    return STATES if option == "state" else {run.options[option] for run in found if option in run.options}


def _filter(words: Sequence[str], found: Sequence[FoundRun]) -> Callable[[FoundRun], bool]:
    """Whether a run is what a name, or an option and the values of which it has one, say."""
    name, sign, first = words[0].partition("=")
    if not sign:
        name, first = "name", words[0]
    patterns = [",".join([first, *words[1:]]).lower(), *(word.lower() for word in (first, *words[1:]))]
    if name in ("name", "run"):
        return lambda run: any(_like(text, patterns[0]) for text in (run.name, run.folder.name))
    told = ",".join(words)
    if name == "state":
        if not any(_like(state, pattern) for state in STATES for pattern in patterns):
            raise UserError(f"--filter {told}: no such state; they are {', '.join(STATES)}")
        return lambda run: any(_like(run.state, pattern) for pattern in patterns)
    options = {option for run in found for option in run.options}
    if found and name not in options:
        known = ["name", "state", *options]
        named = "" if nearest(name, known) else f"; a name is name={told}"
        raise UserError(f"--filter {told}: no option {name} in any of these runs{nearest(name, known)}{named}")
    return lambda run: name in run.options and any(_like(run.options[name], pattern) for pattern in patterns)


def _like(text: str, pattern: str) -> bool:
    """* and ? alone are more than themselves."""
    return fnmatch.fnmatchcase(text.lower(), pattern.replace("[", "[[]"))


def _values(found: Sequence[FoundRun], runs: Sequence[FoundRun], asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of the values to show, and of those that could be shown as well."""
    known = list(dict.fromkeys(name for run in found for name in run.values))
    if not asked:
        deciding = Counter(run.deciding for run in runs if run.deciding in run.values)
        first = [name for name, _ in deciding.most_common(MOST)] or _of(runs, known)[:1]
        return first, [name for name in _of(runs, known) if name not in first]
    names = []
    for name in asked:
        same = [one for one in known if one.lower() == name.lower()]
        if not same:
            told = f"they have {', '.join(known[:12])}" if known else "none of them was evaluated or tested"
            raise UserError(f"--metrics {name}: no run has such a value{nearest(name, known)}; {told}")
        names += same
    return names, []


def _of(runs: Iterable[FoundRun], known: Iterable[str]) -> list[str]:
    there = {name for run in runs for name in run.values}
    return [name for name in known if name in there]


def _varying(runs: Sequence[FoundRun]) -> list[str]:
    """Options that tell the runs apart: not at their default in some, and not the same in all, the most told first."""
    told = [run for run in runs if run.options]
    changed = Counter(name for run in told for name in run.changed if name not in SILENT)
    names = sorted(changed, key=lambda name: (-changed[name], name))
    return [name for name in names if len({run.options.get(name) for run in told}) > 1]


def _joined(run: FoundRun, page: Any) -> str | None:
    """A path of a record, as it is from here."""
    return os.path.normpath(Path(run.folder, page)) if isinstance(page, str) and "\0" not in page else None


def counted(runs: Iterable[FoundRun]) -> Mapping[str, int]:
    """{state: how many}, as they ask for attention."""
    counts = Counter(run.state for run in runs)
    return {state: counts[state] for state in STATES if counts[state]}
