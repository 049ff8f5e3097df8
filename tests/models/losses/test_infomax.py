"""InfoMax-GAN's term against a slow loop and against closed forms."""

import math

import pytest
import torch

from models.losses import infomax_levels, infomax_nce
from tests.models.losses.processes import assert_processes_are_one, normal


def features(N=4, A=3, R=5, dtype=torch.float64):
    return normal(N, A, R, seed=1, dtype=dtype), normal(N, R, seed=2, dtype=dtype)


def loop(local, global_, paper):
    """The definition, a place at a time, with every row of the denominator written out."""
    N, A, _ = local.shape
    values = []
    for n in range(N):
        for i in range(A):
            positive = math.exp(float(local[n, i] @ global_[n]))
            others = [(m, j) for m in range(N) for j in range(A) if m != n or (paper and j != i)]
            everyone = positive + sum(math.exp(float(local[m, j] @ global_[n])) for m, j in others)
            values.append(-math.log(positive / everyone))
    return sum(values) / len(values)


@pytest.mark.parametrize("paper", [False, True])
def test_it_is_the_formula(paper):
    local, global_ = features()
    assert infomax_nce(local, global_, paper).item() == pytest.approx(loop(local, global_, paper), rel=1e-10)


def test_it_has_the_gradient_of_the_tensor_it_does_not_build():
    local, global_ = (x.requires_grad_() for x in features())
    N, A, _ = local.shape
    scores = torch.einsum("nr,mar->nma", global_, local)
    own = torch.eye(N, dtype=torch.bool)[:, :, None]
    others = scores.masked_fill(own, -torch.inf).flatten(1)[:, None].expand(N, A, N * A)
    logits = torch.cat([scores.diagonal().T[:, :, None], others], 2)  # (N, A, 1 + N A)
    expected = torch.autograd.grad(-logits.log_softmax(2)[:, :, 0].mean(), (local, global_))
    found = torch.autograd.grad(infomax_nce(local, global_), (local, global_))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_equal_scores_give_the_chance_level():
    same = torch.ones(6, 4, 3, dtype=torch.float64)
    for paper, expected in ((False, math.log(1 + 5 * 4)), (True, math.log(6 * 4))):
        assert infomax_nce(same, same[:, 0], paper).item() == pytest.approx(expected, rel=1e-12)
        assert infomax_levels(6, 4, paper)["chance"] == pytest.approx(expected, rel=1e-12)
    # At the published size of 64 images and 8 x 8 places the two forms nearly agree.
    assert infomax_levels(64, 64, True)["chance"] - infomax_levels(64, 64)["chance"] == pytest.approx(0.0155, abs=1e-4)


@pytest.mark.parametrize("paper", [False, True])
def test_places_that_tell_their_image_reach_the_floor(paper):
    own = 40 * torch.eye(6, dtype=torch.float64)
    value = infomax_nce(own[:, None].repeat(1, 4, 1), own, paper)
    assert value.item() == pytest.approx(infomax_levels(6, 4, paper)["floor"], abs=1e-9)


def test_places_of_the_same_image_do_not_compete():
    local, global_ = features(N=1)
    local = local.requires_grad_()
    value = infomax_nce(local, global_)
    value.backward()
    assert value.item() == 0 and torch.equal(local.grad, torch.zeros_like(local))
    assert infomax_nce(local, global_, paper=True) >= math.log(3)


@pytest.mark.parametrize("paper", [False, True])
def test_large_scores_and_half_precision_are_finite(paper):
    local, global_ = (30 * x for x in features(dtype=torch.float32))  # scores beyond exp's range
    local, global_ = local.bfloat16().requires_grad_(), global_.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = infomax_nce(local, global_, paper)
    value.backward()
    assert value.dtype == torch.float32 and local.grad.isfinite().all() and global_.grad.isfinite().all()
    exact = infomax_nce(local.detach().double(), global_.detach().double(), paper)
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    gentle = [x / 30 for x in (local.detach(), global_.detach())]
    low, high = infomax_nce(*gentle, paper).item(), infomax_nce(*features(), paper).item()
    assert low == pytest.approx(high, rel=0.02)  # inputs rounded to 2^-9


def test_two_processes_have_the_gradient_of_one(tmp_path):
    def loss(weight, rows, gather):
        local, global_ = rows
        return infomax_nce(gather(local @ weight), gather(global_ @ weight))

    assert_processes_are_one(loss, normal(5, 5), features(), tmp_path)
