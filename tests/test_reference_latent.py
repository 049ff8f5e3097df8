"""The numbers of the code of methods from noise: recordings of tests/golden_zoo, or of DIPTYCH_GOLDEN_ZOO's folder.

The rest of that folder is the subject of tests/test_reference_zoo.py.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from models.losses import relativistic, zero_centred
from models.noise.published_r3gan import renamed_discriminator
from networks import diff_augment
from networks.discriminator import Discriminator
from networks.r3gan import R3GANGenerator
from networks.r3gan_discriminator import R3GANHead, R3GANTrunk
from tests import safetensors
from tests.reference import close, load
from tests.reference_latent import Given
from tests.test_reference_zoo import LATENT

FOLDER = Path(os.environ.get("DIPTYCH_GOLDEN_ZOO") or Path(__file__).parent / "golden_zoo")
INDEX = {
    name: entry for name, entry in json.loads((FOLDER / "index.json").read_text()).items() if entry["method"] in LATENT
}
STABLE = ("adc", "bcr", "icr", "cr", "zcr")
TESTED = {("generator", "r3gan"), ("discriminator", "r3gan"), ("latent_loss", "r3gan")}
TESTED |= {("augmentation", "cr"), *(("latent_loss", method) for method in STABLE)}
TIGHT = 1e-6


def of_kind(kind, *methods):
    names = [n for n, e in INDEX.items() if e["kind"] == kind and e["method"] in methods]
    return pytest.mark.parametrize("entry,tensors", [(INDEX[n], n) for n in names], ids=names, indirect=["tensors"])


@pytest.fixture
def tensors(request):
    return safetensors.load(FOLDER / f"{request.param}.safetensors")


def test_every_recording_has_a_test():
    assert {(e["kind"], e["method"]) for e in INDEX.values()} <= TESTED


# ---- R3GAN -----------------------------------------------------------------------------------------------------------


def structure(entry):
    return {
        "widths": entry["WidthPerStage"],
        "groups": entry["CardinalityPerStage"],
        "blocks": entry["BlocksPerStage"],
        "expansion": entry["ExpansionFactor"],
    }


@of_kind("generator", "r3gan")
def test_r3gan_generator(entry, tensors):
    y = tensors["out.y"]
    classes = entry["ConditionDimension"] or 0
    facts = (tuple(y.shape[2:]), y.shape[1], classes, entry["NoiseDimension"])
    G = R3GANGenerator(*facts, **structure(entry), embedding=entry["ConditionEmbeddingDimension"])
    load(G, tensors).double()
    weights = tensors["in.c"].double() if classes else None
    close(G(tensors["in.x"].double(), weights), y, TIGHT)


@of_kind("discriminator", "r3gan")
def test_r3gan_discriminator(entry, tensors):
    x, classes = tensors["in.x"].double(), entry["ConditionDimension"] or 0
    trunk = R3GANTrunk(tuple(x.shape[2:]), x.shape[1], **structure(entry))
    D = Discriminator(trunk, {"logit": R3GANHead(trunk.features, classes, entry["ConditionEmbeddingDimension"])})
    D.load_state_dict(renamed_discriminator(safetensors.under(tensors, "state.")), strict=True)
    weights = tensors["in.c"].double() if classes else None
    close(D.double()(x, ("logit",), weights)["logit"], tensors["out.y"].flatten(), TIGHT)


@of_kind("latent_loss", "r3gan")
def test_r3gan_losses(entry, tensors):
    layers = []
    for c, out in zip((tensors["in.real"].shape[1], *entry["widths"]), entry["widths"], strict=False):
        layers += [nn.Conv2d(c, out, 3, 2, 1), nn.LeakyReLU(0.2)]
    head = nn.Linear(len(tensors[f"state.{len(layers) + 1}.weight"][0]), 1)
    D = load(nn.Sequential(*layers, nn.Flatten(), head), tensors).double()
    real, fake = (tensors[name].double().requires_grad_() for name in ("in.real", "in.fake"))
    of_real, of_fake = D(real).squeeze(1), D(fake).squeeze(1)
    each = relativistic(of_real, of_fake, reduction="none")
    close(of_real - of_fake, tensors["out.D.logits"], TIGHT)
    close(each, tensors["out.D.loss"], TIGHT)
    kinds = ((real, of_real), (fake, of_fake))
    penalties = [zero_centred(images, logits, reduction="none") for images, logits in kinds]
    for ours, name in zip(penalties, ("R1", "R2"), strict=True):
        close(ours, tensors[f"out.D.{name}"], TIGHT)
    total = (each + entry["gamma"] / 2 * sum(penalties)).mean()
    assert total.item() == pytest.approx(entry["D"], rel=TIGHT)
    for (name, _), gradient in zip(
        D.named_parameters(), torch.autograd.grad(total, list(D.parameters()), retain_graph=True), strict=True
    ):
        if tensors[f"out.D.grad.{name}"].abs().max() > 1e-12:
            close(gradient, tensors[f"out.D.grad.{name}"], TIGHT)
        else:
            assert gradient.abs().max() < 1e-12
    each = relativistic(of_fake, of_real, reduction="none")
    close(each, tensors["out.G.loss"], TIGHT)
    assert each.mean().item() == pytest.approx(entry["G"], rel=TIGHT)
    (gradient,) = torch.autograd.grad(each.mean(), fake)
    close(gradient, tensors["out.G.grad_fake"], TIGHT)


# ---- ADC and consistency: the losses of the methods themselves, given D's answers ------------------------------------


@of_kind("latent_loss", *STABLE)
def test_whole_losses_and_their_gradients(entry, tensors, monkeypatch):
    given = Given(entry, tensors, monkeypatch)
    for of in "DG":
        loss = given.loss(of)
        assert loss.item() == pytest.approx(entry[of], rel=TIGHT)
        gradients = torch.autograd.grad(loss, list(given.inputs.values()), allow_unused=True)
        for name, gradient in zip(given.inputs, gradients, strict=True):
            published = tensors.get(f"out.{of}_grad.{name}")
            if published is None or published.abs().max() < 1e-12:
                assert gradient is None or gradient.abs().max() < 1e-12, name
            else:
                close(gradient, published, TIGHT)


@of_kind("augmentation", "cr")
def test_mirrored_and_moved(entry, tensors, monkeypatch):
    """Draws that lead to the recorded ones: the middle of each interval."""
    x = tensors["in.x"].double()
    draws = [(tensors[f"in.shift_{way}"] + size // 8 + 0.5) / (2 * (size // 8) + 1) for way, size in sides(x)]
    flips = torch.where(tensors["in.flip"] == 1, 0.25, 0.75)
    monkeypatch.setattr(diff_augment.torch, "rand", lambda *shape, device: torch.stack([*draws, flips]))
    assert torch.equal(diff_augment.shift_and_flip(x), tensors["out.x"])


def sides(x):
    return zip(("rows", "columns"), x.shape[2:], strict=True)
