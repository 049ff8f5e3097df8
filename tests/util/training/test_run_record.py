"""run.json: what a run took, whatever its parts."""

import json
from types import SimpleNamespace

import pytest
import torch

from options import UserError
from util.training import run_record
from util.training.run_record import RunRecord, read_record
from util.training.schedule import Progress

MODEL = SimpleNamespace(networks={"G": torch.nn.Linear(3, 2), "F": torch.nn.Identity()})


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        self.cpu = 7.0
        monkeypatch.setattr(run_record.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(run_record.time, "process_time", lambda: self.cpu)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def start(folder, step=0, **more):
    engine = SimpleNamespace(progress=Progress(step=step, images=4 * step), device=torch.device("cpu"))
    return engine.progress, RunRecord(folder, MODEL, engine, total_steps=100, **more)


def test_what_a_run_took(tmp_path, clock):
    progress, record = start(tmp_path)
    with record:
        assert read_record(tmp_path)["state"] == "running"
        for seconds in (9, 1, 1, 4):  # the first stretch warms up; steps may take turns that differ
            clock.now += seconds
            progress.step += 10
            progress.images += 40
            record.tell()
        record.finish()
    found = read_record(tmp_path)
    assert (found["state"], found["steps"], found["images"], found["total_steps"]) == ("finished", 40, 160, 100)
    assert found["seconds"] == 15 and found["seconds_per_step"] == pytest.approx(0.2)
    assert found["parameters"] == {"G": 8, "F": 0} and found["peak_memory"] > 10**6
    assert found["device"] == "cpu" and found["error"] is None and found["best"] is None


def test_a_pace_is_the_mean_over_cheap_and_dear_steps_after_the_warm_up(tmp_path, clock):
    """Four steps of D take 0.1 s each, the fifth, of G too, 1.1 s: a median would say 0.1, the mean is 0.3.

    Meanwhile another process has the core half of the time, and an evaluation computes.
    """
    progress, record = start(tmp_path)
    with record:
        for step in range(1, run_record.WARM_UP + 31):
            spent = 9.0 if step <= run_record.WARM_UP else 1.1 if step % 5 == 0 else 0.1
            clock.cpu += spent
            clock.now += 2 * spent
            progress.step = step
            record.tell()
            if step == 20:
                with record.evaluating():
                    clock.now += 50
                    clock.cpu += 40
    found = read_record(tmp_path)
    assert found["cpu_per_step"] == pytest.approx(0.3) and found["seconds_per_step"] == pytest.approx(0.6)


def test_an_evaluation_is_no_training(tmp_path, clock, monkeypatch):
    memory = [10]
    monkeypatch.setattr(run_record, "peak_memory", lambda device: memory[0])
    progress, record = start(tmp_path)
    with record:
        clock.now += 4
        with record.evaluating():
            clock.now += 60
            memory[0] = 500  # and never falls again
        clock.now += 4
        progress.step += 4
        record.tell()
    found = read_record(tmp_path)
    assert (found["seconds"], found["evaluation_seconds"], found["seconds_per_step"]) == (8, 60, 2)
    assert found["peak_memory"] == 10
    with record.evaluating():
        pass
    memory[0] = 501  # of training, for nothing else has run
    record._measure()
    assert record._peak == 501


def test_a_continued_run_adds_up_and_does_not_count_what_was_lost(tmp_path, clock):
    progress, record = start(tmp_path)
    record.write()
    clock.now += 30
    progress.step = 30
    record.write()  # and killed; the last checkpoint was of step 20
    progress, record = start(tmp_path, step=20, evaluations=SimpleNamespace(seconds=5.0, summary=None))
    with record:
        clock.now += 10
        progress.step = 30
    found = read_record(tmp_path)
    assert found["seconds"] == pytest.approx(20 + 10) and found["evaluation_seconds"] == 5
    assert found["state"] == "stopped" and found["seconds_per_step"] == 1


def test_a_run_from_the_beginning_owes_nothing_to_an_earlier_file(tmp_path, clock):
    (tmp_path / "run.json").write_text('{"seconds": 99, "steps": 50}')
    with start(tmp_path)[1]:
        pass
    assert read_record(tmp_path)["seconds"] == 0


@pytest.mark.parametrize(
    "error,state,words",
    [
        (UserError("a loss is not finite"), "failed", "a loss is not finite"),
        (ValueError("bad"), "failed", "ValueError: bad"),
        (KeyboardInterrupt(), "stopped", None),
    ],
)
def test_how_a_run_ended(tmp_path, error, state, words):
    with pytest.raises(type(error)), start(tmp_path)[1]:
        raise error
    found = read_record(tmp_path)
    assert (found["state"], found["error"]) == (state, words)


def test_a_file_that_cannot_be_written_costs_one_warning(tmp_path, capsys):
    (tmp_path / "run.json").mkdir()
    with start(tmp_path)[1] as record:
        record.write()
    assert capsys.readouterr().err.count("warning: cannot write") == 1


def test_a_damaged_file_tells_nothing(tmp_path):
    for text in ("", "{", "[1]", '"x"'):
        (tmp_path / "run.json").write_text(text)
        assert read_record(tmp_path) == {}
    (tmp_path / "run.json").write_text(json.dumps({"steps": 3}))
    assert read_record(tmp_path) == {"steps": 3}
