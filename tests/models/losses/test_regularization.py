"""R1: closed forms, finite differences, and the gradient that reaches D through it."""

import pytest
import torch

from models.losses import r1_penalty
from networks import define


def test_r1_of_a_quadratic_discriminator():
    """D(x) = a |x|^2 / 2 has the gradient a x, whose squared length is a^2 |x|^2."""
    a, x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True), torch.randn(4, 3, 5, 6, dtype=torch.float64)
    penalty = r1_penalty(x, lambda image: a * image.square().sum((1, 2, 3)) / 2)
    expected = x.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(penalty, 9 * expected)
    penalty.backward()
    torch.testing.assert_close(a.grad, 6 * expected)
    assert not x.requires_grad and x.grad is None


def test_r1_of_a_map_sums_its_logits():
    """D(x)_p = w_p x_p, as a patch discriminator has it: each pixel has its own weight as gradient."""
    w = torch.randn(1, 1, 4, 4)
    penalty = r1_penalty(torch.randn(2, 1, 4, 4), lambda image: w.requires_grad_() * image)
    torch.testing.assert_close(penalty, w.square().sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,more",
    [
        ("stylegan2", {}),
        ("basic", {"norm": "instance"}),
        ("n_layers", {"norm": "batch", "n_layers": 1}),
        ("pixel", {"norm": "none"}),
        ("n_layers", {"norm": "none", "n_layers": 1, "no_antialias": True}),
    ],
)
def test_r1_is_what_finite_differences_give(name, more):
    """The value against central differences in random directions, its gradient against those of the value."""
    torch.manual_seed(0)
    size = 32 if name == "basic" else 8
    D = define("D", name, **({"input_nc": 1, "ndf": 2, "size": size, "n_layers": 3} | more)).double()
    x, step = torch.randn(2, 1, size, size, dtype=torch.float64), 1e-6
    numbers = []
    with torch.no_grad():
        for i in range(x.numel()):
            shift = torch.zeros_like(x).flatten()
            shift[i] = step
            numbers.append((D(x + shift.view_as(x)).sum() - D(x - shift.view_as(x)).sum()) / (2 * step))
            if size > 8 and i == 63:  # of a large image, the first pixels alone
                break
    y = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(D(y).sum(), y)
    torch.testing.assert_close(gradient.flatten()[: len(numbers)], torch.stack(numbers), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(r1_penalty(x, D), gradient.square().flatten(1).sum(1).mean())

    parameters = [p for p in D.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(r1_penalty(x, D), parameters, allow_unused=True)
    directions = [torch.randn_like(p) for p in parameters]
    slope = sum((g * d).sum() for g, d in zip(slopes, directions, strict=True) if g is not None)

    def moved(by):
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p += by * d
        return r1_penalty(x, D).detach()

    there = moved(1e-6)
    back = moved(-2e-6)
    torch.testing.assert_close(slope, (there - back) / 2e-6, rtol=1e-4, atol=1e-7)


def test_r1_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    D, x = define("D", "stylegan2", input_nc=3, ndf=1, size=16), torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        low = r1_penalty(x.bfloat16(), D)
    assert low.dtype == torch.float32
    assert torch.equal(low, r1_penalty(x.bfloat16().float(), D))
