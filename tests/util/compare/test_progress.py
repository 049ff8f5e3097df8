"""The line that says how far a grid of runs is."""

import io
import json
from types import SimpleNamespace

import pytest

from options import UserError
from tests.util.test_claim import held
from util.claim import Claim
from util.cli import _Shown
from util.compare.claims import other_at
from util.compare.experiment import Run
from util.compare.progress import GridProgress, NowAndThen
from util.compare.runner import Runner, Wait, say, tell
from util.stopwatch import duration


def runs_of(folder, records):
    """An experiment with these records, as far as its progress reads it."""
    runs = [Run(name, name.partition("-")[0], 0, {}) for name in records]
    for name, record in records.items():
        (folder / name).mkdir()
        if record:
            (folder / name / "run.json").write_text(json.dumps(record))
    return SimpleNamespace(
        folder=folder,
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


@pytest.mark.parametrize(
    "record",
    [
        {"steps": "many", "total_steps": [100], "seconds_per_step": {}, "seconds": "x"},
        {"steps": {"done": 5}, "seconds": [1], "total_steps": 1e300, "seconds_per_step": 1e308},
        {"steps": -1e308, "total_steps": 1e308, "seconds_per_step": 1.0},
    ],
)
def test_a_record_of_another_version_stops_no_grid(tmp_path, record):
    experiment = runs_of(tmp_path, {name: {"state": "running"} | record for name in ("cut-s0", "cut-s1")})
    line = GridProgress(experiment, experiment.runs, 2, SimpleNamespace(jobs=1, spent={}))(["cut-s0"])
    assert line.startswith("0 of 2 runs done; cut-s0 at step ") and line.endswith("; the time left is not known yet")


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (89, "89 s"), (100, "2 min"), (12_000, "3 h 20 min")])
def test_a_time_duration(seconds, words):
    assert duration(seconds) == words


def grid_of(folder, records, failed=()):
    experiment = runs_of(folder, records)
    experiment.prepared = []
    experiment.state = lambda run: {"finished": "finished", None: "new"}.get(records[run.name].get("state"), "continue")
    experiment.failure = lambda run: "it failed" if run.name in failed else ""
    return experiment


def test_every_run_has_a_row_whoever_trains_it(tmp_path):
    half = {"state": "running", "steps": 50, "total_steps": 100, "seconds": 50, "seconds_per_step": 0.123456}
    names = ["new-s0", "mine-s0", "gone-s0", "theirs-s0", "tested-s0", "asked-s0", "bad-s0", "whole-s0"]
    whole = half | {"state": "finished", "steps": 100}
    records = dict.fromkeys(names, half) | {"new-s0": {}, "asked-s0": {}, "tested-s0": whole, "whole-s0": whole}
    records["stopped-s0"] = {**half, "state": "stopped", "seconds_per_step": None}
    experiment = grid_of(tmp_path, records, failed=("bad-s0",))
    where = {"mine-s0": "job 7_0, running on n1", "asked-s0": "another compare.py is at it (process 9 on b); waiting"}
    runner = SimpleNamespace(jobs=1, spent={}, where=lambda name: where.get(name, ""))
    (tmp_path / "state").mkdir()
    with held(tmp_path / "theirs-s0/.lock") as other, held(tmp_path / "state/tested-s0.lock"):
        first, *lines = GridProgress(experiment, experiment.runs, 9, runner).whole(["mine-s0"]).splitlines()
    assert first.startswith("2 of 9 runs done; mine-s0 at step 50 of 100; ")
    head, *lines = lines
    assert head.split() == ["run", "state", "steps", "left", "s/step", "where"]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert rows.pop("theirs-s0").startswith(f"running 50 of 100 6 s 0.123 process {other.pid} on ")
    assert rows.pop("tested-s0").startswith("testing 100 of 100 0.123 process ")
    assert rows == {
        "mine-s0": "running 50 of 100 6 s 0.123 job 7_0, running on n1",
        "gone-s0": "died 50 of 100 0.123",  # the words of runs.py
        "stopped-s0": "stopped 50 of 100 1",
        "asked-s0": "waits for another another compare.py is at it (process 9 on b); waiting",
        "bad-s0": "failed 50 of 100 0.123",
        "whole-s0": "done 100 of 100 0.123",
        "new-s0": "waits",
    }
    assert lines[0].startswith("mine-s0") and lines[-1].startswith("whole-s0")


def test_the_page_is_built_now_and_then_and_no_failure_of_it_ends_the_runs(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("util.compare.progress.time.monotonic", lambda: clock[0])
    built = []

    def build():
        built.append(clock[0])
        clock[0] += 10
        raise UserError("the disk is full")

    page = NowAndThen(build)
    for now in (10, 61, 100, 200, 272):
        clock[0] = max(clock[0], now)
        page()
    assert built == [61, 272] and "the disk is full" in capsys.readouterr().err  # 20 times what it took


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_on_a_terminal_takes_the_place_of_the_last_one(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", _Shown(terminal))
    monkeypatch.setattr("shutil.get_terminal_size", lambda: (20, 6))
    tell("one\n\033[31mtwo, and longer than it is wide\nthree\nfour\nfive")
    say("a line")
    assert terminal.getvalue() == (
        "\r\033[Jone\n?[31mtwo, and longe\nthree\nand 2 more\r\033[3A" + "\r\033[J" + "a line\n"
    )


def test_what_was_waited_for_and_is_over_is_named_no_more(tmp_path):
    runner = Runner()
    runner.paused = [(name, None, Wait(f"{name}: another is at it", lambda name=name: name == "b")) for name in "ab"]
    assert [runner.where(name) for name in "abc"] == ["another is at it", "", ""]
    with Claim(tmp_path / "a.lock"), held(tmp_path / "b.lock") as other:
        assert other_at(tmp_path, "a") == "" and other_at(tmp_path, "b").startswith(f"process {other.pid} on ")
