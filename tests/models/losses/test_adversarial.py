"""The two players' losses at points where they are known."""

import math

import pytest
import torch

from models.losses import GAN_MODES, gan_loss, gradient_penalty

X = torch.tensor([[-2.0, 0.5], [1.0, 3.0]])


def mean(f):
    return sum(f(x) for x in X.flatten().tolist()) / 4


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    "mode,real,for_D,formula",
    [
        ("lsgan", True, True, lambda x: (x - 1) ** 2),
        ("lsgan", False, True, lambda x: x**2),
        ("vanilla", True, False, lambda x: softplus(-x)),
        ("nonsaturating", False, True, lambda x: softplus(x)),
        ("hinge", True, True, lambda x: max(0, 1 - x)),
        ("hinge", False, True, lambda x: max(0, 1 + x)),
        ("hinge", True, False, lambda x: max(0, 1 - x)),  # as DCLGAN's code has it
        ("hinge_paper", True, True, lambda x: max(0, 1 - x)),
        ("hinge_paper", True, False, lambda x: -x),
        ("wgangp", True, False, lambda x: -x),
        ("wgangp", False, True, lambda x: x),
    ],
)
def test_values(mode, real, for_D, formula):
    assert gan_loss(X, real, mode, for_D=for_D).item() == pytest.approx(mean(formula), rel=1e-6)


@pytest.mark.parametrize("mode", GAN_MODES)
def test_extreme_logits_are_finite_with_a_gradient(mode):
    x = torch.tensor([-1e4, 1e4], requires_grad=True)
    gan_loss(x, True, mode, for_D=True).backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="wgan_gp"):
        gan_loss(X, True, "wgan_gp", for_D=True)


def test_gradient_penalty_of_a_linear_critic_is_known():
    real, fake = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    weight = torch.full((2, 4, 4), 0.5)
    value = gradient_penalty(real, fake, lambda x: (x * weight).sum((1, 2, 3)))
    assert value.item() == pytest.approx((math.sqrt(32 * 0.25) - 1) ** 2, rel=1e-6)


def test_gradient_penalty_trains_the_critic_and_nothing_else():
    weight = torch.ones(2, 4, 4, requires_grad=True)
    fake = torch.randn(3, 2, 4, 4, requires_grad=True)
    gradient_penalty(torch.randn(3, 2, 4, 4), fake, lambda x: (x.square() * weight).sum((1, 2, 3))).backward()
    assert weight.grad.abs().sum() > 0 and fake.grad is None
