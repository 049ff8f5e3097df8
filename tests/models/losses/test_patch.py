"""PatchNCE against a slow loop and against closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import patch_nce


def vectors(B=2, S=7, D=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(B, S, D, generator=generator, dtype=torch.float64), dim=-1)


def loop(q, k, tau, across_batch):
    """The formula, a patch at a time."""
    B, S, _ = q.shape
    total = 0.0
    for b in range(B):
        for s in range(S):
            rows = [(c, t) for c in range(B) for t in range(S) if across_batch or c == b]
            scores = {(c, t): math.exp(float(q[b, s] @ k[c, t]) / tau) for c, t in rows}
            total -= math.log(scores[b, s] / sum(scores.values()))
    return total / (B * S)


@pytest.mark.parametrize("across_batch", [False, True])
@pytest.mark.parametrize("tau", [0.07, 0.5])
def test_it_is_the_formula(across_batch, tau):
    q, k = vectors(seed=1), vectors(seed=2)
    assert patch_nce(q, k, tau, across_batch).item() == pytest.approx(loop(q, k, tau, across_batch), rel=1e-12)


def test_closed_forms():
    same = torch.ones(2, 256, 4, dtype=torch.float64) / 2
    assert patch_nce(same, same).item() == pytest.approx(math.log(256), rel=1e-12)
    assert patch_nce(same, same, across_batch=True).item() == pytest.approx(math.log(512), rel=1e-12)
    apart = torch.eye(16, dtype=torch.float64)[None]
    assert patch_nce(apart, apart, 0.07).item() == pytest.approx(math.log(1 + 15 * math.exp(-1 / 0.07)), rel=1e-9)


def test_no_gradient_flows_into_the_keys():
    q, k = vectors(seed=1).requires_grad_(), vectors(seed=2).requires_grad_()
    patch_nce(q, k).backward()
    assert k.grad is None and q.grad.abs().sum() > 0


def test_cosine_ignores_lengths():
    q, k = vectors(seed=1), vectors(seed=2)
    assert patch_nce(0.3 * q, 2 * k, cosine=True).item() == pytest.approx(patch_nce(q, k).item(), rel=1e-12)


def test_half_precision_inputs_are_compared_in_float32():
    q, k = vectors(seed=1).bfloat16(), vectors(seed=2).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = patch_nce(q, k)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(patch_nce(q.double(), k.double()).item(), rel=1e-6)


@pytest.mark.parametrize("across_batch", [False, True])
def test_further_negatives_join_every_patch(across_batch):
    q, k, more = vectors(seed=1), vectors(seed=2), vectors(B=1, S=3, seed=3)[0]
    plain = patch_nce(q, k, 0.5, across_batch, reduction="none")
    positive = torch.exp((q * k).sum(-1).flatten() / 0.5)
    total = positive / torch.exp(-plain) + torch.exp(q.flatten(0, 1) @ more.T / 0.5).sum(1)
    expected = -torch.log(positive / total)
    torch.testing.assert_close(patch_nce(q, k, 0.5, across_batch, reduction="none", more=more), expected)
    empty = torch.cat([torch.zeros(2, 5, dtype=more.dtype), more])
    torch.testing.assert_close(patch_nce(q, k, 0.5, across_batch, reduction="none", more=empty), expected)
