"""bCR and zCR: whose answers are compared, what is drawn for it and when; recorded numbers: test_reference_latent."""

from types import SimpleNamespace

import pytest
import torch

from models.noise import stabilizers
from models.noise.stabilizers import Stabilizers
from options import UserError
from tests.conftest import train_options
from tests.models.test_base_latent import METHODS, prepared

ICR = ("--lambda_CR", 10, "--lambda_CR_fake", 10, "--lambda_zCR", 20, "--lambda_zCR_G", 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_all_four_terms(name):
    more = ("--adc",) if name == "acgan" else ()
    model, _ = prepared(name, *ICR, *more, steps=2)
    values = {term: value.item() for term, value in model.losses.items()}
    assert min(values[term] for term in ("D_CR", "D_CR_fake", "D_zCR")) > 0 > values["G_zCR"]
    assert all(torch.isfinite(p).all() for p in model.parameters())


def seen(model, which):
    """What calls of a network were given, from now on."""
    calls, network = [], model.networks[which]
    network.register_forward_pre_hook(lambda _, args: calls.append(args))
    return calls


@pytest.mark.parametrize(("name", "wanted"), [("acgan", "classes"), ("contragan", "embedding"), ("sngan", None)])
def test_the_discriminator_is_asked_of_fakes_what_is_compared(name, wanted):
    model, engine = prepared(name, "--lambda_zCR", 20)
    asked = seen(model, "D")
    with engine.step(model):
        model.set_input(batch_of(0))
        model.optimize_parameters()
    of_fakes, of_near = asked[1][1], asked[2][1]
    assert set(of_fakes) == set(of_near) == {"logit", *filter(None, [wanted])}


def batch_of(step):
    random = torch.Generator().manual_seed(step)
    label = torch.randint(3, (12,), generator=random)
    return {"image": torch.randn(12, 1, 32, 32, generator=random), "label": label, "image_paths": []}


def test_noise_is_moved_by_the_radius_and_the_class_stays():
    model, engine = prepared("biggan", "--lambda_zCR", 20, "--zCR_radius", 0.2, "--z_dim", 512)
    drawn = seen(model, "G")
    with engine.step(model):
        model.set_input(batch_of(0))
        model.optimize_parameters()
    (z, y), (moved, same) = drawn
    assert torch.equal(y, same) and (moved - z).std().item() == pytest.approx(0.2, rel=0.05)
    assert torch.corrcoef(torch.stack([(moved - z).flatten(), z.flatten()]))[0, 1].abs() < 0.05


@pytest.mark.parametrize(
    ("flags", "passes"),
    [
        (("--lambda_zCR_G", 0.5), [1, 2, 1, 2]),  # no images for a term that is G's alone before its turn
        (("--lambda_zCR", 20), [2, 2, 2, 2]),
        (("--lambda_CR_fake", 10), [1, 1, 1, 1]),
        (("--lambda_zCR_G", 0.5, "--fresh_fakes"), [1, 3, 1, 3]),
        ((), [1, 1, 1, 1]),
    ],
)
def test_moved_noise_becomes_images_where_they_are_needed(flags, passes):
    model, engine = prepared("sngan", "--n_dis", 2, *flags)
    drawn, counts = seen(model, "G"), []
    for step in range(4):
        drawn.clear()
        with engine.step(model):
            model.set_input(batch_of(step))
            model.optimize_parameters()
        counts.append(len(drawn))
    assert counts == passes


@pytest.mark.parametrize("mirrors", [True, False])
def test_fakes_are_mirrored_where_their_class_survives_it(mirrors, monkeypatch):
    flags = ("--lambda_CR", 1, "--lambda_CR_fake", 1, "--gpu_ids", -1)
    opt = train_options("--model", "sngan", *flags)
    told = []
    monkeypatch.setattr(stabilizers, "shift_and_flip", lambda x, flip: told.append(flip) or x)
    stable, images = Stabilizers(opt, mirror=mirrors), torch.ones(2, 1, 4, 4)
    model = SimpleNamespace(ask=lambda x, want, y: {"logit": x.mean((1, 2, 3)) + 1}, gather=lambda x: x)
    answers = {"logit": torch.ones(2)}
    assert stable.terms_of_fakes(model, images, None, None, answers)["D_CR_fake"].item() == 1
    assert stable.terms(model, images, None, answers, torch.ones(2))["D_CR"].item() == 1
    assert told == [mirrors, mirrors]


def test_terms_of_halves_are_those_of_the_batch():
    """A mean over images: --accumulate and several processes have the terms of the whole batch."""
    opt = train_options("--model", "sngan", "--lambda_zCR", 20, "--lambda_zCR_G", 0.5, "--gpu_ids", -1)
    stable, random = Stabilizers(opt, mirror=False), torch.Generator().manual_seed(0)
    images, near = torch.randn(2, 8, 1, 4, 4, generator=random)
    model = SimpleNamespace(ask=lambda x, want, y: {"logit": x.sum((1, 2, 3))})

    def terms(rows):
        fake = {"logit": images[rows].sum((1, 2, 3))}
        losses = stable.terms_of_fakes(model, images[rows], near[rows], None, fake)
        return torch.stack([*losses.values(), *stable.terms_G(images[rows], near[rows]).values()])

    halves = [terms(slice(0, 4)), terms(slice(4, 8))]
    torch.testing.assert_close(terms(slice(0, 8)), sum(halves) / 2)
    assert terms(slice(0, 8))[0] > 0 > terms(slice(0, 8))[1] == -0.5 * (images - near).square().mean()


def test_values_in_half_precision_are_near_those_in_full():
    losses = {}
    for precision in ("fp32", "bf16"):
        model, engine = prepared("contragan", *ICR, "--adc", "--precision", precision)
        with engine.step(model):
            model.set_input(batch_of(0))
            model.optimize_parameters()
        losses[precision] = {term: value.item() for term, value in model.losses.items()}
        assert all(value.dtype == torch.float32 for value in model.losses.values())
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.2, abs=0.02)


def test_a_radius_without_zcr_is_refused():
    with pytest.raises(UserError, match=r"--zCR_radius 0\.1: .*neither is given"):
        train_options("--model", "sngan", "--zCR_radius", 0.1)
