import pytest
import torch

from models.losses import dice_loss


def square(left, width=4):
    image = torch.ones(1, 1, 16, 16)
    image[..., 4:8, left : left + width] = -1
    return image


def test_equal_ink_costs_nothing_and_ink_apart_everything():
    assert dice_loss(square(2), square(2)).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(square(0), square(8)).item() == pytest.approx(1 - 1 / 33)


def test_half_the_ink_shared():
    assert dice_loss(square(2), square(4)).item() == pytest.approx(1 - 17 / 33)
    both = torch.cat([square(2), square(2)]), torch.cat([square(2), square(4)])
    assert dice_loss(*both).item() == pytest.approx((1 - 17 / 33) / 2)


def test_paper_is_no_refuge():
    # Grey where a stroke may be: the mean distance is indifferent between paper and ink, this draws towards ink.
    grey = torch.zeros(1, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(dice_loss(grey, square(2)), grey)
    assert (gradient[square(2) == -1] > 0).all()  # a step against it makes these pixels darker


def test_blank_glyphs_are_defined():
    assert dice_loss(torch.ones(2, 1, 8, 8), torch.ones(2, 1, 8, 8)).item() == 0
