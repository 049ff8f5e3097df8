"""R3GAN: pairs, penalties of what D sees, what anneals, with classes and without."""

import math
from types import SimpleNamespace

import pytest
import torch

from models import MODELS
from models.losses import dual_D, relativistic, relativistic_levels, zero_centred
from models.noise.presets import R3GAN
from options import UserError
from tests.conftest import train_options
from tests.models.test_base_latent import TINY, batch, prepared, take

OWN = ("--netG", "r3gan", "--netD", "r3gan")


def test_pairs_of_equal_logits_are_at_chance_and_which_fake_is_whose_counts():
    real, fake = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.3, 0.7, -2.0])
    assert relativistic(real, real).item() == pytest.approx(math.log(2)) == relativistic_levels()["chance"]
    assert relativistic(real, fake).item() != pytest.approx(relativistic(real, fake.flip(0)).item())
    loop = sum(math.log1p(math.exp(f - r)) for r, f in zip(real.tolist(), fake.tolist(), strict=True)) / 3
    assert relativistic(real, fake).item() == pytest.approx(loop)
    assert dual_D(real[:1], fake[:1]).item() == pytest.approx(2 * relativistic(real[:1], fake[:1]).item())


def test_the_penalty_of_a_linear_discriminator_is_the_square_of_its_weights():
    w, images = torch.randn(3, 4, 4), torch.randn(5, 3, 4, 4, requires_grad=True)
    logits = (images * w).sum((1, 2, 3))
    each = zero_centred(images, logits, reduction="none")
    torch.testing.assert_close(each, w.square().sum().expand(5))
    assert zero_centred(images, logits).item() == pytest.approx(w.square().sum().item())


@pytest.mark.parametrize("flags", [(), ("--augment_D", "flip,translation")])
def test_penalties_are_of_images_as_D_sees_them(flags):
    """As of a D with the augmentation inside it, whose draws are those of the logits."""
    model, _ = prepared("r3gan", *flags, "--lambda_r1", 3, "--lambda_r2", 5)
    model.set_input(batch(0))
    model.forward()
    torch.manual_seed(1)
    losses = model.discriminator_losses()
    torch.manual_seed(1)
    for name, images, y, weight in (("D_r1", model.real, model.y, 3), ("D_r2", model.fake, model.fake_y, 5)):
        images = images.detach().requires_grad_()
        logits = model.netD(model.stabilizers.augment(images), ("logit",), y)["logit"]
        assert losses[name].item() == pytest.approx(weight / 2 * zero_centred(images, logits).item(), rel=1e-5)


def test_a_pair_is_of_one_class():
    """As published, where the classes of real images are those of the fakes that they are compared with."""
    model, _ = prepared("r3gan")
    model.set_input(batch(0))
    model.forward()
    assert torch.equal(model.fake_y, model.y)


def test_the_vector_of_a_class_is_as_wide_as_the_last_map():
    """And not as the many numbers of a map that a trunk flattens, whose square the layer before it would be."""
    model, _ = prepared("r3gan")
    trunk, head = model.netD.trunk, model.netD.heads["logit"]
    assert head.linear.weight.shape == (trunk.local_channels, trunk.features) and trunk.features == 512
    assert head.embedding.weight.shape == (32, 3)


def test_what_anneals_is_half_way_at_half_of_its_images():
    flags = ("--anneal_images", 48, "--lr_policy", "cosine", "--lr", 4e-4, "--lr_D", 8e-4, "--lr_min", 1e-4)
    flags += (
        "--lambda_r1",
        1,
        "--lambda_r2",
        1,
        "--beta2",
        0.9,
        "--beta2_end",
        0.99,
        "--anneal_r",
        0.1,
        "--ema_half_life",
        1000,
    )
    flags += ("--augment_D", "color", "--augment_p_from", 0, "--augment_p", 0.5)
    model, engine = prepared("r3gan", *flags)
    seen = []
    for step in range(6):
        take(model, engine, step)
        group = model.optimizers["D"].param_groups[0]
        seen.append((group["lr"], group["betas"][1], model.weights["r2"]))
    assert seen[0] == pytest.approx((8e-4, 0.9, 0.5)) and seen[2] == pytest.approx((4.5e-4, 0.945, 0.275))
    assert seen[4] == seen[5] == pytest.approx((1e-4, 0.99, 0.05))
    assert model.stabilizers.annealed(*model.stabilizers.p) == pytest.approx(0.5)
    average, weight = torch.zeros(3), torch.ones(3)
    engine.half_life()([average], [weight], 1)  # 12 images of a half-life of 1000
    torch.testing.assert_close(average, torch.full((3,), 1 - 0.5 ** (12 / 1000)))


@pytest.mark.parametrize("flags", [(), OWN])
def test_without_classes_nobody_is_told_one(flags):
    model, _ = prepared("r3gan", *flags, "--class_told", "false", steps=1)
    assert model.fake_y is None and model.fixed_y is None and model.netD.heads["logit"].embedding is None
    opt = train_options("--model", "r3gan", *TINY, "--class_told", "false")
    MODELS.find("r3gan")(opt).see_data(SimpleNamespace(classes=("a",), channels=1, mirrors=False))
    with pytest.raises(UserError, match="--class_told false"):
        opt = train_options("--model", "r3gan", *TINY)
        MODELS.find("r3gan")(opt).see_data(SimpleNamespace(classes=("a",), channels=1, mirrors=False))


def test_the_published_settings_are_a_preset():
    opt = train_options("--model", "r3gan", "--preset", "official", "--dataroot", "x", "--source", "cifar10")
    assert {name: getattr(opt, name) for name in R3GAN} == R3GAN
    model = MODELS.find("r3gan")(opt)
    with torch.device("meta"):
        model.see_data(SimpleNamespace(classes=tuple("0123456789"), channels=3, mirrors=True))
    G, head = model.netG, model.netD.heads["logit"]
    assert [stage.Layers[1].LinearLayer2.Layer.groups for stage in G.MainLayers] == [96] * 4
    assert head.linear.weight.shape == (768, 768) and G.EmbeddingLayer.weight.shape == (64, 10)
