"""Contrast between views: the library's NT-Xent, and its closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import NTXentLoss

from models.losses.views import between_views, views_levels


def vectors(count, seed):
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_it_is_nt_xent(tau):
    one, other = vectors(6, 0), vectors(6, 1)
    theirs = NTXentLoss(temperature=tau)(torch.cat([one, other]), torch.arange(6).repeat(2))
    torch.testing.assert_close(between_views(one, other, tau), theirs)


def test_where_all_views_are_alike_it_is_chance():
    same = vectors(1, 0).expand(5, -1)
    assert between_views(same, same).item() == pytest.approx(math.log(9)) == views_levels(5)["chance"]


def test_in_half_precision_it_is_computed_in_float32():
    one, other = vectors(6, 0).bfloat16(), vectors(6, 1).bfloat16()
    assert torch.equal(between_views(one, other), between_views(one.float(), other.float()))
