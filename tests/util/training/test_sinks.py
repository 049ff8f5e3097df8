"""TensorBoard and W&B: only when asked for, and gone on with after a kill."""

import builtins
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from options import UserError
from util.cli import reason, warn
from util.training.sinks import TensorBoard, WandB

ROOT = Path(__file__).parents[3]


def without(monkeypatch, package):
    """Make importing ``package`` fail as if it were not installed."""
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.split(".")[0] == package or n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", fake)


def test_absent_tensorboard_is_named(monkeypatch, tmp_path):
    without(monkeypatch, "tensorboard")
    with pytest.raises(UserError, match="--use_tensorboard needs the package tensorboard: uv pip install tensorboard"):
        TensorBoard(tmp_path)


def test_absent_wandb_is_named(monkeypatch, tmp_path):
    without(monkeypatch, "wandb")
    with pytest.raises(UserError, match="--use_wandb needs the package wandb: uv pip install wandb"):
        WandB("diptych", "run", tmp_path, {})


@pytest.mark.slow
@pytest.mark.extra
def test_events_have_a_name_that_nobody_can_know_in_a_folder_that_is_no_link(tmp_path):
    for _ in range(2):
        TensorBoard(tmp_path / "run/tensorboard").close()
    names = [path.name for path in (tmp_path / "run/tensorboard").iterdir()]
    assert len({re.fullmatch(r"events\.out\.tfevents\..*\.([0-9a-f]{16})", name)[1] for name in names}) == 2
    (tmp_path / "tensorboard").symlink_to(tmp_path / "run")
    with pytest.raises(UserError, match="tensorboard is a link"):
        TensorBoard(tmp_path / "tensorboard")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["tensorboard"]


@pytest.mark.slow
def test_nothing_is_imported_unasked():
    """train.py's --help takes little longer than torch, which these would double."""
    heavy = ["wandb", "tensorboard", "visdom", "scipy", "torchvision"]
    heavy += ["torchmetrics", "pytorch_metric_learning", "transformers", "fontTools"]
    script = f"import sys, train; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.mark.extra
def test_tensorboard_continues_without_what_the_killed_run_logged(tmp_path):
    first = TensorBoard(tmp_path)
    for step in (10, 20, 30):
        first.losses(step, step / 10, {"G": float(step)})
    first.images(10, {"real_A": np.zeros((8, 8, 3), np.uint8), "grey": np.zeros((8, 8), np.uint8)})
    first.close()
    second = TensorBoard(tmp_path, done_step=20)
    second.losses(30, 3.0, {"G": 33.0})
    second.rates(30, 3.0, {"lr": 0.5})
    second.preview(30, {"1_a.png": np.zeros((8, 8, 3), np.uint8)})
    second.evaluation(30, {"FID-domain": 7.0})
    second.close()
    events = read(tmp_path)
    assert [(e.step, e.value) for e in events.Scalars("loss/G")] == [(10, 10.0), (20, 20.0), (30, 33.0)]
    assert [(e.step, e.value) for e in events.Scalars("evaluation/FID-domain")] == [(30, 7.0)]
    assert [(e.step, e.value) for e in events.Scalars("learning_rate/lr")] == [(30, 0.5)]
    assert set(events.Tags()["images"]) == {"images/real_A", "images/grey", "preview/1_a.png"}


class FakeWandb(types.ModuleType):
    """As much of wandb's interface as is used; the package is no dependency of the tests."""

    def __init__(self):
        super().__init__("wandb")
        self.started, self.logged, self.Image, self.Settings = [], [], lambda image: image.shape, dict

    def init(self, **words):
        self.started.append(words)
        return types.SimpleNamespace(log=lambda values, step: self.logged.append((step, values)), finish=lambda: None)


def test_wandb_keeps_its_identity_and_uploads_no_code(monkeypatch, tmp_path):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for done_step in (0, 5, 0):
        sink = WandB("project", "run", tmp_path, {"lr": 1e-4}, done_step)
        sink.losses(done_step + 1, 1.5, {"G": 2.0})
        sink.rates(done_step + 1, 1.5, {"lr": 0.5})
        sink.evaluation(done_step + 1, {"FID": 3.0})
        sink.images(done_step + 1, {"real_A": np.zeros((8, 8, 3), np.uint8)})
        sink.preview(done_step + 1, {"1_a.png": np.zeros((4, 4), np.uint8)})
        sink.close()
    identities = [words["id"] for words in fake.started]
    assert identities[0] == identities[1] != identities[2]
    assert all(not w["save_code"] and w["settings"]["disable_code"] and w["resume"] == "allow" for w in fake.started)
    logged = [{"epoch": 1.5, "G": 2.0}, {"learning_rate/lr": 0.5}, {"evaluation/FID": 3.0}, {"real_A": (8, 8, 3)}]
    logged += [{"preview/1_a.png": (4, 4)}]
    assert fake.logged[:5] == [(1, values) for values in logged]


def test_wandb_that_refuses_is_told_in_one_line(monkeypatch, tmp_path):
    fake = FakeWandb()
    fake.init = lambda **_: (_ for _ in ()).throw(RuntimeError("no API key\nconfigured"))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(UserError, match="no API key configured; WANDB_MODE=offline"):
        WandB("project", "run", tmp_path, {})


def test_warning_is_one_line_and_never_fails(monkeypatch, capsys):
    warn("a\nb")
    assert capsys.readouterr().err == "warning: a b\n"
    monkeypatch.setattr(sys, "stderr", None)
    warn("into the void")


def test_reason_is_short():
    assert reason(OSError(28, "whatever")) == "No space left on device"
    assert reason(ValueError("first\nsecond")) == "ValueError: first"
