"""The numbers of the code of methods from noise: recordings of tests/golden_zoo, or of DIPTYCH_GOLDEN_ZOO's folder.

The rest of that folder is the subject of tests/test_reference_zoo.py.
"""

import json
import os
from pathlib import Path

import pytest
import torch

from networks import diff_augment
from tests import safetensors
from tests.reference import close
from tests.reference_latent import Given

FOLDER = Path(os.environ.get("DIPTYCH_GOLDEN_ZOO") or Path(__file__).parent / "golden_zoo")
STABLE = ("adc", "bcr", "icr", "cr", "zcr")
INDEX = {
    name: entry for name, entry in json.loads((FOLDER / "index.json").read_text()).items() if entry["method"] in STABLE
}
TESTED = {*(("latent_loss", method) for method in STABLE), ("augmentation", "cr")}
TIGHT = 1e-6


def of_kind(kind, *methods):
    names = [n for n, e in INDEX.items() if e["kind"] == kind and e["method"] in methods]
    return pytest.mark.parametrize("entry,tensors", [(INDEX[n], n) for n in names], ids=names, indirect=["tensors"])


@pytest.fixture
def tensors(request):
    return safetensors.load(FOLDER / f"{request.param}.safetensors")


def test_every_recording_has_a_test():
    assert {(e["kind"], e["method"]) for e in INDEX.values()} <= TESTED


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
