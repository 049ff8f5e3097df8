"""The numbers of the published code: every recording of tests/golden, or of the folder DIPTYCH_GOLDEN names."""

import json
import os
import shlex
from pathlib import Path

import pytest
import torch

import networks
from models.losses import gan_loss, patch_nce
from networks.heads import PatchSampler
from networks.stylegan2 import Noise
from tests import safetensors
from tests.reference import Steps, close, first_places, load

FOLDER = Path(os.environ.get("DIPTYCH_GOLDEN") or Path(__file__).parent / "golden")
INDEX = json.loads((FOLDER / "index.json").read_text())


def of_kind(kind):
    names = [name for name, entry in INDEX.items() if entry["kind"] == kind]
    return pytest.mark.parametrize("entry,tensors", [(INDEX[n], n) for n in names], ids=names, indirect=["tensors"])


@pytest.fixture
def tensors(request):
    return safetensors.load(FOLDER / f"{request.param}.safetensors")


@pytest.fixture(autouse=True)
def without_noise(monkeypatch):
    """StyleGAN2's generator draws noise in every pass, here and there; recordings can hold none of it."""
    monkeypatch.setattr(Noise, "forward", lambda self, x: x)


def test_every_kind_of_recording_is_covered():
    assert {e["kind"] for e in INDEX.values()} <= {
        "generator",
        "discriminator",
        "feature_head",
        "gan_loss",
        "patch_nce",
        "train_steps",
        "latent_weights",  # tests/models/noise/test_published_networks.py
    }


@of_kind("generator")
def test_generator(entry, tensors):
    arguments = {"norm": entry["normG"], "size": entry["crop_size"]} | entry
    G = load(networks.define("G", entry["netG"], **arguments), tensors)
    G.train(entry["mode"] == "train")
    taps = entry["nce_layers"]
    with torch.no_grad():
        close(G(tensors["in.x"]), tensors["out.y"])
        if taps:
            image, features = G(tensors["in.x"], taps)
            close(image, tensors["out.y"])
            for tap, feature, alone in zip(taps, features, G(tensors["in.x"], taps, encode_only=True), strict=True):
                close(feature, tensors[f"out.feat.{tap}"])
                close(alone, tensors[f"out.feat.{tap}"])


@of_kind("discriminator")
def test_discriminator(entry, tensors):
    arguments = {"norm": entry["normD"], "n_layers": entry["n_layers_D"], "size": entry["crop_size"]} | entry
    D = load(networks.define("D", entry["netD"], **arguments), tensors)
    D.train(entry.get("mode", "train") == "train")
    with torch.no_grad():
        close(D(tensors["in.x"]), tensors["out.y"])


@of_kind("feature_head")
def test_feature_head(entry, tensors):
    if entry["netF"] == "mapping":
        F = load(networks.define("F", "mapping", n_layers=entry["n_layers"]), tensors)
        close(F(tensors["in.x"]), tensors["out.y"])
        return
    features = [tensors[f"in.feat.{i}"] for i in range(len(safetensors.under(tensors, "in.feat.")))]
    ids = [tensors.get(f"in.ids.{i}") for i in range(len(features))]
    F = networks.define("F", entry["netF"], channels=[f.shape[1] for f in features], dim=entry["netF_nc"])
    for i, rows in enumerate(load(F, tensors)(features, ids)):
        close(rows.flatten(0, 1), tensors[f"out.{i}"])  # ours are (B, S, D)


@of_kind("gan_loss")
def test_gan_loss(entry, tensors):
    logits = tensors["in.prediction"]
    for name, published in safetensors.under(tensors, "out.").items():
        mode, answer = name.split(".")
        for for_D in (True, False):  # the published code has one function for both players
            samples = logits.split(1) if len(published) > 1 else [logits]
            ours = torch.stack([gan_loss(x, answer == "real", mode, for_D=for_D) for x in samples])
            close(ours, published)


@of_kind("patch_nce")
def test_patch_nce(entry, tensors):
    q, k = (tensors[f"in.{x}"].reshape(entry["batch"], entry["patches_per_image"], -1) for x in "qk")
    settings = {
        "per_image_negatives": {},
        "batch_negatives": {"across_batch": True},
        "dcl_cosine_batch_negatives": {"across_batch": True, "cosine": True},
    }
    for name, published in safetensors.under(tensors, "out.").items():
        close(patch_nce(q, k, entry["nce_T"], reduction="none", **settings[name]), published)
        close(patch_nce(q, k, entry["nce_T"], **settings[name]), published.mean())


def as_published(opt, losses):
    """Our losses are the terms that are summed; the published log has some of them before their factor 1/2."""
    halved = {
        "cut": {"D_real", "D_fake"} | ({"NCE", "NCE_Y"} if getattr(opt, "nce_idt", False) else set()),
        "cycle_gan": set(),
        "dcl": {"G_A", "G_B", "NCE1", "NCE2", "idt_A", "idt_B"},
    }
    mine = halved[{"fastcut": "cut", "sincut": "cut", "simdcl": "dcl"}.get(opt.model, opt.model)]
    return {name: value * (2 if name in mine else 1) for name, value in losses.items()}


@pytest.mark.slow
@of_kind("train_steps")
def test_training_steps(entry, tensors, monkeypatch):
    argv = [
        *shlex.split(entry["options"]),
        "--gan_mode",
        entry["gan_mode"],
        "--batch_size",
        str(entry["batch_size"]),
        "--crop_size",
        str(entry["crop_size"]),
        "--pool_size",
        str(entry["pool_size"]),
        "--init_gain",
        str(entry["init_gain"]),
    ]
    monkeypatch.setattr(PatchSampler, "sample_ids", first_places)
    steps = Steps(argv, tensors)
    for step in range(entry["steps"]):
        losses = steps.step(A=tensors["in.A"][step], B=tensors["in.B"][step])
        ours = as_published(steps.opt, losses)
        assert {k: ours.get(k) for k in entry["losses"][step]} == pytest.approx(entry["losses"][step], rel=1e-6)
        norms = {k: steps.norms.get(k) for k in entry["grad_norms"][step]}
        assert norms == pytest.approx(entry["grad_norms"][step], rel=1e-6)
    close(steps.model.fake_B, tensors["out.fake_B"])
    moved = {name: change for name, change in steps.moved().items() if name in entry["param_change"]}
    assert moved == pytest.approx(entry["param_change"], rel=1e-3)
