"""How far a grid of runs is, on the terminal and on the page, and about how long it will take yet."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dominate import tags

from options import UserError
from util.claim import holder
from util.cli import warn
from util.compare.claims import other_at
from util.compare.experiment import Experiment, Run
from util.compare.runner import Runner
from util.files import finite_number
from util.html import scrolling, visible
from util.stopwatch import duration
from util.table import aligned
from util.training.found_runs import FoundRun
from util.training.run_folder import LOCK
from util.training.run_record import read_record, state_of
from util.training.runs_table import COLUMNS

# As runs.py calls them, and what a grid knows besides: ``finished`` is trained and not tested, ``done`` is all of it.
ORDER = ("running", "testing", "waits for another", "died", "stopped", "failed", "waits", "finished", "done")
MANY = 12  # rows of a table that is folded at first
SHOWN = tuple(column for column in COLUMNS if column.name != "model")


@dataclass(frozen=True)
class Row:
    """A run, as a person looks for it: what becomes of it, how far it is, how fast; and where."""

    run: FoundRun
    where: str = ""

    @property
    def state(self) -> str:
        return self.run.state

    def texts(self) -> list[str]:
        return [*(column.text(self.run) for column in SHOWN), self.where]


HEADS = (*(column.name for column in SHOWN), "where")


def row_of(experiment: Experiment, run: Run, at_work: bool = False, where: str = "") -> Row:
    """A row of a run, whoever trains it.

    Args:
        at_work: it is this process's just now.
        where: what carries it out, or what it waits for.
    """
    folder = experiment.checkpoints / run.name
    record = read_record(folder)
    state, told = experiment.state(run), state_of(folder, record)
    is_trained = state == "finished"
    other = "" if at_work or where else other_at(experiment.folder / "state", run.name)  # another compare.py
    if at_work or other:
        said, where = "testing" if is_trained else "running", where if at_work else other
    elif told == "running":  # by hand, or by what a compare.py that was killed had started
        said, where = told, holder(folder / LOCK) or where
    elif where:
        said = "waits for another"
    elif experiment.failure(run):
        said = "failed"
    elif is_trained:
        said = "done" if experiment.is_done(run) else "finished"
    else:
        said = told if told in ("died", "stopped") and state != "overwrite" else "waits"
    return Row(FoundRun(folder=folder, name=run.name, state=said, record=record), where)


def progress_section(rows: Sequence[Row]) -> tags.section:
    """A table of every run, for the page of a grid that is not done."""
    head = tags.tr(*(tags.th(name, scope="col") for name in HEADS))
    body = tags.tbody()
    for row in rows:
        name, *texts = map(visible, row.texts())
        body.add(tags.tr(tags.th(name, scope="row"), *map(tags.td, texts)))
    counts = Counter(row.state for row in rows)
    others = ", ".join(f"{state} {counts[state]}" for state in ORDER if counts[state] and state != "done")
    table = scrolling("progress", tags.table(tags.thead(head), body, cls="which"))
    unfolded = {"open": True} if len(rows) <= MANY else {}
    fold = tags.details(tags.summary(f"{counts['done']} of {len(rows)} runs are done; {others}"), table, **unfolded)
    return tags.section(tags.div(tags.h2("Progress"), cls="head"), fold, cls="card", id="progress")


class NowAndThen:
    """Has a page built anew while the runs go on: after a minute, and then for a twentieth of the time at most."""

    def __init__(self, build: Callable[[], Path | None], every: float = 60.0):
        self.build, self.every, self.next = build, every, time.monotonic() + every

    def __call__(self) -> None:
        start = time.monotonic()
        if start < self.next:
            return
        try:
            self.build()
        except UserError as error:  # the runs are what matters; in the end it is built, or fails, again
            warn(str(error))
        self.next = time.monotonic() + max(self.every, 20 * (time.monotonic() - start))


class GridProgress:
    """Made when the work begins; called with the names of the runs at work it gives one line.

    Args:
        todo: the runs that are not done.
        total: all runs, those that are done included.
        runner: what runs them.
    """

    def __init__(self, experiment: Experiment, todo: Sequence[Run], total: int, runner: Runner):
        self.experiment, self.todo, self.total, self.runner = experiment, list(todo), total, runner
        self.done: set[str] = set()

    def __call__(self, active: Sequence[str]) -> str:
        for run in self.todo:
            if run.name not in active and run.name not in self.done and self.experiment.is_done(run):
                self.done.add(run.name)
        steps = [self._steps(name) for name in active]
        ready = self.total - len(self.todo) + len(self.done)
        return f"{ready} of {self.total} runs done; {', '.join(steps)}; {self.left()}"

    def whole(self, active: Sequence[str]) -> str:
        """The same line, and below it a table of every run, those at work first."""
        runs = [*self.experiment.prepared, *self.experiment.runs]
        rows = [row_of(self.experiment, run, run.name in active, self.runner.where(run.name)) for run in runs]
        rows.sort(key=lambda row: ORDER.index(row.state))
        left = {0, HEADS.index("state"), HEADS.index("where")}
        return "\n".join([self(active), *aligned([HEADS, *(row.texts() for row in rows)], left)])

    def left(self) -> str:
        """Time left in words: of training by the pace of each variant, of tests by those that were made."""
        seconds = [self._seconds(run) for run in self.todo if run.name not in self.done]
        known = [s for s in seconds if s is not None]
        unknown = (len(seconds) - len(known)) * sum(known) / len(known) if known else 0.0
        left = finite_number((sum(known) + unknown) / self.runner.jobs) if known else None
        return "the time left is not known yet" if left is None else f"about {duration(left)} left"

    def _seconds(self, run: Run) -> float | None:
        record = read_record(self.experiment.checkpoints / run.name)
        if record.get("state") == "finished":
            return self._tests(run, len(self.experiment.untested(run)))
        total = finite_number(record.get("total_steps")) or self.experiment.timings.steps_of(run.variant)
        pace = finite_number(record.get("seconds_per_step")) or self._pace(run.variant)
        if not total or not pace:
            return None
        tests = self._tests(run, 2 if self.experiment.recipe.during else 1)
        return finite_number(max(0.0, total - (finite_number(record.get("steps")) or 0)) * pace + tests)

    def _tests(self, run: Run, count: int) -> float:
        """Seconds of so many tests; nothing is known before the first."""
        spent = self.runner.spent.get("test.py", [])
        return count * sum(spent) / len(spent) if spent and run.seed is not None else 0.0

    def _pace(self, variant: str) -> float | None:
        """Seconds per step of another run of the variant, else as they were timed."""
        for run in self.experiment.runs:
            record = read_record(self.experiment.checkpoints / run.name)
            seconds, steps = finite_number(record.get("seconds")), finite_number(record.get("steps"))
            if run.variant == variant and seconds and steps:
                return seconds / steps
        return self.experiment.timings.pace_of(variant)

    def _steps(self, name: str) -> str:
        record = read_record(self.experiment.checkpoints / name)
        if not record or record.get("state") == "finished":
            return name
        return f"{name} at step {record.get('steps')} of {record.get('total_steps')}"
