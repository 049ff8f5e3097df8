"""Images of A and B of different sizes, in every method that translates and with every --preprocess."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

import train as train_script
from options import UserError
from tests.conftest import records
from tests.models import test_cut, test_two_sided
from tests.models.test_cut import step

METHODS = ("cut", "fastcut", "sincut", "cycle_gan", "dcl", "simdcl")
PREPROCESS = ("none", "trim", "scale_width", "scale_shortside", "scale_longside", "zoom", "resize", "crop", "auto")
NETWORKS = [
    *("--netG", "resnet_4blocks", "--netD", "n_layers", "--n_layers_D", "2", "--ngf", "4", "--ndf", "4"),
    *("--gpu_ids", "-1", "--num_threads", "0"),
]


def build(model, *argv):
    if model in ("cycle_gan", "dcl", "simdcl"):
        return test_two_sided.build(model, *argv)
    return test_cut.build("--model", model, *argv)


def unequal(B=1, seed=0):
    """A wide and low, B small and high."""
    generator = torch.Generator().manual_seed(seed)
    A, B_ = (torch.rand(B, 3, *size, generator=generator) * 2 - 1 for size in ((20, 48), (36, 24)))
    return {"A": A, "B": B_, "A_paths": ["a.png"] * B, "B_paths": ["b.png"] * B}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Noise, of four sizes on each side; a test of two pictures."""
    root, random = tmp_path_factory.mktemp("unequal"), np.random.default_rng(0)
    for side, sizes in (("A", [(60, 40), (40, 56), (33, 33), (52, 64)]), ("B", [(41, 47), (64, 30), (36, 36)])):
        for folder, count in ((f"train{side}", None), (f"test{side}", 2)):
            (root / folder).mkdir()
            for i, size in enumerate(sizes[:count]):
                pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize(size).save(root / folder / f"{i}.png")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("model,preprocess", itertools.product(METHODS, PREPROCESS))
def test_every_method_trains_with_every_preprocess(photographs, tmp_path, model, preprocess):
    heads = [] if model == "cycle_gan" else ["--netF_nc", "8", "--num_patches", "16", "--nce_layers", "0,4,8"]
    words = ["--model", model, "--dataroot", photographs, "--checkpoints_dir", tmp_path / "checkpoints", *NETWORKS]
    words += ["--name", "run", "--preprocess", preprocess, "--load_size", 48, "--crop_size", 44, "--batch_size", 1]
    words += ["--dataset_mode", "unaligned", "--n_epochs", 1, "--n_epochs_decay", 0, "--print_freq", 1, *heads]
    words += ["--max_dataset_size", 2]
    assert train_script.main([str(w) for w in words]) == 0
    lines = [r for r in records(tmp_path) if "G" in r or "G_A" in r]
    assert len(lines) == 2 and all(np.isfinite(value) for line in lines for value in line.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        *METHODS,
        "cut --gan_mode wgangp",
        "cut --normG batch",
        "cut --no_dropout false --flip_equivariance",
        "cut --negatives queue --queue_size 40",
        "sincut --nce_idt false",
        "cycle_gan --pool_size 2",
        "cycle_gan --gan_mode wgangp",
        "dcl --gan_mode wgangp --pool_size 2",
        "simdcl --normG batch",
        "simdcl --num_patches 0",
    ],
)
@pytest.mark.parametrize("size", [1, 2], ids=["one", "two"])
def test_sides_of_unequal_sizes_train(argv, size):
    more = ["--netD", "n_layers", "--batch_size"]
    model, engine = build(*argv.split(), *more, str(size))
    for i in range(3):
        flipped = unequal(size, seed=i)
        if i == 1:  # what is kept from step to step, of a pool, meets another size
            flipped = flipped | {"A": flipped["B"], "B": flipped["A"]}
        step(model, engine, flipped)
    assert engine.finite
    for name, image in model.get_current_visuals().items():
        source = model.real_B if model.visual_sides.get(name, "A") == "B" else model.real_A
        assert image.shape == source.shape, name


@pytest.mark.parametrize("argv", [(), ("--normG", "batch"), ("--flip_equivariance", "true")], ids=str)
def test_cut_computes_of_each_side_what_it_is_alone(argv):
    """Keys and the identity image of B do not depend on whether A shared the pass."""
    model, engine = test_cut.build(*argv)
    data = unequal()
    with engine.step(model):
        model.set_input(data)
        model.forward()
        mirrored = model.flipped
        expected = model.netG(data["B"].flip(3) if mirrored else data["B"])
        torch.testing.assert_close(model.idt_B, expected)
        for side in "AB":
            for kept, own in zip(getattr(model, f"keys_{side}"), model.encode(model.netG, data[side]), strict=True):
                torch.testing.assert_close(kept, own)


def test_one_size_shares_a_pass_and_two_do_not():
    model, engine = test_cut.build("--lambda_NCE", "0")
    calls = []
    model.netG.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    step(model, engine, test_cut.batch())
    step(model, engine, unequal())
    assert calls == [2, 1, 1]


@pytest.mark.parametrize("side", "AB")
def test_networks_of_one_size_refuse_either_side(side):
    one = {"A": torch.zeros(1, 3, 32, 32), "B": torch.zeros(1, 3, 32, 32)} | {side: torch.zeros(1, 3, 32, 24)}
    model, _ = test_cut.build("--netD", "stylegan2")
    with pytest.raises(UserError, match="judges 32 x 32 pixels, the data have 32 x 24"):
        model.set_input(one)
    model, _ = test_two_sided.build("cycle_gan", "--netG", "unet_128", "--crop_size", "128", "--load_size", "128")
    with pytest.raises(UserError, match=f"--netG unet_128 .* 128 parts, and {side} has 24 x 32 .* multiple of 128"):
        model.set_input({other: torch.zeros(1, 3, 128, 128) for other in "AB"} | {side: torch.zeros(1, 3, 32, 24)})
