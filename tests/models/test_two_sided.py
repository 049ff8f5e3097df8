"""cycle_gan, dcl and simdcl: variants, what is trained, and one side alone. Their numbers: tests/test_reference.py."""

import pytest
import torch

from models import MODELS
from options import UserError
from tests.conftest import test_options, train_options
from tests.models.test_cut import TINY, batch, step
from util.training.engine import Engine

SMALL = [w for w in TINY.split() if w not in ("--netF_nc", "8", "--num_patches", "16")]
HEADS = ["--netF_nc", "8", "--num_patches", "16"]


def build(model, *argv):
    heads = [] if model == "cycle_gan" else HEADS
    opt = train_options("--model", model, *SMALL, *heads, *argv)
    engine = Engine(opt)
    return engine.prepare(MODELS.find(opt.model)(opt)), engine


VARIANTS = [
    "cycle_gan",
    "cycle_gan --lambda_identity 0",
    "cycle_gan --gan_mode wgangp",
    "cycle_gan --pool_size 3",
    "dcl",
    "dcl --nce_idt false",
    "dcl --lambda_NCE 0",
    "dcl --normG batch",
    "dcl --preset dcl-paper",
    "dcl --netF sample",
    "simdcl",
    "simdcl --preset simdcl-paper",
    "simdcl --netF_nc 12 --num_patches 0",
    "simdcl --crop_size 20 --load_size 20",
    "simdcl --normG batch",
    "dcl --negatives internal",
    "simdcl --negatives queue --queue_size 40",
    "dcl --lambda_L1 10",
    "cycle_gan --lambda_L1 10",
]


@pytest.mark.slow
@pytest.mark.parametrize("argv", map(str.split, VARIANTS), ids=VARIANTS)
@pytest.mark.parametrize("size", [1, 2], ids=["one", "two"])
def test_every_variant_trains(argv, size):
    model, engine = build(*argv, "--batch_size", str(size))
    before = {n: [p.detach().clone() for p in m.parameters()] for n, m in model.networks.items()}
    for i in range(2):
        step(model, engine, batch(size, size=model.opt.crop_size, seed=i))
    assert engine.finite
    for name, network in model.networks.items():
        moved = any((p != q).any() for p, q in zip(network.parameters(), before[name], strict=True))
        assert moved or not before[name] or (name.startswith("F") and "--lambda_NCE" in argv), name
    assert set(model.get_current_visuals()) == set(model.visual_names)


def test_published_defaults():
    dcl, simdcl, cycle = (train_options("--model", m) for m in ("dcl", "simdcl", "cycle_gan"))
    for opt in (dcl, simdcl, cycle):
        assert (opt.gan_mode, opt.save_epoch_freq, opt.lr) == ("hinge", 50, 2e-4)
    assert (dcl.lambda_NCE, dcl.lambda_IDT, dcl.nce_layers, dcl.pool_size, dcl.lr_F) == (
        2,
        1,
        ("4", "8", "12", "16"),
        0,
        1e-3,
    )
    assert (simdcl.lambda_SIM, simdcl.lr_F, cycle.pool_size, cycle.lambda_A, cycle.lambda_identity) == (
        10,
        None,
        50,
        10,
        0.5,
    )
    paper = train_options("--model", "dcl", "--preset", "dcl-paper")
    assert (paper.lr, paper.pool_size, paper.lr_F) == (1e-4, 50, None)
    assert test_options("--model", "dcl").num_test == 5000


def test_the_heads_of_dcl_learn_at_torchs_own_rate_as_published():
    model, _ = build("dcl")
    rates = [(g["lr"], g["betas"]) for g in model.optimizers["G"].param_groups]
    assert rates == [(2e-4, (0.5, 0.999)), (1e-3, (0.9, 0.999))]


@pytest.mark.parametrize("name", ["dcl", "cycle_gan"])
def test_one_side_alone_is_translated(name):
    opt = test_options("--model", name, "--netG", "resnet_4blocks", "--ngf", "4")
    model = Engine(opt).prepare(MODELS.find(name)(opt))
    only_B = {k: v for k, v in batch(size=30).items() if k.startswith("B")}
    model.set_input(only_B)
    model.test()
    visuals = model.get_current_visuals()
    assert set(visuals) == {"real_B", "fake_A", "rec_B"}
    assert visuals["fake_A"].shape == (1, 3, 30, 30)
    assert model.visual_sides["fake_A"] == "B" and set(model.networks) == {"G_A", "G_B"}


def test_sides_of_different_channels():
    model, engine = build("cycle_gan", "--input_nc", "1", "--output_nc", "3", "--lambda_identity", "0")
    data = batch() | {"A": batch()["A"][:, :1]}
    step(model, engine, data)
    assert model.fake_A.shape[1] == 1 and model.fake_B.shape[1] == 3 and engine.finite
    for argv, way_out in (
        (("cycle_gan",), "--lambda_identity 0"),
        (("dcl",), "--nce_idt false"),
        (("simdcl",), "--nce_idt false"),
    ):
        with pytest.raises(UserError, match=f"--input_nc 1 and --output_nc 3 give {way_out}"):
            build(*argv, "--input_nc", "1")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcl", "simdcl"])
@pytest.mark.parametrize("channels", [(1, 3), (4, 1)], ids=str)
def test_contrast_between_sides_of_different_channels(name, channels):
    """Each head is of its own generator's channels, which show at the tap of the pixels."""
    sides = ["--input_nc", str(channels[0]), "--output_nc", str(channels[1])]
    model, engine = build(name, *sides, "--nce_idt", "false", "--nce_layers", "pixels,down1,res1")
    assert [F.mlp_0[0].in_features for F in (model.netF1, model.netF2)] == list(channels)
    data = batch()
    for side, count in zip("AB", channels, strict=True):
        data[side] = torch.cat([data[side], data[side]], 1)[:, :count]
    before = [p.detach().clone() for p in model.netF2.parameters()]
    step(model, engine, data)
    assert engine.finite and any((p != q).any() for p, q in zip(model.netF2.parameters(), before, strict=True))
    assert (model.fake_A.shape[1], model.fake_B.shape[1]) == channels


@pytest.mark.slow
def test_similarity_is_a_mean_or_the_papers_sum():
    mean, _ = build("simdcl")
    total, _ = build("simdcl", "--sim_sum")
    x, y = ([torch.rand(2, 16, 8) for _ in range(4)] for _ in range(2))
    assert total.distance(mean.netF3, x, mean.netF6, y).item() == pytest.approx(
        64 * mean.distance(mean.netF3, x, mean.netF6, y).item(), rel=1e-4
    )


@pytest.mark.parametrize("name", ["dcl", "simdcl", "cycle_gan"])
def test_a_test_shows_both_directions_and_their_round_trips(name):
    opt = test_options("--model", name, "--netG", "resnet_4blocks", "--ngf", "4")
    model = Engine(opt).prepare(MODELS.find(name)(opt))
    model.set_input(batch(size=30))
    model.test()
    assert list(model.get_current_visuals()) == ["real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B"]
    back = model.translate(model.netG_B, model.translate(model.netG_A, model.real_A))
    torch.testing.assert_close(model.rec_A, back)
    assert model.rec_A.shape == model.real_A.shape and model.visual_sides["rec_B"] == "B"
