"""run.json: what a run took, whatever its parts."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from options import Exit, UserError
from util.training import run_record
from util.training.run_record import RunRecord, noting_test, read_record
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
    progress, record = start(tmp_path, step=20, evaluations=SimpleNamespace(seconds=5.0, summary=None, values={}))
    with record:
        clock.now += 10
        progress.step = 30
    found = read_record(tmp_path)
    assert found["seconds"] == pytest.approx(20 + 10) and found["evaluation_seconds"] == 5
    assert found["state"] == "stopped" and found["seconds_per_step"] == 1


@pytest.mark.parametrize("told", ['"many"', '{"done": 5}', "[1]", "-7", "true", "null"])
def test_a_run_goes_on_after_a_record_of_another_version(tmp_path, clock, told):
    (tmp_path / "run.json").write_text(
        f'{{"seconds": {told}, "steps": {told}, "peak_memory": {told}, "tests": {told}}}'
    )
    with start(tmp_path, step=20)[1]:
        clock.now += 10
    assert read_record(tmp_path)["seconds"] == 10


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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("a loss is not finite", Exit.NOT_FINITE), 3),
        (OSError(errno.ENOSPC, "full", "a_file"), 5),
        (MemoryError(), 6),
        (ValueError("bad"), 1),
        (KeyboardInterrupt(), 130),
        (None, 75),
    ],
)
def test_the_code_is_the_one_that_the_script_ends_with(tmp_path, error, code):
    with contextlib.suppress(type(error)) if error else contextlib.nullcontext(), start(tmp_path)[1] as record:
        assert read_record(tmp_path)["code"] is None and read_record(tmp_path)["ended"] is None
        if error:
            raise error
    found = read_record(tmp_path)
    assert found["code"] == code and found["begun"] <= found["ended"] <= found["updated"]
    with start(tmp_path, step=5, page="web/index.html")[1] as record:
        record.finish()
    again = read_record(tmp_path)
    assert (again["code"], again["begun"], again["page"]) == (0, found["begun"], "web/index.html")
    assert again["process"] == {"host": socket.gethostname()[:64], "pid": os.getpid()}


def put_results(folder, fid):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(str(fid))
    (folder / "metrics.json").write_text(json.dumps({"version": 2, "FID": {"value": fid, "better": "lower"}}))
    (folder / "checkpoint.json").write_text(json.dumps({"checkpoint": "latest", "step": 40}))


def test_a_test_is_noted_beside_a_run_that_goes_on(tmp_path):
    run, results = tmp_path / "checkpoints/run", tmp_path / "results/run/test_latest"
    run.mkdir(parents=True)
    put_results(results, 9.0)
    with noting_test(run, results):
        put_results(results, 8.0)
    assert not (run / "run.json").exists()  # weights that somebody gave have no record
    progress, record = start(run)
    with record:
        with noting_test(run, results):
            put_results(results, 7.0)
        with noting_test(run, results.with_name("captions_latest")):
            pass
        progress.step = 4
        record.write()
        assert (read_record(run)["steps"], list(read_record(run)["tests"])) == (4, ["test_latest"])
    found = read_record(run)["tests"]["test_latest"]
    assert found.pop("made") and found == {
        **{"checkpoint": "latest", "step": 40, "values": {"FID": 7.0}},
        "page": "../../results/run/test_latest/index.html",
    }
    with start(run, step=4)[1]:
        pass
    assert list(read_record(run)["tests"]) == ["test_latest"]
    with start(run)[1]:  # from the beginning
        pass
    assert read_record(run)["tests"] == {}


def test_a_record_that_cannot_be_written_costs_a_test_a_warning(tmp_path, monkeypatch, capsys):
    (tmp_path / "run.json").write_text('{"state": "fini')  # is not replaced by less
    with noting_test(tmp_path, tmp_path / "results"):
        put_results(tmp_path / "results", 8.0)
    assert capsys.readouterr().err.count("warning: cannot note the test in") == 1
    assert (tmp_path / "run.json").read_text() == '{"state": "fini'
    (tmp_path / "run.json").write_text('{"state": "finished"}')

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run_record, "write_atomically", refuse)
    with noting_test(tmp_path, tmp_path / "results"):
        put_results(tmp_path / "results", 7.0)
    assert capsys.readouterr().err.count("warning: cannot note the test in") == 1


def test_a_process_that_hangs_with_the_lock_keeps_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(run_record, "PATIENCE", 0.05)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with start(tmp_path)[1]:
        assert read_record(tmp_path)["state"] == "running"
    os.close(other)


def test_nothing_is_lost_between_two_that_write_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(run_record, "PATIENCE", 60.0)  # however busy the machine is
    run, results = tmp_path / "run", tmp_path / "results"
    run.mkdir()
    progress, record = start(run)

    def test_often():
        for number in range(30):
            with noting_test(run, results / f"test_{number}"):
                put_results(results / f"test_{number}", float(number))

    with record:
        other = threading.Thread(target=test_often)
        other.start()
        while other.is_alive():
            progress.step += 1
            record.write()
            time.sleep(0.002)  # else it has the lock all the time
        other.join()
        record.finish()
    found = read_record(run)
    assert (found["state"], found["steps"], len(found["tests"])) == ("finished", progress.step, 30)
