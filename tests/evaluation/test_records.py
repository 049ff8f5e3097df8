"""Evaluations of a run: which is the best, what is kept, and what a continued run makes again."""

import contextlib
import json
import math
from types import SimpleNamespace

import pytest
import torch

from evaluation import records as module
from evaluation.records import Evaluations
from options import UserError
from util.signals import Signals
from util.training.schedule import Progress


class Run:
    """A run that is evaluated at steps of its own choice, with values of its own choice."""

    def __init__(self, folder, monkeypatch, metric=None, step=0, better=None):
        self.saved, self.said, self.plotted = [], [], []
        self.engine = SimpleNamespace(
            own=SimpleNamespace(collect=lambda model, engine: None),
            is_main=True,
            progress=Progress(step=step),
            check_finite=lambda model: None,
            device=torch.device("cpu"),
            signals=Signals(),
        )
        monkeypatch.setattr(
            module.checkpoint,
            "save",
            self.save,
        )
        self.record = SimpleNamespace(evaluating=contextlib.nullcontext, best=None, write=lambda: None)
        self.visualizer = SimpleNamespace(say=self.said.append, plot_evaluation=self.plotted.append)
        self.better = better or {"FID": "lower", "SSIM": "higher", "density": "one"}
        self.values, self.calls = {}, 0
        self.entries, self.folder = {"FID": {"images": 7}}, folder
        self.evaluations = Evaluations(folder, self.evaluate, metric, self.engine)

    def save(self, run, label, model, engine, also=(), texts=()):
        self.saved.append((label, engine.progress.step))
        for name in (label, *also):
            (run / f"{name}.manifest.json").write_text(json.dumps({"step": engine.progress.step}))
        for name, text in dict(texts).items():
            (run / name).write_text(text)

    def evaluate(self, model, engine):
        self.calls += 1
        lines = ["FID: of 7 images", "few images"]
        return SimpleNamespace(
            values=self.values, better=self.better, remarks=["few images"], diversity=0.5, lines=lines,
            entries=self.entries,
        )  # fmt: skip

    def at(self, step, **values):
        self.engine.progress.step, self.values = step, values
        self.evaluations.make(None, 1, self.record, self.visualizer)
        return self.evaluations.records[-1]["best"]


def lines(folder):
    return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]


def test_the_best_is_kept_as_a_checkpoint(tmp_path, monkeypatch, capsys):
    run = Run(tmp_path, monkeypatch)
    found = [run.at(10 * i, FID=fid, SSIM=0.5) for i, fid in enumerate((9.0, 7.0, math.nan, 7.0, 6.0, 8.0), 1)]
    assert found == [True, True, False, False, True, False]  # NaN is never the best, nor what is as good
    assert run.saved == [("best", 10), ("best", 20), ("best", 50)]
    assert run.record.best == {"metric": "FID", "value": 6.0, "step": 50}
    records = lines(tmp_path)
    assert [r["step"] for r in records] == [10, 20, 30, 40, 50, 60] and records[2]["values"]["FID"] is None
    assert records == run.plotted and records[0].keys() >= {"epoch", "time", "seconds", "better", "remarks", "best"}
    assert "FID not defined, SSIM 0.5; best so far: FID 7 at step 20" in run.said[3]
    assert run.said.count("FID: of 7 images") == 1 and "few images" not in run.said
    assert records[0]["entries"] == {"FID": {"images": 7}}
    assert run.evaluations.lines() == [
        "last, step 60: FID 8, SSIM 0.5",
        "best, step 50: FID 6, SSIM 0.5 (--epoch best)",
    ]
    assert capsys.readouterr().err.count("few images") == 1


@pytest.mark.parametrize(
    "metric,values,best",
    [("ssim", [0.5, 0.6, 0.4], 2), ("density", [1.3, 0.5, 0.9], 3), ("density", [1.05, 0.95, 0.9], 1)],
)
def test_another_value_may_decide_and_some_improve_otherwise(tmp_path, monkeypatch, metric, values, best):
    run = Run(tmp_path, monkeypatch, metric)
    for step, value in enumerate(values, 1):
        run.at(step, FID=1.0, SSIM=value, density=value)
    assert run.evaluations.best["step"] == best


def test_a_value_that_cannot_decide_is_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"--best_metric FIDX: there is no such value; did you mean FID\?; the values"):
        Run(tmp_path, monkeypatch, "FIDX").at(1, FID=1.0, SSIM=1.0)
    with pytest.raises(UserError, match=r"ink has no direction .* --best_metric, one of L1"):
        Run(tmp_path, monkeypatch, better={"L1": "lower"}).at(1, ink=1.0, L1=1.0)
    with pytest.raises(UserError, match="no value came out"):
        Run(tmp_path, monkeypatch).at(1)


def test_without_a_defined_value_there_is_no_best(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch)
    assert not run.at(5, FID=math.nan) and run.saved == [] and run.record.best is None
    assert run.evaluations.lines() == ["last, step 5: FID not defined", "best: FID was never defined"]


def test_no_step_is_evaluated_twice(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch)
    run.at(10, FID=1.0)
    run.at(10, FID=1.0)
    assert run.calls == 1 and len(lines(tmp_path)) == 1


def test_a_continued_run_drops_what_is_after_its_step_and_decides_again(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch)
    for step, fid in ((10, 5.0), (20, 6.0), (30, 4.0)):
        run.at(step, FID=fid)
    whole = lines(tmp_path)
    with (tmp_path / "evaluations.jsonl").open("a") as file:
        file.write('{"step": 12, "val')  # killed while it wrote
    run = Run(tmp_path, monkeypatch, step=25)
    assert [r["step"] for r in lines(tmp_path)] == [10, 20] == [r["step"] for r in run.evaluations.records]
    assert run.evaluations.summary is None and not (tmp_path / "best.manifest.json").exists()  # that was of step 30
    assert run.evaluations.seconds == sum(r["seconds"] for r in whole[:2])
    run.at(30, FID=4.0)
    timeless = [{k: v for k, v in r.items() if k not in ("time", "seconds")} for r in lines(tmp_path)]
    assert timeless == [{k: v for k, v in r.items() if k not in ("time", "seconds")} for r in whole]


def test_another_metric_is_compared_with_the_checkpoint_that_is_there(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch)
    run.at(10, FID=5.0, SSIM=0.5)
    run.at(20, FID=6.0, SSIM=0.9)
    run = Run(tmp_path, monkeypatch, metric="SSIM", step=20)
    assert run.evaluations.summary == {"metric": "SSIM", "value": 0.5, "step": 10}
    assert run.at(30, FID=7.0, SSIM=0.7)


def test_the_best_is_that_of_its_files(tmp_path, monkeypatch, capsys):
    run = Run(tmp_path, monkeypatch)
    run.at(10, FID=5.0)
    assert Run(tmp_path, monkeypatch, step=15).evaluations.summary["step"] == 10
    run.save(tmp_path, "best", None, SimpleNamespace(progress=Progress(step=20)))  # and killed before its record
    (tmp_path / "best_state.pt").touch()
    run = Run(tmp_path, monkeypatch, step=20)
    assert run.evaluations.best is None and not list(tmp_path.glob("best*"))
    assert "checkpoint best, of step 20, is removed" in capsys.readouterr().err
    assert Run(tmp_path, monkeypatch, step=20).at(30, FID=9.0)  # worse than one that is no more


def test_a_best_without_the_value_that_now_decides_is_none(tmp_path, monkeypatch):
    Run(tmp_path, monkeypatch).at(10, FID=5.0)
    run = Run(tmp_path, monkeypatch, metric="SSIM", step=10)
    assert run.evaluations.summary is None and run.evaluations.lines()[1] == "best: SSIM was never defined"
    assert run.at(20, FID=9.0, SSIM=0.1)


def test_before_the_first_step_the_value_that_decides_is_known(tmp_path, monkeypatch):
    tried = SimpleNamespace(prepare=lambda: ({"FID": math.nan}, {"FID": "lower"}), close=lambda: None)
    engine = SimpleNamespace(is_main=True, progress=Progress(), device=torch.device("cpu"))
    with pytest.raises(UserError, match="--best_metric SSIM: there is no such value; the values are FID"):
        Evaluations(tmp_path, tried, "SSIM", engine).__enter__()
    with Evaluations(tmp_path, tried, "fid", engine):
        pass


def test_an_evaluation_that_fails_leaves_no_record(tmp_path, monkeypatch):
    """That it costs no step is shown of a whole run: tests/util/training/test_ending.py."""
    run = Run(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="no value came out"):
        run.at(10)
    assert not run.saved and not run.evaluations.records and not (tmp_path / "evaluations.jsonl").exists()


def test_the_other_processes_only_wait(tmp_path, monkeypatch):
    engine = SimpleNamespace(is_main=False, progress=Progress(step=3), check_finite=lambda model: None, device="cpu")
    waited, told = [], []
    engine.own = SimpleNamespace(collect=lambda *given: told.append(given))

    @contextlib.contextmanager
    def together(device):
        yield
        waited.append(device)

    monkeypatch.setattr(module.distributed, "together", together)
    found = Evaluations(tmp_path, None, None, engine)
    found.make(None, 1, None, None)
    assert told == [(None, engine)]
    assert waited == ["cpu"] and found.lines() == [] and not (tmp_path / "evaluations.jsonl").exists()
