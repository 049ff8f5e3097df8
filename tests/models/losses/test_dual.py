"""The dual contrastive loss: its value, who moves which way, and where a gradient is left."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import DUAL_G, dual_D, dual_G, dual_levels
from tests.models.losses.processes import assert_processes_are_one, normal


def logits(B=5, dtype=torch.float64):
    return normal(B, seed=1, dtype=dtype), normal(B, seed=2, dtype=dtype)


def loop(real, fake):
    real, fake = real.tolist(), fake.tolist()
    reals = [math.log(1 + sum(math.exp(f - r) for f in fake)) for r in real]
    fakes = [math.log(1 + sum(math.exp(f - r) for r in real)) for f in fake]
    return sum(reals) / len(reals) + sum(fakes) / len(fakes)


def test_both_players_are_the_formula():
    real, fake = logits()
    assert dual_D(real, fake).item() == pytest.approx(loop(real, fake), rel=1e-12)
    assert dual_D(real, fake[:3]).item() == pytest.approx(loop(real, fake[:3]), rel=1e-12)
    assert dual_G(real, fake).item() == pytest.approx(loop(fake, real), rel=1e-12)
    assert dual_G(real, fake, "minimax").item() == pytest.approx(-loop(real, fake), rel=1e-12)
    ns = sum(math.log(1 + math.exp(-f)) for f in fake.tolist()) / 5
    assert dual_G(real, fake, "ns").item() == pytest.approx(ns, rel=1e-12)


def test_it_is_two_cross_entropies_of_one_among_many():
    real, fake = logits()
    first = torch.zeros(5, dtype=torch.long)
    reals = torch.cat([real[:, None], fake.expand(5, 5)], 1)
    fakes = torch.cat([-fake[:, None], -real.expand(5, 5)], 1)
    expected = F.cross_entropy(reals, first) + F.cross_entropy(fakes, first)
    assert dual_D(real, fake).item() == pytest.approx(expected.item(), rel=1e-12)


def test_equal_logits_give_the_chance_level():
    for B in (1, 7):
        same = torch.full((B,), 0.3)
        expected = 2 * math.log(B + 1)
        assert dual_D(same, same).item() == pytest.approx(expected, rel=1e-6)
        assert dual_G(same, same).item() == pytest.approx(expected, rel=1e-6)
        assert dual_levels(B)["chance"] == pytest.approx(expected)
    apart = torch.full((7,), 60.0)
    assert dual_D(apart, -apart).item() == pytest.approx(dual_levels(7)["floor"], abs=1e-6)


def test_one_image_of_each_kind_is_the_relativistic_loss():
    real, fake = logits(1)
    assert dual_D(real, fake).item() == pytest.approx(2 * F.softplus(fake - real).item(), rel=1e-12)


def test_only_differences_count_and_no_order():
    real, fake = logits()
    assert dual_D(real + 3, fake + 3).item() == pytest.approx(dual_D(real, fake).item(), rel=1e-12)
    assert dual_D(real.flip(0), fake.roll(2)).item() == pytest.approx(dual_D(real, fake).item(), rel=1e-12)


def test_the_players_pull_in_opposite_directions():
    real, fake = (x.requires_grad_() for x in logits())
    of_real, of_fake = torch.autograd.grad(dual_D(real, fake), (real, fake))
    assert (of_real < 0).all() and (of_fake > 0).all()
    for kind in DUAL_G:
        of_real, of_fake = torch.autograd.grad(dual_G(real, fake, kind), (real, fake), allow_unused=True)
        assert of_real is None and (of_fake < 0).all()


@pytest.mark.parametrize("gap", [0.0, 5.0, 15.0])
def test_the_gradient_of_the_minimax_vanishes_when_D_wins(gap):
    B = 40
    total = {}
    for kind in DUAL_G:
        fake = torch.full((B,), -gap / 2, dtype=torch.float64, requires_grad=True)
        dual_G(torch.full_like(fake, gap / 2), fake, kind).backward()
        total[kind] = fake.grad.abs().sum().item()
    # Each half is log(1 + B e^-gap), of slope B / (B + e^gap); exchanged, B / (B + e^-gap).
    assert total["minimax"] == pytest.approx(2 * B / (B + math.exp(gap)), rel=1e-9)
    assert total["swap"] == pytest.approx(2 * B / (B + math.exp(-gap)), rel=1e-9)
    assert total["ns"] == pytest.approx(1 / (1 + math.exp(-gap / 2)), rel=1e-9)
    if gap == 15:
        assert total["minimax"] < 1e-4 and total["swap"] == pytest.approx(2, abs=1e-3)


def test_far_logits_and_half_precision_are_finite():
    for sign in (1, -1):
        real = torch.full((4,), 200.0 * sign, requires_grad=True)
        fake = torch.full((4,), -200.0 * sign, requires_grad=True)
        value = dual_D(real, fake) + dual_G(real, fake)
        value.backward()
        assert value.isfinite() and real.grad.isfinite().all() and fake.grad.isfinite().all()
    real, fake = logits()
    with torch.autocast("cpu", torch.bfloat16):
        for loss in (dual_D, *(functools.partial(dual_G, kind=kind) for kind in DUAL_G)):
            low = loss(real.bfloat16(), fake.bfloat16())
            assert low.dtype == torch.float32
            assert low.item() == pytest.approx(loss(real, fake).item(), rel=0.01)  # inputs rounded to 2^-9


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match=r"'saturating'.*swap"):
        dual_G(*logits(), "saturating")


@pytest.mark.parametrize("criterion", [dual_D, dual_G])
def test_two_processes_have_the_gradient_of_one(criterion, tmp_path):
    def loss(weight, rows, gather):
        real, fake = rows
        return criterion(gather(real @ weight), gather(fake @ weight))

    assert_processes_are_one(loss, normal(3), [normal(6, 3, seed=1), normal(6, 3, seed=2)], tmp_path)
