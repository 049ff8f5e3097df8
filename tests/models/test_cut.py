"""CUT: what it computes once, what it trains, and that small networks stay finite."""

import pytest
import torch

from models import MODELS
from options import UserError
from tests.conftest import train_options
from util.training.engine import Engine

TINY = (
    "--netG resnet_4blocks --netD n_layers --n_layers_D 2 --ngf 4 --ndf 4 --netF_nc 8 --num_patches 16 "
    "--crop_size 32 --load_size 32"
)
HEADS = ("--netF_nc", "8", "--num_patches", "16")


def build(*argv):
    opt = train_options(*TINY.split(), *argv)
    engine = Engine(opt)
    return engine.prepare(MODELS.find(opt.model)(opt)), engine


def batch(B=1, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    A, B_ = (torch.rand(B, 3, size, size, generator=generator) * 2 - 1 for _ in "AB")
    return {"A": A, "B": B_, "A_paths": ["a.png"] * B, "B_paths": ["b.png"] * B}


def step(model, engine, data):
    with engine.step(model):
        model.set_input(data)
        model.optimize_parameters()


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--model", "fastcut"),
        ("--nce_idt", "false"),
        ("--lambda_NCE", "0"),
        ("--netF", "sample"),
        ("--netF", "reshape"),
        ("--netF", "global_pool", "--nce_includes_all_negatives_from_minibatch"),
        ("--normG", "batch"),
        ("--no_dropout", "false"),
        ("--normG", "none", "--normD", "none"),
        ("--gan_mode", "wgangp"),
        ("--gan_mode", "hinge_paper"),
        ("--nce_layers", "pixels,down1,res1"),
        ("--optimizer", "adamw", "--weight_decay", "0.01"),
        ("--num_patches", "0"),
        ("--negatives", "minibatch"),
        ("--negatives", "queue", "--queue_size", "50"),
        ("--negatives", "queue", "--netF", "sample"),
        ("--lambda_L1", "10"),
        ("--no_antialias", "--no_antialias_up"),
    ],
    ids=" ".join,
)
def test_every_variant_trains(argv):
    model, engine = build(*argv, "--batch_size", "2")
    before = {n: [p.detach().clone() for p in m.parameters()] for n, m in model.networks.items()}
    for i in range(2):
        step(model, engine, batch(2, seed=i))
    assert all(v == v and abs(v) < 1e6 for v in model.get_current_losses().values())
    for name, network in model.networks.items():
        moved = any((p != q).any() for p, q in zip(network.parameters(), before[name], strict=True))
        idle = name == "F" and argv == ("--lambda_NCE", "0")
        assert moved != idle or not before[name], name


@pytest.mark.parametrize(
    "argv,encodings", [((), 2), (("--model", "fastcut", "--flip_equivariance", "false"), 1), (("--normG", "batch"), 3)]
)
def test_the_features_of_the_forward_pass_are_the_keys(argv, encodings):
    """Only the outputs are encoded, unless batch norm makes the input's second encoding another computation."""
    model, engine = build(*argv)
    calls = []
    model.netG.register_forward_hook(
        lambda m, args, kwargs, out: calls.append(kwargs.get("encode_only", False)), with_kwargs=True
    )
    step(model, engine, batch())
    assert calls.count(False) == 1 and calls.count(True) == encodings


def test_reused_keys_are_what_a_second_encoding_gives():
    model, engine = build()
    with engine.step(model):
        model.set_input(batch())
        model.forward()
        for kept, again in zip(
            model.keys, model.encode(model.netG, torch.cat([model.real_A, model.real_B])), strict=True
        ):
            torch.testing.assert_close(kept, again)
            assert not kept.requires_grad


def test_a_mirrored_step_takes_its_keys_from_the_unmirrored_input():
    model, engine = build("--model", "fastcut")
    coins = set()
    for _ in range(12):
        with engine.step(model):
            model.set_input(batch())
            model.forward()
            coins.add(model.flipped)
            torch.testing.assert_close(model.keys[-1], model.encode(model.netG, model.real_A)[-1])
    assert coins == {True, False}


def test_discriminators_stay_untouched_by_the_generator_step():
    model, engine = build()
    with engine.step(model):
        model.set_input(batch())
        model.forward()
        model.update("D", model.discriminator_losses)
        seen = [p.detach().clone() for p in model.netD.parameters()]
        model.update("G", model.generator_losses)
        assert all(p.grad is None for p in model.netD.parameters())
    assert all(torch.equal(p, q) for p, q in zip(model.netD.parameters(), seen, strict=True))


@pytest.mark.exhaustive
def test_tiny_networks_stay_finite():
    """20 seeds x 50 steps at ngf 4, where published runs turned NaN: heads this small put out rows of zeros."""
    for seed in range(20):
        model, engine = build("--crop_size", "16", "--load_size", "16", "--n_layers_D", "1", "--seed", str(seed))
        for i in range(50):
            step(model, engine, batch(size=16, seed=i % 5))
        assert engine.finite and all(p.isfinite().all() for p in model.parameters()), seed


def test_constant_images_give_finite_losses():
    model, engine = build()
    black = {k: torch.full_like(v, -1) if isinstance(v, torch.Tensor) else v for k, v in batch().items()}
    for _ in range(3):
        step(model, engine, black)
    assert engine.finite and all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    "argv,message",
    [
        (("--nce_layers", "0,99"), "--nce_layers with --netG resnet_4blocks: no layer '99'; choose from pixels, down1"),
        (("--crop_size", "8", "--load_size", "8", "--netD", "basic"), "--crop_size 8 does not suit --netD basic"),
        (("--num_patches", "1"), "one patch of one image is told from nothing"),
        (("--netF", "global_pool", "--batch_size", "2"), "--negatives internal --batch_size 2: one patch of one image"),
        (("--num_patches", "1", "--negatives", "minibatch"), "--negatives minibatch --batch_size 1: one patch"),
    ],
)
def test_mistakes_are_named(argv, message):
    with pytest.raises(UserError) as error:
        build(*argv)
    assert message in str(error.value)


def test_wgangp_comes_with_its_penalty():
    model, engine = build("--gan_mode", "wgangp")
    step(model, engine, batch())
    assert {"D_real", "D_fake", "D_gp"} <= set(model.losses)
    assert model.losses["D"].item() == pytest.approx(
        sum(model.losses[k].item() for k in ("D_real", "D_fake", "D_gp")), rel=1e-5
    )


@pytest.mark.parametrize("name,networks", [("cut", ["D"]), ("cycle_gan", ["D_A", "D_B"])])
def test_wgangps_penalty_does_not_go_through_a_compiled_network(name, networks):
    """Compiled networks have no second derivative; their forward method is the network as it was written."""
    opt = train_options("--model", name, "--gan_mode", "wgangp", *[w for w in TINY.split() if w not in HEADS])
    engine = Engine(opt)
    model = engine.prepare(MODELS.find(name)(opt))
    calls = []
    for network in (model.networks[n] for n in networks):
        network._compiled_call_impl = lambda x, forward=network.forward: calls.append(len(x)) or forward(x)
    step(model, engine, batch())
    assert len(calls) == 3 * len(networks)  # real, fake, and fake again for G


def test_what_is_summed_is_what_is_logged():
    model, engine = build()
    step(model, engine, batch())
    losses = model.get_current_losses()
    assert model.loss_names == ["D_real", "D_fake", "D", "G_GAN", "NCE", "NCE_Y", "G"]
    assert losses["G"] == pytest.approx(losses["G_GAN"] + losses["NCE"] + losses["NCE_Y"], rel=1e-5)
    assert list(model.get_current_visuals()) == ["real_A", "fake_B", "real_B", "idt_B"]


@pytest.mark.slow
def test_a_queue_brings_the_keys_of_earlier_batches():
    """Of images that repeat, the first batch knows no others; afterwards the loss grows with every negative."""
    values = {}
    for negatives in ("internal", "queue"):
        model, engine = build("--negatives", negatives, "--queue_size", "40", "--lr", "0", "--seed", "3")
        values[negatives] = []
        for i in range(3):
            step(model, engine, batch(seed=i))
            values[negatives].append(model.losses["NCE"].item())
    assert values["queue"][0] == pytest.approx(values["internal"][0], rel=1e-6)
    assert all(q > i for q, i in zip(values["queue"][1:], values["internal"][1:], strict=True))
    queue = model.memory["NCE"][0]
    assert queue.vectors.any(1).all() and queue.head.item() == 3 * 16 % 40
    assert any(key.startswith("memory.") for key in model.state_dict()) and "memory" not in model.networks


def test_a_queue_holds_the_keys_of_every_process(monkeypatch):
    """Hence all processes have the same one, and a checkpoint of the main one holds it."""
    model, engine = build("--negatives", "queue", "--queue_size", "100")
    monkeypatch.setattr(model, "gather", lambda x: torch.cat([x, -x]))  # as from two processes
    step(model, engine, batch())
    vectors = model.memory["NCE"][0].vectors
    assert model.memory["NCE"][0].head.item() == 32 and vectors[:16].any()
    assert torch.equal(vectors[16:32], -vectors[:16]) and not vectors[32:].any()


@pytest.mark.slow
def test_negatives_are_asked_for_by_either_name():
    asked = [build(*argv)[0].across_batch for argv in ((), ("--negatives", "minibatch"), ("--negatives", "queue"))]
    assert asked == [False, True, True]
    assert build("--nce_includes_all_negatives_from_minibatch", "true")[0].across_batch


@pytest.mark.slow
def test_the_supervised_term_measures_the_distance_to_the_target():
    model, engine = build("--model", "fastcut", "--lambda_L1", "7")
    for seed in range(6):  # some of them mirrored
        data = batch(seed=seed)
        step(model, engine, data)
        fake = model.fake_B.flip(3) if model.flipped else model.fake_B
        assert model.losses["L1"].item() == pytest.approx(7 * (fake - data["B"]).abs().mean().item(), rel=1e-5)
    assert model.needs_pairs and not build()[0].needs_pairs


def test_a_discriminator_of_one_size_says_which():
    model, engine = build("--netD", "stylegan2")
    with pytest.raises(UserError, match="judges 32 x 32 pixels, the data have 20 x 20"):
        step(model, engine, batch(size=20))


def test_one_generator_makes_as_many_channels_as_it_takes():
    with pytest.raises(UserError, match=r"--output_nc 3: the generator's output .* --model dcl, simdcl and cycle_gan"):
        build("--input_nc", "1")
    model, engine = build("--input_nc", "4", "--output_nc", "4")
    step(model, engine, {side: torch.rand(1, 4, 32, 32) for side in "AB"})
    assert engine.finite
