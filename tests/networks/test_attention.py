"""Attention of maps to themselves and to a reference image's."""

import copy

import pytest
import torch
import torch.nn.functional as F

from networks.attention import ReferenceAttention, SelfAttention


def awake(attention):
    """With a weight that is not 0, in float64."""
    attention.weight.data.fill_(0.7)
    return attention.double()


def slow(attention, x, source):
    """One place at a time: its query, its shares of the pooled keys, the mean of their values."""
    q, k, v = attention.query(x), F.max_pool2d(attention.key(source), 2), F.max_pool2d(attention.value(source), 2)
    y = x.clone()
    for b in range(x.shape[0]):
        keys, values = k[b].flatten(1).T, v[b].flatten(1).T  # (places, channels)
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                shares = torch.exp(keys @ q[b, :, row, column])
                found = (shares[:, None] * values).sum(0) / shares.sum()
                y[b, :, row, column] += 0.7 * attention.out.weight[:, :, 0, 0] @ found
    return y


def test_attention_is_its_formula():
    torch.manual_seed(0)
    x, r = torch.randn(2, 2, 16, 4, 6, dtype=torch.float64)
    own, other = awake(SelfAttention(16)), awake(ReferenceAttention(16))
    torch.testing.assert_close(own(x), slow(own, x, x))
    torch.testing.assert_close(other(x, r), slow(other, x, r))


def test_parameters_are_four_thin_layers():
    """C C/8 twice, C C/2 twice, and one weight."""
    assert sum(p.numel() for p in SelfAttention(64).parameters()) == 2 * 64 * 8 + 2 * 64 * 32 + 1


def test_both_start_as_the_identity():
    x, r = torch.randn(2, 2, 8, 4, 4)
    assert torch.equal(SelfAttention(8)(x), x) and torch.equal(ReferenceAttention(8)(x, r), x)


def test_a_reference_matters_once_its_weight_is_not_zero():
    torch.manual_seed(0)
    x, r, other = torch.randn(3, 2, 8, 4, 4, dtype=torch.float64)
    attention = awake(ReferenceAttention(8))
    assert not torch.allclose(attention(x, r), attention(x, other))
    torch.testing.assert_close(attention(x, x), SelfAttention.attend(attention, x, x))  # the own map is one reference


def test_a_reference_may_have_another_size_and_gets_a_gradient():
    x, r = torch.randn(2, 8, 4, 4).double(), torch.randn(2, 8, 6, 8, dtype=torch.float64, requires_grad=True)
    awake(ReferenceAttention(8))(x, r).square().sum().backward()
    assert r.grad.abs().sum() > 0


def test_permuting_the_reference_changes_nothing():
    """Attention knows no places: mirrored, the 2 x 2 maxima are the same set."""
    x, r = torch.randn(2, 2, 8, 4, 4, dtype=torch.float64)
    attention = awake(ReferenceAttention(8))
    torch.testing.assert_close(attention(x, r), attention(x, r.flip(3)))


def test_it_has_a_second_derivative():
    """As R1 needs; fused attention has none."""
    x = torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(awake(SelfAttention(2)), x)


@pytest.mark.parametrize("channels", [1, 3, 20])
def test_any_number_of_channels(channels):
    assert SelfAttention(channels)(torch.randn(1, channels, 2, 2)).shape == (1, channels, 2, 2)


def test_low_precision_stays_low_and_close():
    torch.manual_seed(0)
    attention, x = awake(SelfAttention(16)).float(), torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        low = attention(x.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), copy.deepcopy(attention)(x), rtol=0.05, atol=0.05)
