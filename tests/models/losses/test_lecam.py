"""LeCam's penalty against a loop, and the averages it is given."""

import pytest
import torch

from models.losses.lecam import lecam
from networks.lecam import LeCamAverages


@pytest.mark.parametrize("clipped", [True, False])
def test_it_is_what_a_loop_gives(clipped):
    real, fake = torch.randn(2, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean_real, mean_fake = torch.tensor(0.3), torch.tensor(-0.4)
    above = [r - -0.4 for r in real.tolist() if not clipped or r > -0.4]
    below = [0.3 - f for f in fake.tolist() if not clipped or f < 0.3]
    assert above and below
    expected = sum(d**2 for d in above) / 7 + sum(d**2 for d in below) / 7
    assert lecam(real, fake, mean_real, mean_fake, clipped).item() == pytest.approx(expected, rel=1e-6)


def test_closed_forms():
    """All reals at 2, all fakes at -1, averages the same: 3^2 + 3^2. With the players' places changed, none is left."""
    real, fake = torch.full((4, 1), 2.0), torch.full((4, 1), -1.0)
    assert lecam(real, fake, real.mean(), fake.mean()).item() == 18
    assert lecam(fake, real, fake.mean(), real.mean()).item() == 0
    assert lecam(fake, real, fake.mean(), real.mean(), clipped=False).item() == 18


def test_it_draws_scores_together_and_leaves_averages_alone():
    real, fake = torch.full((2,), 2.0, requires_grad=True), torch.full((2,), -1.0, requires_grad=True)
    mean_real, mean_fake = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
    lecam(real, fake, mean_real, mean_fake).backward()
    assert real.grad.tolist() == [2, 2] and fake.grad.tolist() == [-2, -2]  # 2 (2 - 0) / 2 and -2 (1 - -1) / 2
    assert mean_real.grad is None and mean_fake.grad is None


def test_it_is_computed_in_float32():
    real = torch.tensor([100.0, 101.0]).bfloat16()
    assert lecam(real, -real, torch.zeros(()), torch.zeros(())).dtype == torch.float32


def test_averages_begin_with_the_first_batch_and_then_decay():
    averages, expected = LeCamAverages(0.9), None
    for step in range(5):
        real = torch.tensor([1.0, 3.0]) * (step + 1)
        averages.update(real.requires_grad_(), -real)
        mean = 2.0 * (step + 1)
        expected = mean if expected is None else 0.9 * expected + 0.1 * mean
        assert averages.real.item() == pytest.approx(expected)
        assert averages.fake.item() == pytest.approx(-expected)
        assert averages.updates.item() == step + 1
    assert not averages.real.requires_grad


def test_averages_of_low_precision_are_kept_in_float32_and_saved():
    averages = LeCamAverages()
    with torch.autocast("cpu", torch.bfloat16):
        for value in (1.0, 2.0):
            averages.update(torch.full((3,), value).bfloat16(), torch.zeros(3).bfloat16())
    assert averages.real.dtype == torch.float32 and averages.real.item() == pytest.approx(1.01)
    again = LeCamAverages()
    again.load_state_dict(averages.state_dict())
    assert again.real.item() == averages.real.item() and again.updates.item() == 2


def test_a_loss_that_is_still_to_be_differentiated_keeps_the_average_it_saw():
    averages, real = LeCamAverages(), torch.ones(2, requires_grad=True)
    averages.update(real, torch.zeros(2))
    loss = lecam(real, torch.zeros(2), averages.real, averages.fake)
    averages.update(real + 50, torch.full((2,), 50.0))
    loss.backward()
    assert real.grad.tolist() == [1, 1]
