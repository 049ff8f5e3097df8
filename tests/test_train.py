"""train.py and test.py from the command line, on pictures of discs and squares."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import train as train_script
from data.image_folder import FolderDataset
from models import MODELS
from models.inference.weight_folder import or_lent
from options import TrainOptions, UserError
from options.parsing import parse
from tests.conftest import EPOCHS, EVERY_STEP, records, small_argv, train_options
from util.config import read_config, saved_options
from util.training.engine import Engine
from util.training.schedule import untrained

ROOT = Path(__file__).parents[1]


def run(dataroot, folder, *more):
    return train_script.main(small_argv(dataroot, folder, *more))


def spawn(dataroot, folder, *more, **kwargs):
    argv = [sys.executable, "train.py", *small_argv(dataroot, folder, *more)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", **kwargs)
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def state(folder, label="latest", run="run"):
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

    walk("", torch.load(folder / f"checkpoints/{run}/{label}_state.pt", weights_only=True))
    return flat


def differences(one, other):
    def same(a, b):
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b

    return [
        key for key in one.keys() | other.keys() if key not in one or key not in other or not same(one[key], other[key])
    ]


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 6, 8, 20])
def test_a_run_that_was_cut_off_anywhere_continues_to_the_same_bits(whole, dataroot, tmp_path, cut, monkeypatch):
    """Interrupted after ``cut`` of 21 steps: within an epoch, before its end, after it, before the end of all."""
    calls = []

    class Killed(Exception):
        pass

    from util.training.engine import Engine

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


@pytest.mark.slow
def test_a_run_that_was_cut_off_between_a_save_and_the_end_of_its_epoch(whole, dataroot, tmp_path, monkeypatch):
    from util.training.engine import Engine

    def dying(self, model):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "end_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--save_latest_freq", 1)
    monkeypatch.undo()
    assert state(tmp_path)[".progress.in_epoch"] == 7
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_continued_run_logs_what_rests_at_the_moment(dataroot, tmp_path):
    """R1 of every fourth step keeps its last value, in the steps after a resume too."""
    argv = ("--lambda_r1", 1, "--r1_every", 4, "--n_epochs_decay", 0, *EVERY_STEP, "--n_epochs")
    run(dataroot, tmp_path / "whole", *argv, 2)
    run(dataroot, tmp_path / "parts", *argv, 1)
    run(dataroot, tmp_path / "parts", "--continue_train", "--n_epochs", 2)
    whole, parts = (
        [{k: v for k, v in r.items() if k != "time"} for r in records(tmp_path / folder)]
        for folder in ("whole", "parts")
    )
    assert whole == parts and [list(a) for a in whole] == [list(b) for b in parts]
    r1 = [record.get("D_r1") for record in whole]
    assert r1[:3] == [None] * 3 and r1[3] and r1[3:7] == [r1[3]] * 4 and r1[7] != r1[3]


@pytest.mark.slow
def test_a_queue_of_negatives_is_continued(dataroot, tmp_path):
    argv = ("--negatives", "queue", "--queue_size", 50, "--n_epochs_decay", 0, "--n_epochs")
    run(dataroot, tmp_path / "whole", *argv, 2)
    run(dataroot, tmp_path / "parts", *argv, 1)
    assert run(dataroot, tmp_path / "parts", "--continue_train", "--n_epochs", 2) == 0
    whole = state(tmp_path / "whole")
    assert any("memory" in key for key in whole) and differences(whole, state(tmp_path / "parts")) == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_seed_decides_and_the_number_of_workers_does_not(whole, dataroot, tmp_path):
    run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP, "--num_threads", 4)
    assert differences(state(whole), state(tmp_path)) == []
    run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, "--seed", 1, "--overwrite")
    assert differences(state(whole), state(tmp_path)) != []


def first_weights(folder):
    """What the generator of a run began with: a function of its options."""
    opt = train_options("--config", folder / "checkpoints/run/train_opt.yaml", "--checkpoints_dir", folder)
    return Engine(opt).prepare(MODELS.find(opt.model)(opt)).netG.state_dict()


@pytest.mark.slow
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
    start = first_weights(tmp_path / "one")
    # Adam makes whole steps of what is noise, on biases before a norm of nothing else. On weights it comes to 2 or 3 %
    # of the way they went, with the AVX-512 kernels; without the average over processes it is 75 to 115 %.
    for key in [k for k in one if k.endswith("weight")]:
        assert (one[key] - two[key]).norm() < 0.05 * (one[key] - start[key]).norm(), key
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


@pytest.mark.slow
def test_exit_codes_and_one_line(dataroot, tmp_path):
    for argv, code, text in (
        (("--model", "cutt"), 2, "did you mean cut?"),
        (("--continue_train", "--epoch", "9"), 4, "there is no run"),
    ):
        process = spawn(dataroot, tmp_path, *argv)
        _, err = process.communicate(timeout=120)
        last = err.strip().splitlines()[-1]
        assert (
            process.returncode == code and last.startswith("train.py: ") and text in last and "Traceback" not in err
        ), err


@pytest.mark.slow
def test_networks_that_another_run_lacks_start_afresh(whole, dataroot, tmp_path, capsys):
    file = "checkpoints/other/latest_net_G.pth"
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).symlink_to(whole / "checkpoints/run/latest_net_G.pth")
    run(dataroot, tmp_path, "--pretrained_name", "other", "--n_epochs", 1, "--n_epochs_decay", 0, "--lr", 0)
    assert "lacks networks that start afresh: " in capsys.readouterr().err
    ours, theirs = (
        torch.load(tmp_path / path, weights_only=True) for path in ("checkpoints/run/latest_net_G.pth", file)
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.slow
def test_weights_of_another_run_can_be_the_start(whole, dataroot, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/other").symlink_to(whole / "checkpoints/run")
    run(dataroot, tmp_path, "--pretrained_name", "other", "--n_epochs", 1, "--n_epochs_decay", 0, "--lr", 0)
    ours, theirs = (
        torch.load(p / "latest_net_G.pth", weights_only=True)
        for p in (tmp_path / "checkpoints/run", whole / "checkpoints/run")
    )
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.slow
def test_a_run_of_another_family_lends_no_data_and_fits_or_says_what_differs(whole, dataroot, tmp_path):
    """The lender's --dataset_mode is not taken, and a value that is none here is told as it is."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/other").symlink_to(whole / "checkpoints/run")
    argv = ["--pretrained_name", "other", "--checkpoints_dir", tmp_path / "checkpoints", "--name", "run"]
    told = ["--model", "pix2pix", *map(str, argv)]
    opt = parse(TrainOptions, train_script.PLUGINS, told, read_config, or_lent(saved_options))
    assert (opt.dataset_mode, opt.unpaired) == ("aligned", "drop")  # the latter is a flag of aligned data
    argv += ["--dataroot", dataroot, "--load_size", 36, "--crop_size", 32, "--gpu_ids", -1, "--num_threads", 0]
    with pytest.raises(UserError, match=r"of another architecture.*--netG resnet_4blocks"):
        train_script.main([*map(str, argv), "--model", "santa", "--netG", "adain_resnet_6blocks"])


@pytest.mark.slow
def test_the_learning_rate_of_every_record_is_that_of_its_step(whole):
    """--n_epochs 2 --n_epochs_decay 1: it halves in the third epoch."""
    rates = [(record["epoch"], record["lr"]) for record in records(whole)]
    assert {epoch for epoch, _ in rates} == {1, 2, 3}
    assert all(lr == (1e-4 if epoch == 3 else 2e-4) for epoch, lr in rates)


@pytest.mark.slow
def test_the_architecture_is_that_of_the_run_that_lends_its_weights(whole, dataroot, tmp_path, capsys):
    """As test.py reads it; what is told is told otherwise in a line, or does not fit."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/other").symlink_to(whole / "checkpoints/run")
    argv = ["--dataroot", dataroot, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "run"]
    argv += ["--load_size", 36, "--crop_size", 32, "--gpu_ids", -1, "--num_threads", 0, "--num_patches", 16]
    argv = [*map(str, argv), "--pretrained_name", "other", "--max_steps", "1", "--lr", "0"]
    assert train_script.main([*argv, "--netD", "n_layers"]) == 0
    said = capsys.readouterr().out
    assert "--pretrained_name other: as in that run --n_layers_D 2 --ndf 4" in said and "--ngf 4" in said
    assert "--lr 0: nothing is trained" in said
    kept = train_options("--name", "run", "--checkpoints_dir", tmp_path / "checkpoints", "--continue_train")
    assert (kept.netG, kept.ngf, kept.ndf, kept.netF_nc, kept.pretrained_name) == ("resnet_4blocks", 4, 4, 8, None)
    assert kept.ema_decay == 0 and kept.lr == 0  # what does not shape a network is not taken
    with pytest.raises(UserError, match=r"latest_net_G.pth is of another architecture.*it is of --ngf 4"):
        train_script.main([*argv, "--overwrite", "--ngf", "8"])


def test_what_has_no_learning_rate_is_said(dataroot):
    def told(*words):
        opt = train_options(*small_argv(dataroot, Path("nowhere"), "--model", "dcl", *words))
        return untrained(opt, MODELS.make("dcl", None, opt))

    assert told() == []
    assert told("--lr", 0, "--lr_F", 0) == ["--lr 0 --lr_F 0: nothing is trained; all weights stay as they begin"]
    assert told("--lr_D", 0) == ["--lr_D 0: D_A, D_B do not learn; others do"]
    assert told("--lr", 0, "--lr_D", 1e-4) == ["--lr 0: G_A, G_B do not learn; others do"]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_an_error_with_workers_ends_the_process(whole, dataroot, tmp_path, script):
    """A corrupt image is named in one line, and no worker keeps the process from ending."""
    data = tmp_path / "data"
    shutil.copytree(dataroot, data)
    for path in [*data.glob("trainA/*.png"), *data.glob("testA/*_1.png")]:
        path.write_bytes(path.read_bytes()[:60])
    argv = [sys.executable, script, *small_argv(data, tmp_path, "--num_threads", 2)]
    if script == "test.py":
        argv = [sys.executable, script, "--dataroot", data, "--checkpoints_dir", whole / "checkpoints", "--name", "run"]
        argv += ["--results_dir", tmp_path, "--gpu_ids", "-1", "--num_threads", "2"]
    done = subprocess.run(list(map(str, argv)), cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(f"{script}: ") and ".png" in done.stderr


@pytest.mark.slow
def test_the_file_of_a_run_starts_another_and_deletes_nothing(dataroot, tmp_path):
    short = ("--n_epochs", 1, "--n_epochs_decay", 0)
    run(dataroot, tmp_path, *short, "--overwrite")
    before = (tmp_path / "checkpoints/run/latest_net_G.pth").read_bytes()
    with pytest.raises(UserError, match="holds a run already"):
        train_script.main(["--config", str(tmp_path / "checkpoints/run/train_opt.yaml")])
    with pytest.raises(UserError, match="no checkpoint"):
        run(dataroot, tmp_path, *short, "--overwrite", "--pretrained_name", "nosuch")
    assert (tmp_path / "checkpoints/run/latest_net_G.pth").read_bytes() == before


@pytest.mark.slow
def test_a_continued_run_takes_what_it_is_told_anew(dataroot, tmp_path):
    run(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, "--ema_decay", 0.5)
    before = state(tmp_path)
    run(dataroot, tmp_path, "--continue_train", "--n_epochs", 2, "--lr", 0, "--ema_decay", 0)
    changed = [key for key in differences(before, state(tmp_path)) if key.startswith(".model")]
    assert changed == [] and state(tmp_path)[".progress.epoch"] == 2
    opt_lr = [v for k, v in state(tmp_path).items() if k.endswith("initial_lr")]
    assert set(opt_lr) == {0.0}


@pytest.mark.slow
def test_another_batch_size_in_the_middle_of_an_epoch_goes_on_with_the_next_item(dataroot, tmp_path, monkeypatch):
    from util.training.engine import Engine

    steps = []

    def stop_after_three(self):
        steps.append(1)
        return len(steps) == 3

    monkeypatch.setattr(Engine, "should_stop", stop_after_three)
    assert run(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0) == 75
    monkeypatch.undo()
    run(dataroot, tmp_path, "--continue_train", "--batch_size", 2)
    assert (state(tmp_path)[".progress.images"], state(tmp_path)[".progress.step"]) == (7, 5)  # three and two times two


@pytest.mark.slow
def test_stopped_before_its_first_checkpoint_a_run_starts_from_the_beginning(whole, dataroot, tmp_path, monkeypatch):
    from util.training.engine import Engine
    from util.training.run_folder import RunFolder

    def dying(self, model, name, compute):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "update", dying)
    monkeypatch.setattr(RunFolder, "_undo", lambda self: None)  # a process that is killed takes nothing back
    with pytest.raises(KeyboardInterrupt):
        run(dataroot, tmp_path, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP)
    monkeypatch.undo()
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


@pytest.mark.slow
def test_a_suffix_names_the_run_that_is_continued_and_tested(dataroot, tmp_path):
    short = ("--n_epochs", 1, "--n_epochs_decay", 0, "--suffix", "{model}_{ngf}")
    run(dataroot, tmp_path, *short, "--lambda_NCE", 3)
    run(dataroot, tmp_path, *short, "--continue_train", "--n_epochs", 2)
    text = (tmp_path / "checkpoints/run_cut_4/train_opt.yaml").read_text()
    assert "lambda_NCE: 3.0" in text and "n_epochs: 2" in text


@pytest.mark.slow
def test_what_a_configuration_file_says_counts_before_the_plugins_are_known(dataroot, tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/inconfig_model.py").write_text(
        "from models.cut_model import CUTModel\nclass InConfigModel(CUTModel): pass\n"
    )
    (tmp_path / "a.yaml").write_text(
        f"model: inconfig\nplugin_dir: {tmp_path}/lab\nname: named\nn_epochs: 1\nn_epochs_decay: 0\n"
    )
    trust = ["--trust", str(tmp_path / "a.yaml")]
    words = small_argv(dataroot, tmp_path, "--config", tmp_path / "a.yaml", *trust)
    at = words.index("--name")
    train_script.main(words[:at] + words[at + 2 :])
    (tmp_path / "b.yaml").write_text("continue_train: true\nn_epochs: 2\n")
    train_script.main(
        ["--config", f"{tmp_path}/a.yaml", f"{tmp_path}/b.yaml", "--checkpoints_dir", f"{tmp_path}/checkpoints", *trust]
    )
    assert state(tmp_path, run="named")[".progress.epoch"] == 2


def test_a_generator_that_does_not_fit_the_size_is_named(dataroot, tmp_path):
    with pytest.raises(UserError, match="--crop_size 32 does not suit --netG unet_128"):
        run(dataroot, tmp_path, "--netG", "unet_128", "--nce_layers", "down1,down2")


def test_the_supervised_term_needs_pairs(dataroot, tmp_path):
    with pytest.raises(UserError, match=r"--lambda_L1 10\.0 needs pairs, which --dataset_mode unaligned"):
        train_script.main(small_argv(dataroot, tmp_path, "--lambda_L1", 10))
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_a_run_told_in_steps_ends_there_and_continues_to_the_same_bits(dataroot, tmp_path, monkeypatch, capsys):
    """17 steps of 7 an epoch: the end and the cut are both in the middle of one."""
    argv = (*EPOCHS, "--ema_decay", 0.9, "--max_steps", 17, "--save_epoch_freq", 1, "--no_html")
    assert run(dataroot, tmp_path / "whole", *argv) == 0
    out = capsys.readouterr().out
    assert "--max_steps 17: --n_epochs 2 --n_epochs_decay 1" in out and out.count("(epoch: ") == 17
    folder = tmp_path / "whole/checkpoints"
    assert out.splitlines()[-1] == f"test it: python test.py --name run --checkpoints_dir {folder}"
    assert f" s: {folder / 'run'}" in out.splitlines()[-2] and "watch it" not in out
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "should_stop", lambda self: calls.append(1) or len(calls) == 10)
        assert run(dataroot, tmp_path / "cut", *argv) == 75
    folder = tmp_path / "cut/checkpoints/run"
    assert json.loads((folder / "run.json").read_text())["state"] == "stopped"
    assert run(dataroot, tmp_path / "cut", "--continue_train") == 0
    whole, continued = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert differences(whole, continued) == [] and differences(whole, state(tmp_path / "cut", "3")) == []
    assert whole[".progress.step"] == 17 and whole[".progress.in_epoch"] == 3
    record = json.loads((folder / "run.json").read_text())
    assert (record["state"], record["steps"], record["total_steps"], record["images"]) == ("finished", 17, 17, 17)
    before = (folder / "latest_state.pt").read_bytes()
    assert run(dataroot, tmp_path / "cut", "--continue_train") == 0  # nothing is left to do
    assert (folder / "latest_state.pt").read_bytes() == before


@pytest.mark.slow
def test_steps_of_whole_epochs_are_the_run_of_these_epochs(dataroot, tmp_path):
    flat = ("--n_epochs_decay", 0, "--no_html")  # a learning rate that falls falls with every step
    run(dataroot, tmp_path / "epochs", *flat, "--n_epochs", 2)
    run(dataroot, tmp_path / "steps", *flat, "--n_epochs", 20, "--max_steps", 14)
    assert differences(state(tmp_path / "epochs"), state(tmp_path / "steps")) == []


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 4])  # 7 steps an epoch, or 1
def test_a_learning_rate_that_falls_reaches_its_end_with_the_last_step(dataroot, tmp_path, monkeypatch, batch):
    rates, step = [], Engine.set_learning_rate

    def noting(self, model):
        step(self, model)
        rates.append(model.optimizers["G"].param_groups[0]["lr"])

    monkeypatch.setattr(Engine, "set_learning_rate", noting)
    epochs = ("--n_epochs", 200, "--n_epochs_decay", 200, "--lr", 1, "--no_html")
    run(dataroot, tmp_path, *epochs, "--batch_size", batch, "--max_steps", 4, "--ngf", 2)
    assert rates == [1, 1, 1, 0.5]


@pytest.mark.slow
def test_images_are_no_longer_jittered_in_the_epochs_that_fit_the_steps(dataroot, tmp_path, monkeypatch):
    """14 steps of 7 an epoch are two epochs of the forty that are told, the second with a rate that falls."""
    sizes, prepare = {}, FolderDataset.prepare

    def noting(self, pixels, rng):
        sizes.setdefault(self.epoch, set()).add(self.load_size)
        return prepare(self, pixels, rng)

    monkeypatch.setattr(FolderDataset, "prepare", noting)
    told = ("--n_epochs", 20, "--n_epochs_decay", 20, "--max_steps", 14, "--load_size", 40, "--crop_size", 32)
    run(dataroot, tmp_path, *told, "--num_threads", 0, "--no_html")
    assert sizes == {1: {40}, 2: {32}}


def test_a_plateau_needs_epochs(dataroot, tmp_path):
    with pytest.raises(UserError, match="--max_steps 9 --lr_policy plateau: a plateau is watched over whole epochs"):
        run(dataroot, tmp_path, "--max_steps", 9, "--lr_policy", "plateau", "--plateau_metric", "NCE")


@pytest.mark.slow
def test_a_longer_run_goes_on_in_the_middle_of_the_epoch(dataroot, tmp_path):
    flat = ("--n_epochs_decay", 0, "--no_html")  # the learning rate does not depend on the length
    run(dataroot, tmp_path / "long", *flat, "--max_steps", 12)
    run(dataroot, tmp_path / "short", *flat, "--max_steps", 10)
    run(dataroot, tmp_path / "short", "--continue_train", "--max_steps", 12)
    assert differences(state(tmp_path / "long"), state(tmp_path / "short")) == []


def test_a_failed_run_says_why(dataroot, tmp_path):
    with pytest.raises(UserError, match="a loss is not finite"):
        run(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, "--lr", 1e30, "--print_freq", 1)
    record = json.loads((tmp_path / "checkpoints/run/run.json").read_text())
    assert record["state"] == "failed" and record["error"].startswith("a loss is not finite at step")
