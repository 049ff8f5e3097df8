"""train.py and test.py from the command line, on pictures of discs and squares."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import test as test_script
import train as train_script
from options import UserError
from tests.browser import chromium
from tests.conftest import small_argv

ROOT = Path(__file__).parents[1]
EVERY_STEP = (
    "--print_freq",
    1,
    "--display_freq",
    2,
    "--update_html_freq",
    3,
    "--save_latest_freq",
    2,
    "--save_epoch_freq",
    1,
)


def run(dataroot, folder, *more):
    return train_script.main(small_argv(dataroot, folder, *more))


def spawn(dataroot, folder, *more, **kwargs):
    argv = [sys.executable, "train.py", *small_argv(dataroot, folder, *more)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", **kwargs)
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def state(folder, which="latest"):
    """Everything a checkpoint holds, as one flat dictionary."""
    flat = {}

    def walk(prefix, value):
        if isinstance(value, dict):
            for key, item in value.items():
                walk(f"{prefix}.{key}", item)
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                walk(f"{prefix}.{i}", item)
        else:
            flat[prefix] = value

    walk("", torch.load(folder / f"checkpoints/run/{which}_state.pt", weights_only=True))
    return flat


def differences(one, other):
    def same(a, b):
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b

    return [
        key for key in one.keys() | other.keys() if key not in one or key not in other or not same(one[key], other[key])
    ]


def records(folder):
    return [json.loads(line) for line in (folder / "checkpoints/run/metrics.jsonl").read_text().splitlines()]


EPOCHS = ("--n_epochs", 2, "--n_epochs_decay", 1)


@pytest.fixture(scope="module")
def whole(dataroot, tmp_path_factory):
    """An uninterrupted run of three epochs with an average, in the order FastCUT and the seed give it."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(dataroot, folder, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP) == 0
    return folder


def test_a_run_leaves_the_published_files(whole):
    names = {p.name for p in (whole / "checkpoints/run").iterdir()}
    assert {
        "latest_net_G.pth",
        "latest_net_F.pth",
        "latest_net_D.pth",
        "3_net_G.pth",
        "1_net_G.pth",
        "latest_state.pt",
        "loss_log.txt",
        "train_opt.txt",
        "train_opt.yaml",
        "metrics.jsonl",
        "web",
    } <= names
    log = (whole / "checkpoints/run/loss_log.txt").read_text().splitlines()
    assert log[0].startswith("================ Training Loss (")
    assert re.fullmatch(r"\(epoch: 1, iters: 1, time: \d+\.\d{3}, data: \d+\.\d{3}\) (\w+: -?\d+\.\d{3} )+", log[1])
    assert len(log) == 1 + 21 and len(records(whole)) == 21
    keys = torch.load(whole / "checkpoints/run/latest_net_G.pth", weights_only=True)
    assert {"model.1.weight", "model.4.bias", "model.7.filt", "model.12.conv_block.5.weight"} <= set(keys)


@pytest.mark.parametrize("cut", [1, 6, 8, 20])
def test_a_run_that_was_cut_off_anywhere_continues_to_the_same_bits(whole, dataroot, tmp_path, cut, monkeypatch):
    """Interrupted after ``cut`` of 21 steps: within an epoch, before its end, after it, before the end of all."""
    calls = []

    class Killed(Exception):
        pass

    from util.engine import Engine

    step = Engine.update

    def dying(self, model, name, compute):
        if name == "D":
            calls.append(1)
            if len(calls) == cut + 1:
                raise Killed
        return step(self, model, name, compute)

    monkeypatch.setattr(Engine, "update", dying)
    with pytest.raises(Killed):
        run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--save_latest_freq", 1, "--num_threads", 1)
    monkeypatch.undo()
    assert run(dataroot, tmp_path, "--continue_train", "--num_threads", 2) == 0
    assert differences(state(whole), state(tmp_path)) == []
    strip = [{k: v for k, v in r.items() if k != "time"} for r in records(tmp_path)]
    assert strip == [{k: v for k, v in r.items() if k != "time"} for r in records(whole)]


def test_a_run_that_was_cut_off_between_a_save_and_the_end_of_its_epoch(whole, dataroot, tmp_path, monkeypatch):
    from util.engine import Engine

    def dying(self, model):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "end_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--save_latest_freq", 1)
    monkeypatch.undo()
    assert state(tmp_path)[".progress.in_epoch"] == 7
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def test_killed_for_good_it_continues_to_the_same_bits(whole, dataroot, tmp_path):
    process = spawn(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--num_threads", 1)
    while (
        len(
            (tmp_path / "checkpoints/run/metrics.jsonl").read_text().splitlines()
            if (tmp_path / "checkpoints/run/metrics.jsonl").exists()
            else []
        )
        < 5
    ):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def test_asked_to_stop_it_saves_and_says_so(whole, dataroot, tmp_path):
    process = spawn(
        dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--save_latest_freq", 10**6, "--num_threads", 1
    )
    while not (tmp_path / "checkpoints/run/metrics.jsonl").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 75 and "--continue_train goes on from here" in out, err
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def test_the_seed_decides_and_the_number_of_workers_does_not(whole, dataroot, tmp_path):
    run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--num_threads", 4)
    assert differences(state(whole), state(tmp_path)) == []
    run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, "--seed", 1, "--overwrite")
    assert differences(state(whole), state(tmp_path)) != []


def test_two_processes_with_one_image_are_one_process_with_two(dataroot, tmp_path):
    """All patches are compared, so no draw depends on the process; the sums are taken in another order."""
    argv = ("--n_epochs", 2, "--n_epochs_decay", 0, "--num_patches", 0, "--batch_size")
    run(dataroot, tmp_path / "one", *argv, 2, "--optimizer", "adamw")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        "29731",
        "train.py",
        *small_argv(dataroot, tmp_path / "two", *argv, 1, "--optimizer", "adamw"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS="1"), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        torch.load(tmp_path / n / "checkpoints/run/latest_net_G.pth", weights_only=True) for n in ("one", "two")
    )
    for key in [k for k in one if k.endswith("weight")]:  # Adam makes steps of the noise on biases before a norm
        torch.testing.assert_close(one[key], two[key], rtol=1e-3, atol=2e-5)
    start = {k: v for k, v in state(tmp_path / "two").items() if k.startswith(".progress")}
    assert start == {k: v for k, v in state(tmp_path / "one").items() if k.startswith(".progress")}


def test_an_earlier_run_is_safe(whole, dataroot, capsys):
    before = {p: p.stat().st_mtime_ns for p in (whole / "checkpoints/run").rglob("*") if p.name != ".lock"}
    with pytest.raises(UserError, match="holds a run already"):
        run(dataroot, whole)
    with pytest.raises(UserError, match="holds a run already"):
        run(dataroot, whole, "--ngf", 8)
    assert before == {p: p.stat().st_mtime_ns for p in (whole / "checkpoints/run").rglob("*") if p.name != ".lock"}


@pytest.mark.parametrize(
    "argv,message",
    [
        (("--dataroot", "nowhere"), "nowhere"),
        (("--batch_size", 100), "--batch_size 100: the dataset has only 7 items"),
        (("--nce_layers", "77"), "--nce_layers"),
        (("--continue_train",), "there is no run in"),
        (("--gpu_ids", "5"), "no CUDA device"),
        (("--dataset_mode", "single"), "single"),
        (("--pretrained_name", "nosuch"), "no checkpoint"),
    ],
)
def test_a_mistake_leaves_nothing_behind(dataroot, tmp_path, argv, message):
    with pytest.raises(UserError, match=re.escape(message)):
        run(dataroot, tmp_path, *argv)
    assert not (tmp_path / "checkpoints/run/train_opt.yaml").exists()
    if argv[0] != "--pretrained_name":
        assert not (tmp_path / "checkpoints").exists()


def test_exit_codes_and_one_line(dataroot, tmp_path):
    for argv, code, text in (
        ((), 2, "holds a run already"),
        (("--model", "cutt"), 2, "did you mean cut?"),
        (("--continue_train", "--epoch", "9"), 4, "'9'"),
    ):
        if not argv:
            run(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0)
        process = spawn(dataroot, tmp_path, *argv)
        _, err = process.communicate(timeout=120)
        last = err.strip().splitlines()[-1]
        assert (
            process.returncode == code and last.startswith("train.py: ") and text in last and "Traceback" not in err
        ), err


def test_weights_of_another_run_can_be_the_start(whole, dataroot, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/other").symlink_to(whole / "checkpoints/run")
    run(dataroot, tmp_path, "--pretrained_name", "other", "--n_epochs", 1, "--n_epochs_decay", 0, "--lr", 0)
    ours, theirs = (
        torch.load(p / "latest_net_G.pth", weights_only=True)
        for p in (tmp_path / "checkpoints/run", whole / "checkpoints/run")
    )
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def results(folder, *more):
    argv = [
        "--checkpoints_dir",
        folder / "checkpoints",
        "--name",
        "run",
        "--results_dir",
        folder / "results",
        "--gpu_ids",
        -1,
        "--num_threads",
        0,
        *more,
    ]
    assert test_script.main([str(a) for a in argv]) == 0
    return folder / "results/run/test_latest"


def test_results_are_named_after_their_own_source_and_nothing_is_lost(whole, capsys):
    page = results(whole)
    assert {p.name: sorted(f.name for f in p.iterdir()) for p in (page / "images").iterdir()} == {
        "real_A": [f"testA_{i}.png" for i in range(3)],
        "fake_B": [f"testA_{i}.png" for i in range(3)],
        "real_B": [f"testB_{i}.png" for i in range(2)],
    }
    html = (page / "index.html").read_text()
    links = set(re.findall(r'src="(images/[^"]+)"', html))
    assert (
        len(links) == 8
        and all((page / link).is_file() for link in links)
        and "http" not in html.replace("http-equiv", "")
    )
    assert "Experiment = run, Phase = test, Epoch = latest" in html


def test_a_batch_gives_the_images_of_one_by_one(whole):
    page = results(whole, "--results_dir", whole / "one")
    page = whole / "one/run/test_latest"
    results(whole, "--results_dir", whole / "three", "--batch_size", 3)
    for path in (page / "images").rglob("*.png"):
        other = whole / "three/run/test_latest" / path.relative_to(page)
        difference = np.asarray(Image.open(path), int) - np.asarray(Image.open(other), int)
        assert np.abs(difference).max() <= 1


def test_any_size_comes_out_as_it_went_in_and_one_side_is_enough(whole, tmp_path):
    sizes = {"wide": (61, 33), "tall": (30, 47), "even": (32, 32), "tiny": (3, 2)}
    (tmp_path / "data/testA").mkdir(parents=True)
    for name, size in sizes.items():
        Image.new("RGB", size, (200, 30, 90)).save(tmp_path / f"data/testA/{name}.png")
    results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path, "--batch_size", 4)
    made = tmp_path / "run/test_latest/images"
    assert {p.stem: Image.open(p).size for p in (made / "fake_B").iterdir()} == sizes
    assert not (made / "real_B").exists()
    (tmp_path / "data/testA").rename(tmp_path / "data/testB")
    with pytest.raises(UserError, match="--direction BtoA swaps the sides"):
        results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    results(whole, "--dataroot", tmp_path / "data", "--results_dir", tmp_path / "other", "--direction", "BtoA")


def test_averaged_weights_are_used_where_there_are_any(whole, tmp_path):
    raw, averaged = (
        results(whole, "--results_dir", tmp_path / n, "--use_ema", n) and tmp_path / n / "run/test_latest"
        for n in ("false", "true")
    )
    pairs = [
        (np.asarray(Image.open(p)), np.asarray(Image.open(averaged / p.relative_to(raw))))
        for p in (raw / "images/fake_B").iterdir()
    ]
    assert any((a != b).any() for a, b in pairs)


def test_testing_needs_a_checkpoint(dataroot, tmp_path):
    with pytest.raises(UserError, match="no checkpoint") as error:
        results(tmp_path, "--dataroot", dataroot)
    assert error.value.code == 4 and not (tmp_path / "results").exists()


def test_one_channel_from_end_to_end_on_glyphs(tmp_path):
    argv = (
        "--dataset_mode",
        "font",
        "--charset",
        "ascii",
        "--test_fraction",
        0.2,
        "--n_epochs",
        1,
        "--n_epochs_decay",
        0,
        "--max_dataset_size",
        8,
    )
    words = small_argv("placeholder", tmp_path, *argv)
    at = words.index("--load_size")
    train_script.main(words[:at] + words[at + 2 :])
    page = results(tmp_path, "--num_test", "all", "--metrics", "l1")
    scores = json.loads((page / "metrics.json").read_text())["L1"]
    assert 0 < scores["of the source, copied"] < 0.3 and 0 <= scores["value"] <= 1 and scores["pairs"] > 10
    assert all(Image.open(p).mode == "L" for p in (page / "images/fake_B").iterdir())
    trained = json.loads((tmp_path / "checkpoints/run/split.json").read_text())
    assert trained
    with pytest.raises(UserError, match="no metric named 'l2'; known: l1"):
        results(tmp_path, "--metrics", "l2")


def test_metrics_need_true_targets(whole):
    with pytest.raises(UserError, match="no true targets"):
        results(whole, "--metrics", "l1")


def test_the_templates_train(dataroot, tmp_path):
    argv = [
        "--model",
        "template",
        "--dataroot",
        dataroot / "trainA",
        "--checkpoints_dir",
        tmp_path / "checkpoints",
        "--name",
        "run",
        "--crop_size",
        32,
        "--load_size",
        36,
        "--ndf",
        4,
        "--netD",
        "n_layers",
        "--n_layers_D",
        2,
        "--gpu_ids",
        -1,
        "--num_threads",
        0,
        "--n_epochs",
        40,
        "--n_epochs_decay",
        0,
        "--print_freq",
        7,
        "--lr",
        0.003,
        "--lambda_L1",
        100,
    ]
    train_script.main([str(a) for a in argv])
    losses = [r["L1"] for r in records(tmp_path)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])
    page = results(tmp_path, "--num_test", "all", "--metrics", "l1")
    assert (page / "images/fake_B").is_dir()


PLUGIN = """
from dataclasses import dataclass
from torch import nn
from models import BaseModel
from options import option

class OutsideModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        section = "outside"
        depth: int = option(2, "layers of the network", least=1)

    visual_names = ("real_A", "fake_B")

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(opt.depth)])
        if opt.is_train:
            self.add_optimizer("G", self.netG)

    def set_input(self, batch):
        self.real_A, self.real_B, self.image_paths = batch["A"], batch.get("B"), {"A": batch["A_paths"]}

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.update("G", lambda: {"L2": (self.fake_B - self.real_B).square().mean()})
"""


def test_a_plugin_from_outside_the_tree(dataroot, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/outside_model.py").write_text(PLUGIN)
    argv = [
        "--model",
        "outside",
        "--plugin_dir",
        tmp_path / "plugins",
        "--depth",
        3,
        "--dataroot",
        dataroot,
        "--checkpoints_dir",
        tmp_path / "checkpoints",
        "--name",
        "run",
        "--crop_size",
        32,
        "--load_size",
        32,
        "--gpu_ids",
        -1,
        "--num_threads",
        1,
        "--n_epochs",
        1,
        "--n_epochs_decay",
        1,
    ]
    assert train_script.main([str(a) for a in argv]) == 0
    page = results(tmp_path, "--plugin_dir", tmp_path / "plugins")
    assert len(list((page / "images/fake_B").iterdir())) == 3
    with pytest.raises(UserError, match="no model named 'outside'"):  # a run's own files never name code to run
        results(tmp_path)


def test_the_pages_of_a_run_open_in_a_browser(whole):
    """The scripts of the pages run, every image loads, and nothing is asked for but the pages' own files."""
    results(whole)
    with chromium() as browser:
        for page, images in ((whole / "checkpoints/run/web", 12), (whole / "results/run/test_latest", 8)):
            browser.open(page / "index.html")
            assert browser.run("document.querySelectorAll('figure img').length") == images
            assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(page) == []
    html = (whole / "checkpoints/run/web/index.html").read_text()
    assert "finished" in html and "NCE_Y" in html


def test_a_page_is_whole_while_its_run_is_alive(dataroot, tmp_path, monkeypatch):
    from util.visualizer import Visualizer

    page, seen = tmp_path / "checkpoints/run/web/index.html", []
    display = Visualizer.display_current_results

    def looking(self, *args, **kwargs):
        display(self, *args, **kwargs)
        seen.append(page.read_text())

    monkeypatch.setattr(Visualizer, "display_current_results", looking)
    run(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, *EVERY_STEP)
    assert len(seen) > 3 and all(text.rstrip().endswith("</html>") and "running" in text for text in seen)
    assert "finished" in page.read_text()
