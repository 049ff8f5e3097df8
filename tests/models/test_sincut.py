"""SinCUT: its published defaults, its terms, and both scripts on one pair of pictures."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import test as test_script
import train as train_script
from models import MODELS
from models.losses import patch_nce
from tests.conftest import test_options, train_options
from tests.data.helpers import images
from tests.models.test_cut import batch as batch_of
from tests.models.test_cut import step
from util.training.engine import Engine

TINY = ["--ngf", "1", "--ndf", "1", "--crop_size", "16", "--netF_nc", "8", "--batch_size", "4"]
FLAGS = {
    "dataset_mode": "singleimage",
    "netG": "stylegan2",
    "netD": "stylegan2",
    "stylegan2_G_num_downsampling": 1,
    "gan_mode": "nonsaturating",
    "num_patches": 1,
    "nce_layers": ("0", "2", "4"),
    "lambda_NCE": 4.0,
    "nce_idt": True,
    "ngf": 10,
    "ndf": 8,
    "lr": 0.002,
    "beta1": 0.0,
    "beta2": 0.99,
    "load_size": 1024,
    "crop_size": 64,
    "lambda_R1": 1.0,
    "lambda_identity": 1.0,
    "random_scale_max": 3.0,
}
TRAINING = {"batch_size": 16, "n_epochs": 8, "n_epochs_decay": 8, "save_epoch_freq": 1, "save_latest_freq": 20000}


def build(*argv):
    opt = train_options("--model", "sincut", *TINY, *argv)
    engine = Engine(opt)
    return engine.prepare(MODELS.find("sincut")(opt)), engine


def batch(B=4, size=16, seed=0):
    return batch_of(B, size, seed)


def test_defaults_are_the_published_ones():
    opt = train_options("--model", "sincut")
    assert {k: getattr(opt, k) for k in FLAGS | TRAINING} == FLAGS | TRAINING
    assert (opt.preprocess, opt.negatives) == ("zoom_and_patch", "minibatch")
    opt = test_options("--model", "sincut")
    assert (opt.preprocess, opt.batch_size, opt.num_test, opt.crop_size) == ("none", 1, 1, 64)


def test_networks_have_the_published_sizes():
    with torch.device("meta"):
        networks = MODELS.find("sincut")(train_options("--model", "sincut")).networks
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    assert counts == {"G": 3_068_404, "D": 5_885_473, "F": 280_832}


@pytest.mark.slow
def test_terms():
    """Each against its formula; what is summed is what is logged."""
    model, engine = build("--lambda_R1", "10", "--lambda_identity", "3")
    model.double()
    data = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in batch().items()}
    with engine.step(model):
        model.set_input(data)
        model.forward()
        losses = model.discriminator_losses() | model.generator_losses()
    assert list(losses) == ["D_real", "D_fake", "D_R1", "G_GAN", "NCE", "NCE_Y", "idt"]
    x = data["B"].clone().requires_grad_()
    gradients = [torch.autograd.grad(model.netD(x[i : i + 1]).sum(), x)[0] for i in range(4)]
    torch.testing.assert_close(losses["D_R1"], 5 * sum(g.square().sum() for g in gradients) / 4)
    torch.testing.assert_close(losses["idt"], 3 * F.l1_loss(model.idt_B, data["B"]))
    torch.testing.assert_close(losses["D_real"], 0.5 * F.softplus(-model.netD(data["B"])).mean())
    step(model, engine, data)
    logged = model.get_current_losses()
    assert logged["D"] == pytest.approx(logged["D_real"] + logged["D_fake"] + logged["D_R1"], rel=1e-5)
    assert logged["G"] == pytest.approx(sum(logged[k] for k in ("G_GAN", "NCE", "NCE_Y", "idt")), rel=1e-5)


def test_one_place_in_every_crop_told_from_the_same_place_in_the_others(monkeypatch):
    model, engine = build()
    seen = []
    monkeypatch.setattr(
        "models.base_contrastive.patch_nce",
        lambda q, k, tau, across_batch, *more, **settings: (
            seen.append((q.shape, across_batch)) or patch_nce(q, k, tau, across_batch)
        ),
    )
    step(model, engine, batch())
    assert seen == [((4, 1, 8), True)] * 6  # three layers, of fake_B and of idt_B


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv,absent",
    [
        (("--nce_idt", "false"), {"NCE_Y"}),
        (("--CUT_mode", "FastCUT"), {"NCE_Y"}),
        (("--nce_idt", "false", "--lambda_identity", "0"), {"NCE_Y", "idt"}),
        (("--lambda_R1", "0"), {"D_R1"}),
        (("--lambda_identity", "0"), {"idt"}),
        (("--netD", "basic", "--crop_size", "32"), set()),
        (("--netG", "smallstylegan2", "--nce_layers", "0,2,3"), set()),
        (("--precision", "bf16"), set()),
        (("--accumulate", "2"), set()),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words),
)
def test_every_variant_trains(argv, absent):
    """The published code stops with an error where nce_idt is off."""
    model, engine = build(*argv)
    before = {n: [p.detach().clone() for p in m.parameters()] for n, m in model.networks.items()}
    for i in range(4):
        step(model, engine, batch(size=model.size, seed=i))
    assert {"NCE_Y", "idt", "D_R1"} - set(model.losses) == absent
    assert engine.finite and all(p.isfinite().all() for p in model.parameters())
    assert ("idt_B" in model.get_current_visuals()) == (absent != {"NCE_Y", "idt"})
    for name, network in model.networks.items():
        assert any((p != q).any() for p, q in zip(network.parameters(), before[name], strict=True)), name


def test_a_mirrored_identity_is_compared_unmirrored():
    model, engine = build("--CUT_mode", "FastCUT")
    for _ in range(8):
        with engine.step(model):
            model.set_input(batch())
            model.forward()
            straight = model.idt_B.flip(3) if model.flipped else model.idt_B
            torch.testing.assert_close(model.generator_losses()["idt"], F.l1_loss(straight, model.real_B))
            if model.flipped:
                return
    raise AssertionError("no step was mirrored")


def test_the_penalty_does_not_go_through_a_compiled_network():
    """Compiled networks have no second derivative; their forward method is the network as it was written."""
    model, engine = build()
    calls = []
    model.netD._compiled_call_impl = lambda x: calls.append(len(x)) or model.netD.forward(x)
    step(model, engine, batch())
    assert len(calls) == 3 and "D_R1" in model.losses  # real, fake, and fake again for G


@pytest.mark.slow
def test_the_commands_of_cuts_readme(tmp_path):
    """Two steps, a checkpoint that goes on bit for bit, and the whole picture in its own size."""
    images(tmp_path / "data/trainA", "monet.jpg", size=(75, 46))
    images(tmp_path / "data/trainB", "etretat.jpg", size=(64, 48), seed=1)
    where = ["--dataroot", tmp_path / "data", "--checkpoints_dir", tmp_path, "--gpu_ids", -1, "--num_threads", 0]
    small = [*TINY, "--max_dataset_size", 8, "--n_epochs_decay", 0, "--print_freq", 4, "--save_latest_freq", 4]

    def train(name, *more):
        argv = ["--model", "sincut", "--name", name, *where, *small, *more]
        assert train_script.main([str(a) for a in argv]) == 0
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    whole = train("singleimage_monet_etretat", "--n_epochs", 2)
    train("parts", "--n_epochs", 1)
    parts = train("parts", "--n_epochs", 2, "--continue_train")
    terms = ("D_real", "D_R1", "G_GAN", "NCE", "NCE_Y", "idt", "G")
    assert [[row[t] for t in terms] for row in whole] == [[row[t] for t in terms] for row in parts] and len(whole) == 4

    argv = ["--model", "sincut", "--name", "singleimage_monet_etretat", *where, "--results_dir", tmp_path / "results"]
    assert test_script.main([str(a) for a in argv]) == 0
    made = tmp_path / "results/singleimage_monet_etretat/test_latest/images"
    sizes = {p.relative_to(made).as_posix(): Image.open(p).size for p in made.rglob("*.png")}
    assert sizes == {"real_A/monet.png": (75, 46), "fake_B/monet.png": (75, 46), "real_B/etretat.png": (64, 48)}
    assert np.asarray(Image.open(made / "fake_B/monet.png")).std() > 0
