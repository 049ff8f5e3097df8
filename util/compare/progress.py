"""How far a grid of runs is, and about how long it will take yet."""

from collections.abc import Sequence

from util.compare.experiment import Experiment, Run
from util.compare.runner import Runner
from util.stopwatch import duration
from util.training.run_record import read_record


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
            if run.name not in active and self.experiment.is_done(run):
                self.done.add(run.name)
        steps = [self._steps(name) for name in active]
        ready = self.total - len(self.todo) + len(self.done)
        return f"{ready} of {self.total} runs done; {', '.join(steps)}; {self.left()}"

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
