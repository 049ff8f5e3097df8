"""What a comparison knows of one training run, read from the files that training and test.py left."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from options import UserError
from util.compare.alarms import alarms_of
from util.compare.artefacts import damage, lacking_results, other_checkpoint
from util.config import read_config
from util.files import finite_number, json_or_empty, read_json_lines, read_text
from util.inputs import Input, noted_inputs
from util.pages.curves import Curves
from util.training.run_record import has_own_clock, read_record, state_of

CHECKPOINTS = ("latest", "best")  # that are tested where a run has them, and reported
POINTS = 400  # of a curve, at most
STATES = ("finished", "running", "died", "stopped", "failed")
# rows of images from noise in metrics.json of version 1: value -> where it improves
ROWS = {
    **{"accuracy": "higher", "matched": "higher", "variety": "one", "worst class": "one"},
    **{"KID x 1000": "lower", "FID-domain": "lower", "KID of subsets": None},
}
RENAMED = {"worst class": "variety of the worst class"}
CHANGED = re.compile(r"\s*(\w+): .*\t\[default: (.*)\]")  # a line of train_opt.txt


@dataclass(frozen=True)
class Series:
    """Values over optimizer steps; None where one is not known or not finite."""

    steps: Sequence[float] = ()
    values: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run. What its files do not tell is None or empty.

    Attributes:
        variant, seed: what the experiment calls it; runs of one variant differ in their seed.
        title: the variant in words, for the page.
        state: finished, running, died, stopped or failed; ``missing`` without files, ``unknown`` without run.json.
        options: of train.py; ``changed``: name -> default as text, of those that differ from it.
        tested: options of the newest test, likewise ``test_changed``.
        facts: run.json.
        better: value -> "lower", "higher" or "one".
        scores: checkpoint -> the entries of metrics.json; None where it was not tested as it is now.
        stale: checkpoint -> of which other one its test was, in words; such tests count as missing.
        damaged: checkpoint -> what is wrong with it, in words.
        lacking: checkpoint -> what of the results of its test is gone, in words.
        folder: of the run.
        evaluated: checkpoint -> entries of its evaluation while training.
        images: checkpoint -> visual -> item -> file; an item of a style is ``style/item``.
        best_step: of the best evaluation.
        alarms: lines about signs of a collapse, as training told them.
        family: of its variant, see util/compare/families.py; ``note``: what a recipe says of it.
    """

    name: str
    variant: str
    seed: int
    title: str
    state: str = "missing"
    options: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)
    tested: Mapping[str, Any] = field(default_factory=dict)
    test_changed: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    losses: Series = field(default_factory=Series)
    evaluations: Series = field(default_factory=Series)
    better: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    scores: Mapping[str, Mapping[str, Mapping[str, Any]] | None] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    evaluated: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, Mapping[str, Path | Input]]] = field(default_factory=dict)
    best_step: float | None = None
    alarms: Sequence[str] = ()
    family: str = ""
    note: str = ""

    def source(self, label: str) -> Literal["test", "evaluation", ""]:
        """Where the values of a checkpoint come from."""
        return "test" if self.scores.get(label) else "evaluation" if self.evaluated.get(label) else ""

    def entries(self, label: str) -> Mapping[str, Mapping[str, Any]]:
        """{value: what is known of it}, of the test, or where there was none of the evaluation while training."""
        return self.scores.get(label) or self.evaluated.get(label) or {}

    def values(self, label: str) -> dict[str, float]:
        """{value: number} of a checkpoint, as ``entries``; values that are not defined are NaN."""
        found = {name: finite_number(entry.get("value")) for name, entry in self.entries(label).items()}
        return {name: math.nan if v is None else v for name, v in found.items()}

    def fact(self, name: str) -> float | None:
        """A number of run.json."""
        return finite_number(self.facts.get(name))

    @property
    def parameters(self) -> dict[str, int]:
        """Network -> trainable numbers."""
        found = self.facts.get("parameters")
        counts = found if isinstance(found, dict) else {}
        return {str(name): int(v) for name, count in counts.items() if (v := finite_number(count)) is not None}

    @property
    def own_pace(self) -> float | None:
        """Processor seconds per step, where other work on the machine did not lengthen them; None elsewhere."""
        known = has_own_clock(self.facts.get("device"), self.facts.get("threads"), self.options.get("num_threads"))
        return self.fact("cpu_per_step") if known else None

    @property
    def pace(self) -> float | None:
        """Seconds of training per step by the clock, without evaluations, over the whole run."""
        seconds, steps = self.fact("seconds"), self.fact("steps")
        return seconds / steps if seconds and steps else self.fact("seconds_per_step")


def read_run(
    checkpoints: Path,
    name: str,
    results: Path,
    variant: str,
    seed: int,
    title: str | None = None,
    phase: str = "test",
) -> ComparedRun:
    """Read <checkpoints>/<name> and <results>/<name>/<phase>_<checkpoint>.

    It never raises for what files hold: what is missing or damaged is empty.
    """
    folder = Path(checkpoints, name)
    facts = read_record(folder)
    records = list(read_json_lines(folder / "evaluations.jsonl"))
    options = _options(folder / "train_opt.yaml")
    state = state_of(folder, facts)
    if state not in STATES:
        state = "unknown" if options or records or (folder / "metrics.jsonl").is_file() else "missing"
    tests = {label: Path(results, name, f"{phase}_{label}") for label in CHECKPOINTS}
    stale = {label: words for label, test in tests.items() if (words := other_checkpoint(folder, test, label))}
    scores = {w: None if w in stale else _scores(test / "metrics.json") for w, test in tests.items()}
    damaged = {label: words for label in CHECKPOINTS if (words := damage(folder, label))}
    lacking = {w: words for w, test in tests.items() if test.is_dir() and (words := lacking_results(test))}
    better: dict[str, str] = {}
    for record in records:
        better |= _directions(record.get("better"))
    for entries in scores.values():
        better |= _directions({n: entry.get("better") for n, entry in (entries or {}).items()})
    newest = next((test for test in tests.values() if (test / "test_opt.yaml").is_file()), folder / "none")
    remarks = records[-1].get("remarks") if records else None
    evaluations, best_step = _evaluations(records)
    ends = {"latest": evaluations.steps[-1] if evaluations.steps else None, "best": best_step}
    return ComparedRun(
        name=name,
        variant=variant,
        seed=seed,
        title=title or variant,
        state=state,
        options=options,
        changed=_changed(folder / "train_opt.txt"),
        tested=_options(newest / f"{phase}_opt.yaml"),
        test_changed=_changed(newest / f"{phase}_opt.txt"),
        facts=facts,
        losses=_losses(folder / "metrics.jsonl"),
        evaluations=evaluations,
        better=better,
        remarks=[str(line) for line in remarks] if isinstance(remarks, list) else [],
        scores=scores,
        stale=stale,
        damaged=damaged,
        lacking=lacking,
        folder=folder,
        evaluated={label: _evaluated(records, step) for label, step in ends.items() if step is not None},
        images={label: {} if label in stale else _images(test) for label, test in tests.items()},
        best_step=best_step,
        alarms=alarms_of(options, facts, read_json_lines(folder / "metrics.jsonl"), records),
    )


def group(runs: Iterable[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """{variant: its runs}, in the order in which variants appear; runs by seed."""
    variants: dict[str, list[ComparedRun]] = {}
    for run in runs:
        variants.setdefault(run.variant, []).append(run)
    return {variant: sorted(found, key=lambda run: run.seed) for variant, found in variants.items()}


def _options(path: Path) -> dict[str, Any]:
    try:
        return read_config(path) if path.is_file() else {}
    except (UserError, RecursionError, ValueError):
        return {}


def _changed(path: Path) -> dict[str, str]:
    return {match[1]: match[2] for line in read_text(path).splitlines() if (match := CHANGED.fullmatch(line))}


def _directions(found: Any) -> dict[str, str]:
    known = found.items() if isinstance(found, dict) else ()
    return {str(name): way for name, way in known if way in ("lower", "higher", "one")}


def _scores(path: Path) -> dict[str, dict[str, Any]] | None:
    """Entries that have a value; None without the file. Rows of version 1 become entries of what was generated."""
    if not path.is_file():
        return None
    found = json_or_empty(path)
    rows = found.get("scores")
    if isinstance(rows, dict) and isinstance(generated := rows.get("generated"), dict):
        floors = {name: row for name, row in rows.items() if isinstance(row, dict) and name != "generated"}
        for name in [name for name in generated if name not in ("images", "pictures", "+-")]:
            others = {
                f"of {floor}": row[name] for floor, row in floors.items() if finite_number(row.get(name)) is not None
            }
            found[RENAMED.get(name, name)] = {"value": generated[name], "better": ROWS.get(name), **others}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict) and "value" in entry}


def _evaluated(records: Sequence[dict[str, Any]], step: float) -> dict[str, dict[str, Any]]:
    """Entries of the last evaluation at a step; of records that have none, the values alone."""
    record = next(
        r for r in reversed(records) if finite_number(r.get("step")) == step and isinstance(r.get("values"), dict)
    )
    entries = found if isinstance(found := record.get("entries"), dict) else {}
    better = _directions(record.get("better"))
    return {
        str(name): {
            **({"better": better[name]} if name in better else {}),
            **(entry if isinstance(entry := entries.get(name), dict) else {}),
            "value": value,
        }
        for name, value in record["values"].items()
    }


def _losses(path: Path) -> Series:
    curves = Curves(limit=POINTS)
    for record in read_json_lines(path):
        step = finite_number(record.get("step"))
        if step is not None:
            fixed = ("step", "epoch", "time")
            curves.add(step, {name: finite_number(value) for name, value in record.items() if name not in fixed})
    return Series(*curves.points())


def _evaluations(records: Sequence[dict[str, Any]]) -> tuple[Series, float | None]:
    """The evaluations by step, and the step of the best; one that a continued run made again counts once."""
    by_step: dict[float, dict[str, float | None]] = {}
    best = None
    for record in records:
        step, values = finite_number(record.get("step")), record.get("values")
        if step is not None and isinstance(values, dict):
            by_step[step] = {str(name): finite_number(value) for name, value in values.items()}
            best = step if record.get("best") is True else best
    steps = sorted(by_step)
    if len(steps) > POINTS:
        kept = {round(i * (len(steps) - 1) / (POINTS - 1)) for i in range(POINTS)}
        steps = [s for i, s in enumerate(steps) if i in kept or s == best]
    names = dict.fromkeys(name for step in steps for name in by_step[step])
    return Series(steps, {name: [by_step[step].get(name) for step in steps] for name in names}), best


def _images(folder: Path) -> dict[str, dict[str, Path | Input]]:
    """{visual: {item: file}} of a test; images from noise are the visual ``samples``, an item ``class/0000``.

    Inputs that the test copied are files like the others, and those that its page shows where they lie an ``Input``.
    """
    found: dict[str, dict[str, Path | Input]] = {}
    if (folder / "samples").is_dir():
        for name, path in _pictures(folder / "samples", depth=2):
            found.setdefault("samples", {})[name] = path
        return found
    styles = [""] if (folder / "images").is_dir() else [f"{name}/" for name in _folders(folder)]
    for style in styles:
        for visual in _folders(folder / style / "images"):
            for name, path in _pictures(folder / style / "images" / visual, depth=1):
                found.setdefault(visual, {})[f"{style}{name}"] = path
    for copy, given in noted_inputs(folder).items():
        *style_of, _, visual, name = ("", *Path(copy).parts)[-4:]
        found.setdefault(visual, {})["/".join([*filter(None, style_of), Path(name).stem])] = given
    return found


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def _pictures(folder: Path, depth: int) -> list[tuple[str, Path]]:
    """(name without ending, file) of PNGs, those of folders inside as folder/name, in order of their names."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name.lower().endswith(".png"))
    except OSError:
        return []
    found = [(name[:-4], folder / name) for name in names]
    if depth > 1:
        for inner in _folders(folder):
            found += [(f"{inner}/{name}", path) for name, path in _pictures(folder / inner, depth - 1)]
    return found
