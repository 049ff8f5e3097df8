"""How far a grid of runs is, on the terminal and on the page, and about how long it will take yet."""

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from dominate import tags

from options import UserError
from util.claim import holder
from util.cli import warn
from util.compare.experiment import Experiment, Run
from util.compare.runner import Runner
from util.html import visible
from util.stopwatch import duration
from util.training.run_folder import LOCK
from util.training.run_record import read_record


@dataclass(frozen=True)
class Row:
    """A run, as a person looks for it: what becomes of it, how far it is, how fast, and where."""

    name: str
    state: str
    steps: str
    pace: str
    where: str


ORDER = ("training", "testing", "waits for another", "cut off", "stopped", "failed", "waits", "trained", "done")


def row_of(experiment: Experiment, run: Run, at_work: bool = False, where: str = "") -> Row:
    """A row of a run, whoever trains it.

    Args:
        at_work: it is this process's just now.
        where: what carries it out, or what it waits for.
    """
    folder = experiment.checkpoints / run.name
    record = read_record(folder)
    state = experiment.state(run)
    if at_work:
        said = "testing" if state == "finished" else "training"
    elif state == "finished":
        said = "done" if experiment.is_done(run) else "failed" if experiment.failure(run) else "trained"
    elif experiment.failure(run):
        said = "failed"
    elif record.get("state") == "running":
        by = holder(folder / LOCK)
        said, where = ("training", where or by) if by else ("cut off", where)
    else:
        said = "waits for another" if where else "waits" if state in ("new", "overwrite") else "stopped"
    steps, total, pace = record.get("steps"), record.get("total_steps"), record.get("seconds_per_step")
    known = isinstance(pace, int | float) and not isinstance(pace, bool)
    return Row(run.name, said, f"{steps} of {total}" if total else "", f"{pace:.3g} s" if known else "", where)


def progress_section(rows: Sequence[Row]) -> tags.section:
    """A table of every run, for the page of a grid that is not done."""
    head = tags.tr(*(tags.th(name, scope="col") for name in ("run", "state", "steps", "a step", "where")))
    body = tags.tbody()
    for row in rows:
        first, *others = map(visible, astuple(row))
        body.add(tags.tr(tags.th(first, scope="row"), *map(tags.td, others)))
    done = sum(row.state == "done" for row in rows)
    table = tags.div(
        tags.table(tags.thead(head), body, cls="which"),
        cls="scroll",
        tabindex="0",
        role="region",
        aria_label="progress",
    )
    said = tags.p(f"{done} of {len(rows)} runs are done.", cls="soft")
    return tags.section(tags.div(tags.h2("Progress"), cls="head"), said, table, cls="card", id="progress")


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
        texts = list(map(astuple, rows))
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = ["  ".join(map(str.ljust, text, widths)).rstrip() for text in texts]
        return "\n".join([self(active), *lines])

    def left(self) -> str:
        """Time left in words: of training by the pace of each variant, of tests by those that were made."""
        seconds = [self._seconds(run) for run in self.todo if run.name not in self.done]
        known = [s for s in seconds if s is not None]
        if not known:
            return "the time left is not known yet"
        unknown = (len(seconds) - len(known)) * sum(known) / len(known)
        return f"about {duration((sum(known) + unknown) / self.runner.jobs)} left"

    def _seconds(self, run: Run) -> float | None:
        record = read_record(self.experiment.checkpoints / run.name)
        if record.get("state") == "finished":
            return self._tests(run, len(self.experiment.untested(run)))
        total = record.get("total_steps") or self.experiment.timings.steps_of(run.variant)
        pace = record.get("seconds_per_step") or self._pace(run.variant)
        if not total or not pace:
            return None
        tests = self._tests(run, 2 if self.experiment.recipe.during else 1)
        return max(0, total - (record.get("steps") or 0)) * pace + tests

    def _tests(self, run: Run, count: int) -> float:
        """Seconds of so many tests; nothing is known before the first."""
        spent = self.runner.spent.get("test.py", [])
        return count * sum(spent) / len(spent) if spent and run.seed is not None else 0.0

    def _pace(self, variant: str) -> float | None:
        """Seconds per step of another run of the variant, else as they were timed."""
        for run in self.experiment.runs:
            record = read_record(self.experiment.checkpoints / run.name)
            if run.variant == variant and record.get("seconds") and record.get("steps"):
                return float(record["seconds"]) / float(record["steps"])
        return self.experiment.timings.pace_of(variant)

    def _steps(self, name: str) -> str:
        record = read_record(self.experiment.checkpoints / name)
        if not record or record.get("state") == "finished":
            return name
        return f"{name} at step {record.get('steps')} of {record.get('total_steps')}"
