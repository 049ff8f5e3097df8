"""What is not finite is not saved over what is, not evaluated, not loaded: exit code 3, in a line."""

import hashlib
import json
import shutil

import pytest
import torch

import test as test_script
import train as train_script
import translate as translate_script
from evaluation.judges import read_judge
from evaluation.training import Evaluated
from options import UserError
from tests.conftest import small_argv
from tests.test_fonts import SMALL as FONTS
from tests.test_train import run, state
from tests.util.test_distributed import in_processes
from tests.util.training.test_checkpoint import build, saved, train  # noqa: F401
from util import distributed
from util.finite import tensors_of
from util.reading.weights import load_weights
from util.training import checkpoint
from util.training.engine import Engine

NAN, SHORT = float("nan"), ("--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", "--save_latest_freq", 1)


def spoil(tensor, value=NAN):
    with torch.no_grad():
        tensor[(-1,) * tensor.ndim] = value


PARTS = {
    "netD is not finite": lambda model, engine: spoil(model.netD.weight, float("inf")),
    "netG, netD are not finite": lambda model, engine: (spoil(model.netD.bias), spoil(model.netG.weight)),
    "pool is not finite": lambda model, engine: spoil(model.pool.images[0]),
    "the average of netG is not finite": lambda model, engine: spoil(engine.averages["G"].module.bias),
    "the optimizer D is not finite": lambda model, engine: spoil(
        model.optimizers["D"].state[model.netD.weight]["exp_avg_sq"]
    ),
    "netN is not finite": lambda model, engine: spoil(model.netN.running_var),
}


@pytest.mark.parametrize("what", PARTS)
def test_what_is_not_finite_is_named_and_reaches_no_checkpoint(tmp_path, what):
    model, engine = build()
    model.netN = torch.nn.BatchNorm1d(3)
    train(model, engine, 2)
    before = engine.finite.clone()
    PARTS[what](model, engine)
    with pytest.raises(UserError, match=f"^{what} after step 2; no checkpoint was saved") as error:
        checkpoint.save(tmp_path, "latest", model, engine)
    assert error.value.code == 3 and not list(tmp_path.iterdir()) and before


def test_the_step_of_the_last_checkpoint_is_told(saved):  # noqa: F811
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    train(model, engine, 3)
    spoil(model.netG.weight)
    for labels in (["latest"], ["best", "latest"], ["7"]):
        with pytest.raises(UserError, match=r"netG is not finite after step 7; the last checkpoint is of step 4\. Try"):
            checkpoint.save(saved, labels[0], model, engine, also=labels[1:])
    with pytest.raises(UserError, match="netG is not finite after step 7"):
        engine.check_finite(model)


def test_a_step_that_the_scaler_skips_is_no_fault(tmp_path):
    """A gradient that overflows in fp16 steps nothing; the losses are finite."""
    model, engine = build("--precision", "fp16")
    train(model, engine, 1)
    hook = model.netG.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = model.netG.weight.detach().clone()
    train(model, engine, 1)
    hook.remove()
    assert torch.equal(model.netG.weight, before) and engine.scalers["G"].get_scale() < 65536
    checkpoint.save(tmp_path, "latest", model, engine)
    train(model, engine, 1)
    assert not torch.equal(model.netG.weight, before)


def in_one(rank):
    model, engine = build()
    train(model, engine, 1)
    if rank == 1:
        spoil(model.netD.weight)
    try:
        engine.check_finite(model)
    except UserError as error:
        return error.code, str(error)


def test_processes_agree(tmp_path):
    for code, text in in_processes(in_one, tmp_path):
        assert code == 3 and text.startswith("netD is not finite after step 1")
    assert distributed.everywhere(torch.tensor([True, False])) == [True, False]


SMALLEST = "--ngf 4 --ndf 4 --load_size 36 --crop_size 32 --netG resnet_4blocks --netD n_layers --n_layers_D 2"
HEADS, AVERAGED = "--netF_nc 8 --num_patches 16", "--ema_decay 0.9 --save_latest_freq 1"
DIGITS = "--dataroot digits --ngf 4 --ndf 4 --batch_size 8 --max_dataset_size 40"
LETTERS = "--dataroot glyphs --max_dataset_size 24"
KINDS = {
    **dict.fromkeys(("cut", "dcl", "simdcl"), f"{SMALLEST} {HEADS} {AVERAGED}"),
    **dict.fromkeys(("cycle_gan", "template"), f"{SMALLEST} {AVERAGED}"),
    **dict.fromkeys(("contragan", "reacgan", "infomaxgan", "dualcontrast", "sngan", "biggan", "acgan"), DIGITS),
    "r3gan": f"{DIGITS} --beta2_end 0.9 --ema_half_life 100",
    "contrad": f"{DIGITS} --view_dim 4 --head_dim 4",
    "label_judge": "--dataroot digits --max_dataset_size 40 --batch_size 8",
    "xmcgan": f"{LETTERS} --ngf 4 --ndf 4 --text_dim 8 --text_layers 1 --batch_size 4",
    "caption_judge": f"{LETTERS} --dataset_mode caption --batch_size 4",
    "domain": "--batch_size 4 --crop_size 32 --load_size 36",
    "zi2zi": " ".join(FONTS[: FONTS.index("--n_epochs")]) + " --ngf 4 --max_dataset_size 24",
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", KINDS)
def test_whatever_a_checkpoint_of_a_model_would_hold_is_looked_at(dataroot, tmp_path, monkeypatch, model):
    """Each tensor of its state in turn: networks, buffers, pools, averages, moments."""

    class Seen(Exception):
        pass

    def look(run, label, model, engine, **_):
        held = checkpoint.state_of(model, engine)
        held = [t for part in ("model", "averages", "optimizers") for t in tensors_of(held[part]) if t.numel()]
        held = [tensor for tensor in held if tensor.is_floating_point()]
        for tensor in held:
            place = (-1,) * tensor.ndim
            before = tensor[place].clone()
            spoil(tensor, float("-inf"))
            with pytest.raises(UserError, match="not finite after step"):
                engine.check_finite(model)
            with torch.no_grad():
                tensor[place] = before
        engine.check_finite(model)
        raise Seen(len(held))

    monkeypatch.setattr(checkpoint, "save", look)
    words = ["--model", model, "--name", "run", "--checkpoints_dir", str(tmp_path), *KINDS[model].split()]
    words += [] if "--dataroot" in words or model == "zi2zi" else ["--dataroot", str(dataroot)]
    with pytest.raises(Seen) as seen:
        train_script.main([*words, "--gpu_ids", "-1", "--num_threads", "0", "--max_steps", "3", "--no_html"])
    assert seen.value.args[0] > 10


# -- of a whole run --------------------------------------------------------------------------------


def labels_of(folder):
    return {path.name.removesuffix("_state.pt") for path in (folder / "checkpoints/run").glob("*_state.pt")}


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--precision", "bf16"), ("--precision", "fp16")])
def test_a_rate_that_is_far_too_large_leaves_what_was_finite(dataroot, tmp_path, more):
    with pytest.raises(UserError, match=r"not finite (at|after) step \d") as error:
        run(dataroot, tmp_path, *SHORT, "--lr", 1e10, *more)
    saved_any = bool(labels_of(tmp_path))  # fp16 skips the first step
    assert saved_any == ("fp16" in more) and error.value.code == 3
    assert ("; the last checkpoint is of step 1. " if saved_any else "; no checkpoint was saved. ") in str(error.value)
    for label in labels_of(tmp_path):
        assert all(v.isfinite().all() for v in state(tmp_path, label).values() if isinstance(v, torch.Tensor))


class Seen:
    """An evaluator that would measure a model that is not finite."""

    def __init__(self, *_):
        pass

    def prepare(self):
        return {"L1": 0.0}, {"L1": "lower"}

    def __call__(self, model, engine):
        assert all(p.isfinite().all() for p in model.parameters())
        return Evaluated({"L1": NAN}, {"L1": "lower"}, [], NAN, [], {"L1": {"value": NAN, "parts": [float("inf")]}})

    def close(self):
        pass


@pytest.fixture
def spoilt_in_the_end(monkeypatch):
    """The last step of a run of seven has finite losses, and leaves a weight that is none."""
    update = Engine.update

    def spoiling(self, model, name, compute):
        terms = update(self, model, name, compute)
        if self.progress.step == 6 and name == "G":
            spoil(model.netG.get_parameter("model.1.weight"))
        return terms

    monkeypatch.setattr(Engine, "update", spoiling)
    monkeypatch.setattr(train_script, "make_evaluator", Seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [("--save_by_iter",), ("--eval_freq", 1, "--eval_metrics", "l1"), ("--save_latest_freq", 100)]
)
def test_the_last_step_counts_too(dataroot, tmp_path, spoilt_in_the_end, more):
    with pytest.raises(UserError, match=r"^netG is not finite after step 7; ") as error:
        run(dataroot, tmp_path, *SHORT, *more)
    saved_any = "--save_latest_freq" not in more
    last = "the last checkpoint is of step 6" if saved_any else "no checkpoint was saved"
    assert error.value.code == 3 and last in str(error.value) and bool(labels_of(tmp_path)) == saved_any
    for label in labels_of(tmp_path):
        assert all(v.isfinite().all() for v in state(tmp_path, label).values() if isinstance(v, torch.Tensor))
    text = (tmp_path / "checkpoints/run/run.json").read_text()
    record = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert record["state"] == "failed" and record["error"] == str(error.value)
    if "--eval_freq" in more:  # six of a value that is not defined
        lines = (tmp_path / "checkpoints/run/evaluations.jsonl").read_text().splitlines()
        found = [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in lines]
        assert [r["step"] for r in found] == [1, 2, 3, 4, 5, 6] and found[0]["entries"]["L1"] == {
            "value": None,
            "parts": [None],
        }


# -- loading ---------------------------------------------------------------------------------------


def spoil_file(run_folder, name):
    """As a version without this gate would have left it: whole by its manifest."""
    path, label = run_folder / name, name.split("_")[0]
    content = torch.load(path, weights_only=True)
    tensors = content.get("model", content)
    spoil(next(value for value in tensors.values() if value.ndim > 1))
    path.unlink()
    torch.save(content, path)
    manifest = run_folder / f"{label}.manifest.json"
    if manifest.is_file():
        told = json.loads(manifest.read_text())
        data = path.read_bytes()
        told["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest.unlink()
        manifest.write_text(json.dumps(told))


@pytest.fixture
def diverged(whole, tmp_path):
    """A run whose ``latest`` has a generator and a state that are not finite, and whose ``2`` is sound."""
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    for name in ("latest_net_G.pth", "latest_net_G_ema.pth", "latest_state.pt"):
        spoil_file(tmp_path / "checkpoints/run", name)
    return tmp_path


@pytest.mark.slow
def test_no_script_computes_with_what_is_not_finite(diverged, dataroot, capsys):
    where = ["--checkpoints_dir", str(diverged / "checkpoints"), "--name", "run", "--gpu_ids", "-1"]
    out = ["--results_dir", str(diverged / "results"), "--dataroot", str(dataroot), "--num_threads", "0"]
    pictures = ["--input", str(dataroot / "testA"), "--output", str(diverged / "out"), "--gpu_ids", "-1"]
    folder = str(diverged / "checkpoints/run")
    calls = {
        r"latest_net_G_ema\.pth: model\.\d+\.weight is": lambda: test_script.main([*where, *out]),
        r"latest_net_G\.pth: ": lambda: test_script.main([*where, *out, "--use_ema", "false"]),
        r"run/latest_net_G_ema\.pth: ": lambda: translate_script.main([*pictures, "--checkpoint", folder]),
        r"run/latest_net_G\.pth: model": lambda: translate_script.main(
            [*pictures, "--checkpoint", f"{folder}/latest_net_G.pth"]
        ),
        r"latest_state\.pt: netG is": lambda: run(dataroot, diverged, "--continue_train", "--n_epochs", 9),
        r"checkpoints/run/latest_net_G\.pth": lambda: train_script.main(
            [*small_argv(dataroot, diverged), "--name", "other", "--pretrained_name", "run"]
        ),
    }
    for text, call in calls.items():
        with pytest.raises(UserError, match=f"{text}.* not finite; choose .*--epoch") as error:
            call()
        assert error.value.code == 3, text
    assert not (diverged / "results").exists() and not list((diverged / "checkpoints").glob("other/*_net_*"))
    assert test_script.main([*where, *out, "--epoch", "2", "--num_test", "1"]) == 0


def test_judges_that_are_not_finite_are_refused(tmp_path):
    from networks.glyph_judge import GlyphJudge

    (tmp_path / "judge").mkdir()
    torch.save(GlyphJudge("character", ["65", "66"], 1, 32, 4).state_dict(), tmp_path / "judge/latest_net_C.pth")
    read_judge(tmp_path / "judge")
    spoil_file(tmp_path / "judge", "latest_net_C.pth")
    with pytest.raises(UserError, match=r"latest_net_C\.pth: .* is not finite") as error:
        read_judge(tmp_path / "judge")
    assert error.value.code == 3


def test_what_becomes_infinite_in_a_network_is_not_loaded(tmp_path):
    network = torch.nn.Linear(2, 1)
    torch.save({"weight": torch.full((1, 2), 1e300, dtype=torch.float64), "bias": torch.zeros(1)}, tmp_path / "G.pth")
    with pytest.raises(UserError, match=r"G\.pth: weight is not finite") as error:
        load_weights(network, tmp_path / "G.pth")
    assert error.value.code == 3 and bool(network.weight.isfinite().all())
