"""--augment_D of methods that translate: what every discriminator sees, in whose step, and how often."""

from pathlib import Path

import pytest
import torch

import train as train_script
from models import MODELS
from models.shared.augmentation import Augmentation
from options import UserError
from tests.conftest import small_argv, train_options
from tests.test_train import differences, state
from util.training.engine import Engine

SEEN = ("--augment_D", "color,translation,cutout")
ADA = (*SEEN, "--ada_target", 0.3, "--ada_kimg", 0.01)
ONE, TWO = ("cut", "sincut", "fastcut", "template"), ("cycle_gan", "dcl", "simdcl")


def build(model, *words, dataroot="nowhere"):
    words = small_argv(dataroot, Path("nowhere"), "--model", model, *words)
    if model in ("cycle_gan", "template"):
        for flag in ("--netF_nc", "--num_patches"):
            del words[words.index(flag) : words.index(flag) + 2]
    opt = train_options(*words)
    engine = Engine(opt)
    return engine.prepare(MODELS.make(model, None, opt)), engine


def batch(opt, B=2):
    torch.manual_seed(3)
    pixels = {"A": torch.rand(B, opt.input_nc, 32, 32), "B": torch.rand(B, opt.output_nc, 32, 32)}
    return {side: image * 2 - 1 for side, image in pixels.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_every_discriminator_sees_altered_images_alone_in_both_steps(name):
    model, engine = build(name, *SEEN)
    seen, raw = {}, batch(model.opt)

    def note(key):
        return lambda _, inputs: seen.setdefault(key, []).append(inputs[0].detach())

    for key, network in model.networks.items():
        if key.startswith("D"):
            network.register_forward_pre_hook(note(key))  # after the one that alters
    with engine.step(model):
        model.set_input(raw)
        model.optimize_parameters()
    assert sorted(seen) == (["D"] if name in ONE else ["D_A", "D_B"])
    for key, images in seen.items():
        assert len(images) == 3  # real, fake, and the fake in G's step
        real = raw["A" if key == "D_B" else "B"]
        assert not any(torch.equal(image, real) for image in images)
        assert all((image == 0).float().mean() > 0.1 for image in images)  # of cutout


@pytest.mark.slow
def test_without_the_flag_nothing_is_drawn_or_kept():
    model, _ = build("cut")
    assert not model.augmentations and not model.netD._forward_pre_hooks
    assert not any("augmentation" in key for key in model.state_dict())
    constant, _ = build("cut", *SEEN)
    assert constant.state_dict().keys() == model.state_dict().keys()  # it has no state without ADA
    assert not any("aug" in key for key in build("cut", *ADA)[0].netD.state_dict())  # nor D's own file any


@pytest.mark.slow
def test_penalties_are_of_the_images_as_they_are():
    model, _ = build("cut", "--lambda_r1", 1, "--normD", "none", *SEEN)
    seen = []
    forward = model.netD.forward
    model.netD.forward = lambda x: seen.append(x) or forward(x)
    real = batch(model.opt)["B"]
    model.penalties("D", model.netD, real, real)
    assert torch.equal(seen[0], real)


def test_the_mean_sign_counts_from_what_a_discriminator_says_that_cannot_tell():
    """A PatchGAN's answers count by image; lsgan asks for 1 and 0, the others for more or less than 0."""

    def told(mode, logits):
        opt = train_options("--gan_mode", mode, *SEEN, "--ada_target", "0.6", "--ada_kimg", "0.01")
        augmentation = Augmentation(opt)
        augmentation.ada.interval = 1
        for _ in range(2):
            augmentation.observe(logits, lambda x: torch.cat([x, x]))  # two processes
        return augmentation.ada.p.item()

    sure, unsure = torch.full((5, 1, 2, 2), 0.9), torch.full((5, 1, 2, 2), 0.4)
    assert told("lsgan", sure) == 1 and told("hinge", sure) == 1
    assert told("lsgan", unsure) == 0 and told("hinge", unsure) == 1
    assert told("lsgan", [sure, sure]) == 1 and told("lsgan", [sure, unsure]) == 0  # of two scales


@pytest.mark.parametrize(
    "words,said",
    [
        (("--augment_D", "colour"), "--augment_D colour: no augmentation named 'colour'"),
        (("--ada_target", 0.6), "says how often --augment_D is applied"),
        ((*SEEN, "--ada_target", 1), "--ada_target 1.0"),
        ((*SEEN, "--ada_target", 0.6, "--gan_mode", "wgangp"), "--gan_mode wgangp"),
    ],
)
@pytest.mark.parametrize("name", ["cut", "dcl"])
def test_what_makes_no_sense_is_refused(name, words, said):
    with pytest.raises(UserError, match=said):
        build(name, *words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,words",
    [
        pytest.param("cut", ("--gan_mode", "lsgan", "--sn_D"), id="one"),
        pytest.param("dcl", ("--accumulate", 2), id="two", marks=pytest.mark.exhaustive),
    ],
)
def test_a_resumed_run_with_ada_is_the_uninterrupted_one(dataroot, tmp_path, name, words):
    end = ("--n_epochs_decay", 0, "--no_html", "--model", name, *ADA, *words)
    for folder, parts in (("whole", (2,)), ("parts", (1, 2))):
        for epochs in parts:
            more = ("--continue_train",) if epochs == 2 and len(parts) == 2 else ()
            argv = small_argv(dataroot, tmp_path / folder, *end, "--n_epochs", epochs, *more)
            assert train_script.main(argv) == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path / "parts")) == []
    kept = {key: value for key, value in state(tmp_path / "whole").items() if key.endswith(".ada.p")}
    assert len(kept) == (1 if name == "cut" else 2) and all(value > 0 for value in kept.values())
