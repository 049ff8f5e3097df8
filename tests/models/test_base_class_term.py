"""The class term of D and G, and ADC, which gives D each class twice; recorded numbers: test_reference_latent."""

import math

import pytest
import torch

from options import UserError
from tests.conftest import train_options
from tests.models.losses.processes import assert_processes_are_one, normal
from tests.models.test_base_latent import batch, prepared

WITH_ADC = ("acgan", "contragan", "reacgan")
C = 3  # classes of what `prepared` sees


@pytest.mark.parametrize(
    ("name", "flags"), [("acgan", ()), ("contragan", ()), ("contragan", ("--contra_pool", "fakes")), ("reacgan", ())]
)
def test_a_discriminator_that_tells_nothing_apart_is_at_chance(name, flags):
    """All cosines 0, all logits equal; the levels are of classes drawn alike, and so are these."""
    N = 300
    model, _ = prepared(name, "--adc", "--batch_size", N, *flags)
    model.y = model.fake_y = torch.arange(N) % C
    axes = torch.eye(2 * N + 2)
    proxies = axes[None, -2:].expand(N, -1, -1)
    real, fake = ({"embedding": axes[k : k + N], "proxy": proxies, "classes": torch.zeros(N, 2 * C)} for k in (0, N))
    model.known_of_reals = lambda *want: real
    losses, levels = model.terms_D(real, fake) | model.terms_G(fake), model.loss_levels
    assert losses["D_cond"].item() == pytest.approx(levels["D_cond"]["chance"], rel=0.01)
    assert losses["G_cond"].item() == pytest.approx(levels["G_cond"]["chance"], rel=0.01, abs=1e-6)
    pools = name == "contragan" and not flags
    assert levels["G_cond"]["chance"] == (pytest.approx(math.log(0.5), rel=0.01) if pools else 0)
    if name == "acgan":
        assert losses["D_cond"].item() == pytest.approx(2 * math.log(2 * C))
    assert levels["D_cond"]["floor"] < levels["D_cond"]["chance"]
    assert "floor" not in levels["G_cond"]  # AC-GAN's falls without end


@pytest.mark.parametrize("name", WITH_ADC)
def test_the_generator_is_drawn_to_real_and_away_from_generated_images_of_the_class(name):
    """D knows nothing but whether an image is real: the better it looks so, the lower G's term, the higher D's."""
    model, _ = prepared(name, "--adc", *(("--contra_pool", "fakes") if name == "contragan" else ()))
    model.fake_y = model.y = torch.arange(12) % C
    both = torch.eye(2).expand(12, 2, 2)  # proxies of real and of generated images

    def answers(real):
        logits = torch.zeros(12, C, 2)
        logits[..., 0 if real else 1] = 4.0
        embedding = both[:, 0 if real else 1]
        return {"classes": logits.flatten(1), "embedding": embedding, "proxy": both}

    G = {real: model.terms_G(answers(real))["G_cond"].item() for real in (True, False)}
    D = {real: model.terms_D(answers(True), answers(real))["D_cond"].item() for real in (True, False)}
    assert G[True] < 0 < G[False] and G[True] == pytest.approx(-G[False]) and D[True] > D[False]


@pytest.mark.parametrize("name", WITH_ADC)
def test_heads_have_each_class_twice_and_a_step_of_each_player_is_taken(name):
    model, _ = prepared(name, "--adc", steps=2)
    heads = {key: value for key, value in model.netD.state_dict().items() if "proxy" in key or "classes" in key}
    assert {len(value) for key, value in heads.items() if key.endswith(("original", "bias"))} == {2 * C}
    assert {"D_cond", "G_cond"} <= set(model.losses) and all(torch.isfinite(p).all() for p in model.parameters())
    model.set_input(batch(0))
    model.forward()
    term = model.generator_losses()["G_cond"]
    gradients = torch.autograd.grad(term, list(model.netG.parameters()), allow_unused=True)
    assert sum(g.abs().sum().item() for g in gradients if g is not None) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_ADC)
def test_two_processes_contrast_the_whole_batch(name, tmp_path):
    model, _ = prepared(name, "--adc")
    y, fake_y = torch.arange(8) % C, torch.arange(8) % 2

    def loss(weight, rows, gather):
        *images, model.y, model.fake_y = rows
        model.gather = gather
        real, fake = (
            {"embedding": x, "proxy": weight.unflatten(0, (C, 2))[y], "classes": x @ weight.T}
            for x, y in zip(images, (model.y, model.fake_y), strict=True)
        )
        model.known_of_reals = lambda *want: real
        return model.terms_D(real, fake)["D_cond"] + model.terms_G(fake)["G_cond"]

    rows = [normal(8, 5, seed=1), normal(8, 5, seed=2), y, fake_y]
    if name == "acgan":  # of each image by itself: the mean of two means is the mean
        whole, *parts = (
            loss(normal(2 * C, 5), some, lambda x: x) for some in (rows, *zip(*(x.chunk(2) for x in rows), strict=True))
        )
        assert whole.item() == pytest.approx(sum(parts).item() / 2, rel=1e-12)
        return
    assert_processes_are_one(loss, normal(2 * C, 5), rows, tmp_path)


@pytest.mark.parametrize(
    ("name", "flags", "word"),
    [
        ("contragan", ("--contra_form", "tutorial"), "--adc --contra_form tutorial: has no proxies"),
        ("contragan", ("--contra_form", "supcon"), "--adc --contra_form supcon: has no proxies"),
        ("reacgan", ("--lambda_cond", 0), "--adc with --lambda_cond 0"),
        ("acgan", ("--lambda_cond", 0, "--lambda_cond_G", 0), "--adc with --lambda_cond 0"),
    ],
)
def test_what_adc_cannot_mean_is_refused(name, flags, word):
    with pytest.raises(UserError, match=word):
        train_options("--model", name, "--adc", *flags)


@pytest.mark.parametrize("name", WITH_ADC)
def test_the_published_settings_of_adc(name):
    """StudioGAN's files for CIFAR-10: those without it, and ADC."""
    adc, plain = (vars(train_options("--model", name, "--preset", preset)) for preset in ("adc", "official"))
    assert {key for key in adc if adc[key] != plain[key]} == {"adc", "preset"} and adc["adc"]
    settings = [adc.get(key) for key in ("lambda_cond", "tau", "margin", "batch_size")]
    wanted = {"acgan": [1, None, None, 64], "contragan": [1, 1, None, 64], "reacgan": [0.5, 0.5, 0.98, 128]}
    assert settings == wanted[name]
