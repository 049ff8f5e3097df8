"""The evaluations of a training run: when they are made, what is kept of them, and which is the best."""

import contextlib
import io
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from options import UserError, nearest
from util import distributed
from util.files import as_json, continue_json_lines, json_or_empty, read_text
from util.reading.json_file import decode_json
from util.table import ABSENT, figures
from util.training import checkpoint
from util.training.isolation import isolated
from util.training.run_record import RunRecord
from util.visualizer import Visualizer

FILE = "evaluations.jsonl"
BEST = "best"  # the checkpoint


class Evaluations:
    """Evaluates a run from time to time; several processes share the images.

    Each evaluation is a line of ``<run>/evaluations.jsonl``; one that improves on all before it is kept as the
    checkpoint ``best``. Nothing here changes what is trained.

    Args:
        run: the run's folder.
        evaluator: a training.Evaluator, closed in the end; None where nothing is evaluated.
        metric: the value that says which is best; None is the first value.
        engine: at the step from which the run goes on; records after it are dropped, and made again.
    """

    def __init__(self, run: Path, evaluator: Any, metric: str | None, engine: Any):
        self.run, self.evaluator, self.metric, self.engine = run, evaluator, metric, engine
        done = engine.progress.step
        self.records = continue_json_lines(run / FILE, done, _with_values) if engine.is_main else []
        self.best = self._kept_best() if engine.is_main else None
        self._remarked: set[str] = set()
        self._explained = False

    def __enter__(self) -> Self:
        """Try an evaluation of a few images, so that what is wrong shows before the first step.

        Raises:
            UserError: as ``make``.
        """
        if self.evaluator is not None:
            with distributed.together(self.engine.device), _told_by_main(self.engine):
                with isolated():
                    values, better = self.evaluator.prepare()
                self._direction({"values": values, "better": better})
        return self

    def __exit__(self, *_: object) -> None:
        if self.evaluator is not None:
            self.evaluator.close()

    @property
    def seconds(self) -> float:
        """What all of them took."""
        return sum((float(record.get("seconds") or 0) for record in self.records), 0.0)

    def make(self, model: Any, epoch: int, record: RunRecord, visualizer: Visualizer) -> None:
        """Evaluate the model as it is, unless that was done; every process calls it.

        A signal ends the computing; a run that is continued at this step makes the evaluation.

        Raises:
            UserError: the losses are not finite; --best_metric names no value of these; or as the evaluator.
        """
        self.engine.check_finite(model)
        self.engine.own.collect(model, self.engine)  # which the main process alone then saves
        with distributed.together(self.engine.device):
            self._make(model, epoch, record, visualizer)

    def _make(self, model: Any, epoch: int, record: RunRecord, visualizer: Visualizer) -> None:
        step = self.engine.progress.step
        made = bool(self.records) and self.records[-1]["step"] == step
        if self.evaluator is None or distributed.told_by_main(made):
            return
        if not self.engine.is_main:
            with isolated(together=True):
                self.evaluator(model, self.engine)
        else:
            with record.evaluating(), isolated(together=True):
                found, lines = self._evaluate(model, epoch)
            record.best, record.values = self.summary, self.values
            record.write()
            visualizer.plot_evaluation(found)
            visualizer.say(self._line(found))
            if not self._explained:  # of how many images, seen by what: the same in every evaluation
                self._explained = True
                for line in lines:
                    if line not in found["remarks"]:
                        visualizer.say(line)
            for remark in found["remarks"]:
                if remark not in self._remarked:
                    self._remarked.add(remark)
                    print(remark, file=sys.stderr)

    @property
    def summary(self) -> dict[str, Any] | None:
        """What run.json says of the best."""
        if self.best is None:
            return None
        name = self._deciding(self.best)
        return {"metric": name, "value": self.best["values"][name], "step": self.best["step"]}

    @property
    def values(self) -> dict[str, Any]:
        """What run.json says of every value of the last evaluation, and of the best."""
        if not self.records:
            return {}
        last, best = self.records[-1], self.best or {"values": {}}
        better = last.get("better") or {}
        return {
            name: {"last": value, "best": best["values"].get(name), "better": better.get(name)}
            for name, value in last["values"].items()
        }

    def lines(self) -> list[str]:
        """The last and the best, in full; nothing without evaluations."""
        if not self.records:
            return []
        last = self.records[-1]
        lines = [f"last, step {last['step']}: {_values(last)}"]
        if self.best is None:
            return [*lines, f"best: {self.metric or next(iter(last['values']))} was never defined"]
        return [*lines, f"best, step {self.best['step']}: {_values(self.best)} (--epoch {BEST})"]

    def _evaluate(self, model: Any, epoch: int) -> tuple[dict[str, Any], list[str]]:
        """The record of an evaluation, and the lines that test.py would print of it."""
        start, progress = time.monotonic(), self.engine.progress
        # Several processes leave it at once between two batches alone.
        with self.engine.signals.leaving() if distributed.world_size() == 1 else contextlib.nullcontext():
            evaluated = self.evaluator(model, self.engine)
        found: dict[str, Any] = {
            "step": progress.step,
            "epoch": epoch,
            "time": round(time.time(), 3),
            "seconds": 0.0,
            "phase": getattr(self.evaluator, "phase", "test"),
            "values": {name: float(v) if math.isfinite(v) else None for name, v in evaluated.values.items()},
            "better": dict(evaluated.better),
            "entries": dict(evaluated.entries),
            "remarks": list(evaluated.remarks),
            "diversity": evaluated.diversity,
        }
        found["best"] = self._improves(found)
        found["seconds"] = round(time.monotonic() - start, 3)
        text = as_json(found)
        texts = {FILE: f"{read_text(self.run / FILE)}{text}\n"}
        with distributed.alone():
            if found["best"]:  # with latest, which is then never behind it: a continued run keeps its best
                checkpoint.save(self.run, BEST, model, self.engine, also=["latest"], texts=texts)
            else:
                checkpoint.write_together(self.run, texts)
        found = decode_json(text)
        self.records.append(found)
        self.best = found if found["best"] else self.best
        return found, list(evaluated.lines)

    def _kept_best(self) -> dict[str, Any] | None:
        """The record of the checkpoint ``best``; one whose record was dropped, or is of another step, is removed."""
        best = next((r for r in reversed(self.records) if r.get("best")), None)
        manifest = self.run / f"{BEST}.manifest.json"
        step = json_or_empty(manifest).get("step")
        if best is not None and best["step"] == step:
            if self.metric is None or self._match(best["values"]) is not None:
                return best
            print(f"--best_metric {self.metric}: the best so far, of step {step}, has no such value", file=sys.stderr)
            return None
        if manifest.exists():
            print(
                f"{self.run}: checkpoint {BEST}, of step {step}, is removed: this run goes on from step "
                f"{self.engine.progress.step}, and no evaluation up to there is of it",
                file=sys.stderr,
            )
            checkpoint.remove(self.run, BEST)
        elif best is not None:
            print(f"{self.run}: there is no checkpoint {BEST} of step {best['step']} any more", file=sys.stderr)
        return None

    def _improves(self, found: Mapping[str, Any]) -> bool:
        """Whether a record beats the best so far; a value that is not defined never does."""
        name, better = self._direction(found)
        value = found["values"][name]
        if value is None:
            return False
        before = None if self.best is None else self.best["values"].get(name)
        return before is None or _cost(value, better) < _cost(before, better)

    def _direction(self, found: Mapping[str, Any]) -> tuple[str, str]:
        """The name of the value that decides, and where it improves."""
        name = self._deciding(found)
        better = found["better"].get(name)
        if better not in ("lower", "higher", "one"):
            raise UserError(
                f"--eval_metrics: {name} has no direction in which it improves, so it cannot say what is best; give "
                f"--best_metric, one of {', '.join(found['better'])}"
            )
        return name, better

    def _deciding(self, found: Mapping[str, Any]) -> str:
        """The name of the value that decides."""
        names = list(found["values"])
        if not names:
            raise UserError("--eval_metrics: no value came out of the evaluation, so nothing can be the best")
        name = names[0] if self.metric is None else self._match(names)
        if name is None:
            raise UserError(
                f"--best_metric {self.metric}: there is no such value{nearest(str(self.metric), names)}; the values "
                f"are {', '.join(names)}"
            )
        return name

    def _match(self, names: Iterable[str]) -> str | None:
        """The name that --best_metric means."""
        return next((name for name in names if name.lower() == str(self.metric).lower()), None)

    def _line(self, found: Mapping[str, Any]) -> str:
        line = f"evaluation at step {found['step']} ({found['seconds']:.1f} s): {_values(found)}"
        best = self.summary
        if best is None:
            return line
        return f"{line}; best so far: {best['metric']} {figures(best['value'])} at step {best['step']}"


@contextlib.contextmanager
def _told_by_main(engine: Any) -> Iterator[None]:
    """What every process would say alike, the main one says."""
    silent = io.StringIO()
    with contextlib.ExitStack() as stack:
        if not engine.is_main:
            stack.enter_context(contextlib.redirect_stdout(silent))
            stack.enter_context(contextlib.redirect_stderr(silent))
        yield


def _cost(value: float, better: str) -> float:
    return {"lower": value, "higher": -value, "one": abs(value - 1)}[better]


def _values(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {figures(value, ABSENT)}" for name, value in found["values"].items())


def _with_values(record: dict[str, Any]) -> dict[str, Any]:
    if not record["values"]:
        raise ValueError("an evaluation without values")
    return record
