"""The files of a run, and that nothing which goes wrong with them reaches the training loop."""

import io
import json
import os
import re
import shutil
import socket
import sys

import pytest
import torch

from options import TrainOptions
from util import visualizer as module
from util.pages.curves import losses_of, read_curves
from util.stopwatch import duration
from util.visualizer import Visualizer


def make(folder, done_items=0, done_step=0, done=(1, 0), evaluations=(), detector=None, **options):
    return Visualizer(
        TrainOptions(name="run", n_epochs=2, n_epochs_decay=2, **options),
        folder,
        items_per_epoch=100,
        total_items=400,
        done_items=done_items,
        done_step=done_step,
        done=done,
        evaluations=evaluations,
        detector=detector,
    )


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def visuals(value=0.0):
    return {"real_A": torch.full((2, 3, 8, 8), value), "fake_B": torch.zeros(2, 1, 8, 8)}


def test_loss_log_as_published(tmp_path, capsys):
    shown = make(tmp_path)
    shown.print_current_losses(1, 100, {"G_GAN": 0.9994, "D_real": 1.0, "NCE": float("nan")}, 0.1012, 0.0456)
    shown.close(True)
    line = "(epoch: 1, iters: 100, time: 0.101, data: 0.046) G_GAN: 0.999 D_real: 1.000 NCE: nan "
    header, first = (tmp_path / "loss_log.txt").read_text().splitlines()
    assert re.fullmatch(r"================ Training Loss \(.+\) ================", header)
    assert first == line and capsys.readouterr().out == line + "\n"


def test_header_once_per_start(tmp_path):
    make(tmp_path).close(False)
    make(tmp_path).close(False)
    assert (tmp_path / "loss_log.txt").read_text().count("Training Loss") == 2


def test_lines_that_are_made_again_are_in_the_log_once(tmp_path):
    shown = make(tmp_path)
    for iters in (10, 20, 30):
        shown.print_current_losses(1, iters, {"G": float(iters)}, 0.1, 0.0)
        shown.display_current_results(visuals(), iters, iters // 10, save=True)
    again = make(tmp_path, done_items=20, done_step=2, done=(1, 20))
    again.print_current_losses(1, 30, {"G": 30.0}, 0.1, 0.0)
    log = (tmp_path / "loss_log.txt").read_text().splitlines()
    assert [line.partition(", time")[0] for line in log if line[0] == "("] == [
        f"(epoch: 1, iters: {i}" for i in (10, 20, 30)
    ]
    page = (tmp_path / "web/index.html").read_text()
    assert "epoch001_" in page and "epoch002_" not in page  # epochs that are still to come have no images yet


def test_the_log_of_weights_that_others_trained_stays(tmp_path):
    (tmp_path / "latest_net_G.pth").write_bytes(b"weights")
    (tmp_path / "loss_log.txt").write_text("(epoch: 200, iters: 5, time: 0.1, data: 0.1) G: 0.5 \n")
    make(tmp_path).close(False)
    assert (tmp_path / "loss_log.txt").read_text().startswith("(epoch: 200, iters: 5, ")


def test_metrics_in_full_precision(tmp_path):
    shown = make(tmp_path)
    third = 1 / 3
    shown.plot_current_losses(7, 1, 0.5, {"G": third, "D": float("inf"), "E": float("nan"), "F": torch.tensor(0.5)})
    shown.close(True)
    (record,) = records(tmp_path)
    assert record.pop("time") > 1.7e9
    assert record == {"step": 7, "epoch": 1, "G": third, "D": None, "E": None, "F": 0.5}


def test_learning_rates_are_kept_and_shown_apart_from_losses(tmp_path):
    """In a continued run too; loss_log.txt has the published lines, without them."""
    losses = {"G": 1.0}
    with make(tmp_path) as shown:
        for step in (1, 2, 3):
            shown.plot_current_losses(step, 1, step / 100, losses, {"lr_G": 2e-4 / step, "lr_D": 1e-4})
            shown.print_current_losses(1, step, losses, 0.1, 0.1)
    again = make(tmp_path, done_items=3, done_step=3)
    again.plot_current_losses(4, 1, 0.04, losses, {"lr_G": 5e-5, "lr_D": 1e-4})
    again.close(True)
    assert [r["lr_G"] for r in records(tmp_path)] == [2e-4, 1e-4, 2e-4 / 3, 5e-5]
    page = (tmp_path / "web/index.html").read_text()
    assert "learning rate over epochs 1.01 to 1.04: lr_G from 0.0002 to 5e-05; lr_D from 0.0001 to 0.0001" in page
    assert '"y":{"G":' in page and "lr_" not in (tmp_path / "loss_log.txt").read_text()
    assert [set(losses_of(record)[3]) for record in records(tmp_path)] == [{"G"}] * 4
    assert list(read_curves(tmp_path / "metrics.jsonl")[0].points()[1]) == ["G"]


def test_loss_named_like_a_counter_does_not_replace_it(tmp_path):
    shown = make(tmp_path)
    shown.plot_current_losses(7, 1, 0.5, {"step": 0.25})
    shown.close(True)
    assert records(tmp_path)[0]["step"] == 7


def test_resume_drops_what_the_killed_run_left(tmp_path):
    shown = make(tmp_path)
    for step in range(1, 31):
        shown.plot_current_losses(step, 1 + (step - 1) // 10, (step - 1) % 10 / 10 + 0.1, {"G": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 31, "epo')  # no close: killed in the middle of a line
    again = make(tmp_path, done_items=200, done_step=20)
    assert [r["step"] for r in records(tmp_path)] == list(range(1, 21))
    again.plot_current_losses(21, 3, 0.1, {"G": 0.5})
    assert [r["step"] for r in records(tmp_path)] == list(range(1, 22))
    x, y = again._curves.points()
    assert x == pytest.approx([1 + step / 10 for step in range(1, 22)], abs=1e-5)
    assert y["G"] == [*map(float, range(1, 21)), 0.5]
    assert not list(tmp_path.glob("*.tmp"))
    again.close(True)


def test_metrics_that_need_no_change_are_not_rewritten(tmp_path):
    shown = make(tmp_path)
    shown.plot_current_losses(1, 1, 0.1, {"G": 1.0})
    before = (tmp_path / "metrics.jsonl").stat().st_ino
    make(tmp_path, done_items=10, done_step=1).close(False)
    assert (tmp_path / "metrics.jsonl").stat().st_ino == before


def test_images_once_an_epoch_and_when_asked(tmp_path):
    shown, folder = make(tmp_path), tmp_path / "web/images"
    shown.display_current_results(visuals(), 1, 1, save=False)  # the first of an epoch always
    assert sorted(p.name for p in folder.iterdir()) == ["epoch001_fake_B.png", "epoch001_real_A.png"]
    before = (folder / "epoch001_real_A.png").read_bytes()
    shown.display_current_results(visuals(1.0), 2, 1, save=False)
    assert (folder / "epoch001_real_A.png").read_bytes() == before
    shown.display_current_results(visuals(1.0), 3, 1, save=True)
    assert (folder / "epoch001_real_A.png").read_bytes() != before
    shown.display_current_results(visuals(), 4, 2, save=False)
    assert len(list(folder.iterdir())) == 4
    assert (tmp_path / "web/index.html").read_text().index("epoch 2") > 0
    shown.close(True)


def test_no_html_leaves_no_page(tmp_path):
    shown = make(tmp_path, no_html=True)
    shown.display_current_results(visuals(), 1, 1, save=True)
    shown.close(True)
    assert not (tmp_path / "web").exists()


def test_state_on_the_page(tmp_path):
    def state():
        return re.search(r'class="pill (\w+)"', (tmp_path / "web/index.html").read_text())[1]

    with make(tmp_path) as shown:
        assert state() == "running"
        shown.finish()
    assert state() == "finished"
    with pytest.raises(KeyboardInterrupt), make(tmp_path):
        raise KeyboardInterrupt
    assert state() == "stopped"
    assert 'http-equiv="refresh"' not in (tmp_path / "web/index.html").read_text()


def test_other_processes_show_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with make(None) as shown:
        shown.print_current_losses(1, 1, {"G": 1.0}, 0.1, 0.1)
        shown.plot_current_losses(1, 1, 0.1, {"G": 1.0})
        shown.display_current_results(visuals(), 1, 1, save=True)
        shown.progress(10)
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


class Broken:
    label = "nowhere"

    def losses(self, *_):
        raise RuntimeError("disk\nfull")

    images = close = losses


def test_failing_sink_costs_one_warning(tmp_path, capsys):
    shown = make(tmp_path)
    shown._sinks.append(Broken())
    for step in range(1, 4):
        shown.plot_current_losses(step, 1, 0.1, {"G": 1.0})
        shown.display_current_results(visuals(), step, 1, save=True)
    shown.close(True)
    said = capsys.readouterr().err
    assert said == "warning: cannot log to nowhere (RuntimeError: disk); training goes on without it\n"
    assert len(records(tmp_path)) == 3


def test_absent_visdom_costs_one_warning(tmp_path, capsys):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nothing else can be there
        shown = make(tmp_path, display_id=1, display_server="http://127.0.0.1", display_port=held.getsockname()[1])
        for step in range(1, 50):
            shown.plot_current_losses(step, 1, 0.1, {"G": 1.0})
            shown.display_current_results(visuals(), step, 1, save=False)
        shown.close(True)
    assert len(capsys.readouterr().err.splitlines()) == 1 and len(records(tmp_path)) == 49


@pytest.mark.parametrize("options", [{}, {"display_id": 0}, {"display_id": -1}])
def test_visdom_is_off_unless_asked_for(tmp_path, options):
    shown = make(tmp_path, **options)
    assert shown._sinks == []
    shown.close(True)


def test_unwritable_page_costs_one_warning(tmp_path, capsys):
    (tmp_path / "web").write_text("a file where the folder should be")
    shown = make(tmp_path)
    for epoch in (1, 2):
        shown.display_current_results(visuals(), epoch, epoch, save=True)
        shown.plot_current_losses(epoch, epoch, 0.1, {"G": 1.0})
    shown.close(True)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and f"cannot write {tmp_path / 'web'}" in said
    assert len(records(tmp_path)) == 2


def test_full_disk_costs_one_warning_a_file(tmp_path, capsys, monkeypatch):
    shown = make(tmp_path)
    shown.plot_current_losses(1, 1, 0.1, {"G": 1.0})
    write = os.write

    def full(file, data):
        write(file, data[:5])  # what still fitted
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for step in (2, 3):
        shown.plot_current_losses(step, 1, 0.1, {"G": 1.0})
    monkeypatch.undo()
    shown.plot_current_losses(4, 1, 0.1, {"G": 1.0})
    shown.close(True)
    assert capsys.readouterr().err.count("No space left on device") == 1
    make(tmp_path, done_items=40, done_step=4).close(True)  # the torn lines cost no others
    assert [r["step"] for r in records(tmp_path)] == [1, 4]


def test_a_folder_that_was_deleted_is_not_made_again(tmp_path, capsys):
    shown = make(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    shown.plot_current_losses(1, 1, 0.1, {"G": 1.0})
    shown.display_current_results(visuals(), 1, 1, save=True)
    shown.close(True)
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err.count("No such file or directory") == 2


def test_progress_says_the_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "SAY_EVERY", 0.0)
    shown = make(tmp_path)
    shown.progress(100)
    shown.close(True)
    said = capsys.readouterr()
    assert re.fullmatch(r"25\.0% \(100 of 400 images\), [\d.]+ images/s, \d+ s left\n", said.err) and said.out == ""


def test_bar_on_a_terminal(tmp_path, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = make(tmp_path, done_items=100, done_step=1)
    shown.print_current_losses(2, 1, {"G": 1.0}, 0.1, 0.1)
    shown.progress(200)
    shown._bar.refresh()
    shown.close(True)
    assert "200/400" in sys.stderr.getvalue() and "[" in sys.stderr.getvalue()
    assert capsys.readouterr().out.endswith("G: 1.000 \n")


def test_close_never_raises(tmp_path, monkeypatch):
    shown = make(tmp_path)
    shown._sinks.append(Broken())
    monkeypatch.setattr(shown._page, "write", lambda *_: 1 / 0)
    shown.close(True)
    shown.close(False)


def test_durations():
    assert [duration(s) for s in (5, 100, 3 * 3600, 200000)] == ["5 s", "2 min", "3 h 00 min", "2 d 7 h"]


class Detector:
    def __init__(self):
        self.seen, self.warnings = [], {}

    def see_losses(self, step, losses):
        self.seen.append((step, dict(losses)))
        self.warnings["won"] = "D has won"
        return ["D has won"] if len(self.seen) == 2 else []

    def see_diversity(self, step, ratio):
        self.seen.append((step, ratio))
        return []


def test_the_detector_is_told_everything_and_heard(tmp_path, capsys):
    found = Detector()
    with make(tmp_path, detector=found) as shown:
        for step in (1, 2, 3):
            shown.plot_current_losses(step, 1, step / 10, {"D": 0.5, "G": float("nan")})
        shown.plot_evaluation({"step": 3, "values": {"L1": 0.5}, "better": {}, "remarks": [], "diversity": 0.25})
    assert found.seen == [(i, {"D": 0.5, "G": None}) for i in (1, 2, 3)] + [(3, 0.25)]
    assert capsys.readouterr().err == "warning: D has won\n"
    page = (tmp_path / "web/index.html").read_text()
    assert "D has won" in page and ">0.5</td>" in page


def test_a_continued_run_shows_old_evaluations_and_warnings_without_a_new_line(tmp_path, capsys):
    with make(tmp_path) as shown:
        for step in (1, 2, 3):
            shown.plot_current_losses(step, 1, step / 10, {"D": 0.5})
    capsys.readouterr()
    record = {"step": 2, "values": {"L1": 0.125}, "better": {}, "remarks": [], "diversity": 0.25}
    found = Detector()
    make(tmp_path, done_items=50, done_step=2, evaluations=[record], detector=found).close(False)
    assert found.seen == [(1, {"D": 0.5}), (2, {"D": 0.5}), (2, 0.25)]
    assert capsys.readouterr().err == ""
    page = (tmp_path / "web/index.html").read_text()
    assert "D has won" in page and ">0.125</td>" in page


def test_a_detector_that_fails_costs_one_warning(tmp_path, capsys):
    found = Detector()
    found.see_losses = lambda step, losses: 1 / 0
    with make(tmp_path, detector=found) as shown:
        for step in (1, 2):
            shown.plot_current_losses(step, 1, 0.1, {"D": 0.5})
    assert capsys.readouterr().err.count("cannot look for signs of collapse") == 1
