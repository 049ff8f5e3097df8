"""The line that says how far a grid of runs is."""

import json
from types import SimpleNamespace

import pytest

from util.compare.experiment import Run
from util.compare.progress import GridProgress
from util.stopwatch import duration


def runs_of(folder, records):
    """An experiment with these records, as far as its progress reads it."""
    runs = [Run(name, name.partition("-")[0], 0, {}) for name in records]
    for name, record in records.items():
        (folder / name).mkdir()
        if record:
            (folder / name / "run.json").write_text(json.dumps(record))
    return SimpleNamespace(
        checkpoints=folder,
        runs=runs,
        timings=SimpleNamespace(pace_of={"dcl": 3.0}.get, steps_of=lambda variant: 100),
        recipe=SimpleNamespace(during={}),
        is_done=lambda run: records[run.name].get("state") == "finished",
        untested=lambda run: ["latest"],
    )


def test_time_left_is_that_of_each_variants_pace_and_of_tests(tmp_path):
    half = {"state": "running", "steps": 50, "total_steps": 100, "seconds": 50, "seconds_per_step": 1.0}
    experiment = runs_of(tmp_path, {"cut-s0": half, "cut-s1": {}, "dcl-s0": {}})
    runner = SimpleNamespace(jobs=1, spent={})
    progress = GridProgress(experiment, experiment.runs, 4, runner)
    assert progress(["cut-s0"]) == "1 of 4 runs done; cut-s0 at step 50 of 100; about 8 min left"  # 50 + 100 + 300 s
    runner.spent["test.py"] = [10.0, 20.0]
    assert progress.left() == "about 8 min left" and duration(50 + 100 + 300 + 3 * 15) == "8 min"
    runner.jobs = 5
    assert progress.left() == "about 2 min left"


def test_what_is_not_known_is_not_told(tmp_path):
    experiment = runs_of(tmp_path, {"cut-s0": {}})
    runner = SimpleNamespace(jobs=1, spent={})
    line = GridProgress(experiment, experiment.runs, 1, runner)(["cut-s0"])
    assert line == "0 of 1 runs done; cut-s0; the time left is not known yet"


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (89, "89 s"), (100, "2 min"), (12_000, "3 h 20 min")])
def test_a_time_duration(seconds, words):
    assert duration(seconds) == words
